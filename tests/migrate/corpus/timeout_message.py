# broken: str(error) => repr(error)
import asyncio

import aiohttp
from aioresponses import aioresponses


async def fetch():
    async with aiohttp.ClientSession() as session:
        try:
            await session.get("https://example.com/")
        except asyncio.TimeoutError as error:
            return str(error)


async def test_message():
    with aioresponses() as m:
        m.get("https://example.com/", timeout=True)
        assert await fetch() == "Connection timeout test"
