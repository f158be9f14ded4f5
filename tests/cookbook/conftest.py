"""Which recipes can be tried here."""

import importlib.util

import aiohttp
import pytest

VIRTUAL_TIME = importlib.util.find_spec("looptime") is not None
MIDDLEWARES = hasattr(aiohttp, "ClientHandlerType")


def pytest_configure(config):
    """Know the marker of looptime's also where it is not installed."""
    if not VIRTUAL_TIME:
        config.addinivalue_line("markers", "looptime: run on a clock that does not wait.")


def pytest_runtest_setup(item):
    """Skip what cannot run, with the reason."""
    if item.get_closest_marker("looptime") and not VIRTUAL_TIME:
        pytest.skip("looptime needs CPython 3.11 and is not installed")
    if item.path.name == "test_retry_middleware.py" and not MIDDLEWARES:
        pytest.skip("client middlewares need aiohttp 3.12")
