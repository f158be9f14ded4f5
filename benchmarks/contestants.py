"""Who is measured: the floor, aiostub, its peers, and a real server.

Each contestant serves a `Site` for as long as its context lasts, told in the words of its users.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import chain, repeat
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, test_utils, web
from floor import serve_nothing
from names import COMPAT, FLOOR, OURS, SERVER
from sites import HEADER, JSON, ORIGIN, Access, Route, Serve, Site, Way

if TYPE_CHECKING:
    from aiostub import Stub

# aiostub


@asynccontextmanager
async def serve_with_aiostub(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aiostub do."""
    from aiostub import Stub

    with Stub() as stub:
        add_to_stub(stub, site)
        yield Access()


@asynccontextmanager
async def serve_on_a_socket(site: Site) -> AsyncIterator[Access]:
    """Serve a site on a loopback socket of a stub."""
    from aiostub import Stub

    stub = Stub()
    add_to_stub(stub, site)
    async with stub.serve(origin=ORIGIN) as url:
        yield Access(origin=url)


def add_to_stub(stub: Stub, site: Site) -> None:
    """Register a site."""
    for route in site.routes:
        added = stub.request(site.method, route.url, headers=route.headers)
        for status in site.statuses[:-1]:
            added.reply(status).then  # noqa: B018 - the next step begins
        if site.chunks:
            added.reply(site.statuses[-1], stream=site.stream, content_type=JSON)
        else:
            added.reply(site.statuses[-1], body=site.answer, content_type=JSON)
        added.always().optional()


@asynccontextmanager
async def mount_in_aiostub(site: Site) -> AsyncIterator[Access]:
    """Serve a site with an application that is mounted in a stub."""
    from aiostub import Stub

    async with Stub() as stub:
        stub.mount(ORIGIN, application(site))
        yield Access()


@asynccontextmanager
async def echo_with_aiostub(site: Site) -> AsyncIterator[Access]:
    """Send back what comes, with a WebSocket of a stub."""
    from aiostub import Stub

    async with Stub() as stub:
        stub.ws(ORIGIN + site.routes[0].path).handle(send_back).always().optional()
        yield Access()


# Peers


