"""What a route matches, what it says when it does not, and what it refuses to match."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import enum
import functools
import gzip
import io
import json
import re
import uuid
from http.cookies import SimpleCookie
from types import MappingProxyType
from unittest import mock

import aiohttp
import pytest
from aiohttp import web
from dirty_equals import IsInt, IsList, IsPartialDict, IsPositive, IsStr
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict
from yarl import URL

from aiostub._matching.pattern import Pattern, nearness
from aiostub._matching.request import Request
from aiostub._matching.url import REST, canonical
from aiostub._matching.verdict import UNDECIDED, Match, Mismatch
from aiostub.exceptions import RouteError
from aiostub.matchers import ANY, partial

FORM = "application/x-www-form-urlencoded"
X = "http://x.test/"


def sent(url=X, method="GET", *, body=b"", complete=True, on_wire=True, headers=()):
    """Make a request as it stands at the network boundary."""
    return Request(
        method,
        URL(url),
        CIMultiDictProxy(CIMultiDict(headers)),
        body=body if complete else None,
        sent=on_wire,
    )


def ask(request, url=X, method=None, **conditions):
    """Ask a route about a request: path parameters, (field, detail), or UNDECIDED."""
    answer = Pattern.build(method, url, **conditions).match(request, canonical(request.url))
    if isinstance(answer, Match):
        return dict(answer.path_params)
    if isinstance(answer, Mismatch):
        return answer.field, answer.detail
    return answer


def multipart(*parts):
    """Make a request with a multipart form: (disposition, content type, content) each."""
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; %s\r\nContent-Type: %s\r\n\r\n%s\r\n" % part
        for part in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return sent(method="POST", body=body + b"--b--\r\n", headers=headers)


def urlencoded(text, content_type=FORM):
    """Make a request with an urlencoded form."""
    return sent(method="POST", body=text.encode(), headers={"Content-Type": content_type})


def with_json(value):
    """Make a request with a JSON body."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return sent(method="POST", body=body, headers={"Content-Type": "application/json"})


class Colour(str, enum.Enum):
    """An enum of texts, which hashes by its names."""

    RED = "red"


class Number(enum.IntEnum):
    """An enum of numbers."""

    TWO = 2


class Picky:
    """A matcher that can only be asked about text, and says so with NotImplemented."""

    def __eq__(self, other):
        return other == "ok" if isinstance(other, str) else NotImplemented

    def __hash__(self):
        return 0

    def __repr__(self):
        return "Picky()"


class Broken:
    """A matcher with a bug."""

    def __eq__(self, other):
        raise ZeroDivisionError

    def __hash__(self):
        return 0


# -- URLs ------------------------------------------------------------------------------

# Registered, requested, captured.
URLS_THAT_MATCH = [
    ("http://x.test/a?b=1", "http://x.test/a?b=1", {}),
    (URL("http://x.test/a?b=1"), "http://x.test/a?b=1", {}),
    ("tcp://x.test/a", "tcp://x.test/a", {}),
    ("http+custom://x.test/a", "http+custom://x.test/a", {}),
    ("http://u:p@x.test/a#f", "http://x.test/a", {}),
    ("/a", "https://any.test:8443/a", {}),
    ("/a?b=1", "http://any.test/a?b=1", {}),
    ("/", "http://any.test", {}),
    ("/b/../ü", "http://any.test/%C3%BC", {}),
    ("///a", "http://any.test///a", {}),
    (URL("/a?b=1"), "http://any.test/a?b=1", {}),
    (ANY, "http://x.test/a?b=1", {}),
    (re.compile("/users/(?P<id>[0-9]+)"), "http://x.test/users/7?a=1", {"id": "7"}),
    (re.compile(r"z=1&a=2$"), "http://x.test/?z=1&a=2", {}),
    (re.compile(r"a(?P<b>b)?"), "http://x.test/a", {}),
    (re.compile(r"%20"), "http://x.test/a b", {}),
    (re.compile(r"^http://x.test/@$"), "http://u:p@x.test/@#f", {}),
    (re.compile(r"^http://x.test/$"), "http://x.test/#f", {}),
    ("http://x.test/users/{id}", "http://x.test/users/7", {"id": "7"}),
    ("http://x.test/users/{id}.json", "http://x.test/users/7.json", {"id": "7"}),
    ("http://x.test/{a}-{b}", "http://x.test/1-2-3", {"a": "1-2", "b": "3"}),
    ("http://x.test/{a}/{b}", "http://x.test/a%2Fb/%C3%BC%20", {"a": "a/b", "b": "ü "}),
    ("http://x.test/{a}{b}", "http://x.test/%20x", {"a": " ", "b": "x"}),
    ("http://x.test/ü/{a}", "http://x.test/%C3%BC/1", {"a": "1"}),
    ("http://x.test/a/../{a}", "http://x.test/1", {"a": "1"}),
    ("http://x.test/{a}5/zz0q", "http://x.test/15/zz0q", {"a": "1"}),
    ("http://x.test/{a}?b=1", "http://x.test/7?b=1", {"a": "7"}),
    ("http://x.test/{a:path}", "http://x.test/b/c%20d/", {"a": "b/c d/"}),
    ("http://x.test/a/{b}/{c:path}", "http://x.test/a/1/2/3", {"b": "1", "c": "2/3"}),
    ("http://{tenant}.x.test/", "http://ACME.x.test/", {"tenant": "acme"}),
    ("http://api-{n}.x.test:81/{a}", "http://api-7.x.test:81/b", {"n": "7", "a": "b"}),
    ("/users/{id}", "https://any.test/users/7", {"id": "7"}),
    ("http://x.test/{{a}}", "http://x.test/%7Ba%7D", {}),
    ("http://x.test/{{{a}}}", "http://x.test/%7B7%7D", {"a": "7"}),
    ("http://x.test/{{{{", "http://x.test/{{", {}),
    ("http://x.test/a}", "http://x.test/a}", {}),
    ("http://x.test/?a={{b}}", "http://x.test/?a={b}", {}),
    (URL("http://x.test/{a}"), "http://x.test/{a}", {}),
    ("http://x.test/{größe}", "http://x.test/7", {"größe": "7"}),
]

# Registered, requested, the field that differs, how.
URLS_THAT_DO_NOT = [
    ("http://x.test/a", "http://x.test/a/", "path", "expected '/a', got '/a/' (trailing slash)"),
    ("http://x.test/a/", "http://x.test/a", "path", "expected '/a/', got '/a' (trailing slash)"),
    ("/a/{b}", "http://x.test/a/1/", "path", "expected '/a/{b}', got '/a/1/' (trailing slash)"),
    ("/a", "http://x.test/A", "path", "expected '/a', got '/A' (upper and lower case)"),
    ("/a", "http://x.test/b", "path", "expected '/a', got '/b'"),
    ("/a/b", "http://x.test/a%2Fb", "path", "expected '/a/b', got '/a%2Fb'"),
    ("http://x.test/", "https://x.test/", "scheme", "expected http, got https"),
    ("wss://x.test/", "ws://x.test/", "scheme", "expected https, got http"),
    ("http://x.test/", "http://x.test:81/", "port", "expected 80, got 81"),
    ("http://x.test/", "http://y.test/", "host", "expected 'x.test', got 'y.test'"),
    ("http://{a}.test/", "http://x.y.test/", "host", "expected '{a}.test', got 'x.y.test'"),
    ("http://{a}.test/", "http://test/", "host", "expected '{a}.test', got 'test'"),
    ("/{a}", "http://x.test/", "path", "expected '/{a}', got '/'"),
    ("/{a}.json", "http://x.test/.json", "path", "expected '/{a}.json', got '/.json'"),
    ("/{a}", "http://x.test/b/c", "path", "expected '/{a}', got '/b/c'"),
    ("/a/{b:path}", "http://x.test/a/", "path", "expected '/a/{b:path}', got '/a/'"),
    ("/{a}2", "http://x.test/%C3%BC", "path", "expected '/{a}2', got '/%C3%BC'"),
    (re.compile("^/a"), X, "url", "re.compile('^/a') is not found in 'http://x.test/'"),
    ("/a", "http://x.test/a?b=1", "params", "b: unexpected, got '1'"),
    ("/a?b=1", "http://x.test/a", "params", "b: missing, expected '1'"),
    ("/{a}", "http://x.test/a?b=1", "params", "b: unexpected, got '1'"),
]


