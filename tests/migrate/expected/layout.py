# broken: == 201 => == 200
import aiohttp
from aiostub import Stub  # the mock


async def created():
    async with aiohttp.ClientSession() as session:
        async with session.post("https://example.com/things", json=[]) as response:
            return response.status == 201


async def test_created():
    with Stub(strict=False) as m:  # switched on
        # what the server says
        m.post("https://example.com/things").reply(
            # where
            json={
                "id": 7,  # a number
            },  # what
            status=201,  # how
            # how often
        ).always()  # that is all
        m.post("https://example.com/things").reply(
            500, content_type="application/json"
        )
        assert await created()
