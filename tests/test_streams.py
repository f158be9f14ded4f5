"""The chunks of a stream: a client that reads sees each by itself, and is not kept waiting."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession

import aiostub

URL = "https://api.example.com/stream"
CHUNKS = [b"chunk %d" % n for n in range(20)]


async def without_pause():
    """Give the chunks, as fast as they are asked for."""
    for chunk in CHUNKS:
        yield chunk


async def with_pauses():
    """Give each chunk in a turn of the event loop of its own."""
    for chunk in CHUNKS:
        yield chunk
        await asyncio.sleep(0)


async def rarely():
    """Give each chunk when a client has long been waiting for it."""
    for chunk in CHUNKS:
        yield chunk
        await asyncio.sleep(0.001)


each_stream = pytest.mark.parametrize(
    "stream", [CHUNKS, lambda: iter(CHUNKS), without_pause, with_pauses, rarely]
)


async def read_on(content):
    """Read what is there."""
    return await content.readany()


async def read_in_time(content):
    """Read under a timer, for which some versions of asyncio need a task."""
    return await asyncio.wait_for(content.readany(), 5)


async def read_after_work(content):
    """Do something else first."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return await content.readany()


@each_stream
@pytest.mark.parametrize("read", [read_on, read_in_time, read_after_work])
async def test_each_chunk_is_read_by_itself(stream, read):
    """However the stream is made, and whatever is around the reading."""
    with aiostub.Stub() as stub:
        stub.get(URL).reply(stream=stream)
        async with ClientSession() as session, session.get(URL) as response:
            got = [await read(response.content) for _ in CHUNKS]
            assert CHUNKS == got
            assert b"" == await response.content.read()


@each_stream
async def test_a_client_that_does_not_read_holds_up_nothing(stream):
    """All of it has been sent when it looks."""
    with aiostub.Stub() as stub:
        stub.get(URL).reply(stream=stream)
        async with ClientSession() as session, session.get(URL) as response:
            await asyncio.sleep(0.1)
            assert b"".join(CHUNKS) == await response.content.readany()


@pytest.mark.parametrize("stream", [CHUNKS, without_pause, with_pauses])
async def test_a_client_that_reads_gets_a_chunk_in_every_turn(stream):
    """More turns of the event loop would be lost time."""
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with aiostub.Stub() as stub:
        stub.get(URL).reply(stream=stream)
        async with ClientSession() as session, session.get(URL) as response:
            counting = asyncio.ensure_future(count())
            assert CHUNKS == [chunk async for chunk in response.content.iter_any()]
            counting.cancel()
    assert turns <= len(CHUNKS) + 3
