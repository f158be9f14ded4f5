"""What goes wrong on the network, and what aiohttp makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from .actions import Reply, fail, fault, reply
from .harness import App, Client, New, Scenario, ask, get, post
from .scenarios_connections import SOCK_READ, TOTAL
from .scenarios_replies import BIG, as_json, as_text
from .scenarios_requests import pieces
from .scenarios_sessions import calls

METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "POST", "PATCH")
BODY = b"0123456789" * 10


async def piece_by_piece(response: aiohttp.ClientResponse) -> object:
    """Collect what arrives until it breaks off."""
    received = b""
    try:
        async for piece in response.content.iter_any():
            received += piece
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        return [received, error, response.closed, response.connection is None]
    return received


async def read_twice(response: aiohttp.ClientResponse) -> object:
    """Read a broken body two times."""
    first = await asyncio.gather(response.read(), return_exceptions=True)
    return first + await asyncio.gather(response.read(), return_exceptions=True)


def only_the_error(**kwargs: Any) -> Client:
    """Make a client that notes no more than what goes wrong."""

    async def client(app: App) -> None:
        async with app.session() as session:
            try:
                async with session.get(app.url("/"), **kwargs) as response:
                    app.note("status", response.status)
                    await response.read()
            except (aiohttp.ClientError, asyncio.TimeoutError) as error:
                app.note("error", error)

    return client


async def caught_by_class(app: App) -> None:
    """Note which of the classes that apps catch a failure belongs to."""
    async with app.session() as session:
        try:
            await session.post(app.url("/"))
        except Exception as error:  # noqa: BLE001 - its class is the result
            caught = (
                aiohttp.ClientError,
                aiohttp.ClientConnectionError,
                aiohttp.ClientOSError,
                aiohttp.ClientConnectorError,
                aiohttp.ServerConnectionError,
                aiohttp.ServerDisconnectedError,
                OSError,
                ConnectionError,
                ConnectionResetError,
                asyncio.TimeoutError,
            )
            app.note("caught by", [kind.__name__ for kind in caught if isinstance(error, kind)])
            app.note("args", [str(arg) for arg in error.args])


def trying(times: int, method: str = "GET", **kwargs: Any) -> Client:
    """Make a client that retries by itself."""

    async def client(app: App) -> None:
        async with app.session() as session:
            for _ in range(times):
                await app.ask(session, method, "/", **kwargs)

    return client


async def used_then_dropped(app: App) -> None:
    """Use a connection that the far end drops before the next answer."""
    async with app.session() as session:
        await app.ask(session, "GET", "/1")
        await app.ask(session, "POST", "/2", data=b"x")
        await app.ask(session, "GET", "/3")


async def over_https(app: App) -> None:
    """Ask a server whose certificate is not asked for."""
    async with app.session() as session:
        await app.ask(session, "GET", "/", ssl=False)
        await app.ask(session, "POST", "/", data=b"x", ssl=False)


async def through_a_proxy(app: App) -> None:
    """Ask a proxy for the URL of another host."""
    async with app.session() as session:
        proxy = app.base.replace("api.test", "127.0.0.1")
        await app.ask(session, "GET", "http://other.test/a?b=c", proxy=proxy)
        await app.ask(
            session,
            "POST",
            "http://other.test/a",
            data=b"x",
            proxy=proxy,
            proxy_headers={"X-Proxy": "1"},
        )


async def through_a_refused_proxy(app: App) -> None:
    """Ask a proxy that isn't there."""
    async with app.session() as session:
        proxy = app.base.replace("api.test", "127.0.0.1")
        await app.ask(session, "GET", "http://other.test/a", proxy=proxy)


async def an_unread_failure(app: App) -> None:
    """Leave a body that breaks off unread, and ask again."""
    async with app.session() as session:
        async with session.get(app.url("/1")) as response:
            app.note("status", response.status)
        await app.ask(session, "GET", "/2")


def spoilt(name: str, body: bytes = BODY, **arguments: Any) -> Reply:
    """Reply with a fault in the body."""
    return reply(body=body, fault=fault(name, **arguments))


LOST = {
    "disconnect": aiohttp.ServerDisconnectedError,
    "reset": aiohttp.ClientOSError,
    "refused": aiohttp.ClientConnectorError,
}
HOW_LONG = {r"\(\d+\)|received \d+ of \d+": "(n)", r"Got more than \d+": "Got more than n"}
HOW_LONG |= {r"b'x+(\.\.\.)?'": "b'x'"}
SHOWN_BYTES = {r"(?s)(Bad status line|Invalid|Expected HTTP|400, message).*": r"\1..."}

