"""The far end of a connection: what it tells of the requests that it reads."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from aiostub import Stub
from aiostub._wire import far_end as _far_end
from aiostub._wire.far_end import FarEnd

URL = "http://api.test/x"
HEAD = b"POST /x HTTP/1.1\r\nHost: api.test\r\n%b\r\n"


class Listener:
    """Note what a far end tells, as an exchange hears it."""

    def __init__(self):
        self.heads = 0
        self.body = b""
        self.headers = None
        self.refused = None

    def head_arrived(self, message):
        self.heads += 1
        self._read(message)

    def body_in(self, data, start):
        return data[start:]

    def body_arrived(self, data):
        assert data
        self.body += data

    def request_arrived(self, message, data):
        assert self.complete is False
        self._read(message)
        self.body += data
        self.complete = True

    complete = False

    def request_refused(self, error):
        self.refused = error

    def client_left(self):
        pass

    def _read(self, message):
        headers = message.headers() if callable(message.headers) else message.headers
        # The parser writes names that it knows in its own way.
        self.headers = [(name.lower(), value) for name, value in headers.items()]

    @property
    def heard(self):
        return self.complete, self.refused is None, self.heads, self.headers, self.body


async def hear(*pieces):
    """Return what a far end says of a request that comes in pieces."""
    listener, far_end = Listener(), FarEnd(asyncio.get_running_loop(), set())
    far_end.begin(listener, "POST")
    for piece in pieces:
        far_end.data_received(piece)
    return *listener.heard, far_end.raw


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 6\r\n",
        b"X-A: 1\r\ncontent-length:6\r\nX-B: 2\r\n",
        b"Content-Length: 006\r\n",
        b"Content-Length: 6\r\nConnection: keep-alive\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 6\r\nContent-Length: 6\r\n",
        b"Content-Length: 6\r\nContent-Length: 7\r\n",
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: +6\r\n",
        b"Content-Length: six\r\n",
        b"Content-Length: 0\r\n",
        b"",
    ],
)
async def test_a_plain_request_is_read_as_the_parser_reads_it(monkeypatch, headers):
    """Whatever pieces it comes in: a body whose length is known needs no parser."""
    head, body = HEAD % headers, b"1\r\na\r\n0\r\n\r\n" if b"chunked" in headers else b"abcdef"
    body = body if headers else b""
    ways = [[head + body], [head, body], [head, body[:2], body[2:]], [head + body[:2], body[2:]]]
    ours = [await hear(*way) for way in ways]
    monkeypatch.setattr(_far_end, "_plain_head", lambda head: None)
    assert [await hear(*way) for way in ways] == ours


async def test_more_than_the_length_says_is_no_request():
    """As far as the same write shows it; what comes behind a complete request is not read."""
    head = HEAD % b"Content-Length: 5\r\n"
    assert (False, False) == (await hear(head + b"abcdef"))[:2]
    assert b"abcde" == (await hear(head + b"abcde", b"f"))[4]
    assert b"abcde" == (await hear(head, b"abcdef"))[4]


async def test_a_long_body_is_the_clients_own():
    """The log needs no memory for what the test has already."""
    data = bytes(200_000)
    with Stub() as stub:
        stub.post(URL).reply()
        async with aiohttp.ClientSession() as session:
            await session.post(URL, data=data)
    assert stub.calls.last.request.body is data


async def test_a_body_that_is_changed_on_its_way_is_logged_as_sent():
    """What a compressing client sends is not what it was given."""
    data = b"a" * 200_000
    with Stub() as stub:
        stub.post(URL).reply()
        async with aiohttp.ClientSession() as session:
            await session.post(URL, data=data, compress="deflate")
    assert len(stub.calls.last.request.body) < 10_000
    assert data.decode() == stub.calls.last.request.text


class Backwards(aiohttp.BytesPayload):
    """Send something else than it holds."""

    async def write(self, writer):
        await writer.write(self._value[::-1])

    async def write_with_length(self, writer, content_length):
        await self.write(writer)


async def test_a_payload_of_the_users_own_is_logged_as_it_wrote_itself():
    """Though what it holds has the same length."""
    with Stub() as stub:
        stub.post(URL).reply()
        async with aiohttp.ClientSession() as session:
            await session.post(URL, data=Backwards(b"abc"))
    assert b"cba" == stub.calls.last.request.body


async def test_a_buffer_of_the_clients_is_copied():
    """It may be filled again afterwards."""
    data = bytearray(b"a" * 10_000)
    with Stub() as stub:
        stub.post(URL).reply()
        async with aiohttp.ClientSession() as session:
            await session.post(URL, data=bytes(data))
            data[:] = bytes(10_000)
    assert b"a" * 10_000 == stub.calls.last.request.body


async def test_a_long_reply_that_the_client_unpacks_stays_as_it_read_it():
    """What the app has read is what the log says it has."""
    text = "".join(str(number) for number in range(300_000))
    body = bytes(300_000)
    with Stub() as stub:
        stub.get(URL).reply(text=text, compress="gzip")
        stub.get(URL).reply(body=body).times(2)
        async with aiohttp.ClientSession() as session:
            first = await (await session.get(URL)).text()
            await (await session.get(URL)).content.readexactly(10)
            await (await session.get(URL)).read()
    assert [text, text] == [first, await stub.calls.first.response.text()]
