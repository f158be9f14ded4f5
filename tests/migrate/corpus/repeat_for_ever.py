# broken: range(3) => range(4)
import aiohttp
from aioresponses import aioresponses


async def total():
    async with aiohttp.ClientSession() as session:
        found = 0
        for _ in range(3):
            async with session.get("https://example.com/") as response:
                found += await response.json()
        return found


async def test_total():
    with aioresponses() as m:
        m.get("https://example.com/", payload=2, repeat=True)
        assert await total() == 6


async def test_total_of_three():
    with aioresponses() as m:
        m.get("https://example.com/", payload=2, repeat=2)
        m.get("https://example.com/", payload=1, repeat=1)
        assert await total() == 5
