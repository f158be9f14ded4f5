"""A client of a shop, and the whole shop as an application of aiohttp."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from aiostub import faults

SHOP = "https://shop.example.com"

pytestmark = pytest.mark.looptime


class Shop:
    """A shop that wants a token, takes an order once, and needs a minute to pack it."""

    def __init__(self):
        self.tokens, self.orders, self.packed = set(), {}, {}
        self.app = web.Application(middlewares=[self.guard])
        self.app.add_routes(
            [
                web.post("/login", self.login),
                web.put("/orders/{key}", self.order),
                web.get("/orders/{key}", self.show),
            ]
        )

    @web.middleware
    async def guard(self, request, handler):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if request.path != "/login" and token not in self.tokens:
            raise web.HTTPUnauthorized
        return await handler(request)

    async def login(self, request):
        if (await request.post()).get("secret") != "open sesame":
            raise web.HTTPForbidden
        self.tokens.add(token := f"token {len(self.tokens)}")
        return web.json_response({"token": token})

    async def order(self, request):
        key = request.match_info["key"]
        if key not in self.orders:
            self.orders[key] = await request.json()
            self.packed[key] = asyncio.get_running_loop().time() + 60
        return web.json_response({}, status=202)

    async def show(self, request):
        key = request.match_info["key"]
        done = asyncio.get_running_loop().time() >= self.packed[key]
        return web.json_response({"state": "packed" if done else "open"})


class Client:
    """Order something, whatever the network does, and wait until it is packed."""

    def __init__(self, session, secret):
        self.session, self.secret, self.token = session, secret, None

    async def order(self, key, what):
        answer = await self.ask("PUT", f"/orders/{key}", json=what)
        while answer.get("state") != "packed":
            await asyncio.sleep(25)
            answer = await self.ask("GET", f"/orders/{key}")

    async def ask(self, method, path, pauses=(1, 2), **kwargs):
        """Ask the shop; a failure is tried again, a token that is refused is renewed."""
        left = iter(pauses)
        while True:
            pause = next(left, None)
            try:
                async with await self.send(method, path, **kwargs) as answer:
                    answer.raise_for_status()
                    return await answer.json()
            except aiohttp.ClientError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def send(self, method, path, **kwargs):
        """Send a request with the token, and once more with a new one."""
        for _ in range(2):
            headers = {"Authorization": f"Bearer {self.token}"}
            answer = await self.session.request(method, path, headers=headers, **kwargs)
            if answer.status != 401:
                break
            self.token = await self.log_in()
        return answer

    async def log_in(self):
        async with self.session.post("/login", data={"secret": self.secret}) as answer:
            if answer.status == 403:
                raise PermissionError("/login")
            return (await answer.json())["token"]


@pytest.fixture
def shop(aiostub):
    """Open a shop."""
    shop = Shop()
    aiostub.mount(SHOP, shop.app)
    return shop


async def order(key="7", what="ink", secret="open sesame"):
    """Order something as a customer does."""
    async with aiohttp.ClientSession(SHOP) as session:
        await Client(session, secret).order(key, {"what": what})


async def test_an_order_is_packed(shop, aiostub):
    """The log has a conversation of which no test has written a line."""
    await order()

    assert shop.orders == {"7": {"what": "ink"}}
    asked = [(call.request.method, call.request.url.path) for call in aiostub.calls]
    assert asked[:3] == [("PUT", "/orders/7"), ("POST", "/login"), ("PUT", "/orders/7")]
    assert asked[3:] == [("GET", "/orders/7")] * 3


async def test_a_token_that_the_shop_forgot_is_renewed(shop, aiostub):
    """The state of the shop is at hand in the middle of the conversation."""
    ordering = asyncio.create_task(order())
    await asyncio.sleep(30)
    shop.tokens.clear()
    await ordering

    assert [call.status for call in aiostub.calls].count(401) == 2


async def test_a_wrong_secret_is_the_end(shop, aiostub):
    """The client does not try for ever."""
    with pytest.raises(PermissionError, match="/login"):
        await order(secret="open barley")

    assert len(aiostub.calls) == 2


async def test_an_answer_that_is_lost_is_no_second_order(shop, aiostub):
    """A route in front of the mount fails once; the shop has taken the order by then."""

    async def take_and_fall_silent(request):
        await shop.order(request)
        raise faults.reset()

    put = aiostub.put(f"{SHOP}/orders/{{key}}", first=True).serve(take_and_fall_silent)
    await order()

    assert shop.orders == {"7": {"what": "ink"}}
    assert put.calls.last.request.json() == {"what": "ink"}


async def test_two_failures_are_survived(shop, aiostub):
    """The third attempt gets through to the mount."""
    aiostub.put(f"{SHOP}/orders/7", first=True).reply(502).then.fail(faults.refused())

    await order()

    assert shop.orders == {"7": {"what": "ink"}}


async def test_three_failures_are_too_many(shop, aiostub):
    """The last of them is what the customer sees."""
    aiostub.put(f"{SHOP}/orders/7", first=True).reply(502).times(2).then.reply(503)

    with pytest.raises(aiohttp.ClientResponseError, match="503"):
        await order()

    assert shop.orders == {}
