"""backoff tries again over a stub as it does over a network."""

import aiohttp
import backoff
import pytest

URL = "https://api.example.com/notes"

pytestmark = pytest.mark.looptime


async def test_an_exception_is_tried_again(aiostub):
    """The pauses between the attempts take no time."""

    @backoff.on_exception(backoff.expo, aiohttp.ClientError, jitter=None, max_tries=4)
    async def fetch(session):
        async with session.get(URL) as answer:
            return await answer.text()

    get = aiostub.get(URL).fail(aiohttp.ClientOSError).times(3).then.reply(text="here")

    async with aiohttp.ClientSession() as session:
        assert await fetch(session) == "here"

    assert get.calls.gaps == pytest.approx([1, 2, 4])


async def test_an_answer_is_asked_for_until_it_is_ready(aiostub, looptime):
    """A header of the answer says when to come back."""

    @backoff.on_predicate(
        backoff.runtime,
        predicate=lambda answer: answer.status == 202,
        value=lambda answer: int(answer.headers["Retry-After"]),
        jitter=None,
    )
    async def poll(session):
        return await session.get(URL)

    get = aiostub.get(URL).reply(202, headers={"Retry-After": "600"}).times(2).then.reply(200)

    async with aiohttp.ClientSession() as session:
        assert (await poll(session)).status == 200

    assert get.calls.gaps == pytest.approx([600, 600])
    assert looptime == pytest.approx(1200)
