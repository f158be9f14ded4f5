# broken: str(error) => repr(error)
import asyncio

import aiohttp
from aiostub import Stub


async def fetch():
    async with aiohttp.ClientSession() as session:
        try:
            await session.get("https://example.com/")
        except asyncio.TimeoutError as error:
            return str(error)


async def test_message():
    with Stub(strict=False) as m:
        m.get("https://example.com/").fail(asyncio.TimeoutError("Connection timeout test"))
        assert await fetch() == "Connection timeout test"
