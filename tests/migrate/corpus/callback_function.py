# broken: "X-Key": key => "X-Kee": key
# broken: {"n": n} => {"n": n + 1}
import aiohttp
from aioresponses import CallbackResult, aioresponses


async def double(key, n):
    async with aiohttp.ClientSession(headers={"X-Key": key}) as session:
        async with session.post("https://example.com/double?v=1", json={"n": n}) as response:
            return response.status, await response.text()


def doubled(url, **kwargs):
    if kwargs["headers"].get("X-Key") != "k":
        return CallbackResult(status=403, body="who?")
    number = kwargs["json"]["n"] * 2
    return CallbackResult(status=200, body=f"{number} {url.path} {url.query['v']}")


async def test_double():
    with aioresponses() as m:
        m.post("https://example.com/double?v=1", callback=doubled, repeat=True)
        assert await double("k", 21) == (200, "42 /double 1")
        assert (await double("x", 21))[0] == 403
