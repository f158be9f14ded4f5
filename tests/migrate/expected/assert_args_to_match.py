# broken: json={"a": 1} => json={"a": 2}
import aiohttp
from aiostub import Stub


async def send():
    async with aiohttp.ClientSession() as session:
        await session.put("https://example.com/x", json={"a": 1}, headers={"X": "1"}, ssl=False)


async def test_send():
    with Stub(strict=False) as m:
        m.put("https://example.com/x").reply(content_type="application/json")
        await send()
        assert {"json": m.calls.filter("PUT", "https://example.com/x")[-1].origin.kwargs["json"], "ssl": m.calls.filter("PUT", "https://example.com/x")[-1].origin.kwargs["ssl"]} == {"json": {"a": 1}, "ssl": False}
