# broken: json={"a": 1} => json={"a": 2}
import aiohttp
from aioresponses import aioresponses


async def send():
    async with aiohttp.ClientSession() as session:
        await session.put("https://example.com/x", json={"a": 1}, headers={"X": "1"}, ssl=False)


async def test_send():
    with aioresponses() as m:
        m.put("https://example.com/x")
        await send()
        m.assert_called_with(
            "https://example.com/x", "PUT", ["json", "ssl"], json={"a": 1}, ssl=False
        )
