# broken: 1 + int => 2 + int
from unittest.mock import patch

import aiohttp
from aiostub import Stub


async def number():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return 1 + int(await response.text())


async def test_number():
    with patch("builtins.print") as fake, Stub(strict=False) as m:
        m.get("https://example.com/").reply(text="4" "1", content_type="application/json")
        print(await number())
    fake.assert_called_once_with(42)
