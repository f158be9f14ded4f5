"""Replies: what is written, and the bytes that follow from it."""

from __future__ import annotations

import copy
import functools
import gc
import gzip
import http.client
import io
import json
import sys
import tracemalloc
import types
import zlib
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from aiostub import faults
from aiostub._answers.reply import Reply, sse
from aiostub.exceptions import RouteError

HTTP_1_1 = (1, 1)
HTTP_1_0 = (1, 0)


def read(wire, method="GET"):
    """Let the standard library read a response: its status, reason, headers and body."""
    sock = types.SimpleNamespace(makefile=lambda *_args: io.BytesIO(wire))
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return response.status, response.reason, response.getheaders(), response.read()


def type_of(reply):
    """Give the lines of the content type."""
    return [value for name, value in reply.headers if name.lower() == "content-type"]


async def pieces_of(reply):
    """Open the stream of a reply once and give its chunks."""
    chunks = reply.stream()
    if hasattr(chunks, "__aiter__"):
        return [chunk async for chunk in chunks]
    return list(chunks)


# ------------------------------------------------------------------------------ the whole reply

WIRES = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": Reply(),
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n": Reply(503),
    b"HTTP/1.1 204 No Content\r\n\r\n": Reply(204),
    b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n": Reply(304, headers={"ETag": "x"}),
    b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n": Reply(299),
    b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n": Reply(reason="Fine"),
    b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n": Reply(reason=""),
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n": Reply(HTTPStatus.NOT_FOUND),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
        b'{"ok": true}'
    ): Reply(json={"ok": True}),
    (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnull"): Reply(
        json=None
    ),
    (
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n"\\u00e9"'
    ): Reply(json="é"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n"
        b"\xc3\xa9"
    ): Reply(text="é"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n"
    ): Reply(text=""),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n"
        b"\x00\xff"
    ): Reply(body=b"\x00\xff"),
    (
        b"HTTP/1.1 200 OK\r\nX-B: 1\r\nX-A: \xc3\xa9\xff\r\nx-b: 2\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n"
        b"\r\nx"
    ): Reply(headers=[("X-B", "1"), ("X-A", "é\udcff"), ("x-b", "2")], text="x"),
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    ): Reply(stream=[b"a", b"b"]),
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nContent-Type: application/octet-stream\r\n\r\nx"
    ): Reply(body=b"x", headers={"Content-Length": "99"}),
    (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nContent-Type: application/octet-stream\r\n\r\n"
    ): Reply(stream=[b"a", b"b"], headers={"content-length": "2"}),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n2\r\nxy\r\n0\r\n\r\n"
    ): Reply(body=b"xy", headers={"Transfer-Encoding": "chunked"}),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n"): Reply(
        headers={"Transfer-Encoding": "Chunked"}
    ),
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n": Reply(
        304, headers={"Content-Length": "9"}
    ),
}


@pytest.mark.parametrize("wire", WIRES)
def test_a_reply_to_get_over_http_1_1(wire):
    """Head and body are what API and RFC 9112 say, and are the same bytes each time."""
    reply = WIRES[wire]

    assert wire == reply.encode("GET", HTTP_1_1)
    assert wire == reply.head("GET", HTTP_1_1) + reply.payload("GET")
    assert reply.encode("GET", HTTP_1_1) is reply.encode("POST", HTTP_1_1, keep_alive=True)


@pytest.mark.parametrize("wire", WIRES)
def test_a_reply_to_head_announces_what_get_would_have(wire):
    """HEAD has the head of GET to the last byte, and nothing after it."""
    reply = WIRES[wire]
    head, end, _body = wire.partition(b"\r\n\r\n")

    assert head + end == reply.encode("HEAD", HTTP_1_1)
    assert b"" == reply.payload("HEAD")


KEEP_ALIVE = [
    # version, request keeps alive, head's last line, closes
    (HTTP_1_1, None, None, False),
    (HTTP_1_1, True, None, False),
    (HTTP_1_1, False, "Connection: close", True),
    (HTTP_1_0, None, None, True),
    (HTTP_1_0, False, None, True),
    (HTTP_1_0, True, "Connection: keep-alive", False),
]


