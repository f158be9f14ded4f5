# broken: page + 1 => page + 2
import aiohttp
from aiostub import Stub
from yarl import URL


async def page_after(page):
    async with aiohttp.ClientSession() as session:
        params = {"page": page + 1, "all": "no"}
        async with session.get("https://example.com/list", params=params) as response:
            return await response.json()


async def test_page():
    with Stub(strict=False) as m:
        m.get("https://example.com/list?all=no&page=2").reply(json=["b"])
        assert await page_after(1) == ["b"]


async def test_page_in_the_other_order():
    with Stub(strict=False) as m:
        m.get(URL("https://example.com/list?page=2&all=no")).reply(json=["b"])
        assert await page_after(1) == ["b"]
        m.assert_any_call("GET", "https://example.com/list", params={"page": 2, "all": "no"})
