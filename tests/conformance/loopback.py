"""The real far end: a server on 127.0.0.1 that plays actions byte by byte.

It reads HTTP and writes replies by itself, with nothing of aiohttp in it and nothing of
aiostub, so that it is a second opinion on both. What only a kernel or a name server can
do (refusing, being unreachable, not resolving) happens in ``Network``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import http
import json
import mimetypes
import os
import re
import socket
import ssl
import struct
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractResolver

from .actions import Action, Fail, Fault, Reply, is_obstacle

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
APART = 0.002  # seconds between the pieces of a stream
PAUSE = 0.02  # long enough for the client to have read what came before
TLS_HANDSHAKE = b"\x16"  # the first byte of one (RFC 8446, 5.1)
SMALL_BODY = b'{"small": "body"}'

Headers = list[tuple[str, str]]


@dataclass
class Arrival:
    """One request as it came in: what the log of a stub is compared with."""

    method: str
    target: str
    version: str
    headers: Headers
    body: bytes = b""
    attempts: int = 1
    status: int | None = None

    def all(self, name: str) -> list[str]:
        """Collect the values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name]

    def has(self, name: str, token: str) -> bool:
        """Look for a token in a header that is a list."""
        return any(token in value.lower() for value in self.all(name))

    @property
    def keeps_alive(self) -> bool:
        """Say whether the client would use the connection again (RFC 9112, 9.3)."""
        if self.version == "1.0":
            return self.has("connection", "keep-alive")
        return not self.has("connection", "close")


@dataclass
class Script:
    """Hand out the actions, one to each request, in the order of arrival.

    ``plays`` is a sequence for every request, or one for each path. ``calls_started``
    tells how many calls the client has begun: a request that comes again within the same
    call is a re-send of aiohttp's own.
    """

    plays: Mapping[str | None, Sequence[Action]]
    calls_started: Callable[[], int]
    arrivals: list[Arrival | None] = field(default_factory=list)  # None: never connected
    mistakes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = {
            path: deque(action for action in actions for _ in range(action.times))
            for path, actions in self.plays.items()
        }
        self._failing: tuple[Fail, Arrival, int] | None = None

    def choose(self, arrival: Arrival) -> Action:
        """Give the action that answers this request, and record the request."""
        if again := self._resent(arrival):
            return again
        left = self._left.get(arrival.target, self._left.get(None))
        self.arrivals.append(arrival)
        if not left:
            self.mistakes.append(f"no action for {arrival.method} {arrival.target}")
            return Fail(Fault("disconnect"))
        action = left.popleft()
        if isinstance(action, Fail) and action.attempts != 1:
            self._failing = action, arrival, self.calls_started()
        return action

    def _resent(self, arrival: Arrival) -> Action | None:
        if self._failing is None:
            return None
        action, first, call = self._failing
        again = call == self.calls_started() and first.target == arrival.target
        if again and (action.met is None or first.attempts < action.met):
            first.attempts += 1
            return action
        self._failing = None
        return None

    def obstacle(self, *names: str) -> bool:
        """Take the next action if it is one of these that no request gets past."""
        left = self._left.get(None)
        if not (left and is_obstacle(left[0])):
            return False
        action = left[0]
        name = action.fault.name if isinstance(action, Fail) else "timeout"
        if name in names:
            left.popleft()
            self.arrivals.append(None)
        return name in names

    def leftovers(self) -> list[Action]:
        """List what nobody asked for."""
        return [action for left in self._left.values() for action in left]


# --- Writing replies -------------------------------------------------------------------


