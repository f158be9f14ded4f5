# broken: .status == 200 => .status == 201
import asyncio
import unittest

import aiohttp
from aioresponses import aioresponses


async def is_up():
    async with aiohttp.ClientSession() as session, session.head("https://example.com/") as response:
        return response.status == 200


class TestUp(unittest.TestCase):
    @aioresponses()
    def test_up(self, mocked):
        mocked.head("https://example.com/")
        self.assertTrue(asyncio.run(is_up()))
