"""Many subscriptions over one socket: requests find their answers, prices their readers."""

import asyncio
import contextlib
import itertools

import aiohttp
import pytest

from aiostub import partial, script

URL = "wss://prices.example.com/v2"

pytestmark = pytest.mark.looptime


class Prices:
    """Subscribe and unsubscribe over a socket that somebody else has opened."""

    def __init__(self, ws, patience=5):
        self.ws, self.patience = ws, patience
        self.numbers = itertools.count(1)
        self.answers, self.readers = {}, {}

    async def listen(self):
        """Hand on what comes until the socket is closed."""
        async for message in self.ws:
            if message.type is aiohttp.WSMsgType.ERROR:  # not one that ends the loop
                break
            data = message.json()
            if "id" in data:
                self.answers[data["id"]].set_result(data)
            elif data["channel"] in self.readers:
                self.readers[data["channel"]].put_nowait(data["price"])
        for answer in self.answers.values():
            answer.set_exception(ConnectionError(self.ws.close_code))

    async def ask(self, op, channel):
        """Send a request, and wait for its answer."""
        id = next(self.numbers)
        answer = self.answers[id] = asyncio.get_running_loop().create_future()
        try:
            await self.ws.send_json({"id": id, "op": op, "channel": channel})
            data = await asyncio.wait_for(answer, self.patience)
        finally:
            del self.answers[id]
        if "error" in data:
            raise LookupError(data["error"])

    @contextlib.asynccontextmanager
    async def prices(self, channel):
        """Give a queue of prices, and unsubscribe afterwards."""
        queue = self.readers[channel] = asyncio.Queue()
        try:
            await self.ask("subscribe", channel)
            yield queue
            await self.ask("unsubscribe", channel)
        finally:
            del self.readers[channel]


@contextlib.asynccontextmanager
async def connected():
    """Open a socket, and listen to it in the background."""
    async with aiohttp.ClientSession() as session, session.ws_connect(URL, heartbeat=30) as ws:
        prices = Prices(ws)
        listening = asyncio.create_task(prices.listen())
        yield prices
        await ws.close()
        await listening


async def test_prices_find_their_readers(aiostub):
    """A price that comes before the answer is not lost, and none comes afterwards."""
    aiostub.ws(URL).script(
        script.expect({"id": 1, "op": "subscribe", "channel": "tea"}),
        script.send({"channel": "tea", "price": 7}),
        script.send({"id": 1}),
        script.expect({"id": 2, "op": "subscribe", "channel": "ink"}),
        script.send({"id": 2}),
        script.send({"channel": "ink", "price": 3}),
        script.send({"channel": "tea", "price": 8}),
        script.expect(partial({"op": "unsubscribe", "channel": "ink"})),
        script.send({"id": 3}),
        script.expect(partial({"op": "unsubscribe", "channel": "tea"})),
        script.send({"channel": "ink", "price": 4}),
        script.send({"id": 4}),
        script.wait(1),
    )

    async with connected() as prices, prices.prices("tea") as tea:
        async with prices.prices("ink") as ink:
            assert [await tea.get(), await tea.get(), await ink.get()] == [7, 8, 3]


async def test_answers_may_come_in_any_order(aiostub):
    """Each finds the request that it is of."""
    aiostub.ws(URL).script(
        script.expect(partial({"id": 1, "channel": "tea"})),
        script.expect(partial({"id": 2, "channel": "wine"})),
        script.send({"id": 2, "error": "no such channel"}),
        script.send({"id": 1}),
        script.wait(1),
    )

    async with connected() as prices:
        asked = [prices.ask("subscribe", channel) for channel in ("tea", "wine")]
        tea, wine = await asyncio.gather(*asked, return_exceptions=True)

    assert tea is None
    assert isinstance(wine, LookupError)


async def test_an_answer_that_does_not_come_is_not_waited_for(aiostub):
    """Patience is five seconds."""
    aiostub.ws(URL).script(script.receive(), script.wait(3600))
    clock = asyncio.get_running_loop().time

    async with connected() as prices:
        began = clock()
        with pytest.raises(asyncio.TimeoutError):
            await prices.ask("subscribe", "tea")
        assert clock() - began == pytest.approx(5)


async def test_a_socket_that_is_closed_answers_everybody(aiostub):
    """Whoever waits is told at once, and why."""
    aiostub.ws(URL).script(script.receive(), script.receive(), script.close(1012, "restart"))

    async with connected() as prices:
        asked = [prices.ask("subscribe", channel) for channel in ("tea", "ink")]
        errors = await asyncio.gather(*asked, return_exceptions=True)

    assert [(type(error), error.args) for error in errors] == [(ConnectionError, (1012,))] * 2
