# broken: "/v1/x" => "/v2/x"
import aiohttp
from aioresponses import aioresponses


async def fetch():
    async with aiohttp.ClientSession("https://example.com") as session:
        async with session.get("/v1/x") as response:
            return await response.json()


async def test_fetch():
    with aioresponses() as m:
        m.get("https://example.com/v1/x", payload={"x": [1, 2.5, None, True]})
        assert await fetch() == {"x": [1, 2.5, None, True]}
