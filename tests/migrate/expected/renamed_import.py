# broken: {"name": name} => {"name": name * 2}
import aiohttp
from aiostub import Reply, Stub


async def rename(name):
    async with aiohttp.ClientSession() as session:
        async with session.patch("https://example.com/me", json={"name": name}) as response:
            return await response.json()


async def test_rename():
    def echo(request):
        return Reply(json={"got": request.json()})

    with Stub(strict=False) as m:
        m.patch("https://example.com/me").handle(echo)
        assert await rename("Ada") == {"got": {"name": "Ada"}}
