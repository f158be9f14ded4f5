# broken: except aiohttp.ClientPayloadError => except aiohttp.ClientConnectionError
import aiohttp
import pytest
from aiohttp import ClientConnectionError, ServerDisconnectedError
from aiostub import Stub


async def fetch():
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get("https://example.com/") as response:
                return response.status
        except aiohttp.ClientPayloadError as error:
            return str(error)


class Odd(Exception):
    pass


async def test_instance():
    with Stub(strict=False) as m:
        m.get("https://example.com/").fail(aiohttp.ClientPayloadError("cut"))
        assert await fetch() == "cut"


@pytest.mark.parametrize(
    "error", [ClientConnectionError("x"), ServerDisconnectedError(), Odd, TimeoutError()]
)
async def test_others(error):
    with Stub(strict=False) as m:
        m.get("https://example.com/").fail(error)
        with pytest.raises(error if isinstance(error, type) else type(error)):
            await fetch()
