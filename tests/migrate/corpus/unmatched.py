# broken: except aiohttp.ClientConnectionError => except aiohttp.ClientPayloadError
import aiohttp
from aioresponses import aioresponses


async def is_reachable():
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get("https://example.com/"):
                return True
        except aiohttp.ClientConnectionError:
            return False


async def test_no_route():
    with aioresponses():
        pass
    with aioresponses() as m:
        assert not await is_reachable()
