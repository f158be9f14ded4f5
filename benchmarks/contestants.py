"""Who is measured: the floor, aiostub, its peers, and a real server.

Each contestant serves one `Site` for as long as its context lasts. The floor is aiohttp's own
client with nothing behind it but a constant answer: what no stub can be faster than.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from aiohttp import BaseConnector, ClientSession, test_utils, web
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.tracing import Trace

ORIGIN = "https://api.example.com"
JSON = "application/json"

Kind = Literal["exact", "template", "regex"]


@dataclass(frozen=True)
class Route:
    """Name one route, in a form that every contestant can be told in its own words."""

    name: str
    kind: Kind = "exact"

    @property
    def path(self) -> str:
        """Return the path to ask for."""
        return f"/{self.name}" if self.kind == "exact" else f"/{self.name}/ada"

    @property
    def written(self) -> str:
        """Return what to register, as aiohttp and aiostub write it."""
        return f"/{self.name}" if self.kind == "exact" else f"/{self.name}/{{id}}"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return the regex to register, compiled once."""
        return re.compile(rf"^{re.escape(ORIGIN)}/{self.name}/[a-z]+$")

    @property
    def url(self) -> str | re.Pattern[str]:
        """Return what to register for a contestant that is told a whole URL."""
        return self.pattern if self.kind == "regex" else ORIGIN + self.written


@dataclass(frozen=True)
class Site:
    """Say what is served: always the same answer, whichever route is asked for."""

    routes: tuple[Route, ...] = (Route("users"),)
    method: str = "GET"
    sent: bytes = b""
    answer: bytes = b'{"name": "Ada"}'


class Access(NamedTuple):
    """Say how a site is reached: where it is, and what makes a session."""

    origin: str = ORIGIN
    session: Callable[[], ClientSession] = ClientSession


Serve = Callable[[Site], AbstractAsyncContextManager[Access]]


# The floor


class ConstantTransport(asyncio.Transport):
    """Answer every request with the same bytes, once its body has been written."""

    def __init__(self, client: ResponseHandler, site: Site) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._body_size = len(site.sent)
        self._reply = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(site.answer), site.answer)
        )
        self._written = 0
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a piece of a request, and answer if it is the last."""
        self._written += len(data)
        if self._written > self._body_size:
            self._written = 0
            self._loop.call_soon(self._client.data_received, self._reply)

    def is_closing(self) -> bool:
        """Tell whether it has been closed."""
        return self._closing

    def close(self) -> None:
        """Tell the client that the connection is lost."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._client.connection_lost, None)


class FloorConnector(BaseConnector):
    """Connect every request with a constant answer."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site

    async def _create_connection(
        self, _req: ClientRequest, _traces: list[Trace], _timeout: ClientTimeout
    ) -> ResponseHandler:
        client = ResponseHandler(self._loop)
        client.connection_made(ConstantTransport(client, self._site))
        return client


@asynccontextmanager
async def serve_nothing(site: Site) -> AsyncIterator[Access]:
    """Be the floor."""
    yield Access(session=lambda: ClientSession(connector=FloorConnector(site)))


# Those who stand on it


@asynccontextmanager
async def serve_with_aiostub(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aiostub do."""
    from aiostub import Stub

    with Stub() as stub:
        for route in site.routes:
            added = stub.request(site.method, route.url)
            added.reply(body=site.answer, content_type=JSON).always().optional()
        yield Access()


@asynccontextmanager
async def serve_with_aioresponses(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aioresponses, or of its fork, do."""
    from aioresponses import aioresponses

    with aioresponses() as mock:
        for route in site.routes:
            mock.add(route.url, method=site.method, body=site.answer, repeat=True)
        yield Access()


@asynccontextmanager
async def serve_with_compat(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aioresponses do, with aiostub in its place."""
    from aiostub.compat.aioresponses import aioresponses

    with aioresponses() as mock:
        for route in site.routes:
            mock.add(route.url, method=site.method, body=site.answer, repeat=True)
        yield Access()


@asynccontextmanager
async def serve_with_aiointercept(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aiointercept do for URLs that the code under test has built in."""
    from aiointercept import aiointercept

    async with aiointercept(mock_external_urls=True) as mock:
        mock.add(ORIGIN)  # patterns alone would not tell it which host to intercept
        for route in site.routes:
            mock.add(route.url, method=site.method, body=site.answer, repeat=True)
        yield Access()


@asynccontextmanager
async def serve_with_aresponses(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aresponses do."""
    from aresponses import ResponsesMockServer

    async with ResponsesMockServer(loop=asyncio.get_running_loop()) as mock:
        reply = partial(_reply, site.answer)
        for route in site.routes:
            path = re.compile(f"^/{route.name}/[a-z]+$") if route.kind == "regex" else route.path
            mock.add("api.example.com", path, site.method, reply, repeat=mock.INFINITY)
        yield Access()


@asynccontextmanager
async def serve_for_real(site: Site) -> AsyncIterator[Access]:
    """Serve a site with aiohttp's own server on a loopback socket."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return _reply(site.answer, request)

    app = web.Application()
    for route in site.routes:
        app.router.add_route(site.method, route.written, handle)
    async with test_utils.TestServer(app) as server:
        yield Access(origin=str(server.make_url("")).rstrip("/"))


def _reply(answer: bytes, _request: web.Request) -> web.Response:
    return web.Response(body=answer, content_type=JSON)


@dataclass(frozen=True)
class Contestant:
    """Say how one of them serves, what its user imports, and which routes it knows."""

    serve: Serve
    imports: str
    kinds: tuple[Kind, ...] = ("exact", "regex")


ALL: tuple[Kind, ...] = ("exact", "template", "regex")

CONTESTANTS = {
    "floor": Contestant(serve_nothing, "aiohttp", ALL),
    "aiostub": Contestant(serve_with_aiostub, "aiostub; aiostub.Stub", ALL),
    "aiostub.compat": Contestant(serve_with_compat, "aiostub.compat.aioresponses"),
    "aioresponses": Contestant(serve_with_aioresponses, "aioresponses"),
    "aioresponses-ng": Contestant(serve_with_aioresponses, "aioresponses"),
    "aiointercept": Contestant(serve_with_aiointercept, "aiointercept"),
    "aresponses": Contestant(serve_with_aresponses, "aresponses"),
    "aiohttp.web": Contestant(
        serve_for_real, "aiohttp.web, aiohttp.test_utils", ("exact", "template")
    ),
}
