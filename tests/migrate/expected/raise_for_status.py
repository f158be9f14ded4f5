# broken: raise_for_status=True => raise_for_status=False
import aiohttp
import pytest
from aiostub import Stub


async def fetch():
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.get("https://example.com/") as response:
            return await response.text()


@pytest.mark.parametrize("status", [400, 500])
async def test_error(status):
    with Stub(strict=False) as m:
        m.get("https://example.com/").reply(status, json={"error": "no"})
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await fetch()
        assert caught.value.status == status
