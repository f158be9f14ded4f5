# broken: "page": 3 => "page": 4
import aiohttp
from aiostub import Stub


async def third():
    async with aiohttp.ClientSession() as session:
        url = "https://api.example.com/a/rather/long/path/to/the/things/that/are/listed"
        async with session.get(url, params={"page": 3}) as response:
            return await response.json()


async def test_third():
    with Stub(strict=False) as m:
        m.get(
            "https://api.example.com/a/rather/long/path/to/the/things/that/are/listed?page=3",  # 3
        ).reply(
            json={"page": 3},
        ).always()
        assert await third() == {"page": 3}
