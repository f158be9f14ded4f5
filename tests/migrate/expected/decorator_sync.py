# broken: .status == 200 => .status == 201
import asyncio
import unittest

import aiohttp
from aiostub import Stub


async def is_up():
    async with aiohttp.ClientSession() as session, session.head("https://example.com/") as response:
        return response.status == 200


class TestUp(unittest.TestCase):
    @Stub(strict=False, param="mocked")
    def test_up(self, mocked):
        mocked.head("https://example.com/").reply(content_type="application/json")
        self.assertTrue(asyncio.run(is_up()))