@pytest.mark.parametrize(("registered", "requested", "captured"), URLS_THAT_MATCH)
def test_a_url_matches(registered, requested, captured):
    """Every form of URL, and what it captures."""
    assert captured == ask(sent(requested), registered)


@pytest.mark.parametrize(("registered", "requested", "field", "detail"), URLS_THAT_DO_NOT)
def test_a_url_does_not_match(registered, requested, field, detail):
    """The first thing that differs is named, and said plainly."""
    assert (field, detail) == ask(sent(requested), registered)


@pytest.mark.parametrize(
    ("base_url", "registered", "requested"),
    [
        ("http://x.test", "/a", "http://x.test/a"),
        ("http://x.test/api/", "a/b", "http://x.test/api/a/b"),
        ("http://x.test/api/", "/a", "http://x.test/a"),
        ("http://x.test/api/", "../a", "http://x.test/a"),
        ("http://x.test/api/", "", "http://x.test/api/"),
        ("http://x.test/api/", "?a=1", "http://x.test/api/?a=1"),
        ("http://x.test/api/", "{a}/b", "http://x.test/api/7/b"),
        ("http://x.test/api/", URL("a"), "http://x.test/api/a"),
        (URL("http://x.test/"), "a", "http://x.test/a"),
        ("http://x.test/", "http://y.test/a", "http://y.test/a"),
        ("http://x.test/", ANY, "http://y.test/a"),
        ("http://x.test/", re.compile("a"), "http://y.test/a"),
    ],
)
def test_a_relative_url_is_joined_to_the_base(base_url, registered, requested):
    """As aiohttp's own base_url: what is absolute stays as it is."""
    assert isinstance(ask(sent(requested), registered, base_url=base_url), dict)


def test_a_relative_url_with_a_base_is_on_that_host_only():
    """With a base, a path no longer means any host."""
    differs = ask(sent("http://y.test/a"), "/a", base_url="http://x.test")
    assert ("host", "expected 'x.test', got 'y.test'") == differs


@pytest.mark.parametrize("method", ["POST", "post"])
def test_the_method_is_compared_first(method):
    """Written in any case; said before anything about the URL."""
    assert {} == ask(sent(method="POST"), method=method)
    assert ("method", "expected POST, got GET") == ask(sent("http://y.test"), method=method)


@given(st.text("ab{}%/ü.:", min_size=1, max_size=12))
def test_doubled_braces_are_never_a_template(path):
    """Any path can be written in a str, by doubling its braces."""
    url = URL.build(scheme="http", host="x.test", path=f"/{path.lstrip('/')}")
    registered = f"http://x.test/{path.lstrip('/')}".replace("%", "%25")
    pattern = Pattern.build("GET", registered.replace("{", "{{").replace("}", "}}"))
    assert canonical(url) == pattern.exact


@given(st.text("ab{}/%é. ", min_size=1, max_size=8).filter(lambda text: text.strip("./")))
def test_what_is_captured_is_what_the_app_put_in(value):
    """A value that the app put into a segment comes back as it was."""
    segment = URL.build(path=value).raw_path.replace("/", "%2F")
    captured = ask(sent(URL(f"http://x.test/a-{segment}-b", encoded=True)), "/a-{value}-b")
    assert {"value": value} == captured


# -- looking up ------------------------------------------------------------------------

A = ("http", "x.test", 80, "/a")


@pytest.mark.parametrize(
    ("url", "conditions", "exact", "place"),
    [
        ("http://x.test/a?c=1", {}, (*A, (("c", "1"),)), None),
        ("http://x.test/a", {"params": {"b": 2, "a": 1}}, (*A, (("a", "1"), ("b", "2"))), None),
        ("http://x.test/a", {"params": {"b": Number.TWO}}, (*A, (("b", "2"),)), None),
        ("http://x.test/a", {"json": {"a": ANY}}, (*A, ()), None),
        ("http://x.test/a", {"params": ANY}, None, A),
        ("http://x.test/a", {"params": {"b": ANY}}, None, A),
        ("http://x.test/a", {"params": partial({"b": 1})}, None, A),
        ("/a", {}, None, (None, None, None, "/a")),
        ("/a", {"params": ANY}, None, (None, None, None, "/a")),
        ("/a/{b}", {}, None, None),
        ("http://{b}.test/a", {}, None, None),
        (re.compile("^http://x.test/a$"), {}, None, None),
        (ANY, {}, None, None),
    ],
)
def test_a_pattern_says_where_to_look_it_up(url, conditions, exact, place):
    """A router of ten thousand routes need not ask them all."""
    pattern = Pattern.build("GET", url, **conditions)
    assert (exact, place) == (pattern.exact, pattern.place)
    assert hash(pattern.exact) == hash(exact)


@pytest.mark.parametrize(
    ("url", "template"),
    [
        ("http://x.test/a/{b}", ("http", "x.test", 80, ("", "a", None))),
        ("http://x.test/{a}/v{b}.json/c", ("http", "x.test", 80, ("", None, None, "c"))),
        ("http://x.test/a/v{b:path}", ("http", "x.test", 80, ("", "a", REST))),
        ("http://{b}.test/a/c", ("http", None, 80, ("", "a", "c"))),
        ("/a/{b}", (None, None, None, ("", "a", None))),
        ("http://x.test/a", None),
        (re.compile("a"), None),
        (ANY, None),
    ],
)
def test_a_pattern_says_what_is_written_out_of_a_template(url, template):
    """Segment by segment, so that others need not be asked."""
    assert template == Pattern.build("GET", url).template


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://X.test/{a}?b", "http://X.test/{a}?b"),
        (URL("http://X.test/ü"), "http://x.test/%C3%BC"),
        (re.compile("a+"), "re.compile('a+')"),
        (ANY, "ANY"),
    ],
)
def test_a_url_is_shown_as_it_was_written(url, text):
    """Nobody is shown a rewritten URL."""
    assert text == Pattern.build("GET", url).url_text


def test_conditions_are_shown_as_they_were_written():
    """In short, and as they were when the route was registered."""
    number = IsInt()
    body = {"id": number}
    pattern = Pattern.build("POST", X, params=ANY, headers={"A": "1"}, json=body, where=is_fine)
    request = with_json({"id": 7})
    pattern.match(request, canonical(request.url))
    body["more"] = 1
    assert f"params=ANY, headers={{'A': '1'}}, json={{'id': IsInt}}, where={is_fine!r}" == (
        pattern.conditions_text.replace("IsInt()", "IsInt")
    )
    assert "" == Pattern.build("GET", X).conditions_text


