"""What a logged call costs."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref

import aiohttp
import pytest
from aiohttp.payload import BytesPayload

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


LONG = bytes(range(256)) * 2**11
BACKWARDS = LONG[::-1]


def as_bytes():
    """Give bytes."""
    return {"data": LONG}


def as_text():
    """Give a text that aiohttp encodes."""
    return {"data": "x" * len(LONG)}


def as_json():
    """Give a value that aiohttp serialises."""
    return {"json": "x" * len(LONG)}


@pytest.mark.parametrize("given", [as_bytes, as_text, as_json])
async def test_a_long_body_that_was_sent_is_held_once(given):
    """The log has the very bytes that the client's own request has."""
    seen = []

    class Watched(aiohttp.ClientRequest):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            seen.append(self.body._value)

    with Stub() as stub:
        stub.post(URL).reply().times(2)
        async with aiohttp.ClientSession() as session:
            await session.post(URL, **given())
        async with aiohttp.ClientSession(request_class=Watched) as session:
            await session.post(URL, **given())
    assert seen[0] == stub.calls[0].request.body
    assert seen[0] is stub.calls[1].request.body
    if given is as_bytes:
        assert LONG is stub.calls[0].request.body


class Reversing(BytesPayload):
    """Write something else than it holds, of the same length."""

    async def write(self, writer):
        await writer.write(self._value[::-1])

    async def write_with_length(self, writer, _content_length):
        await self.write(writer)


class Flipping(aiohttp.ClientRequest):
    """Write something else than the body."""

    async def write_bytes(self, writer, *_, **__):
        await writer.write(self.body._value[::-1])
        await writer.write_eof()


async def test_the_log_has_what_was_sent_and_not_what_a_payload_holds():
    """A class of the user's may write what it likes."""
    with Stub() as stub:
        stub.post(URL).reply().times(2)
        async with aiohttp.ClientSession() as session:
            await session.post(URL, data=Reversing(LONG))
        async with aiohttp.ClientSession(request_class=Flipping) as session:
            await session.post(URL, data=LONG)
    assert [BACKWARDS, BACKWARDS] == [call.request.body for call in stub.calls]


async def test_a_long_body_that_was_read_is_held_once():
    """The log has the very bytes that the reply has, for each call that read them but the last."""
    with Stub() as stub:
        stub.get(URL).reply(body=LONG).always()
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                await (await session.get(URL)).read()
    bodies = [await call.response.read() for call in stub.calls]
    assert [LONG] * 3 == bodies
    assert [True, True, False] == [LONG is body for body in bodies]


async def test_long_bodies_that_are_read_at_once_are_held_once():
    """Several come to their end in one turn of the loop, before any of them has been read."""

    async def read():
        await (await session.get(URL)).read()

    with Stub() as stub:
        stub.get(URL).reply(body=LONG).always()
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*[read() for _ in range(10)])
            await read()
            await asyncio.sleep(0)
    bodies = [await call.response.read() for call in stub.calls]
    assert [LONG] * 11 == bodies
    assert 10 == sum(LONG is body for body in bodies)


async def test_the_last_body_goes_with_the_log():
    """Nothing else has kept it."""
    with Stub() as stub:
        stub.get(URL).reply(body=LONG)
        async with aiohttp.ClientSession() as session:
            response = await session.get(URL)
            await response.read()
            await asyncio.sleep(0)
        alive = weakref.ref(response)
        del response
        stub.calls.clear()
        gc.collect()
        assert alive() is None


async def test_a_long_body_that_somebody_has_changed_is_theirs():
    """What a class of the user's makes of a body stays what it is."""

    class Reversed(aiohttp.ClientResponse):
        async def read(self):
            self._body = (await super().read())[::-1]
            return self._body

    with Stub() as stub:
        stub.get(URL).reply(body=LONG).always()
        async with aiohttp.ClientSession(response_class=Reversed) as session:
            response = await session.get(URL)
            assert BACKWARDS == await response.read()
            assert BACKWARDS == await (await session.get(URL)).read()
    assert BACKWARDS == response._body == stub.calls.first.response._body
