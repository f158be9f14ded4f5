# broken: /real => /unreal
import re
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from aiostub import Stub


async def both(real):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{real}/real") as response:
            found = await response.text()
        async with session.get("https://example.com/") as response:
            return found, await response.text()


async def real(request):
    return web.Response(text="real")


@asynccontextmanager
async def server():
    app = web.Application()
    app.router.add_get("/real", real)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_both():
    async with server() as url:
        with Stub(strict=False, passthrough=["http://127.0.0.1"]) as m:
            m.get("https://example.com/").reply(text="mocked", content_type="application/json")
            assert await both(url) == ("real", "mocked")


async def test_prefix():
    async with server() as url:
        with Stub(strict=False, passthrough=[re.compile(r"^http://127\.0\.0\.1:")]) as m:
            m.get("https://example.com/").reply(text="mocked", content_type="application/json")
            assert await both(url) == ("real", "mocked")
