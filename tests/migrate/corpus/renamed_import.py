# broken: {"name": name} => {"name": name * 2}
import aiohttp
from aioresponses import CallbackResult as Result
from aioresponses import aioresponses as mock_aiohttp


async def rename(name):
    async with aiohttp.ClientSession() as session:
        async with session.patch("https://example.com/me", json={"name": name}) as response:
            return await response.json()


async def test_rename():
    def echo(url, **kwargs):
        return Result(payload={"got": kwargs["json"]})

    with mock_aiohttp() as m:
        m.patch("https://example.com/me", callback=echo)
        assert await rename("Ada") == {"got": {"name": "Ada"}}
