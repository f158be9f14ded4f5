# broken: 200 <= => 201 <=
from aiostub import Stub
import aiohttp


async def ok(url):
    async with aiohttp.ClientSession() as session, session.options(url) as response:
        return 200 <= response.status < 300


async def test_ok():
    with Stub(strict=False) as m:
        m.options("https://example.com/").reply(content_type="application/json")
        assert await ok("https://example.com/")
