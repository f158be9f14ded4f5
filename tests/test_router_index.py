"""The router's index: looking routes up gives the same answer as trying them one by one."""

from __future__ import annotations

import re
import warnings

import pytest
from multidict import CIMultiDict
from yarl import URL

from aiostub import ANY, partial
from aiostub._answers.reply import Reply
from aiostub._answers.steps import Step
from aiostub._log.calls import Log
from aiostub._matching.needle import needle_of
from aiostub._matching.pattern import Pattern
from aiostub._matching.request import Request
from aiostub._matching.url import canonical
from aiostub._matching.verdict import Match, Undecided
from aiostub._routing.route import Place
from aiostub._routing.router import NoAnswer, Router, Taken
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
    "http://a.test/{name}",
    "http://a.test/{rest:path}",
    "http://a.test/y/{rest:path}",
    "http://a.test/{name}/x",
    "http://a.test/y/{name}",
    "http://a.test/y/x{name}/z",
    "http://{host}.test/{name}/x1/z",
    "http://{host}.test:8080/{name}",
    "http://{host}.test/x",
    "{scheme}://a.test/x",
    "http://a.test/{name}?q=1",
    re.compile("x"),
    re.compile(r"a\.test/(?P<name>\w)\?q=1"),
    re.compile(r"^https?://[ab]\.test/x$"),
    re.compile(r"\.test/x"),
    re.compile(r"\.TEST/x", re.IGNORECASE),
    re.compile(r"/y/x|/x/y"),
    re.compile(r"a\.test(?::8080)?/x+/?$"),
    ANY,
    URL("http://a.test/x"),
    URL("http://a.test/x?q=1"),
    "http://a.test/y/x",
    "http://a.test/y/x1/z",
    "http://b.test/y/x1/z",
    "http://a.test/y//x",
    "http://a.test/y/%2Fx",
    "http://a.test/q?next=http://b.test/x",
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


# Whatever stands in a regex, and texts of the same characters.
PIECES = r"""
a b ab / \. . a+ b* b? a{2} a{1,} b{a a{} [ab|(] []a] [^]b] [\]] (a|b) ((a)|b) (?:b)? | ^ $ }
a*? b+? (?=a) (?!b) (?<=a) (?P<n>ab) (?i:a) (?s:.) (?#() \Aa \b \d \x61b \141 \( \| \\
"""


def compiled(pieces, flags):
    """Make a regex; ``None`` of what is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile("".join(pieces), flags)
    except (re.error, OverflowError):
        return None


@settings(max_examples=1000)
@given(
    st.builds(
        compiled,
        st.lists(st.sampled_from(PIECES.split()), max_size=6),
        st.sampled_from((0, 0, 0, re.IGNORECASE, re.VERBOSE, re.MULTILINE)),
    ).filter(lambda pattern: pattern is not None),
    st.data(),
)
def test_a_regex_is_found_only_where_its_needle_is(pattern, data):
    """So that no text without it needs to be searched."""
    text = data.draw(st.from_regex(pattern) | st.text("abAB/.1{}()| ", max_size=8))
    if pattern.search(text):
        assert needle_of(pattern) in text


@pytest.mark.parametrize(
    ("regex", "needle"),
    [
        (r"^https://api\.example\.com/users-17/[a-z]+$", "https://api.example.com/users-17/"),
        (r"https?://api\.example\.com/users", "://api.example.com/users"),
        (r"/users/\d+/posts(?:\?.*)?$", "/users/"),
        (r"/(users|groups)/", "/"),
        (r"/users|/groups", ""),
        (r"(?i)/users", ""),
        (r"\x2fusers", ""),
        (r"/users(?#()|/groups", ""),
        (r"[]a]/users|/groups", ""),
        (r"/users{2,3}/x", "/user"),
        (r".*", ""),
        (r"", ""),
    ],
)
def test_the_needle_is_the_longest_text_that_must_be_there(regex, needle):
    """The longer it is, the fewer regexes have it in common."""
    assert needle == needle_of(re.compile(regex))


@pytest.mark.parametrize(
    "written",
    [
        "https://a.test/u{}/b".format,
        "https://a.test/u{}/{{id}}".format,
        lambda number: re.compile(rf"^https://a\.test/u{number}/[a-z]+$"),
    ],
    ids=["exact", "template", "regex"],
)
def test_of_many_routes_only_those_are_tried_that_may_match(written):
    """Ten thousand of them take no longer than one."""
    router, sent = Router(Log(), None), URL("https://a.test/u17/b")
    routes = [router.add(Pattern.build("GET", written(n)), HERE).reply() for n in range(50)]
    found = router._index._find(canonical(sent), sent)
    assert [[routes[17]]] == [bucket.routes for bucket in found]


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("http://{host}.test/y/x", "http://a.test/y/x"),
        ("http://{host}.test:8080/{name}", "http://a.test:8080/y"),
        ("http://a.test/{name}/x", "http://a.test/y/x"),
        ("http://a.test/{name}/{other}", "http://a.test/y/z"),
        ("http://a.test/{rest:path}", "http://a.test/y/x"),
        ("http://a.test/y/x-{rest:path}", "http://a.test/y/x-z/x"),
        ("http://a.test/y/{name}.json", "http://a.test/y/x.json"),
        ("/{name}/x", "http://a.test/y/x"),
        ("/{rest:path}", "http://a.test/y/x"),
    ],
)
def test_a_template_is_found_beside_nearer_ones(template, url):
    """One that has the same segment written out does not hide it."""
    router, sent = Router(Log(), None), URL(url)
    for other in ("http://a.test/y/{name}/z", "http://a.test/y/{rest:path}", "/y/x{name}"):
        router.add(Pattern.build("GET", other), HERE).reply()
    route = router.add(Pattern.build("GET", template), HERE, first=True).reply()
    request = Request("GET", sent, CIMultiDict(), body=b"", sent=True)
    choice = router.choose(request, canonical(sent))
    assert route is choice.route


@pytest.mark.parametrize(
    "written",
    [
        "http://a.test/x",
        "http://a.test/{name}",
        "/x",
        re.compile(r"a\.test/x"),
        re.compile(r"[a-z]$"),
        ANY,
    ],
    ids=str,
)
def test_a_route_that_comes_later_is_found_for_a_url_that_was_looked_up(written):
    """What the router remembers of a URL ends with the next route."""
    router = Router(Log(), None)
    request = Request("GET", URL("http://a.test/x"), CIMultiDict(), body=b"", sent=True)
    place = canonical(request.url)
    router.add(Pattern.build("POST", "http://a.test/{other}"), HERE).reply()
    assert isinstance(router.choose(request, place), NoAnswer)
    route = router.add(Pattern.build("GET", written), HERE).reply()
    assert route is router.choose(request, place).route


def test_many_urls_are_looked_up():
    """More than the router remembers, and again."""
    router = Router(Log(), None)
    route = router.add(Pattern.build("GET", "http://a.test/{name}"), HERE).reply().always()
    for name in [*range(600), *range(600)]:
        request = Request("GET", URL(f"http://a.test/{name}"), CIMultiDict(), body=b"", sent=True)
        chosen = router.choose(request, canonical(request.url))
        assert (route, str(name)) == (chosen.route, chosen.match.path_params["name"])
    assert len(router._index._found) <= 256
