# broken: "/users/7" => "/users/8"
# broken: ["name"] => ["nick"]
import aiohttp
from aiostub import Stub

BASE = "https://api.example.com"


async def name_of_user():
    async with aiohttp.ClientSession() as session:
        async with session.get(BASE + "/users/7") as response:
            return (await response.json())["name"]


async def test_name():
    with Stub(strict=False) as m:
        m.get("https://api.example.com/users/7").reply(json={"name": "Ada"})
        assert await name_of_user() == "Ada"
