"""A retry loop of your own: three more attempts, after 1, 2 and 4 seconds."""

import asyncio

import aiohttp
import pytest

from aiostub import faults

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime


async def fetch_report(session, pauses=(1, 2, 4)):
    """Fetch the report, and try again what may go better the next time."""
    left = iter(pauses)
    while True:
        try:
            async with session.get(URL, raise_for_status=True) as response:
                return await response.json()
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            pause = next(left, None)
            hopeless = isinstance(error, aiohttp.ClientResponseError) and error.status < 500
            if hopeless or pause is None:
                raise
        await asyncio.sleep(pause)


async def test_pauses_grow(aiostub):
    """Whatever goes wrong, the next attempt comes after twice the pause."""
    report = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    report.then.timeout().then.reply(json={"pages": 42})

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == {"pages": 42}

    assert report.calls.gaps == pytest.approx([1, 2, 4])


async def test_the_fourth_failure_is_the_last(aiostub):
    """Then the app sees it; a fifth request would be unmatched and fail the test."""
    aiostub.get(URL).reply(503).times(4)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await fetch_report(session)

    assert caught.value.status == 503


async def test_what_is_hopeless_is_not_tried_again(aiostub):
    """A 404 stays a 404."""
    aiostub.get(URL).reply(404)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await fetch_report(session)


async def test_a_body_that_breaks_off_is_fetched_again(aiostub):
    """The status was 200, and yet the answer never came."""
    report = aiostub.get(URL).reply(json={"pages": 42}, fault=faults.disconnect(after=5))
    report.then.reply(json={"pages": 42})

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == {"pages": 42}


async def test_a_silent_server_costs_the_timeout_and_the_pause(aiostub):
    """`timeout()` fires a timer at once; with `hang()` its time passes on the loop's clock."""
    report = aiostub.get(URL).hang().then.reply(json={"pages": 42})

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        assert await fetch_report(session) == {"pages": 42}

    assert report.calls.gaps == pytest.approx([5 + 1], abs=1)  # aiohttp rounds timers of 5 s up
