"""What a stub knows: its routes, its pass-through rules, its log, and what went wrong.

`dispatch` is the one place where it is decided what becomes of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from aiostub import _explain
from aiostub._log.calls import Log
from aiostub._matching.conditions import asks_for_websocket
from aiostub._matching.pattern import nearness
from aiostub._matching.url import Canonical, canonical
from aiostub._matching.verdict import UNDECIDED, Match, Mismatch, Undecided
from aiostub._routing.route import Place
from aiostub._routing.router import Choice, NoAnswer, Router, Taken
from aiostub._value import NamedTuple
from aiostub.exceptions import RouteError, UnmatchedRequest, UnsatisfiedStub

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

    from aiostub._answers.reply import Reply
    from aiostub._matching.request import Request
    from aiostub._matching.rules import Rule
    from aiostub._routing.route import Route

UnmatchedMode: TypeAlias = 'Literal["error", "passthrough"]'


class PassThrough(NamedTuple):
    """The request goes to the real network, though no route says so."""


class Unanswered(NamedTuple):
    """Nobody answers."""


Decision: TypeAlias = "Taken | PassThrough | Unanswered"


if TYPE_CHECKING:

    class Dialect(Protocol):
        """Speak another library's words over a stub: take its client calls, choose its answers.

        A registry with a dialect is asked through it instead of through its routes.
        """

        async def call(
            self,
            session: ClientSession,
            method: str,
            url: Any,
            kwargs: dict[str, Any],
            way: Way,
        ) -> ClientResponse:
            """Do what ``ClientSession._request`` does."""

        def choose(self, request: Request, *, use: bool) -> Choice:
            """Say who answers a request at the network boundary."""

        def lets_through(self) -> bool:
            """Tell whether a request that nobody answers goes to the real network."""


class Way(NamedTuple):
    """How a client call goes on behind a dialect."""

    onwards: Callable[..., Awaitable[ClientResponse]]  # aiohttp's own, to the boundary
    outer: Sequence[Registry]  # of the stubs that were started before
    is_innermost: bool  # no other stub is asked first


class _Unmatched(NamedTuple):
    """A request that nobody answered, and the error that its call raised."""

    error: UnmatchedRequest
    missed: _explain.Missed


class _NearCall(NamedTuple):
    rank: float
    call: str
    field: str
    detail: str


class Registry:
    """Hold what one stub knows."""

    def __init__(
        self,
        base_url: URL | None,
        *,
        strict: bool,
        passthrough: Any,
        unmatched: UnmatchedMode,
        name: str,
        log_bodies: int | None = None,
    ) -> None:
        self.base_url = base_url
        self.strict = strict
        self.unmatched = unmatched
        self.name = name  # what a text calls the stub
        self.log_bodies = log_bodies  # how many bytes of each; None is all
        self.is_fixture = False  # the pytest fixture, which a marker configures
        self.is_guard = False  # the guard of a whole pytest run
        self.dialect: Dialect | None = None
        self.log = Log(base_url)
        self.router = Router(self.log, base_url)
        self.rules: list[Rule] = []
        self.troubles: list[BaseException | _Unmatched] = []
        self.in_flight: set[Any] = set()  # exchanges; each can be abandoned
        self.stopped = False  # it was started, and is no more
        self.apps: dict[Any, Any] = {}  # applications that run, by step and event loop
        self.streamed: list[Reply] = []  # with one-shot streams, that a handler has given
        self.nearest: dict[Route, _NearCall] = {}
        if passthrough != ():
            self.add_rules(passthrough)

    def add_rules(self, rules: Any) -> None:
        """Add pass-through rules, or one.

        Raises:
            RouteError: one of them is no rule.
        """
        from aiostub._matching.rules import build_rules  # noqa: PLC0415 - few tests have rules

        self.rules += build_rules(rules)

    def lets_through(self, request: Request, place: Canonical) -> bool:
        """Tell whether a pass-through rule names the request, or a dialect lets it go."""
        if self.dialect is not None and self.dialect.lets_through():
            return True
        return any(rule.matches(request, place) for rule in self.rules)

    def note(self, trouble: BaseException) -> None:
        """Remember what must be raised again at the end."""
        if not any(trouble is known for known in self.troubles):
            self.troubles.append(trouble)

    def note_unmatched(
        self,
        error: UnmatchedRequest,
        request: Request,
        nears: Sequence[_explain.Near] = (),
        base: str | None = None,
    ) -> UnmatchedRequest:
        """Remember a request that nobody answered, and return its error."""
        if not self.is_guard:  # nobody checks the guard, and it lives for the whole run
            nearest = next(iter(_explain.nearest_first(nears)), None)
            missed = _explain.Missed(
                f"{request.method} {request.url}", nearest, base, asks_for_websocket(request)
            )
            self.troubles.append(_Unmatched(error, missed))
        return error

    def came_near(self, route: Route, rank: float, request: Request, found: Mismatch) -> None:
        """Remember the request that came nearest to a route without matching it."""
        known = self.nearest.get(route)
        if known is None or rank > known.rank:
            call = f"{request.method} {request.url}"
            self.nearest[route] = _NearCall(rank, call, found.field, found.detail)

    # The strict check.

    def check(self, error: BaseException | None = None) -> None:
        """Raise what was left over or went wrong, once.

        Args:
            error: the exception that the test is failing with already. It gets the findings as
                notes and nothing is raised.

        Raises:
            UnsatisfiedStub: a step was never served, a request never answered.
            BaseException: what a matcher, a handler or a call raised.
        """
        self._report(self._all_unused(), error)

    def check_troubles(self, error: BaseException | None = None) -> None:
        """Raise what went wrong since the last check, whatever is left over.

        Args:
            error: as for `check`.

        Raises:
            BaseException: as `check`.
        """
        # A task of ours is cancelled when its loop is closed, which is nobody's mistake.
        self.troubles = [t for t in self.troubles if not isinstance(t, asyncio.CancelledError)]
        self._report([], error)

    def left_over(self) -> str:
        """Say which steps were never served; nothing if none is left."""
        unused = self._all_unused()
        return _explain.never_served(unused) if unused else ""

    def _all_unused(self) -> list[_explain.Unused]:
        return [self._unused(route) for route in self.router.routes if not route.satisfied]

    def _report(self, unused: Sequence[_explain.Unused], error: BaseException | None) -> None:
        troubles, self.troubles = self.troubles, []
        if not self.strict or not (troubles or unused):
            return
        findings = self._findings([t for t in troubles if t is not error], unused, error)
        if error is not None:
            add_notes(error, findings)
        elif findings:
            first, *rest = findings
            add_notes(first, rest)
            raise first

    def _findings(
        self,
        troubles: Sequence[BaseException | _Unmatched],
        unused: Sequence[_explain.Unused],
        error: BaseException | None,
    ) -> list[BaseException]:
        """Return what went wrong in the order in which it did; what is left over is one finding."""
        known = [t for t in troubles if isinstance(t, _Unmatched)]
        unmatched = [t.missed for t in known if t.error is not error]
        findings = [t for t in troubles if not isinstance(t, _Unmatched)]
        if unmatched or unused:
            text = _explain.unsatisfied(unused, unmatched, name=self.name, fixture=self.is_fixture)
            kinds = [isinstance(t, _Unmatched) for t in troubles]
            place = kinds.index(True) if unmatched else len(findings)
            findings.insert(place, UnsatisfiedStub(text))
        return findings

    def _unused(self, route: Route) -> _explain.Unused:
        near = self.nearest.get(route)
        return _explain.Unused(
            route=str(route),
            where=str(route.place),
            steps=[
                _left(str(step.action), step.served, step.times)
                for step in route.steps
                if not step.satisfied
            ],
            nearest=near and near.call,
            field=near.field if near else "",
            detail=near.detail if near else "",
        )


def _left(action: str, served: int, times: int | None) -> str:
    return f"{action} served {served} of {times}" if served else f"{action} never served"


def add_notes(error: BaseException, findings: Sequence[BaseException]) -> None:
    """Add findings to an exception as notes (PEP 678; CPython 3.10 shows them under pytest)."""
    for finding in findings:
        note = f"{type(finding).__name__}: {finding}"
        if hasattr(error, "add_note"):
            error.add_note(note)
        else:
            notes = getattr(error, "__notes__", [])
            with contextlib.suppress(AttributeError):  # an exception with slots
                error.__notes__ = [*notes, note]  # type: ignore[attr-defined]


def dispatch(
    registries: Sequence[Registry],
    request: Request,
    *,
    declined: Container[Route] = (),
    use: bool = True,
    has_arrived: bool = False,
) -> tuple[Registry, Decision | Undecided]:
    """Decide what becomes of a request, and use up the step that answers it.

    Args:
        registries: the innermost first.
        request: as far as it has come.
        declined: routes whose handlers have said that they do not answer it.
        use: whether the step is used up, or only looked at.
        has_arrived: it came over a socket of ours, so that no server of this process is ahead.

    Returns:
        whose decision it is, or against whom it counts that nobody answers; and the decision.
    """
    place = canonical(request._url)
    nobody: list[NoAnswer] = []
    registry = registries[0]
    try:
        for registry in registries:
            dialect = registry.dialect
            if dialect is None:
                choice = registry.router.choose(request, place, declined, use=use)
            else:
                choice = dialect.choose(request, use=use)
            if not isinstance(choice, NoAnswer):
                return registry, choice
            nobody.append(choice)
        for registry in registries:
            if registry.lets_through(request, place):
                return registry, PassThrough()
    except BaseException as bug:
        registry.note(bug)  # a matcher that raises never means "no match"
        raise
    return _dispatch_unmatched(registries, request, nobody, has_arrived=has_arrived)


def _dispatch_unmatched(
    registries: Sequence[Registry],
    request: Request,
    nobody: Sequence[NoAnswer],
    *,
    has_arrived: bool,
) -> tuple[Registry, Decision | Undecided]:
    """Decide about a request that no route answers and no rule names.

    What a used-up route would have answered is unmatched, never silently real; where that shows
    only when more has arrived, the decision waits.
    """
    from aiostub._routing.test_servers import is_test_server  # noqa: PLC0415 - if a route is missing

    lets_go = next((r for r in registries if r.unmatched == "passthrough"), None)
    if lets_go is None and not has_arrived and is_test_server(request.url):
        lets_go = registries[0]
    spent = any(each.spent for each in nobody)
    if not spent and any(each.perhaps for each in nobody):
        return registries[0], UNDECIDED
    if spent or lets_go is None:
        return registries[0], Unanswered()
    return lets_go, PassThrough()


def unmatched_error(
    registries: Sequence[Registry],
    request: Request,
    *,
    declined: Container[Route],
    redirected_from: str | None,
    has_arrived: bool = False,
) -> UnmatchedRequest:
    """Make the error of a request that nobody answers, and remember it in the innermost stub."""
    from aiostub._routing.test_servers import is_loopback  # noqa: PLC0415 - if a route is missing

    nears = [near for registry in registries for near in _nears(registry, request, declined)]
    if registries[0].is_guard:
        text = _explain.guarded(
            request.method,
            str(request.url),
            during=os.environ.get("PYTEST_CURRENT_TEST"),
            where=_sender(),
        )
        return registries[0].note_unmatched(UnmatchedRequest(text), request)
    base = _base(registries[0], request, has_arrived=has_arrived)
    text = _explain.unmatched(
        request.method,
        str(request.url),
        nears,
        redirected_from=redirected_from,
        base=base,
        loopback=is_loopback(request.url) and not has_arrived,
        websocket=asks_for_websocket(request),
        name=registries[0].name,
    )
    return registries[0].note_unmatched(UnmatchedRequest(text), request, nears, base)


def _base(registry: Registry, request: Request, *, has_arrived: bool) -> str | None:
    """Return what code is written relative to: no route can know the port of a socket of ours."""
    from aiostub._routing.test_servers import (  # noqa: PLC0415 - if a route is missing
        is_loopback,
        own_ports,
    )

    if registry.base_url is not None:
        return str(registry.base_url)
    to_socket = has_arrived and is_loopback(request.url) and request.url.port in own_ports
    return str(request.url.origin()) if to_socket else None


def _sender() -> str | None:
    """Return the line of the user's code that sends the request that is being decided."""
    place = Place.of_user(sys._getframe(1))
    return None if place is None else str(place)


