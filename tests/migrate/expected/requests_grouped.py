# broken: "code": 1234 => "code": 4321
# broken: "again": True => "agein": True
import aiohttp
from aiostub import Stub


async def log_in():
    async with aiohttp.ClientSession() as session:
        for body in ({"name": "ada"}, {"name": "ada", "code": 1234}):
            await session.post("https://example.com/login", json=body)
        await session.post("https://example.com/again", json={"again": True})


async def test_log_in():
    with Stub(strict=False) as m:
        m.post("https://example.com/login").reply(content_type="application/json").always()
        m.post("https://example.com/again").reply(content_type="application/json")
        await log_in()
        requests = list({(call.request.method, call.request.url): m.calls.filter(call.request.method, call.request.url) for call in m.calls}.values())
        assert len(requests) == 2
        calls = requests[0]
        assert len(calls) == 2
        assert calls[1].origin.kwargs["json"]["code"] == 1234
        assert [len(one) for one in requests] == [2, 1]
        assert "again" in list({(call.request.method, call.request.url): m.calls.filter(call.request.method, call.request.url) for call in m.calls}.values())[1][0].origin.kwargs["json"]
