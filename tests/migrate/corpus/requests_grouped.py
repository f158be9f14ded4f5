# broken: "code": 1234 => "code": 4321
# broken: "again": True => "agein": True
import aiohttp
from aioresponses import aioresponses


async def log_in():
    async with aiohttp.ClientSession() as session:
        for body in ({"name": "ada"}, {"name": "ada", "code": 1234}):
            await session.post("https://example.com/login", json=body)
        await session.post("https://example.com/again", json={"again": True})


async def test_log_in():
    with aioresponses() as m:
        m.post("https://example.com/login", repeat=True)
        m.post("https://example.com/again")
        await log_in()
        requests = list(m.requests.values())
        assert len(requests) == 2
        calls = requests[0]
        assert len(calls) == 2
        assert calls[1][1]["json"]["code"] == 1234
        assert [len(one) for one in requests] == [2, 1]
        assert "again" in list(m.requests.values())[1][0].kwargs["json"]
