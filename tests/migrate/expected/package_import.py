# broken: response.ok => not response.ok
import aiohttp
from aiostub import Stub


async def ok(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.ok


async def test_ok():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(content_type="application/json")
        assert await ok("https://example.com/")