def is_fine(request):
    """Say yes to everything."""
    return True


# -- params ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "params", "query"),
    [
        ("/", {"a": "1"}, "a=1"),
        ("/", {"a": 1, "b": 1.5, "c": Number.TWO}, "a=1&b=1.5&c=2"),
        ("/", {"a": ["1", 2], "b": ()}, "a=1&a=2"),
        ("/", [("a", "1"), ("a", 2)], "a=1&a=2"),
        ("/", "a=1&b=x y", "b=x+y&a=1"),
        ("/", MultiDict([("a", "1"), ("a", "2")]), "a=1&a=2"),
        ("/", MappingProxyType({"a": "ü&="}), "a=%C3%BC%26%3D"),
        ("/?a=1", {"b": 2}, "a=1&b=2"),
        ("/?a=1", {"a": 2}, "a=1&a=2"),
        ("/?a=1", None, "a=1"),
        ("/", None, ""),
        ("/", {}, ""),
        ("/", ANY, "z=1&z=2"),
        ("/?a=1", ANY, ""),
        ("/", {"a": ANY}, "a=1"),
        ("/", {"a": ANY}, "a=1&a=2"),
        ("/", {"a": re.compile("[0-9]+")}, "a=12"),
        ("/", {"a": IsStr(regex="[0-9]+")}, "a=12"),
        ("/", {"a": IsStr}, "a=12"),
        ("/", {"a": [IsStr, "2"]}, "a=1&a=2"),
        ("/", [("a", ANY), ("a", "2")], "a=1&a=2"),
        ("/", {"a": Picky()}, "a=ok"),
        ("/", partial({"a": 1}), "a=1&b=2"),
        ("/", partial({"a": 1}), "a=2&a=1"),
        ("/", partial({"a": [1, 2]}), "b=0&a=1&a=2"),
        ("/", partial({"a": []}), "b=0"),
        ("/", partial({"a": ANY, "b": re.compile("x.")}), "a=&b=xy&c=1"),
        ("/?a=1", partial({"b": 1}), "a=1&b=1&c=1"),
        ("/", partial({}), "a=1"),
        (ANY, None, "a=1"),
        (ANY, {"a": 1}, "a=1"),
        (re.compile("x.test"), None, "a=1"),
        (re.compile("x.test"), {}, ""),
        (re.compile("x.test"), partial({"a": 1}), "a=1&b=2"),
    ],
)
def test_a_query_matches(url, params, query):
    """As aiohttp takes params, with the query of the URL the whole query."""
    assert {} == ask(sent(f"http://x.test/?{query}"), url, params=params)


@pytest.mark.parametrize(
    ("url", "params", "query", "detail"),
    [
        ("/", {"page": 2}, "page=1", "page: expected '2', got '1'"),
        ("/", {"page": 2}, "", "page: missing, expected '2'"),
        ("/", {"page": 2}, "page=2&z=1", "z: unexpected, got '1'"),
        ("/", {}, "z=1&z=2", "z: unexpected, got ['1', '2']"),
        (
            "/",
            {"a": 1, "b": 2},
            "a=2&c=3",
            "a: expected '1', got '2'; b: missing, expected '2'; c: unexpected, got '3'",
        ),
        ("/", {"k": [1, 2]}, "k=2&k=1", "k: expected ['1', '2'], got ['2', '1']"),
        ("/", {"k": [1, 2]}, "k=1", "k: expected ['1', '2'], got '1'"),
        ("/", {"k": 1}, "k=1&k=1", "k: expected '1', got ['1', '1']"),
        ("/", {"k": []}, "k=1", "k: unexpected, got '1'"),
        ("/", {"k": ANY}, "", "k: missing, expected ANY"),
        ("/", {"k": re.compile("[0-9]")}, "k=12", "k: expected re.compile('[0-9]'), got '12'"),
        ("/", {"k": IsPositive()}, "k=1", "k: expected IsPositive(), got '1'"),
        ("/?a=1", {"b": 2}, "b=2", "a: missing, expected '1'"),
        ("/", partial({"k": 1}), "k=2&k=3", "k: expected '1', got ['2', '3']"),
        ("/", partial({"k": [1]}), "k=1&k=2", "k: expected ['1'], got ['1', '2']"),
        ("/", partial({"k": []}), "k=1", "k: expected [], got '1'"),
        (ANY, {"k": 1}, "", "k: missing, expected '1'"),
        (re.compile("x"), {}, "k=1", "k: unexpected, got '1'"),
    ],
)
def test_a_query_does_not_match(url, params, query, detail):
    """Each key that differs is named."""
    assert ("params", detail) == ask(sent(f"http://x.test/?{query}"), url, params=params)


@pytest.mark.parametrize("value", [decimal.Decimal("1.5"), uuid.UUID(int=7), Colour.RED])
def test_params_take_what_the_installed_yarl_takes(value):
    """A route refuses what the call would refuse, and nothing else."""
    try:
        url = URL(X).with_query({"a": value})
    except TypeError:
        with pytest.raises(RouteError, match=r"^params: Invalid variable type"):
            ask(sent(), params={"a": value})
    else:
        assert {} == ask(sent(url), params={"a": value})


# -- headers and cookies ---------------------------------------------------------------

HEADERS = [("Accept", "a"), ("X-Id", "7"), ("accept", "b")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-id": "7"},
        {"X-ID": re.compile("[0-9]")},
        {"X-Id": ANY, "Accept": ANY},
        {"X-Id": IsStr(max_length=1)},
        {"Accept": "a"},
        {"Accept": "b"},
        {"Accept": ["a", "b"]},
        {"Accept": ("a", re.compile("."))},
        {"Nothing": []},
        MultiDict([("Accept", "a"), ("Accept", "b")]),
    ],
)
def test_headers_match(headers):
    """Names in any case; one value is one of those sent, a list is all in order."""
    assert {} == ask(sent(headers=HEADERS), headers=headers)


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"X-Id": "8"}, "X-Id: expected '8', got '7'"),
        ({"X-No": "8"}, "X-No: missing, expected '8'"),
        ({"X-Id": re.compile("")}, "X-Id: expected re.compile(''), got '7'"),
        ({"Accept": "c"}, "Accept: expected 'c', got ['a', 'b']"),
        ({"Accept": ["b", "a"]}, "Accept: expected ['b', 'a'], got ['a', 'b']"),
        ({"Accept": ["a"]}, "Accept: expected ['a'], got ['a', 'b']"),
        ({"X-Id": []}, "X-Id: expected [], got '7'"),
    ],
)
def test_headers_do_not_match(headers, detail):
    """The header is named as the user wrote it."""
    assert ("headers", detail) == ask(sent(headers=HEADERS), headers=headers)


@pytest.mark.parametrize(
    "cookies",
    [{}, {"a": "1"}, {"a": "1", "b": ANY}, {"b": re.compile("x.y")}, SimpleCookie("a=1")],
)
def test_cookies_match(cookies):
    """Other cookies don't matter."""
    assert {} == ask(sent(headers={"Cookie": 'a=1; b="x y"; c=3'}), cookies=cookies)


