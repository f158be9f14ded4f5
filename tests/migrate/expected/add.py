# broken: session.request(method, => session.request(method + "X",
import aiohttp
from aiohttp import hdrs
from aiostub import Stub


async def ask(method):
    async with aiohttp.ClientSession() as session:
        async with session.request(method, "https://example.com/dav") as response:
            return response.status


async def test_add():
    with Stub(strict=False) as m:
        m.request("PROPFIND", "https://example.com/dav").reply(207, content_type="application/json")
        m.post("https://example.com/dav").reply(201, content_type="application/json")
        m.request(hdrs.METH_PUT, "https://example.com/dav").reply(202, content_type="application/json")
        m.get("https://example.com/dav").reply(content_type="application/json")
        assert await ask("PROPFIND") == 207
        assert await ask("POST") == 201
        assert await ask("PUT") == 202
        assert await ask("GET") == 200
