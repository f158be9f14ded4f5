# broken: "q": "ada" => "q": "bob"
import aiohttp
from aiostub import Stub


async def find():
    async with aiohttp.ClientSession() as session:
        await session.get("https://example.com/find", params={"q": "ada"})


async def test_find():
    with Stub(strict=False) as m:
        m.get("https://example.com/find?q=ada").reply(content_type="application/json")
        m.get("https://example.com/find?q=bob").reply(content_type="application/json")
        await find()
        assert m.calls
        assert m.calls[0].origin.kwargs["params"] == {"q": "ada"}
