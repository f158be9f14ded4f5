"""tenacity: growing pauses, a Retry-After where there is one, and two minutes in all."""

import asyncio
import time

import aiohttp
import pytest
import tenacity

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime

growing = tenacity.wait_exponential(multiplier=1, max=30)


def pause(state):
    """Return the seconds until the next attempt."""
    headers = getattr(state.outcome.exception(), "headers", None) or {}
    return float(headers["Retry-After"]) if "Retry-After" in headers else growing(state)


def may_pass(error):
    """Tell whether another attempt is worth it."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in {429, 500, 502, 503, 504}
    return isinstance(error, (aiohttp.ClientConnectionError, asyncio.TimeoutError))


@tenacity.retry(
    retry=tenacity.retry_if_exception(may_pass),
    wait=pause,
    stop=tenacity.stop_after_attempt(5) | tenacity.stop_after_delay(120),
    reraise=True,
)
async def fetch_report(session):
    """Fetch the report."""
    async with session.get(URL, raise_for_status=True) as response:
        return await response.text()


async def test_pauses_grow(aiostub):
    """Whatever it was that failed."""
    report = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    report.then.timeout().then.reply(500).then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == "42 pages"

    assert report.calls.gaps == pytest.approx([1, 2, 4, 8])


async def test_the_server_may_say_when(aiostub):
    """Its word goes before the growing pause."""
    report = aiostub.get(URL).reply(429, headers={"Retry-After": "25"}).then.reply(503)
    report.then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        await fetch_report(session)

    assert report.calls.gaps == pytest.approx([25, 2])


async def test_five_attempts_are_enough(aiostub):
    """The app sees aiohttp's exception, not a RetryError."""
    aiostub.get(URL).reply(503).times(5)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError, match="Service Unavailable"):
            await fetch_report(session)


async def test_what_is_hopeless_is_not_tried_again(aiostub):
    """A 404 stays a 404."""
    aiostub.get(URL).reply(404)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await fetch_report(session)


async def test_two_minutes_are_enough(aiostub, monkeypatch):
    """stop_after_delay reads time.monotonic(), so that is made the loop's clock meanwhile."""
    report = aiostub.get(URL).reply(429, headers={"Retry-After": "50"}).times(4)

    async with aiohttp.ClientSession() as session:
        with monkeypatch.context() as clock:
            clock.setattr(time, "monotonic", asyncio.get_running_loop().time)
            with pytest.raises(aiohttp.ClientResponseError):
                await fetch_report(session)

    assert report.calls.gaps == pytest.approx([50, 50, 50])
