# broken: < 500 => < 600
import aiohttp
from aioresponses import aioresponses


async def persist():
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get("https://example.com/") as response:
                if response.status < 500:
                    return response.status


async def test_persist():
    with aioresponses() as m:
        for status in (500, 502):
            m.get("https://example.com/", status=status)
        m.get("https://example.com/", status=201)
        assert await persist() == 201
