"""What the app sees of replies: status, headers, bodies, codings, streams."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp

from .actions import reply
from .harness import App, New, Scenario, ask, get, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BIG = bytes(range(256)) * 4096  # 1 MiB
PLAIN_GZIP = gzip.compress(b"squeezed " * 100, mtime=0)
GZIP = {"Content-Encoding": "gzip"}


async def as_text(response: aiohttp.ClientResponse) -> object:
    """Decode the body with the charset of the reply."""
    return await response.text()


async def as_json(response: aiohttp.ClientResponse) -> object:
    """Parse the body."""
    return await response.json()


async def as_json_whatever_type(response: aiohttp.ClientResponse) -> object:
    """Parse the body without a look at its content type."""
    return await response.json(content_type=None)


async def as_json_or_error(response: aiohttp.ClientResponse) -> object:
    """Parse the body, or give the exception."""
    try:
        return await response.json()
    except (aiohttp.ContentTypeError, ValueError) as error:
        return error


async def as_text_or_error(response: aiohttp.ClientResponse) -> object:
    """Decode the body, or give the exception."""
    try:
        return await response.text()
    except (LookupError, UnicodeDecodeError) as error:
        return error


async def by_chunk(response: aiohttp.ClientResponse) -> object:
    """Read with the chunk borders of the wire."""
    return [list(chunk) async for chunk in response.content.iter_chunks()]


async def by_arrival(response: aiohttp.ClientResponse) -> object:
    """Read whatever is there."""
    return [piece async for piece in response.content.iter_any()]


async def by_line(response: aiohttp.ClientResponse) -> object:
    """Read line by line."""
    return [line async for line in response.content]


async def by_size(response: aiohttp.ClientResponse) -> object:
    """Read four bytes at a time."""
    return [piece async for piece in response.content.iter_chunked(4)]


async def exactly(response: aiohttp.ClientResponse) -> object:
    """Read four bytes, then more than there are."""
    begun = await response.content.readexactly(4)
    try:
        await response.content.readexactly(1000)
    except asyncio.IncompleteReadError as error:
        return [begun, error.partial, error.expected]
    return begun


async def until_comma(response: aiohttp.ClientResponse) -> object:
    """Read up to each comma."""
    pieces = []
    while piece := await response.content.readuntil(b","):
        pieces.append(piece)
    return pieces


async def twice(response: aiohttp.ClientResponse) -> object:
    """Read the body two times."""
    return [await response.read(), await response.read(), await response.text()]


async def unread(response: aiohttp.ClientResponse) -> object:
    """Leave the body alone."""
    return None


async def three_pieces() -> AsyncIterator[bytes]:
    """Send three pieces with a pause between them."""
    for piece in (b"one ", b"two ", b"three"):
        yield piece
        await asyncio.sleep(0.002)


def lines() -> list[bytes]:
    """Give pieces that don't end where lines do."""
    return [b"first\nsec", b"ond\n", b"third"]


def with_empty_pieces() -> list[bytes]:
    """Give a stream with nothing in some of its pieces."""
    return [b"", b"a", b"", b"b", b""]


def json_lines() -> list[bytes]:
    """Give a stream of JSON documents, one a line."""
    return [json.dumps({"n": n}).encode() + b"\n" for n in range(3)]


def big_pieces() -> list[bytes]:
    """Give a stream that is larger than every buffer on its way."""
    return [BIG[:65536]] * 16


async def by_json_line(response: aiohttp.ClientResponse) -> object:
    """Parse each line."""
    return [json.loads(line) async for line in response.content]


async def the_first_piece(response: aiohttp.ClientResponse) -> object:
    """Read one piece and leave the rest."""
    return await response.content.readany()


async def released_early(app: App) -> None:
    """Release a response without having read it, and ask again."""
    async with app.session() as session:
        async with session.get(app.url("/")) as response:
            response.release()
            app.note("released", [response.closed, response.connection is None])
            await app.attempt("read after release", response.read())
        await app.ask(session, "GET", "/again")


async def closed_early(app: App) -> None:
    """Close a response without having read it, and ask again."""
    async with app.session() as session:
        response = await session.get(app.url("/"))
        response.close()
        app.note("closed", [response.closed, response.connection is None])
        await app.attempt("read after close", response.read())
        await app.ask(session, "GET", "/again")


