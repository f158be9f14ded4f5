"""The assertions, and their texts."""

import contextlib

import aiohttp
from differential import PLACE, script, scripts

QUERY = f"{PLACE}/a?b=2&a=1"


@contextlib.asynccontextmanager
async def called(t, *calls):
    """Make calls, each a method, a URL and arguments, and give the mock."""
    with t.aioresponses() as m:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            m.add(PLACE, method, repeat=True)
            m.add(QUERY, method, repeat=True)
        async with aiohttp.ClientSession() as session:
            for method, url, kwargs in calls:
                await getattr(session, method)(url, **kwargs)
        yield m


CALLS = {
    "none": [],
    "one": [("get", PLACE, {})],
    "twice": [("get", PLACE, {}), ("get", PLACE, {})],
    "two": [("get", PLACE, {}), ("post", PLACE, {})],
    "three": [("get", PLACE, {}), ("get", PLACE, {}), ("get", QUERY, {})],
}


@scripts(**CALLS)
async def counts(t, *calls):
    async with called(t, *calls) as m:
        for check in (m.assert_called, m.assert_not_called, m.assert_called_once):
            with t.errors():
                check()


@script()
async def not_called_after_a_failure(t):
    with t.aioresponses() as m:
        m.get(PLACE, exception=ValueError("v"))
        await t.get()
        for check in (m.assert_called, m.assert_not_called, m.assert_called_once):
            with t.errors():
                check()


@scripts(
    plain=("get", {}, {}),
    default_redirects=("get", {}, {"allow_redirects": True}),
    other_redirects=("get", {}, {"allow_redirects": False}),
    told_redirects=("get", {"allow_redirects": False}, {"allow_redirects": False}),
    headers=("get", {"headers": {"A": "1"}}, {"headers": {"A": "1"}}),
    headers_differ=("get", {"headers": {"A": "1"}}, {"headers": {"A": "2"}}),
    headers_missing=("get", {"headers": {"A": "1"}}, {}),
    headers_more=("get", {}, {"headers": {"A": "1"}}),
    post=("post", {}, {}),
    post_json=("post", {"json": {"a": 1}}, {"json": {"a": 1}}),
    post_json_differs=("post", {"json": {"a": 1}}, {"json": {"a": 2}}),
    post_data=("post", {"data": "x"}, {"data": "x"}),
    post_data_missing=("post", {"data": "x"}, {}),
    put=("put", {}, {}),
    put_none=("put", {}, {"data": None}),
    patch=("patch", {"json": {}}, {"json": {}}),
    patch_none=("patch", {"json": {}}, {"json": {}, "data": None}),
    delete=("delete", {}, {}),
    head=("head", {}, {}),
    head_redirects=("head", {}, {"allow_redirects": False}),
    options=("options", {}, {}),
    timeout=("get", {"timeout": aiohttp.ClientTimeout(5)}, {"timeout": aiohttp.ClientTimeout(5)}),
    params=("get", {"params": {"x": 1}}, {"params": {"x": 1}}),
    params_in_url=("get", {"params": {"x": 1}}, {}),
    data_in_get=("get", {}, {"data": None}),
)
async def called_with(t, method, asked, expected):
    async with called(t, (method, QUERY, {})) as m:
        m.add(f"{QUERY}&x=1", method.upper(), repeat=True)
        async with aiohttp.ClientSession() as session:
            await getattr(session, method)(QUERY, **asked)
        for check in (m.assert_called_with, m.assert_any_call, m.assert_called_once_with):
            for name in (method, method.upper()):
                with t.errors():
                    check(QUERY, name, **expected)
            with t.errors():
                check(QUERY, method=method.upper(), **expected)


@script()
async def called_with_the_last(t):
    async with called(t, ("post", PLACE, {"json": 1}), ("post", PLACE, {"json": 2})) as m:
        for value in (1, 2, 3):
            with t.errors():
                m.assert_called_with(PLACE, "POST", json=value)
            with t.errors():
                m.assert_any_call(PLACE, "POST", json=value)


