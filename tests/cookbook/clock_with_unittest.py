"""Virtual time with unittest, on CPython 3.13 and later."""

import unittest

import aiohttp
import looptime

import aiostub

URL = "https://api.example.com/report"


class TestReport(unittest.IsolatedAsyncioTestCase):
    """Every test of the class runs on a loop of looptime's."""

    loop_factory = staticmethod(looptime.new_event_loop)

    @aiostub.Stub()
    async def test_an_hour_takes_no_time(self, stub):
        """No marker is needed."""
        stub.get(URL).reply(delay=3600)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=7200)) as session:
            await session.get(URL)

        assert stub.calls.last.elapsed == 3600
