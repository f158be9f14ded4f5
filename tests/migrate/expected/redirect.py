# broken: "/old" => "/older"
import aiohttp
from aiostub import Stub


async def landed():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com" + "/old") as response:
            return response.status, response.url.path, len(response.history)


async def test_landed():
    with Stub(strict=False) as m:
        m.get("https://example.com/old").reply(302, headers={"Location": "/new"}, content_type="application/json")
        m.get("https://example.com/new").reply(200, content_type="application/json")
        assert await landed() == (200, "/new", 1)