@pytest.mark.parametrize(
    ("cookies", "detail"),
    [
        ({"a": "2"}, "a: expected '2', got '***'"),
        ({"A": "1"}, "A: missing, expected '1'"),
        ({"a": "1", "z": "1"}, "z: missing, expected '1'"),
    ],
)
def test_cookies_do_not_match(cookies, detail):
    """All that are named have to be there, in the case in which they are named."""
    assert ("cookies", detail) == ask(sent(headers={"Cookie": "a=1; c=3"}), cookies=cookies)


# -- JSON ------------------------------------------------------------------------------

ADA = {"user": {"name": "Ada", "tags": ["a", "b"], "age": 36}, "ok": True, "none": None}


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (ADA, ADA),
        (None, None),
        (0, 0),
        (1, 1.0),
        (1.0, 1),
        (True, True),
        ("", ""),
        ([], []),
        ({}, {}),
        ((1, 2), [1, 2]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (
            {1: "a", None: "b", False: "c", 1.5: "d"},
            {"1": "a", "null": "b", "false": "c", "1.5": "d"},
        ),
        ({Colour.RED: Colour.RED}, {"red": "red"}),
        (ANY, None),
        ({"a": [{"b": ANY}]}, {"a": [{"b": {"c": 1}}]}),
        ({"a": mock.ANY}, {"a": 1}),
        ({"a": re.compile("[0-9]+")}, {"a": "12"}),
        ({"a": IsInt(gt=1)}, {"a": 2}),
        ({"a": IsPositive}, {"a": 2}),
        ({"a": IsList(1, 2, check_order=False)}, {"a": [2, 1]}),
        (IsPartialDict(a=1), {"a": 1, "b": 2}),
        ([Picky()], ["ok"]),
        (partial({}), {"a": 1}),
        (partial({"a": 1}), {"a": 1, "b": 2}),
        (partial({"user": {"name": "Ada"}}), ADA),
        (partial({"user": {"tags": ["a", ANY]}}), ADA),
        (partial({"items": [{"id": 1}, {"id": 2}]}), {"items": [{"id": 1, "x": 0}, {"id": 2}]}),
        ({"a": partial({"b": 1})}, {"a": {"b": 1, "c": 2}}),
        ([partial({"b": 1})], [{"b": 1, "c": 2}]),
    ],
)
def test_json_matches(expected, actual):
    """Equal as Python has it, but for true and one."""
    assert {} == ask(with_json(actual), json=expected)


@pytest.mark.parametrize(
    ("expected", "actual", "detail"),
    [
        (
            {"user": {"name": "Ada"}},
            {"user": {"name": "ada"}},
            "user.name: expected 'Ada', got 'ada'",
        ),
        ({"a": 1}, {}, "a: missing, expected 1"),
        ({}, {"a": 1}, "a: unexpected, got 1"),
        ({"a": 1}, {"b": 1}, "a: missing, expected 1"),
        (
            {"items": [{"id": 1}, {"id": 2}]},
            {"items": [{"id": 1}, {"id": 3}]},
            "items[1].id: expected 2, got 3",
        ),
        ([1, 2], [1], "expected 2 items, got 1"),
        ({"a": [1]}, {"a": [1, 2]}, "a: expected 1 item, got 2"),
        ({"a b": {"": 1}}, {"a b": {"": 2}}, "['a b']['']: expected 1, got 2"),
        (1, 2, "expected 1, got 2"),
        (None, False, "expected None, got False"),
        (1, True, "expected 1, got True"),
        (True, 1, "expected True, got 1"),
        (False, 0, "expected False, got 0"),
        (0.0, False, "expected 0.0, got False"),
        ("1", 1, "expected '1', got 1"),
        ({"a": 1}, [1], "expected {'a': 1}, got [1]"),
        ([1], {"a": 1}, "expected [1], got {'a': 1}"),
        ({"a": re.compile("[0-9]")}, {"a": 1}, "a: expected re.compile('[0-9]'), got 1"),
        ({"a": re.compile("[0-9]")}, {"a": "12"}, "a: expected re.compile('[0-9]'), got '12'"),
        ({"a": IsInt(gt=3)}, {"a": 2}, "a: expected IsInt(gt=3), got 2"),
        ([Picky()], [1], "[0]: expected Picky(), got 1"),
        (partial({"a": 1}), {"b": 2}, "a: missing, expected 1"),
        (partial({"a": [{"b": 1}]}), {"a": [{"c": 1}]}, "a[0].b: missing, expected 1"),
        (partial({"a": [1]}), {"a": [1, 2]}, "a: expected 1 item, got 2"),
        (partial({"a": 1}), [1], "expected {'a': 1}, got [1]"),
        (
            {"a": partial({"b": 1}), "c": 1},
            {"a": {"b": 1, "x": 1}, "c": 1, "d": 1},
            "d: unexpected, got 1",
        ),
        ({"a": 1}, b"", "the body is no JSON: it is empty"),
        ({"a": 1}, b"a=1", "the body is no JSON: b'a=1'"),
        (ANY, b"\xff\x00", "the body is no JSON: <2 bytes: ff 00>"),
    ],
)
def test_json_does_not_match(expected, actual, detail):
    """The path to the first difference, and what is there."""
    assert ("json", detail) == ask(with_json(actual), json=expected)


def test_a_change_after_registration_changes_nothing():
    """A route keeps what it was told, at any depth."""
    body = {"a": [1]}
    pattern = Pattern.build("POST", X, json=partial(body))
    body["a"].append(2)
    body["b"] = 1
    request = with_json({"a": [1]})
    assert isinstance(pattern.match(request, canonical(request.url)), Match)


def test_json_is_read_after_its_content_coding():
    """Compressed on the wire, plain to the route."""
    request = sent(body=gzip.compress(b'{"a": 1}'), headers={"Content-Encoding": "gzip"})
    assert {} == ask(request, json={"a": 1})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values, json_values)
def test_json_matches_where_its_text_is_the_same(expected, actual):
    """Without floats and matchers, equal is what is written the same."""
    same = json.dumps(expected, sort_keys=True) == json.dumps(actual, sort_keys=True)
    assert same == (ask(with_json(actual), json=expected) == {})
    assert {} == ask(with_json(actual), json=actual)


@given(
    st.dictionaries(st.text(max_size=2), json_values),
    st.dictionaries(st.text(max_size=2), json_values),
)
def test_a_document_with_more_in_it_matches_partially(some, more):
    """Whatever is added to an object, a part of it stays a part."""
    assert {} == ask(with_json({**more, **some}), json=partial(some))


# -- data ------------------------------------------------------------------------------

FILE = multipart(
    (b'name="a"', b"text/plain", b"1"),
    (b'name="f"; filename="f.bin"', b"application/octet-stream", b"\x00\xff"),
    (b'name="a"', b"text/plain; charset=latin-1", b"\xfc"),
    (b'name="j"', b"application/json", b"{}"),
    (b'name="b"', b"application/octet-stream", b"\xff"),
    (b'name="t"; filename="t.txt"', b"text/plain", b"abc"),
)
FILE_FIELDS = {
    "a": ["1", "ü"],
    "f": ("f.bin", b"\x00\xff"),
    "j": "{}",
    "b": b"\xff",
    "t": ("t.txt", b"abc"),
}


