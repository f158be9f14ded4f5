"""The same routes on a real loopback socket, for what is no aiohttp client of this process.

Rules of the file:

- The far end of a socket is the far end of a connection in memory, with a real transport under it:
  who reads, decides and answers is the same.
- One request at a time. What a client sends behind one that is not answered yet waits.

aiohttp's private names used here, and why:

- ``aiohttp.http_parser.HttpRequestParser``: by way of `FarEnd`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from aiostub._far_end import FarEnd
from aiostub._socket_exchange import SocketExchange
from aiostub._test_servers import own_ports
from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    import trustme

    from aiostub._registry import Registry

HOST = "127.0.0.1"

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class SocketEnd(FarEnd):
    """Serve one connection of a client on a socket."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.loop)
        self._site = site
        self._later = bytearray()  # what came behind a request that is not answered yet
        self._drains = False  # the answer was there before the whole request was
        self._pipelined = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._site.ends.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._site.ends.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        upgraded = self.server is not None and getattr(self.message, "upgrade", False)
        if self._is_complete and not upgraded:
            self._later += data
        else:
            super().data_received(data)

    @property
    def _is_complete(self) -> bool:
        return self.message is not None and self._payload is None

    def _read(self, data: bytes) -> None:
        # Bytes of an upgraded connection are for the server alone, and aiohttp 3.14 asks again with
        # nothing new.
        if self._is_complete or not data:
            return
        self.raw.append(data)
        if self._requests is None:
            self._method = bytes(data).partition(b" ")[0].decode("latin-1")
            self._requests = self._new_parser()
        try:
            messages, _upgraded, _tail = self._requests.feed_data(data)
        except HttpProcessingError:
            self.wire.write(_BAD_REQUEST)
            self.wire.close()
            return
        if messages:
            self._pipelined = len(messages) > 1
            self._begin(*messages[0])
        self._take_body()

    def _begin(self, message: Any, payload: Any) -> None:
        self.message, self._payload = message, payload
        exchange = SocketExchange(
            self._site.registries(), self, message, self._site.url_of(message.path)
        )
        self._reader = exchange
        if not payload.is_eof():
            exchange.head_arrived(message)

    def _take_body(self) -> None:
        if not self._drains:
            super()._take_body()
        elif self._payload is not None:
            self._payload.read_nowait()
            if self._payload.is_eof():
                self._go_on()

    def finish(self, reader: Any) -> None:
        if self._reader is not reader:
            return
        self._reader = None
        if self.server is not None:
            self._leave_server(None)
        if self._pipelined:  # the client sends again what we do not answer (RFC 9112, 9.3.2)
            self.wire.close()
        elif self._is_complete:
            self._go_on()
        else:
            self._drains = True

    def _go_on(self) -> None:
        """Be ready for the next request, or take it if it has come already."""
        self._drains = False
        self._forget()
        later, self._later = bytes(self._later), bytearray()
        if later:
            self._loop.call_soon(self.data_received, later)

    def eof_received(self) -> bool:
        return self.wire.get_extra_info("sslcontext") is None  # TLS cannot be half open

    def abort(self) -> None:
        self.wire.abort()

    def reset(self) -> None:
        self._reader = None
        raw = self.wire.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.wire.abort()


class Site:
    """Listen on a free port of this machine, for one stub."""

    def __init__(
        self, started: Callable[[], Sequence[Registry]], origin: URL | None, tls: Authority | None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.ends: set[SocketEnd] = set()
        self.registries = started
        self._origin = origin
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._port = 0

    async def open(self) -> URL:
        """Begin to listen, and return the origin of the socket."""
        context = None if self._tls is None else self._tls.context(self._origin)
        factory = cast("Callable[[], asyncio.Protocol]", lambda: SocketEnd(self))
        self._server = await self.loop.create_server(factory, HOST, 0, ssl=context)
        port = self._server.sockets[0].getsockname()[1]
        own = URL.build(scheme="http" if context is None else "https", host=HOST, port=port)
        self._origin = self._origin or own
        self._port = port
        own_ports.add(port)
        return own

    def url_of(self, target: str) -> URL:
        """Return the URL that a request is matched as."""
        assert self._origin is not None
        if not target.startswith("/"):  # as a proxy is asked (RFC 9112, 3.2.2)
            target_url = URL(target, encoded=True)
            return target_url if target_url.absolute else self._origin
        return URL(f"{self._origin.origin()}{target}", encoded=True)

    async def close(self) -> None:
        """Stop listening, and drop the connections that are left."""
        assert self._server is not None
        own_ports.discard(self._port)
        self._server.close()
        for end in tuple(self.ends):
            end.abort()
        await asyncio.sleep(0)  # for each to say so to its request
        await self._server.wait_closed()


class Authority:
    """A certificate authority of one stub's own, made by the trustme package."""

    def __init__(self) -> None:
        self._trustme = _load_trustme()
        self._ca: trustme.CA = self._trustme.CA()

    @property
    def pem(self) -> bytes:
        """Return its certificate, for a client to trust."""
        return bytes(self._ca.cert_pem.bytes())

    def context(self, origin: URL | None) -> ssl.SSLContext:
        """Return what a server on this machine needs, also in the name of *origin*."""
        names = [HOST, "localhost", "::1"]
        if origin is not None and origin.host is not None:
            names.append(origin.host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*dict.fromkeys(names)).configure_cert(context)
        return context


def _load_trustme() -> Any:
    try:
        import trustme  # noqa: PLC0415 - an extra
    except ImportError:
        message = "serve: tls=True needs the trustme package: pip install 'aiostub[tls]'"
        raise RouteError(message) from None
    return trustme
