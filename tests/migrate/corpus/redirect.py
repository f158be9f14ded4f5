# broken: "/old" => "/older"
import aiohttp
from aioresponses import aioresponses


async def landed():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com" + "/old") as response:
            return response.status, response.url.path, len(response.history)


async def test_landed():
    with aioresponses() as m:
        m.get("https://example.com/old", status=302, headers={"Location": "/new"})
        m.get("https://example.com/new", status=200)
        assert await landed() == (200, "/new", 1)