@pytest.mark.parametrize(("version", "keep_alive", "line", "closes"), KEEP_ALIVE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_version_and_the_connection_are_those_of_the_request(
    version, keep_alive, line, closes, method
):
    """The answer has the request's version, and says of the connection what that does not."""
    reply = Reply(text="x")

    status, *lines = reply.head(method, version, keep_alive=keep_alive).decode().splitlines()

    assert f"HTTP/{version[0]}.{version[1]} 200 OK" == status
    assert [line] * (line is not None) == [one for one in lines if one.startswith("Connection")]
    assert closes is reply.closes(method, version, keep_alive=keep_alive)
    body = b"x" * (method == "GET")
    assert reply.encode(method, version, keep_alive=keep_alive).endswith(b"\r\n\r\n" + body)


CLOSES = {
    "a stream over HTTP/1.0": (Reply(stream=[b"x"]), HTTP_1_0, True),
    "a stream over HTTP/1.1": (Reply(stream=[b"x"]), HTTP_1_1, False),
    "a stream of a known length over HTTP/1.0": (
        Reply(stream=[b"x"], headers={"Content-Length": "1"}),
        HTTP_1_0,
        False,
    ),
    "a transfer coding that does not end by itself": (
        Reply(body=b"x", headers={"Transfer-Encoding": "chunked, gzip"}),
        HTTP_1_1,
        True,
    ),
    "a transfer coding that does": (
        Reply(body=b"x", headers={"Transfer-Encoding": "gzip, chunked"}),
        HTTP_1_1,
        False,
    ),
    "the user's wrong length": (
        Reply(body=b"x", headers={"Content-Length": "2"}),
        HTTP_1_1,
        True,
    ),
    "a right length": (Reply(body=b"x", headers={"Content-Length": "1"}), HTTP_1_1, False),
    "any length with a 304": (Reply(304, headers={"Content-Length": "2"}), HTTP_1_1, False),
    "the user's word": (Reply(headers={"Connection": "Upgrade, Close"}), HTTP_1_1, True),
    "another word of the user's": (Reply(headers={"Connection": "Upgrade"}), HTTP_1_1, False),
}


@pytest.mark.parametrize("case", CLOSES)
def test_the_connection_closes_where_only_its_end_ends_the_body(case):
    """A connection can be used again when both sides know where the body ends."""
    reply, version, expected = CLOSES[case]

    assert expected is reply.closes("GET", version, keep_alive=True)
    said = b"connection: close" in reply.head("GET", version, keep_alive=True).lower()
    assert (expected and version == HTTP_1_1 and "user's" not in case) is said


def test_http_1_0_has_no_chunks():
    """A stream goes to an HTTP/1.0 client bare, to the end of the connection."""
    reply = Reply(stream=[b"x"])

    assert (True, False) == (reply.chunked(HTTP_1_1), reply.chunked(HTTP_1_0))
    assert b"Transfer-Encoding" not in reply.head("GET", HTTP_1_0)
    assert b"Transfer-Encoding" not in reply.head("HEAD", HTTP_1_0, keep_alive=True)
    with_cookie = Reply(stream=[b"x"], cookies={"a": "1"}).head("GET", HTTP_1_0)
    assert (True, False) == (b"Set-Cookie" in with_cookie, b"Transfer-Encoding" in with_cookie)


def test_what_the_user_says_of_chunks_decides():
    """A length of the user's takes the chunks off a stream, a transfer coding puts them on."""
    assert not Reply(stream=[b"x"], headers={"Content-Length": "1"}).chunked(HTTP_1_1)
    assert Reply(stream=[b"x"], headers={"transfer-encoding": "gzip, chunked"}).chunked(HTTP_1_0)
    assert not Reply(stream=[b"x"], headers={"transfer-encoding": "gzip"}).chunked(HTTP_1_1)
    assert not Reply(body=b"x").chunked(HTTP_1_1)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"json": [1, "é"]},
        {"text": "x" * 70_000},
        {"body": b"\r\n\r\n"},
        {"body": b"xyz", "headers": {"Transfer-Encoding": "chunked"}},
        {"status": 404, "reason": "No such thing", "text": "gone"},
        {"status": 204},
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_standard_library_reads_what_was_written(arguments, method):
    """A second parser finds status, reason, headers and body in the bytes."""
    reply = Reply(**arguments)

    expected_body = b"" if method == "HEAD" else reply.body or b""
    expected = (reply.status, reply.reason, list(reply.headers), expected_body)

    assert expected == read(reply.encode(method, HTTP_1_1), method)


@pytest.mark.skipif(find_spec("hypothesis") is None, reason="hypothesis is not installed")
def test_any_head_and_body_come_out_as_they_went_in():
    """No header, reason or body shifts where another begins."""
    from hypothesis import given
    from hypothesis import strategies as st

    line = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=9)
    name = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=9).map("x-".__add__)

    @given(
        status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
        reason=line,
        headers=st.lists(st.tuples(name, line), max_size=5),
        body=st.binary(max_size=99),
    )
    def holds(status, reason, headers, body):
        reply = Reply(status, reason=reason, headers=headers, body=body)

        found = read(reply.encode("GET", HTTP_1_1))

        assert (status, reason, list(reply.headers), body) == found
        assert headers == found[2][: len(headers)]

    holds()


@pytest.mark.parametrize("headers", [None, {"X-Long": "x" * 300_000}])
@pytest.mark.parametrize("missing", [1, 0, -1, -(2**18), -(2**18) - 1])
@pytest.mark.parametrize("version", [HTTP_1_1, HTTP_1_0])
def test_a_reply_is_cut_as_a_socket_would_be_read(headers, missing, version):
    """Every piece but the last is as long as asyncio reads at the most, head and body alike."""
    size = 2**18
    body = bytes(range(256)) * 4 * 2**10
    head = len(Reply(body=body, headers=headers).head("GET", version))
    reply = Reply(body=body[: 3 * size - head % size - missing], headers=headers)
    *full, last = reply.served("GET", version, keep_alive=None)[0]
    assert reply.head("GET", version) + reply.body == b"".join([*full, last])
    assert {size} == {len(piece) for piece in full}
    assert 0 < len(last) <= size


