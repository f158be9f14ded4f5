# broken: /v1/ => /v2/
import re

import aiohttp
from aioresponses import aioresponses

ITEMS = re.compile(r"^https://example\.com/v1/items/\d+$")


async def item(number):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://example.com/v1/items/{number}") as response:
            return await response.text()


async def test_constant():
    with aioresponses() as m:
        m.get(ITEMS, body="one")
        assert await item(1) == "one"


async def test_from_the_start():
    with aioresponses() as m:
        m.get(re.compile(r"example\.com/v1/"), body="wrong")
        m.get(re.compile(r"http://|https://example\.com/v1/items"), body="right")
        assert await item(1) == "right"


async def test_anything():
    base = "https://example.com"
    with aioresponses() as m:
        m.get(re.compile(rf"{base}/v1/.*"), body="one")
        assert await item(1) == "one"
