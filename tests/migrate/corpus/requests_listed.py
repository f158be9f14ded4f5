# broken: "q": "ada" => "q": "bob"
import aiohttp
from aioresponses import aioresponses


async def find():
    async with aiohttp.ClientSession() as session:
        await session.get("https://example.com/find", params={"q": "ada"})


async def test_find():
    with aioresponses() as m:
        m.get("https://example.com/find?q=ada")
        m.get("https://example.com/find?q=bob")
        await find()
        assert m.requests
        assert list(m.requests.values())[0][0].kwargs["params"] == {"q": "ada"}
