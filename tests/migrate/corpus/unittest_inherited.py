# broken: .com/b" => .com/c"
import unittest
from contextlib import ExitStack

import aiohttp
from aioresponses import aioresponses


async def first(urls=("https://example.com/a", "https://example.com/b")):
    async with aiohttp.ClientSession() as session:
        for url in urls:
            async with session.get(url) as response:
                if response.status == 200:
                    return url[-1]


class Mocked(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        super().setUp()
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.network = stack.enter_context(aioresponses())


class TestFirst(Mocked):
    async def test_second(self):
        self.network.get("https://example.com/a", status=500)
        self.network.get("https://example.com/b", status=200)
        self.assertEqual("b", await first())
