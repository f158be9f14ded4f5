"""Which URL is which: registration against request."""

import re

import aiohttp
from differential import PLACE, script, scripts
from yarl import URL


@scripts(
    root=("", "/"),
    root_back=("/", ""),
    same=("/a", "/a"),
    trailing_slash=("/a", "/a/"),
    trailing_slash_back=("/a/", "/a"),
    query_order=("/a?a=1&b=2", "/a?b=2&a=1"),
    query_missing=("/a", "/a?z=1"),
    query_more=("/a?a=1", "/a?a=1&z=1"),
    query_none=("/a?a=1", "/a"),
    repeated_key=("/a?k=1&k=2", "/a?k=1&k=2"),
    repeated_key_order=("/a?k=1&k=2", "/a?k=2&k=1"),
    blank_value=("/a?q=", "/a?q"),
    blank_value_none=("/a?q=", "/a"),
    value_case=("/a?q=A", "/a?q=a"),
    path_case=("/A", "/a"),
    fragment=("/a#f", "/a"),
    fragment_back=("/a", "/a#f"),
    fragment_same=("/a#f", "/a#f"),
    raw_umlaut=("/ü", "/%C3%BC"),
    tilde=("/%7E", "/~"),
    lower_hex=("/%c3%bc", "/%C3%BC"),
    slash_escape=("/a%2Fb", "/a/b"),
    plus_and_space=("/a?q=a+b", "/a?q=a%20b"),
    plus_escaped=("/a?q=a%2Bb", "/a?q=a+b"),
    dots=("/a", "/b/../a"),
    double_slash=("/a", "//a"),
    semicolon=("/a?x=1;y=2", "/a?x=1;y=2"),
    comma=("/a?x=1,2", "/a?x=1%2C2"),
    colon_in_query=("/a?t=10:00", "/a?t=10%3A00"),
    percent_twice=("/a?q=%2525", "/a?q=%25"),
    empty_query=("/a?", "/a"),
    brackets=("/a?f[x]=1", "/a?f%5Bx%5D=1"),
    json_in_query=('/a?q={"a":1}', "/a?q=%7B%22a%22:1%7D"),
    unicode_query=("/a?q=ü", "/a?q=%C3%BC"),
    braces_in_path=("/users/{id}", "/users/{id}"),
    star_in_path=("/users/*", "/users/*"),
)
async def url(t, registered, asked):
    with t.aioresponses() as m:
        m.get(PLACE + registered, body="yes")
        await t.get(PLACE + asked)
        t.say([(method, str(url)) for method, url in m.requests])


@scripts(
    host_case=("http://X.TEST/a", "http://x.test/a"),
    scheme_case=("HTTP://x.test/a", "http://x.test/a"),
    scheme=("http://x.test/a", "https://x.test/a"),
    other_port=("http://x.test/a", "http://x.test:81/a"),
    port_80=("http://x.test:80/a", "http://x.test:80/a"),
    port_8080=("http://x.test:8080/a", "http://x.test:8080/a"),
    ip=("http://10.0.0.1/a", "http://10.0.0.1/a"),
    ipv6=("http://[::1]:8080/a", "http://[::1]:8080/a"),
    idna=("http://bücher.test/a", "http://xn--bcher-kva.test/a"),
    localhost=("http://localhost:9/a", "http://localhost:9/a"),
    underscore=("http://a_b/a", "http://a_b/a"),
    plain_host=("http://host", "http://host/"),
    ws=("ws://x.test/a", "ws://x.test/a"),
    unknown_scheme=("foo://x.test/a", "foo://x.test/a"),
    relative=("/relative", "/relative"),
    no_scheme=("x.test/a", "x.test/a"),
    empty_string=("", ""),
    none_in_host=("http://None/a", "http://None/a"),
    unix=("http+unix://sock/a", "http+unix://sock/a"),
)
async def whole_url(t, registered, asked):
    with t.aioresponses() as m:
        m.get(registered, body="yes")
        await t.get(asked)


@scripts(
    anywhere=(r"http://x\.test/.*", "/anything?z=1&a=2"),
    anchored=(r"x\.test", "/a"),
    sorted_query=(r".*\?a=2&z=1$", "/a?z=1&a=2"),
    as_sent=(r".*\?z=1&a=2$", "/a?z=1&a=2"),
    escaped=(r".*/%C3%BC$", "/ü"),
    end=(r"http://x\.test/a$", "/a/b"),
    ignore_case=(re.compile(r"HTTP://X\.TEST/A", re.IGNORECASE), "/a"),
    groups=(r"http://x\.test/(?P<id>\d+)", "/42"),
    everything=(r".*", "/a"),
    empty=("", "/a"),
)
async def pattern(t, registered, asked):
    with t.aioresponses() as m:
        m.get(re.compile(registered), body="yes")
        await t.get(PLACE + asked)


