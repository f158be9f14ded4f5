# broken: token abc => token abd
# broken: json={"step": step} => json={"step": step * 2}
import aiohttp
from aioresponses import aioresponses
from yarl import URL

HOOK = URL("https://example.com/hook")


async def notify():
    async with aiohttp.ClientSession(headers={"Authorization": "token abc"}) as session:
        for step in (1, 2):
            await session.post(HOOK, json={"step": step}, params=None)


async def test_notify():
    key = ("POST", HOOK)
    with aioresponses() as m:
        m.post(HOOK, repeat=True)
        await notify()
        calls = m.requests[key]
        assert [call.kwargs["json"]["step"] for call in calls] == [1, 2]
        assert calls[-1].kwargs["headers"]["Authorization"] == "token abc"
        first = m.requests[("POST", HOOK)][0]
        kwargs = first.kwargs
        assert kwargs["json"] == {"step": 1}
        assert kwargs.get("data") is None
        assert "auth" not in kwargs
        assert first[1]["json"] == {"step": 1}
        for call in calls:
            assert call.kwargs["json"]["step"] in (1, 2)
