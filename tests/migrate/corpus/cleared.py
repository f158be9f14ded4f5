# broken: return response.status => return -response.status
import aiohttp
from aioresponses import aioresponses


async def up():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return response.status


async def test_up():
    with aioresponses() as m:
        m.get("https://example.com/", status=500)
        m.clear()
        m.get("https://example.com/", status=201)
        assert await up() == 201
