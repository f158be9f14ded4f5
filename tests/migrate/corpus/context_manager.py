# broken: session.get => session.post
from contextlib import contextmanager

import aiohttp
from aioresponses import aioresponses


async def up():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return response.status


@contextmanager
def mocked():
    with aioresponses() as m:
        m.get("https://example.com/", status=200)
        yield m


async def test_up():
    with mocked() as m:
        m.get("https://example.com/", status=201)
        assert [await up(), await up()] == [200, 201]
