# broken: + 1 => + 2
import unittest

import aiohttp
from aiostub import Stub


async def next_number():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/number") as response:
            return (await response.json()) + 1


class TestNumber(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.mock = Stub(strict=False)
        self.mock.start()
        self.addCleanup(self.mock.stop)

    async def test_next(self):
        self.mock.get("https://example.com/number").reply(json=41)
        self.assertEqual(42, await next_number())
        self.mock.assert_called_once()


class TestTearDown(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.mock = Stub(strict=False)
        self.mock.start()

    def tearDown(self):
        self.mock.stop()

    async def test_zero(self):
        self.mock.get("https://example.com/number").reply(json=0)
        self.assertEqual(1, await next_number())
