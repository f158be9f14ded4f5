# broken: == 2 => == 1
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aioresponses import aioresponses


async def counted(urls):
    async with aiohttp.ClientSession() as session:
        found = []
        for url in urls:
            async with session.get(url) as response:
                found.append(await response.text())
        return len(set(found)) == 2


async def real(request):
    return web.Response(text="real")


@asynccontextmanager
async def server():
    app = web.Application()
    app.router.add_get("/", real)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_unmatched():
    async with server() as url:
        with aioresponses(passthrough_unmatched=True) as m:
            m.get("https://example.com/", body="mocked", repeat=True)
            assert await counted(["https://example.com/", url])


async def test_used_up():
    async with server() as url:
        with aioresponses(passthrough_unmatched=True) as m:
            m.get(url, body="once")
            assert await counted([url, url])
