"""The router's index: looking routes up gives the same answer as trying them one by one."""

from __future__ import annotations

import re

import pytest
from multidict import CIMultiDict
from yarl import URL

from aiostub import ANY, partial
from aiostub._calls import Log
from aiostub._match import Match, Pattern, Undecided, canonical
from aiostub._reply import Reply
from aiostub._request import Request
from aiostub._route import Place
from aiostub._router import NoAnswer, Router, Taken
from aiostub._steps import Step
from aiostub.typing import UNSET

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

HERE = Place(__file__, 1)

# Few places, so that routes and requests meet: the same one in many spellings, and its neighbours.
URLS = (
    "http://a.test/x",
    "HTTP://A.test:80/x",
    "ws://a.test./x",
    "http://a.test/%78#fragment",
    "http://user@a.test/y/../x",
    "https://a.test/x",
    "http://a.test:8080/x",
    "http://b.test/x",
    "http://a.test/x/",
    "http://a.test/X",
    "http://a.test",
    "http://a.test/",
    "http://a.test/x?q=1",
    "http://a.test/x?q=%31&r=2",
    "http://a.test/x?r=2&q=1",
    "http://a.test/x?q=1&q=2",
    "http://a.test/x?q=2&q=1",
    "http://a.test/x?q",
    "/x",
    "/x?q=1",
    "/",
    "/{name}",
    "/{rest:path}",
    "http://{host}.test/x",
    "{scheme}://a.test/x",
    "http://a.test/{name}?q=1",
    re.compile("x"),
    re.compile(r"a\.test/(?P<name>\w)\?q=1"),
    ANY,
    URL("http://a.test/x"),
    URL("http://a.test/x?q=1"),
)
SENT = tuple(
    URL(url) for url in URLS if isinstance(url, str) and "{" not in url and not url.startswith("/")
)
METHODS = ("GET", "GET", "GET", "POST", None)
PARAMS = (
    ANY,
    {},
    {"q": "1"},
    {"q": 1, "r": "2"},
    {"q": re.compile("[12]")},
    [("q", "1"), ("q", "2")],
    partial({"q": "1"}),
)
CONDITIONS = (
    {"headers": {"X-A": "1"}},
    {"json": {"n": 1}},
    {"where": lambda request: request.body == b"{}"},
)
BODIES = (None, b"", b'{"n": 1}', b"{}")


def build(method, url, params, conditions):
    """Make a pattern; ``None`` of what no route may be."""
    try:
        return Pattern.build(method, url, params=params, **conditions)
    except ValueError:
        return None


# Most are plain, so that they meet; every combination is possible.
patterns = st.builds(
    build,
    st.sampled_from(METHODS),
    st.sampled_from(URLS[:5]) | st.sampled_from(URLS),
    st.just(UNSET) | st.sampled_from(PARAMS),
    st.just({}) | st.sampled_from(CONDITIONS),
).filter(lambda pattern: pattern is not None)


@st.composite
def requests(draw):
    """Give a request, whole or not."""
    body = draw(st.sampled_from(BODIES))
    headers = CIMultiDict({"X-A": "1"} if draw(st.booleans()) else {})
    sent = body is not None or draw(st.booleans())
    method = draw(st.sampled_from(("GET", "GET", "GET", "POST", "PUT")))
    url = draw(st.sampled_from(SENT[:5]) | st.sampled_from(SENT))
    return Request(method, url, headers, body=body, sent=sent)


class Plain:
    """Choose as the contract says it: in order, one by one."""

    def __init__(self):
        self.routes = []
        self.left = {}

    def add(self, route, uses, *, first):
        """Put a route where it belongs."""
        self.routes.insert(0 if first else len(self.routes), route)
        self.left[route] = uses

    def choose(self, request, declined):
        """Give the route that answers, or what stands in the way of knowing."""
        place = canonical(request.url)
        for route in self.routes:
            if self.left[route] == [] or route in declined:
                continue
            found = route.pattern.match(request, place)
            if isinstance(found, Undecided):
                return "undecided"
            if isinstance(found, Match):
                return route
        return None

    def spent(self, request):
        """Give the used-up routes that would have answered."""
        place = canonical(request.url)
        return [
            route
            for route in self.routes
            if self.left[route] == [] and isinstance(route.pattern.match(request, place), Match)
        ]


def uses_of(route, number):
    """Give a route that many uses, and return them as the plain list has them."""
    if number == 0:
        return ["stepless"]
    route.reply()
    if number is None:
        route.always()
        return ["always"]
    if number > 1:
        route.times(number)
    return ["once"] * number


