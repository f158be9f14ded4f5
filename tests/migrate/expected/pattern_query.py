# broken: "q": text => "p": text
import re

import aiohttp
from aiostub import Stub


async def search(text):
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/s", params={"q": text, "a": "1"}) as response:
            return await response.json()


async def test_search():
    with Stub(strict=False) as m:
        m.get(re.compile(r"^https://example\.com/s\?.*$")).reply(json=[1])
        m.get(re.compile(r".*q=b.*")).reply(json=[2])
        assert await search("a") == [1]
        assert await search("b") == [2]
