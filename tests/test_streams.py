"""The chunks of a stream: a client that reads sees each by itself, and is not kept waiting."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from aiohttp import ClientPayloadError, ClientSession

import aiostub
from aiostub import faults

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
            await response.content.wait_eof()
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


GZIP = gzip.compress(b"".join(CHUNKS))


async def one_and_a_pause():
    """Give one chunk, and end a turn of the event loop later."""
    yield GZIP
    await asyncio.sleep(0)


async def two_with_a_pause():
    """Give a chunk that nothing can be made of yet, and the rest a turn later."""
    yield GZIP[:7]
    await asyncio.sleep(0)
    yield GZIP[7:]


@pytest.mark.parametrize("stream", [[GZIP[:7], GZIP[7:]], one_and_a_pause, two_with_a_pause])
async def test_the_head_is_there_before_the_end(stream):
    """Nothing overtakes a client that has not seen its response yet."""
    with aiostub.Stub() as stub:
        stub.get(URL).reply(stream=stream, headers={"Content-Encoding": "gzip"})
        async with ClientSession() as session, session.get(URL) as response:
            assert not response.content.is_eof()
            assert response.connection is not None
            assert b"".join(CHUNKS) == await response.read()


@pytest.mark.parametrize("stream", [CHUNKS, lambda: iter(CHUNKS), without_pause])
async def test_the_end_comes_with_the_last_chunk(stream):
    """As from a server that does not wait in between; aiohttp would show an empty piece more."""
    with aiostub.Stub() as stub:
        stub.get(URL).reply(stream=stream)
        async with ClientSession() as session, session.get(URL) as response:
            got = [piece async for piece in response.content.iter_chunks()]
    assert [(chunk, True) for chunk in CHUNKS] == got


@pytest.mark.parametrize("after", [0, 3, 7])
@pytest.mark.parametrize("fault", [faults.disconnect, faults.reset], ids=lambda make: make.__name__)
async def test_a_fault_strikes_behind_the_last_byte(fault, after):
    """The chunk that would come next is not waited for: an event source may be silent for long."""

    async def silent():
        if after:
            yield b"x" * after
        await asyncio.Event().wait()

    got = b""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(URL).reply(stream=silent, fault=fault(after=after))
        async with session.get(URL) as response:
            with pytest.raises(ClientPayloadError):
                while True:
                    got += await asyncio.wait_for(response.content.readany(), 1)
    assert b"x" * after == got
