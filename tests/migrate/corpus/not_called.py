# broken: if self.known: => if not self.known:
import aiohttp
from aioresponses import aioresponses


class Client:
    known = "cached"

    async def get(self):
        if self.known:
            return self.known
        async with aiohttp.ClientSession() as session:
            await session.get("https://example.com/")


async def test_cached():
    with aioresponses() as m:
        await Client().get()
        m.assert_not_called()


async def test_no_requests():
    with aioresponses() as m:
        await Client().get()
        assert not m.requests
        assert m.requests == {}
        assert len(m.requests) == 0
