"""Which requests a pass-through rule lets go to the real network."""

from __future__ import annotations

import asyncio
import re

import pytest
from multidict import CIMultiDict
from yarl import URL

from aiostub._matching.request import Request
from aiostub._matching.rules import build_rule, build_rules
from aiostub._matching.url import canonical
from aiostub.exceptions import RouteError


def passes(rule, url, method="GET"):
    """Tell whether a rule lets a request for a URL pass."""
    request = Request(method, URL(url), CIMultiDict(), body=b"", sent=True)
    return build_rule(rule).matches(request, canonical(request.url))


# Each row: a rule, what it lets pass, what it does not.
RULES = {
    "host": (
        "127.0.0.1",
        ["http://127.0.0.1/", "https://127.0.0.1:8443/a?b=1", "ws://127.0.0.1:1/"],
        ["http://127.0.0.1.evil.test/", "http://127.0.0.2/", "http://x.test/127.0.0.1"],
    ),
    "host in another case": ("X.Test.", ["http://x.test/"], ["http://a.x.test/"]),
    "host with a port": (
        "localhost:8080",
        ["http://localhost:8080/a", "https://localhost:8080/"],
        ["http://localhost/", "http://localhost:8081/"],
    ),
    "host in IDNA": ("bücher.test", ["http://xn--bcher-kva.test/"], ["http://bucher.test/"]),
    "host with spaces around it": (" x.test ", ["http://x.test/"], ["http://y.test/"]),
    "comma and space in a path": (
        "http://x.test/a, b",
        ["http://x.test/a,%20b/c"],
        ["http://x.test/a", "http://x.test/a,"],
    ),
    "IPv6 host": ("::1", ["http://[::1]:8080/a"], ["http://[::2]/"]),
    "IPv6 host in brackets": ("[::1]", ["http://[::1]:8080/a"], ["http://[::2]/"]),
    "IPv6 host with a port": ("[::1]:80", ["http://[::1]/a"], ["http://[::1]:81/"]),
    "origin": (
        "http://127.0.0.1",
        ["http://127.0.0.1/", "http://127.0.0.1:54321/a/b?c", "ws://127.0.0.1/"],
        ["https://127.0.0.1/", "http://127.0.0.1.evil.test/", "http://127.0.0.12/"],
    ),
    "origin with a slash": (
        "http://x.test/",
        ["http://x.test", "http://x.test:1/a"],
        ["http://y/"],
    ),
    "origin with a port": (
        "http://x.test:8080",
        ["http://x.test:8080/a"],
        ["http://x.test/", "http://x.test:8081/"],
    ),
    "origin with its default port": (
        "https://x.test:443",
        ["https://x.test/a"],
        ["https://x.test:8443/"],
    ),
    "origin of a WebSocket": (
        "wss://x.test",
        ["https://x.test/", "wss://x.test/"],
        ["ws://x.test/"],
    ),
    "prefix": (
        "https://x.test/health",
        ["https://x.test/health", "https://x.test:1/health/live?a=1", "https://x.test/health/"],
        ["https://x.test/healthz", "https://x.test/", "https://x.test/a/health"],
    ),
    "prefix with a slash": (
        "https://x.test/a/",
        ["https://x.test/a/", "https://x.test/a/b"],
        ["https://x.test/a", "https://x.test/ab"],
    ),
    "prefix in another spelling": (
        "https://x.test/%7eü/b/..",
        ["https://x.test/~%C3%BC/", "https://x.test/~ü/c"],
        ["https://x.test/~"],
    ),
    "prefix as a URL": (URL("https://x.test/a"), ["https://x.test/a/b"], ["https://x.test/ab"]),
    "star for a label": (
        "*.internal",
        ["http://db.internal/", "https://a-b.internal:8443/"],
        ["http://internal/", "http://a.b.internal/", "http://db.internal.evil.test/"],
    ),
    "star in a label": ("api-*.test", ["http://api-7.test/"], ["http://api-7.8.test/"]),
    "star for a number": ("10.0.0.*", ["http://10.0.0.7/"], ["http://10.0.1.7/"]),
    "star, port and path": (
        "https://*.internal:8443/health",
        ["https://db.internal:8443/health", "https://db.internal:8443/health/x"],
        ["https://db.internal/health", "https://db.internal:8443/healthy"],
    ),
    "star in the path": (
        "https://x.test/*/a*/c",
        ["https://x.test/1/ab/c", "https://x.test/2/a/c/d"],
        ["https://x.test/1/2/ab/c", "https://x.test/1/ab/d/c", "https://x.test/1/b/c"],
    ),
    "letters that mean something to re": (
        "http://x.test/a.b+(c)",
        ["http://x.test/a.b+(c)/d"],
        ["http://x.test/axb+(c)", "http://xztest/a.b+(c)"],
    ),
    "pattern": (
        re.compile(r"\.internal.*\?trace=1"),
        ["http://a.internal/b?trace=1"],
        ["http://a.internal/b"],
    ),
    "predicate": (
        lambda request: request.method == "GET" and request.url.path == "/live",
        ["http://x.test/live"],
        ["http://x.test/dead"],
    ),
}


