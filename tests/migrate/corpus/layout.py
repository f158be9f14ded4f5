# broken: == 201 => == 200
import aiohttp
from aioresponses import aioresponses  # the mock


async def created():
    async with aiohttp.ClientSession() as session:
        async with session.post("https://example.com/things", json=[]) as response:
            return response.status == 201


async def test_created():
    with aioresponses() as m:  # switched on
        # what the server says
        m.post(
            "https://example.com/things",  # where
            payload={
                "id": 7,  # a number
            },  # what
            status=201,  # how
            repeat=True,  # how often
        )  # that is all
        m.post(
            url="https://example.com/things", status=500
        )
        assert await created()
