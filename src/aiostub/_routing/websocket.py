"""Routes for WebSockets: the handshake, and the function of the test's that talks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from aiostub._answers.reply import check_headers
from aiostub._answers.steps import Serve, name_of
from aiostub._routing.route import Route, parameters_after
from aiostub._value import Value
from aiostub.exceptions import RouteError
from aiostub.script import Line, play, read_lines

if TYPE_CHECKING:
    from aiohttp import web

    from aiostub._exchange.exchange import Exchange
    from aiostub._matching.pattern import Pattern
    from aiostub._routing.route import Place
    from aiostub._routing.router import Router

# What ends a task or the event loop, and says nothing about the function that it comes out of.
NO_VERDICT = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)

Talk = Callable[..., Awaitable[object]]


class Handshake(Value):
    """How a WebSocket is agreed on; the arguments of ``stub.ws``."""

    protocols: tuple[str, ...] | None
    compress: bool
    heartbeat: float | None
    max_msg_size: int
    headers: CIMultiDict[str]

    @classmethod
    def of(
        cls,
        protocols: Iterable[str] | None,
        *,
        compress: bool,
        heartbeat: float | None,
        max_msg_size: int,
        reply_headers: Any,
    ) -> Handshake:
        """Read the arguments.

        Raises:
            RouteError: one of them is wrong; the text names it.
        """
        _demand_bool(compress)
        return cls(
            None if protocols is None else _protocols(protocols),
            compress,
            _heartbeat(heartbeat),
            _size(max_msg_size),
            CIMultiDict(check_headers(reply_headers, "reply_headers")),
        )

    def response(self, request: web.Request) -> web.WebSocketResponse:
        """Return aiohttp's server side of a WebSocket, still to be prepared."""
        from aiohttp import web  # noqa: PLC0415 - a web server, for those who want one

        response = web.WebSocketResponse(
            protocols=_first_offer(request) if self.protocols is None else self.protocols,
            compress=self.compress,
            heartbeat=self.heartbeat,
            max_msg_size=self.max_msg_size,
        )
        response.headers.extend(self.headers)
        return response


def _refuse(name: str, expected: str, got: object) -> None:
    message = f"{name}: expected {expected}, got {got!r}"
    raise RouteError(message)


def _demand_bool(compress: Any) -> None:
    if not isinstance(compress, bool):
        _refuse("compress", "True or False", compress)


def _protocols(protocols: Any) -> tuple[str, ...]:
    if isinstance(protocols, str) or not isinstance(protocols, Iterable):
        _refuse("protocols", "names of sub-protocols, as in ['chat']", protocols)
    names = tuple(protocols)
    if not all(isinstance(name, str) and name for name in names):
        _refuse("protocols", "names of sub-protocols, as in ['chat']", protocols)
    return names


def _heartbeat(seconds: Any) -> float | None:
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if seconds is not None and not (number and 0 < seconds < float("inf")):
        _refuse("heartbeat", "seconds, more than 0", seconds)
    return None if seconds is None else float(seconds)


def _size(size: Any) -> int:
    if type(size) is not int or size < 0:
        _refuse("max_msg_size", "bytes, 0 for any size", size)
    return int(size)


def _first_offer(request: web.Request) -> tuple[str, ...]:
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return (offered[0].strip(),) if offered[0].strip() else ()


class WebSocketRoute(Route):
    """Answer WebSocket handshakes. Made by ``stub.ws(url, ...)``."""

    def __init__(
        self, pattern: Pattern, router: Router, order: int, place: Place, handshake: Handshake
    ) -> None:
        super().__init__(pattern, router, order, place)
        self._handshake = handshake

    def _copied_for(self, router: Router) -> Route:
        return WebSocketRoute(self.pattern, router, self.order, self.place, self._handshake)

    def handle(self, callback: Talk) -> WebSocketRoute:  # type: ignore[override]
        """Accept the handshake and let a function talk with the client.

        Args:
            callback: ``async def talk(ws)`` with an `aiohttp.web.WebSocketResponse` that is
                prepared. It may name *request* (the handshake) and path parameters, too. When it
                returns, the socket is closed with 1000; with 1011 when it raises.

        Raises:
            RouteError: *callback* is no such function.
        """
        conversation = Conversation(self._handshake, callback, _names_of(callback))
        self._add(Serve(f"handle({name_of(callback)})", answer=conversation))
        return self

    def script(self, *lines: Line) -> WebSocketRoute:
        """Accept the handshake and follow a script; the client has to follow it, too.

        Args:
            *lines: ``expect``, ``receive``, ``send``, ``wait`` and ``close`` of `aiostub.script`,
                or faults. After the last one the socket is closed with 1000.

        Raises:
            RouteError: one of them is no line.
        """
        known = read_lines(lines)
        conversation = Conversation(self._handshake, partial(play, lines=known), frozenset())
        said = ", ".join(str(line) for line in known)
        self._add(Serve(f"script({said})", answer=conversation))
        return self


def _names_of(talk: Talk) -> Container[str]:
    call = getattr(talk, "__call__", None)  # noqa: B004 - an object whose call is async
    if not (inspect.iscoroutinefunction(talk) or inspect.iscoroutinefunction(call)):
        message = f"handle: {name_of(talk)} must be an async function that takes the WebSocket"
        raise RouteError(message)
    return parameters_after("the WebSocket", talk)


class Conversation(Value):
    """A handshake, and what is talked when it is accepted."""

    handshake: Handshake
    talk: Talk
    names: Container[str]  # of the arguments that it takes besides the WebSocket

    async def __call__(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        ws = self.handshake.response(request)
        await ws.prepare(request)
        known: Mapping[str, Any] = {"request": exchange.request, **exchange.request.path_params}
        try:
            await self.talk(ws, **{name: known[name] for name in known if name in self.names})
        except NO_VERDICT:
            raise
        except BaseException as error:  # noqa: BLE001 - noted, and raised again at the end
            exchange.judge(error)
            await ws.close(code=1011)
        else:
            await ws.close()
        return ws
