"""A real aiohttp server on a free loopback port, which knows nothing of stubs."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import hdrs, web
from yarl import URL


class Arrival(NamedTuple):
    """A request as the server got it."""

    method: str
    target: str
    body: bytes
    headers: dict[str, str]


@dataclass
class RealServer:
    """Where the server listens, and what has arrived."""

    url: URL
    arrivals: list[Arrival] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, arrival: Arrival, transport: object) -> None:
        """Remember a request, and tell whoever waits for it."""
        self.arrivals.append(arrival)
        self.connections.add(id(transport))
        self._more.set()

    async def arrived(self) -> None:
        """Wait for the first request."""
        await asyncio.wait_for(self._more.wait(), 5)

    @property
    def lines(self) -> list[str]:
        """Method and path of all arrivals."""
        return [f"{each.method} {each.target}" for each in self.arrivals]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _answer(_request: web.Request) -> web.Response:
    return web.Response(text="real")


@contextlib.asynccontextmanager
async def real_server(
    handler: Handler = _answer, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RealServer]:
    """Serve every path by *handler*; it answers 200 "real" by default."""

    async def record(request: web.Request) -> web.StreamResponse:
        body = b"" if hdrs.UPGRADE in request.headers else await request.read()
        headers = dict(request.headers)
        server.note(Arrival(request.method, request.path_qs, body, headers), request.transport)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", record)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0]
    server = RealServer(URL.build(scheme="https" if tls else "http", host=host, port=port))
    try:
        yield server
    finally:
        await runner.cleanup()
