# broken: except ClientConnectionError => except KeyError
import pytest
from aiohttp import ClientConnectionError, ClientSession
from aiostub import ANY, Stub


async def is_reachable():
    async with ClientSession() as session:
        try:
            await session.get("https://example.com/")
        except ClientConnectionError:
            return False
        return True


@pytest.fixture
def network():
    with Stub(strict=False) as m:
        yield m


async def test_no_route(network):
    network.any(ANY).fail(ClientConnectionError).always()
    assert not await is_reachable()


async def test_route(network):
    network.get("https://example.com/").reply(200, content_type="application/json")
    assert await is_reachable()


async def test_failures(network):
    network.get("https://example.com/").fail(ClientConnectionError)
    assert not await is_reachable()
