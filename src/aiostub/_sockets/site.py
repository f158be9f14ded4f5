"""The same routes on a real loopback socket, for what is no aiohttp client of this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from yarl import URL

from aiostub._routing.test_servers import own_ports
from aiostub._sockets.end import SocketEnd
from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    import trustme

    from aiostub._routing.registry import Registry

HOST = "127.0.0.1"

_BACKLOG = 1024  # connections that may wait to be accepted
_PAUSE = 0.05  # seconds


class Site:
    """Listen on a free port of this machine, for one stub."""

    def __init__(
        self, asked: Callable[[], Sequence[Registry]], origin: URL | None, tls: Authority | None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.asked = asked
        self._origin = origin
        self._tls = None if tls is None else tls.context(origin)
        self._socket = socket.create_server((HOST, 0), backlog=_BACKLOG)
        self._socket.settimeout(0)
        self._ends: set[SocketEnd] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def _port(self) -> int:
        return int(self._socket.getsockname()[1])

    def open(self) -> URL:
        """Begin to listen, and return the origin of the socket."""
        own_ports.add(self._port)
        self._accepting = self.loop.create_task(self._accept())
        scheme = "http" if self._tls is None else "https"
        own = URL.build(scheme=scheme, host=HOST, port=self._port)
        self._origin = self._origin or own
        return own

    async def _accept(self) -> None:
        while True:
            try:
                accepted, _address = await self.loop.sock_accept(self._socket)
            except OSError:  # it has left already, or the process has too many files open
                await asyncio.sleep(_PAUSE)
                continue
            if self._closing:
                accepted.close()
                return
            task = self.loop.create_task(self._connect(accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        # asyncio's own server would wait at its end for who never finishes the handshake of TLS.
        factory = cast("Callable[[], asyncio.Protocol]", lambda: SocketEnd(self))
        with contextlib.suppress(OSError):  # such as a client that does not trust us
            await self.loop.connect_accepted_socket(factory, accepted, ssl=self._tls)

    def url_of(self, method: str, target: str) -> URL:
        """Return the URL that a request is matched as.

        Raises:
            ValueError: it has none.
        """
        assert self._origin is not None
        if method == "CONNECT":  # a host and a port alone (RFC 9112, 3.2.3)
            return URL(f"{self._origin.scheme}://{target}", encoded=True)
        if target.startswith("/"):
            return URL(f"{self._origin}{target}", encoded=True)
        url = URL(target, encoded=True)  # as a proxy is asked (RFC 9112, 3.2.2)
        return url if url.absolute and url.scheme else self._origin

    def connected(self, end: SocketEnd) -> None:
        """Learn of a new connection."""
        self._ends.add(end)

    def lost(self, end: SocketEnd) -> None:
        """Learn that a connection is gone."""
        self._ends.discard(end)
        if not self._ends:
            self._empty.set()

    async def close(self) -> None:
        """Stop listening, and drop the connections that are left."""
        assert self._accepting is not None
        own_ports.discard(self._port)
        await self._last_accepted(self._accepting)
        self._socket.close()
        await _cancelled(self._opening)
        for end in tuple(self._ends):
            end.abandon()
        self._empty.clear()
        if self._ends:
            await self._empty.wait()

    async def _last_accepted(self, accepting: asyncio.Task[None]) -> None:
        # To cancel it would leak who has been accepted in this turn of the loop.
        self._closing = True
        try:
            last = socket.socket()
        except OSError:  # too many files are open, so nobody is accepted either
            await _cancelled({accepting})
            return
        with last:
            last.settimeout(0)
            last.connect_ex((HOST, self._port))
            await asyncio.wait([accepting])


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = tuple(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate(None if origin is None else origin.host).configure_cert(context)
        return context

    def _certificate(self, host: str | None) -> trustme.LeafCert:
        names = (HOST, "localhost", "::1")
        if host is not None and host not in names:
            with contextlib.suppress(ValueError):  # no name for a certificate, such as my_host
                return self._ca.issue_cert(*names, host)
        return self._ca.issue_cert(*names)


def _load_trustme() -> Any:
    try:
        import trustme  # noqa: PLC0415 - an extra
    except ImportError:
        message = "serve: tls=True needs the trustme package: pip install 'aiostub[tls]'"
        raise RouteError(message) from None
    return trustme