@pytest.mark.parametrize(
    ("data", "request_"),
    [
        (b"abc", sent(body=b"abc")),
        (bytearray(b"abc"), sent(body=b"abc")),
        (memoryview(b"abc"), sent(body=b"abc")),
        (b"", sent()),
        ("ü", sent(body="ü".encode())),
        ("ü", sent(body=b"\xfc", headers={"Content-Type": "text/plain; charset=latin-1"})),
        (re.compile("b+"), sent(body=b"abbc")),
        (re.compile("ü"), sent(body="aüb".encode())),
        (ANY, sent(body=b"abc")),
        (IsStr(regex="a.c"), sent(body=b"abc")),
        (mock.ANY, sent()),
        (b"abc", sent(body=gzip.compress(b"abc"), headers={"Content-Encoding": "gzip"})),
        ({"a": "1", "b": "x y"}, urlencoded("a=1&b=x+y")),
        ({"a": "1"}, urlencoded("a=1", f"{FORM.title()}; charset=utf-8")),
        ({"a": 1, "b": 1.5, "c": True, "d": None}, urlencoded("a=1&b=1.5&c=True&d=None")),
        ({"a": dt.date(2024, 1, 2)}, urlencoded("a=2024-01-02")),
        ({"a": ["1", 2]}, urlencoded("a=1&a=2")),
        ({"a": ("1", "2")}, urlencoded("a=1&a=2")),
        ({"a": b"1"}, urlencoded("a=1")),
        ([("a", "1"), ("b", "2"), ("a", "3")], urlencoded("b=2&a=1&a=3")),
        (MultiDict([("a", "1"), ("a", "3")]), urlencoded("a=1&a=3")),
        ({"a": ANY, "b": re.compile("[0-9]"), "c": IsStr}, urlencoded("a=1&b=2&c=3")),
        ({}, urlencoded("")),
        ({}, sent()),
        (partial({"a": 1}), urlencoded("a=1&b=2")),
        (partial({"a": 1}), urlencoded("a=0&a=1")),
        (partial({}), urlencoded("a=0&a=1")),
        (FILE_FIELDS, FILE),
        (
            [("a", "1"), ("f", b"\x00\xff"), ("a", "ü"), ("j", b"{}"), ("b", ANY), ("t", b"abc")],
            FILE,
        ),
        (partial({"f": (ANY, b"\x00\xff")}), FILE),
        (partial({"f": bytearray(b"\x00\xff")}), FILE),
        (partial({"f": ("f.bin", bytearray(b"\x00\xff"))}), FILE),
        (partial({"f": (re.compile(r".*\.bin"), ANY)}), FILE),
        (partial({"t": ("t.txt", re.compile("a.c"))}), FILE),
        (partial({"t": re.compile("a.c")}), FILE),
        (partial({"f": ANY}), FILE),
        (partial({"a": "1"}), FILE),
    ],
)
def test_data_matches(data, request_):
    """The raw body, or its fields, in whichever way they were sent."""
    assert {} == ask(request_, data=data)


@pytest.mark.parametrize(
    ("data", "request_", "detail"),
    [
        (b"abc", sent(body=b"abd"), "expected b'abc', got b'abd'"),
        (b"abc", sent(), "expected b'abc', got b''"),
        (
            b"\x00",
            sent(body=b"\xff" * 20),
            "expected <1 bytes: 00>, got <20 bytes: " + "ff " * 15 + "ff…>",
        ),
        ("abc", sent(body=b"ABC"), "expected 'abc', got 'ABC'"),
        (re.compile("^b"), sent(body=b"abc"), "re.compile('^b') is not found in 'abc'"),
        (IsInt(), sent(body=b"abc"), "expected IsInt(), got b'abc'"),
        ({"a": "1"}, urlencoded("a=2"), "a: expected '1', got '2'"),
        ({"a": "1"}, urlencoded("a=1&b=2"), "b: unexpected, got '2'"),
        ({"a": "1"}, urlencoded(""), "a: missing, expected '1'"),
        ({"a": ["1", "2"]}, urlencoded("a=2&a=1"), "a: expected ['1', '2'], got ['2', '1']"),
        (
            {"a": "1"},
            with_json({"a": "1"}),
            'the body is no form (application/json): b\'{"a": "1"}\'',
        ),
        ({"a": "1"}, sent(), "the body is no form (no content type): it is empty"),
        ({}, sent(body=b"a"), "the body is no form (no content type): b'a'"),
        (partial({"a": "1"}), urlencoded("b=1"), "a: missing, expected '1'"),
        (partial({"f": "\x00"}), FILE, "f: expected '\\x00', got ('f.bin', b'\\x00\\xff')"),
        (partial({"t": "abc"}), FILE, "t: expected 'abc', got ('t.txt', b'abc')"),
        (partial({"a": ("f", b"1")}), FILE, "a: expected ('f', b'1'), got ['1', 'ü']"),
        (partial({"j": ("f", b"1")}), FILE, "j: expected ('f', b'1'), got b'{}'"),
        (
            partial({"f": re.compile(".*")}),
            FILE,
            "f: expected re.compile('.*'), got ('f.bin', b'\\x00\\xff')",
        ),
        (partial({"b": "x"}), FILE, "b: expected 'x', got <1 bytes: ff>"),
        (
            partial({"f": ("g.bin", ANY)}),
            FILE,
            "f: expected ('g.bin', ANY), got ('f.bin', b'\\x00\\xff')",
        ),
    ],
)
def test_data_does_not_match(data, request_, detail):
    """Binary is shown as such, fields by name."""
    assert ("data", detail) == ask(request_, data=data)


def test_a_matcher_of_files_sees_the_bytes_or_the_pair():
    """An object with an == of its own may know either form of a file."""

    class Named:
        def __eq__(self, other):
            return isinstance(other, tuple) and other[0] == "f.bin"

        __hash__ = None

    assert {} == ask(FILE, data=partial({"f": Named()}))
    assert "data" == ask(FILE, data=partial({"t": Named()}))[0]


# -- where -----------------------------------------------------------------------------


def test_where_sees_the_request_with_its_path_parameters():
    """What the URL captured is there before anything else is asked."""
    seen = []
    request = sent("http://x.test/users/7", body=b"b")
    assert {"id": "7"} == ask(request, "/users/{id}", where=lambda r: seen.append(r) or True)
    assert [("/users/7", {"id": "7"}, b"b")] == [(r.url.path, r.path_params, r.body) for r in seen]
    assert {} == dict(request.path_params)


def test_where_says_no():
    """Any false value is a no; the predicate is named."""
    assert ("where", "is_not says no") == ask(sent(), where=is_not)
    nameless = functools.partial(is_not)
    assert ("where", f"{nameless!r} says no") == ask(sent(), where=nameless)


def is_not(request):
    """Say no to everything."""
    return 0


async def test_where_that_gives_an_awaitable_is_refused():
    """A coroutine is true: it must not pass for a yes."""

    def later(request):
        return coroutine(request)

    with pytest.raises(RouteError, match=r"^where: .*\.later must be sync, it gave an awaitable$"):
        ask(sent(), where=later)
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(RouteError, match="must be sync"):
        ask(sent(), where=lambda request: future)


