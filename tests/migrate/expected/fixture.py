# broken: session.put => session.patch
# broken: {"on": on} => {"on": not on}
import aiohttp
import pytest
from aiostub import Stub
from yarl import URL

LAMP = "http://192.168.0.9/lamp"


async def switch(on):
    async with aiohttp.ClientSession() as session:
        async with session.put(LAMP, json={"on": on}) as response:
            return response.status


@pytest.fixture
def bridge():
    with Stub(strict=False) as mocked:
        yield mocked


async def test_on(bridge):
    bridge.put(LAMP).reply(200, json={})
    assert await switch(True) == 200
    assert bridge.calls.filter("PUT", URL(LAMP))[0].origin.kwargs["json"] == {"on": True}


async def test_refused(bridge):
    bridge.put(LAMP).reply(403, content_type="application/json")
    assert await switch(False) == 403
