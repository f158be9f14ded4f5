"""What is recorded of a call, how often an answer is given, and what callbacks see and say."""

import asyncio
import functools
import io
import re
import threading
from pathlib import Path
from unittest.mock import AsyncMock, MagicMock, Mock

import aiohttp
from differential import PLACE, Differs, script, scripts


@scripts(
    default=False,
    forever=True,
    once=1,
    twice=2,
    zero=0,
    negative=-1,
    negative_two=-2,
    none=None,
)
async def repeat(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, body="first", repeat=given)
        m.get(PLACE, body="second")
        for _ in range(4):
            await t.get()
        t.say(len(m._matches), [match.repeat for match in m._matches.values()])


class OwnError(Exception):
    """An exception of the suite's own."""


class OwnOSError(OSError):
    """An OSError of the suite's own."""


@scripts(
    instance=(ValueError("bad"),),
    own=(OwnError("own", 1),),
    own_class=(OwnError,),
    client_error=(aiohttp.ClientError("c"),),
    connection=(aiohttp.ClientConnectionError("refused"),),
    os_error=(OSError(5, "io"),),
    own_os_error=(OwnOSError("own"),),
    reset=(ConnectionResetError(104, "reset"),),
    client_os_error=(aiohttp.ClientOSError(5, "io"),),
    disconnected=(aiohttp.ServerDisconnectedError(),),
    disconnected_class=(aiohttp.ServerDisconnectedError,),
    timeout=(asyncio.TimeoutError(),),
    timeout_class=(asyncio.TimeoutError,),
    server_timeout=(aiohttp.ServerTimeoutError("slow"),),
    payload=(aiohttp.ClientPayloadError("cut"),),
    invalid_url=(aiohttp.InvalidURL("x"),),
    response_error=(aiohttp.ClientResponseError(Mock(real_url="u"), (), status=418, message="m"),),
    connector_error=(aiohttp.ClientConnectorError(Mock(), OSError(5, "io")),),
    too_many=(aiohttp.TooManyRedirects(Mock(real_url="u"), ()),),
    key_error=(KeyError("k"),),
    runtime=(RuntimeError("Session is closed"),),
)
async def exception(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, exception=given, repeat=2)
        m.post(PLACE, exception=given)
        async with aiohttp.ClientSession() as session:
            for call in (session.get, session.get, session.post, session.get):
                try:
                    response = await call(PLACE)
                    t.say("got", response.status)
                except Exception as error:
                    shown = "" if isinstance(error, aiohttp.ClientConnectorError) else str(error)
                    t.say(type(error).__name__, shown, error is given)
        t.requests(m)
        t.say(len(m._responses))


@scripts(cancelled=asyncio.CancelledError)
async def base_exception(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, exception=given())
        async with aiohttp.ClientSession() as session:
            try:
                await session.get(PLACE)
            except BaseException as error:
                t.say(type(error).__name__)


@script()
async def timeout(t):
    with t.aioresponses() as m:
        m.get(PLACE, timeout=True, repeat=True)
        m.post(PLACE, timeout=True, exception=ValueError("v"))
        async with aiohttp.ClientSession() as session:
            for call in (session.get, session.post):
                try:
                    await call(PLACE)
                except asyncio.TimeoutError as error:
                    t.say(type(error).__name__, error, isinstance(error, aiohttp.ClientError))


@script()
async def fail_then_succeed(t):
    with t.aioresponses() as m:
        m.get(PLACE, status=503)
        m.get(PLACE, exception=aiohttp.ServerDisconnectedError())
        m.get(PLACE, timeout=True)
        m.get(PLACE, payload={"ok": True})
        async with aiohttp.ClientSession() as session:
            for _ in range(5):
                await t.show(session.get(PLACE))


@script()
async def unmatched(t):
    with t.aioresponses() as m:
        await t.get(f"{PLACE}/a?z=1&a=2")
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(f"{PLACE}/a", json={}))
            await t.show(session.request("get", f"{PLACE}/a", params={"q": "ü"}))
        t.requests(m)
        t.say(len(m._responses))


