"""aiohttp-retry: a client that tries again, with growing or with random pauses."""

import asyncio

import aiohttp
import pytest
from aiohttp_retry import ExponentialRetry, JitterRetry, RetryClient

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime

RETRY = {
    "attempts": 4,
    "start_timeout": 0.5,
    "statuses": {429},
    "exceptions": {aiohttp.ClientConnectionError, asyncio.TimeoutError},
    "methods": {"GET", "PUT", "DELETE"},
}


def make_client(options=ExponentialRetry):
    """Make the client of the app."""
    return RetryClient(retry_options=options(**RETRY), raise_for_status=True)


async def test_pauses_grow(aiostub):
    """Whatever it was that failed."""
    report = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    report.then.timeout().then.reply(text="42 pages")

    async with make_client() as client, client.get(URL) as response:
        assert await response.text() == "42 pages"

    assert report.calls.gaps == pytest.approx([1, 2, 4])


async def test_pauses_may_be_random(aiostub):
    """Then there are limits to them: the square of up to two seconds comes on top."""
    report = aiostub.get(URL).reply(429).times(3).then.reply(text="42 pages")

    async with make_client(JitterRetry) as client, client.get(URL) as response:
        assert response.status == 200

    for growing, gap in zip([1, 2, 4], report.calls.gaps, strict=True):
        assert growing <= gap <= growing + 4


async def test_four_attempts_are_enough(aiostub):
    """The app sees aiohttp's own exception."""
    aiostub.get(URL).reply(503).times(4)

    async with make_client() as client:
        with pytest.raises(aiohttp.ClientResponseError, match="Service Unavailable"):
            await client.get(URL)


async def test_what_must_not_be_repeated_is_not(aiostub):
    """A POST might have done its work although its answer was an error."""
    aiostub.post(URL).reply(503)

    async with make_client() as client:
        with pytest.raises(aiohttp.ClientResponseError):
            await client.post(URL)
