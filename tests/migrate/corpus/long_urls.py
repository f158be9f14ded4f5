# broken: "page": 3 => "page": 4
import aiohttp
from aioresponses import aioresponses


async def third():
    async with aiohttp.ClientSession() as session:
        url = "https://api.example.com/a/rather/long/path/to/the/things/that/are/listed"
        async with session.get(url, params={"page": 3}) as response:
            return await response.json()


async def test_third():
    with aioresponses() as m:
        m.get(
            "https://api.example.com/a/rather/long/path/to/the/things/that/are/listed?page=3",  # 3
            payload={"page": 3},
            repeat=True,
        )
        assert await third() == {"page": 3}
