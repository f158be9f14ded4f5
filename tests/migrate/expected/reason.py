# broken: response.reason => response.method
import aiohttp
from aiostub import Stub


async def said(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return f"{response.status} {response.reason}"


async def test_reasons():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(503, reason="Back Soon", content_type="application/json")
        m.get("https://example.com/").reply(404, content_type="application/json")
        m.get("https://example.com/").reply(520, content_type="application/json")
        assert await said("https://example.com/") == "503 Back Soon"
        assert await said("https://example.com/") == "404 Not Found"
        assert await said("https://example.com/") == "520 "
