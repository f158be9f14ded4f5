# broken: ["a"] => ["b"]
import json

import aiohttp
from aioresponses import aioresponses

BODY = json.dumps({"a": "é"})


async def a():
    async with aiohttp.ClientSession() as session, session.get("https://example.com/") as response:
        return (await response.json())["a"], response.headers["Content-Type"]


async def test_text():
    with aioresponses() as m:
        m.get("https://example.com/", body=BODY)
        assert await a() == ("é", "application/json")


async def test_literal():
    with aioresponses() as m:
        m.get("https://example.com/", body='{"a": 1}')
        assert await a() == (1, "application/json")
