# broken: except ClientConnectionError => except KeyError
import pytest
from aiohttp import ClientConnectionError, ClientSession
from aioresponses import aioresponses


async def is_reachable():
    async with ClientSession() as session:
        try:
            await session.get("https://example.com/")
        except ClientConnectionError:
            return False
        return True


@pytest.fixture
def network():
    with aioresponses() as m:
        yield m


async def test_no_route(network):
    assert not await is_reachable()


async def test_route(network):
    network.get("https://example.com/", status=200)
    assert await is_reachable()


async def test_failures(network):
    network.get("https://example.com/", exception=ClientConnectionError)
    assert not await is_reachable()
