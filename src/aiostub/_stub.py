"""The stub: routes, log, and the patch, as the user holds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from yarl import URL

from aiostub import _explain, _watch
from aiostub._boundary import interception
from aiostub._boundary.connector import in_loop
from aiostub._log.assertions import CallAssertions
from aiostub._matching.pattern import Pattern
from aiostub._matching.url import origin_of
from aiostub._routing.registry import Registry, UnmatchedMode
from aiostub._routing.route import Place, Route
from aiostub._value import UNSET
from aiostub.exceptions import RouteError, StubStateError

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp import web
    from typing_extensions import Self, Unpack

    from aiostub._boundary.injected import InjectedConnector
    from aiostub._log.calls import Log
    from aiostub._matching.request import Request
    from aiostub._routing.websocket import WebSocketRoute
    from aiostub._sockets.site import Authority, Site
    from aiostub.typing import Conditions

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_MAX_MESSAGE_SIZE = 4 * 1024 * 1024  # aiohttp's own default


class Stub(CallAssertions):
    """Answer the aiohttp requests of this process from routes, in memory.

    Works as a context manager in sync and async code, as a decorator of functions and test
    classes, by ``start()`` and ``stop()``, and, without any patch, by ``connector()``.

    Args:
        base_url: what relative URLs of routes are joined to; absolute.
        strict: whether leaving the stub raises what was left over or went wrong.
        passthrough: rules for requests that go to the real network; as for `passthrough`.
        unmatched: ``"error"``, or ``"passthrough"`` to let go what no route matches.
        param: the keyword by which the decorator passes the stub.
        log_bodies: how many bytes of each request's body the log keeps; 0 or more, ``None`` for
            all. Routes and handlers see the whole body all the same.

    Raises:
        RouteError: an argument is none of these.
    """

    def __init__(
        self,
        base_url: str | URL | None = None,
        *,
        strict: bool = True,
        passthrough: Any = (),
        unmatched: UnmatchedMode = "error",
        param: str = "stub",
        log_bodies: int | None = None,
    ) -> None:
        if unmatched not in ("error", "passthrough"):
            message = f"unmatched: expected 'error' or 'passthrough', got {unmatched!r}"
            raise RouteError(message)
        if not _is_name(param):
            message = f"param: expected the name of a parameter, got {param!r}"
            raise RouteError(message)
        if log_bodies is not None and not _is_size(log_bodies):
            message = (
                f"log_bodies: expected a number of bytes, 0 or more, or None, got {log_bodies!r}"
            )
            raise RouteError(message)
        self._registry = Registry(
            _absolute(base_url),
            strict=strict,
            passthrough=passthrough,
            unmatched=unmatched,
            name=param,
            log_bodies=log_bodies,
        )
        self._param = param
        self._started = False
        self._was_started = False
        self._ca: Authority | None = None
        self._in_use: set[InjectedConnector | Site] = set()  # which need no start

    def __repr__(self) -> str:
        state = "started" if self._started else "stopped"
        routes, calls = len(self._registry.router.routes), len(self.calls)
        return f"<Stub {state}, routes: {routes}, calls: {calls}>"

    # Switching it on.

    def start(self) -> None:
        """Begin to answer requests.

        Raises:
            StubStateError: it is started already.
        """
        if self._started:
            message = "start: the stub is started already"
            raise StubStateError(message)
        interception.start(self._registry)
        self._registry.stopped = False
        self._started = self._was_started = True

    def stop(self) -> None:
        """Stop answering requests, restore what was there, then check.

        Raises:
            StubStateError: it is not started.
            UnsatisfiedStub: a step was never served, or a request unmatched (if strict).
            BaseException: what went wrong in a matcher, a handler or a call (if strict).
        """
        self._stop(None)

    def _stop(self, error: BaseException | None) -> None:
        self._restore()
        self._clean_up_now()
        self._registry.check(error)

    def _clean_up_now(self) -> None:
        if self._registry.apps:
            from aiostub._exchange.apps import clean_up_now  # noqa: PLC0415 - it is loaded only if used

            clean_up_now(self._registry)

    async def _clean_up(self) -> None:
        if self._registry.apps:
            from aiostub._exchange.apps import clean_up  # noqa: PLC0415 - it is loaded only if used

            await clean_up(self._registry)

    def _restore(self) -> None:
        if not self._started:
            message = "stop: the stub is not started"
            raise StubStateError(message)
        self._started = False
        self._registry.stopped = True
        interception.stop(self._registry)
        for exchange in tuple(self._registry.in_flight):
            in_loop(exchange.loop, partial(exchange.stub_stopped, self._registry))
        self._registry.in_flight.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None and not self._started:
            return  # the test fails already: to say that it is not started would hide that
        self._stop(exc)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is not None and not self._started:
            return
        self._restore()
        await asyncio.sleep(0)  # connections that were closed now say so to their protocols
        await self._clean_up()
        self._registry.check(exc)

    @contextmanager
    def _until_torn_down(self, last_look: Callable[[], None]) -> Iterator[None]:
        """Be started for as long as a pytest fixture is set up.

        What is left over has been checked when the test was over; here only what went wrong since.
        """
        self.start()
        try:
            yield
        finally:
            last_look()
            self._restore()
            self._clean_up_now()
        self._registry.check_troubles()

    def __call__(self, target: Decorated) -> Decorated:
        """Decorate a function, or the test methods of a class, with a fresh stub for each run.

        Args:
            target: ``def``, ``async def``, a generator of either kind (a fixture), or a class.
        """
        from aiostub._decorator import (  # noqa: PLC0415 - it is loaded only if used
            decorate,
            decorate_class,
        )

        wrap = decorate_class if isinstance(target, type) else decorate
        return cast("Decorated", wrap(target, self._fresh, self._param))

    def connector(self, **kwargs: Any) -> InjectedConnector:
        """Return a connector that asks this stub, started or not.

        Args:
            **kwargs: the keywords of `aiohttp.TCPConnector`.
        """
        from aiostub._boundary.injected import (  # noqa: PLC0415 - it is loaded only if used
            InjectedConnector,
        )

        connector = InjectedConnector(self._registry, self._connector_closed, **kwargs)
        self._in_use.add(connector)
        _watch.tell_unstarted(self._registry)
        return connector

    async def _connector_closed(
        self, connector: InjectedConnector, error: BaseException | None
    ) -> None:
        self._in_use.discard(connector)
        await self._end_if_unused(error)

    async def _end_if_unused(self, error: BaseException | None) -> None:
        """Clean up when the last connector or socket is closed, and check what never started."""
        if self._started or self._in_use:
            return
        await self._clean_up()
        if not self._was_started:
            self._registry.check(error)

    def serve(
        self, *, origin: str | URL | None = None, tls: bool = False
    ) -> AbstractAsyncContextManager[str]:
        """Serve the same routes on a socket, for clients that are no aiohttp of this process.

        Listens on a free port of 127.0.0.1 in the running event loop while the ``async with``
        block lasts. The stub need not be started, and several sockets at once are fine.

        Args:
            origin: what requests are matched as if sent to; by default that of the stub's
                ``base_url``, or else the socket's own.
            tls: whether it speaks TLS, with a certificate of the authority `ca_pem`.

        Returns:
            A context manager that gives the URL of the socket, without a slash at its end.

        Raises:
            RouteError: *origin* is none, or the trustme package is missing.
            UnsatisfiedStub: as when leaving the stub, if it was never started.
        """
        return self._serving(self._origin(origin), self._authority() if tls else None)

    @asynccontextmanager
    async def _serving(self, origin: URL | None, authority: Authority | None) -> AsyncIterator[str]:
        from aiostub._sockets.site import Site  # noqa: PLC0415 - it is loaded only if used

        site = Site(self._asked, origin, authority)
        url = site.open()
        self._in_use.add(site)
        _watch.tell_unstarted(self._registry)
        error: BaseException | None = None
        try:
            yield str(url.origin())
        except BaseException as raised:
            error = raised
            raise
        finally:
            await site.close()
            self._in_use.discard(site)
            await self._end_if_unused(error)

    def _asked(self) -> tuple[Registry, ...]:
        """Return who is asked for an answer: this stub first, whoever is started besides."""
        others = (each for each in interception.started() if each is not self._registry)
        return (self._registry, *others)

    def _origin(self, origin: str | URL | None) -> URL | None:
        if origin is None:
            base = self._registry.base_url
            return None if base is None else base.origin()
        return origin_of(origin)

    @property
    def ca_pem(self) -> bytes:
        """Return the certificate of the authority that signs for ``serve(tls=True)``.

        Raises:
            RouteError: the trustme package is missing.
        """
        return self._authority().pem

    def _authority(self) -> Authority:
        from aiostub._sockets.site import Authority  # noqa: PLC0415 - it is loaded only if used

        if self._ca is None:
            self._ca = Authority()
        return self._ca

    # Routes.

    def request(
        self,
        method: str,
        url: Any,
        *,
        params: Any = UNSET,
        headers: Any = None,
        cookies: Any = None,
        json: Any = UNSET,
        data: Any = UNSET,
        where: Callable[[Request], object] | None = None,
        first: bool = False,
    ) -> Route:
        """Register a route.

        Args:
            method: any HTTP method, in either case.
            url: a str or `yarl.URL` (exact), a str with ``{name}`` or ``{name:path}`` (template),
                an `re.Pattern` (searched in the URL as sent), or ``ANY``.
            params: with the URL's own query, the whole query; ``partial({...})``; ``ANY``.
            headers: named headers and their values.
            cookies: named cookies and their values.
            json: what the decoded body equals; ``partial({...})``.
            data: the raw body, its form fields, or a pattern in it.
            where: a predicate of the request.
            first: put the route in front of the others.

        Raises:
            RouteError: an argument is wrong; the text names it.
        """
        pattern = Pattern.build(
            _named(method),
            url,
            base_url=self._registry.base_url,
            params=params,
            headers=headers,
            cookies=cookies,
            json=json,
            data=data,
            where=where,
        )
        return self._registry.router.add(pattern, Place.of_caller(), first=first)

    def get(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for GET; arguments as for `request`."""
        return self._register("GET", url, match, first=first)

    def post(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for POST; arguments as for `request`."""
        return self._register("POST", url, match, first=first)

    def put(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for PUT; arguments as for `request`."""
        return self._register("PUT", url, match, first=first)

    def patch(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for PATCH; arguments as for `request`."""
        return self._register("PATCH", url, match, first=first)

    def delete(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for DELETE; arguments as for `request`."""
        return self._register("DELETE", url, match, first=first)

    def head(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for HEAD; arguments as for `request`."""
        return self._register("HEAD", url, match, first=first)

    def options(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for OPTIONS; arguments as for `request`."""
        return self._register("OPTIONS", url, match, first=first)

    def any(self, url: Any, *, first: bool = False, **match: Unpack[Conditions]) -> Route:
        """Register a route for every method; arguments as for `request`."""
        return self._register(None, url, match, first=first)

    def ws(
        self,
        url: Any,
        *,
        protocols: Iterable[str] | None = None,
        compress: bool = True,
        heartbeat: float | None = None,
        max_msg_size: int = _MAX_MESSAGE_SIZE,
        reply_headers: Any = None,
        first: bool = False,
        **match: Unpack[Conditions],
    ) -> WebSocketRoute:
        """Register a route for WebSocket handshakes.

        Args:
            url: as for `request`; ``ws`` and ``http``, ``wss`` and ``https`` are the same.
            protocols: the sub-protocols that it speaks; by default the client's first offer.
            compress: whether it agrees to compression (RFC 7692).
            heartbeat: seconds of the event loop's clock between its pings; more than 0.
            max_msg_size: bytes that a message to it may have; 0 for any size.
            reply_headers: headers of its answer to the handshake; mapping, pairs or multidict.
            first: put the route in front of the others.
            **match: as for `request`.

        Raises:
            RouteError: an argument is wrong; the text names it.
        """
        from aiostub._routing.websocket import (  # noqa: PLC0415 - it is loaded only if used
            Handshake,
            WebSocketRoute,
        )

        handshake = Handshake.of(
            protocols,
            compress=compress,
            heartbeat=heartbeat,
            max_msg_size=max_msg_size,
            reply_headers=reply_headers,
        )
        pattern = Pattern.build(
            "GET", url, base_url=self._registry.base_url, websocket=True, **match
        )
        make = partial(WebSocketRoute, handshake=handshake)
        route = self._registry.router.add(pattern, Place.of_caller(), first=first, make=make)
        return cast("WebSocketRoute", route)

    def mount(self, origin: str | URL, app: web.Application, *, first: bool = False) -> Route:
        """Let a whole application of `aiohttp.web` answer for an origin, in this process.

        It starts with the first request, in that request's event loop, and is cleaned up when the
        stub is left.

        Args:
            origin: scheme, host and port of the URLs that it answers, as in
                ``"https://api.example.com"``.
            app: an `aiohttp.web.Application`.
            first: put it in front of the routes that are there already.

        Raises:
            RouteError: *origin* is none, or *app* no application.
        """
        from aiostub._routing.mount import (  # noqa: PLC0415 - it is loaded only if used
            Mount,
            check_application,
        )

        check_application(app)
        pattern, make = Pattern.of_origin(origin), partial(Mount, app=app)
        return self._registry.router.add(pattern, Place.of_caller(), first=first, make=make)

    def passthrough(self, *rules: Any) -> None:
        """Let requests that no route answers go to the real network.

        Args:
            *rules: a host (``"127.0.0.1"``), an origin, a URL prefix at a path boundary (``*``
                within one label or segment; without a port, every port), an `re.Pattern` (searched
                in the URL), or a predicate of the request.

        Raises:
            RouteError: one of them is none of these.
        """
        self._registry.add_rules(rules)

    def _register(self, method: str | None, url: Any, match: Conditions, *, first: bool) -> Route:
        router = self._registry.router
        if match:
            pattern = Pattern.build(method, url, base_url=router.base_url, **match)
        else:
            pattern = Pattern.of_url(method, url, router.base_url)
        return router.add(pattern, Place.of_caller(), first=first)

    # The log.

    @property
    def calls(self) -> Log:
        """Return every request that reached the network boundary, in order of arrival."""
        return self._registry.log

    def reset(self) -> None:
        """Drop routes and calls."""
        self._registry.router.clear()
        self._registry.log.clear()

    # Assertions.

    def assert_called_with(self, method: str, url: Any, **match: Unpack[Conditions]) -> None:
        """Assert what the last call was.

        Args:
            method: as for matching a route, like all that follow.
            url: any form of URL that a route takes.
            **match: *params*, *headers*, *cookies*, *json*, *data*, *where*.

        Raises:
            AssertionError: there was no call, or the last one differs.
        """
        self._assert_last(self._pattern(method, url, match))

    def assert_called_once_with(self, method: str, url: Any, **match: Unpack[Conditions]) -> None:
        """Assert that there was one call only, and what it was; arguments as for a route.

        Raises:
            AssertionError: there were more calls or none, or the one differs.
        """
        self._assert_only(self._pattern(method, url, match))

    def assert_any_call(self, method: str, url: Any, **match: Unpack[Conditions]) -> None:
        """Assert that some call was this one; arguments as for a route.

        Raises:
            AssertionError: there was no such call.
        """
        self._assert_any(self._pattern(method, url, match))

    def assert_all_called(self) -> None:
        """Assert that every route that is neither optional nor a mount was called at least once.

        Raises:
            AssertionError: one was not; it names them.
        """
        routes = self._registry.router.routes
        never = [r for r in routes if not (r.is_optional or r.is_mount or r.called)]
        if never:
            named = [(str(route), str(route.place)) for route in never]
            raise AssertionError(_explain.never_called(named, self.calls.rows()))

    def assert_call_order(self, *routes: Route) -> None:
        """Assert that these routes were called in this order, others between them or not.

        Args:
            *routes: in the expected order; one may stand there several times.

        Raises:
            AssertionError: they were not; with the timeline.
        """
        found = 0
        for call in self.calls:
            if found < len(routes) and call.route is routes[found]:
                found += 1
        if found < len(routes):
            text = _explain.wrong_order([str(r) for r in routes], found, self.calls.rows())
            raise AssertionError(text)

    def _pattern(self, method: str, url: Any, match: Conditions) -> Pattern:
        return Pattern.build(method, url, base_url=self._registry.base_url, **match)

    def _fresh(self) -> Stub:
        """Return a stub like this one, with copies of its routes and rules, and nothing called."""
        mine = self._registry
        copy = Stub(
            mine.base_url,
            strict=mine.strict,
            unmatched=mine.unmatched,
            param=self._param,
            log_bodies=mine.log_bodies,
        )
        copy._registry.rules = list(mine.rules)
        for route in mine.router.routes:
            route.copy_into(copy._registry.router)
        return copy


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _named(method: object) -> str:
    if not isinstance(method, str):
        message = f"method: expected a str, got {method!r}"
        raise RouteError(message)
    return method


def _absolute(base_url: Any) -> URL | None:
    if base_url is None:
        return None
    try:
        url = URL(base_url)
    except ValueError as error:
        message = f"base_url: {error}"
        raise RouteError(message) from None
    except TypeError:
        message = f"base_url: expected a str or a yarl.URL, got {base_url!r}"
        if callable(base_url):
            message += "; as a decorator, write @Stub()"
        raise RouteError(message) from None
    if not url.absolute:
        message = f"base_url: expected an absolute URL, got {str(base_url)!r}"
        raise RouteError(message)
    return url
