"""Have no event loop outside of async tests."""

import asyncio


def pytest_sessionstart():
    """Let looptime find none around a sync test, instead of having one made, with a warning."""
    asyncio.set_event_loop(None)
