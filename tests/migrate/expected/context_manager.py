# broken: session.get => session.post
from contextlib import contextmanager

import aiohttp
from aiostub import Stub


async def up():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return response.status


@contextmanager
def mocked():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(200, content_type="application/json")
        yield m


async def test_up():
    with mocked() as m:
        m.get("https://example.com/").reply(201, content_type="application/json")
        assert [await up(), await up()] == [200, 201]
