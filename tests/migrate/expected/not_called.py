# broken: if self.known: => if not self.known:
import aiohttp
from aiostub import Stub


class Client:
    known = "cached"

    async def get(self):
        if self.known:
            return self.known
        async with aiohttp.ClientSession() as session:
            await session.get("https://example.com/")


async def test_cached():
    with Stub(strict=False) as m:
        await Client().get()
        m.assert_not_called()


async def test_no_requests():
    with Stub(strict=False) as m:
        await Client().get()
        assert not m.calls
        assert not m.calls
        assert len(m.calls) == 0
