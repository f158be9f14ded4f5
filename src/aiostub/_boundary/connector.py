"""The boundary: where a request of the user's connector is answered, or goes to the real network.

Rules of the file:

- Stubbed connections live in a `MemoryConnector`, one for each connector of the user's. It is a
  connector of aiohttp's own, so pool, keep-alive, queueing, connect timeout and connection trace
  events are aiohttp's. It counts its connections in the user's connector, so that one limit rules
  both and closing the user's ends what is in flight, but keeps its idle ones for itself: ours
  never enter the user's pool, and a real pooled one never answers a stubbed request.

aiohttp's private names used here, and why:

- ``BaseConnector._limit``, ``_limit_per_host``, ``_keepalive_timeout``, ``_force_close``,
  ``_timeout_ceil_threshold``: the user's settings, taken over.
- ``BaseConnector._acquired``, ``_acquired_per_host``, ``_waiters``: shared, so that limits are.
- ``BaseConnector._conns``: our idle connections, to drop them when a stub stops.
- ``BaseConnector._available_connections``: whether a request would have to queue.
- ``BaseConnector._create_connection``: the one method that a connector must supply.
- ``BaseConnector._release``: told when a connection is idle or done with.
- ``BaseConnector._loop``, ``_factory``: the loop, and what makes client protocols.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import (
    BaseConnector,
    BasicAuth,
    ClientRequest,
    ClientTimeout,
    hdrs,
)

from aiostub import _watch
from aiostub._answers.steps import Deliver, LetThrough, Send, Serve
from aiostub._exchange.client import ClientExchange
from aiostub._wire.far_end import FarEnd

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace
    from yarl import URL

    from aiostub._routing.registry import Registry

Connect = Callable[..., Awaitable[Any]]

# What aiohttp raises where a connection is gone when it writes; of its own only from 3.10 on.
_RESET = getattr(aiohttp, "ClientConnectionResetError", ConnectionResetError)
_NO_LIMIT = float("inf")
# As seen from the client, the server is in this process (RFC 1122, 3.2.1.3).
_ADDRESS = "127.0.0.1"
# Where a connector of the user's has its own: they are collected together, whatever leads from one
# to the other.
_MEMORY = "_aiostub_memory"


def _copy(kind: Any) -> Any:
    """Copy a class, unless slots or super() bind what is in it to the class itself."""
    inside = dict(vars(kind))
    codes = [each.__code__ for each in inside.values() if isinstance(each, FunctionType)]
    if "__slots__" in inside or any("__class__" in code.co_freevars for code in codes):
        return kind
    for name in ("__dict__", "__weakref__"):  # each class has its own
        inside.pop(name, None)
    return type(kind)(kind.__name__, kind.__bases__, inside)


if TYPE_CHECKING:
    _Connector = BaseConnector
else:
    # With each patch, the interpreter forgets what it has learnt of a class and of those that
    # derive from it: 2 % of a whole test.
    _Connector = _copy(BaseConnector)


class MemoryConnector(_Connector):
    """Keep the stubbed connections of one connector of the user's."""

    connect = BaseConnector.connect  # aiohttp's own, whatever is patched meanwhile

    def __init__(self, owner: BaseConnector) -> None:
        super().__init__(loop=owner._loop)
        self._owner = weakref.ref(owner)
        # What connect() is to open, for _create_connection(): several at once, and only the
        # request is handed from one to the other.
        self._opening: dict[ClientRequest, ClientExchange] = {}
        self._busy: dict[ResponseHandler, ClientExchange] = {}  # until the client lets go of them
        self._far_ends: set[FarEnd] = set()  # of the connections that are open
        self._limit = owner._limit
        self._limit_per_host = owner._limit_per_host
        self._keepalive_timeout = owner._keepalive_timeout
        self._force_close = owner._force_close
        self._timeout_ceil_threshold = owner._timeout_ceil_threshold
        self._acquired = owner._acquired
        self._acquired_per_host = owner._acquired_per_host
        self._waiters = owner._waiters

    def __del__(self, *_: object) -> None:
        """Close what is idle, and say nothing: it holds no resource."""
        if self._far_ends:
            in_loop(self._loop, self.drop_idle)

    def would_queue(self, req: ClientRequest) -> bool:
        """Tell whether the user's limits let the request wait for a connection."""
        if not self._limit_per_host and len(self._acquired) < (self._limit or _NO_LIMIT):
            return False
        return self._available_connections(req.connection_key) <= 0

    async def open(self, exchange: ClientExchange) -> Connection:
        """Connect an exchange with the client, under the user's limits and timeouts."""
        req = exchange.client_request
        connection = None
        try:
            if not exchange.is_settled and exchange.refuses_connection:
                self._forget(req)  # a host that is gone keeps no connection alive either
            self._opening[req] = exchange
            try:
                connection = await self.connect(req, exchange.traces, exchange.timeout)
            finally:
                del self._opening[req]
            protocol, transport = _ends_of(connection, exchange)
            far_end = exchange.far_end
            if far_end is None:  # a connection that was kept alive
                if not exchange.is_settled:
                    await exchange.settle()
                far_end = transport.peer.protocol
            self._busy[protocol] = exchange
            exchange.connected(far_end)
        except BaseException as error:
            if connection is not None:
                connection.close()
            exchange.end(error)
            raise
        return connection

    async def refuse(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Do what a connector of aiohttp's does when it is closed."""
        self._closed = True
        try:
            return await self.connect(req, traces, timeout)
        finally:
            self._acquired.clear()  # a closed connector has none, and aiohttp leaves a place taken

    async def _create_connection(
        self, req: ClientRequest, *_: object, **__: object
    ) -> ResponseHandler:
        exchange = self._opening.get(req)
        if exchange is not None and not exchange.is_settled:
            await exchange.settle()
        client: ResponseHandler = self._factory()
        extra = _extra_info(req)
        far_extra = _seen_from_server(extra)
        far_end = FarEnd.connect(self._loop, client, extra, far_extra, self._far_ends)
        if exchange is not None:
            exchange.far_end = far_end
        return client

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        exchange = self._busy.pop(protocol, None)
        if exchange is not None:
            exchange.released()
        owner = self._owner()
        gone = owner is None or owner.closed
        # Not by super(), nor where a ClientCall is made: 0.7 % of a request's instructions.
        _Connector._release(self, key, protocol, should_close=should_close or gone)

    def _forget(self, req: ClientRequest) -> None:
        for protocol, _ in self._conns.pop(req.connection_key, ()):
            protocol.close()

    def drop_idle(self) -> None:
        """Close the connections that nobody uses."""
        # Not what is in the pool alone: aiohttp forgets a connection when its user is cancelled in
        # a trace event. As long as any is being opened, that one looks the same.
        for far_end in tuple(self._far_ends):
            far_end.put_servers_away()  # their tasks end in the next turn of the loop
            if far_end.is_idle and not self._opening:
                far_end.abort()
                self._far_ends.discard(far_end)  # it says so itself, but only in the next turn
        for kept in self._conns.values():
            for protocol, _ in kept:
                protocol.close()
        self._conns.clear()
        if self._cleanup_handle is not None:
            self._cleanup_handle.cancel()
            self._cleanup_handle = None


def _ends_of(connection: Connection, exchange: ClientExchange) -> tuple[ResponseHandler, Any]:
    """Return protocol and transport, unless something happened during a trace event."""
    if exchange.stopped is not None:
        raise exchange.stopped
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        raise _RESET("Cannot write to closing transport")
    return protocol, protocol.transport


class _BodyTap:
    """Hear the body of a request on its way to the real network, as one of aiohttp's traces.

    What ``compress=`` does to it comes later, and is not heard.
    """

    def __init__(self, exchange: ClientExchange) -> None:
        self._exchange = exchange

    async def send_request_chunk_sent(self, _method: str, _url: URL, chunk: bytes) -> None:
        self._exchange.body_arrived(bytes(chunk))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        if not name.startswith("send_"):
            raise AttributeError(name)
        return self._ignore

    async def _ignore(self, *_: object) -> None:
        pass


def _listen(exchange: ClientExchange, traces: list[Any]) -> None:
    """Log the body of a request that passes through, where it shows only while it is sent."""
    traces[:] = [trace for trace in traces if not isinstance(trace, _BodyTap)]
    if not exchange.knows_body:
        traces.append(_BodyTap(exchange))


async def _let_through(exchange: ClientExchange, real_connect: Connect) -> Connection:
    traces = exchange.traces
    try:
        connection: Connection = await real_connect(
            exchange.connector, exchange.client_request, traces, exchange.timeout
        )
        if exchange.queues:
            exchange.arrive()
        _listen(exchange, traces)
        exchange.follow(connection)
    except BaseException as error:
        exchange.end(error)
        raise
    return connection


class Boundary:
    """Answer the requests of connectors, or let them through."""

    def __init__(self) -> None:
        self._memories: weakref.WeakSet[MemoryConnector] = weakref.WeakSet()
        self._lock = threading.RLock()  # what is collected meanwhile may close a connector

    def connect(  # noqa: PLR0917 - what aiohttp passes, behind what we need
        self,
        real_connect: Connect,
        registries: Sequence[Registry],
        connector: BaseConnector,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,
    ) -> Awaitable[Connection]:
        """Do what ``BaseConnector.connect`` does, for a request that stubs may answer.

        Args:
            real_connect: aiohttp's own, for what is let through.
            registries: what the stubs know, the innermost first.
            connector: the user's.
            req: as aiohttp hands it over.
            traces: as aiohttp hands them over.
            timeout: as aiohttp hands it over.
        """
        if connector.closed:
            return MemoryConnector(connector).refuse(req, traces, timeout)
        memory = self._memory_of(connector)
        exchange = ClientExchange(registries, connector, req, traces, timeout)
        try:
            # A request that must queue is not on the network yet; but it must not queue among
            # ours if it is not for us.
            exchange.queues = memory.would_queue(req)
            if exchange.decision is None and (not exchange.queues or exchange.would_pass()):
                exchange.decide()
            action = exchange.action
            if isinstance(action, LetThrough):
                return _let_through(exchange, real_connect)
            if req.proxy is not None and not req.is_ssl():
                _authorise_with_proxy(req, req.proxy)
            exchange.is_settled = isinstance(action, (Send, Deliver, Serve))
            return memory.open(exchange)
        except BaseException as error:
            exchange.end(error)
            raise

    def closed(self, connector: BaseConnector) -> None:
        """Learn that a connector of the user's is closed: its idle connections are, too."""
        memory = connector.__dict__.get(_MEMORY)
        if memory is not None:
            memory.drop_idle()
            memory._closed = True
            with self._lock:
                self._memories.discard(memory)
        if _watch.current is not None:
            _watch.current.connector_closed(connector)

    def drop_idle(self) -> None:
        """Close all idle connections in memory, each in its own loop's thread."""
        with self._lock:
            memories = list(self._memories) if self._memories else ()
        for memory in memories:
            in_loop(memory._loop, memory.drop_idle)

    def _memory_of(self, connector: BaseConnector) -> MemoryConnector:
        memory: MemoryConnector | None = connector.__dict__.get(_MEMORY)
        if memory is None:
            memory = connector.__dict__[_MEMORY] = MemoryConnector(connector)
            with self._lock:
                self._memories.add(memory)
            if _watch.current is not None:
                _watch.current.connector_used(connector)
        return memory


def in_loop(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Do something where a loop's objects may be touched: in its thread, or when it rests."""
    if loop.is_closed():
        return
    if loop.is_running() and asyncio._get_running_loop() is not loop:
        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            loop.call_soon_threadsafe(act)
    else:
        act()


def _authorise_with_proxy(req: ClientRequest, proxy: URL) -> None:
    """Tell a plain-HTTP proxy who is asking, as aiohttp does while it connects to one."""
    auth = req.proxy_auth or BasicAuth.from_url(proxy)
    if auth is not None:
        req.headers[hdrs.PROXY_AUTHORIZATION] = auth.encode()


def _extra_info(req: ClientRequest) -> dict[str, Any]:
    extra: dict[str, Any] = {"peername": (_ADDRESS, req.port), "sockname": (_ADDRESS, 0)}
    if req.is_ssl():
        given = req.ssl
        extra["sslcontext"] = given if isinstance(given, ssl.SSLContext) else _tls()
    return extra


def _seen_from_server(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {**extra, "peername": extra["sockname"], "sockname": extra["peername"]}


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
