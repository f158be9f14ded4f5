"""Leaks: what a test has opened and nobody has closed, with the line that opened it.

Rules of the file:

- Nothing is kept alive: connectors are held weakly, and of a request only text is kept.
- A request counts when nothing has ended it but the closing of its event loop or the end of the
  stub, or when nobody holds its response any more. What a fixture ends by being torn down does not.
- A session counts when the fixtures of the test are torn down, and only where nobody can close it
  any more: its event loop is closed, or it is gone. One whose loop goes on may belong to a fixture
  of a wider scope, or to another test: it is looked at again after each test that follows.

aiohttp's private names used here, and why:

- ``BaseConnector._loop``: the loop that a session lives in, and without which it cannot be closed.

And one of asyncio's, ``Future._log_traceback``: whether nobody has asked for the exception that a
task ended with.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from aiohttp import BaseConnector, ClientSession

from aiostub import _explain
from aiostub._answers.steps import Ask
from aiostub._boundary import interception
from aiostub._boundary.connector import MemoryConnector
from aiostub._boundary.interception import Patch
from aiostub._exchange.client import ClientExchange
from aiostub._routing.route import Place
from aiostub.exceptions import StubStateError

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from aiostub._log.calls import Call
    from aiostub._routing.registry import Registry

__all__ = ["Leak", "Requests", "Sender", "Sessions"]

_OURS = (str(Path(__file__).parent.parent), str(Path(aiohttp.__file__).parent))
_NEW_SESSION: CodeType = ClientSession.__init__.__code__
_SWITCHING_PROTOCOLS = 101


class Leak(NamedTuple):
    """One thing that was left open: what it is, and the line that opened it."""

    text: str
    place: Place | None


# Requests


class Sender(NamedTuple):
    """Who made a client call: the line, the task, and whether the test itself began that task."""

    place: Place | None
    task: weakref.ref[asyncio.Task[Any]] | None
    of_test: bool


class Requests:
    """Find the requests that a test leaves behind: nobody ends them but the loop when it closes."""

    def __init__(self) -> None:
        self._known: dict[Call, _Left] = {}

    def look_at(self, registry: Registry) -> None:
        """Note what a stub still has to do with: in the end it may be left behind."""
        for exchange in tuple(registry.in_flight):
            if not isinstance(exchange, ClientExchange):
                continue  # over a socket, there is no telling who has sent it
            if isinstance(exchange.client_call.sender, Sender):
                self._known.setdefault(exchange.call, _Left(exchange, exchange.client_call.sender))

    def look_again(self) -> None:
        """See what has been ended since."""
        for left in self._known.values():
            left.look()

    def stub_stops(self, registry: Registry) -> None:
        """Note what the stub ends by stopping, and nobody else could end any more."""
        self.look_at(registry)
        for left in self._known.values():
            left.stub_stops()

    def end(self) -> list[Leak]:
        """Describe what was left behind; all fixtures of the test are torn down."""
        self.look_again()
        known = [self._known[call] for call in sorted(self._known, key=attrgetter("_began"))]
        return [Leak(left.text, left.sender.place) for left in known if left.leaked]


class _Left:
    """One request that was in flight when the test was over."""

    def __init__(self, exchange: ClientExchange, sender: Sender) -> None:
        self.sender = sender
        self.text = _described(exchange, _text(sender.place))
        self._call = exchange.call
        self._loop = exchange.loop
        self._is_response = exchange.call.response is not None
        self._settled: bool | None = None  # whether it was left behind
        self._cut_off = False  # by the stub, which nobody can tell apart from a fixture's doing
        # Held until the test is torn down, to see whether anybody waits for it.
        self._task = None if sender.task is None else sender.task()

    @property
    def leaked(self) -> bool:
        """Tell whether nobody has ended it."""
        if self._settled is not None:
            return self._settled
        # What goes on may be a wider fixture's, and so may be what the stub has ended.
        return self.sender.of_test and (not self._cut_off or self._nobody_asked())

    def _nobody_asked(self) -> bool:
        return self._task is None or getattr(self._task, "_log_traceback", True)

    @property
    def _is_held(self) -> bool:
        """Tell whether the task that sent it goes on."""
        return self._task is not None and not self._task.done()

    def look(self) -> None:
        """See whether it has been ended, and whether by more than the loop or the stub."""
        if self._settled is not None or self._cut_off:
            return
        if self._loop.is_closed():
            self._settled = True
        elif self._call.over:
            self._cut_off = isinstance(self._call.error, StubStateError)
            self._settled = None if self._cut_off else False

    def stub_stops(self) -> None:
        """Settle the case of a response that nobody reads."""
        self.look()
        if self._settled is None and self._is_response and not self._is_held:
            self._settled = True


def _described(exchange: ClientExchange, asked_at: str | None) -> str:
    call, action = exchange.call, exchange.action
    status = None if call.response is None else call.response.status
    return _explain.in_flight(
        call.request.method,
        str(call.request.url),
        status=status,
        websocket=status == _SWITCHING_PROTOCOLS,
        handler=str(action) if isinstance(action, Ask) and status is None else None,
        asked_at=asked_at,
        where=None if call.route is None else _text(call.route.place),
    )


# Sessions, which aiohttp closes by closing their connectors


class _Opened:
    """A connector that a test has used, and how to tell that nobody has closed it."""

    def __init__(self, connector: BaseConnector, made: _Made, test: str) -> None:
        self.test = test
        self._made = made
        self._closed = False
        self._lost = False
        self._connector = weakref.ref(connector, self._gone)

    def note_if_closed(self, connector: BaseConnector | None = None) -> None:
        """Learn that a connector was closed, or look whether this one is."""
        own = self._connector()
        if own is not None and (own is connector or own.closed):
            self._closed = True

    def _gone(self, _: object) -> None:
        # Only while a stub is started would it have been told that somebody closed it.
        self._lost = not self._closed and bool(interception.started())

    @property
    def leaked(self) -> bool:
        """Tell whether it is open, and nobody can close it any more."""
        connector = self._connector()
        if connector is None or self._closed:
            return self._lost
        return connector._loop.is_closed()

    @property
    def may_be_closed_later(self) -> bool:
        """Tell whether it is open, and its event loop goes on."""
        return not self._closed and self._connector() is not None and not self.leaked

    def leak(self, test: str) -> Leak:
        """Describe it, in the report of a test that may be another than its own."""
        name, place = self._made
        other = None if test == self.test else self.test
        return Leak(_explain.never_closed(name, _text(place), of=other), place)


class Sessions:
    """Note where sessions are made, and which of those that meet a stub are never closed."""

    def __init__(self) -> None:
        self._test = ""
        self._opened: list[_Opened] = []
        self._made_at: weakref.WeakKeyDictionary[BaseConnector, _Made] = weakref.WeakKeyDictionary()
        self._patch = Patch(BaseConnector, "__init__", self._wrap_init)

    def begin(self, test: str) -> None:
        """Look at what is made from now on, for a test."""
        self.look_again()
        self._test = test
        if not self._patch.active:
            self._patch = self._patch.applied()

    def end(self) -> Iterator[Leak]:
        """Put aiohttp's function back, and describe what was left open for good."""
        self._patch.undo()
        self.look_again()
        left, self._opened = self._opened, []
        self._opened = [opened for opened in left if opened.may_be_closed_later]
        return (opened.leak(self._test) for opened in left if opened.leaked)

    def finish(self) -> Iterator[Leak]:
        """Describe what nobody has closed in the whole run."""
        self.look_again()
        left, self._opened = self._opened, []
        return (o.leak("") for o in left if o.leaked or o.may_be_closed_later)

    def forget(self) -> None:
        """Forget what the last test has made: it failed, and has more to say than this."""
        self._opened = [opened for opened in self._opened if opened.test != self._test]

    def look_again(self) -> None:
        """Look at what was closed while nobody told."""
        for opened in self._opened:
            opened.note_if_closed()

    def used(self, connector: BaseConnector) -> None:
        """Note that a connector has met a stub for the first time."""
        made = self._made_at.get(connector)
        if made is not None:  # else it is older than the test
            self._opened.append(_Opened(connector, made, self._test))

    def closed(self, connector: BaseConnector) -> None:
        """Note that somebody closes a connector."""
        for opened in self._opened:
            opened.note_if_closed(connector)

    def _wrap_init(self, original: Callable[..., None], patch: Patch) -> Callable[..., None]:
        @functools.wraps(original)
        def __init__(connector: BaseConnector, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(connector, *args, **kwargs)
            if patch.active and not isinstance(connector, MemoryConnector):
                self._made_at[connector] = _made(connector, sys._getframe(1))

        return __init__


class _Made(NamedTuple):
    """What the user has made, a session or a connector, and the line."""

    name: str
    place: Place | None


def _made(connector: BaseConnector, frame: FrameType | None) -> _Made:
    above = frame
    while above is not None and above.f_code.co_filename.startswith(_OURS):
        if above.f_code is _NEW_SESSION:
            return _Made("ClientSession", Place.of_user(frame))
        above = above.f_back
    return _Made(type(connector).__name__, Place.of_user(frame))


def _text(place: Place | None) -> str | None:
    return None if place is None else str(place)
