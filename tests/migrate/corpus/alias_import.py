# broken: 200 <= => 201 <=
import aioresponses as ar
import aiohttp


async def ok(url):
    async with aiohttp.ClientSession() as session, session.options(url) as response:
        return 200 <= response.status < 300


async def test_ok():
    with ar.aioresponses() as m:
        m.options("https://example.com/")
        assert await ok("https://example.com/")
