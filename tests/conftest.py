"""What the whole suite shares."""

import asyncio
import gc
import importlib.util
import os
import sys

import pytest

if importlib.util.find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    # No clock rules: the machine that runs this may be busy with something else.
    settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile(
        "ci", settings.get_profile("dev"), derandomize=True, database=None, print_blob=True
    )
    settings.load_profile("ci" if os.environ.get("CI") else "dev")

# They need the `clients` dependency group, of which this is one: `make clients`.
collect_ignore = [] if importlib.util.find_spec("aiobotocore") else ["clients"]


@pytest.fixture(autouse=True)
def nothing_is_left_started():
    """Fail the test that leaves a stub started, and not those that come after it."""
    yield
    if "aiostub._boundary.interception" in sys.modules:
        intercept = sys.modules["aiostub._boundary.interception"]
        left = intercept.started()
        for registry in left:
            intercept.stop(registry)
        assert left == ()


def pytest_sessionstart():
    """Let a sync test find no event loop.

    The looptime plugin asks for one around each of them, which would make a loop that nobody
    closes, and a ResourceWarning in some later test.
    """
    asyncio.set_event_loop(None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    """Take what the run keeps anyhow out of every later search for garbage.

    Thousands of collected tests and the modules they import are most of the heap, and whoever
    looks for a leak collects all of it: that was a quarter of the time of the suite.
    """
    gc.collect()
    gc.freeze()
