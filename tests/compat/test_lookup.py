"""The index of the drop-in: what is found by look-up is what asking one by one would find."""

import asyncio
import re
from time import process_time
from unittest.mock import patch

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from aiostub.compat.aioresponses import CallbackResult, aioresponses
from aiostub.compat.aioresponses.compat import normalize_url
from aiostub.compat.aioresponses.core import RequestMatch

pytest.importorskip("hypothesis")
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

PLACE = "http://x.test/a"
OTHER = "http://x.test/b"


class Odd(RequestMatch):
    """Match what a suite thinks fit."""

    def match(self, method, url):
        return url.path.endswith("b")


class Foreign:
    """Be no matcher of anybody's."""

    is_spoken_for = False
    is_plain = False
    pending = 0

    def match(self, method, url):
        return method == "PUT"


# Few places, so that matchers and requests meet.
URLS = (
    PLACE,
    OTHER,
    "http://x.test/a?k=1&l=2",
    "http://x.test/a?l=2&k=1",
    "http://X.test:80/a",
    "http://x.test",
    "http://x.test/",
    "/a",
    URL(PLACE),
    re.compile(r"^http://x\.test/a"),
    re.compile(r"http://x\.test/a\?k=1&l=2$"),
    re.compile(r"http://x\.test/[ab]$"),
    re.compile(r"HTTP://X\.TEST/B", re.IGNORECASE),
    re.compile(r"x\.test"),
    re.compile(".*"),
    re.compile("http://x.test/b|nothing"),
)
METHODS = ("GET", "GET", "get", "POST")
SENT = [normalize_url(url) for url in URLS if isinstance(url, str)]


def make(url, method, kind):
    """Make a matcher of one of three kinds."""
    return Foreign() if kind is Foreign else kind(url, method=method, repeat=True)


matchers = st.builds(
    make,
    st.sampled_from(URLS[:2]) | st.sampled_from(URLS),
    st.sampled_from(METHODS),
    st.sampled_from([RequestMatch] * 6 + [Odd, Foreign]),
)
places = st.integers(0, 7)


class Comparison(RuleBasedStateMachine):
    """Do to the dict what suites do, and let the look-up be the scan all the while."""

    def __init__(self):
        super().__init__()
        self.mock = aioresponses()

    @property
    def matches(self):
        """Return the dict."""
        return self.mock._matches

    def key(self, place):
        """Return one of the keys, if there is any."""
        keys = list(self.matches)
        return keys[place % len(keys)] if keys else None

    @rule(url=st.sampled_from(SENT), method=st.sampled_from([*METHODS, "PUT"]))
    def ask(self, url, method):
        """Find the same, in the same order."""
        expected = [key for key, each in self.matches.items() if each.match(method, url)]
        found = self.mock._those_for(method, url)
        assert expected == [key for key in found if self.matches[key].match(method, url)]

    @rule(url=st.sampled_from(URLS), method=st.sampled_from(METHODS))
    def register(self, url, method):
        """Register an answer."""
        self.mock.add(url, method=method)

    @rule(url=st.sampled_from(SENT))
    def use_up(self, url):
        """Use one up, or what has no end not."""
        if not any(isinstance(each, Foreign) for each in self.matches.values()):
            self.mock._take("GET", url)

    @rule(matcher=matchers, place=places)
    def put(self, matcher, place):
        """Put one in by hand, behind the others or in the place of one."""
        self.matches[self.key(place) or "own"] = matcher
        self.matches[f"own {place}"] = matcher

    @rule(place=places, way=st.sampled_from(["del", "pop", "popitem"]))
    def take_out(self, place, way):
        """Take one out."""
        key = self.key(place)
        if key is None:
            assert self.matches.pop(key, "nothing") == "nothing"
        elif way == "del":
            del self.matches[key]
        elif way == "pop":
            self.matches.pop(key)
        else:
            self.matches.popitem()

    @rule(matcher=matchers, place=places, way=st.sampled_from(["update", "or", "setdefault"]))
    def merge(self, matcher, place, way):
        """Change several at once, or perhaps none."""
        key = self.key(place) or "merged"
        if way == "update":
            self.matches.update({key: matcher, "merged": matcher})
        elif way == "or":
            self.mock._matches |= {key: matcher, "merged": matcher}
        else:
            self.matches.setdefault(key, matcher)
            self.matches.setdefault("defaulted", matcher)

    @rule(place=places, source=matchers)
    def change(self, place, source):
        """Let one decide as another does."""
        matcher = self.matches.get(self.key(place))
        if isinstance(matcher, RequestMatch) and isinstance(source, RequestMatch):
            matcher.method = source.method
            matcher.url_or_pattern = source.url_or_pattern
            matcher.match_func = source.match_func

    @rule(place=places, name=st.sampled_from(["match", "match_func"]))
    def override(self, place, name):
        """Give one its own way to decide."""
        matcher = self.matches.get(self.key(place))
        if isinstance(matcher, RequestMatch):
            setattr(matcher, name, lambda *_: True)

    @rule(place=places)
    def restore(self, place):
        """Take that way back."""
        matcher = self.matches.get(self.key(place))
        if matcher is not None and "match" in vars(matcher):
            del matcher.match

    @rule(plain=st.booleans())
    def drop(self, plain):
        """Begin anew, perhaps with a dict of the suite's own."""
        if plain:
            self.mock._matches = dict(self.matches)
        else:
            self.mock._matches.clear()


