# broken: range(2) => range(3)
import aiohttp
from aiostub import Stub
from yarl import URL


async def poll():
    async with aiohttp.ClientSession() as session:
        for number in range(2):
            await session.get("https://example.com/poll", params={"n": number})
            await session.get("https://example.com/all")


async def test_poll():
    with Stub(strict=False) as m:
        m.get("https://example.com/all").reply(content_type="application/json").always()
        for number in range(3):
            m.get(f"https://example.com/poll?n={number}").reply(content_type="application/json")
        await poll()
        assert len({(call.request.method, call.request.url) for call in m.calls}) == 3
        assert len(m.calls.filter("GET", URL("https://example.com/all"))) == 2
        assert m.calls.filter("GET", URL("https://example.com/poll?n=1"))
        assert not m.calls.filter("GET", URL("https://example.com/poll?n=2"))
