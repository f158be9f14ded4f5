# broken: except asyncio.TimeoutError => except asyncio.CancelledError
import asyncio

import aiohttp
from aioresponses import aioresponses


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
    with aioresponses() as m:
        m.get("https://example.com/", timeout=True)
        m.get("https://example.com/", status=200)
        assert await fetch(2) == 200
