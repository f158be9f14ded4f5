"""Hedging: if the first mirror takes longer than half a second, ask the next one as well."""

import asyncio

import aiohttp
import pytest

MIRRORS = ("https://a.example.com/list", "https://b.example.com/list")
CACHE = "https://cache.example.com/list"

pytestmark = pytest.mark.looptime


async def fetch(session, url):
    """Fetch one list."""
    async with session.get(url, raise_for_status=True) as response:
        return await response.json()


async def fetch_hedged(session, urls=MIRRORS, patience=0.5):
    """Return the first answer; ask one more mirror whenever that takes too long, or fails."""
    asked = set()
    try:
        for url in urls:
            asked.add(asyncio.create_task(fetch(session, url)))
            last = url == urls[-1]
            while asked:
                done, asked = await asyncio.wait(
                    asked,
                    timeout=None if last else patience,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    if task.exception() is None:
                        return task.result()
                if not last:
                    break
        raise aiohttp.ClientConnectionError("no mirror answers")
    finally:
        for task in asked:
            task.cancel()


async def fetch_or_fall_back(session):
    """Return what a cache has when no mirror answers."""
    try:
        return await fetch_hedged(session)
    except aiohttp.ClientError:
        return await fetch(session, CACHE)


async def test_a_quick_answer_is_enough(aiostub):
    """The second mirror is not asked: no route is there for it."""
    aiostub.get(MIRRORS[0]).reply(json=["a"], delay=0.4)

    async with aiohttp.ClientSession() as session:
        assert await fetch_hedged(session) == ["a"]


async def test_a_slow_mirror_is_overtaken(aiostub):
    """Half a second later the second one is asked, and who has lost is cancelled."""
    slow = aiostub.get(MIRRORS[0]).reply(json=["a"], delay=30)
    quick = aiostub.get(MIRRORS[1]).reply(json=["b"], delay=0.1)
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        assert await fetch_hedged(session) == ["b"]
        assert asyncio.get_running_loop().time() - start == pytest.approx(0.6)

    assert aiostub.calls.gaps == pytest.approx([0.5])
    assert isinstance(slow.calls.last.error, asyncio.CancelledError)
    assert quick.calls.last.error is None


async def test_a_slow_mirror_may_still_win(aiostub):
    """It is not given up when the second one is asked."""
    aiostub.get(MIRRORS[0]).reply(json=["a"], delay=1)
    aiostub.get(MIRRORS[1]).reply(json=["b"], delay=30)

    async with aiohttp.ClientSession() as session:
        assert await fetch_hedged(session) == ["a"]


async def test_a_failure_is_no_answer(aiostub):
    """The second mirror is asked at once, and its answer counts although it comes later."""
    aiostub.get(MIRRORS[0]).reply(500)
    aiostub.get(MIRRORS[1]).reply(json=["b"], delay=2)

    async with aiohttp.ClientSession() as session:
        assert await fetch_hedged(session) == ["b"]

    assert aiostub.calls.gaps == pytest.approx([0])


async def test_there_is_something_to_fall_back_on(aiostub):
    """The cache is asked when all mirrors have failed, and not before."""
    mirrors = [aiostub.get(mirror).fail(aiohttp.ClientConnectorError) for mirror in MIRRORS]
    cache = aiostub.get(CACHE).reply(json=["old"])

    async with aiohttp.ClientSession() as session:
        assert await fetch_or_fall_back(session) == ["old"]

    aiostub.assert_call_order(*mirrors, cache)
