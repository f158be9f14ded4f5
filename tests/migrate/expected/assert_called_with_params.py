# broken: "limit": 5 => "limit": 6
# broken: params=params => params=params, allow_redirects=False
import aiohttp
from aiostub import Stub

URL = "https://example.com/list"


async def listed():
    params = {"limit": 5}
    async with aiohttp.ClientSession() as session:
        async with session.get(URL, params=params) as response:
            return await response.json()


async def test_listed():
    with Stub(strict=False) as m:
        m.get("https://example.com/list?limit=5").reply(json=[1])
        m.get("https://example.com/list?limit=6").reply(json=[1])
        assert await listed() == [1]
        assert {"allow_redirects": True, **m.calls.filter("GET", URL, params={"limit": 5})[-1].origin.kwargs} == {"params": {"limit": 5}, "allow_redirects": True}
        m.assert_any_call("GET", URL, params={"limit": 5})
        m.assert_called_once()
        assert m.calls.filter("GET", URL, params={"limit": 5})[-1].origin.kwargs["params"] == {"limit": 5}
