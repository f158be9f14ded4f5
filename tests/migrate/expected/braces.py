# broken: {user} => {user}x
import aiohttp
from aiostub import Stub


async def odd(user):
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://example.com/{{{user}}}") as response:
            return response.status


async def test_braces():
    with Stub(strict=False) as m:
        m.get("https://example.com/{{7}}").reply(200, content_type="application/json")
        assert await odd(7) == 200


async def test_braces_in_f_string():
    user = 8
    with Stub(strict=False) as m:
        m.get(f"https://example.com/{{{{{user}}}}}").reply(200, content_type="application/json")
        assert await odd(8) == 200
