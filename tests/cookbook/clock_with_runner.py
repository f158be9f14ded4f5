"""Virtual time without a plugin: whatever runs a coroutine takes a loop of looptime's."""

import asyncio

import aiohttp
import looptime

from aiostub import Stub

URL = "https://api.example.com/report"


async def fetch_late(stub):
    """Wait an hour for a report."""
    stub.get(URL).reply(delay=3600)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=7200)) as session:
        async with session.get(URL) as response:
            return response.status


def test_a_loop_of_looptimes():
    """In a test that is not async."""
    with Stub() as stub, asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        assert runner.run(fetch_late(stub)) == 200
        assert stub.calls.last.elapsed == 3600
