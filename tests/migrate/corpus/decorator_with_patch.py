# broken: seconds() * 2 => seconds() * 3
import unittest
from unittest.mock import patch

import aiohttp
from aioresponses import aioresponses


def seconds():
    return 1


async def waited(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return int(await response.text()) + seconds() * 2


class TestWaited(unittest.IsolatedAsyncioTestCase):
    @patch(f"{__name__}.seconds")
    @aioresponses()
    async def test_waited(self, fake_seconds, mocked):
        fake_seconds.return_value = 20
        mocked.get("https://example.com/", body="2")
        self.assertEqual(42, await waited("https://example.com/"))
