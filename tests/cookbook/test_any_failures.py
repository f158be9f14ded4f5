"""Any failures: not three examples, but a law, and the shortest script that breaks it."""

import asyncio

import aiohttp
import pytest
from hypothesis import given, settings

from aiostub import Reply, Stub
from aiostub.strategies import scripts

URL = "https://api.example.com/report"

pytestmark = pytest.mark.looptime


async def fetch_report(session, pauses=(1, 2, 4)):
    """Fetch the report, and try again whatever goes wrong."""
    left = iter(pauses)
    while True:
        try:
            async with session.get(URL, raise_for_status=True) as response:
                return await response.json()
        except (aiohttp.ClientError, asyncio.TimeoutError):
            pause = next(left, None)
            if pause is None:
                raise
        await asyncio.sleep(pause)


@given(script=scripts(failures=3, then=Reply(200, json={"pages": 42})))
@settings(max_examples=30)
async def test_any_three_failures_are_survived(script):
    """Of whatever kinds, in whatever order: in four calls, and in seven seconds."""
    with Stub() as stub:
        report = script.apply(stub.get(URL))
        async with aiohttp.ClientSession() as session:
            assert await fetch_report(session) == {"pages": 42}

    assert report.calls.gaps == pytest.approx([1, 2, 4])


@given(script=scripts(failures=4))
@settings(max_examples=30)
async def test_four_are_too_many(script):
    """The fourth is what the app sees, and what would come next is never fetched."""
    with Stub(strict=False) as stub:
        report = script.apply(stub.get(URL))
        async with aiohttp.ClientSession() as session:
            with pytest.raises((aiohttp.ClientError, asyncio.TimeoutError)):
                await fetch_report(session)

    assert report.call_count == 4