# -- what comes first, what cannot be told yet -------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"method": "PUT", "url": "/b", "params": {"a": 1}}, "method"),
        ({"url": "/b", "params": {"a": 1}, "headers": {"A": "1"}}, "path"),
        ({"params": {"a": 1}, "headers": {"A": "1"}, "cookies": {"a": "1"}}, "params"),
        ({"headers": {"A": "1"}, "cookies": {"a": "1"}, "json": 1}, "headers"),
        ({"cookies": {"a": "1"}, "json": 1, "where": is_not}, "cookies"),
        ({"json": 1, "where": is_not}, "json"),
        ({"data": b"1", "where": is_not}, "data"),
    ],
)
def test_conditions_are_asked_in_order(conditions, field):
    """The first that differs is the one that is told."""
    assert field == ask(sent(), **conditions)[0]


@pytest.mark.parametrize(
    ("state", "conditions", "expected"),
    [
        ({"on_wire": False}, {"headers": {"A": "1"}}, UNDECIDED),
        ({"on_wire": False}, {"headers": {"A": []}}, UNDECIDED),
        ({"on_wire": False}, {"cookies": {"a": "1"}}, UNDECIDED),
        ({"on_wire": False, "headers": {"a": "1"}}, {"headers": {"A": "1"}}, {}),
        ({"on_wire": False, "headers": {"a": "1"}}, {"headers": {"A": "1", "B": "1"}}, UNDECIDED),
        ({"on_wire": False, "headers": {"b": "2"}}, {"headers": {"A": "1", "B": "1"}}, "headers"),
        ({"on_wire": False, "headers": {"Cookie": "a=1"}}, {"cookies": {"a": "1"}}, {}),
        ({"on_wire": False, "headers": {"Cookie": "a=1"}}, {"cookies": {"b": "1"}}, "cookies"),
        (
            {"on_wire": False, "headers": {"Cookie": "a=1"}},
            {"headers": {"A": "1"}, "cookies": {"b": "1"}},
            "cookies",
        ),
        ({"complete": False}, {"json": 1}, UNDECIDED),
        ({"complete": False}, {"data": b""}, UNDECIDED),
        ({"complete": False}, {"data": {"a": 1}}, UNDECIDED),
        ({"complete": False}, {"data": ANY}, UNDECIDED),
        ({"complete": False}, {"where": is_not}, UNDECIDED),
        ({"on_wire": False}, {"where": is_not}, UNDECIDED),
        ({"on_wire": False}, {"json": 1}, "json"),
        ({"on_wire": False}, {"headers": {"A": "1"}, "json": 1}, "json"),
        ({"complete": False}, {"json": 1, "headers": {"A": "1"}}, "headers"),
        ({"complete": False}, {"json": 1, "params": {"a": 1}}, "params"),
        ({"complete": False, "on_wire": False}, {}, {}),
    ],
)
def test_what_has_not_arrived_is_not_decided(state, conditions, expected):
    """A difference that is certain is told at once; a match waits for everything."""
    answer = ask(sent(**state), **conditions)
    assert expected == (answer[0] if isinstance(answer, tuple) else answer)


# -- a matcher that raises ---------------------------------------------------------------


@pytest.mark.parametrize(
    "conditions",
    [
        {"params": {"a": Broken()}},
        {"params": partial({"a": Broken()})},
        {"headers": {"A": Broken()}},
        {"cookies": {"a": Broken()}},
        {"json": {"a": [Broken()]}},
        {"data": Broken()},
        {"where": lambda request: 1 / 0},
    ],
)
def test_what_a_matcher_raises_goes_through(conditions):
    """A bug in a test never means "no match"."""
    body = b'{"a": [1]}'
    request = sent(f"{X}?a=1", body=body, headers={"A": "1", "Cookie": "a=1"})
    with pytest.raises(ZeroDivisionError):
        ask(request, **{"params": ANY, **conditions})


@pytest.mark.parametrize("field", ["a", "f"])
def test_what_a_matcher_of_fields_raises_goes_through(field):
    """In a form, too."""
    with pytest.raises(ZeroDivisionError):
        ask(FILE, data=partial({field: Broken()}))


# -- long texts --------------------------------------------------------------------------


def test_long_texts_are_shown_where_they_part():
    """A difference in the middle of a page can be seen."""
    long = "x" * 500
    detail = ask(with_json({"a": f"{long}left{long}"}), json={"a": f"{long}right{long}"})[1]
    assert detail == (
        f"a: expected …'{'x' * 20}right{'x' * 53}…, got …'{'x' * 20}left{'x' * 54}… "
        "(they part at character 500)"
    )


def test_long_bodies_are_shown_where_they_part():
    """Binary is shown as such there, too."""
    detail = ask(sent(body=b"\xff" * 99 + b"\x01"), data=b"\xff" * 99 + b"\x02")[1]
    ffs = " ".join(["ff"] * 16)
    assert detail == (
        f"expected …<21 bytes: {ffs}…>, got …<21 bytes: {ffs}…> (they part at byte 99)"
    )


def test_long_values_are_cut():
    """One line stays one line."""
    detail = ask(with_json({"a": list(range(1000))}), json={"a": "\n" * 200})[1]
    assert len(detail) < 200
    assert "\n" not in detail
    query = "&".join(f"k={n}" for n in range(100))
    assert len(ask(sent(f"{X}?{query}"))[1]) < 200


# -- nearness ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "routes"),
    [
        # The nearest first.
        (
            sent("http://x.test/users?page=1", "POST"),
            [
                {"method": "POST", "url": "http://x.test/users?page=1", "where": is_not},
                {"method": "POST", "url": "http://x.test/users?page=1", "json": 1},
                {"method": "POST", "url": "http://x.test/users?page=1", "cookies": {"a": "1"}},
                {"method": "POST", "url": "http://x.test/users?page=1", "headers": {"a": "1"}},
                {"method": "POST", "url": "http://x.test/users?page=2"},
                {"method": "POST", "url": "http://x.test/users?page=2&size=1"},
                {"method": "POST", "url": "http://x.test/users/"},
                {"method": "GET", "url": "http://x.test/users?page=1"},
                {"method": "POST", "url": "http://other.host/things/7"},
                {"method": "GET", "url": "http://other.host/things/7"},
            ],
        ),
        (
            with_json({"a": 1, "b": 2, "c": 3}),
            [
                {"json": {"a": 1, "b": 2, "c": 4}},
                {"json": {"a": 1, "b": 3, "c": 4}},
                {"json": {"a": 2, "b": 3, "c": 4}},
            ],
        ),
        (
            sent("http://x.test/users/7"),
            [
                {"url": "/users/{id}/"},
                {"url": "/users/{id}/posts"},
                {"url": re.compile("/posts/")},
                {"url": "/zzz"},
            ],
        ),
        (
            sent("http://x.test/users/7"),
            [
                {"url": "https://x.test/users/7"},
                {"url": "https://{tenant}.test/users/8"},
                {"url": "https://y.test/9"},
            ],
        ),
        (sent("http://x.test/"), [{"method": "PUT", "url": ANY}, {"method": "PUT", "url": "/zz"}]),
    ],
)
def test_the_nearest_route_has_the_largest_nearness(request_, routes):
    """The more of it matches, the more likely it is the route that was meant."""
    place = canonical(request_.url)
    ranks = []
    for route in routes:
        pattern = Pattern.build(**{"method": None, "url": X, **route})
        mismatch = pattern.match(request_, place)
        assert isinstance(mismatch, Mismatch)
        ranks.append(nearness(pattern, request_, place, mismatch))
    assert sorted(set(ranks), reverse=True) == ranks


