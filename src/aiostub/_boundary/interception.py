"""The patch: what stands in aiohttp's place while a stub is started.

Rules of the file:

- Three functions of aiohttp's are replaced while at least one stub is started, and put back by the
  last one to stop: ``ClientSession._request``, to know the client call a request comes from,
  ``BaseConnector.connect``, the boundary, and ``BaseConnector.close``, to close what is ours.
- While a started stub has a dialect, ``ClientSession._request`` is replaced once more, over ours.
- If somebody has wrapped ours meanwhile, theirs stays, and ours inside it steps aside: over another
  function than before stands another of ours. Over the same one stands the same, since to make the
  three anew takes longer than all else that a start does.
- The stack of started stubs is replaced as a whole, never changed, so that a request in another
  thread reads it without a lock.

aiohttp's private names used here besides, and why:

- ``ClientSession._base_url``, ``_build_url``, ``_prepare_headers``, ``_raise_for_status``,
  ``_middlewares``: for a dialect that shows what a session makes of its arguments.
- ``ClientSession._loop``: whether a session is at home in the loop that runs.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import BaseConnector, ClientRequest, ClientResponse, ClientTimeout
from aiohttp.client import ClientSession  # a suite may have put a subclass of it into aiohttp

from aiostub import _watch
from aiostub._boundary.connector import Boundary
from aiostub._exchange.client_call import ClientCall, client_call
from aiostub._routing.registry import Way
from aiostub.exceptions import StubStateError

if TYPE_CHECKING:
    from aiohttp.tracing import Trace
    from multidict import CIMultiDict
    from yarl import URL

    from aiostub._routing.registry import Registry

_logger = logging.getLogger("aiostub")

TESTED_WITH = "3.9 to 3.14"

boundary = Boundary()

_lock = threading.RLock()
_stack: tuple[Registry, ...] = ()  # the innermost first
_patches: list[Patch] = []  # kept from one start to the next
_dialects: Patch | None = None  # kept, too; active while a started stub has a dialect


class Patch:
    """One function of aiohttp's that is replaced by one of ours while the patch is active."""

    def __init__(self, owner: type, name: str, wrap: Callable[[Any, Patch], Any]) -> None:
        self.active = False
        self._made_of = (owner, name, wrap)
        self._owner = owner
        self._name = name
        self._there = owner.__dict__  # as it is at any time
        self._original = self._there[name]
        # Not the raw attribute: a wrapper of somebody's may only work when it is looked up.
        self._ours = wrap(getattr(owner, name), self)

    def applied(self) -> Patch:
        """Put ours in place; return another patch if another function stands there by now."""
        if self._there[self._name] is not self._original:
            return Patch(*self._made_of).applied()
        self.active = True
        setattr(self._owner, self._name, self._ours)
        return self

    def undo(self) -> None:
        """Put the original back, unless somebody else's stands there now."""
        self.active = False
        if self._there.get(self._name) is self._ours:
            setattr(self._owner, self._name, self._original)


def started() -> tuple[Registry, ...]:
    """Return what the started stubs know, the innermost first."""
    return _stack


def start(registry: Registry) -> None:
    """Put a stub on the stack, and patch aiohttp if it is the first."""
    global _stack
    with _lock:
        if not _stack:
            _apply_patches()
        if registry.dialect is not None:
            _let_dialects_speak()
        _stack = (registry, *_stack)
    _watch.tell(registry)


def _apply_patches() -> None:
    global _patches
    unknown = _check_aiohttp()
    if unknown and not all(name in owner.__dict__ for owner, name, _ in _PATCHED):
        raise StubStateError(unknown)
    known = _patches or [Patch(*each) for each in _PATCHED]
    _patches = [patch.applied() for patch in known]


def _let_dialects_speak() -> None:
    global _dialects
    known = _dialects or Patch(ClientSession, "_request", _wrap_in_dialects)
    _dialects = known if known.active else known.applied()


def _have_dialect(registries: Sequence[Registry]) -> bool:
    return any(each.dialect is not None for each in registries)


def stop(registry: Registry) -> None:
    """Take a stub off the stack, wherever it stands, and restore aiohttp if it was the last."""
    global _stack
    with _lock:
        _stack = tuple([each for each in _stack if each is not registry])
        if _dialects is not None and _dialects.active and not _have_dialect(_stack):
            _dialects.undo()
        if not _stack:
            for patch in _patches:
                patch.undo()
    boundary.drop_idle()


