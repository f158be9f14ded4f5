"""What the whole suite shares."""

import asyncio
import importlib.util
import os

if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    # No deadline: the machine that runs this may be busy with something else.
    settings.register_profile("dev", deadline=None)
    settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
    settings.load_profile("ci" if os.environ.get("CI") else "dev")

# They need the `clients` dependency group, of which this is one: `make clients`.
collect_ignore = [] if importlib.util.find_spec("aiobotocore") else ["clients"]


def pytest_configure():
    """Let a sync test find no event loop.

    The looptime plugin asks for one around each of them, which would make a loop that nobody
    closes, and a ResourceWarning in some later test.
    """
    asyncio.set_event_loop(None)
