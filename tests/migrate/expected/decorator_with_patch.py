# broken: seconds() * 2 => seconds() * 3
import unittest
from unittest.mock import patch

import aiohttp
from aiostub import Stub


def seconds():
    return 1


async def waited(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return int(await response.text()) + seconds() * 2


class TestWaited(unittest.IsolatedAsyncioTestCase):
    @patch(f"{__name__}.seconds")
    @Stub(strict=False, param="mocked")
    async def test_waited(self, fake_seconds, mocked):
        fake_seconds.return_value = 20
        mocked.get("https://example.com/").reply(text="2", content_type="application/json")
        self.assertEqual(42, await waited("https://example.com/"))
