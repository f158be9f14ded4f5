# broken: json={"name": name} => json={"nick": name}
# broken: json={"name": name} => json={"name": name}, timeout=None
# broken: "/users" => "/people"
import aiohttp
from aioresponses import aioresponses


async def create(name):
    async with aiohttp.ClientSession() as session:
        url = "https://example.com" + "/users"
        async with session.post(url, json={"name": name}) as response:
            return response.status


async def test_create():
    with aioresponses() as m:
        m.post("https://example.com/users", status=201, repeat=True)
        m.post("https://example.com/people", status=201, repeat=True)
        assert await create("Ada") == 201
        # once, and so
        m.assert_called_once_with(
            "https://example.com/users", method="POST", json={"name": "Ada"}
        )  # no more
        await create("Bob")
        m.assert_called_with(url="https://example.com/users", method="POST", json={"name": "Bob"})
