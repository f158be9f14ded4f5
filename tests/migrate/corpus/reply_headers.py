# broken: X-Total => X-Count
import aiohttp
from aioresponses import aioresponses
from multidict import CIMultiDict

HEADERS = {"X-Total": "3"}


async def total(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return int(response.headers["X-Total"])


async def test_literal():
    with aioresponses() as m:
        m.get("https://example.com/", headers=HEADERS, payload=[1, 2])
        m.get("https://example.com/", headers=CIMultiDict({"x-total": "4"}), reason="Fine")
        assert await total("https://example.com/") == 3
        assert await total("https://example.com/") == 4
