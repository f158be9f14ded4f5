# broken: {user} => {user}x
import aiohttp
from aioresponses import aioresponses


async def odd(user):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://example.com/{{{user}}}") as response:
            return response.status


async def test_braces():
    with aioresponses() as m:
        m.get("https://example.com/{7}", status=200)
        assert await odd(7) == 200


async def test_braces_in_f_string():
    user = 8
    with aioresponses() as m:
        m.get(f"https://example.com/{{{user}}}", status=200)
        assert await odd(8) == 200
