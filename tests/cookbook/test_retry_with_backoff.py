"""backoff: try again on exceptions, and ask again until an answer is ready."""

import asyncio

import aiohttp
import backoff
import pytest

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime


def is_hopeless(error):
    """Tell whether another attempt is in vain."""
    return isinstance(error, aiohttp.ClientResponseError) and error.status < 500


@backoff.on_exception(
    backoff.expo,
    (aiohttp.ClientError, asyncio.TimeoutError),
    max_tries=4,  # max_time would read the wall clock, which stands still in a test
    giveup=is_hopeless,
    jitter=None,
)
async def fetch_report(session):
    """Fetch the report."""
    async with session.get(URL, raise_for_status=True) as response:
        return await response.text()


@backoff.on_predicate(
    backoff.runtime,
    predicate=lambda response: response.status == 202,
    value=lambda response: float(response.headers["Retry-After"]),
    max_tries=10,
    jitter=None,
)
async def ask_for_job(session):
    """Ask how a job is getting on."""
    async with session.get(URL) as response:
        return response


async def test_pauses_grow(aiostub):
    """Whatever it was that failed."""
    report = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    report.then.timeout().then.reply(text="42 pages")

    async with aiohttp.ClientSession() as session:
        assert await fetch_report(session) == "42 pages"

    assert report.calls.gaps == pytest.approx([1, 2, 4])


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


async def test_a_job_is_asked_for_until_it_is_done(aiostub):
    """The server says when to come back: twenty minutes that nobody waits for."""
    job = aiostub.get(URL).reply(202, headers={"Retry-After": "900"})
    job.then.reply(202, headers={"Retry-After": "300"}).then.reply(200)

    async with aiohttp.ClientSession() as session:
        assert (await ask_for_job(session)).status == 200

    assert job.calls.gaps == pytest.approx([900, 300])
