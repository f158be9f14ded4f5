# broken: ["token"] => ["session"]
import aiohttp
from aioresponses import aioresponses


async def token():
    async with aiohttp.ClientSession() as session:
        async with session.post("https://example.com/login", data={"user": "ada"}) as response:
            return response.cookies["token"].value


async def test_token():
    with aioresponses() as m:
        m.post("https://example.com/login", headers={"Set-Cookie": "token=abc; Path=/"})
        assert await token() == "abc"
