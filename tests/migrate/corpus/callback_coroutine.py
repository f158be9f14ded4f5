# broken: + 1 => + 2
import asyncio
from typing import Any

import aiohttp
from aioresponses import CallbackResult, aioresponses
from yarl import URL


async def both():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return (await response.json())["n"] + 1


async def test_both():
    async def slow(url: URL, **kwargs: Any) -> CallbackResult:
        await asyncio.sleep(0)
        return CallbackResult(payload={"n": 1})

    with aioresponses() as m:
        m.get("https://example.com/", callback=slow)
        m.get("https://example.com/", callback=lambda url, **_: CallbackResult(body='{"n": 5}'))
        assert await both() == 2
        assert await both() == 6
