"""Retry-After: come back when the server says so, unless that is too late."""

import asyncio
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import aiohttp
import pytest

from aiostub import Reply

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime


def seconds(retry_after):
    """Read the header, which is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if retry_after.isdecimal():
        return int(retry_after)
    wait = parsedate_to_datetime(retry_after) - datetime.now(timezone.utc)
    return max(0, wait.total_seconds())


async def fetch_report(session, attempts=3, patience=60):
    """Fetch the report, and wait for it as long as the server asks for, within reason."""
    while True:
        attempts -= 1
        async with session.get(URL) as response:
            if response.status not in (429, 503):
                response.raise_for_status()
                return await response.text()
            pause = seconds(response.headers.get("Retry-After", "1"))
            if attempts == 0 or pause > patience:
                response.raise_for_status()
        await asyncio.sleep(pause)


async def test_the_server_says_when(aiostub):
    """Each of its answers has a pause of its own."""
    report = aiostub.get(URL).reply(429, headers={"Retry-After": "30"})
    report.then.reply(503, headers={"Retry-After": "5"}).then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == "42 pages"

    assert report.calls.gaps == pytest.approx([30, 5])


async def test_it_may_say_it_as_a_date(aiostub):
    """The wall clock stands still meanwhile, so that the date is made when it is asked for."""

    def come_back_in_half_a_minute(request):
        then = datetime.now(timezone.utc) + timedelta(seconds=30)
        return Reply(503, headers={"Retry-After": format_datetime(then, usegmt=True)})

    report = aiostub.get(URL).handle(come_back_in_half_a_minute).then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == "42 pages"

    assert report.calls.gaps == pytest.approx([30], abs=2)  # dates have whole seconds


async def test_it_may_say_nothing(aiostub):
    """Then a second will do."""
    report = aiostub.get(URL).reply(503).then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        await fetch_report(session)

    assert report.calls.gaps == pytest.approx([1])


async def test_tomorrow_is_too_late(aiostub):
    """The client gives up at once, instead of in a day."""
    report = aiostub.get(URL).reply(503, headers={"Retry-After": "86400"})
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await fetch_report(session)

    assert report.call_count == 1
    assert asyncio.get_running_loop().time() == pytest.approx(start, abs=1)


async def test_it_does_not_come_back_for_ever(aiostub):
    """The third refusal is the answer."""
    report = aiostub.get(URL).reply(429, headers={"Retry-After": "10"}).times(3)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError, match="Too Many Requests"):
            await fetch_report(session)

    assert report.calls.gaps == pytest.approx([10, 10])