def _nears(
    registry: Registry, request: Request, declined: Container[Route]
) -> Iterator[_explain.Near]:
    """Describe every route of a registry: why it does not answer, and how near it came."""
    place = canonical(request.url)
    for route in tuple(registry.router.routes):
        found = _match(registry, route, request, place)
        if isinstance(found, Mismatch):
            rank = nearness(route.pattern, request, place, found)
            registry.came_near(route, rank, request, found)
            yield _near(route, found.field, found.detail, rank)
        elif route in declined:
            yield _near(route, "handle", "the callback returned None", _WOULD_ANSWER)
        else:
            yield _near(route, "", "", _WOULD_ANSWER)


def _match(
    registry: Registry, route: Route, request: Request, place: Canonical
) -> Match | Mismatch | Undecided:
    try:
        return route.pattern.match(request, place)
    except BaseException as bug:
        registry.note(bug)
        raise


_WOULD_ANSWER = float("inf")


def _near(route: Route, field: str, detail: str, rank: float) -> _explain.Near:
    return _explain.Near(
        route=str(route),
        where=str(route.place),
        field=field,
        detail=detail,
        used=route.used,
        rank=rank,
        steps=len(route.steps),
    )


def no_step_error(registry: Registry, route: Route) -> RouteError:
    """Make the error of a route that is asked to answer and was never told how."""
    error = RouteError(_explain.no_step(str(route), str(route.place), name=registry.name))
    registry.note(error)
    return error
