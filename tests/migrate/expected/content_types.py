# broken: content_type, => charset,
import aiohttp
from aiostub import Stub


async def kind(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.content_type, response.headers["Content-Type"], await response.read()


async def test_html():
    with Stub(strict=False) as m:
        m.get("https://example.com/page").reply(text="<p>", headers={"Content-Type": "text/html"})
        m.get("https://example.com/raw").reply(body=b"<p>", content_type="text/plain")
        m.get("https://example.com/xml").reply(text="<a/>", content_type="application/xml")
        m.get("https://example.com/own").reply(text="x", headers={"Content-Type": "text/css"})
        m.get("https://example.com/json").reply(json=[], content_type="application/vnd.x+json")
        assert await kind("https://example.com/page") == ("text/html", "text/html", b"<p>")
        assert await kind("https://example.com/raw") == ("text/plain", "text/plain", b"<p>")
        assert (await kind("https://example.com/xml"))[:2] == ("application/xml",) * 2
        assert (await kind("https://example.com/own"))[:2] == ("text/css", "text/css")
        assert (await kind("https://example.com/json"))[:2] == ("application/vnd.x+json",) * 2