class Comparison(RuleBasedStateMachine):
    """Let both see the same, and compare what they say.

    Whatever was registered, asked, given back, gone on with, copied and dropped before.
    """

    def __init__(self):
        super().__init__()
        self.router = Router(Log(), None)
        self.plain = Plain()
        self.taken = []

    @invariant()
    def same_order(self):
        """Have the same routes in the same order."""
        assert self.plain.routes == self.router.routes

    @rule(pattern=patterns, number=st.sampled_from((0, 1, 1, 1, 2, None)), first=st.booleans())
    def register(self, pattern, number, first):
        """Register one more route."""
        route = self.router.add(pattern, HERE, first=first)
        self.plain.add(route, uses_of(route, number), first=first)

    @rule(request=requests(), numbers=st.just(()) | st.sets(st.integers(0, 9), max_size=2))
    def ask(self, request, numbers):
        """Let both choose; some handlers have declined before."""
        routes = self.plain.routes
        declined = {routes[number] for number in numbers if number < len(routes)}
        expected = self.plain.choose(request, declined)
        actual = self.router.choose(request, canonical(request.url), declined)
        if expected == "undecided":
            assert isinstance(actual, Undecided)
        elif expected is None:
            assert isinstance(actual, NoAnswer)
            spent = self.plain.spent(request)
            assert (spent[0] if spent else None) is actual.spent
        else:
            assert isinstance(actual, Taken)
            assert expected is actual.route
            self.use(expected, actual)

    def use(self, route, taken):
        """Take the use off the plain list as well."""
        left = self.plain.left[route]
        assert (left == ["stepless"]) is (taken.step is None)
        if left[0] == "once":
            left.pop()
        if taken.step is not None:
            self.taken.append((route, taken.step))

    @rule()
    def give_back(self):
        """Give the last use back."""
        if self.taken:
            route, step = self.taken.pop()
            self.router.give_back(route, step)
            if self.plain.left[route] != ["always"]:
                self.plain.left[route].append("once")

    @rule(number=st.integers(0, 9))
    def go_on(self, number):
        """Add a step to a route, used up or not."""
        if number >= len(self.plain.routes):
            return
        route = self.plain.routes[number]
        left = self.plain.left[route]
        if left == ["always"]:
            return
        if left == ["stepless"]:
            left.clear()
            route.reply()
        else:
            route.then.reply()
        left.append("once")

    @rule()
    def clear(self):
        """Drop all routes."""
        self.router.clear()
        self.plain, self.taken = Plain(), []

    @rule()
    def copy(self):
        """Go on with copies of all routes, none of them used."""
        old, self.router, self.taken = self.plain, Router(Log(), None), []
        self.plain = Plain()
        for route in old.routes:
            route.copy_into(self.router)
        for route, copied in zip(old.routes, self.router.routes, strict=True):
            assert route.pattern is copied.pattern
            steps = copied.steps
            uses = [use for step in steps for use in self.all_of(step)] or ["stepless"]
            self.plain.add(copied, uses, first=False)

    @staticmethod
    def all_of(step):
        """Give the uses of a fresh step."""
        assert 0 == step.served
        return ["always"] if step.times is None else ["once"] * step.times


TestComparison = Comparison.TestCase
TestComparison.settings = settings(max_examples=30, stateful_step_count=40)


@given(st.lists(patterns, max_size=30), requests())
def test_every_route_that_matches_is_found(registered, request):
    """None is left out by the index: asked until nobody answers, each has answered once."""
    router = Router(Log(), None)
    for pattern in registered:
        router.add(pattern, HERE).reply()
    place = canonical(request.url)
    expected = []
    for route in router.routes:
        found = route.pattern.match(request, place)
        if isinstance(found, Undecided):
            break
        expected += [route] * isinstance(found, Match)
    actual = []
    while isinstance(choice := router.choose(request, place), Taken):
        actual.append(choice.route)
    assert expected == actual


def test_a_script_is_used_in_its_order():
    """The step that a choice names is the one that is served."""
    router = Router(Log(), None)
    route = router.add(Pattern.build("GET", "http://a.test/x"), HERE)
    route.reply(201).times(2).then.reply(202).then.reply(203).always()
    request = Request("GET", URL("http://a.test/x"), CIMultiDict(), body=b"", sent=True)
    chosen = [router.choose(request, canonical(request.url)) for _ in range(6)]
    statuses = [choice.step.action.reply.status for choice in chosen]
    assert [201, 201, 202, 203, 203, 203] == statuses
    assert all(isinstance(choice.step, Step) for choice in chosen)
    assert isinstance(chosen[0].step.action.reply, Reply)


def test_a_use_that_was_taken_meanwhile_is_not_taken_again():
    """By another thread, say, while the matcher of this one is asked."""
    router = Router(Log(), None)
    request = Request("GET", URL("http://a.test/x"), CIMultiDict(), body=b"", sent=True)
    place, meanwhile = canonical(request.url), []

    def matcher(_):
        if not meanwhile:
            meanwhile.append(None)
            meanwhile.append(router.choose(request, place))
        return True

    first = router.add(Pattern.build("GET", "http://a.test/x", where=matcher), HERE).reply()
    second = router.add(Pattern.build("GET", "http://a.test/x"), HERE).reply()
    chosen = router.choose(request, place)
    assert [first, second] == [meanwhile[1].route, chosen.route]
