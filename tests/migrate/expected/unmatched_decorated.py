# broken: return False => return True
import unittest

from aiohttp import ClientConnectionError, ClientSession
from aiostub import ANY, Stub


async def is_reachable():
    async with ClientSession() as session:
        try:
            await session.get("https://example.com/")
        except ClientConnectionError:
            return False
        return True


class TestReachable(unittest.IsolatedAsyncioTestCase):
    @Stub(strict=False, param="m")
    async def test_no_route(self, m):
        """Nothing answers."""
        m.any(ANY).fail(ClientConnectionError).always()
        assert not await is_reachable()
