"""What a logged call costs."""

from __future__ import annotations

import gc
import tracemalloc

import aiohttp

from aiostub import Stub

URL = "http://api.test/x"
CALLS = 200


async def measured(session, stub):
    """Return the bytes that one more call takes, with its response and without."""
    for _ in range(20):
        await session.get(URL)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(CALLS):
            async with session.get(URL) as response:
                await response.read()
        gc.collect()
        all_of_it = tracemalloc.get_traced_memory()[0]
        held = [call.response for call in stub.calls]
        stub.calls.clear()
        gc.collect()
        responses = tracemalloc.get_traced_memory()[0]
        assert len(held) == CALLS + 20
    finally:
        tracemalloc.stop()
    return all_of_it / CALLS, (all_of_it - responses) / CALLS


async def test_a_call_takes_a_few_kilobytes():
    """Most of them are aiohttp's response; less than one is ours."""
    with Stub() as stub:
        stub.get(URL).reply(json={"name": "Ada"}).always()
        async with aiohttp.ClientSession() as session:
            whole, ours = await measured(session, stub)
    assert whole < 6_000
    assert ours < 1_200
