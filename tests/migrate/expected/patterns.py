# broken: /v1/ => /v2/
import re

import aiohttp
from aiostub import Stub

ITEMS = re.compile(r"^https://example\.com/v1/items/\d+$")


async def item(number):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://example.com/v1/items/{number}") as response:
            return await response.text()


async def test_constant():
    with Stub(strict=False) as m:
        m.get(ITEMS).reply(text="one", content_type="application/json")
        assert await item(1) == "one"


async def test_from_the_start():
    with Stub(strict=False) as m:
        m.get(re.compile(r"^example\.com/v1/")).reply(text="wrong", content_type="application/json")
        m.get(re.compile(r"^(?:http://|https://example\.com/v1/items)")).reply(text="right", content_type="application/json")
        assert await item(1) == "right"


async def test_anything():
    base = "https://example.com"
    with Stub(strict=False) as m:
        m.get(re.compile(rf"^{base}/v1/.*")).reply(text="one", content_type="application/json")
        assert await item(1) == "one"
