# broken: range(3) => range(4)
import aiohttp
from aiostub import Stub


async def total():
    async with aiohttp.ClientSession() as session:
        found = 0
        for _ in range(3):
            async with session.get("https://example.com/") as response:
                found += await response.json()
        return found


async def test_total():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(json=2).always()
        assert await total() == 6


async def test_total_of_three():
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(json=2).times(2)
        m.get("https://example.com/").reply(json=1)
        assert await total() == 5
