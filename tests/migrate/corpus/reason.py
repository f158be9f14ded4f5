# broken: response.reason => response.method
import aiohttp
from aioresponses import aioresponses


async def said(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return f"{response.status} {response.reason}"


async def test_reasons():
    with aioresponses() as m:
        m.get("https://example.com/", status=503, reason="Back Soon")
        m.get("https://example.com/", status=404)
        m.get("https://example.com/", status=520)
        assert await said("https://example.com/") == "503 Back Soon"
        assert await said("https://example.com/") == "404 Not Found"
        assert await said("https://example.com/") == "520 "
