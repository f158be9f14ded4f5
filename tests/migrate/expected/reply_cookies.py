# broken: ["token"] => ["session"]
import aiohttp
from aiostub import Stub


async def token():
    async with aiohttp.ClientSession() as session:
        async with session.post("https://example.com/login", data={"user": "ada"}) as response:
            return response.cookies["token"].value


async def test_token():
    with Stub(strict=False) as m:
        m.post("https://example.com/login").reply(headers={"Set-Cookie": "token=abc; Path=/"}, content_type="application/json")
        assert await token() == "abc"
