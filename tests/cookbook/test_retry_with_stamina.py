"""stamina: tenacity with opinions; without jitter, pauses can be told beforehand."""

import asyncio

import aiohttp
import pytest
import stamina

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime


def may_pass(error):
    """Tell whether another attempt is worth it, and when, if the server says so."""
    if not isinstance(error, aiohttp.ClientResponseError):
        return isinstance(error, (aiohttp.ClientConnectionError, asyncio.TimeoutError))
    if "Retry-After" in (error.headers or {}):
        return float(error.headers["Retry-After"])
    return error.status >= 500


@stamina.retry(on=may_pass, attempts=4, timeout=None, wait_initial=1, wait_jitter=0)
async def fetch_report(session):
    """Fetch the report."""
    async with session.get(URL, raise_for_status=True) as response:
        return await response.text()


async def test_pauses_grow(aiostub):
    """Whatever it was that failed."""
    report = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    report.then.timeout().then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == "42 pages"

    assert report.calls.gaps == pytest.approx([1, 2, 4])


async def test_the_server_may_say_when(aiostub):
    """Its word goes before the growing pause."""
    report = aiostub.get(URL).reply(429, headers={"Retry-After": "25"}).then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        await fetch_report(session)

    assert report.calls.gaps == pytest.approx([25])


async def test_four_attempts_are_enough(aiostub):
    """The app sees aiohttp's own exception."""
    aiostub.get(URL).reply(503).times(4)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError, match="Service Unavailable"):
            await fetch_report(session)


async def test_what_is_hopeless_is_not_tried_again(aiostub):
    """A 404 stays a 404."""
    aiostub.get(URL).reply(404)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError):
            await fetch_report(session)
