"""Where a request on a socket ends and the next begins, without a socket."""

from __future__ import annotations

import asyncio
from itertools import accumulate, cycle, pairwise, takewhile

import pytest
from multidict import CIMultiDict
from yarl import URL

import aiostub
from aiostub._sockets.end import SocketEnd

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies


class Place:
    """A place where every connection is for one stub."""

    def __init__(self, stub):
        self.loop = asyncio.get_running_loop()
        self.stub = stub

    def asked(self):
        return [self.stub._registry]

    def url_of(self, _method, target):
        return URL(f"http://x{target}", encoded=True)

    def connected(self, end):
        pass

    def lost(self, end):
        pass


class Collector(asyncio.Transport):
    """Be a transport to nowhere that remembers what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def resume_reading(self):
        pass

    def is_closing(self):
        return self.closed


class Sent:
    """One request, in one of the ways in which its body may be sent."""

    def __init__(self, method, number, body, chunks, trailer):
        self.method, self.target, self.body = method, f"/{number}", body
        head = f"{method} /{number} HTTP/1.1\r\nHost: x\r\n"
        if chunks:
            borders = sorted({0, len(body), *(min(c, len(body)) for c in chunks)})
            pieces = [body[a:b] for a, b in pairwise(borders)]
            self.raw = (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
            self.raw += b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces if p)
            self.raw += b"0\r\nX-Trailer: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
        elif body:
            self.raw = (head + f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        else:
            self.raw = (head + "\r\n").encode()


# What looks like the end of something else is what a body should be made of.
bodies = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"0", b"a", b"GET / HTTP/1.1\r\n\r\n"]), max_size=12
).map(b"".join)
requests = st.builds(
    Sent,
    st.sampled_from(["GET", "POST", "PUT", "PROPFIND"]),
    st.integers(0, 9),
    bodies,
    st.lists(st.integers(0, 40), max_size=4),
    st.booleans(),
)


def answered(pieces, *, waits):
    """Feed the pieces to a far end; return its stub, and how many answers it wrote."""

    async def main():
        stub = aiostub.Stub()

        async def answer(_):
            await asyncio.sleep(0)
            return 204

        route = stub.any("/{number}")
        route.handle(answer).always() if waits else route.reply(204).always()
        end, transport = SocketEnd(Place(stub)), Collector()
        end.connection_made(transport)
        for piece in pieces:
            end.data_received(piece)
            if waits:
                await asyncio.sleep(0)
        for _ in range(100):  # turns of the loop
            await asyncio.sleep(0)
        return stub, transport.written.count(b"HTTP/1.1 204")

    return asyncio.run(main())


@hypothesis.settings(max_examples=150)
@hypothesis.given(
    sent=st.lists(requests, min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 4) | st.integers(1, 200), min_size=1, max_size=8),
    waits=st.booleans(),
)
def test_the_segments_of_a_connection_mean_nothing(sent, sizes, waits):
    """Requests arrive one by one and whole, wherever the segments end."""
    raw = b"".join(each.raw for each in sent)
    borders = [*takewhile(lambda at: at < len(raw), accumulate(cycle(sizes), initial=0)), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(borders)]

    stub, count = answered(pieces, waits=waits)

    assert count == len(sent)
    assert [(s.method, s.target, s.body) for s in sent] == [
        (call.request.method, call.request.url.path, call.request.body) for call in stub.calls
    ]


@hypothesis.settings(max_examples=300)
@hypothesis.given(pieces=st.lists(st.binary(max_size=60) | bodies, max_size=6))
def test_what_is_no_http_raises_nothing(pieces):
    """It is answered, or waited for, or both."""

    async def main():
        stub = aiostub.Stub(strict=False)
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda *it: complaints.append(it))
        end = SocketEnd(Place(stub))
        end.connection_made(Collector())
        for piece in pieces:
            end.data_received(piece)
        await asyncio.sleep(0)
        assert complaints == []

    asyncio.run(main())


def test_header_lines_are_those_that_were_sent():
    """In order, with their case."""
    lines = [("Host", "x"), ("X-B", "1"), ("x-a", "2"), ("X-B", "3")]
    request = Sent("GET", 1, b"", [], trailer=False)
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    request.raw = f"GET /1 HTTP/1.1\r\n{head}\r\n".encode()

    stub, _count = answered([request.raw], waits=False)

    assert list(CIMultiDict(lines).items()) == list(stub.calls.last.request.headers.items())
