# broken: .com/b" => .com/c"
import unittest
from contextlib import ExitStack

import aiohttp
from aiostub import Stub


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
        self.network = stack.enter_context(Stub(strict=False))


class TestFirst(Mocked):
    async def test_second(self):
        self.network.get("https://example.com/a").reply(500, content_type="application/json")
        self.network.get("https://example.com/b").reply(200, content_type="application/json")
        self.assertEqual("b", await first())
