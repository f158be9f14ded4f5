"""The log: every request that reached the network boundary, and what came of it."""

from __future__ import annotations

import asyncio
import itertools
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, overload

from aiostub import _explain
from aiostub._matching.pattern import Pattern
from aiostub._matching.url import canonical
from aiostub._matching.verdict import Match
from aiostub._value import UNSET

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from yarl import URL

    from aiostub._log.frames import Frame, Frames
    from aiostub._matching.request import Request
    from aiostub._routing.route import Route

# One order for all that begins and ends, whatever the loops' clocks say. `next` on it is atomic.
_moments = itertools.count()


def moment() -> int:
    """Return a moment that is later than every other before it."""
    return next(_moments)


NO_KWARGS: Mapping[str, Any] = MappingProxyType({})


class Origin:
    """The client call that a request came from, as ``ClientSession._request`` got it.

    A redirect, a re-send or a middleware's retry has the origin of the first request.
    Where the session was not patched (an injected connector on a stub that is not started),
    *kwargs* is empty.
    """

    __slots__ = ("kwargs", "method", "url")

    def __init__(self, method: str, url: str | URL, kwargs: Mapping[str, Any] = NO_KWARGS) -> None:
        self.method = method
        self.url = url
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"Origin(method={self.method!r}, url={self.url!r}, kwargs={self.kwargs!r})"


if TYPE_CHECKING:

    class Responding(Protocol):
        """Know the response of a request that is in flight."""

        def response(self) -> ClientResponse | None:
            """Return aiohttp's response, whether its head is there or not."""

        @property
        def broken(self) -> BaseException | None:
            """Return the exception that its body ended with, if it did."""


class Call:
    """One request that reached the network boundary.

    Attributes:
        request: the `Request`, as a server would have got it.
        origin: the client call that it came from.
        route: the `Route` that answered; ``None`` where none did.
        started: when it reached the boundary, in seconds of its event loop's clock.
        elapsed: seconds until the head of the response, or the error; ``None`` until then.
        attempts: 1, or 2 where aiohttp re-sent the request by itself after a dropped connection.
        passed_through: whether it went to the real network.
    """

    __slots__ = (
        "_began",
        "_ended",
        "_error",
        "_frames",
        "_responding",
        "_response",
        "_served",
        "_unmatched",
        "attempts",
        "elapsed",
        "origin",
        "passed_through",
        "request",
        "route",
        "started",
    )

    def __init__(self, request: Request, origin: Origin, started: float) -> None:
        self.request = request
        self.origin = origin
        self.started = started
        self.route: Route | None = None
        self.elapsed: float | None = None
        self.attempts = 1
        self.passed_through = False
        self._error: BaseException | None = None
        self._served: int | None = None
        self._response: ClientResponse | None = None
        self._responding: Responding | None = None  # while it is in flight
        self._unmatched = False
        self._frames: Sequence[Frame] = ()
        self._began = next(_moments)
        self._ended: int | None = None

    @property
    def error(self) -> BaseException | None:
        """Return what the call ended with, or what broke its body."""
        if self._error is None and self._responding is not None:
            return self._responding.broken
        return self._error

    @property
    def response(self) -> ClientResponse | None:
        """Return aiohttp's response of this very request, once its head is there."""
        response = self._response if self._responding is None else self._responding.response()
        # Before its head is there, aiohttp's response has None for a status.
        return response if getattr(response, "status", None) is not None else None

    @property
    def status(self) -> int | None:
        """Return the status as served, also where only a middleware saw it."""
        if self._served is not None:
            return self._served
        response = self.response
        return response.status if response is not None else None

    @property
    def frames(self) -> Frames:
        """Return what went over the WebSocket, if it is one; also while it is open."""
        from aiostub._log.frames import Frames  # noqa: PLC0415 - for those who have a WebSocket

        return Frames(self._frames)

    @property
    def outcome(self) -> str:
        """Say in a word or two what came of it, as the timeline does."""
        if self._unmatched:
            return "unmatched"
        if isinstance(self.error, asyncio.CancelledError):
            said = "cancelled"
        elif self.error is not None:
            said = type(self.error).__name__
        else:
            said = str(self.status) if self.status else "pending"
        return f"passed through {said}" if self.passed_through else said

    @property
    def over(self) -> bool:
        """Tell whether it is in flight no more."""
        return self._ended is not None

    def arrive(self, now: float) -> None:
        """Note that the request reached the network later than its client call began."""
        self.started = now
        self._began = next(_moments)

    def begin_again(self) -> None:
        """Note that aiohttp sends the request once more, by itself."""
        self.attempts += 1
        self._error = self.elapsed = self._ended = None

    def end(self) -> None:
        """Note that the call is in flight no more."""
        if self._ended is None:
            self._ended = next(_moments)

    def __repr__(self) -> str:
        return f"<Call {self.request.method} {self.request.url} {self.outcome}>"


