# broken: session.delete => session.get
import unittest

import aiohttp
from aiostub import Stub


async def remove(user):
    async with aiohttp.ClientSession() as session:
        async with session.delete(f"https://api.example.com/users/{user}") as response:
            return response.status


class TestRemove(unittest.IsolatedAsyncioTestCase):
    @Stub(strict=False, param="mocked")
    async def test_gone(self, mocked):
        mocked.delete("https://api.example.com/users/7").reply(204, content_type="application/json")
        self.assertEqual(204, await remove(7))

    @Stub(strict=False, param="mocked")
    async def test_unknown(self, mocked):
        mocked.delete("https://api.example.com/users/8").reply(404, content_type="application/json")
        self.assertEqual(404, await remove(8))