@scripts(
    get=("get", {}),
    post=("post", {}),
    put=("put", {}),
    patch=("patch", {}),
    delete=("delete", {}),
    head=("head", {}),
    options=("options", {}),
    json=("post", {"json": {"a": [1, None]}}),
    json_none=("post", {"json": None}),
    data_dict=("post", {"data": {"a": "1"}}),
    data_text=("post", {"data": "text"}),
    data_bytes=("put", {"data": b"bytes"}),
    headers=("get", {"headers": {"X-A": "1"}}),
    params=("get", {"params": {"b": 2, "a": 1}}),
    timeout=("get", {"timeout": aiohttp.ClientTimeout(total=5)}),
    ssl=("get", {"ssl": False}),
    redirects=("get", {"allow_redirects": False, "max_redirects": 3}),
    auth=("get", {"auth": aiohttp.BasicAuth("u", "p")}),
    cookies=("get", {"cookies": {"a": "1"}}),
    proxy=("get", {"proxy": "http://proxy.test:3128"}),
    chunked=("post", {"data": b"x", "chunked": True}),
    compress=("post", {"data": b"x", "compress": True}),
    expect=("post", {"data": b"x", "expect100": True}),
    until_eof=("get", {"read_until_eof": False}),
    bufsize=("get", {"read_bufsize": 10}),
    skip=("get", {"skip_auto_headers": ["User-Agent"]}),
    hostname=("get", {"server_hostname": "y.test"}),
    trace_ctx=("get", {"trace_request_ctx": {"a": 1}}),
)
async def recorded(t, method, kwargs):
    with t.aioresponses() as m:
        m.add(re.compile(".*").pattern and f"{PLACE}/r", method.upper(), payload=1, repeat=True)
        m.add(f"{PLACE}/r?a=1&b=2", method.upper(), payload=2)
        async with aiohttp.ClientSession() as session:
            await t.show(getattr(session, method)(f"{PLACE}/r", **kwargs))
        t.requests(m)


class Unserialisable:
    """Something that neither aiohttp nor json knows."""


@scripts(
    json_object=("post", {"json": {"a": Unserialisable()}}),
    json_bytes=("post", {"json": b"x"}),
    json_set=("post", {"json": {1, 2}}),
    data_and_json=("post", {"data": b"x", "json": {}}),
    data_int=("post", {"data": 5}),
    data_object=("post", {"data": Unserialisable()}),
    data_mock=("post", {"data": Mock()}),
    data_magic_mock=("post", {"data": MagicMock()}),
    data_list=("post", {"data": [1, 2]}),
    data_nested=("post", {"data": {"a": {"b": 1}}}),
    data_with_none=("post", {"data": {"a": None}}),
    data_with_int=("post", {"data": {"a": 5}}),
    data_with_bool=("post", {"data": {"a": True}}),
    data_closed_file=("post", {"data": io.StringIO("x")}),
    headers_int=("get", {"headers": {"X-A": 1}}),
    headers_none=("get", {"headers": {"X-A": None}}),
    headers_newline=("get", {"headers": {"X-A": "a\r\nb"}}),
    headers_bytes=("get", {"headers": {"X-A": b"1"}}),
    auth_tuple=("get", {"auth": ("u", "p")}),
    auth_mock=("get", {"auth": Mock()}),
    auth_twice=("get", {"auth": aiohttp.BasicAuth("u"), "headers": {"Authorization": "x"}}),
    timeout_int=("get", {"timeout": 5}),
    timeout_text=("get", {"timeout": "long"}),
    timeout_none=("get", {"timeout": None}),
    timeout_mock=("get", {"timeout": Mock()}),
    timeout_zero=("get", {"timeout": 0}),
    ssl_mock=("get", {"ssl": Mock()}),
    ssl_none=("get", {"ssl": None}),
    verify_ssl=("get", {"verify_ssl": False}),
    proxy_text=("get", {"proxy": "nonsense"}),
    proxy_mock=("get", {"proxy": Mock()}),
    cookies_mock=("get", {"cookies": Mock()}),
    cookies_list=("get", {"cookies": [("a", "1")]}),
    cookies_int=("get", {"cookies": {"a": 1}}),
    get_with_json=("get", {"json": {"a": 1}}),
    delete_with_data=("delete", {"data": "x"}),
    chunked_with_length=(
        "post",
        {"data": b"x", "chunked": True, "headers": {"Content-Length": "1"}},
    ),
    length_wrong=("post", {"data": b"xyz", "headers": {"Content-Length": "1"}}),
    length_long=("post", {"data": b"xyz", "headers": {"Content-Length": "100"}}),
    length_text=("post", {"data": b"xyz", "headers": {"Content-Length": "many"}}),
    compressed_twice=(
        "post",
        {"data": b"x", "compress": True, "headers": {"Content-Encoding": "x"}},
    ),
    host=("get", {"headers": {"Host": "y.test"}}),
    expect_header=("post", {"data": b"x", "headers": {"Expect": "100-continue"}}),
    upgrade=("get", {"headers": {"Connection": "Upgrade", "Upgrade": "websocket"}}),
    raise_text=("get", {"raise_for_status": "yes"}),
    redirects_zero=("get", {"max_redirects": 0}),
    skip_text=("get", {"skip_auto_headers": "User-Agent"}),
)
async def odd_arguments(t, method, kwargs):
    with t.aioresponses() as m:
        getattr(m, method)(f"{PLACE}/r", payload={"ok": True}, repeat=True)
        async with aiohttp.ClientSession() as session:
            response = await t.show(getattr(session, method)(f"{PLACE}/r", **kwargs))
            t.say(response is not None and response.ok)
            await t.show(getattr(session, method)(f"{PLACE}/r"))
        t.say([(key[0], str(key[1]), len(calls)) for key, calls in m.requests.items()])


