"""The pytest option and ini option that answer for the module name ``aioresponses``."""

from __future__ import annotations

import pytest

from aiostub.compat import _names

_HELP = "Let the name aioresponses mean aiostub.compat.aioresponses."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    parser.getgroup("aiostub").addoption("--aiostub-compat", action="store_true", help=_HELP)
    parser.addini("aiostub_compat", _HELP, "bool", default=False)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Answer before any conftest file is imported."""
    asked = getattr(early_config.known_args_namespace, "aiostub_compat", False)
    if asked or early_config.getini("aiostub_compat"):
        _names.answer()


def pytest_report_header() -> str | None:
    """Say that the name is ours."""
    if not _names.is_answering():
        return None
    return "aiostub: compat is on; `import aioresponses` imports aiostub.compat.aioresponses"
