# broken: == 2 => == 1
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiostub import Stub


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
        with Stub(strict=False, unmatched="passthrough") as m:
            m.get("https://example.com/").reply(text="mocked", content_type="application/json").always()
            assert await counted(["https://example.com/", url])


async def test_used_up():
    async with server() as url:
        with Stub(strict=False, passthrough=[lambda request: True]) as m:
            m.get(url).reply(text="once", content_type="application/json")
            assert await counted([url, url])