@script(since=(3, 11))
async def tiny_timeout(t):
    with t.aioresponses() as m:
        m.get(PLACE, payload=1)
        await t.get(timeout=aiohttp.ClientTimeout(total=1e-9))


@script()
async def unknown_argument(t):
    with t.aioresponses() as m:
        async with aiohttp.ClientSession() as session:
            with t.errors():
                await session.get(PLACE, unknown=1)
        t.requests(m)


@script()
async def form_data(t):
    form = aiohttp.FormData()
    form.add_field("a", "1")
    form.add_field("file", io.BytesIO(b"content"), filename="f.txt", content_type="text/plain")
    with t.aioresponses() as m:
        m.post(PLACE, payload=1, repeat=True)
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(PLACE, data=form))
            await t.show(session.post(PLACE, data=form))
        for calls in m.requests.values():
            for call in calls:
                fields = call.kwargs["data"]._fields
                t.say([(dict(field[0]), type(field[2]).__name__) for field in fields])


@script()
async def bytes_io(t):
    with t.aioresponses() as m:
        m.post(PLACE, payload=1, repeat=True)
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(PLACE, data=io.BytesIO(b"content")))
            await t.show(session.post(PLACE, data={"file": io.BytesIO(b"content")}))
        (calls,) = m.requests.values()
        t.say(calls[0].kwargs["data"].read(), calls[1].kwargs["data"]["file"].read())


@script()
async def open_file(t):
    with Path(__file__).open("rb") as file, t.aioresponses() as m:  # noqa: ASYNC230 - as users do
        m.post(PLACE, payload=1)
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(PLACE, data={"file": file}))
        (calls,) = m.requests.values()
        t.say(calls[0].kwargs["data"]["file"] is file)


@script()
async def multipart(t):
    with t.aioresponses() as m, aiohttp.MultipartWriter("form-data") as writer:
        writer.append("text")
        writer.append_json({"a": 1})
        m.post(PLACE, payload=1)
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(PLACE, data=writer))
        (calls,) = m.requests.values()
        t.say(type(calls[0].kwargs["data"]).__name__)


@script()
async def async_generator(t):
    async def chunks():
        yield b"one"
        yield b"two"

    with t.aioresponses() as m:
        m.post(PLACE, payload=1)
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(PLACE, data=chunks()))
        t.requests(m)


@script()
async def kwargs_are_copied(t):
    sent = {"a": [1]}
    with t.aioresponses() as m:
        m.post(PLACE, payload=1)
        async with aiohttp.ClientSession() as session:
            await session.post(PLACE, json=sent)
            sent["a"].append(2)
        t.requests(m)


