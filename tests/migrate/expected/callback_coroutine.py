# broken: + 1 => + 2
import asyncio
from typing import Any

import aiohttp
from aiostub import Reply, Request, Stub
from yarl import URL


async def both():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return (await response.json())["n"] + 1


async def test_both():
    async def slow(request: Request) -> Reply:
        await asyncio.sleep(0)
        return Reply(json={"n": 1})

    with Stub(strict=False) as m:
        m.get("https://example.com/").handle(slow)
        m.get("https://example.com/").handle(lambda request: Reply(text='{"n": 5}', content_type="application/json"))
        assert await both() == 2
        assert await both() == 6
