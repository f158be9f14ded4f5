# broken: "limit": 5 => "limit": 6
# broken: params=params => params=params, allow_redirects=False
import aiohttp
from aioresponses import aioresponses

URL = "https://example.com/list"


async def listed():
    params = {"limit": 5}
    async with aiohttp.ClientSession() as session:
        async with session.get(URL, params=params) as response:
            return await response.json()


async def test_listed():
    with aioresponses() as m:
        m.get("https://example.com/list?limit=5", payload=[1])
        m.get("https://example.com/list?limit=6", payload=[1])
        assert await listed() == [1]
        m.assert_called_with(URL, params={"limit": 5})
        m.assert_any_call(URL, "GET", params={"limit": 5})
        m.assert_called_once_with(URL, "GET", params={"limit": 5}, args_to_match=["params"])