async def read_after_release(app: App) -> None:
    """Read a body, leave the response, and read it again."""
    async with app.session() as session:
        async with session.get(app.url("/")) as response:
            await response.read()
        await app.attempt("read", response.read())
        await app.attempt("text", response.text())


async def read_after_session(app: App) -> None:
    """Read a body when its session is closed already."""
    async with app.session() as session:
        response = await session.get(app.url("/"))
    await app.attempt("read", response.read())


async def awaited_without_context(app: App) -> None:
    """Await a request instead of entering it."""
    async with app.session() as session:
        response = await session.get(app.url("/"))
        app.note("json", await response.json())
        app.note("closed", [response.closed, response.connection is None])


async def waited_for_close(app: App) -> None:
    """Wait until a response has given its connection back."""
    async with app.session() as session, session.get(app.url("/")) as response:
        await response.read()
        await response.wait_for_close()
        app.note("closed", response.closed)


class Shouting(aiohttp.ClientResponse):
    """Be a response class of the app's own."""

    async def shout(self) -> str:
        """Read the text in capitals."""
        return (await self.text()).upper()


async def shouted(response: aiohttp.ClientResponse) -> object:
    """Use the response class of the session."""
    assert isinstance(response, Shouting)
    return await response.shout()


STATUSES = (
    *(200, 201, 202, 203, 205, 206, 226, 300, 400, 401, 403, 404, 409, 410, 418),
    *(422, 429, 451, 500, 501, 502, 503, 504, 511, 599),
)


async def every_status(app: App) -> None:
    """Ask once for each status."""
    async with app.session() as session:
        for status in STATUSES:
            await app.ask(session, "GET", f"/{status}")


def typed(content_type: str, body: bytes, **headers: str) -> Any:
    """Reply with bytes of a declared type."""
    return reply(body=body, headers={"Content-Type": content_type, **headers})


