# broken: raise_for_status=True => raise_for_status=False
import aiohttp
import pytest
from aioresponses import aioresponses


async def fetch():
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.get("https://example.com/") as response:
            return await response.text()


@pytest.mark.parametrize("status", [400, 500])
async def test_error(status):
    with aioresponses() as m:
        m.get("https://example.com/", status=status, payload={"error": "no"})
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await fetch()
        assert caught.value.status == status
