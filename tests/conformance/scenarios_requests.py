"""What the far end gets: request lines, headers, bodies, and the log of them."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO

import aiohttp
from yarl import URL

from .actions import reply
from .harness import App, New, Scenario, ask, get, post, put
from .scenarios_replies import as_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OK = [reply(text="ok")]
BIG = b"0123456789abcdef" * 65536  # 1 MiB
STILL_WRITING = {"^(held|gone)$": "held until aiohttp is done with writing"}
BOUNDARY = {r"\b[0-9a-f]{32}\b": "boundary"}


async def pieces() -> AsyncIterator[bytes]:
    """Produce a body of unknown length."""
    for piece in (b"first", b"", b"second"):
        yield piece


async def slow_pieces() -> AsyncIterator[bytes]:
    """Produce a body with pauses in it."""
    for piece in (b"first ", b"second ", b"third"):
        yield piece
        await asyncio.sleep(0.002)


async def big_pieces() -> AsyncIterator[bytes]:
    """Produce 1 MB in 64 KB pieces."""
    for start in range(0, len(BIG), 65536):
        yield BIG[start : start + 65536]


async def nothing() -> AsyncIterator[bytes]:
    """Produce an empty body."""
    nothing: list[bytes] = []
    for piece in nothing:
        yield piece


async def breaks() -> AsyncIterator[bytes]:
    """Produce a piece and then fail."""
    yield b"first"
    raise ValueError("the body is broken")


def simple_form() -> aiohttp.FormData:
    """Make an urlencoded form."""
    form = aiohttp.FormData({"name": "Ada", "born": "1815"})
    form.add_field("motto", "a + b = č")
    return form


def upload_form() -> aiohttp.FormData:
    """Make a form with a file in it."""
    form = aiohttp.FormData()
    form.add_field("title", "notes")
    form.add_field("file", b"\x00\x01", filename="n.bin", content_type="application/x-notes")
    form.add_field("text", io.StringIO("żółw"), filename="żółw.txt", content_type="text/plain")
    return form


def mixed_parts() -> aiohttp.MultipartWriter:
    """Make a multipart body that is no form."""
    writer = aiohttp.MultipartWriter("mixed", boundary="fixed")
    writer.append("text")
    writer.append_json({"a": 1})
    writer.append(b"bytes", {"X-Part": "3"})
    return writer


def filled(content: bytes) -> BinaryIO:
    """Open a temporary file, which aiohttp closes."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def a_file() -> BinaryIO:
    """Open a file with something in it."""
    return filled(b"from a file")


def a_big_file() -> BinaryIO:
    """Open a file of 1 MB."""
    return filled(BIG)


def compact(value: object) -> str:
    """Serialise without spaces, keys sorted."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def synchronous() -> Iterator[bytes]:
    """Produce a body without being async, which aiohttp only takes from files."""
    yield b"x"


class Stamped(aiohttp.ClientRequest):
    """Be a request class of the app's own."""

    def update_auto_headers(self, *args: Any, **kwargs: Any) -> None:
        """Add a header to every request."""
        super().update_auto_headers(*args, **kwargs)
        self.headers["X-Stamp"] = "1"


ODD_PATHS = (
    "/a b/ü?q=a b&r=ü",
    "/%C3%BC/%2F?q=%26&r=%2B+",
    "/a//b/../c/./d",
    "/;p=1,2:3@x!$'()*",
    "/?",
    "/?a&b=&=c",
    "/?a=1&a=2&b=3&a=4",
    '/q?x=[1]{2}|\\^`"<>',
    "/frag?x=1#there",
    "/percent%zz%2",
    "/%E2%98%83",
    "/plus+plus?plus+plus",
    "",
)


async def odd_paths(app: App) -> None:
    """Ask for paths that aiohttp requotes."""
    async with app.session() as session:
        for path in ODD_PATHS:
            await app.ask(session, "GET", app.base + path)


async def encoded_paths(app: App) -> None:
    """Ask for URLs that are encoded already, or claim to be."""
    async with app.session() as session:
        for path in ("/a%2Fb?c=%2B", "/%7Euser", "/a?b=c%20d+e", "/x%c3%bc"):
            await app.ask(session, "GET", URL(app.base + path, encoded=True))


async def params_of_all_kinds(app: App) -> None:
    """Pass params in each of the forms that aiohttp takes."""
    async with app.session() as session:
        for params in (
            {"a": "1", "b": 2, "c": 1.5},
            [("a", "1"), ("a", "2")],
            "raw=1&x=%20",
            {"q": "a b&c=d/é+"},
            {"many": ["1", "2"]},
            {},
        ):
            await app.ask(session, "GET", "/p?z=0&a=9", params=params)


