# broken: session.put => session.patch
# broken: {"on": on} => {"on": not on}
import aiohttp
import pytest
from aioresponses import aioresponses
from yarl import URL

LAMP = "http://192.168.0.9/lamp"


async def switch(on):
    async with aiohttp.ClientSession() as session:
        async with session.put(LAMP, json={"on": on}) as response:
            return response.status


@pytest.fixture
def bridge():
    with aioresponses() as mocked:
        yield mocked


async def test_on(bridge):
    bridge.put(LAMP, status=200, payload={})
    assert await switch(True) == 200
    assert bridge.requests[("PUT", URL(LAMP))][0].kwargs["json"] == {"on": True}


async def test_refused(bridge):
    bridge.put(LAMP, status=403)
    assert await switch(False) == 403