def body_of(arguments: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """Make the body and its content type (none without a body)."""
    if "json" in arguments:
        return json.dumps(arguments["json"]).encode(), "application/json"
    if arguments.get("text") is not None:
        return arguments["text"].encode(charset_of(arguments)), "text/plain; charset=utf-8"
    if arguments.get("file") is not None:
        kind = mimetypes.guess_type(str(arguments["file"]))[0]
        return Path(arguments["file"]).read_bytes(), kind or "application/octet-stream"
    if arguments.get("body") is not None:
        return arguments["body"], "application/octet-stream"
    return b"", "application/octet-stream" if "stream" in arguments else None


def charset_of(arguments: Mapping[str, Any]) -> str:
    """Find the charset that the reply's own content type asks for."""
    headers = dict(header_pairs(arguments))
    declared = headers.get("Content-Type") or arguments.get("content_type") or ""
    return str(declared.partition("charset=")[2] or "utf-8")


def header_pairs(arguments: Mapping[str, Any]) -> Headers:
    """Read ``headers=`` in the forms that the scenarios use."""
    headers = arguments.get("headers") or ()
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def compressed(body: bytes, coding: str) -> bytes:
    """Apply a content coding."""
    return gzip.compress(body) if coding == "gzip" else zlib.compress(body)


def encode(reply: Reply, arrival: Arrival) -> tuple[bytes, bytes]:
    """Write a reply: head and body, in the order in which aiohttp.web writes headers."""
    arguments, bodiless = reply.arguments, reply.arguments["status"] in {204, 304}
    body, kind = body_of(arguments)
    headers = header_pairs(arguments)
    named = {name.lower() for name, _ in headers}
    if given := arguments.get("content_type"):
        plain = given.startswith("text/") and "charset" not in given
        kind = f"{given}; charset=utf-8" if plain else given
    if kind and "content-type" not in named:
        headers.append(("Content-Type", kind))
    if coding := arguments.get("compress"):
        headers.append(("Content-Encoding", coding))
        body = compressed(body, coding)
    if not bodiless and not named & {"content-length", "transfer-encoding"}:
        if "stream" not in arguments:
            headers.append(("Content-Length", str(len(body))))
        elif arrival.version == "1.1":
            headers.append(("Transfer-Encoding", "chunked"))
    headers += [
        ("Set-Cookie", f"{name}={value}; Path=/")
        for name, value in (arguments.get("cookies") or {}).items()
    ]
    if arrival.keeps_alive and arrival.version == "1.0" and "stream" not in arguments:
        headers.append(("Connection", "keep-alive"))
    elif not arrival.keeps_alive and arrival.version == "1.1" and "connection" not in named:
        headers.append(("Connection", "close"))
    silent = bodiless or arrival.method == "HEAD"
    return head(arguments, arrival.version, headers), b"" if silent else body


def missing(head: bytes, body: bytes) -> bool:
    """Say whether the head promises more than there is, so that only the end can tell."""
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return length is not None and 0 < len(body) < int(length[1])


def head(arguments: Mapping[str, Any], version: str, headers: Headers) -> bytes:
    """Write status line and headers."""
    status, reason = arguments["status"], arguments.get("reason")
    if reason is None:
        reason = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ""
    lines = [f"HTTP/{version} {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


async def pieces(stream: Any) -> AsyncIterator[bytes]:
    """Go through a stream of either kind, leaving out empty chunks."""
    stream = stream() if callable(stream) else stream
    if hasattr(stream, "__aiter__"):
        async for piece in stream:
            if piece:
                yield piece
        return
    for piece in stream:
        if piece:
            yield piece


# --- One connection --------------------------------------------------------------------


@dataclass
class Connection:
    """Serve the requests of one connection."""

    script: Script
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    unsent: bytes = b""

    async def serve(self) -> None:
        """Answer until either side has had enough."""
        while (arrival := await self.read_head()) is not None:
            if not await self.play(self.script.choose(arrival), arrival):
                return

    async def read_head(self) -> Arrival | None:
        """Read a request up to the empty line; ``None`` when the client has gone."""
        try:
            raw = await self.reader.readexactly(1)
            if raw == TLS_HANDSHAKE:
                self.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return None
            raw += await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = raw.decode("utf-8", "surrogateescape").split("\r\n")[:-2]
        method, target, version = first.split(" ")
        headers = [(name, value.strip()) for name, _, value in (x.partition(":") for x in lines)]
        return Arrival(method, target, version.removeprefix("HTTP/"), headers)

    async def read_body(self, arrival: Arrival) -> None:
        """Read the rest of the request, undoing the transfer coding."""
        body = b""
        if arrival.has("transfer-encoding", "chunked"):
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        elif lengths := arrival.all("content-length"):
            body = await self.reader.readexactly(int(lengths[0]))
        arrival.body = body

    async def play(self, action: Action, arrival: Arrival) -> bool:
        """Do one action; say whether another request may follow."""
        if isinstance(action, Reply) and action.early:
            return await self.reply(action, arrival)
        if arrival.has("expect", "100-continue"):
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await self.read_body(arrival)
        if isinstance(action, Reply):
            return await self.reply(action, arrival)
        if isinstance(action, Fail):
            return await self.fail(action, arrival)
        return await self.wait()

    async def fail(self, action: Fail, arrival: Arrival) -> bool:
        """Break off before the status line, or spoil a small reply."""
        name = action.fault.name
        if name in {"disconnect", "reset"}:
            return self.close(rst=name == "reset")
        if name == "garbage":
            self.writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            return await self.wait()
        if name == "header_too_long":
            self.writer.write(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n")
            return await self.wait()
        arguments = {"status": 200, "body": SMALL_BODY}
        return await self.reply(Reply(arguments, fault=action.fault), arrival)

    async def reply(self, action: Reply, arrival: Arrival) -> bool:
        """Send a reply, whole or spoilt."""
        if action.delay and not await self.unless_gone(asyncio.sleep(action.delay)):
            return False
        arrival.status = action.arguments["status"]
        if action.fault is not None:
            return await self.spoil(action, action.fault, arrival)
        head, body = encode(action, arrival)
        if "stream" in action.arguments and arrival.method != "HEAD":
            if not await self.unless_gone(self.stream(action.arguments["stream"], head)):
                return False
        else:
            self.writer.write(head + body)
        until_close = arrival.version == "1.0" and "stream" in action.arguments
        announced = b"\r\nconnection: close" in head.lower()
        if action.early:
            await self.reader.read()
            return self.close()
        if announced or until_close or not arrival.keeps_alive or missing(head, body):
            return self.close()
        return True

    async def stream(self, stream: Any, head: bytes) -> None:
        """Send a body piece by piece, so far apart that the client sees each by itself.

        The first one comes with the head, and the end, if it is known then, with the last.
        """
        chunked = b"Transfer-Encoding: chunked" in head
        self.write_soon(head)
        begun = False
        async for piece in pieces(stream):
            if begun:
                await asyncio.sleep(APART)
            self.write_soon(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await self.writer.drain()
            begun = True
        self.write_soon(b"0\r\n\r\n" if chunked else b"")
        self.flush()

    def write_soon(self, data: bytes) -> None:
        """Write together what is there by the end of this turn of the loop."""
        self.unsent += data
        asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits to be written."""
        data, self.unsent = self.unsent, b""
        if data and not self.writer.is_closing():
            self.writer.write(data)

    async def spoil(self, action: Reply, fault: Fault, arrival: Arrival) -> bool:
        """Send a reply with a fault in it."""
        name, after = fault.name, fault.arguments.get("after", 0)
        if name == "bad_gzip":
            arguments = {**action.arguments, "body": b"\x1f\x8b this is no gzip"}
            arguments["headers"] = [*header_pairs(arguments), ("Content-Encoding", "gzip")]
            self.writer.write(b"".join(encode(Reply(arguments), arrival)))
            return True
        if name == "bad_chunk":
            head, _ = encode(Reply({**action.arguments, "stream": []}), arrival)
            if fault.arguments.get("late"):
                body = action.arguments["body"]
                self.writer.write(head + b"%x\r\n%s\r\n" % (len(body), body))
                head = await asyncio.sleep(PAUSE, b"")
            self.writer.write(head + b"ZZZ\r\nno chunk\r\n")
            return await self.wait()
        head, body = encode(action, arrival)
        if name == "truncated":
            after = len(body) // 2
        if name == "drip":
            self.writer.write(head)
            await self.drip(body, fault.arguments.get("bytes_per_second"))
            return True
        self.writer.write(head + body[:after])
        if name == "stall":
            return await self.wait()
        await asyncio.sleep(PAUSE)
        return self.close(rst=name == "reset")

    async def drip(self, body: bytes, bytes_per_second: Any) -> None:
        """Send ten pieces a second."""
        size = max(1, round(bytes_per_second / 10))
        for start in range(0, len(body), size):
            await asyncio.sleep(0.1)
            self.writer.write(body[start : start + size])

    async def unless_gone(self, work: Coroutine[Any, Any, object]) -> bool:
        """Do something unless the client goes away first; say whether it is done."""
        tasks = asyncio.create_task(work), asyncio.create_task(self.reader.read(1))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        if results[1]:  # nobody sends before the answer is there
            assert isinstance(results[1], (ConnectionError, asyncio.CancelledError)), results
        return tasks[0] in done

    async def wait(self) -> bool:
        """Say nothing until the client goes away."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()
        return False

    def close(self, *, rst: bool = False) -> bool:
        """Hang up, with FIN or (``SO_LINGER`` of zero) with RST."""
        if rst:
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        else:
            self.writer.close()
        return False


# --- The server and its network --------------------------------------------------------


@dataclass
class Loopback:
    """Hold the port, and listen on it once somebody may connect."""

    script: Script
    tls: bool = False
    port: int = 0  # any, if it is free

    def __post_init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def listen(self) -> None:
        """Accept connections from now on; a bound port that doesn't listen refuses."""
        if self._server is None:
            self._server = await self.serve(self._socket)

    async def serve(self, sock: socket.socket) -> asyncio.Server:
        """Start the server on its socket."""
        context = server_tls() if self.tls else None
        return await asyncio.start_server(self._connected, sock=sock, ssl=context, limit=2**22)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await Connection(self.script, reader, writer).serve()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client that breaks off is part of the scenario
        except Exception as error:  # noqa: BLE001 - the run reports it
            self.script.mistakes.append(f"the server failed: {error!r}")
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def close(self) -> None:
        """Wait for what is still going on, and give the port back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.5)
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self._socket.close()


class WebLoopback(Loopback):
    """Answer with aiohttp.web, where the opinion of this file is not enough."""

    async def serve(self, sock: socket.socket) -> asyncio.Server:
        """Start aiohttp's own server."""
        self._web = web.Server(self._answer, auto_decompress=False)
        return await asyncio.get_running_loop().create_server(self._web, sock=sock)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        pairs = [(k.decode(), v.decode("utf-8", "surrogateescape")) for k, v in request.raw_headers]
        version = f"{request.version.major}.{request.version.minor}"
        arrival = Arrival(request.method, request.raw_path, version, pairs)
        action = self.script.choose(arrival)
        assert isinstance(action, Reply), action
        arrival.body = await request.read()
        arrival.status = action.arguments["status"]
        response: web.StreamResponse = await action.web(request)
        return response

    async def close(self) -> None:
        """Stop both servers."""
        if self._server is not None:
            await self._web.shutdown()
        await super().close()


def server_tls() -> ssl.SSLContext:
    """Show a certificate that nobody trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


@dataclass
class Network(AbstractResolver):
    """Resolve every name to the server, and play the obstacles on the way to it."""

    script: Script
    server: Loopback

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
        """Answer as a resolver of aiohttp does."""
        if self.script.obstacle("dns"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Have nothing to close."""

    @contextlib.contextmanager
    def on(self, loop: Any) -> Iterator[None]:
        """Stand between the loop and the kernel's ``connect``."""
        connect = loop.sock_connect

        async def sock_connect(sock: socket.socket, address: Any) -> None:
            if self.script.obstacle("unreachable"):
                raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
            if self.script.obstacle("timeout"):
                await asyncio.Event().wait()
            if not self.script.obstacle("refused", "proxy"):
                self.script.obstacle("tls", "certificate")
                await self.server.listen()
            await connect(sock, ("127.0.0.1", self.server.port))

        loop.sock_connect = sock_connect
        try:
            yield
        finally:
            del loop.sock_connect