def test_a_predicate_is_not_asked_for_its_rank():
    """Making an error text must not run the test's code again."""
    predicate = mock.Mock(return_value=False)
    pattern = Pattern.build(None, X, where=predicate)
    request = sent()
    mismatch = pattern.match(request, canonical(request.url))
    assert nearness(pattern, request, canonical(request.url), mismatch) > 5
    predicate.assert_called_once_with(request)


# -- what cannot be matched ----------------------------------------------------------------


async def coroutine(request):
    """Be no predicate."""


async def generator(request):
    """Be no predicate either."""
    yield


class AsyncCallable:
    """Be a predicate that is none."""

    async def __call__(self, request):
        """Never called."""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"method": 1}, "method: expected the name of a method, got 1"),
        ({"method": ""}, "method: expected the name of a method, got ''"),
        ({"method": "GET /"}, "method: expected the name of a method, got 'GET /'"),
        ({"url": None}, "url: expected a str, a yarl.URL, a re.Pattern or ANY, got None"),
        ({"url": re.compile(b"a")}, "url: a pattern of str is needed, got re.compile(b'a')"),
        (
            {"url": "api.test/a"},
            "url: 'api.test/a' has no scheme; write 'https://...', or begin it",
        ),
        (
            {"url": ""},
            "url: '' has no scheme; write 'https://...', or begin it",
        ),
        (
            {"url": URL("a")},
            "url: 'a' has no scheme; write 'https://...', or begin it",
        ),
        (
            {"url": "localhost:8080/a"},
            "url: 'localhost:8080/a' needs both a scheme and a host, as",
        ),
        (
            {"url": "//x.test/a"},
            "url: '//x.test/a' needs both a scheme and a host, as in 'https://api.example.com/x'",
        ),
        (
            {"url": "//x.test/a", "base_url": X},
            "url: '//x.test/a' needs both a scheme and a host, as in 'https://api.example.com/x'",
        ),
        ({"url": "http://x.test:no/"}, "url: 'http://x.test:no/' is no URL: "),
        ({"url": "/a", "base_url": "x.test"}, "base_url: needs a scheme and a host, got 'x.test'"),
        (
            {"url": "/a", "base_url": "http://x.test/a"},
            "base_url: must end in '/', as aiohttp's own, got 'http://x.test/a'",
        ),
        ({"url": "/a", "base_url": 1}, "base_url: '1' is no URL: "),
        (
            {"url": "/{}"},
            "url: the name of a placeholder is a Python name, got {} in '/{}'; ",
        ),
        ({"url": "/{a-b}"}, "url: the name of a placeholder is a Python name, got {a-b} in "),
        ({"url": "/{:path}"}, "url: the name of a placeholder is a Python name, got {:path} in "),
        (
            {"url": "/{a:int}"},
            (
                "url: a placeholder is {a} or {a:path}, got {a:int} in '/{a:int}'; "
                "for more there is re.compile()"
            ),
        ),
        ({"url": "/{a:}"}, "url: a placeholder is {a} or {a:path}, got {a:} in '/{a:}'; "),
        ({"url": "/{a}/{a}"}, "url: the placeholder {a} stands twice in '/{a}/{a}'"),
        ({"url": "http://{a}.test/{a}"}, "url: the placeholder {a} stands twice in "),
        ({"url": "/{a"}, "url: a brace is not closed in '/{a'; write '{{' for a brace"),
        (
            {"url": "/{a:path}/b"},
            (
                "url: {a:path} takes the rest of the path, so nothing may follow it in "
                "'/{a:path}/b'; for more there is re.compile()"
            ),
        ),
        (
            {"url": "http://{a:path}.test/"},
            "url: {a:path} takes the rest of the path, so nothing may follow it in ",
        ),
        (
            {"url": "/?a={b}"},
            "url: {b} stands neither in the path nor in an ASCII label of the",
        ),
        ({"url": "/{a}/../b"}, "url: {a} stands neither in the path nor in an ASCII label of "),
        ({"url": "{a}://x.test/"}, "url: {a} stands neither in the path nor in an ASCII label of "),
        ({"url": "http://ü{a}.test/"}, "url: {a} stands neither in the path nor in an ASCII label"),
        ({"url": "http://x.test/#{a}"}, "url: {a} stands neither in the path nor in an ASCII "),
        ({"params": 1}, "params: expected a mapping, pairs, a str, partial({...}) or ANY, got 1"),
        ({"params": {"a"}}, "params: expected a mapping, pairs, a str, partial({...}) or ANY, "),
        ({"params": b"a=1"}, "params: expected a mapping, pairs, a str, partial({...}) or ANY, "),
        ({"params": {"a": True}}, "params: "),
        ({"params": {"a": None}}, "params: "),
        ({"params": {"a": b"1"}}, "params: "),
        ({"params": {"a": float("nan")}}, "params: "),
        ({"params": {"a": object()}}, "params: "),
        ({"params": {"a": dt.date(2024, 1, 2)}}, "params: "),
        ({"params": {"a": [["1"]]}}, "params: "),
        ({"params": {"a": {"b": 1}}}, "params: "),
        ({"params": {"a": re.compile(b"1")}}, "params: "),
        ({"params": [("a", ["1"])]}, "params: "),
        ({"params": ["a"]}, "params: expected pairs (name, value), got 'a'"),
        ({"params": {1: "a"}}, "params: names are str, got 1"),
        ({"params": partial({"a": None})}, "params: "),
        ({"headers": "A: 1"}, "headers: expected a mapping, got 'A: 1'"),
        ({"headers": [("A", "1")]}, "headers: expected a mapping, got [('A', '1')]"),
        ({"headers": {"A": 1}}, "headers: A: expected a str, a matcher or a list of those, got 1"),
        (
            {"headers": {"A": ["1", None]}},
            "headers: A: expected a str, a matcher or a list of those, got None",
        ),
        (
            {"headers": {"A": b"1"}},
            "headers: A: expected a str, a matcher or a list of those, got b'1'",
        ),
        (
            {"headers": {"A": uuid.UUID(int=0)}},
            "headers: A: expected a str, a matcher or a list of those, got UUID(",
        ),
        ({"headers": {1: "1"}}, "headers: names are str, got 1"),
        ({"cookies": "a=1"}, "cookies: expected a mapping, got 'a=1'"),
        ({"cookies": {"a": 1}}, "cookies: a: expected a str or a matcher, got 1"),
        ({"cookies": {1: "1"}}, "cookies: names are str, got 1"),
        ({"json": {(1, 2): 1}}, "json: keys must be str, int, float, bool or None, not tuple"),
        ({"json": 1, "data": b"1"}, "json, data: a body is one or the other; both are given"),
        ({"json": None, "data": b"1"}, "json, data: a body is one or the other; both are given"),
        (
            {"data": 1},
            "data: expected bytes, a str, a mapping, pairs, ",
        ),
        ({"data": io.BytesIO()}, "data: expected bytes, a str, a mapping, pairs, "),
        ({"data": aiohttp.FormData()}, "data: expected bytes, a str, a mapping, pairs, "),
        ({"data": re.compile(b"a")}, "data: expected bytes, a str, a mapping, pairs, "),
        ({"data": ["a"]}, "data: expected pairs (name, value), got 'a'"),
        ({"data": [("a", "b", "c")]}, "data: expected pairs (name, value), got ('a', 'b', 'c')"),
        ({"data": {1: "a"}}, "data: names are str, got 1"),
        ({"data": {"a": io.BytesIO()}}, "data: a: expected a str, bytes or a matcher, got <_io."),
        ({"data": {"a": {"b": 1}}}, "data: a: expected a str, bytes or a matcher, got {'b': 1}"),
        ({"data": {"a": ("f", io.BytesIO())}}, "data: a: expected the bytes of a file, got <_io."),
        ({"data": {"a": (1, b"1")}}, "data: a: expected the name of a file, got 1"),
        ({"where": 1}, "where: expected a callable, got 1"),
        ({"where": coroutine}, "where: coroutine must be sync"),
        (
            {"where": functools.partial(coroutine)},
            "where: functools.partial(<function coroutine at",
        ),
        ({"where": generator}, "where: generator must be sync"),
        ({"where": AsyncCallable()}, "where: <"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments, text):
    """At the line that registers the route."""
    with pytest.raises(RouteError) as caught:
        Pattern.build(**{"method": "GET", "url": X, **arguments})
    assert str(caught.value)[: len(text)] == text


