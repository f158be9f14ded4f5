# broken: "/users/7" => "/users/8"
# broken: ["name"] => ["nick"]
import aiohttp
from aioresponses import aioresponses

BASE = "https://api.example.com"


async def name_of_user():
    async with aiohttp.ClientSession() as session:
        async with session.get(BASE + "/users/7") as response:
            return (await response.json())["name"]


async def test_name():
    with aioresponses() as m:
        m.get("https://api.example.com/users/7", payload={"name": "Ada"})
        assert await name_of_user() == "Ada"
