# broken: or {} => or {"a": 1}
import aiohttp
from aioresponses import aioresponses


async def settings():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/settings") as response:
            return await response.json() or {}


async def test_nothing_said():
    with aioresponses() as m:
        m.get("https://example.com/settings", status=202)
        assert await settings() == {}
