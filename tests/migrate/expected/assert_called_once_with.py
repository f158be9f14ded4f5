# broken: json={"name": name} => json={"nick": name}
# broken: json={"name": name} => json={"name": name}, timeout=None
# broken: "/users" => "/people"
import aiohttp
from aiostub import Stub


async def create(name):
    async with aiohttp.ClientSession() as session:
        url = "https://example.com" + "/users"
        async with session.post(url, json={"name": name}) as response:
            return response.status


async def test_create():
    with Stub(strict=False) as m:
        m.post("https://example.com/users").reply(201, content_type="application/json").always()
        m.post("https://example.com/people").reply(201, content_type="application/json").always()
        assert await create("Ada") == 201
        # once, and so
        m.assert_called_once()
        assert {"allow_redirects": True, "data": None, **m.calls.filter("POST", "https://example.com/users")[-1].origin.kwargs} == {"json": {"name": "Ada"}, "allow_redirects": True, "data": None}  # no more
        await create("Bob")
        assert {"allow_redirects": True, "data": None, **m.calls.filter("POST", "https://example.com/users")[-1].origin.kwargs} == {"json": {"name": "Bob"}, "allow_redirects": True, "data": None}