def test_partial_takes_a_mapping():
    """Nothing else has a part with a name."""
    with pytest.raises(RouteError, match=r"^partial: expected a mapping, got \[1\]$"):
        partial([1])
    assert "partial({'a': 1})" == repr(partial({"a": 1}))


def test_answers_show_what_they_are():
    """In a failing test of the library itself."""
    assert "UNDECIDED" == repr(UNDECIDED)
    assert "Mismatch('method', 'expected PUT, got GET')" == repr(
        Pattern.build("PUT", X).match(sent(), canonical(URL(X)))
    )


# -- the same arguments as the call ----------------------------------------------------------


@pytest.fixture
async def through_aiohttp():
    """Give what a real client sends to a real server for a call."""
    arrived = []

    async def keep(request):
        url = URL(f"http://x.test{request.raw_path}", encoded=True)
        body = await request.read()
        arrived.append(Request(request.method, url, request.headers, body=body, sent=True))
        return web.Response()

    runner = web.ServerRunner(web.Server(keep, auto_decompress=False))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]

    async def call(method, path, **arguments):
        url = URL(f"http://127.0.0.1:{port}{path}")
        async with aiohttp.ClientSession() as session, session.request(method, url, **arguments):
            return arrived[-1]

    yield call
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("/a", {}),
        ("/ü/a b/%2F/../c", {}),
        ("/a?b=1&c=ü+%20", {}),
        ("/a", {"params": {"b": 1, "c": 1.5, "d": "ü &=+%20"}}),
        ("/a?z=1", {"params": {"b": ["1", 2], "a": ""}}),
        ("/a?z=1", {"params": [("b", "1"), ("a", "2"), ("b", "0")]}),
        ("/a?z=1", {"params": "b=1&c=x%20y+z"}),
        ("/a", {"params": MultiDict([("b", "1"), ("b", "2")])}),
        ("/a", {"params": {"b": Colour.RED, "c": Number.TWO, Colour.RED: 1}}),
        ("/a", {"headers": {"X-A": "1", "user-agent": "me"}}),
        ("/a", {"headers": MultiDict([("X-A", "1"), ("X-A", "2")])}),
        ("/a", {"cookies": {"a": "1", "b": 'x y;"z"'}}),
        ("/a", {"json": {"a": [None, True, 1.5, "ü"], 1: {}}}),
        ("/a", {"json": []}),
        ("/a", {"data": {"a": "1", "b": "ü &=+%20"}}),
        ("/a", {"data": {"a": 1, "b": True, "c": ["x", "y"], "d": ("x", "y"), "e": None}}),
        ("/a", {"data": [("a", "1"), ("b", "2"), ("a", "3")]}),
        ("/a", {"data": MultiDict([("a", "1"), ("b", "2"), ("a", "3")])}),
        ("/a", {"data": b"\x00\xff"}),
        ("/a", {"data": "ü"}),
        ("/a", {"data": None}),
    ],
)
async def test_a_route_is_written_like_the_call(through_aiohttp, path, arguments):
    """What was passed to aiohttp, passed to a route, matches what aiohttp sent."""
    request = await through_aiohttp("POST", path, **arguments)
    assert {} == ask(request, f"http://x.test{path}", "POST", **arguments)


async def test_an_upload_matches_in_every_spelling(through_aiohttp):
    """A file by its bytes, by name and bytes, or in part."""
    data = aiohttp.FormData({"a": "1"})
    data.add_field("f", b"\x00\r\n--\xff", filename="ü b.bin")
    request = await through_aiohttp("POST", "/", data=data)
    for expected in (
        {"a": "1", "f": b"\x00\r\n--\xff"},
        [("f", ("ü b.bin", b"\x00\r\n--\xff")), ("a", "1")],
        partial({"f": (ANY, b"\x00\r\n--\xff")}),
        re.compile("form-data"),
    ):
        assert {} == ask(request, data=expected)


URL_OF_ALL = "https://api.example.com/users/{id}?page=2"


def test_the_pattern_of_a_plain_url_is_read_once():
    """Every test of a suite registers the same URLs; what has been read of one cannot change."""
    pattern = Pattern.build("GET", URL_OF_ALL)
    assert pattern is Pattern.build("GET", URL_OF_ALL)
    assert pattern is Pattern.build("get", "".join(URL_OF_ALL), headers=None, data=None)


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        (URL(URL_OF_ALL), {}),
        (enum.Enum("Urls", {"ALL": URL_OF_ALL}, type=str).ALL, {}),
        (re.compile("users"), {}),
        (URL_OF_ALL, {"params": {"a": "1"}}),
        (URL_OF_ALL, {"headers": {"a": "1"}}),
        (URL_OF_ALL, {"cookies": {"a": "1"}}),
        (URL_OF_ALL, {"json": {}}),
        (URL_OF_ALL, {"data": b""}),
        (URL_OF_ALL, {"where": bool}),
        (URL_OF_ALL, {"websocket": True}),
    ],
)
def test_a_pattern_in_which_more_stands_than_a_plain_url_is_read_anew(url, arguments):
    """A matcher may remember what it was asked, and a dict may have been changed."""
    Pattern.build("GET", URL_OF_ALL)
    built = Pattern.build("GET", url, **arguments)
    assert built is not Pattern.build("GET", url, **arguments)
    assert built is not Pattern.build("GET", URL_OF_ALL)


@pytest.mark.parametrize("base_url", [None, "http://a.test/", URL("http://a.test/b/")])
@pytest.mark.parametrize("method", ["GET", "POST", None])
def test_one_url_is_another_under_another_base_and_with_another_method(base_url, method):
    """The pattern says what was asked for, whatever was read before."""
    for other_base, other_method in [("http://other.test/", "GET"), (None, "PUT")]:
        Pattern.build(other_method, "/x", base_url=other_base)
    pattern = Pattern.build(method, "/x", base_url=base_url)
    path = "/x"
    expected = (None, None, None, path) if base_url is None else canonical(URL("http://a.test/x"))
    assert (method, expected) == (pattern.method, pattern.exact or pattern.place)


def test_a_wrong_url_is_wrong_each_time():
    """An error is not remembered as if it were an answer."""
    for _ in range(2):
        with pytest.raises(RouteError, match="needs both a scheme and a host"):
            Pattern.build("GET", "https://")
