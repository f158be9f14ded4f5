"""A concurrency limit: fifty downloads, never more than five at once."""

import asyncio

import aiohttp
import pytest

API = "https://api.example.com"

pytestmark = pytest.mark.looptime


async def fetch_all(session, numbers, limit=5):
    """Fetch all of them, that many at a time, and return them in their order."""
    gate = asyncio.Semaphore(limit)

    async def fetch(number):
        async with gate, session.get(f"{API}/files/{number}", raise_for_status=True) as response:
            return await response.text()

    return await asyncio.gather(*map(fetch, numbers))


async def test_no_more_than_five_at_once(aiostub):
    """And no fewer, as long as there is something to do: ten rounds of two seconds."""
    aiostub.get(f"{API}/files/{{n}}").handle(slowly).times(50)
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        files = await fetch_all(session, range(50))

    assert files == [f"file {n}" for n in range(50)]
    assert aiostub.calls.concurrency == 5
    assert asyncio.get_running_loop().time() - start == pytest.approx(20)


async def slowly(request, n):
    """Answer after two seconds."""
    await asyncio.sleep(2)
    return f"file {n}"


async def test_one_slow_file_does_not_stop_the_others(aiostub):
    """Four go on while the fifth takes its time."""
    aiostub.get(f"{API}/files/0").reply(text="slow", delay=60)
    aiostub.get(f"{API}/files/{{n}}").reply(text="fast", delay=1).times(40)
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        assert await fetch_all(session, range(41)) == ["slow"] + ["fast"] * 40

    assert asyncio.get_running_loop().time() - start == pytest.approx(60)
    assert aiostub.calls.last.started - start == pytest.approx(9)


async def test_a_body_counts_until_it_has_been_read(aiostub):
    """The limit is on downloads, not on heads."""

    async def a_chunk_a_second():
        for _ in range(3):
            await asyncio.sleep(1)
            yield b"chunk "

    aiostub.get(f"{API}/files/{{n}}").reply(stream=a_chunk_a_second).times(8)
    start = asyncio.get_running_loop().time()

    async with aiohttp.ClientSession() as session:
        await fetch_all(session, range(8), limit=2)

    assert aiostub.calls.concurrency == 2
    assert asyncio.get_running_loop().time() - start == pytest.approx(4 * 3)
