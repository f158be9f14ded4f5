"""A deadline: retries as long as there is time, and ten seconds in all."""

import asyncio
import contextlib

import aiohttp
import pytest

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime


async def fetch_report(session, deadline=10, pause=2):
    """Fetch the report, or raise TimeoutError when the deadline is over."""
    async with asyncio.timeout(deadline):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(URL, raise_for_status=True) as response:
                    return await response.text()
            await asyncio.sleep(pause)


async def test_it_tries_as_long_as_there_is_time(aiostub):
    """At 0, 2, 4, 6 and 8 seconds."""
    report = aiostub.get(URL).reply(503).times(4).then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == "42 pages"

    assert report.calls.gaps == pytest.approx([2, 2, 2, 2])


async def test_the_deadline_cuts_a_request_short(aiostub):
    """The second one is under way when the time is over: its call is cancelled."""
    report = aiostub.get(URL).reply(503, delay=3).then.reply(text="42 pages", delay=60)
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await fetch_report(session)

    assert asyncio.get_running_loop().time() - start == pytest.approx(10)
    assert isinstance(report.calls.last.error, asyncio.CancelledError)
    assert report.calls.last.elapsed == pytest.approx(10 - 3 - 2)


async def test_the_deadline_cuts_a_pause_short(aiostub):
    """No request is made after it."""
    report = aiostub.get(URL).reply(503).times(5)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await fetch_report(session, deadline=9)

    assert report.call_count == 5


async def test_the_timeline_tells_it_all(aiostub):
    """What pytest shows of a failing test, an assertion may look at."""
    aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError, delay=1).then.hang()

    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await fetch_report(session)

    timeline = aiostub.calls.timeline()
    assert "3 calls in 10 s" in timeline
    assert "+0 ms  GET  /report  503" in timeline
    assert "+2 s  GET  /report  ServerDisconnectedError" in timeline
    assert "+5 s  GET  /report  cancelled" in timeline
