# broken: return await => return not await
import unittest

import aiohttp
from aioresponses import aioresponses


async def text_of(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


class TestText(unittest.IsolatedAsyncioTestCase):
    @aioresponses()
    async def test_text(self, stub):
        stub.get("https://example.com/", body="up")
        self.assertEqual("up", await text_of("https://example.com/"))
