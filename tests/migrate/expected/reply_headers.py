# broken: X-Total => X-Count
import aiohttp
from aiostub import Stub
from multidict import CIMultiDict

HEADERS = {"X-Total": "3"}


async def total(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return int(response.headers["X-Total"])


async def test_literal():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(headers=HEADERS, json=[1, 2])
        m.get("https://example.com/").reply(headers=CIMultiDict({"x-total": "4"}), reason="Fine", content_type="application/json")
        assert await total("https://example.com/") == 3
        assert await total("https://example.com/") == 4
