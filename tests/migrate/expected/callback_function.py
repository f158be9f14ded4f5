# broken: "X-Key": key => "X-Kee": key
# broken: {"n": n} => {"n": n + 1}
import aiohttp
from aiostub import Reply, Stub


async def double(key, n):
    async with aiohttp.ClientSession(headers={"X-Key": key}) as session:
        async with session.post("https://example.com/double?v=1", json={"n": n}) as response:
            return response.status, await response.text()


def doubled(request):
    if request.headers.get("X-Key") != "k":
        return Reply(403, text="who?", content_type="application/json")
    number = request.json()["n"] * 2
    return Reply(200, text=f"{number} {request.url.path} {request.url.query['v']}", content_type="application/json")


async def test_double():
    with Stub(strict=False) as m:
        m.post("https://example.com/double?v=1").handle(doubled).always()
        assert await double("k", 21) == (200, "42 /double 1")
        assert (await double("x", 21))[0] == 403
