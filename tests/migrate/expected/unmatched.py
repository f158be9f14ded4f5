# broken: except aiohttp.ClientConnectionError => except aiohttp.ClientPayloadError
import aiohttp
from aiostub import ANY, Stub


async def is_reachable():
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get("https://example.com/"):
                return True
        except aiohttp.ClientConnectionError:
            return False


async def test_no_route():
    with Stub(strict=False):
        pass
    with Stub(strict=False) as m:
        m.any(ANY).fail(aiohttp.ClientConnectionError).always()
        assert not await is_reachable()