SCENARIOS = [
    *(
        Scenario(
            f"the server hangs up before it answers {method}", [fail("disconnect")], ask(method)
        )
        for method in METHODS
    ),
    *(
        Scenario(f"the server resets before it answers {method}", [fail("reset")], ask(method))
        for method in METHODS
    ),
    *(
        Scenario(f"{kind.__name__} given as a class", [fail(name, raises=kind)], get())
        for name, kind in LOST.items()
    ),
    Scenario("a PUT of a body hangs up", [fail("disconnect")], ask("PUT", data=b"again")),
    Scenario("a PUT of JSON is reset", [fail("reset")], ask("PUT", json={"a": 1})),
    Scenario("a PUT of a body that is used up", [fail("disconnect")], ask("PUT", data=New(pieces))),
    Scenario("a POST of a body that is used up", [fail("disconnect")], post(data=New(pieces))),
    Scenario("what a dropped connection is caught by", [fail("disconnect")], caught_by_class),
    Scenario("what a reset is caught by", [fail("reset")], caught_by_class),
    Scenario("what a refused connection is caught by", [fail("refused")], caught_by_class),
    Scenario("what a failing lookup is caught by", [fail("dns")], caught_by_class),
    Scenario(
        "an app retries a GET",
        [fail("disconnect"), fail("reset"), reply(text="up")],
        trying(3),
    ),
    Scenario(
        "an app retries a POST",
        [fail("disconnect"), fail("reset"), reply(text="up")],
        trying(3, "POST", data=b"x"),
    ),
    Scenario("two failures of one step", [fail("disconnect", times=2), reply()], trying(3)),
    Scenario(
        "a stale connection that the app never notices",
        [reply(text="1"), fail("disconnect", attempts=1), reply(text="2")],
        calls("/1", "/2"),
        since=(3, 10),
    ),
    Scenario(
        "a stale connection after a reset",
        [reply(text="1"), fail("reset", attempts=1), reply(text="2")],
        calls("/1", "/2"),
        since=(3, 10),
    ),
    Scenario(
        "a stale connection and a POST",
        [reply(text="1"), fail("disconnect", attempts=1), reply(text="2")],
        calls("/1", "/2", "/3", method="POST"),
    ),
    Scenario(
        "a used connection is dropped",
        [reply(text="1"), fail("disconnect"), reply(text="3")],
        used_then_dropped,
    ),
    Scenario("a refused connection", [fail("refused")], get()),
    Scenario("a refused connection and a POST", [fail("refused")], post(json={"a": 1})),
    Scenario(
        "a refused connection and then a reply", [fail("refused"), reply(text="up")], trying(2)
    ),
    Scenario("an unreachable network", [fail("unreachable")], get()),
    Scenario("a name that does not resolve", [fail("dns")], get()),
    Scenario("a name that does not resolve, for a POST", [fail("dns")], post(data=b"x")),
    Scenario("a proxy that isn't there", [fail("proxy")], through_a_refused_proxy),
    Scenario("a proxy", [reply(text="proxied"), reply(201)], through_a_proxy),
    Scenario(
        "a certificate that nobody trusts",
        [fail("certificate")],
        get(),
        scheme="https",
    ),
    Scenario("no TLS at all", [fail("tls")], get(), scheme="https"),
    Scenario("HTTPS", [reply(text="sealed", times=2)], over_https, scheme="https"),
    *(
        Scenario(
            f"the body ends by {name} after {after} bytes",
            [spoilt(name, after=after)],
            get(read=read),
        )
        for name in ("disconnect", "reset")
        for after, read in ((0, piece_by_piece), (25, piece_by_piece), (25, as_text))
        if (after, read) != (25, as_text)
    ),
    Scenario("a broken body read whole", [spoilt("disconnect", after=25)], get()),
    Scenario("a broken body read twice", [spoilt("disconnect", after=25)], get(read=read_twice)),
    Scenario("a reset body read whole", [spoilt("reset", after=25)], get()),
    Scenario("a broken body of a POST", [spoilt("disconnect", after=25)], post(data=b"x")),
    Scenario(
        "a broken body left unread", [spoilt("disconnect", after=25), reply()], an_unread_failure
    ),
    Scenario(
        "a broken body as JSON",
        [reply(json=[0] * 100, fault=fault("disconnect", after=25))],
        get(read=as_json),
    ),
    Scenario("a truncated body", [spoilt("truncated")], get(), tidy=HOW_LONG),
    Scenario("a truncated body of 1 MB", [spoilt("truncated", BIG)], get(), tidy=HOW_LONG),
    Scenario("a body that stalls at once", [spoilt("stall")], get(timeout=SOCK_READ)),
    Scenario(
        "a body that stalls",
        [spoilt("stall", after=25)],
        get(read=piece_by_piece, timeout=SOCK_READ),
    ),
    Scenario(
        "a body that stalls until the total timer", [spoilt("stall", after=25)], get(timeout=TOTAL)
    ),
    Scenario("a body that drips", [spoilt("drip", bytes_per_second=500)], get()),
    Scenario(
        "a body that drips is in time",
        [spoilt("drip", bytes_per_second=500)],
        get(timeout=aiohttp.ClientTimeout(sock_read=1)),
    ),
    Scenario(
        "a body that drips too slowly",
        [spoilt("drip", bytes_per_second=500)],
        get(read=piece_by_piece, timeout=SOCK_READ),
    ),
    Scenario("a broken chunk", [spoilt("bad_chunk")], get(), tidy=SHOWN_BYTES),
    Scenario(
        "a broken chunk in a later segment",
        [spoilt("bad_chunk", late=True)],
        get(read=piece_by_piece, timeout=TOTAL),  # the read timer never fires
    ),
    Scenario("a broken gzip", [spoilt("bad_gzip")], only_the_error()),
    Scenario("no HTTP at all", [fail("garbage")], get(), tidy=SHOWN_BYTES),
    Scenario("no HTTP for a POST", [fail("garbage")], post(data=b"x"), tidy=SHOWN_BYTES),
    Scenario("a header that is too long", [fail("header_too_long")], get(), tidy=HOW_LONG),
    Scenario("a bare truncated reply", [fail("truncated")], only_the_error(), tidy=HOW_LONG),
    Scenario("a bare stall", [fail("stall")], only_the_error(timeout=TOTAL)),
    Scenario("a bare broken chunk", [fail("bad_chunk")], only_the_error(), tidy=SHOWN_BYTES),
    Scenario("a bare broken gzip", [fail("bad_gzip")], only_the_error()),
    Scenario(
        "a server that hangs up in the middle of a session",
        [reply(text="1"), spoilt("disconnect", after=3), reply(text="3")],
        calls("/1", "/2", "/3"),
    ),
]
