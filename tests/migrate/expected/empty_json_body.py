# broken: or {} => or {"a": 1}
import aiohttp
from aiostub import Stub


async def settings():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/settings") as response:
            return await response.json() or {}


async def test_nothing_said():
    with Stub(strict=False) as m:
        m.get("https://example.com/settings").reply(202, content_type="application/json")
        assert await settings() == {}