def test_a_reply_with_a_long_body_is_served_with_one_copy_of_it():
    """That in pieces, for however many calls; to join the head and the body would be another."""
    body = bytes(2**22)
    tracemalloc.start()
    reply = Reply(body=body)
    served = [reply.served("GET", HTTP_1_1, keep_alive=None) for _ in range(3)]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body is reply.body
    assert [served[0]] * 3 == served
    assert most < 1.2 * len(body)


def test_a_reply_that_nobody_is_served_has_no_copy_of_its_body():
    """A route may never be asked."""
    body = bytes(2**22)
    tracemalloc.start()
    Reply(body=body)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 0.1 * len(body)


# ------------------------------------------------------------------------------ content types


TYPES = [
    # arguments, content type
    ({"json": {}}, "application/json"),
    ({"text": "x"}, "text/plain; charset=utf-8"),
    ({"body": b"x"}, "application/octet-stream"),
    ({"stream": [b"x"]}, "application/octet-stream"),
    ({"text": "x", "content_type": "text/html"}, "text/html; charset=utf-8"),
    ({"text": "x", "content_type": "Text/HTML"}, "Text/HTML; charset=utf-8"),
    ({"text": "x", "content_type": "text/html; charset=ascii"}, "text/html; charset=ascii"),
    ({"text": "x", "content_type": "application/xml"}, "application/xml"),
    ({"body": b"x", "content_type": "text/html"}, "text/html"),
    ({"stream": [b"x"], "content_type": "text/event-stream"}, "text/event-stream"),
    ({"json": {}, "content_type": "application/problem+json"}, "application/problem+json"),
    ({"json": {}, "headers": {"content-type": "text/x"}}, "text/x"),
    ({"text": "x", "headers": {"Content-Type": "text/x"}}, "text/x"),
    ({"text": "x", "headers": {"Content-Type": "text/x"}, "content_type": "a/b"}, "text/x"),
    ({"content_type": "text/x"}, "text/x"),
]


@pytest.mark.parametrize(("arguments", "expected"), TYPES)
def test_the_content_type_comes_from_the_kind_of_body_or_from_the_user(arguments, expected):
    """There is one content type: the user's header, the argument, or that of the kind."""
    assert [expected] == type_of(Reply(**arguments))


@pytest.mark.parametrize("status", [200, 204, 304, 500])
def test_no_body_no_content_type(status):
    """Without a body there is nothing to name the type of."""
    assert [] == type_of(Reply(status))


CHARSETS = [
    ({"headers": {"Content-Type": "text/plain; charset=latin-1"}}, "é".encode("latin-1")),
    ({"headers": {"content-type": 'text/plain;CharSet="utf-16-le"'}}, "é".encode("utf-16-le")),
    ({"headers": [("Content-Type", "text/plain")]}, "é".encode()),
    ({"content_type": "text/plain; charset=cp1252"}, "é".encode("cp1252")),
    ({"content_type": "application/xml"}, "é".encode()),
]


@pytest.mark.parametrize(("arguments", "expected"), CHARSETS)
def test_text_is_encoded_as_the_content_type_says(arguments, expected):
    """The charset of the content type encodes the text, and UTF-8 where it names none."""
    assert expected == Reply(text="é", **arguments).body


