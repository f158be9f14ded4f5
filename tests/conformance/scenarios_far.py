"""WebSockets and whole applications, behind a socket and behind a stub."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from .far import Far, Seen, Talk
from .harness import App, Client, New, ask, get, post, put

Handler = Callable[[Seen, web.Request], Awaitable[web.StreamResponse]]
BIG = bytes(range(256)) * 4096 * 2  # 2 MB
LONG_TEXT = "long " * 2000


# --- The side of the server -------------------------------------------------------------


def app(handler: Handler, *, method: str = "*", path: str = "/{path:.*}", **kwargs: Any) -> Any:
    """Make an application of one handler, anew for each run."""

    def make(seen: Seen) -> web.Application:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(seen, request)

        made = web.Application(**kwargs)
        made.router.add_route(method, path, handle)
        return made

    return make


async def echo(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Send back what comes."""
    async for message in ws:
        seen.note("message", shown(message))
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    seen.note("close code", ws.close_code)


async def echo_once(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Send one message back; in which order several sockets do so is luck."""
    await ws.send_str(await ws.receive_str())


async def listen(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Receive until the end, without sending."""
    while not ws.closed:
        message = await ws.receive()
        seen.note("message", shown(message))
    seen.note("close code", ws.close_code)


async def leave(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Say nothing and leave."""


def closing(code: int, reason: bytes = b"") -> Any:
    """Make a talk that closes."""

    async def talk(seen: Seen, ws: web.WebSocketResponse) -> None:
        seen.note("closed", await ws.close(code=code, message=reason))
        seen.note("close code", ws.close_code)

    return talk


def saying(*data: str | bytes) -> Any:
    """Make a talk that sends and then listens."""

    async def talk(seen: Seen, ws: web.WebSocketResponse) -> None:
        for each in data:
            await (ws.send_str(each) if isinstance(each, str) else ws.send_bytes(each))
        await listen(seen, ws)

    return talk


def raising(error: Callable[[], BaseException], *, after: str = "") -> Any:
    """Make a talk that fails; as a route it closes with 1011, which aiohttp.web does not."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        if after:
            await ws.prepare(request)
            await ws.send_str(after)
        raise error()

    return app(handler)


def writing(*pieces: bytes, close: bool = True) -> Any:
    """Make an application that accepts a WebSocket, and writes bytes of its own behind it."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        transport = request.transport
        assert transport is not None
        for piece in pieces:
            transport.write(piece)
            await asyncio.sleep(0.01)
        if close:
            transport.close()
        await listen(seen, ws)
        return ws

    return app(handler)


async def pinging(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Ping, and wait for a message."""
    await ws.ping(b"server")
    await listen(seen, ws)


async def dropping(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Close the connection without a close frame."""
    await ws.send_str("before")
    transport = ws._req.transport  # type: ignore[union-attr]
    assert transport is not None
    transport.close()


async def flood(seen: Seen, ws: web.WebSocketResponse) -> None:
    """Send until the client has gone."""
    with contextlib.suppress(ConnectionResetError):
        for n in range(20):
            await ws.send_str(str(n))
            await asyncio.sleep(0.01)
    seen.note("close code", ws.close_code)


# --- The side of the client -------------------------------------------------------------


def shown(message: Any) -> list[Any]:
    """Show a message."""
    data = message.data
    if isinstance(data, BaseException):
        data = type(data).__name__
    return [WSMsgType(message.type).name, data, message.extra]


Speech = Callable[[App, aiohttp.ClientWebSocketResponse], Awaitable[None]]


def connect(speech: Speech, path: str = "/", *, session: Any = None, **kwargs: Any) -> Client:
    """Make a client that connects and talks."""

    async def client(app: App) -> None:
        async with app.session(**(session or {})) as opened:
            try:
                async with opened.ws_connect(app.url(path), **kwargs) as ws:
                    app.note("protocol", ws.protocol)
                    app.note("compress", ws.compress)
                    await speech(app, ws)
                    app.note("state", [ws.closed, ws.close_code])
                app.note("left", [ws.closed, ws.close_code])
            except (aiohttp.ClientError, TypeError, ValueError, asyncio.TimeoutError) as error:
                app.note("error", error)

    return client


async def to_the_end(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Receive until the end."""
    for _ in range(50):
        message = await ws.receive()
        app.note("message", shown(message))
        if ws.closed:
            break


def say(*data: Any, then: Speech | None = None) -> Speech:
    """Make a speech that sends each thing and receives something for it."""

    async def speech(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
        for each in data:
            await (ws.send_str(each) if isinstance(each, str) else ws.send_bytes(each))
            app.note("message", shown(await ws.receive()))
        if then is not None:
            await then(app, ws)

    return speech


def close_with(code: int, reason: bytes = b"") -> Speech:
    """Make a speech that closes."""

    async def speech(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
        app.note("closed", await ws.close(code=code, message=reason))

    return speech


async def send_and_leave(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Send, and leave without having received."""
    for n in range(5):
        await ws.send_str(str(n))


async def all_at_once(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Send everything first, then receive everything."""
    for n in range(200):
        await ws.send_str(str(n))
    app.note("messages", [await ws.receive_str() for _ in range(200)])


async def ping(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Ping, and be answered."""
    await ws.ping(b"client")
    await ws.send_str("after")
    app.note("message", shown(await ws.receive()))


async def vanish(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Close the connection without a close frame."""
    await ws.send_str("before")
    await asyncio.sleep(0.01)
    transport: Any = ws._response.connection.transport  # type: ignore[union-attr]
    transport.close()
    await to_the_end(app, ws)


async def wait_in_vain(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Receive longer than there is something."""
    await app.attempt("waited", ws.receive(timeout=0.3))


def given_up(client: Client) -> Client:
    """Make a client that waits for what never comes, for less time than a run has patience."""

    async def give_up(app: App) -> None:
        await asyncio.wait_for(client(app), 0.5)

    return give_up


async def expect_other(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Receive what is not there as something else."""
    await app.attempt("bytes", ws.receive_bytes())
    await app.attempt("json", ws.receive_json())


async def after_the_end(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Go on when it is closed."""
    await ws.close()
    app.note("receive", shown(await ws.receive()))
    await app.attempt("send", ws.send_str("x"))
    await app.attempt("ping", ws.ping())
    app.note("close", await ws.close())


async def cancelled_receiving(app: App, ws: aiohttp.ClientWebSocketResponse) -> None:
    """Give up a receive, and receive again."""
    task = asyncio.create_task(ws.receive())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    await ws.send_str("x")
    app.note("message", shown(await ws.receive()))


async def concurrent_sockets(app: App) -> None:
    """Open ten sockets at once."""
    async with app.session(trace=False) as session:

        async def one(n: int) -> str:
            async with session.ws_connect(app.url("/")) as ws:
                await ws.send_str(str(n))
                return str(await ws.receive_str())

        app.note("all", await asyncio.gather(*map(one, range(10))))


async def then_plain(app: App) -> None:
    """Ask for a page after a socket, in the same session."""
    async with app.session() as session:
        async with session.ws_connect(app.url("/ws")) as ws:
            app.note("message", shown(await ws.receive()))
        await app.ask(session, "GET", "/page")


def asks(*requests: tuple[str, str], **kwargs: Any) -> Client:
    """Make a client of several requests."""

    async def client(app: App) -> None:
        async with app.session() as session:
            for method, path in requests:
                await app.ask(session, method, path, **kwargs)

    return client


async def leave_in_the_middle(app: App) -> None:
    """Read a piece, and close."""
    async with app.session(trace=False) as session:
        async with session.get(app.url("/")) as response:
            app.note("piece", await response.content.readany())
            response.close()
        await asyncio.sleep(0.2)


async def cancelled_asking(app: App) -> None:
    """Give up before there is an answer."""
    async with app.session(trace=False) as session:
        task = asyncio.create_task(session.get(app.url("/")))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        app.note("cancelled", task.cancelled())
        await asyncio.sleep(0.2)


async def cancelled_uploading(app: App) -> None:
    """Give up while the body is sent."""
    async with app.session(trace=False) as session:
        task = asyncio.create_task(session.post(app.url("/"), data=slow_upload()))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        app.note("cancelled", task.cancelled())
        await asyncio.sleep(0.2)


async def slow_upload() -> AsyncIterator[bytes]:
    """Send a piece, and then nothing for long."""
    yield b"piece"
    await asyncio.sleep(0.5)
    yield b"late"


async def upgrade(app: App) -> None:
    """Speak a protocol of one's own behind a 101."""
    async with app.session(trace=False) as session:
        headers = {"Connection": "Upgrade", "Upgrade": "echo"}
        async with session.get(app.url("/"), headers=headers) as response:
            app.note("status", [response.status, response.headers.get("Upgrade")])


# --- Handlers ---------------------------------------------------------------------------


async def show(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Note what shows of the request."""
    seen.note("line", [request.method, request.path, request.raw_path, str(request.version)])
    seen.note("url", str(request.url))
    seen.note("host", [request.scheme, request.host, request.remote, request.secure])
    seen.note("headers", request.headers)
    seen.note("query", request.query)
    seen.note("cookies", dict(request.cookies))
    seen.note("type", [request.content_type, request.charset, request.content_length])
    seen.note("flags", [request.can_read_body, request.body_exists, request.keep_alive])
    seen.note("body", await request.read())
    return web.Response(text="shown")


async def answer(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Answer without a look."""
    return web.Response(text="answered")


def respond(make: Callable[[], web.StreamResponse]) -> Handler:
    """Make a handler that answers with a response that is made anew."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        return make()

    return handler


def compressed(coding: web.ContentCoding) -> Handler:
    """Make a handler that compresses."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        response = web.Response(text=LONG_TEXT)
        response.enable_compression(coding)
        return response

    return handler


def failing(error: Callable[[], BaseException]) -> Handler:
    """Make a handler that raises."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        raise error()

    return handler


def failing_late(error: Callable[[], BaseException], **headers: str) -> Handler:
    """Make a handler that raises when the response has begun."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(b"part")
        await asyncio.sleep(0.05)
        raise error()

    return handler


def returning(value: Any) -> Handler:
    """Make a handler that returns something else."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        return value  # type: ignore[no-any-return]

    return handler


def streaming(*pieces: bytes, eof: bool = True, **headers: str) -> Handler:
    """Make a handler that sends pieces."""

    async def handler(seen: Seen, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.01)
        if eof:
            await response.write_eof()
        return response

    return handler


async def endless(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Stream until the client has gone."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        for _ in range(1000):
            await response.write(b"x" * 1000)
            await asyncio.sleep(0.01)
    except ConnectionResetError:
        seen.note("gone", [request.transport is None])
        raise
    return response


async def slow(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Take a while, and look whether the client is there."""
    await asyncio.sleep(0.2)
    seen.note("transport is gone", request.transport is None)
    return web.Response(text="late")


async def read_all(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Read to the end, if it comes."""
    await seen.attempt("read", request.read())
    return web.Response(text="read")


async def read_form(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Read a form with a file."""
    form = await request.post()
    for name, value in form.items():
        if isinstance(value, web.FileField):
            with value.file as file:
                seen.note(name, [value.filename, value.content_type, file.read()])
        else:
            seen.note(name, value)
    return web.Response(text="read")


async def read_pieces(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Read a body while it comes."""
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    seen.note("size", size)
    await asyncio.sleep(0.01)  # whether the client knows that all is sent would be luck
    return web.Response(text="read")


async def hang_up(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Close the connection instead of an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response(text="too late")


async def speak_raw(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Switch to a protocol of its own."""
    assert request.transport is not None
    request.transport.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    )
    await asyncio.sleep(0.05)
    request.transport.close()
    return web.Response()


async def wander(seen: Seen, request: web.Request) -> web.StreamResponse:
    """Lead a client on."""
    seen.note("asked", [request.method, request.path_qs, dict(request.cookies)])
    if request.path == "/":
        response = web.HTTPFound("/next?x=1")
        response.set_cookie("c", "1")
        raise response
    return web.Response(text="there")


def parts(seen: Seen) -> web.Application:
    """Make an application of several parts."""

    @web.middleware
    async def stamp(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except LookupError:
            response = web.Response(status=418, text="teapot")
        response.headers["X-Stamp"] = request.match_info.route.method
        return response

    async def wrong(_: web.Request) -> web.StreamResponse:
        raise LookupError

    async def name(request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(request.match_info))

    sub = web.Application()
    sub.router.add_get("/wrong", wrong)
    made = web.Application(middlewares=[stamp])
    made.router.add_get("/users/{name}", name)
    made.router.add_post("/only", name)
    made.add_subapp("/sub", sub)
    return made


def both(seen: Seen) -> web.Application:
    """Make an application with a socket and a page."""

    async def socket(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str("socket")
        return ws

    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="page")

    made = web.Application()
    made.router.add_get("/ws", socket)
    made.router.add_get("/page", page)
    return made


def expecting(seen: Seen) -> web.Application:
    """Make an application that refuses some bodies."""

    async def refuse(_: web.Request) -> None:
        raise web.HTTPExpectationFailed

    async def read(request: web.Request) -> web.StreamResponse:
        seen.note("body", await request.text())
        return web.Response(text="read")

    made = web.Application()
    made.router.add_post("/yes", read)
    made.router.add_post("/no", read, expect_handler=refuse)
    return made


def form() -> aiohttp.FormData:
    """Make a form with a file."""
    made = aiohttp.FormData()
    made.add_field("name", "Ada")
    made.add_field("file", b"content", filename="a.txt", content_type="text/plain")
    return made


BOUNDARY = {r"[0-9a-f]{32}": "(boundary)"}
LATER = {"timeout": aiohttp.ClientTimeout(total=0.1)}
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def without(*names: str, **others: str) -> dict[str, str]:
    """Spoil a handshake."""
    kept = {name: value for name, value in HANDSHAKE.items() if name not in names}
    return {**kept, **{name.replace("_", "-"): value for name, value in others.items()}}


WEBSOCKETS: list[Far | Talk] = [
    Talk("text comes back", echo, connect(say("a", "ä", "", LONG_TEXT))),
    Talk("bytes come back", echo, connect(say(b"a", b"", bytes(range(256)) * 300))),
    Talk("2 MB come back", echo, connect(say(BIG, "x" * 1_000_000))),
    Talk("200 messages at once", echo, connect(all_at_once)),
    Talk("ten sockets at once", echo_once, concurrent_sockets),
    Talk("a client that leaves with messages on their way", echo, connect(send_and_leave)),
    Talk("a talk that leaves at once", leave, connect(to_the_end)),
    Talk("a talk that sends and leaves", saying("a", b"b"), connect(say("x"))),
    *(
        Talk(f"a talk that closes with {code}", closing(code, b"why"), connect(to_the_end))
        for code in (1000, 1001, 1008, 1011, 3000, 4999)
    ),
    *(
        Talk(f"a client that closes with {code}", listen, connect(close_with(code, b"why")))
        for code in (1000, 1001, 1008, 3000, 4999)
    ),
    Talk("a client that closes a talk that sends", flood, connect(close_with(1000))),
    Talk("a close without a reason", closing(1000), connect(to_the_end)),
    Talk("a ping of the client", echo, connect(ping)),
    Talk("a ping of the talk", pinging, connect(wait_in_vain)),
    Talk("a ping that nobody answers", pinging, connect(wait_in_vain, autoping=False)),
    Talk("a talk that drops the connection", dropping, connect(to_the_end)),
    Talk("a client that drops the connection", listen, connect(vanish)),
    Talk("a socket on which nothing is said", listen, connect(wait_in_vain)),
    Talk("a client that expects something else", saying("text", b"\xff"), connect(expect_other)),
    Talk("a client that goes on after the end", listen, connect(after_the_end)),
    Talk("a receive that is given up", echo, connect(cancelled_receiving)),
    Talk("a heartbeat of the client", listen, given_up(connect(wait_in_vain, heartbeat=0.1))),
    Talk("a heartbeat of the talk", listen, given_up(connect(wait_in_vain)), {"heartbeat": 0.1}),
    Talk(
        "a heartbeat of the talk in vain",
        listen,
        connect(wait_in_vain, autoping=False),
        {"heartbeat": 0.1},
    ),
    Talk("a message too large for the talk", echo, connect(say("x" * 11)), {"max_msg_size": 10}),
    Talk(
        "a message too large for the client",
        saying("x" * 11),
        connect(to_the_end, max_msg_size=10),
    ),
    *(
        Talk(
            f"protocols {mine} offered {offered}",
            leave,
            connect(to_the_end, protocols=offered),
            {"protocols": mine},
        )
        for mine in ((), ("a",), ("a", "b"))
        for offered in ((), ("a",), ("b", "a"), ("c",))
    ),
    *(
        Talk(
            f"compression {mine} asked for {asked}",
            echo,
            connect(say(LONG_TEXT, "", b"x", LONG_TEXT), compress=asked),
            {"compress": mine},
        )
        for mine in (True, False)
        for asked in (0, 9, 12, 15)
    ),
    Far("an error before the upgrade", raising(LookupError), connect(to_the_end)),
    Far("a refusal before the upgrade", raising(web.HTTPForbidden), connect(to_the_end)),
    Far(
        "an error after the upgrade",
        raising(LookupError, after="before"),
        connect(to_the_end),
    ),
    *(
        Far(f"frames of its own: {name}", writing(*pieces), connect(to_the_end))
        for name, pieces in {
            "fragments": [b"\x01\x03abc", b"\x00\x01d", b"\x80\x03efg"],
            "a ping between fragments": [b"\x01\x03abc", b"\x89\x01p", b"\x80\x01d"],
            "one byte at a time": [bytes([byte]) for byte in b"\x81\x03abc"],
            "several in one piece": [b"\x81\x01a\x82\x01b\x89\x00\x8a\x00\x81\x01c"],
            "a close without a code": [b"\x88\x00"],
            "a close with half a code": [b"\x88\x01\x03"],
            "a close with a code that nobody has": [b"\x88\x02\x03\xed"],
            "text that is none": [b"\x81\x02\xff\xff"],
            "a reserved bit": [b"\xc1\x01a"],
            "a reserved opcode": [b"\x83\x01a"],
            "a continuation of nothing": [b"\x80\x01a"],
            "a fragmented ping": [b"\x09\x01a"],
            "a long ping": [b"\x89\x7e\x00\x80" + bytes(128)],
            "a message without an end": [b"\x81\x05ab"],
            "no frames at all": [b"HTTP/1.1 200 OK\r\n\r\n"],
            "a close in the same piece as a text": [b"\x81\x01a\x88\x02\x03\xe8"],
        }.items()
    ),
    *(
        Far(f"a handshake {name}", raising(web.HTTPGone, after="x"), get(headers=headers))
        for name, headers in {
            "without a key": without("Sec-WebSocket-Key"),
            "with a short key": without(Sec_WebSocket_Key="abc"),
            "without a version": without("Sec-WebSocket-Version"),
            "of version 9": without(Sec_WebSocket_Version="9"),
            "without an upgrade": without("Upgrade"),
            "without a connection": without("Connection"),
            "for something else": without(Upgrade="h2c"),
        }.items()
    ),
    Far("a plain request for a socket", raising(web.HTTPGone, after="x"), get()),
    Far("a handshake for a plain page", app(answer), connect(to_the_end)),
    Far("a handshake for what is not there", parts, connect(to_the_end)),
    Far("a page after a socket", both, then_plain),
]

APPLICATIONS: list[Far | Talk] = [
    Far("a request shows", app(show), get("/a%20b/c?x=1&x=2&y=%26", cookies={"c": "1"})),
    Far("a request with a body shows", app(show), post("/", json={"a": "ä"})),
    Far("a request with text shows", app(show), put("/", data="ä".encode("latin-1"))),
    Far("a request in chunks shows", app(show), post("/", data=b"abc", chunked=True)),
    Far("a compressed request shows", app(show), post("/", data=b"abc" * 100, compress="gzip")),
    Far(
        "a request over HTTP/1.0 shows", app(show), get(session={"version": aiohttp.HttpVersion10})
    ),
    Far("a request that is to be the last shows", app(show), get(headers={"Connection": "close"})),
    Far("a form with a file", app(read_form), post(data=New(form)), tidy=BOUNDARY),
    Far("a long upload", app(read_pieces), post(data=New(io.BytesIO, BIG))),
    Far("a slow upload", app(read_all), post(data=New(slow_upload))),
    Far("a short upload that nobody reads", app(answer), post(data=b"abc")),
    Far("an upload over the limit", app(read_all, client_max_size=10), post(data=b"x" * 11)),
    Far("leave to send", expecting, post("/yes", data=b"body", expect100=True)),
    Far("no leave to send", expecting, post("/no", data=b"body", expect100=True)),
    *(
        Far(f"a response to {method}", app(answer), asks((method, "/"), ("GET", "/")))
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE")
    ),
    Far("a method that nobody knows", app(answer), ask("BREW")),
    Far(
        "a header that is too long for the application",
        app(answer),
        get(headers={"X-Long": "x" * 10_000}),
    ),
    *(
        Far(
            f"a response of {status}",
            app(respond(lambda status=status: web.Response(status=status))),  # type: ignore[misc]
            asks(("GET", "/"), ("GET", "/")),
        )
        for status in (200, 201, 204, 304, 404, 500, 599)
    ),
    Far("JSON", app(respond(lambda: web.json_response({"a": ["ä"]}))), get()),
    Far("2 MB", app(respond(lambda: web.Response(body=BIG))), get()),
    Far(
        "headers and cookies",
        app(
            respond(
                lambda: web.Response(headers=[("X-A", "1"), ("X-A", "2"), ("Set-Cookie", "a=1")])
            )
        ),
        get(),
    ),
    Far("gzip", app(compressed(web.ContentCoding.gzip)), get()),
    Far("deflate", app(compressed(web.ContentCoding.deflate)), get()),
    Far("gzip to HEAD", app(compressed(web.ContentCoding.gzip)), ask("HEAD")),
    Far("a stream", app(streaming(b"ab", b"c")), get()),
    Far("a stream of known length", app(streaming(b"ab", b"c", **{"Content-Length": "3"})), get()),
    Far(
        "a stream that is too short",
        app(streaming(b"ab", **{"Content-Length": "3"})),
        given_up(get()),
    ),
    Far("a stream that is too long", app(streaming(b"abcd", **{"Content-Length": "3"})), get()),
    Far("a stream without an end of its own", app(streaming(b"ab", eof=False)), get()),
    Far(
        "a stream over HTTP/1.0",
        app(streaming(b"ab")),
        given_up(get(session={"version": aiohttp.HttpVersion10})),
    ),
    Far("an error", app(failing(LookupError)), asks(("GET", "/"), ("GET", "/"))),
    Far("a timeout", app(failing(asyncio.TimeoutError)), get()),
    Far("a refusal", app(failing(lambda: web.HTTPForbidden(text="no"))), get()),
    Far("a cancellation of its own", app(failing(asyncio.CancelledError)), post()),
    Far("an error in a stream", app(failing_late(LookupError)), get()),
    Far(
        "an error in a response of known length",
        app(failing_late(LookupError, **{"Content-Length": "10"})),
        get(),
    ),
    Far("a handler that returns nothing", app(returning(None)), post()),
    Far("a handler that returns text", app(returning("text")), post()),
    Far("a handler that hangs up", app(hang_up), post()),
    Far("a handler that switches protocols", app(speak_raw), upgrade),
    Far("a redirect with a cookie", app(wander), get()),
    *(
        Far(f"parts: {method} {path}", parts, ask(method, path))
        for method, path in (
            ("GET", "/users/Ada%20L"),
            ("GET", "/users/"),
            ("GET", "/sub/wrong"),
            ("GET", "/nothing"),
            ("GET", "/only"),
            ("POST", "/only"),
        )
    ),
    Far("a client that leaves in the middle", app(endless), leave_in_the_middle),
    Far("a client that does not wait", app(slow), cancelled_asking),
    Far("a client that stops sending", app(read_all), cancelled_uploading),
    Far("a client that waits in vain", app(slow), get(**LATER)),
]

SCENARIOS = [*WEBSOCKETS, *APPLICATIONS]
