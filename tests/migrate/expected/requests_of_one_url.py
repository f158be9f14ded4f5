# broken: token abc => token abd
# broken: json={"step": step} => json={"step": step * 2}
import aiohttp
from aiostub import Stub
from yarl import URL

HOOK = URL("https://example.com/hook")


async def notify():
    async with aiohttp.ClientSession(headers={"Authorization": "token abc"}) as session:
        for step in (1, 2):
            await session.post(HOOK, json={"step": step}, params=None)


async def test_notify():
    key = ("POST", HOOK)
    with Stub(strict=False) as m:
        m.post(HOOK).reply(content_type="application/json").always()
        await notify()
        calls = m.calls.filter(*key)
        assert [call.origin.kwargs["json"]["step"] for call in calls] == [1, 2]
        assert calls[-1].request.headers["Authorization"] == "token abc"
        first = m.calls.filter("POST", HOOK)[0]
        kwargs = first.origin.kwargs
        assert kwargs["json"] == {"step": 1}
        assert kwargs.get("data") is None
        assert "auth" not in kwargs
        assert first.origin.kwargs["json"] == {"step": 1}
        for call in calls:
            assert call.origin.kwargs["json"]["step"] in (1, 2)