SCENARIOS = [
    Scenario("a reply with no arguments", [reply()], get()),
    Scenario("a JSON object", [reply(json={"ok": True, "n": 1.5})], get(read=as_json)),
    Scenario("a JSON null", [reply(json=None)], get(read=as_json)),
    Scenario("JSON with text beyond ASCII", [reply(json={"naïve": "☃"})], get(read=as_json)),
    Scenario("a text", [reply(text="hello")], get(read=as_text)),
    Scenario("a text beyond ASCII", [reply(text="žluťoučký kůň ☃")], get(read=as_text)),
    Scenario("an empty text", [reply(text="")], get(read=as_text)),
    Scenario("bytes", [reply(body=b"\x00\x01\xff")], get()),
    Scenario("empty bytes", [reply(body=b"")], get()),
    Scenario("a body of 1 MB", [reply(body=BIG)], get()),
    Scenario("every status has its own reason", [reply(s) for s in STATUSES], every_status),
    Scenario("a reason of one's own", [reply(404, reason="Nobody Home")], get()),
    Scenario("an empty reason", [reply(200, reason="")], get()),
    Scenario("a status without a phrase", [reply(299)], get()),
    Scenario("an error with a body", [reply(500, json={"error": "late"})], get(read=as_json)),
    Scenario("204 has no body", [reply(204)], get()),
    Scenario("304 has no body", [reply(304, headers={"ETag": '"x"'})], get()),
    Scenario("204 to a POST", [reply(204)], post(data=b"x")),
    Scenario("a reply to HEAD announces the length", [reply(text="hello")], ask("HEAD")),
    Scenario("a reply to HEAD without a body", [reply()], ask("HEAD")),
    Scenario("a reply to HEAD announces the chunking", [reply(stream=lambda: [b"a"])], ask("HEAD")),
    Scenario("a reply to OPTIONS", [reply(204, headers={"Allow": "GET, POST"})], ask("OPTIONS")),
    Scenario("a reply to DELETE", [reply(json={"gone": 1})], ask("DELETE")),
    Scenario("a reply to PATCH", [reply(json={"new": 1})], ask("PATCH", json={"a": 1})),
    Scenario("a reply to a method of one's own", [reply(207)], ask("PROPFIND")),
    Scenario(
        "headers keep their order, case and duplicates",
        [reply(text="x", headers=[("X-B", "1"), ("x-a", "2"), ("X-B", "3"), ("ETag", '"e"')])],
        get(),
    ),
    Scenario("a header beyond ASCII", [reply(headers={"X-Name": "Žofie"})], get()),
    Scenario("an empty header", [reply(headers={"X-Empty": ""})], get()),
    Scenario("a header with spaces around it", [reply(headers={"X-Padded": "  a b  "})], get()),
    Scenario(
        "links",
        [reply(headers={"Link": '</b>; rel="next", <http://x.test/>; rel=last'})],
        get("/a/"),
    ),
    Scenario(
        "a content disposition",
        [typed("text/csv", b"a,b", **{"Content-Disposition": 'attachment; filename="a.csv"'})],
        get(),
    ),
    Scenario(
        "the user's content type wins over that of the kind",
        [reply(json={"a": 1}, headers={"Content-Type": "application/problem+json"})],
        get(read=as_json_whatever_type),
    ),
    Scenario(
        "a content type of text gets a charset",
        [reply(text="<p>☃</p>", content_type="text/html")],
        get(read=as_text),
    ),
    Scenario(
        "a text is encoded as its content type says",
        [reply(text="café", content_type="text/plain; charset=latin-1")],
        get(read=as_text),
    ),
    Scenario(
        "a text in UTF-16",
        [reply(text="☃", content_type="text/plain; charset=utf-16")],
        get(read=as_text),
    ),
    Scenario(
        "a charset that nobody knows",
        [typed("text/plain; charset=klingon", b"abc")],
        get(read=as_text_or_error),
    ),
    Scenario(
        "a body that is not in its charset",
        [typed("text/plain; charset=utf-8", b"caf\xe9")],
        get(read=as_text_or_error),
    ),
    Scenario(
        "a text without a charset",
        [typed("text/plain", "☃".encode())],
        get(read=as_text),
    ),
    Scenario("JSON of another type", [reply(text="{}")], get(read=as_json_or_error)),
    Scenario("broken JSON", [typed("application/json", b'{"a": ')], get(read=as_json_or_error)),
    Scenario("an empty body as JSON", [reply()], get(read=as_json_or_error)),
    Scenario(
        "JSON of a type with a suffix",
        [typed("application/vnd.api+json", b"[1]")],
        get(read=as_json),
    ),
    Scenario(
        "gzip is undone",
        [reply(body=PLAIN_GZIP, content_type="text/plain; charset=utf-8", headers=GZIP)],
        get(read=as_text),
    ),
    Scenario(
        "gzip is left alone without auto_decompress",
        [reply(body=PLAIN_GZIP, headers=GZIP)],
        get(session={"auto_decompress": False}),
    ),
    Scenario(
        "gzip in chunks",
        [reply(stream=lambda: [PLAIN_GZIP[:7], PLAIN_GZIP[7:]], headers=GZIP)],
        get(),
    ),
    Scenario(
        "deflate is undone",
        [reply(body=zlib.compress(b"deflated"), headers={"Content-Encoding": "deflate"})],
        get(),
    ),
    Scenario(
        "raw deflate is undone",
        [reply(body=zlib.compress(b"deflated")[2:-4], headers={"Content-Encoding": "deflate"})],
        get(),
    ),
    Scenario(
        "a reply compressed with gzip",
        [reply(text="again and again " * 50, compress="gzip")],
        get(read=as_text),
        tidy={r"Content-Length: \d+": "Content-Length: n", r"^\d\d$": "n"},
    ),
    Scenario(
        "a reply compressed with deflate",
        [reply(json=[0] * 100, compress="deflate")],
        get(read=as_json),
        tidy={r"Content-Length: \d+": "Content-Length: n", r"^\d\d$": "n"},
    ),
    Scenario("a stream by its chunks", [reply(stream=lambda: [b"ab", b"c"])], get(read=by_chunk)),
    Scenario("a stream as it arrives", [reply(stream=three_pieces)], get(read=by_arrival)),
    Scenario("a stream read whole", [reply(stream=three_pieces)], get()),
    Scenario("a stream by lines", [reply(stream=lines)], get(read=by_line)),
    Scenario("a stream by size", [reply(stream=lambda: [b"abcdefghij"])], get(read=by_size)),
    Scenario("an empty stream", [reply(stream=list)], get(read=by_chunk)),
    Scenario(
        "empty pieces of a stream are skipped",
        [reply(stream=with_empty_pieces)],
        get(read=by_chunk),
    ),
    Scenario("a stream of JSON lines", [reply(stream=json_lines)], get(read=by_json_line)),
    Scenario("a stream of 1 MB", [reply(stream=big_pieces)], get()),
    Scenario(
        "a stream with a length is not chunked",
        [reply(stream=lambda: [b"ab", b"cd"], headers={"Content-Length": "4"})],
        get(),
    ),
    Scenario(
        "a stream with a content type",
        [reply(stream=lambda: [b"data: x\n\n"], content_type="application/x-ndjson")],
        get(read=by_line),
    ),
    Scenario("a body read exactly", [reply(body=b"0123456789")], get(read=exactly)),
    Scenario("a body read up to a separator", [reply(body=b"a,b,c")], get(read=until_comma)),
    Scenario("a body by lines", [reply(text="one\ntwo\n\nlast")], get(read=by_line)),
    Scenario("a body read twice", [reply(text="same")], get(read=twice)),
    Scenario("a small body left unread", [reply(text="left")], get(read=unread)),
    Scenario("a body of 1 MB left unread", [reply(body=BIG)], get(read=unread)),
    Scenario(
        "a stream left after its first piece",
        [reply(stream=three_pieces)],
        get(read=the_first_piece),
    ),
    Scenario("a response released unread", [reply(text="a"), reply(text="b")], released_early),
    Scenario("a response closed unread", [reply(text="a"), reply(text="b")], closed_early),
    Scenario("a response of 1 MB closed unread", [reply(body=BIG), reply(text="b")], closed_early),
    Scenario("a response read after its release", [reply(text="a")], read_after_release),
    Scenario(
        "a response read after its session", [reply(body=BIG)], read_after_session, since=(3, 10)
    ),
    Scenario("a small response read after its session", [reply(text="a")], read_after_session),
    Scenario("a request awaited", [reply(json=[1])], awaited_without_context),
    Scenario("a response waited for", [reply(text="a")], waited_for_close),
    Scenario(
        "a response class of one's own",
        [reply(text="hello")],
        get(read=shouted, session={"response_class": Shouting}),
    ),
    Scenario("a file as the body of a reply", [reply(file=__file__)], get()),
    Scenario(
        "a length of HEAD that no body has",
        [reply(headers={"Content-Length": "1234"})],
        ask("HEAD"),
    ),
    Scenario(
        "a length that is too long",
        [reply(body=b"abc", headers={"Content-Length": "5"})],
        get(),
    ),
    Scenario(
        "a length that is too short",
        [reply(body=b"abcde", headers={"Content-Length": "3"})],
        get(),
    ),
    Scenario(
        "a text is encoded as its header says",
        [reply(text="café", headers={"Content-Type": "text/html; charset=latin-1"})],
        get(read=as_text),
    ),
    Scenario(
        "HTTP/1.0 with a stream that is not read until its end",
        [reply(stream=three_pieces)],
        get(session={"version": aiohttp.HttpVersion10}, read_until_eof=False),
    ),
    Scenario(
        "a reply that asks to close",
        [reply(text="bye", headers={"Connection": "close"})],
        get(),
    ),
    Scenario("a reply after a delay", [reply(text="late", delay=0.03)], get()),
    Scenario(
        "a session without tracing",
        [reply(json={"ok": True})],
        get(read=as_json, session={"trace": False}),
    ),
    Scenario(
        "a session without tracing and a stream",
        [reply(stream=three_pieces)],
        get(read=by_chunk, session={"trace": False}),
    ),
    Scenario(
        "HTTP/1.0 with a length",
        [reply(text="old")],
        get(session={"version": aiohttp.HttpVersion10}),
    ),
    Scenario(
        "HTTP/1.0 with a stream ends with the connection",
        [reply(stream=three_pieces)],
        get(session={"version": aiohttp.HttpVersion10}),
    ),
    Scenario(
        "a small read buffer",
        [reply(body=BIG)],
        get(session={"read_bufsize": 1024}),
    ),
    Scenario(
        "a small read buffer for one request",
        [reply(body=BIG)],
        get(read_bufsize=2048),
    ),
    Scenario(
        "a timeout object of the session",
        [reply()],
        get(session={"timeout": New(aiohttp.ClientTimeout, total=5, sock_read=2)}),
    ),
]