async def params_that_fail(app: App) -> None:
    """Pass params that aiohttp refuses."""
    async with app.session() as session:
        for params in ({"a": None}, {"a": True}, {"a": object}):
            await app.attempt("refused", session.get(app.url("/"), params=params))


async def addressed_by_ip(app: App) -> None:
    """Ask the address instead of the name."""
    async with app.session() as session:
        await app.ask(session, "GET", str(URL(app.base).with_host("127.0.0.1")))


async def both_bodies(app: App) -> None:
    """Pass data and JSON, which aiohttp refuses, and then one of them."""
    async with app.session() as session:
        await app.ask(session, "POST", "/", data=b"x", json={})
        await app.ask(session, "POST", "/", data=b"x")


async def urls_that_are_none(app: App) -> None:
    """Ask for what is no URL, and then for one."""
    async with app.session() as session:
        for url in ("nowhere", "http:///path", "http://:80/"):
            await app.ask(session, "GET", url, bare=True)
        await app.ask(session, "GET", "/")


async def upper_case_methods(app: App) -> None:
    """Spell methods in lower case."""
    async with app.session() as session:
        for method in ("get", "Post", "QuErY"):
            await app.ask(session, method, "/")


async def by_name(app: App) -> None:
    """Use each method's own function."""
    async with app.session() as session:
        for name in ("get", "post", "put", "patch", "delete", "head", "options"):
            async with getattr(session, name)(app.url("/" + name)) as response:
                app.note(name, [response.method, response.status, await response.read()])


async def without_session(app: App) -> None:
    """Use the function of the module, with a connector."""
    async with (
        app.connector() as connector,
        aiohttp.request("GET", app.url("/"), connector=connector) as response,
    ):
        app.note("read", await response.text())


async def a_payload_twice(app: App) -> None:
    """Send one payload object in two requests."""
    async with app.session() as session:
        payload = aiohttp.BytesPayload(b"again", headers={"X-Payload": "1"})
        await app.ask(session, "PUT", "/1", data=payload)
        await app.ask(session, "PUT", "/2", data=payload)


