"""Which route answers: register, match, use up.

Rules of the file:

- In order of registration, the first route that matches and has a step left.
- Which routes are tried at all, an index says. To try every one gives the same answer (a property
  test holds them to it).
- Matching runs no lock, since it calls the user's matchers. Choosing a step and using it up is
  one act under the lock, which is never held across an await or a user's function.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Container
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from aiostub._matching.verdict import Match, Undecided
from aiostub._routing.index import Index, by_order
from aiostub._routing.route import Place, Route
from aiostub._value import NamedTuple

if TYPE_CHECKING:
    from yarl import URL

    from aiostub._answers.steps import Step
    from aiostub._log.calls import Log
    from aiostub._matching.pattern import Pattern
    from aiostub._matching.request import Request
    from aiostub._matching.url import Canonical


class Taken:
    """A route answers; *step* is used up by one (``None``: the route was never given one)."""

    __slots__ = ("match", "route", "step")

    def __init__(self, route: Route, step: Step | None, match: Match) -> None:
        self.route = route
        self.step = step
        self.match = match


class NoAnswer(NamedTuple):
    """No route answers; *spent* would have, had it a step left.

    With *perhaps*, whether there is such a route shows only when more of the request has arrived.
    """

    spent: Route | None
    perhaps: bool = False


Choice: TypeAlias = "Taken | NoAnswer | Undecided"


class Router:
    """Hold the routes of a stub, and choose among them."""

    def __init__(self, log: Log, base_url: URL | None) -> None:
        self.routes: list[Route] = []
        self.log = log
        self.base_url = base_url
        self.lock = Lock()
        self._first = 0
        self._last = 0
        self._index = Index()

    def add(
        self,
        pattern: Pattern,
        place: Place,
        *,
        first: bool = False,
        make: Callable[[Pattern, Router, int, Place], Route] = Route,
    ) -> Route:
        """Register a route behind the others, or in front of them."""
        with self.lock:
            if first:
                order = self._first = self._first - 1
            else:
                order = self._last = self._last + 1
            route = make(pattern, self, order, place)
            self._put(route)
        return route

    def insert(self, route: Route) -> None:
        """Put a route where its order says; those that follow stand behind or in front of it."""
        self._first = min(self._first, route.order)
        self._last = max(self._last, route.order)
        self._put(route)

    def _put(self, route: Route) -> None:
        if not self.routes or self.routes[-1].order < route.order:
            self.routes.append(route)
        else:
            insort(self.routes, route, key=by_order)
        self._index.insert(route)

    def clear(self) -> None:
        """Drop all routes."""
        with self.lock:
            self.routes.clear()
            self._index = Index()

    def revive(self, route: Route) -> None:
        """Look at a route again that has got a use more."""
        self._index.bucket_of(route.pattern).start = 0

    def choose(
        self,
        request: Request,
        canonical: Canonical,
        declined: Container[Route] = (),
        *,
        use: bool = True,
    ) -> Choice:
        """Use up a step of the first route that matches and has one left.

        Args:
            request: as far as it has come.
            canonical: its URL in canonical form.
            declined: routes whose handlers have said that they do not answer it.
            use: whether the step is used up, or only looked at.

        Returns:
            `Taken`, `NoAnswer`, or `Undecided` where a route that may be the first asks for
            something that has not arrived yet.
        """
        for route in self._index.live(canonical, request):
            if route.exhausted or route in declined:
                continue
            found = route.pattern.match(request, canonical)
            if isinstance(found, Match):
                if not use:
                    return Taken(route, route.next_step(), found)
                taken = self._take(route, found)
                if taken is not None:
                    return taken
            elif isinstance(found, Undecided):
                return found
        return self._no_answer(request, canonical)

    def _take(self, route: Route, match: Match) -> Taken | None:
        """Use up a step, unless another thread has used up the last one meanwhile."""
        with self.lock:
            if route.exhausted:
                return None
            step = route.use()
            if step is not None and step.times is not None:
                self._index.bucket_of(route.pattern).skip_exhausted()
        return Taken(route, step, match)

    def give_back(self, route: Route, step: Step) -> None:
        """Take back a use that answered nothing."""
        with self.lock:
            route.give_back(step)

    def _no_answer(self, request: Request, canonical: Canonical) -> NoAnswer:
        perhaps = False
        for route in self._index.all(canonical, request):
            if route.exhausted:
                found = route.pattern.match(request, canonical)
                if isinstance(found, Match):
                    return NoAnswer(route)
                perhaps = perhaps or isinstance(found, Undecided)
        return NoAnswer(None, perhaps)
