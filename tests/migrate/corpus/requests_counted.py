# broken: range(2) => range(3)
import aiohttp
from aioresponses import aioresponses
from yarl import URL


async def poll():
    async with aiohttp.ClientSession() as session:
        for number in range(2):
            await session.get("https://example.com/poll", params={"n": number})
            await session.get("https://example.com/all")


async def test_poll():
    with aioresponses() as m:
        m.get("https://example.com/all", repeat=True)
        for number in range(3):
            m.get(f"https://example.com/poll?n={number}")
        await poll()
        assert len(m.requests) == 3
        assert len(m.requests[("GET", URL("https://example.com/all"))]) == 2
        assert ("GET", URL("https://example.com/poll?n=1")) in m.requests
        assert ("GET", URL("https://example.com/poll?n=2")) not in m.requests