@asynccontextmanager
async def serve_with_compat(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aioresponses do who have changed one import."""
    from aiostub.compat.aioresponses import aioresponses

    with aioresponses() as mock:
        add_to(mock, site)
        yield Access()


@asynccontextmanager
async def serve_with_aioresponses(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aioresponses, or of its fork, do."""
    from aioresponses import aioresponses

    with aioresponses() as mock:
        add_to(mock, site)
        yield Access()


@asynccontextmanager
async def serve_with_aiointercept(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aiointercept do for URLs that the code under test has built in."""
    from aiointercept import aiointercept

    async with aiointercept(mock_external_urls=True) as mock:
        mock.add(ORIGIN)  # patterns alone would not tell it which host to intercept
        add_to(mock, site)
        yield Access()


def add_to(mock: object, site: Site) -> None:
    """Register a site with a mock that has the words of aioresponses."""
    add = partial(mock.add, method=site.method)  # type: ignore[attr-defined]
    for route in site.routes:
        for status in site.statuses[:-1]:
            add(route.url, status=status)
        if len(site.statuses) > 1:  # aiointercept would drop a queue for what is repeated
            add(route.url, status=site.statuses[-1], body=site.answer)
        else:
            add(route.url, body=site.answer, repeat=True)


@asynccontextmanager
async def serve_with_aresponses(site: Site) -> AsyncIterator[Access]:
    """Serve a site as users of aresponses do."""
    from aresponses import ResponsesMockServer

    async with ResponsesMockServer(loop=asyncio.get_running_loop()) as mock:
        for route in site.routes:
            path = re.compile(f"^/{route.name}/[a-z]+$") if route.kind == "regex" else route.path
            add = partial(mock.add, "api.example.com", path, site.method)
            for status in site.statuses[:-1]:
                add(partial(respond, b"", status))
            reply = partial(respond, site.answer, site.statuses[-1])
            add(reply, repeat=mock.INFINITY)
        yield Access()


def respond(body: bytes, status: int, _request: web.BaseRequest) -> web.Response:
    """Make a response."""
    return web.Response(status=status, body=body, content_type=JSON)


# A real server


@asynccontextmanager
async def serve_for_real(site: Site) -> AsyncIterator[Access]:
    """Serve a site with aiohttp's own server on a loopback socket."""
    async with test_utils.TestServer(application(site)) as server:
        yield Access(origin=str(server.make_url("")).rstrip("/"))


def application(site: Site) -> web.Application:
    """Make an application that serves a site."""
    app = web.Application(client_max_size=0)  # no limit
    statuses = chain(site.statuses[:-1], repeat(site.statuses[-1]))

    async def handle(route: Route, request: web.Request) -> web.StreamResponse:
        if route.headers and request.headers[HEADER] != route.headers[HEADER]:
            raise web.HTTPNotFound
        await request.read()
        if site.chunks:
            return await stream(site, request)
        return web.Response(status=next(statuses), body=site.answer, content_type=JSON)

    for route in site.routes:
        path = route.written
        if route.kind == "regex":
            path = path.replace("{id}", "{id:[a-z]+}")
        served = send_back_over_http if site.way == "echo" else partial(handle, route)
        app.router.add_route(site.method, path, served)
    return app


async def stream(site: Site, request: web.Request) -> web.StreamResponse:
    """Stream the answer of a site."""
    response = web.StreamResponse(headers={"Content-Type": JSON})
    await response.prepare(request)
    async for chunk in site.stream():
        await response.write(chunk)
    return response


async def send_back_over_http(request: web.Request) -> web.WebSocketResponse:
    """Accept a WebSocket, and send back what comes."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await send_back(ws)
    return ws


async def send_back(ws: web.WebSocketResponse) -> None:
    """Send back what comes over a WebSocket."""
    async for message in ws:
        assert message.type is WSMsgType.TEXT
        await ws.send_str(message.data)


# All of them

EXACT = frozenset({"exact"})
PATTERNS = EXACT | {"regex"}
KINDS = PATTERNS | {"template", "condition"}


@dataclass(frozen=True)
class Contestant:
    """Say how one of them serves, and what its user has to load.

    Args:
        ways: how it serves each kind of site.
        knows: which needs of a site it can meet.
        imports: how a test of its users imports it.
        distribution: what is installed for it, if it is a peer.
        plugin: its module of pytest's.
    """

    ways: Mapping[Way, Serve]
    knows: frozenset[str] = PATTERNS | {"huge uploads"}
    imports: str = "from aioresponses import aioresponses"
    distribution: str | None = None
    plugin: str | None = None

    def serve(self, site: Site) -> AbstractAsyncContextManager[Access]:
        """Serve a site."""
        return self.ways[site.way](site)

    def can(self, site: Site) -> bool:
        """Tell whether it can serve a site."""
        return site.way in self.ways and site.needs <= self.knows

    @property
    def version(self) -> str | None:
        """Return the version of its distribution, if it has one of its own."""
        return version(self.distribution) if self.distribution else None

    @property
    def is_there(self) -> bool:
        """Tell whether it is installed here."""
        try:
            version(self.distribution or "aiohttp")  # two distributions have one module
            return find_spec(self.imports.split()[1]) is not None
        except (ModuleNotFoundError, PackageNotFoundError):
            return False


EVERYTHING = KINDS | {"stream", "huge uploads"}

CONTESTANTS = {
    FLOOR: Contestant(
        dict.fromkeys(("replies", "app", "socket"), serve_nothing), EVERYTHING, "import aiohttp"
    ),
    OURS: Contestant(
        {
            "replies": serve_with_aiostub,
            "app": mount_in_aiostub,
            "echo": echo_with_aiostub,
            "socket": serve_on_a_socket,
        },
        EVERYTHING,
        "from aiostub import Stub",
        plugin="aiostub.pytest_plugin",
    ),
    COMPAT: Contestant(
        {"replies": serve_with_compat},
        imports="from aiostub.compat.aioresponses import aioresponses",
    ),
    "aioresponses": Contestant({"replies": serve_with_aioresponses}, distribution="aioresponses"),
    "aioresponses-ng": Contestant(
        {"replies": serve_with_aioresponses}, distribution="aioresponses-ng"
    ),
    "aiointercept": Contestant(
        {"replies": serve_with_aiointercept},
        imports="from aiointercept import aiointercept",
        distribution="aiointercept",
        plugin="aiointercept.pytest_plugin",
    ),
    "aresponses": Contestant(
        {"replies": serve_with_aresponses},
        PATTERNS,
        "from aresponses import ResponsesMockServer",
        "aresponses",
        plugin="aresponses.main",
    ),
    SERVER: Contestant(
        dict.fromkeys(("replies", "app", "echo", "socket"), serve_for_real),
        EVERYTHING,
        "from aiohttp import test_utils, web",
    ),
}