@script()
async def kwargs_that_cannot_be_copied(t):
    lock = threading.Lock()
    with t.aioresponses() as m:
        m.get(PLACE, payload=1)
        async with aiohttp.ClientSession() as session:
            await session.get(PLACE, trace_request_ctx=lock)
        (calls,) = m.requests.values()
        t.say(calls[0].kwargs["trace_request_ctx"] is lock)


@scripts(
    default=({}, {}),
    session=({"headers": {"X-S": "s"}}, {}),
    both=({"headers": {"X-S": "s", "X-B": "s"}}, {"headers": {"x-b": "c", "X-C": "c"}}),
    call=({}, {"headers": {"X-C": "c"}}),
    auth=({"auth": aiohttp.BasicAuth("u", "p")}, {}),
    cookies=({"cookies": {"a": "1"}}, {"cookies": {"b": "2"}}),
)
async def session_headers(t, of_session, of_call):
    with t.aioresponses() as m:
        m.get(PLACE, payload=1)
        async with aiohttp.ClientSession(**of_session) as session:
            response = await t.show(session.get(PLACE, **of_call))
            t.say(_lines(response.request_info.headers))
        for calls in m.requests.values():
            for call in calls:
                t.say(sorted(call.kwargs), _lines(call.kwargs.get("headers") or {}))


def _lines(headers):
    return sorted((name.lower(), value) for name, value in headers.items())


# Callbacks.


@script()
async def callback_arguments(t):
    def answer(url, **kwargs):
        t.say(repr(url), sorted(kwargs.items(), key=str))
        return t.CallbackResult(payload={"a": 1}, reason="OK")

    with t.aioresponses() as m:
        m.get(f"{PLACE}/a?a=1&b=2", callback=answer)
        m.post(PLACE, callback=answer)
        async with aiohttp.ClientSession() as session:
            await t.show(session.get(f"{PLACE}/a?b=2", params={"a": 1}), method=True)
            await t.show(session.post(PLACE, json={"b": 2}), method=True)


@scripts(
    nothing=lambda t: None,
    empty=lambda t: t.CallbackResult(),
    status=lambda t: t.CallbackResult(status=404, reason="Gone", body="b"),
    method=lambda t: t.CallbackResult(method="POST"),
    payload=lambda t: t.CallbackResult(payload=[1], headers={"X-A": "1"}),
    content_type=lambda t: t.CallbackResult(content_type="text/plain", body=b"\x00"),
    redirect=lambda t: t.CallbackResult(status=302, headers={"Location": "/b"}),
    no_content=lambda t: t.CallbackResult(status=204, reason="", body="b"),
    wrong=lambda t: {"a": 1},
    raises=lambda t: 1 / 0,
)
async def callback(t, make):
    def answer(url, **kwargs):
        return make(t)

    async def answer_later(url, **kwargs):
        await asyncio.sleep(0)
        return make(t)

    with t.aioresponses() as m:
        m.get(PLACE, callback=answer, status=201, body="static")
        m.get(f"{PLACE}/later", callback=answer_later, status=201, body="static")
        m.get(f"{PLACE}/b", body="the end", repeat=True)
        for url in (PLACE, f"{PLACE}/later"):
            with t.errors(text=False):
                async with aiohttp.ClientSession() as session:
                    response = await session.get(url)
                    said = response.status, response.method, await response.read()
                    t.say(*said, response.content_type)
        t.say(len(m._matches))


@scripts(
    partial=lambda a: functools.partial(a, "bound"),
    mock=lambda a: Mock(return_value=None),
    async_mock=lambda a: AsyncMock(return_value=None),
    not_callable=lambda a: "text",
)
async def kinds_of_callback(t, make):
    def answer(*args, **kwargs):
        t.say(*[str(arg) for arg in args])

    with t.aioresponses() as m:
        m.get(PLACE, callback=make(answer), body="static")
        await t.get()