TestComparison = Comparison.TestCase


async def body(session, url):
    """Get a URL; "refused" is what nothing answers."""
    try:
        async with session.get(url) as response:
            return await response.text()
    except aiohttp.ClientConnectionError:
        return "refused"


async def bodies(*urls):
    """Get URLs in turn."""
    async with aiohttp.ClientSession() as session:
        return [await body(session, url) for url in urls]


async def test_the_order_of_registration_is_kept():
    """A pattern before a URL answers first, and one behind it last."""
    with aioresponses() as m:
        m.get(re.compile(r"http://x\.test/"), body="pattern")
        m.get(PLACE, body="one")
        m.get(re.compile(".*"), body="any")
        m.get(PLACE, body="two")
        got = await bodies(*[PLACE] * 5)
    assert got == ["pattern", "one", "any", "two", "refused"]


async def test_what_is_used_up_makes_room():
    """Each answers as often as it says, and nought is for ever."""
    with aioresponses() as m:
        m.get(PLACE, body="once")
        m.get(PLACE, body="twice", repeat=2)
        m.get(PLACE, body="ever", repeat=0)
        m.get(PLACE, body="never")
        got = await bodies(*[PLACE] * 5)
        left = [each.body for each in m._matches.values()]
    assert got == ["once", "twice", "twice", "ever", "ever"]
    assert left == ["ever", "never"]


async def test_a_queue_that_is_filled_while_it_is_emptied():
    """Hundreds come and go, and the order stays."""
    with aioresponses() as m:
        m.get(OTHER, body="other", repeat=True)
        asked, got = [], []
        for number in range(300):
            m.get(PLACE, body=str(number))
            m.get(re.compile(rf"http://x\.test/{number}$"), body=str(-number))
            asked.append([str(number), str(-number)])
            got.append(await bodies(PLACE, f"http://x.test/{number}"))
        assert len(m._matches) == 1
    assert got == asked


async def test_a_callback_that_is_deciding_keeps_its_use():
    """Who asks meanwhile gets the next answer."""
    go_on = asyncio.Event()

    async def decide(url, **kwargs):
        await go_on.wait()
        return CallbackResult(body="first")

    with aioresponses() as m:
        m.get(PLACE, callback=decide)
        m.get(PLACE, body="second")
        first = asyncio.ensure_future(bodies(PLACE))
        await asyncio.sleep(0)
        second = await bodies(PLACE)
        go_on.set()
        assert [await first, second, list(m._matches)] == [["first"], ["second"], []]


async def test_a_matcher_of_a_suite_is_asked():
    """What a subclass decides is decided, wherever it stands."""
    with aioresponses() as m:
        m._matches["own"] = Odd(PLACE, body="odd")
        m.get(OTHER, body="plain", repeat=True)
        got = await bodies(OTHER, OTHER)
    assert got == ["odd", "plain"]


async def test_a_class_that_is_patched():
    """Every matcher decides as the patch says, also one that was found before."""
    with aioresponses() as m:
        m.get(PLACE, body="a", repeat=True)
        before = await bodies(OTHER)
        with patch.object(RequestMatch, "match", lambda *_: True):
            during = await bodies(OTHER)
        after = await bodies(OTHER)
    assert [before, during, after] == [["refused"], ["a"], ["refused"]]


async def test_a_pattern_of_bytes_is_what_it_was():
    """It cannot be matched, and says so as Python does."""
    with aioresponses() as m:
        m.get(re.compile(b"http://x.test"))
        with pytest.raises(TypeError, match="bytes"):
            await bodies(PLACE)


def matcher(url, body="put"):
    """Make one that answers for ever."""
    return RequestMatch(url, body=body, repeat=True)


def decide_otherwise(m):
    """Let one answer for another URL."""
    m._matches["1"].url_or_pattern = URL(OTHER)


def decide_oneself(m):
    """Let one answer everything."""
    m._matches["1"].match = lambda *_: True