@pytest.mark.parametrize(("rule", "passing", "staying"), RULES.values(), ids=RULES)
def test_a_rule_lets_pass_what_it_names(rule, passing, staying):
    """Host, origin, prefix, pattern or predicate."""
    assert (passing, []) == (
        [url for url in passing if passes(rule, url)],
        [url for url in staying if passes(rule, url)],
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((), []),
        ([], []),
        ("127.0.0.1", ["127.0.0.1"]),
        (URL("http://x.test/a"), ["http://x.test/a"]),
        (["a.test", "http://b.test"], ["a.test", "http://b.test"]),
        (iter(["a.test"]), ["a.test"]),
        (re.compile("a"), ["re.compile('a')"]),
        (passes, ["passes"]),
    ],
)
def test_a_bare_rule_is_one_rule(values, texts):
    """A bare string is never an iterable of characters."""
    assert texts == [rule.text for rule in build_rules(values)]


def test_what_a_predicate_raises_goes_through():
    """A bug in a predicate never means "pass"."""
    with pytest.raises(ZeroDivisionError):
        passes(lambda request: 1 / 0, "http://x.test/")


async def test_a_predicate_that_gives_an_awaitable_is_refused():
    """An awaitable is true: it must not pass for a yes."""
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(RouteError, match=r"^passthrough: .* must be sync, it gave an awaitable$"):
        passes(lambda request: future, "http://x.test/")


async def coroutine(request):
    """Be no predicate."""


NOTHING = "passthrough: expected a host, an origin, a URL prefix, a re.Pattern or a predicate, got "


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, f"{NOTHING}None"),
        (1, f"{NOTHING}1"),
        (str, f"{NOTHING}<class 'str'>"),
        (re.compile(b"a"), f"{NOTHING}re.compile(b'a')"),
        ("", "passthrough: ''"),
        ("http://", "passthrough: 'http://'"),
        ("/health", "passthrough: '/health'"),
        ("x.test/health", "passthrough: 'x.test/health' has a path but no scheme; write 'https"),
        ("http://x.test/?a=1", "passthrough: 'http://x.test/?a=1' is no host, no origin and no "),
        ("http://x.test/#a", "passthrough: 'http://x.test/#a' is no host, no origin and no URL"),
        ("http://u@x.test/", "passthrough: 'http://u@x.test/' is no host, no origin and no URL"),
        ("http://x.test:*", "passthrough: 'http://x.test:*' is no URL: "),
        ("*://x.test", "passthrough: '*' stands in host or path only, got '*://x.test'"),
        ("http://ü*.test", "passthrough: '*' stands in ASCII labels only, got 'http://ü*.test'"),
        (coroutine, "passthrough: coroutine must be sync"),
        (["x.test"], f"{NOTHING}['x.test']"),
        (
            "x.test y.test",
            "passthrough: 'x.test y.test' is no single rule; write several as a list",
        ),
        ("x.test,y.test", "passthrough: 'x.test,y.test' is no single rule; write several as a"),
        (
            "http://x.test, http://y.test",
            "passthrough: 'http://x.test, http://y.test' is no single",
        ),
        ("http://x.test,http://y.test", "passthrough: 'http://x.test,http://y.test' is no single"),
    ],
)
def test_what_is_no_rule_is_refused(value, text):
    """At the line that sets the rule."""
    with pytest.raises(RouteError) as caught:
        build_rule(value)
    assert str(caught.value)[: len(text)] == text