@script()
async def callback_object(t):
    class Answer:
        def __call__(self, url, **kwargs):
            return t.CallbackResult(body="object", reason="OK")

        def method(self, url, **kwargs):
            return t.CallbackResult(body="method", reason="OK")

        async def later(self, url, **kwargs):
            return t.CallbackResult(body="later", reason="OK")

    with t.aioresponses() as m:
        for each in (Answer(), Answer().method, Answer().later):
            m.get(PLACE, callback=each)
            await t.get()


@script(
    why="an object with an async `__call__` is awaited",
    ours=[
        "200 OK http://x.test b'object'",
        "  headers [('content-type', 'application/json')]",
    ],
)
async def callback_object_with_async_call(t):
    class Answer:
        async def __call__(self, url, **kwargs):
            return t.CallbackResult(body="object", reason="OK")

    with t.aioresponses() as m:
        m.get(PLACE, callback=Answer())
        await t.get()


@script()
async def callback_and_exception(t):
    with t.aioresponses() as m:
        m.get(PLACE, callback=lambda url, **_: t.say("asked"), exception=ValueError("v"))
        await t.get()


@script()
async def callback_that_raises_is_not_used_up(t):
    tries = []

    def answer(url, **kwargs):
        tries.append(url)
        if len(tries) < 3:
            raise aiohttp.ClientConnectionError(f"try {len(tries)}")
        return t.CallbackResult(payload=len(tries), reason="OK")

    with t.aioresponses() as m:
        m.get(PLACE, callback=answer)
        for _ in range(4):
            try:
                await t.get()
            except AssertionError as error:
                t.error(error)


@script()
async def callback_that_registers(t):
    with t.aioresponses() as m:

        def answer(url, **kwargs):
            m.get(f"{PLACE}/next", body="next")

        m.get(PLACE, callback=answer)
        await t.get()
        await t.get(f"{PLACE}/next")


@script(
    why="the reason of a callback's status is its phrase",
    ours=["OK Not Found", "raised ClientResponseError"],
)
async def callback_reason(t):
    with t.aioresponses() as m:
        m.get(PLACE, callback=lambda *_, **__: t.CallbackResult())
        m.get(PLACE, callback=lambda *_, **__: t.CallbackResult(status=404))
        async with aiohttp.ClientSession() as session:
            one, two = await session.get(PLACE), await session.get(PLACE)
            t.say(one.reason, two.reason)
            with t.errors(text=False):
                two.raise_for_status()


@script()
async def callback_makes_a_request(t):
    async with aiohttp.ClientSession() as session:

        async def answer(url, **kwargs):
            inner = await session.get(f"{PLACE}/inner")
            return t.CallbackResult(body=await inner.read(), reason="OK")

        with t.aioresponses() as m:
            m.get(PLACE, callback=answer)
            m.get(f"{PLACE}/inner", body="inner")
            await t.show(session.get(PLACE))
            t.requests(m)


@script()
async def slow_callback_and_timeout(t):
    async def answer(url, **kwargs):
        await asyncio.sleep(0.05)

    with t.aioresponses() as m:
        m.get(PLACE, callback=answer, body="late")
        await t.get(timeout=aiohttp.ClientTimeout(total=0.01))


# Redirects.


@scripts(
    absolute=("http://y.test/b", "http://y.test/b"),
    relative=("b", "http://x.test/dir/b"),
    rooted=("/b", "http://x.test/b"),
    up=("../b", "http://x.test/b"),
    query=("/b?a=1&z=2", "http://x.test/b?a=1&z=2"),
    empty=Differs(
        "",
        "http://x.test/dir/a",
        why="redirects are aiohttp's own",
        ours=[
            "302 Found http://x.test/dir/a b'moved'",
            "  headers [('content-type', 'application/json'), ('location', '')]",
            "  history [(302, 'http://x.test/dir/a')]",
            "request GET http://x.test/dir/a () {'allow_redirects': True}",
            "1",
        ],
    ),
)
async def redirect(t, location, target):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/dir/a", status=302, headers={"Location": location}, body="moved")
        m.get(target, body="there")
        await t.get(f"{PLACE}/dir/a")
        t.requests(m)
        t.say(len(m._responses))


