# broken: 1 + int => 2 + int
from unittest.mock import patch

import aiohttp
from aioresponses import aioresponses


async def number():
    async with aiohttp.ClientSession() as session:
        async with session.get("https://example.com/") as response:
            return 1 + int(await response.text())


async def test_number():
    with patch("builtins.print") as fake, aioresponses() as m:
        m.get("https://example.com/", body="4" "1")
        print(await number())
    fake.assert_called_once_with(42)
