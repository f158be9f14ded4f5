"""Token refresh: on a 401, get a new token, once for all requests, and ask again."""

import asyncio

import aiohttp
import pytest

API = "https://api.example.com"
OLD, NEW = {"Authorization": "Bearer old"}, {"Authorization": "Bearer new"}

pytestmark = pytest.mark.looptime


class Api:
    """Ask with a token, and get a new one when it has expired."""

    def __init__(self, session, token):
        self.session = session
        self.token = token
        self.refreshing = asyncio.Lock()

    async def get(self, path):
        """Fetch JSON."""
        token = self.token
        status, answer = await self.ask(path, token)
        if status == 401:
            await self.refresh(token)
            status, answer = await self.ask(path, self.token)
        if status != 200:
            raise PermissionError(path)
        return answer

    async def ask(self, path, token):
        """Send one request."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.get(f"{API}{path}", headers=headers) as response:
            return response.status, await response.json()

    async def refresh(self, expired):
        """Get a new token, unless another request has got one meanwhile."""
        async with self.refreshing:
            if self.token == expired:
                data = {"grant_type": "client_credentials"}
                async with self.session.post(f"{API}/token", data=data) as response:
                    response.raise_for_status()
                    self.token = (await response.json())["access_token"]


async def test_a_request_that_is_refused_is_sent_again_with_a_new_token(aiostub):
    """The app sees only the answer."""
    refused = aiostub.get(f"{API}/me", headers=OLD).reply(401, json={})
    token = aiostub.post(f"{API}/token", data={"grant_type": "client_credentials"})
    token.reply(json={"access_token": "new"})
    answered = aiostub.get(f"{API}/me", headers=NEW).reply(json={"name": "Ada"})

    async with aiohttp.ClientSession() as session:
        assert await Api(session, "old").get("/me") == {"name": "Ada"}

    aiostub.assert_call_order(refused, token, answered)


async def test_ten_requests_at_once_get_one_token(aiostub):
    """Those that were refused, too, wait for it."""
    aiostub.get(f"{API}/items/{{n}}", headers=OLD).reply(401, json={}, delay=1).times(10)
    token = aiostub.post(f"{API}/token").reply(json={"access_token": "new"}, delay=5)
    aiostub.get(f"{API}/items/{{n}}", headers=NEW).reply(json={}, delay=1).times(10)
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        api = Api(session, "old")
        await asyncio.gather(*[api.get(f"/items/{n}") for n in range(10)])

    assert token.call_count == 1
    assert asyncio.get_running_loop().time() - start == pytest.approx(1 + 5 + 1)


async def test_a_new_token_that_is_refused_is_the_end(aiostub):
    """There is no third try."""
    aiostub.get(f"{API}/me", headers=OLD).reply(401, json={})
    aiostub.post(f"{API}/token").reply(json={"access_token": "new"})
    aiostub.get(f"{API}/me", headers=NEW).reply(401, json={})

    async with aiohttp.ClientSession() as session:
        with pytest.raises(PermissionError):
            await Api(session, "old").get("/me")


async def test_without_a_new_token_nothing_is_sent_again(aiostub):
    """The app sees why."""
    aiostub.get(f"{API}/me").reply(401, json={})
    aiostub.post(f"{API}/token").reply(400, json={"error": "invalid_client"})

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError, match="Bad Request"):
            await Api(session, "old").get("/me")