class Calls(Sequence[Call]):
    """Read calls in the order of their arrival."""

    __slots__ = ("_base_url", "_items")

    def __init__(self, items: Sequence[Call], base_url: URL | None = None) -> None:
        self._items = items
        self._base_url = base_url

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> Calls: ...
    def __getitem__(self, index: int | slice) -> Call | Calls:
        if isinstance(index, slice):
            return Calls(tuple(self._items[index]), self._base_url)
        return self._items[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Calls, list, tuple)):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Calls {list(self)!r}>"

    @property
    def first(self) -> Call | None:
        """Return the call that arrived first, or ``None``."""
        return self._items[0] if self._items else None

    @property
    def last(self) -> Call | None:
        """Return the call that arrived last, or ``None``."""
        return self._items[-1] if self._items else None

    @property
    def gaps(self) -> list[float]:
        """Return the seconds between the starts of each call and the next."""
        starts = [call.started for call in self._items]
        return [later - earlier for earlier, later in itertools.pairwise(starts)]

    @property
    def concurrency(self) -> int:
        """Return how many calls were in flight at once, at the most."""
        events = [(call._began, 1) for call in self._items]
        events += [(call._ended, -1) for call in self._items if call._ended is not None]
        return max(itertools.accumulate(step for _, step in sorted(events)), default=0)

    def filter(
        self,
        method: str | None = None,
        url: Any = None,
        *,
        params: Any = UNSET,
        headers: Any = None,
        cookies: Any = None,
        json: Any = UNSET,
        data: Any = UNSET,
        where: Callable[[Request], bool] | None = None,
    ) -> Calls:
        """Return the calls that a route with these arguments would match.

        Args:
            method: the HTTP method; every method by default.
            url: any form of URL that a route takes; every URL by default.
            params: as for a route, like all that follow.
            headers: named headers and their values.
            cookies: named cookies and their values.
            json: the decoded body.
            data: the raw body, or its form fields.
            where: a predicate of the request.

        Raises:
            RouteError: one of the arguments would not do for a route.
        """
        pattern = Pattern.build(
            method,
            UNSET if url is None else url,
            base_url=self._base_url,
            params=params,
            headers=headers,
            cookies=cookies,
            json=json,
            data=data,
            where=where,
        )
        return Calls(tuple(c for c in self._items if matches(pattern, c)), self._base_url)

    def timeline(self, *, masked: bool = False) -> str:
        """Return the calls as a table: offset, method, URL, outcome, duration, route.

        Below a WebSocket stand its frames: offset, direction (as the client sees it), type, data.

        Args:
            masked: whether secrets in URLs and frames are replaced, for a report that others
                read.
        """
        return _explain.timeline(self.rows(), masked=masked)

    def rows(self) -> list[_explain.Row]:
        """Return the calls as the texts want them."""
        return [_row(call, self._items[0].started) for call in self._items]

    def clear(self) -> None:
        """Forget the calls; steps stay used, unmatched requests remembered."""
        message = "only the whole log, stub.calls, can be cleared"
        raise TypeError(message)


def matches(pattern: Pattern, call: Call) -> bool:
    """Tell whether a logged request is what a pattern asks for."""
    return isinstance(pattern.match(call.request, canonical(call.request.url)), Match)


def _row(call: Call, start: float) -> _explain.Row:
    return _explain.Row(
        offset=call.started - start,
        method=call.request.method,
        url=str(call.request.url),
        outcome=call.outcome,
        duration=call.elapsed,
        route=call.route.name if call.route is not None else None,
        attempts=call.attempts,
        frames=[_frame_row(frame, start) for frame in call.frames],
    )


def _frame_row(frame: Frame, start: float) -> _explain.FrameRow:
    return _explain.FrameRow(
        offset=frame.at - start,
        sent=frame.direction == "sent",
        kind=frame.type.name,
        data=frame.data,
        extra=frame.extra,
    )


class Log(Calls):
    """Hold the calls of a stub, in the order in which they reached the boundary."""

    __slots__ = ("_last_read", "_lock", "watchers")

    _items: list[Call]
    _last_read: tuple[ClientResponse | None, bytes | None]

    def __init__(self, base_url: URL | None = None) -> None:
        super().__init__([], base_url)
        self._last_read = None, None
        self._lock = Lock()
        self.watchers: list[Callable[[], None]] = []  # who waits for a call

    def add(self, call: Call) -> None:
        """Log a call."""
        items = self._items
        with self._lock:
            if not items or items[-1]._began < call._began:
                items.append(call)
            else:  # it waited for its body while a later one was answered
                insort(items, call, key=attrgetter("_began"))

    def hold_once(self, response: ClientResponse | None, sent: bytes | None) -> None:
        """Hold a long body once, and not once more for each call that has read it.

        The last is left as it is until the next comes: where all of the heap is free, malloc gives
        it back, and a megabyte that is read takes its pages anew, which is most of what it costs
        then (1.3 ms in place of 0.5).
        """
        before, body = self._last_read
        self._last_read = response, sent
        if before is not None and before._body == body:
            before._body = body

    def wake(self) -> None:
        """Tell those who wait for a call to look again."""
        for look in self.watchers:
            look()

    def discard(self, call: Call) -> None:
        """Take a call out: another stub answers it."""
        if call in self._items:
            self._items.remove(call)

    def clear(self) -> None:
        """Forget the calls; steps stay used, unmatched requests remembered."""
        for route in {call.route for call in self._items}:
            if route is not None:
                route.forget_all()
        self._items.clear()
        self._last_read = None, None

    async def reached(self, happened: Callable[[], bool]) -> None:
        """Wait until a call makes *happened* true, in whichever thread it was made."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        self.watchers.append(wake)
        try:
            while not happened():
                event.clear()
                await event.wait()
        finally:
            self.watchers.remove(wake)
