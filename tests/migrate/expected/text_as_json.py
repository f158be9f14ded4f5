# broken: ["a"] => ["b"]
import json

import aiohttp
from aiostub import Stub

BODY = json.dumps({"a": "é"})


async def a():
    async with aiohttp.ClientSession() as session, session.get("https://example.com/") as response:
        return (await response.json())["a"], response.headers["Content-Type"]


async def test_text():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(text=BODY, content_type="application/json")
        assert await a() == ("é", "application/json")


async def test_literal():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(text='{"a": 1}', content_type="application/json")
        assert await a() == (1, "application/json")