@scripts(
    dict={"b": "2", "a": "1"},
    ints={"b": 2, "a": 1},
    floats={"a": 1.5},
    pairs=[("k", "1"), ("k", "2"), ("a", "3")],
    text="b=2&a=1",
    empty={},
    none=None,
    lists={"k": ["1", "2"]},
    umlaut={"q": "ü b"},
    plus={"q": "a+b"},
    blank={"q": ""},
    boolean={"q": True},
    nothing={"q": None},
)
async def params(t, given):
    with t.aioresponses() as m:
        for query in ("a=1&b=2", "a=1.5", "a=3&k=1&k=2", "k=1&k=2", "q=ü+b", "q=a%2Bb", "q=", ""):
            m.get(f"{PLACE}/p?{query}", body=query)
        async with aiohttp.ClientSession() as session:
            with t.errors(text=False):
                await t.show(session.get(f"{PLACE}/p", params=given))
        t.say([(method, str(url)) for method, url in m.requests])


@script()
async def params_behind_query(t):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/p?a=1&b=2", body="yes", repeat=True)
        await t.get(f"{PLACE}/p?a=1", params={"b": 2})
        await t.get(f"{PLACE}/p?b=2", params={"a": 1})
        await t.get(f"{PLACE}/p?a=1&b=2", params={"a": 1})
        t.requests(m)


@scripts(string="http://x.test/a?b=2&a=1", url=URL("http://x.test/a?b=2&a=1"))
async def kinds_of_url(t, given):
    with t.aioresponses() as m:
        m.get(given, body="yes", repeat=True)
        await t.get("http://x.test/a?a=1&b=2")
        await t.get(URL("http://x.test/a?a=1&b=2"))
        await t.get(URL("http://x.test/a?a=1&b=2", encoded=True))


@scripts(joined=("http://x.test", "/v1/a", "http://x.test/v1/a"))
@scripts(
    since=(3, 12),
    slash=("http://x.test/api/", "a", "http://x.test/api/a"),
    absolute=("http://x.test/api/", "http://y.test/b", "http://y.test/b"),
    root=("http://x.test/api/", "/a", "http://x.test/a"),
    query=("http://x.test/api/", "a?b=2&a=1", "http://x.test/api/a?a=1&b=2"),
)
async def base_url(t, base, asked, expected):
    with t.aioresponses() as m:
        m.get(expected, body="yes")
        async with aiohttp.ClientSession(base_url=base) as session:
            await t.show(session.get(asked))
        t.requests(m)


@script()
async def methods(t):
    with t.aioresponses() as m:
        for name in ("get", "post", "put", "patch", "delete", "options", "head"):
            getattr(m, name)(f"{PLACE}/m", payload={"m": name} if name != "head" else None)
        async with aiohttp.ClientSession() as session:
            for name in ("head", "options", "delete", "patch", "put", "post", "get", "get"):
                await t.show(getattr(session, name)(f"{PLACE}/m"), method=True)
        t.requests(m)


@scripts(custom="PROPFIND", lower="get", mixed="GeT", star="*", connect="CONNECT", trace="TRACE")
async def method_of_add(t, method):
    with t.aioresponses() as m:
        m.add(f"{PLACE}/m", method=method, body="yes", repeat=True)
        async with aiohttp.ClientSession() as session:
            await t.show(session.request(method, f"{PLACE}/m"), method=True)
            await t.show(session.request(method.upper(), f"{PLACE}/m"), method=True)
            await t.show(session.get(f"{PLACE}/m"), method=True)
        t.requests(m)


@script()
async def first_registered_first(t):
    with t.aioresponses() as m:
        m.get(re.compile(r".*"), body="pattern")
        m.get(f"{PLACE}/a", body="one")
        m.get(f"{PLACE}/a", body="two", repeat=True)
        m.get(f"{PLACE}/a", body="never")
        for _ in range(5):
            await t.get(f"{PLACE}/a")


@script()
def normalize_url(t):
    for each in ("http://x.test", "http://x.test/a?b=2&a=1", "http://x.test/a?x=%2B&b=+", "a?q="):
        t.say(repr(t.compat.normalize_url(each)))
        t.say(repr(t.compat.normalize_url(URL(each))))


@script()
def merge_params(t):
    t.say(repr(t.compat.merge_params("http://x.test/a?a=1", {"b": 2})))
    t.say(repr(t.compat.merge_params("http://x.test/a?a=1", {"a": 2})))
    t.say(repr(t.compat.merge_params(URL("http://x.test/a"), None)))
    t.say(repr(t.compat.merge_params("http://x.test/a", {})))
    t.say(repr(t.compat.merge_params("http://x.test/a", [("k", 1), ("k", 2)])))