FILES = {
    "data.json": "application/json",
    "page.html": "text/html",
    "image.PNG": "image/png",
    "unknown.thing": "application/octet-stream",
    "archive.tar.gz": "application/gzip",
    "data.json.gz": "application/gzip",
    "what?.html": "text/html",
    "plain": "application/octet-stream",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("path_type", [str, Path])
def test_a_file_is_read_at_once_and_typed_by_its_name(tmp_path, name, path_type):
    """The bytes are those of now, and an archive is served as the archive it is."""
    path = tmp_path / name
    path.write_bytes(b"then")
    reply = Reply(file=path_type(path))
    path.write_bytes(b"later")

    assert b"then" == reply.body
    assert (("Content-Type", FILES[name]), ("Content-Length", "4")) == reply.headers


# ------------------------------------------------------------------------------ headers and cookies


HEADERS = [
    {"X-A": "1", "X-B": "2"},
    [("X-A", "1"), ("X-B", "2")],
    (pair for pair in [["X-A", "1"], ["X-B", "2"]]),
    MultiDict([("X-A", "1"), ("X-B", "2")]),
    CIMultiDict([("X-A", "1"), ("X-B", "2")]),
    CIMultiDictProxy(CIMultiDict([("X-A", "1"), ("X-B", "2")])),
    types.MappingProxyType({"X-A": "1", "X-B": "2"}),
    http.client.HTTPMessage(),
]
HEADERS[-1]["X-A"] = "1"
HEADERS[-1]["X-B"] = "2"


@pytest.mark.parametrize("headers", HEADERS, ids=lambda headers: type(headers).__name__)
def test_headers_are_a_mapping_pairs_or_a_multidict(headers):
    """Whatever has items or is made of pairs gives its lines in order, as plain text."""
    reply = Reply(headers=headers)

    assert (("X-A", "1"), ("X-B", "2"), ("Content-Length", "0")) == reply.headers
    assert {str} == {type(text) for line in reply.headers for text in line}


def test_duplicates_and_their_order_survive():
    """A header sent twice is sent twice, where it stood."""
    headers = CIMultiDict([("Via", "a"), ("X", "1"), ("via", "b"), ("Set-Cookie", "c=d")])

    assert (
        ("Via", "a"), ("X", "1"), ("via", "b"), ("Set-Cookie", "c=d"), ("Content-Length", "0"),
    ) == Reply(headers=headers).headers  # fmt: skip


COOKIES = ["1", "", "a b", 'qu"ote', "semi;colon", "com,ma", "back\\slash", "é", "\r\n", "a=b"]


@pytest.mark.parametrize("value", COOKIES)
def test_cookies_are_written_as_aiohttp_web_writes_them(value):
    """The line of a cookie is that of web.Response.set_cookie, quotes included."""
    response = web.Response()
    response.set_cookie("name", value)
    expected = response.cookies["name"].output(header="")[1:]

    assert ("Set-Cookie", expected) in Reply(cookies={"name": value}).headers


def test_cookies_come_in_order_beside_those_of_the_headers():
    """Each cookie is a line of its own."""
    reply = Reply(headers={"Set-Cookie": "z=0"}, cookies=[("b", "1"), ("a", "2")])

    assert ["z=0", "b=1; Path=/", "a=2; Path=/"] == [
        value for name, value in reply.headers if name == "Set-Cookie"
    ]


def test_reasons_are_those_of_the_standard_library():
    """A status has its own phrase, and one without a phrase has none."""
    expected = {status.value: status.phrase for status in HTTPStatus if status >= 200}

    assert expected == {status: Reply(status).reason for status in expected}
    assert "" == Reply(599).reason


# ------------------------------------------------------------------------------ compression


def _unbrotli(data):
    return pytest.importorskip("brotli").decompress(data)


def _unzstd(data):
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        zstd = pytest.importorskip("backports.zstd")
    return zstd.decompress(data)


CODINGS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "br": _unbrotli,
    "zstd": _unzstd,
}
TEXT = "words " * 100


def make_compressed(coding, **arguments):
    """Make a compressed reply, or skip where the module is missing."""
    try:
        return Reply(compress=coding, **arguments)
    except RouteError as error:
        assert coding in ("br", "zstd")
        pytest.skip(str(error))


@pytest.mark.parametrize("coding", CODINGS)
def test_compression_is_real_and_said(coding):
    """The body can be unpacked, the header names the coding, and the length is that on the wire."""
    reply = make_compressed(coding, text=TEXT)

    status, _, headers, body = read(reply.encode("GET", HTTP_1_1))

    assert (200, TEXT) == (status, CODINGS[coding](body).decode())
    assert coding == dict(headers)["Content-Encoding"]
    assert str(len(body)) == dict(headers)["Content-Length"]
    assert len(body) < len(TEXT)
    assert reply.head("HEAD", HTTP_1_1) == reply.head("GET", HTTP_1_1)


@pytest.mark.parametrize("coding", CODINGS)
def test_an_empty_body_is_compressed_to_something_that_unpacks_to_nothing(coding):
    """Compressing nothing gives a whole stream of that coding."""
    reply = make_compressed(coding, body=b"")

    assert b"" == CODINGS[coding](reply.body)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_stream_is_compressed_chunk_by_chunk(coding, asynchronous):
    """What has arrived can be read at once, and the whole is one whole stream."""

    async def later():
        for chunk in (b"one", b"", b"two"):
            yield chunk

    source = later if asynchronous else [b"one", b"", b"two"]
    reply = make_compressed(coding, stream=source)

    for _ in range(2):
        pieces = await pieces_of(reply)
        assert 3 == len(pieces)
        assert b"onetwo" == CODINGS[coding](b"".join(pieces))
        if coding in ("gzip", "deflate"):
            reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
            assert [b"one", b"two", b""] == [reader.decompress(piece) for piece in pieces]
    assert ("Content-Encoding", coding) in reply.headers
    assert ("Transfer-Encoding", "chunked") in reply.headers


def test_the_same_body_is_compressed_to_the_same_bytes():
    """Nothing of the clock goes into gzip."""
    assert Reply(text=TEXT, compress="gzip").body == Reply(text=TEXT, compress="gzip").body


def test_a_content_encoding_of_the_user_wins():
    """The header is sent as given, once; the body is compressed all the same."""
    reply = Reply(text=TEXT, compress="gzip", headers={"content-encoding": "x-gzip"})

    assert ["x-gzip"] == [value for name, value in reply.headers if "ncoding" in name]
    assert TEXT == gzip.decompress(reply.body).decode()


