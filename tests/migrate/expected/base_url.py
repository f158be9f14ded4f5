# broken: "/v1/x" => "/v2/x"
import aiohttp
from aiostub import Stub


async def fetch():
    async with aiohttp.ClientSession("https://example.com") as session:
        async with session.get("/v1/x") as response:
            return await response.json()


async def test_fetch():
    with Stub(strict=False) as m:
        m.get("https://example.com/v1/x").reply(json={"x": [1, 2.5, None, True]})
        assert await fetch() == {"x": [1, 2.5, None, True]}
