"""A route: what to match, and the script of steps that answers."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from bisect import insort
from collections.abc import Callable, Container
from contextlib import suppress
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import aiohttp

from aiostub import _explain
from aiostub._answers.failure import Failure
from aiostub._answers.reply import Reply
from aiostub._answers.steps import (
    TIMERS,
    Action,
    Ask,
    Fail,
    FireTimer,
    Hang,
    LetThrough,
    Send,
    Serve,
    Step,
    TimerName,
    name_of,
)
from aiostub._log.assertions import CallAssertions, described
from aiostub._log.calls import Call, Calls
from aiostub._matching.pattern import Pattern
from aiostub._value import UNSET, NamedTuple
from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import FrameType

    from aiohttp import web
    from typing_extensions import Unpack, deprecated

    from aiostub._answers.reply import Compression, Pairs, Stream
    from aiostub._routing.router import Router
    from aiostub.faults import Fault
    from aiostub.typing import BodyArguments, Conditions, HeadArguments

_Kind = inspect.Parameter
_HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - a Path: 0.05 ms
_CLIENT = (_HERE, os.path.dirname(aiohttp.__file__) + os.sep)  # noqa: PTH120 - as above
_DEEPEST = 200  # frames; no line of a test is further away
_whose: dict[str, str] = {}  # by file, since it is asked for with each request


def owner_of(file: str) -> str:
    """Say whose code a file is: ``"client"`` (aiohttp's and ours), ``"library"`` or ``"user"``."""
    if file not in _whose:
        library = "library" if file.startswith(_installed()) else "user"
        _whose[file] = "client" if file.startswith(_CLIENT) else library
    return _whose[file]


@cache
def _installed() -> tuple[str, ...]:
    import sysconfig  # noqa: PLC0415 - it reads how the interpreter was built: 2 ms

    names = ("stdlib", "platstdlib", "purelib", "platlib")
    # "<": frozen modules, and what has no file
    return ("<", *{sysconfig.get_path(name) for name in names})


class Place(NamedTuple):
    """A line of the user's code."""

    file: str
    line: int

    @classmethod
    def of_caller(cls) -> Place:
        """Return the line of the nearest caller outside of this package."""
        frame = sys._getframe(2)  # who asks is in this package
        while frame.f_code.co_filename.startswith(_HERE) and frame.f_back is not None:
            frame = frame.f_back
        return cls._make((frame.f_code.co_filename, frame.f_lineno))

    @classmethod
    def of_user(cls, frame: FrameType | None) -> Place | None:
        """Return the nearest line of the user's own code, or of the library that calls aiohttp."""
        caller = None
        for _ in range(_DEEPEST):
            if frame is None:
                break
            file = frame.f_code.co_filename
            whose = _whose.get(file) or owner_of(file)
            if whose == "user":
                return cls(file, frame.f_lineno)
            if whose == "library" and caller is None:
                caller = cls(file, frame.f_lineno)
            frame = frame.f_back
        return caller

    def __str__(self) -> str:
        file = self.file
        with suppress(ValueError, OSError):  # another drive, a folder that is gone
            file = str(Path(file).relative_to(Path.cwd()))
        return f"{file}:{self.line}"


class Route(CallAssertions):
    """Answer the requests that match, step by step.

    Made by ``stub.get(url, ...)`` and its siblings. Every link of the chain returns the route::

        stub.get(url).reply(503).times(2).then.reply(200, text="up").always()
    """

    is_mount = False

    def __init__(self, pattern: Pattern, router: Router, order: int, place: Place) -> None:
        self.pattern = pattern
        self.order = order
        self.place = place
        self.is_optional = False
        self.exhausted = False  # every use of every step has been served
        self._router = router
        self._steps: list[Step] = []
        self._current = 0
        self._open = True  # the next link may begin a step
        self._copied = False
        self._calls: list[Call] = []

    def __repr__(self) -> str:
        return f"<Route {self} at {self.place}>"

    def __str__(self) -> str:
        return described(self.pattern)

    @property
    def name(self) -> str:
        """Return method and URL as they were registered."""
        return f"{self.pattern.verb} {self.pattern.url_text}"

    # The script. The overloads let a type checker find what a `RouteError` would say.

    @overload
    def reply(
        self, status: int = 200, *, early: bool = False, **head: Unpack[HeadArguments]
    ) -> Route: ...

    if TYPE_CHECKING:

        @overload
        @deprecated("a reply with status 204 or 304 carries no body")
        def reply(
            self,
            status: Literal[204, 304],
            *,
            json: object = ...,
            text: str | None = ...,
            body: bytes | None = ...,
            file: str | os.PathLike[str] | None = ...,
            stream: Stream | None = ...,
            early: bool = False,
            **more: Unpack[BodyArguments],
        ) -> Route: ...

    @overload
    def reply(
        self,
        status: int = 200,
        *,
        json: object,
        early: bool = False,
        **more: Unpack[BodyArguments],
    ) -> Route: ...
    @overload
    def reply(
        self,
        status: int = 200,
        *,
        text: str | None,
        early: bool = False,
        **more: Unpack[BodyArguments],
    ) -> Route: ...
    @overload
    def reply(
        self,
        status: int = 200,
        *,
        body: bytes | None,
        early: bool = False,
        **more: Unpack[BodyArguments],
    ) -> Route: ...
    @overload
    def reply(
        self,
        status: int = 200,
        *,
        file: str | os.PathLike[str] | None,
        early: bool = False,
        **more: Unpack[BodyArguments],
    ) -> Route: ...
    @overload
    def reply(
        self,
        status: int = 200,
        *,
        stream: Stream | None,
        early: bool = False,
        **more: Unpack[BodyArguments],
    ) -> Route: ...
    def reply(
        self,
        status: int = 200,
        *,
        json: Any = UNSET,
        text: str | None = None,
        body: bytes | None = None,
        file: str | os.PathLike[str] | None = None,
        stream: Stream | None = None,
        headers: Pairs | None = None,
        cookies: Pairs | None = None,
        content_type: str | None = None,
        reason: str | None = None,
        compress: Compression | None = None,
        delay: float = 0,
        early: bool = False,
        fault: Fault | None = None,
    ) -> Route:
        """Answer with a response.

        Args:
            status: 200 to 599.
            json: anything ``json.dumps`` takes; ``None`` is ``null``.
            text: the body as text.
            body: the body as bytes.
            file: path of a file whose bytes are the body; read now.
            stream: iterable or async iterable of bytes, or a callable giving one; sent chunked.
            headers: mapping, pairs or multidict; duplicates and order survive.
            cookies: become ``Set-Cookie`` headers with ``Path=/``.
            content_type: instead of the kind's own.
            reason: instead of the status's own phrase.
            compress: ``"gzip"``, ``"deflate"``, and ``"br"``, ``"zstd"`` where installed.
            delay: seconds of the event loop's clock before the reply is sent; 0 or more.
            early: wait neither for the request's body nor send ``100 Continue``.
            fault: spoil this reply, as ``faults.reset(after=100)`` does.

        Raises:
            RouteError: an argument, or their combination, makes no response.
        """
        make: Callable[..., Reply] = Reply  # which of its arguments go together, it says itself
        reply = make(
            status,
            json=json,
            text=text,
            body=body,
            file=file,
            stream=stream,
            headers=headers,
            cookies=cookies,
            content_type=content_type,
            reason=reason,
            compress=compress,
            delay=delay,
            fault=fault,
        )
        return self._add(Send(reply, early))

    def fail(
        self,
        exc: BaseException | type[BaseException],
        *,
        delay: float = 0,
        attempts: Literal[1] | None = None,
    ) -> Route:
        """Let the call fail with an exception, or with a network fault.

        Args:
            exc: an exception class (a new instance each time), an instance (copied where it can
                be), or one of `aiostub.faults`.
            delay: seconds of the event loop's clock before it fails; 0 or more.
            attempts: ``1`` lets only the first attempt meet it, so that aiohttp's own re-send
                of idempotent requests goes on to the next use or step; by default both meet it
                and the app sees one failure.

        Raises:
            RouteError: *exc* is none of these, or a fault that needs a reply to spoil.
        """
        return self._add(Fail(Failure(exc, delay=delay, attempts=attempts)))

    def timeout(self, which: TimerName = "total") -> Route:
        """Let one of the client's own timers fire at once, without waiting.

        Args:
            which: ``"total"``, ``"connect"``, ``"sock_connect"`` or ``"sock_read"``, the field of
                `aiohttp.ClientTimeout`. A client that has not set it: `MissingTimeout`.

        Raises:
            RouteError: *which* is none of these.
        """
        if which not in TIMERS:
            message = f"timeout: which must be one of {', '.join(TIMERS)}, got {which!r}"
            raise RouteError(message)
        return self._add(FireTimer(which))

    def hang(self) -> Route:
        """Never answer: the client's timeouts decide."""
        return self._add(Hang())

    def handle(self, callback: Callable[..., Any], *, early: bool = False) -> Route:
        """Ask a function for the answer.

        Args:
            callback: ``callback(request)``, sync or async. Path parameters are passed by name
                where it names them. It returns a `Reply`, a dict or list (JSON), str, bytes, an
                int status, ``None`` (the next route is asked), or raises what the app shall see.
            early: call it with the request's head, before the body has come.

        Raises:
            RouteError: *callback* cannot be called with a request.
        """
        return self._add(Ask(callback, early, parameters_after("the request", callback)))

    def serve(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Route:
        """Let a handler of `aiohttp.web` answer, behind aiohttp's own server protocol.

        Args:
            handler: ``async def handler(request: web.Request) -> web.StreamResponse``, or a
                `aiohttp.web.View` class. Path parameters stand in ``request.match_info``. What it
                raises is the response that a real server makes of it.

        Raises:
            RouteError: *handler* cannot be called.
        """
        return self._add(Serve(f"serve({name_of(handler)})", answer=_without_exchange(handler)))

    def passthrough(self) -> Route:
        """Let the call reach the real network."""
        return self._add(LetThrough())

    def times(self, n: int) -> Route:
        """Serve the step *n* times; n ≥ 1.

        Raises:
            RouteError: *n* is no positive whole number, or the step is counted already.
        """
        if type(n) is not int or n < 1:
            message = f"times: expected a whole number from 1, got {n!r}"
            raise RouteError(message)
        return self._count(n, f"times({n})")

    def always(self) -> Route:
        """Serve the step without end; one call satisfies the strict check.

        Raises:
            RouteError: the step is counted already.
        """
        return self._count(None, "always()")

    @property
    def then(self) -> Route:
        """Begin the next step.

        Raises:
            RouteError: there is no step before it, or that one has no end.
        """
        if self._open:
            message = "then: there is no step before it: reply(...).then.reply(...)"
            raise RouteError(message)
        if self._steps[-1].times is None:
            message = "then: the step before it is always(), so none after it would be served"
            raise RouteError(message)
        self._open = True
        return self

    def optional(self) -> Route:
        """Exempt the route from the strict check."""
        self.is_optional = True
        return self

    def _add(self, action: Action) -> Route:
        if not self._open:
            message = (
                f"a second step without .then: {self._steps[-1].action} stands before {action}; "
                f"write .then between them"
            )
            raise RouteError(message)
        self._open = False
        with self._router.lock:
            self._steps.append(Step(action))
            if self.exhausted:
                self._revive()
        return self

    def _count(self, times: int | None, said: str) -> Route:
        if self._open:
            message = f"{said}: there is no step to count: reply(...).{said}"
            raise RouteError(message)
        step = self._steps[-1]
        if step.counted:
            message = f"{said}: the step {step.action} says already how often it is served"
            raise RouteError(message)
        if times != 1:
            _refuse_one_shot(step, said)
        with self._router.lock:
            step.counted = True
            step.times = times
            if self.exhausted:
                self._revive()
        return self

    # What the router asks; under its lock.

    def next_step(self) -> Step | None:
        """Return the step that has the next serving; ``None`` of a route without a step."""
        return self._steps[self._current] if self._steps else None

    def use(self) -> Step | None:
        """Use up one serving of the next step, and return it."""
        if not self._steps:
            return None
        step = self._steps[self._current]
        step.served += 1
        if step.times is not None and step.served >= step.times:
            self._look_for_the_next()
        return step

    def give_back(self, step: Step) -> None:
        """Take back a serving that answered nothing."""
        step.served -= 1
        self._revive()

    def _revive(self) -> None:
        self._look_for_the_next()
        self._router.revive(self)

    def _look_for_the_next(self) -> None:
        left = (index for index, step in enumerate(self._steps) if step.left)
        self._current = next(left, len(self._steps) - 1)
        self.exhausted = bool(self._steps) and not self._steps[self._current].left

    def copy_into(self, router: Router) -> None:
        """Register a copy that has served nothing yet with another router.

        Raises:
            RouteError: a one-shot iterator would be streamed a second time.
        """
        for step in self._steps:
            if self._copied or step.served:
                _refuse_one_shot(step, f"a second run with {self}")
        self._copied = True
        copy = self._copied_for(router)
        copy.is_optional = self.is_optional
        copy._open = self._open
        copy._steps = [Step(step.action, step.times, counted=step.counted) for step in self._steps]
        router.insert(copy)

    def _copied_for(self, router: Router) -> Route:
        return Route(self.pattern, router, self.order, self.place)

    # What was served.

    def forget_all(self) -> None:
        """Take all calls out."""
        self._calls.clear()

    def remember(self, call: Call) -> None:
        """Log a call that this route answers."""
        if not self._calls or self._calls[-1]._began < call._began:
            self._calls.append(call)
        else:
            insort(self._calls, call, key=attrgetter("_began"))

    def forget(self, call: Call) -> None:
        """Take a call out: another route answers it."""
        if call in self._calls:
            self._calls.remove(call)

    @property
    def satisfied(self) -> bool:
        """Tell whether the strict check has nothing against the route."""
        return self.is_optional or all(step.satisfied for step in self._steps)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps in their order."""
        return tuple(self._steps)

    @property
    def used(self) -> str | None:
        """Say ``"1/3"`` of a route that has served one use of three, ``None`` if it served none."""
        served = sum(step.served for step in self._steps)
        endless = any(step.times is None for step in self._steps)
        total = "always" if endless else sum(step.times or 0 for step in self._steps)
        return f"{served}/{total}" if served else None

    @property
    def calls(self) -> Calls:
        """Return the calls that this route answered, in order of arrival."""
        return Calls(self._calls, self._router.base_url)

    @property
    def called(self) -> bool:
        """Tell whether the route has answered a call."""
        return bool(self._calls)

    @property
    def call_count(self) -> int:
        """Return how many calls the route has answered."""
        return len(self._calls)

    async def wait_called(self, n: int = 1, timeout: float = 5) -> None:
        """Wait until the route has answered *n* calls.

        Args:
            n: how many calls, counted from the beginning; 1 or more.
            timeout: seconds of the event loop's clock.

        Raises:
            AssertionError: there were fewer when the time was over; with the timeline.
        """
        if self.call_count >= n:
            return
        reached = self._router.log.reached(lambda: self.call_count >= n)
        try:
            await asyncio.wait_for(reached, timeout)
        except asyncio.TimeoutError:
            message = _explain.call_count(
                n,
                self.calls.rows(),
                of=str(self),
                at_least=True,
                within=timeout,
                others=self._router.log.rows(),
            )
            raise AssertionError(message) from None

    def assert_called_with(self, **match: Unpack[Conditions]) -> None:
        """Assert what the last call of the route was.

        Args:
            **match: *params*, *headers*, *cookies*, *json*, *data*, *where*, as for a route.

        Raises:
            AssertionError: there was no call, or the last one differs.
        """
        self._assert_last(Pattern.build(None, UNSET, **match))

    def assert_called_once_with(self, **match: Unpack[Conditions]) -> None:
        """Assert that the route was called once, and what that call was.

        Args:
            **match: as for matching a route.

        Raises:
            AssertionError: there were more calls or none, or the one differs.
        """
        self._assert_only(Pattern.build(None, UNSET, **match))

    def assert_any_call(self, **match: Unpack[Conditions]) -> None:
        """Assert that some call of the route was this one.

        Args:
            **match: as for matching a route.

        Raises:
            AssertionError: there was no such call.
        """
        self._assert_any(Pattern.build(None, UNSET, **match))

    def _name(self) -> str:
        return str(self)


def _refuse_one_shot(step: Step, said: str) -> None:
    if isinstance(step.action, Send) and step.action.reply.one_shot:
        message = (
            f"{said}: stream is a one-shot iterator, which cannot be served again; "
            "give a list or a callable that makes one"
        )
        raise RouteError(message)


class _AllBut:
    """Contain every name but one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __contains__(self, name: object) -> bool:
        return name != self._name


def _without_exchange(handler: object) -> Callable[[Any, Any], Any]:
    from aiohttp.web import Application  # noqa: PLC0415 - for those who want a web server

    if not callable(handler):
        message = f"serve: handler must be callable, got {handler!r}"
        raise RouteError(message)
    if isinstance(handler, Application):  # gunicorn calls it, though not with a request
        message = f"serve: {handler!r} is a whole application: stub.mount(origin, app)"
        raise RouteError(message)
    return lambda request, _: handler(request)


def parameters_after(first: str, callback: object) -> Container[str]:
    """Return the names after the first parameter, which ``**kwargs`` makes all of them.

    Args:
        first: what a text calls the first argument.
        callback: a function of the user's.

    Raises:
        RouteError: it cannot be called with a first argument.
    """
    if not callable(callback):
        message = f"handle: callback must be callable, got {callback!r}"
        raise RouteError(message)
    try:
        parameters = list(inspect.signature(callback).parameters.values())
    except (TypeError, ValueError):  # built-in functions, and mocks on CPython 3.10
        return frozenset()
    if not parameters or parameters[0].kind in (_Kind.KEYWORD_ONLY, _Kind.VAR_KEYWORD):
        message = f"handle: {name_of(callback)} must take {first} as its first argument"
        raise RouteError(message)
    named = (_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY)
    names = frozenset(p.name for p in parameters[1:] if p.kind in named)
    takes_all = any(p.kind is _Kind.VAR_KEYWORD for p in parameters)
    return _AllBut(parameters[0].name) if takes_all else names