@pytest.mark.parametrize(("coding", "package"), [("br", "Brotli"), ("zstd", "backports.zstd")])
def test_a_coding_that_is_not_installed_names_the_package(monkeypatch, coding, package):
    """The error says what to install."""
    for module in ("brotli", "brotlicffi", "backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(RouteError) as caught:
        Reply(text="x", compress=coding)

    assert f"compress: '{coding}' needs the package {package}" == str(caught.value)


# ------------------------------------------------------------------------------ streams


class Fresh:
    """Give fresh chunks each time, and remember what was closed."""

    def __init__(self):
        self.closed = []

    def __iter__(self):
        try:
            yield from (b"a", b"b")
        finally:
            self.closed.append("iterator")

    def close(self):
        self.closed.append("iterable")


class FreshAsync:
    """The same, asynchronously."""

    def __init__(self):
        self.closed = []

    async def __aiter__(self):
        try:
            yield b"a"
            yield b"b"
        finally:
            self.closed.append("iterator")

    async def aclose(self):
        self.closed.append("iterable")


def generate():
    """Give two chunks."""
    yield b"a"
    yield b"b"


async def generate_async():
    """Give two chunks asynchronously."""
    yield b"a"
    yield b"b"


class Countdown:
    """Give two chunks once, with nothing to close."""

    def __init__(self):
        self.left = [b"b", b"a"]

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


STREAMS = {
    # What makes the stream, and whether that is a one-shot iterator.
    "list": (lambda: [b"a", b"b"], False),
    "tuple": (lambda: (b"a", b"b"), False),
    "bytearrays": (lambda: [bytearray(b"a"), memoryview(b"b")], False),
    "empty chunks": (lambda: [b"", b"a", b"", b"b", b""], False),
    "iterable": (Fresh, False),
    "async iterable": (FreshAsync, False),
    "generator": (generate, True),
    "async generator": (generate_async, True),
    "iterator": (lambda: iter([b"a", b"b"]), True),
    "async iterator": (Countdown, True),
    "file": (lambda: io.BytesIO(b"a\nb"), True),
    "generator function": (lambda: generate, False),
    "async generator function": (lambda: generate_async, False),
    "partial": (lambda: functools.partial(generate_async), False),
    "callable giving a list": (lambda: lambda: [b"a", b"b"], False),
    "class": (lambda: Fresh, False),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_what_gives_bytes_and_is_opened_for_each_reply(name):
    """Every kind of stream gives its chunks, and all but one-shot iterators give them again."""
    make, one_shot = STREAMS[name]
    reply = Reply(stream=make())

    expected = [b"a\n", b"b"] if name == "file" else [b"a", b"b"]

    assert one_shot is reply.one_shot
    assert expected == await pieces_of(reply)
    if not one_shot:
        assert expected == await pieces_of(reply)


async def test_a_stream_that_is_left_early_is_closed():
    """Closing the chunks closes the iterator and what made it, once each."""
    source, asynchronous = Fresh(), FreshAsync()

    chunks = Reply(stream=source).stream()
    assert b"a" == next(chunks)
    chunks.close()
    later = Reply(stream=asynchronous).stream()
    assert b"a" == await later.__anext__()
    await later.aclose()

    assert ["iterator", "iterable"] == source.closed
    assert ["iterator", "iterable"] == asynchronous.closed


@pytest.mark.parametrize("chunk", ["text", 1, None, [b"x"]])
async def test_a_chunk_that_is_not_bytes_is_refused_when_it_comes(chunk):
    """What only shows while the stream runs is a RouteError then."""

    async def later():
        yield chunk

    for stream in (iter([chunk]), later):
        reply = Reply(stream=stream)
        with pytest.raises(RouteError, match="stream: must give bytes, gave"):
            await pieces_of(reply)


@pytest.mark.parametrize("given", [None, 1, "text", b"bytes"])
def test_a_callable_that_gives_no_chunks_is_refused_when_it_is_called(given):
    """The result of the callable is checked each time."""
    reply = Reply(stream=lambda: given)

    with pytest.raises(RouteError, match="stream: must"):
        reply.stream()


# ------------------------------------------------------------------------------ as at registration


def test_values_are_taken_as_they_are_at_registration():
    """Whatever the user changes afterwards, the reply is what it was."""
    data, headers, body, chunks = {"a": [1]}, {"X": "1"}, bytearray(b"one"), [b"a"]
    replies = [
        Reply(json=data, headers=headers),
        Reply(body=body, cookies=headers),
        Reply(stream=chunks),
    ]
    before = [(repr(reply), reply.encode("GET", HTTP_1_1)) for reply in replies]

    data["a"].append(2)
    headers["Y"] = "2"
    body[:] = b"two"
    chunks.append(b"b")

    assert before == [(repr(reply), reply.encode("GET", HTTP_1_1)) for reply in replies]
    assert [b"a"] == list(replies[2].stream())


def test_a_reply_is_immutable():
    """No attribute can be set, known or not."""
    reply = Reply(json={})

    for name in ("status", "body", "delay", "new"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(reply, name, 1)


def test_a_copy_is_the_same_reply():
    """Shallow and deep copies serve the same bytes."""
    reply = Reply(201, json={"a": 1}, delay=2, fault=faults.reset(1))

    for copied in (copy.copy(reply), copy.deepcopy(reply)):
        assert reply.encode("GET", HTTP_1_1) == copied.encode("GET", HTTP_1_1)
        assert (repr(reply), 2, reply.fault) == (repr(copied), copied.delay, copied.fault)


REPRS = {
    "reply(503)": Reply(503),
    "reply(200, json={'ok': True})": Reply(json={"ok": True}),
    "reply(200, json={'ok': True}) ": Reply(json={"ok": True}, compress="gzip"),
    "reply(200, json=None)": Reply(json=None),
    "reply(200, json=[0, 1, 2, 3, 4, 5, ...])": Reply(json=list(range(99))),
    "reply(200, json={'key0': 'xxxxxxxxxxxx...xxxxxxxxxxxxx', 'key1': 'xxxxxxx...)": Reply(
        json={f"key{number}": "x" * 50 for number in range(50)}
    ),
    "reply(200, text='up')": Reply(text="up"),
    "reply(200, text='')": Reply(text=""),
    "reply(200, body=b'\\x00')": Reply(body=b"\x00"),
    "reply(200, stream=...)": Reply(stream=generate),
    "reply(200, text='x', fault=faults.stall())": Reply(text="x", fault=faults.stall()),
    f"reply(200, file={__file__!r})": Reply(file=__file__),
}


@pytest.mark.parametrize("text", REPRS)
def test_a_reply_reads_as_it_is_written_but_short(text):
    """The repr is the call, with long values cut."""
    shown = repr(REPRS[text])

    expected = text.strip()
    assert (expected if "file" not in text else shown[:16]) == (
        shown if "file" not in text else "reply(200, file="
    )
    assert len(shown) < 120


# ------------------------------------------------------------------------------ what is refused


async def coroutine():
    """Give no chunks."""


class Circle(list):
    """A list that holds itself."""

    def __init__(self):
        super().__init__([self])


WRONG = [
    # arguments, text
    ({"status": 199}, "status: must be 200 to 599, got 199"),
    ({"status": 600}, "status: must be 200 to 599, got 600"),
    ({"status": 100}, "status: must be 200 to 599, got 100"),
    ({"status": 101}, "status: must be 200 to 599, got 101; 101 belongs to serve() and ws()"),
    ({"status": True}, "status: must be an int, got True"),
    ({"status": "200"}, "status: must be an int, got '200'"),
    ({"status": 200.0}, "status: must be an int, got 200.0"),
    ({"json": None, "text": ""}, "json= and text=: a reply has one body at most"),
    ({"text": "", "body": b""}, "text= and body=: a reply has one body at most"),
    ({"body": b"", "stream": []}, "body= and stream=: a reply has one body at most"),
    (
        {"json": 1, "file": "x", "stream": []},
        "json= and file= and stream=: a reply has one body at most",
    ),
    ({"status": 204, "text": ""}, "text=: a 204 carries no body"),
    ({"status": 204, "json": None}, "json=: a 204 carries no body"),
    ({"status": 304, "body": b""}, "body=: a 304 carries no body"),
    ({"status": 304, "stream": []}, "stream=: a 304 carries no body"),
    (
        {"json": {1, 2}},
        "json: cannot be serialised: Object of type set is not JSON serializable",
    ),
    ({"json": Circle()}, "json: cannot be serialised: Circular reference detected"),
    ({"text": b"x"}, "text: must be a str, got b'x'"),
    ({"text": 1}, "text: must be a str, got 1"),
    ({"body": "x"}, "body: must be bytes, got 'x'; use text= or json="),
    ({"body": 5}, "body: must be bytes, got 5; use text= or json="),
    ({"body": {}}, "body: must be bytes, got {}; use text= or json="),
    ({"file": 1}, "file: must be a path, got 1"),
    ({"file": 1, "content_type": "a/b"}, "file: must be a path, got 1"),
    ({"file": "/no/such/file"}, "file: cannot be read: * '/no/such/file'"),
    ({"file": "/"}, "file: cannot be read: * '/'"),
    ({"file": "\0"}, "file: cannot be read: embedded null *"),
    ({"stream": "x"}, "stream: must give chunks of bytes, got 'x'; use text= or body="),
    ({"stream": b"x"}, "stream: must give chunks of bytes, got b'x'; use text= or body="),
    (
        {"stream": 1},
        "stream: must be an iterable or async iterable of bytes, or a callable giving one, got 1",
    ),
    ({"stream": ["x"]}, "stream: must give bytes, gave 'x'"),
    (
        {"stream": coroutine},
        "stream: <function cor*> gives a coroutine, not chunks: let it yield",
    ),
    ({"headers": "X: 1"}, "headers: must be a mapping or pairs, got 'X: 1'"),
    ({"headers": 1}, "headers: must be a mapping or pairs, got 1"),
    ({"headers": ["X"]}, "headers: must be a mapping or pairs, got ['X']"),
    ({"headers": {"X": 1}}, "headers: the value of X must be a str, got 1"),
    ({"headers": {"X": None}}, "headers: the value of X must be a str, got None"),
    ({"headers": {"X": b"1"}}, "headers: the value of X must be a str, got b'1'"),
    ({"headers": {"X": "1\r\nY: 2"}}, "headers: X: CR, LF and NUL *, got '1\\r\\nY: 2'"),
    ({"headers": {"X": "\0"}}, "headers: X: CR, LF and NUL cannot be sent, got '\\x00'"),
    ({"headers": {"X": "\ud800"}}, "headers: X: cannot be encoded, got '\\ud800'"),
    ({"headers": {"X Y": "1"}}, "headers: 'X Y' is not the name of a header"),
    ({"headers": {"X\n": "1"}}, "headers: 'X\\n' is not the name of a header"),
    ({"headers": {"": "1"}}, "headers: '' is not the name of a header"),
    ({"headers": {"é": "1"}}, "headers: 'é' is not the name of a header"),
    ({"headers": {1: "1"}}, "headers: 1 is not the name of a header"),
    ({"cookies": "a=1"}, "cookies: must be a mapping or pairs, got 'a=1'"),
    ({"cookies": {"a": 1}}, "cookies: names and values must be str, got 'a': 1"),
    ({"cookies": {"a b": "1"}}, "cookies: Illegal key *"),
    ({"cookies": {"path": "1"}}, "cookies: Attempt to set a reserved key 'path'"),
    ({"content_type": 1}, "content_type: must be a str, got 1"),
    ({"content_type": "a/b\n"}, "content_type: CR, LF and NUL cannot be sent, got 'a/b\\n'"),
    (
        {"text": "x", "content_type": "text/plain; charset=none-such"},
        "text: the content type names a charset that is none, 'none-such'",
    ),
    (
        {"text": "x", "headers": {"Content-Type": "text/plain; charset=hex"}},
        "text: the content type names a charset that is none, 'hex'",
    ),
    (
        {"text": "é", "headers": {"Content-Type": "text/plain; charset=ascii"}},
        "text: cannot be encoded in ascii: 'ascii' codec can't encode character *",
    ),
    ({"text": "\ud800"}, "text: cannot be encoded in utf-8: *"),
    ({"reason": "a\r\nb"}, "reason: CR, LF and NUL cannot be sent, got 'a\\r\\nb'"),
    ({"reason": 1}, "reason: must be a str, got 1"),
    ({"compress": "gzip"}, "compress: there is no body to compress"),
    (
        {"text": "x", "compress": "GZIP"},
        "compress: must be 'gzip', 'deflate', 'br' or 'zstd', got 'GZIP'",
    ),
    (
        {"text": "x", "compress": True},
        "compress: must be 'gzip', 'deflate', 'br' or 'zstd', got True",
    ),
    ({"delay": -1}, "delay: must be a finite number of seconds, 0 or more, got -1"),
    ({"delay": float("nan")}, "delay: must be a finite number of seconds, 0 or more, got nan"),
    ({"delay": float("inf")}, "delay: must be a finite number of seconds, 0 or more, got inf"),
    ({"delay": True}, "delay: must be a finite number of seconds, 0 or more, got True"),
    ({"delay": "1"}, "delay: must be a finite number of seconds, 0 or more, got '1'"),
    ({"delay": None}, "delay: must be a finite number of seconds, 0 or more, got None"),
    (
        {"text": "x", "fault": faults.reset},
        "fault: must be a fault, such as faults.reset(after=1), got <function reset at *>",
    ),
    (
        {"text": "x", "fault": OSError()},
        "fault: must be a fault, such as faults.reset(after=1), got OSError()",
    ),
    ({"fault": faults.reset()}, "fault: faults.reset() spoils a body, and this reply has none"),
    (
        {"status": 204, "fault": faults.truncated()},
        "fault: faults.truncated() spoils a body, and this reply has none",
    ),
    (
        {"text": "abc", "fault": faults.reset(after=4)},
        "fault: faults.reset(after=4) never comes, the body has 3 bytes",
    ),
    (
        {"text": "", "fault": faults.truncated()},
        "fault: faults.truncated() needs a body of one byte at least",
    ),
    *(
        (
            {"text": "x", "fault": fault},
            f"fault: {fault} leaves no reply to spoil; use fail({fault})",
        )
        for fault in (
            faults.refused(),
            faults.unreachable(),
            faults.dns(),
            faults.tls(),
            faults.certificate(),
            faults.proxy(),
            faults.garbage(),
            faults.header_too_long(),
        )
    ),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG, ids=[text for _, text in WRONG])
def test_what_cannot_be_served_is_refused_with_the_argument_s_name(arguments, text):
    """A wrong argument is a RouteError where the reply is made; a star stands for other words."""
    with pytest.raises(RouteError) as caught:
        Reply(**arguments)

    before, star, after = text.partition("*")
    shown = str(caught.value)
    if star:
        assert (before, after) == (shown[: len(before)], shown[len(shown) - len(after) :])
    else:
        assert text == shown


BODY_FAULTS = [
    faults.disconnect(3),
    faults.reset(3),
    faults.stall(0),
    faults.drip(10),
    faults.truncated(),
    faults.bad_chunk(),
    faults.bad_gzip(),
]


@pytest.mark.parametrize("fault", BODY_FAULTS, ids=str)
@pytest.mark.parametrize(
    "body", [{"json": {}, "reason": "x"}, {"text": "abc"}, {"body": b"abc"}, {"stream": generate}]
)
def test_a_fault_of_the_body_goes_with_any_body(fault, body):
    """The reply keeps the fault, and its own head and body are those without it."""
    if body.get("json") == {} and fault.after:
        body = {"json": {"a": 1}}
    reply = Reply(fault=fault, **body)

    assert fault is reply.fault
    assert Reply(**body).encode("GET", HTTP_1_1) == reply.encode("GET", HTTP_1_1)


def test_deep_json_is_refused_and_not_a_crash():
    """What the encoder's recursion cannot reach cannot be serialised."""
    deep = []
    for _ in range(50_000):
        deep = [deep]

    with pytest.raises(RouteError, match="json: cannot be serialised"):
        Reply(json=deep)
    while deep:  # Taken apart by hand: the collector of some versions would recurse.
        deep = deep[0]
    gc.collect()


# ------------------------------------------------------------------------------ server-sent events


EVENTS = [
    # arguments, bytes, event as a browser would dispatch it: (type, data, last id)
    ({}, b"data: \n\n", ("message", "", "")),
    ({"data": "hi"}, b"data: hi\n\n", ("message", "hi", "")),
    ({"data": " hi "}, b"data:  hi \n\n", ("message", " hi ", "")),
    ({"data": "é\u2028x"}, "data: é\u2028x\n\n".encode(), ("message", "é\u2028x", "")),
    ({"data": "a\nb"}, b"data: a\ndata: b\n\n", ("message", "a\nb", "")),
    (
        {"data": "a\r\nb\rc\n"},
        b"data: a\ndata: b\ndata: c\ndata: \n\n",
        ("message", "a\nb\nc\n", ""),
    ),
    ({"data": "x", "event": "add"}, b"event: add\ndata: x\n\n", ("add", "x", "")),
    ({"data": "x", "id": "7"}, b"id: 7\ndata: x\n\n", ("message", "x", "7")),
    ({"data": "x", "id": ""}, b"id: \ndata: x\n\n", ("message", "x", "")),
    ({"data": "x", "retry": 0}, b"retry: 0\ndata: x\n\n", ("message", "x", "")),
    (
        {"data": json.dumps({"a": 1}), "event": "e", "id": "i: j", "retry": 3000},
        b'event: e\nid: i: j\nretry: 3000\ndata: {"a": 1}\n\n',
        ("e", '{"a": 1}', "i: j"),
    ),
]


def dispatch(stream):
    """Read one event as the WHATWG standard's section 9.2.6 has it."""
    kind, data, last_id = "", "", ""
    for line in stream.decode().split("\n"):
        if not line:
            return (kind or "message", data.removesuffix("\n"), last_id)
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data += value + "\n"
        elif field == "id":
            last_id = value
    return None


@pytest.mark.parametrize(("arguments", "expected", "event"), EVENTS)
def test_an_event_is_written_as_the_standard_reads_it(arguments, expected, event):
    """The bytes are one event, and its data comes out line by line as it went in."""
    written = sse(**arguments)

    assert expected == written
    assert event == dispatch(written)


WRONG_EVENTS = [
    ({"data": b"x"}, "data: must be a str, got b'x'"),
    ({"data": {"a": 1}}, "data: must be a str, got {'a': 1}"),
    ({"data": "\ud800"}, "data: cannot be encoded: *"),
    ({"event": "a\nb"}, "event: must be a str of one line, got 'a\\nb'"),
    ({"event": 1}, "event: must be a str of one line, got 1"),
    ({"id": "a\rb"}, "id: must be a str of one line, got 'a\\rb'"),
    ({"id": "a\0b"}, "id: must be a str of one line, got 'a\\x00b'"),
    ({"id": 1}, "id: must be a str of one line, got 1"),
    ({"retry": -1}, "retry: must be an int of 0 or more (milliseconds), got -1"),
    ({"retry": 1.5}, "retry: must be an int of 0 or more (milliseconds), got 1.5"),
    ({"retry": True}, "retry: must be an int of 0 or more (milliseconds), got True"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG_EVENTS)
def test_an_event_that_would_be_read_as_another_is_refused(arguments, text):
    """A field with a line end in it, or of the wrong type, is a RouteError."""
    with pytest.raises(RouteError) as caught:
        sse(**arguments)

    before, star, _ = text.partition("*")
    assert before == (str(caught.value)[: len(before)] if star else str(caught.value))
