# broken: response.ok => not response.ok
import aiohttp
import aioresponses


async def ok(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.ok


async def test_ok():
    with aioresponses.aioresponses() as m:
        m.get("https://example.com/")
        assert await ok("https://example.com/")
