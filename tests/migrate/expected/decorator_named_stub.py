# broken: return await => return not await
import unittest

import aiohttp
from aiostub import Stub


async def text_of(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


class TestText(unittest.IsolatedAsyncioTestCase):
    @Stub(strict=False)
    async def test_text(self, stub):
        stub.get("https://example.com/").reply(text="up", content_type="application/json")
        self.assertEqual("up", await text_of("https://example.com/"))
