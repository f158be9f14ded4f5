"""A retrying client middleware, for every request of a session; aiohttp 3.12 and later."""

import asyncio

import aiohttp
import pytest

URL = "https://api.example.com/users"

pytestmark = pytest.mark.looptime


class Retry:
    """Send requests again that may be repeated, after growing pauses."""

    METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})  # RFC 9110, 9.2.2

    def __init__(self, *pauses):
        self.pauses = pauses

    async def __call__(self, request, handler):
        """Do what aiohttp asks of a middleware."""
        pauses = self.pauses if request.method in self.METHODS else ()
        for pause in pauses:
            try:
                response = await handler(request)
                if response.status < 500:
                    return response
                response.release()
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(pause)
        return await handler(request)


async def test_the_app_sees_the_last_answer_only(aiostub):
    """Each attempt is a call of its own, and all have the app's call as their origin."""
    users = aiostub.get(URL).reply(503).then.fail(aiohttp.ServerDisconnectedError)
    users.then.reply(json=["Ada"])

    async with aiohttp.ClientSession(middlewares=[Retry(1, 2, 4)]) as session:
        async with session.get(URL) as response:
            assert await response.json() == ["Ada"]

    assert [call.status for call in users.calls] == [503, None, 200]
    assert users.calls.gaps == pytest.approx([1, 2])
    assert len({id(call.origin) for call in users.calls}) == 1


async def test_what_must_not_be_repeated_is_not(aiostub):
    """A POST might have done its work although its answer got lost."""
    created = aiostub.post(URL).fail(aiohttp.ServerDisconnectedError)

    async with aiohttp.ClientSession(middlewares=[Retry(1, 2, 4)]) as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(URL, json={"name": "Ada"})

    assert created.call_count == 1


async def test_a_body_is_sent_again(aiostub):
    """As it was, with every attempt."""
    put = aiostub.put(URL, json=["Ada"]).reply(500).times(2).then.reply(204)

    async with aiohttp.ClientSession(middlewares=[Retry(1, 2, 4)]) as session:
        async with session.put(URL, json=["Ada"]) as response:
            assert response.status == 204

    assert put.call_count == 3


async def test_the_last_failure_is_the_apps(aiostub):
    """As an answer, or as an exception."""
    aiostub.get(URL).reply(503).times(2).then.fail(aiohttp.ClientConnectorError).times(2)

    async with aiohttp.ClientSession(middlewares=[Retry(1)]) as session:
        async with session.get(URL) as response:
            assert response.status == 503
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(URL)
