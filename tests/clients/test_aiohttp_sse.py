"""aiohttp-sse's server, mounted on a stub, and two libraries that read what it sends."""

import asyncio

import aiohttp
import aiohttp_sse_client.client
import aiohttp_sse_client2.client
import pytest
from aiohttp import web
from aiohttp_sse import sse_response

NEWS = "https://news.example.com"

pytestmark = pytest.mark.looptime


class News:
    """Send an item every ten seconds, from behind the last that the reader has seen."""

    def __init__(self, at_once):
        self.at_once = at_once
        self.readers = 0
        self.app = web.Application()
        self.app.router.add_get("/events", self.send)

    async def send(self, request):
        """Send items until the connection is to end, or the reader leaves."""
        async with sse_response(request) as response:
            self.readers += 1
            try:
                number = int(response.last_event_id or 0)
                for sent in range(1, 100):
                    await response.send(f"item {number + sent}", id=str(number + sent))
                    await asyncio.sleep(10)
                    if sent == self.at_once:
                        break
            finally:
                self.readers -= 1
        return response


@pytest.fixture
async def news(aiostub):
    """Mount a server that ends each connection after two items."""
    news = News(at_once=2)
    aiostub.mount(NEWS, news.app)
    return news


@pytest.mark.parametrize("library", [aiohttp_sse_client, aiohttp_sse_client2])
async def test_a_reader_goes_on_behind_what_it_has_seen(news, aiostub, library):
    """It says so with each new connection, and nothing is lost or read twice."""
    items = []
    async with library.client.EventSource(f"{NEWS}/events") as source:
        async for event in source:
            items.append(event.data)
            if len(items) == 5:
                break

    assert items == [f"item {number}" for number in range(1, 6)]
    seen = [call.request.headers.get("Last-Event-Id") for call in aiostub.calls]
    assert seen == [None, "2", "4"]


async def test_a_reader_that_leaves_is_missed(news, aiostub):
    """The handler is cancelled, as by a server that is set to."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{NEWS}/events") as response:
            assert await response.content.readuntil(b"\n") == b"id: 1\r\n"
            assert news.readers == 1
        await asyncio.sleep(20)

    assert news.readers == 0


async def test_quiet_times_are_filled_with_comments(aiostub):
    """The reader's own timer is content with them, and the handler ends the stream."""

    async def wait(request):
        async with sse_response(request) as response:
            response.ping_interval = 15
            await asyncio.sleep(65)
            await response.send("at last")
        return response

    aiostub.get(f"{NEWS}/slow").serve(wait)
    timeout = aiohttp.ClientTimeout(sock_read=20)

    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.get(f"{NEWS}/slow") as response:
            text = await response.text()

    assert (text.count(": ping"), text.count("data: at last")) == (4, 1)
