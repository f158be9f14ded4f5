# broken: session.request(method, => session.request(method + "X",
import aiohttp
from aiohttp import hdrs
from aioresponses import aioresponses


async def ask(method):
    async with aiohttp.ClientSession() as session:
        async with session.request(method, "https://example.com/dav") as response:
            return response.status


async def test_add():
    with aioresponses() as m:
        m.add("https://example.com/dav", "PROPFIND", 207)
        m.add("https://example.com/dav", method="post", status=201)
        m.add("https://example.com/dav", method=hdrs.METH_PUT, status=202)
        m.add("https://example.com/dav")
        assert await ask("PROPFIND") == 207
        assert await ask("POST") == 201
        assert await ask("PUT") == 202
        assert await ask("GET") == 200