def patch_and_restore(m):
    """Let one answer nothing for a while."""
    m._matches["1"].match = lambda *_: False
    m._take("GET", URL(PLACE))
    del m._matches["1"].match


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (decide_otherwise, ["refused", "a"]),
        (decide_oneself, ["a", "a"]),
        (patch_and_restore, ["a", "refused"]),
        (lambda m: m._matches.__setitem__("1", matcher(OTHER)), ["refused", "put"]),
        (lambda m: m._matches.__setitem__("2", matcher(OTHER)), ["a", "put"]),
        (lambda m: m._matches.__delitem__("1"), ["refused", "refused"]),
        (lambda m: m._matches.pop("1"), ["refused", "refused"]),
        (lambda m: m._matches.popitem(), ["refused", "refused"]),
        (lambda m: m._matches.clear(), ["refused", "refused"]),
        (lambda m: m._matches.setdefault("2", matcher(OTHER)), ["a", "put"]),
        (lambda m: m._matches.update({"1": matcher(OTHER)}), ["refused", "put"]),
        (lambda m: m._matches.update(x=matcher(OTHER)), ["a", "put"]),
        (lambda m: m._matches.__ior__({"x": matcher(OTHER)}), ["a", "put"]),
        (lambda m: setattr(m, "_matches", {"x": matcher(OTHER)}), ["refused", "put"]),
    ],
)
async def test_what_suites_do_to_the_dict(change, expected):
    """It is what is asked from then on, although the dict has been searched before."""
    with aioresponses() as m:
        m.get(PLACE, body="a", repeat=True)
        before = await bodies(PLACE, OTHER)
        change(m)
        assert [before, await bodies(PLACE, OTHER)] == [["a", "refused"], expected]


def test_what_is_used_up_leaves_nothing():
    """A mock that lives for a whole run does not keep what is long gone."""
    mock = aioresponses()
    mock.get(OTHER, repeat=True)
    for number in range(1000):
        url = f"http://x.test/{number}"
        mock.get(url)
        assert mock._take("GET", URL(url)) is not None
    assert len(mock._matches._index._exact) < 200


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("status", 201, (201, "OK", "old", "application/json", None)),
        ("reason", "Fine", (200, "Fine", "old", "application/json", None)),
        ("body", "new", (200, "OK", "new", "application/json", None)),
        ("payload", [1], (200, "OK", "[1]", "application/json", None)),
        ("content_type", "text/plain", (200, "OK", "old", "text/plain", None)),
        ("headers", CIMultiDict({"X-A": "1"}), (200, "OK", "old", "application/json", "1")),
        ("headers", {"X-A": "1"}, (200, "OK", "old", "application/json", "1")),
    ],
)
async def test_an_answer_that_is_changed(name, value, said):
    """What is registered when a request comes is what it gets."""
    with aioresponses() as m:
        m.get(PLACE, body="old", repeat=True)
        await bodies(PLACE)
        setattr(m._matches["1"], name, value)
        async with aiohttp.ClientSession() as session, session.get(PLACE) as response:
            headers = response.headers
            got = (response.status, response.reason, await response.text())
    assert said == (*got, headers["Content-Type"], headers.get("X-A"))


async def test_a_payload_and_headers_that_grow():
    """They are looked at when the request comes."""
    payload = [1]
    with aioresponses() as m:
        m.get(PLACE, payload=payload, headers={"X-A": "1"}, repeat=True)
        first = await bodies(PLACE)
        payload.append(2)
        m._matches["1"].headers["X-B"] = "2"
        async with aiohttp.ClientSession() as session, session.get(PLACE) as response:
            got = (first, await response.json(), response.headers["X-B"])
    assert got == (["[1]"], [1, 2], "2")


async def test_one_response_is_not_another():
    """Headers that HTTP could not carry may be changed in one response, and stay in the next."""
    with aioresponses() as m:
        m.get(PLACE, body="behind a 204", status=204, repeat=True)
        async with aiohttp.ClientSession() as session:
            first = await session.get(PLACE)
            first.headers["X-Own"] = "1"
            second = await session.get(PLACE)
    assert ("X-Own" in first.headers, "X-Own" in second.headers) == (True, False)


def cost(count, ask):
    """Return the seconds of CPU that look-ups take among so many, the least of some."""
    mock = aioresponses()
    for number in range(count):
        mock.get(f"http://x.test/{number}", repeat=True)
        mock.get(re.compile(rf"http://y\.test/{number}/[a-z]+$"), repeat=True)
    samples = []
    for _ in range(5):
        began = process_time()
        for number in range(0, count, count // 10):
            for _ in range(20):
                assert mock._take("GET", URL(ask.format(number))) is not None
        samples.append(process_time() - began)
    return min(samples)


@pytest.mark.parametrize("ask", ["http://x.test/{}", "http://y.test/{}/ada"])
def test_the_others_cost_nothing(ask):
    """Among 20,000 an answer is found about as fast as among 20: a scan would take 500 times."""
    assert cost(10_000, ask) < 20 * cost(10, ask)
