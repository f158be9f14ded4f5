# broken: return False => return True
import unittest

from aiohttp import ClientConnectionError, ClientSession
from aioresponses import aioresponses


async def is_reachable():
    async with ClientSession() as session:
        try:
            await session.get("https://example.com/")
        except ClientConnectionError:
            return False
        return True


class TestReachable(unittest.IsolatedAsyncioTestCase):
    @aioresponses()
    async def test_no_route(self, m):
        """Nothing answers."""
        assert not await is_reachable()
