"""tenacity tries again over a stub as it does over a network."""

import aiohttp
import pytest
import tenacity

URL = "https://api.example.com/notes"

pytestmark = pytest.mark.looptime


@tenacity.retry(
    wait=tenacity.wait_exponential(multiplier=1, min=1, max=60),
    stop=tenacity.stop_after_attempt(4),
    retry=tenacity.retry_if_exception_type((aiohttp.ClientError, TimeoutError)),
    reraise=True,
)
async def fetch(session):
    """Get the notes, however often it takes."""
    async with session.get(URL, raise_for_status=True) as answer:
        return await answer.text()


async def test_every_failure_is_tried_again(aiostub):
    """Pauses take no time, nor does a timeout."""
    get = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    get.then.timeout().then.reply(text="here")

    async with aiohttp.ClientSession() as session:
        assert await fetch(session) == "here"

    assert get.calls.gaps == pytest.approx([1, 2, 4])


async def test_the_last_failure_comes_out(aiostub):
    """It is aiohttp's own."""
    get = aiostub.get(URL).reply(503).times(4)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError, match="Service Unavailable"):
            await fetch(session)

    assert get.call_count == 4


@pytest.mark.aiostub(strict=False)
async def test_a_request_that_no_route_answers_is_not_tried_again(aiostub):
    """It is a mistake in the test, and no error of the network."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(AssertionError, match="no route answers"):
            await fetch(session)

    assert len(aiostub.calls) == 1
