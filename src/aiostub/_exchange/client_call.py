"""One call of ``ClientSession._request``, which may be several requests on the network.

It knows the way from one to the next: where a redirect came from, and which failure aiohttp's own
re-send meets again.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aiohttp import ClientOSError, ClientRequest

from aiostub import _watch
from aiostub._log.calls import NO_KWARGS, Call, Origin
from aiostub._value import NamedTuple

if TYPE_CHECKING:
    from aiohttp.tracing import Trace
    from yarl import URL

    from aiostub._answers.steps import Action
    from aiostub._routing.registry import Decision, Registry


class ClientCall(Origin):
    """One call of ``ClientSession._request``, and what its requests have met so far."""

    __slots__ = ("failed", "last", "sender", "traces")

    # A context or the log may outlive the call by far, so in the end nothing leads to a session.

    def __init__(self, method: str, url: str | URL, kwargs: Mapping[str, Any]) -> None:
        self.method = method  # as in Origin: to call it is dearer (see MemoryConnector._release)
        self.url = url
        self.kwargs = kwargs
        self.traces: Sequence[Trace] | None = None  # the list that all requests of one call share
        self.failed: Failed | None = None  # what aiohttp's own re-send meets again
        self.last: Call | None = None
        self.sender = None if _watch.current is None else _watch.current.sender()

    def as_the_app_sees(self, error: BaseException) -> BaseException:
        """Return what the app shall see of an error that came out of aiohttp.

        aiohttp makes a ``ClientOSError`` of every ``OSError``. A class of the user's own that
        derives from it reaches the app as it is.
        """
        last = self.last
        met = None if last is None else last.error
        if last is None or met is None:
            return error
        if type(error) is ClientOSError and error.__cause__ is met and not _is_bare(met):
            return met
        # On aiohttp 3.9 a timer around connect() cancels it: only out here it is a timeout.
        timed_out = isinstance(met, asyncio.CancelledError) and isinstance(
            error, asyncio.TimeoutError
        )
        if timed_out or error.__cause__ is met:
            last._error = error
        return error

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note that the head of the last response is there, or the error, whoever sent it."""
        if self.last is not None and self.last.elapsed is None:
            self.last.elapsed = loop.time() - self.last.started
        self.last = self.failed = None
        self.traces = ()  # the list of no request that may come


class Failed(NamedTuple):
    """A failure that was delivered, for a re-send of the same request to meet."""

    request: weakref.ref[ClientRequest]
    call: Call
    registry: Registry
    decision: Decision | None
    action: Action | None


def _is_bare(error: BaseException) -> bool:
    """Tell whether aiohttp may make what it likes of an OSError: it is nobody's own class."""
    own = type(error).__module__ not in ("builtins", "socket", "ssl")
    return not own and not isinstance(error, TimeoutError)


client_call: ContextVar[ClientCall | None] = ContextVar("aiostub_client_call", default=None)


def client_call_of(req: ClientRequest, traces: list[Trace]) -> ClientCall:
    """Return the client call that a request belongs to, also where nobody announced it."""
    call = client_call.get()
    if call is None or (call.traces is not None and call.traces is not traces):
        call = ClientCall(req.method, req.url, NO_KWARGS)
        client_call.set(call)
    call.traces = traces
    return call