@scripts(
    **{
        f"{method}_{status}": (method, status)
        for method in ("get", "post", "put", "delete")
        for status in (301, 302, 303, 307, 308)
    }
)
async def redirect_of(t, method, status):
    with t.aioresponses() as m:
        m.add(PLACE, method, status=status, headers={"Location": "/b"})
        m.get(f"{PLACE}/b", body="there")
        async with aiohttp.ClientSession() as session:
            await t.show(
                session.request(method.upper(), PLACE, data=b"x" if method != "get" else None)
            )
        t.say(len(m._matches), [(key[0], str(key[1])) for key in m.requests])


@script(
    why="redirects are aiohttp's own",
    ours=[
        "200 OK http://x.test/b b''",
        "  headers [('content-type', 'application/json')]",
        "  history [(302, 'http://x.test')]",
    ],
)
async def redirect_of_head(t):
    with t.aioresponses() as m:
        m.head(PLACE, status=302, headers={"Location": "/b"})
        m.get(f"{PLACE}/b", body="there")
        async with aiohttp.ClientSession() as session:
            await t.show(session.head(PLACE, allow_redirects=True))


@script()
async def redirects_in_a_row(t):
    with t.aioresponses() as m:
        m.get(PLACE, status=301, headers={"Location": "/1"})
        m.get(f"{PLACE}/1", status=302, headers={"Location": "/2"})
        m.get(f"{PLACE}/2", status=307, headers={"Location": "/3"})
        m.get(f"{PLACE}/3", payload={"end": True})
        response = await t.get()
        t.say([hop.method for hop in response.history], response.method)


@script()
async def redirect_not_followed(t):
    with t.aioresponses() as m:
        m.get(PLACE, status=302, headers={"Location": "/b"}, body="moved")
        await t.get(allow_redirects=False)


@script()
async def redirect_without_location(t):
    with t.aioresponses() as m:
        m.get(PLACE, status=302, body="moved")
        await t.get()


@script()
async def redirect_to_nowhere(t):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/a", status=302, headers={"Location": "/b"})
        await t.get(f"{PLACE}/a")


@script()
async def redirect_to_a_failure(t):
    error = ConnectionResetError("r")
    with t.aioresponses() as m:
        m.get(PLACE, status=302, headers={"Location": "/b"})
        m.get(f"{PLACE}/b", exception=error)
        m.get(f"{PLACE}/b", body="not asked")
        try:
            await t.get()
        except ConnectionResetError as raised:
            t.say(raised is error)
        t.say(len(m._matches))


@script()
async def redirect_to_a_callback(t):
    async def answer(url, **kwargs):
        t.say(str(url), sorted(kwargs))
        return t.CallbackResult(payload={"a": 1}, reason="OK")

    with t.aioresponses() as m:
        m.post(PLACE, status=303, headers={"Location": "/b"})
        m.get(f"{PLACE}/b", callback=answer)
        async with aiohttp.ClientSession() as session:
            await t.show(session.post(PLACE, json={}))


@script()
async def redirect_to_another_scheme(t):
    with t.aioresponses() as m:
        m.get(PLACE, status=302, headers={"Location": "app://callback?code=1"})
        await t.get()


@script(
    why="redirects end",
    ours=["raised TooManyRedirects"],
)
async def redirect_loop(t):
    turns = 0

    def answer(url, **kwargs):
        nonlocal turns
        turns += 1
        if turns > 50:
            raise RecursionError
        return t.CallbackResult(status=302, headers={"Location": str(url)})

    with t.aioresponses() as m:
        m.get(PLACE, callback=answer, repeat=True)
        with t.errors(text=False):
            async with aiohttp.ClientSession() as session:
                await session.get(PLACE)


@script(
    why="the query of a Location may stand in any order",
    ours=[
        "200 OK http://x.test/b?z=1&a=2 b'there'",
        "  headers [('content-type', 'application/json')]",
        "  history [(302, 'http://x.test')]",
    ],
)
async def redirect_with_unsorted_query(t):
    with t.aioresponses() as m:
        m.get(PLACE, status=302, headers={"Location": "/b?z=1&a=2"})
        m.get(f"{PLACE}/b?z=1&a=2", body="there")
        await t.get()
