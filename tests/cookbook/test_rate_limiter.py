"""A rate limiter: five requests a second, and a pause for all when the server asks for one."""

import asyncio

import aiohttp
import pytest

API = "https://api.example.com"

pytestmark = pytest.mark.looptime


class Throttle:
    """Give turns, evenly spaced."""

    def __init__(self, per_second):
        self.gap = 1 / per_second
        self.next = 0.0

    async def turn(self):
        """Wait for the next turn."""
        clock = asyncio.get_running_loop().time
        at = max(self.next, clock())
        self.next = at + self.gap
        await asyncio.sleep(at - clock())

    def hold(self, seconds):
        """Give nobody a turn for some time."""
        self.next = max(self.next, asyncio.get_running_loop().time() + seconds)


async def fetch_user(session, throttle, number):
    """Fetch a user when it is our turn, and again when the server has had enough of us."""
    while True:
        await throttle.turn()
        async with session.get(f"{API}/users/{number}") as response:
            if response.status != 429:
                response.raise_for_status()
                return await response.json()
            throttle.hold(float(response.headers["Retry-After"]))


async def test_requests_are_evenly_spaced(aiostub):
    """However many want to go at once, they leave a fifth of a second apart."""
    aiostub.get(f"{API}/users/{{id}}").handle(lambda request, id: {"id": int(id)}).times(20)

    async with aiohttp.ClientSession() as session:
        throttle = Throttle(per_second=5)
        users = await asyncio.gather(*[fetch_user(session, throttle, n) for n in range(20)])

    assert users == [{"id": n} for n in range(20)]
    assert aiostub.calls.gaps == pytest.approx([0.2] * 19)


async def test_a_pause_saves_no_turns_up(aiostub):
    """After a minute without requests there is no burst."""
    aiostub.get(f"{API}/users/{{id}}").reply(json={}).times(6)

    async with aiohttp.ClientSession() as session:
        throttle = Throttle(per_second=5)
        await fetch_user(session, throttle, 1)
        await asyncio.sleep(60)
        await asyncio.gather(*[fetch_user(session, throttle, n) for n in range(5)])

    assert aiostub.calls.gaps == pytest.approx([60, 0.2, 0.2, 0.2, 0.2])


async def test_one_refusal_holds_back_everybody(aiostub):
    """Who was refused comes first when the pause is over, and the others behind."""
    aiostub.get(f"{API}/users/1").reply(429, headers={"Retry-After": "10"}).then.reply(json={})
    aiostub.get(f"{API}/users/2").reply(json={})

    async with aiohttp.ClientSession() as session:
        throttle = Throttle(per_second=5)
        refused = asyncio.create_task(fetch_user(session, throttle, 1))
        await asyncio.sleep(1)
        await asyncio.gather(refused, fetch_user(session, throttle, 2))

    assert [call.request.url.name for call in aiostub.calls] == ["1", "1", "2"]
    assert aiostub.calls.gaps == pytest.approx([10, 0.2])