def _wrap_request(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _request(
        self: ClientSession, method: str, str_or_url: Any, **kwargs: Any
    ) -> ClientResponse:
        response: ClientResponse
        if not patch.active:
            response = await original(self, method, str_or_url, **kwargs)
            return response
        outer = client_call.get()
        call = ClientCall(method, str_or_url, kwargs)
        client_call.set(call)
        try:
            response = await original(self, method, str_or_url, **kwargs)
        except BaseException as error:
            seen = call.as_the_app_sees(error)
            if seen is not error:
                raise seen from None
            raise
        else:
            return response
        finally:
            client_call.set(outer)
            call.end(self._loop)

    return _request


def _wrap_in_dialects(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(original)
    async def _request(
        self: ClientSession, method: str, str_or_url: Any, **kwargs: Any
    ) -> ClientResponse:
        registries = _stack if patch.active else ()
        return await _speak(registries, original, self, method, str_or_url, kwargs)

    return _request


def _speak(  # noqa: PLR0917 - what aiohttp passes, behind what we need
    registries: Sequence[Registry],
    onwards: Callable[..., Awaitable[ClientResponse]],
    session: ClientSession,
    method: str,
    url: Any,
    kwargs: dict[str, Any],
) -> Awaitable[ClientResponse]:
    """Let the innermost dialect take a client call."""
    for depth, registry in enumerate(registries):
        if registry.dialect is not None:
            way = Way(onwards, registries[depth + 1 :], depth == 0)
            return registry.dialect.call(session, method, url, kwargs, way)
    return onwards(session, method, url, **kwargs)


def outwards(way: Way) -> Callable[..., Awaitable[ClientResponse]] | None:
    """Return the dialect outside of the one that takes a client call, if there is one."""
    if not _have_dialect(way.outer):
        return None
    return lambda session, method, url, **kwargs: _speak(
        way.outer, way.onwards, session, method, url, kwargs
    )


def address_of(session: ClientSession, url: Any) -> URL:
    """Return the URL that a session makes of the one that its user gave."""
    return session._build_url(url)


def headers_of(session: ClientSession, headers: Any) -> CIMultiDict[str]:
    """Return the headers that a session makes of its own and those of one call."""
    return session._prepare_headers(headers)


def raises_for_status(session: ClientSession) -> Any:
    """Return what a session was told of statuses from 400 on."""
    return getattr(session, "_raise_for_status", False)


def is_watched(session: ClientSession, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a trace or a middleware may look at what a call sends."""
    middlewares = kwargs.get("middlewares") or getattr(session, "_middlewares", ())
    return bool(middlewares or session.trace_configs)


def is_at_home(session: Any, url: URL) -> bool:
    """Tell whether a session would bring a request for this very URL to the boundary.

    Not if its loop is not the one that runs, nor with a double in its connector's place.
    """
    if not isinstance(session, ClientSession) or session.closed:
        return False
    connector, loop = session.connector, asyncio.get_running_loop()
    if not isinstance(connector, BaseConnector) or connector._loop is not loop:
        return False
    return session._loop is loop and (session._base_url is None or _is_built(session, url))


def _is_built(session: ClientSession, url: URL) -> bool:
    try:
        return session._build_url(url) == url
    except AssertionError:  # before aiohttp 3.12, a session with a base takes no absolute URL
        return False


def _wrap_connect(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(original)
    async def connect(
        self: BaseConnector, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Any:
        registries = _stack
        if not patch.active or not registries:
            return await original(self, req, traces, timeout)
        return await boundary.connect(original, registries, self, req, traces, timeout)

    return connect


def _wrap_close(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(original)
    def close(self: BaseConnector, **kwargs: Any) -> Any:
        if patch.active:
            boundary.closed(self)
        return original(self, **kwargs)

    return close


_PATCHED = (
    (ClientSession, "_request", _wrap_request),
    (BaseConnector, "connect", _wrap_connect),
    (BaseConnector, "close", _wrap_close),
)
_NEEDED = (
    *((owner, name) for owner, name, _ in _PATCHED),
    (BaseConnector, "_available_connections"),
    (BaseConnector, "_create_connection"),
    (BaseConnector, "_release"),
    (ClientRequest, "send"),
)


@functools.cache
def _check_aiohttp() -> str | None:
    """Say once, and clearly, if this aiohttp is not one that we know."""
    missing = [f"{owner.__name__}.{name}" for owner, name in _NEEDED if not hasattr(owner, name)]
    if missing:
        message = (
            f"aiostub was tested with aiohttp {TESTED_WITH}; aiohttp {aiohttp.__version__} has no "
            f"{', '.join(missing)}, so requests may not be intercepted. Look for a newer aiostub."
        )
        _logger.error("%s", message)
        return message
    return None