@scripts(
    one=(["json"], {"json": 1}),
    other=(["json"], {"json": 2}),
    two=(["json", "headers"], {"json": 1, "headers": {"A": "1"}}),
    empty=([], {"json": 2}),
    not_sent=(["timeout"], {"timeout": 1}),
    redirects=(["allow_redirects"], {}),
    tuple_of=(("json",), {"json": 1, "headers": {"B": "2"}}),
)
async def args_to_match(t, names, expected):
    async with called(t, ("post", PLACE, {"json": 1, "headers": {"A": "1"}})) as m:
        with t.errors():
            m.assert_called_with(PLACE, "POST", args_to_match=names, **expected)
        with t.errors():
            m.assert_called_with(PLACE, "POST", names, **expected)
        with t.errors():
            m.assert_called_once_with(PLACE, method="POST", args_to_match=names, **expected)


@script(
    why="an argument that is not given differs",
    ours=["raised AssertionError"],
)
async def args_to_match_not_given(t):
    async with called(t, ("post", PLACE, {"json": 1})) as m:
        with t.errors(text=False):
            m.assert_called_with(PLACE, "POST", args_to_match=["json"])


@script()
async def not_found(t):
    async with called(t, ("get", PLACE, {})) as m:
        for check in (m.assert_called_with, m.assert_any_call, m.assert_called_once_with):
            with t.errors():
                check(f"{PLACE}/nowhere")
            with t.errors():
                check(f"{PLACE}/nowhere", "post", json={"a": 1})
            with t.errors():
                check(f"{PLACE}/nowhere", params={"b": 2, "a": 1})
            with t.errors():
                check(PLACE, method="POST", headers={"A": "1"}, allow_redirects=False)


@script(
    why="a call in lower case is found",
    ours=["raised nothing", "raised nothing", "raised nothing"],
)
async def lower_case_method(t):
    with t.aioresponses() as m:
        m.get(PLACE)
        async with aiohttp.ClientSession() as session:
            await session.request("get", PLACE)
        for check in (m.assert_called_with, m.assert_any_call, m.assert_called_once_with):
            with t.errors():
                check(PLACE)


@script()
async def with_session_headers(t):
    with t.aioresponses() as m:
        m.get(PLACE, repeat=True)
        async with aiohttp.ClientSession(headers={"X-S": "s"}) as session:
            await session.get(PLACE)
            with t.errors():
                m.assert_called_with(PLACE, headers={"X-S": "s"})
            await session.get(PLACE, headers={"X-C": "c"})
            with t.errors():
                m.assert_called_with(PLACE, headers={"X-S": "s", "X-C": "c"})
            with t.errors(text=False):
                m.assert_called_with(PLACE, headers={"X-C": "c"})


@script()
async def named_after_the_class(t):
    class Mine(t.aioresponses):
        pass

    with Mine() as m:
        for check in (m.assert_called, m.assert_called_once):
            with t.errors():
                check()
        with t.errors():
            m.assert_called_with(PLACE)


@script()
async def requests_by_hand(t):
    async with called(t, ("post", QUERY, {"json": {"a": 1}}), ("get", PLACE, {})) as m:
        key = ("POST", t.compat.normalize_url(QUERY))
        (call,) = m.requests[key]
        t.say(call.args, call[0], call.kwargs["json"], call[1]["json"], type(call).__name__)
        t.say(call == t.core.RequestCall((), call.kwargs), call._fields, len(m.requests))
        args, kwargs = call
        t.say(args, sorted(kwargs))
        t.say([str(url) for _, url in m.requests], next(iter(m.requests))[0])
        t.say(m.requests.get(("GET", t.compat.URL(PLACE))) is not None)


@script()
async def requests_outlive_the_mock(t):
    mock = t.aioresponses()
    for _ in range(2):
        with mock as m:
            m.get(PLACE)
            await t.get()
            m.clear()
            t.requests(m)
        t.requests(mock)
    with t.errors():
        mock.assert_called_once()
    mock.requests.clear()
    with t.errors():
        mock.assert_not_called()


@script()
async def call_signature(t):
    m = t.aioresponses()
    t.say(m._format_call_signature("a", b=1), m._format_call_signature())
    t.say(m._build_request_call("GET"), m._build_request_call("POST", json=1))
    t.say(m._build_request_call("PUT", "x", allow_redirects=False))


@script()
def is_exception(t):
    for each in (ValueError, ValueError(), BaseException, KeyboardInterrupt(), str, "x", None):
        t.say(t.aioresponses.is_exception(each))
