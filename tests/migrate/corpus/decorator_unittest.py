# broken: session.delete => session.get
import unittest

import aiohttp
from aioresponses import aioresponses


async def remove(user):
    async with aiohttp.ClientSession() as session:
        async with session.delete(f"https://api.example.com/users/{user}") as response:
            return response.status


class TestRemove(unittest.IsolatedAsyncioTestCase):
    @aioresponses()
    async def test_gone(self, mocked):
        mocked.delete("https://api.example.com/users/7", status=204)
        self.assertEqual(204, await remove(7))

    @aioresponses(param="mocked")
    async def test_unknown(self, mocked):
        mocked.delete("https://api.example.com/users/8", status=404)
        self.assertEqual(404, await remove(8))
