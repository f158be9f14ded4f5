"""aiohttp-retry tries again over a stub as it does over a network."""

import aiohttp
import pytest
from aiohttp_retry import ExponentialRetry, JitterRetry, RetryClient

URL = "https://api.example.com/notes"

pytestmark = pytest.mark.looptime


async def test_each_attempt_is_a_call_of_its_own(aiostub):
    """The pauses between them are those of the options, in virtual time."""
    get = aiostub.get(URL).reply(503).times(3).then.reply(text="here")
    options = ExponentialRetry(attempts=5, start_timeout=1, factor=2)

    async with RetryClient(retry_options=options) as client, client.get(URL) as answer:
        assert await answer.text() == "here"

    assert [call.status for call in get.calls] == [503, 503, 503, 200]
    assert get.calls.gaps == pytest.approx([2, 4, 8])


async def test_a_dropped_connection_is_tried_again(aiostub):
    """What aiohttp re-sends by itself is no attempt of the client."""
    get = aiostub.get(URL).fail(aiohttp.ServerDisconnectedError).then.reply(text="here")

    async with (
        RetryClient(retry_options=JitterRetry(exceptions={aiohttp.ClientError})) as client,
        client.get(URL) as answer,
    ):
        assert await answer.text() == "here"

    assert get.call_count == 2


async def test_the_last_answer_is_handed_out(aiostub):
    """The attempts are used up, and the body can still be read."""
    post = aiostub.post(URL, json={"by": "ada"}).reply(500, text="broken").times(2)

    async with (
        RetryClient(retry_options=ExponentialRetry(attempts=2)) as client,
        client.post(URL, json={"by": "ada"}) as answer,
    ):
        assert (answer.status, await answer.text()) == (500, "broken")

    assert post.call_count == 2
