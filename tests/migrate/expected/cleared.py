# broken: return response.status => return -response.status
import aiohttp
from aiostub import Stub


async def up():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return response.status


async def test_up():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(500, content_type="application/json")
        m.reset()
        m.get("https://example.com/").reply(201, content_type="application/json")
        assert await up() == 201