SCENARIOS = [
    Scenario("a plain GET", OK, get(read=as_text)),
    Scenario("odd paths and queries", [reply(times=len(ODD_PATHS))], odd_paths),
    Scenario("URLs that are encoded already", [reply(times=4)], encoded_paths),
    Scenario("params of all kinds", [reply(times=6)], params_of_all_kinds),
    Scenario("params that aiohttp refuses", [], params_that_fail),
    Scenario("an address for a name", OK, addressed_by_ip),
    Scenario("what is no URL never gets anywhere", OK, urls_that_are_none),
    Scenario("another scheme is refused", [], get("ftp://api.test/"), since=(3, 10)),
    Scenario("methods in lower case", [reply(times=3)], upper_case_methods),
    Scenario("every method by its name", [reply(text="x", times=7)], by_name),
    Scenario("a request without a session", OK, without_session),
    Scenario("a host beyond ASCII", OK, get(), host="bücher.test"),
    Scenario("a host in capitals", OK, get(), host="API.Test"),
    Scenario("a host with a dot after it", OK, get(), host="api.test."),
    Scenario(
        "headers in order, with case and duplicates",
        OK,
        get(headers=[("X-B", "1"), ("x-a", "2"), ("X-B", "3")]),
    ),
    Scenario(
        "headers of the session and of the request",
        OK,
        get(session={"headers": {"X-S": "s", "X-Both": "s"}}, headers={"x-both": "r"}),
    ),
    Scenario("a request header beyond ASCII", OK, get(headers={"X-Name": "Žofie"})),
    Scenario(
        "a header with a newline is refused",
        [reply()],
        get(headers={"X-Bad": "a\r\nX: b"}),
        written=False,
        log=False,
    ),
    Scenario(
        "a header that is no text is refused",
        [reply()],
        get(headers={"X-Bad": 1}),
        written=False,
        log=False,
    ),
    Scenario("a host header of one's own", OK, get(headers={"Host": "elsewhere.test"})),
    Scenario("a user agent of one's own", OK, get(headers={"User-Agent": "mine/1"})),
    Scenario(
        "automatic headers skipped by the session",
        OK,
        get(session={"skip_auto_headers": ["User-Agent", "Accept-Encoding"]}),
    ),
    Scenario(
        "automatic headers skipped by the request",
        OK,
        post(data=b"x", skip_auto_headers={"Content-Type", "accept"}),
    ),
    Scenario("a connection header of one's own", OK, get(headers={"Connection": "close"})),
    Scenario("HTTP/1.0", OK, post(data=b"x", session={"version": aiohttp.HttpVersion10})),
    Scenario("a POST without a body", OK, post()),
    Scenario("a POST of bytes", OK, post(data=b"\x00bytes\xff")),
    Scenario("a POST of empty bytes", OK, post(data=b"")),
    Scenario("a POST of text", OK, post(data="žluťoučký")),
    Scenario(
        "a POST of text in a charset of its own",
        OK,
        post(data="é", headers={"Content-Type": "text/plain; charset=latin-1"}),
    ),
    Scenario("a POST of a bytearray", OK, post(data=New(bytearray, b"array"))),
    Scenario("a POST of 1 MB", OK, post(data=BIG), tidy=STILL_WRITING),
    Scenario("a POST of JSON", OK, post(json={"a": [1, None, "é"]})),
    Scenario("a POST of JSON that is null", OK, post(json=None)),
    Scenario("a POST of JSON that is false", OK, post(json=False)),
    Scenario(
        "JSON by a serialiser of one's own",
        OK,
        post(json={"b": 1, "a": 2}, session={"json_serialize": compact}),
    ),
    Scenario(
        "JSON with a content type of one's own",
        OK,
        post(json={}, headers={"Content-Type": "application/vnd.api+json"}),
    ),
    Scenario("a PUT of JSON", OK, put(json=[1])),
    Scenario("a GET with a body", OK, get(json={"query": 1})),
    Scenario("a DELETE with a body", OK, ask("DELETE", data=b"all")),
    Scenario("data and JSON at once are refused", OK, both_bodies),
    Scenario("a mapping as a form", OK, post(data={"a": "1 2", "b": "č&d"})),
    Scenario("pairs as a form", OK, post(data=[("a", "1"), ("a", "2")])),
    Scenario("a form", OK, post(data=New(simple_form))),
    Scenario("a form with files", OK, post(data=New(upload_form)), tidy=BOUNDARY),
    Scenario(
        "a mapping with a file in it is multipart",
        OK,
        post(data=New(lambda: {"f": io.BytesIO(b"bytes"), "n": "1"})),
        tidy=BOUNDARY,
    ),
    Scenario(
        "a form that is multipart without a file",
        OK,
        post(data=New(aiohttp.FormData, {"a": "1"}, default_to_multipart=True)),
        tidy=BOUNDARY,
        since=(3, 12),
    ),
    Scenario("parts of one's own", OK, post(data=New(mixed_parts))),
    Scenario("an async generator", OK, post(data=New(pieces))),
    Scenario("an async generator with pauses", OK, post(data=New(slow_pieces))),
    Scenario("an async generator of 1 MB", OK, post(data=New(big_pieces)), tidy=STILL_WRITING),
    Scenario("an async generator of nothing", OK, post(data=New(nothing))),
    Scenario(
        "an async generator with a length",
        OK,
        post(data=New(pieces), headers={"Content-Length": "11"}),
    ),
    Scenario("a file", OK, post(data=New(a_file)), tidy=STILL_WRITING),
    Scenario("a file of 1 MB", OK, put(data=New(a_big_file)), tidy=STILL_WRITING),
    Scenario("a file in memory", OK, post(data=New(io.BytesIO, b"in memory")), tidy=STILL_WRITING),
    Scenario(
        "a text file in memory", OK, post(data=New(io.StringIO, "in memory č")), tidy=STILL_WRITING
    ),
    Scenario("a payload sent twice", [reply(times=2)], a_payload_twice),
    Scenario("bytes sent in chunks", OK, post(data=b"chunked", chunked=True)),
    Scenario("JSON sent in chunks", OK, post(json={"a": 1}, chunked=True)),
    Scenario("a body compressed with deflate", OK, post(data=b"x" * 1000, compress="deflate")),
    Scenario("a body compressed with gzip", OK, post(data=b"x" * 1000, compress="gzip")),
    Scenario("a body compressed by default", OK, post(data=b"x" * 1000, compress=True)),
    Scenario("an async generator compressed", OK, post(data=New(pieces), compress="deflate")),
    Scenario(
        "a body compressed by the app itself",
        OK,
        post(data=b"x\x9c", headers={"Content-Encoding": "deflate"}),
    ),
    Scenario("a body expected with 100", OK, post(data=b"patience", expect100=True)),
    Scenario(
        "an async generator expected with 100", OK, post(data=New(slow_pieces), expect100=True)
    ),
    Scenario("100 expected by a header", OK, post(data=b"x", headers={"Expect": "100-continue"})),
    Scenario("100 expected without a body", OK, get(expect100=True)),
    Scenario("a request class of one's own", OK, get(session={"request_class": Stamped})),
]
