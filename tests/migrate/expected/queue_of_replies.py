# broken: < 500 => < 600
import aiohttp
from aiostub import Stub


async def persist():
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get("https://example.com/") as response:
                if response.status < 500:
                    return response.status


async def test_persist():
    with Stub(strict=False) as m:
        for status in (500, 502):
            m.get("https://example.com/").reply(status, content_type="application/json")
        m.get("https://example.com/").reply(201, content_type="application/json")
        assert await persist() == 201
