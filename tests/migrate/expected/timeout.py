# broken: except asyncio.TimeoutError => except asyncio.CancelledError
import asyncio

import aiohttp
from aiostub import Stub


async def fetch(tries):
    async with aiohttp.ClientSession() as session:
        for _ in range(tries):
            try:
                async with session.get("https://example.com/") as response:
                    return response.status
            except asyncio.TimeoutError:
                continue
        return None


async def test_second_try():
    with Stub(strict=False) as m:
        m.get("https://example.com/").fail(asyncio.TimeoutError)
        m.get("https://example.com/").reply(200, content_type="application/json")
        assert await fetch(2) == 200
