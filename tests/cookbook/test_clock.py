"""The clock: one marker, and no second of a test is waited for."""

import asyncio
import time

import aiohttp
import pytest

URL = "https://api.example.com/report"


@pytest.mark.looptime
async def test_an_hour_takes_no_time(aiostub):
    """A reply that comes late, a timer that runs out, a task that sleeps: all on one clock."""
    aiostub.get(URL).reply(text="42 pages", delay=3600)
    clock = asyncio.get_running_loop().time
    start = clock()

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=7200)) as session:
        async with session.get(URL) as response:
            assert await response.text() == "42 pages"

    assert clock() - start == pytest.approx(3600)


@pytest.mark.looptime
async def test_code_that_asks_another_clock(aiostub, monkeypatch):
    """Only the loop's clock runs ahead; give it to code that reads time.monotonic()."""
    aiostub.get(URL).reply(delay=3600)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=7200)) as session:
        with monkeypatch.context() as clock:  # and take it back before the loop ends
            clock.setattr(time, "monotonic", asyncio.get_running_loop().time)
            start = time.monotonic()
            async with session.get(URL):
                assert time.monotonic() - start == pytest.approx(3600)
