"""What a response shows of what was registered."""

import gzip
import json
from http import HTTPStatus

import aiohttp
from differential import PLACE, script, scripts
from multidict import CIMultiDict, MultiDict


@scripts(
    ok=200,
    created=201,
    no_content=204,
    not_modified=304,
    redirect=302,
    bad=400,
    teapot=418,
    server=500,
    unavailable=503,
    odd=299,
    unknown=599,
    six_hundred=600,
    nine=999,
    zero=0,
    one=100,
    early=103,
    negative=-1,
    thousand=1000,
    enum=HTTPStatus.ACCEPTED,
    text="404",
    upgrade=101,
    processing=102,
    partial=206,
    multiple=300,
)
async def status(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, status=given, body="the body")
        response = await t.get()
        with t.errors(text=False):
            t.say(response.ok)


@scripts(no_content=204, not_modified=304, ok=200, error=500)
async def status_without_body(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, status=given)
        await t.get()


@scripts(
    text="text",
    umlaut="ü",
    empty="",
    bytes=b"\x00\xff\r\n",
    none=None,
    dict={"a": 1},
    int=5,
    list=[1],
    bytearray=bytearray(b"x"),
    newline="a\r\n\r\nb",
    http="HTTP/1.1 200 OK\r\n\r\n",
)
async def body(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, body=given)
        await t.get()


@scripts(
    dict={"a": 1},
    list=[],
    zero=0,
    false=False,
    empty="",
    text="ü",
    none=None,
    nested={"a": [{}]},
    float=1.5,
    unserialisable=object(),
)
async def payload(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, payload=given, body="the body")
        response = await t.get()
        if response is not None:
            with t.errors(text=False):
                t.say(await response.json())


@scripts(
    plain="text/plain",
    charset="text/html; charset=latin-1",
    json="application/problem+json",
    none=None,
    spaces=" text/plain ",
    upper="TEXT/PLAIN",
    boundary='multipart/mixed; boundary="x y"',
    int=5,
)
async def content_type(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, body=b"\xe4", content_type=given)
        response = await t.get()
        if response is not None:
            t.say(response.content_type, response.charset)
            with t.errors(text=False):
                t.say(repr(await response.text()))
            with t.errors(text=False):
                t.say(repr(await response.json()))


@scripts(empty="", odd="nonsense")
async def content_type_that_is_none(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, body="{}", content_type=given)
        await t.get()


@scripts(
    dict={"X-A": "1", "x-b": "2"},
    type_again={"Content-Type": "text/plain"},
    type_lower={"content-type": "text/plain"},
    multi=CIMultiDict([("X-A", "1"), ("X-A", "2")]),
    multidict=MultiDict([("X-A", "1"), ("x-a", "2")]),
    pairs=[("X-A", "1"), ("X-A", "2")],
    cookies=CIMultiDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/; HttpOnly")]),
    cookie={"Set-Cookie": "a=1; Max-Age=100"},
    length_right={"Content-Length": "8"},
    length_short={"Content-Length": "3"},
    length_long={"Content-Length": "1000"},
    length_zero={"Content-Length": "0"},
    length_odd={"Content-Length": "many"},
    length_negative={"Content-Length": "-1"},
    chunked={"Transfer-Encoding": "chunked"},
    chunked_and_length={"Transfer-Encoding": "chunked", "Content-Length": "8"},
    coding_odd={"Transfer-Encoding": "gzip, chunked"},
    close={"Connection": "close"},
    keep_alive={"Connection": "keep-alive", "Keep-Alive": "timeout=5"},
    upgrade={"Connection": "Upgrade", "Upgrade": "websocket"},
    encoding_not_done={"Content-Encoding": "gzip"},
    encoding_unknown={"Content-Encoding": "zip"},
    encoding_identity={"Content-Encoding": "identity"},
    int={"X-A": 1},
    none={"X-A": None},
    umlaut={"X-A": "ü"},
    emoji={"X-A": "\U0001f600"},
    spaces={"X-A": "  x  "},
    empty={"X-A": ""},
    newline={"X-A": "a\r\nX-B: b"},
    nul={"X-A": "a\x00b"},
    tab={"X-A": "a\tb"},
    space_in_name={"X A": "1"},
    colon_in_name={"X:A": "1"},
    empty_name={"": "1"},
    umlaut_in_name={"Ü": "1"},
    huge={"X-A": "x" * 20_000},
    many={f"X-{n}": str(n) for n in range(150)},
    nothing=None,
    empty_dict={},
    location={"Location": "/b"},
    date={"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "Server": "s"},
    link={"Link": '<http://x.test/2>; rel="next"'},
)
async def headers(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, body="the body", headers=given)
        response = await t.get()
        if response is not None:
            raw = [(name.lower(), value) for name, value in response.raw_headers]
            t.say(raw if len(raw) < 9 else "many")
            t.say(response.links)


@scripts(
    plain=({}, {}),
    empty=({"body": ""}, {}),
    payload=({"payload": {"a": 1}}, {}),
    no_content=({"status": 204}, {}),
    no_content_with_a_body=({"status": 204, "body": "x"}, {}),
    not_modified=({"status": 304}, {"ETag": '"1"', "Content-Length": "1000"}),
    length=({"body": "yes"}, {"Content-Length": "3"}),
    no_length=({"body": "yes"}, {"Content-Length": "many"}),
    chunked=({"body": "yes"}, {"Transfer-Encoding": "chunked"}),
)
async def head_and_body(t, given, headers):
    with t.aioresponses() as m:
        m.get(PLACE, headers=headers, repeat=True, **given)
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                response = await session.get(PLACE)
                t.say(response.status, response.reason, response.raw_headers)
                with t.errors(text=False):
                    t.say(response.content_length)
                response.headers["X-Of-The-App"] = "1"
                t.say(_lines(response.headers), response.content_type)
                if response.content.total_bytes:  # aiohttp's stream of nothing has no last chunk
                    t.say([chunk async for chunk in response.content.iter_chunks()])


@scripts(default=None, own="Very Good", empty="", umlaut="Gööd", newline="a\r\nb", spaces=" x ")
async def reason(t, given):
    with t.aioresponses() as m:
        m.get(PLACE, reason=given)
        m.get(PLACE, status=404, reason=given)
        await t.get()
        response = await t.get()
        with t.errors(text=False):
            response.raise_for_status()


@script()
async def reply_is_mutable_json(t):
    with t.aioresponses() as m:
        answer = {"a": 1}
        m.get(PLACE, payload=answer, repeat=True)
        await t.get()
        answer["a"] = 2
        await t.get()


@script()
async def gzipped(t):
    with t.aioresponses() as m:
        coded = {"Content-Encoding": "gzip"}
        m.get(PLACE, body=gzip.compress(b"plain", mtime=0), headers=coded)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            async with session.get(PLACE) as response:
                t.say(gzip.decompress(await response.read()))


@script(
    why="compressed bodies are unpacked",
    ours=["b'plain'"],
)
async def gzipped_and_unpacked(t):
    with t.aioresponses() as m:
        coded = {"Content-Encoding": "gzip"}
        m.get(PLACE, body=gzip.compress(b"plain", mtime=0), headers=coded)
        async with aiohttp.ClientSession() as session, session.get(PLACE) as response:
            t.say(await response.read())


@scripts(head="head", get="get", post="post", options="options")
async def body_of_method(t, method):
    with t.aioresponses() as m:
        getattr(m, method)(PLACE, body="the body", headers={"X-A": "1"}, repeat=True)
        async with aiohttp.ClientSession() as session:
            await t.show(getattr(session, method)(PLACE), method=True)
            await t.show(session.request(method, PLACE), method=True)


@script()
async def head_with_length(t):
    with t.aioresponses() as m:
        m.head(PLACE, headers={"Content-Length": "1000", "Accept-Ranges": "bytes"})
        async with aiohttp.ClientSession() as session, session.head(PLACE) as response:
            t.say(response.status, response.headers["Content-Length"], await response.read())


@scripts(kilobytes=2**16 + 1, megabytes=3 * 2**20)
async def long_body(t, size):
    with t.aioresponses() as m:
        m.get(PLACE, body=b"0123456789" * (size // 10), repeat=True)
        await t.get()
        async with aiohttp.ClientSession() as session:
            async with session.get(PLACE) as response:
                t.say(sum([len(c) async for c in response.content.iter_chunked(1000)]))
            async with session.get(PLACE) as response:
                t.say([len(chunk) async for chunk in response.content.iter_any()])
            async with session.get(PLACE) as response:
                t.say("left unread")


@script()
async def ways_to_read(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="one\ntwo\n\nthree", repeat=True)
        async with aiohttp.ClientSession() as session:
            response = await session.get(PLACE)
            t.say([line async for line in response.content])
            response = await session.get(PLACE)
            t.say([chunk async for chunk in response.content.iter_chunked(4)])
            response = await session.get(PLACE)
            t.say([chunk async for chunk in response.content.iter_any()])
            response = await session.get(PLACE)
            t.say([chunk async for chunk in response.content.iter_chunks()])
            response = await session.get(PLACE)
            t.say(await response.content.readline(), await response.content.read(2))
            t.say(await response.content.readexactly(3), response.content.at_eof())
            response = await session.get(PLACE)
            t.say(await response.content.readany(), await response.content.read())
            response = await session.get(PLACE)
            t.say(await response.text(), await response.text(), await response.read())
            response = await session.get(PLACE)
            with t.errors(text=False):
                await response.json()


@script()
async def attributes(t):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/a?b=2&a=1", payload={}, headers={"X-A": "1"})
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{PLACE}/a?b=2&a=1", headers={"X-Mine": "m"})
            t.say(type(response).__name__, response.closed, response.connection)
            t.say(response.url, response.host, response.content_length, response.content_type)
            t.say(response.content_disposition, response.charset, response.links)
            t.say(response.request_info.url, response.request_info.method)
            t.say(dict(response.request_info.headers), response.method)
            t.say(response.get_encoding(), response.history, dict(response.cookies))
            response.release()
            response.close()
            t.say(await response.json())


@script()
async def repr_of_response(t):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/a", status=404)
        async with aiohttp.ClientSession() as session:
            t.say(str(await session.get(f"{PLACE}/a")).split("\n")[0])


class Own(aiohttp.ClientResponse):
    """A response class of the suite's own."""

    own = "own"


@script()
async def response_class(t):
    with t.aioresponses() as m:
        m.get(PLACE, response_class=Own, payload=1)
        m.get(PLACE, payload=2)
        m.get(PLACE, status=204, body="x", response_class=Own)
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                response = await session.get(PLACE)
                t.say(isinstance(response, Own), await response.read())


@script(why="the session's `response_class` is used", ours=["True"])
async def response_class_of_session(t):
    with t.aioresponses() as m:
        m.get(PLACE, payload=2)
        async with aiohttp.ClientSession(response_class=Own) as session:
            t.say(isinstance(await session.get(PLACE), Own))


@scripts(
    default=(None, None),
    session=(True, None),
    call=(None, True),
    call_says_no=(True, False),
)
async def raise_for_status(t, of_session, of_call):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/a?b=1", status=404, payload={"why": "gone"}, headers={"X-A": "1"})
        m.get(PLACE, status=200)
        kwargs = {} if of_session is None else {"raise_for_status": of_session}
        async with aiohttp.ClientSession(**kwargs) as session:
            kwargs = {} if of_call is None else {"raise_for_status": of_call}
            await t.show(session.get(f"{PLACE}/a?b=1", **kwargs))
            await t.show(session.get(PLACE, **kwargs))
        t.requests(m)
        t.say(len(m._responses))


@script()
async def raise_for_status_callback(t):
    async def check(response):
        t.say("check", response.status, await response.text())
        if response.status == 404:
            raise LookupError("gone")

    with t.aioresponses() as m:
        m.get(PLACE, status=404, body="a")
        m.get(PLACE, status=500, body="b")
        async with aiohttp.ClientSession(raise_for_status=check) as session:
            await t.show(session.get(PLACE))
            await t.show(session.get(PLACE))


@script()
async def client_response_error(t):
    with t.aioresponses() as m:
        m.post(f"{PLACE}/a?b=1", status=418, headers={"X-A": "1"})
        async with aiohttp.ClientSession() as session:
            response = await session.post(f"{PLACE}/a?b=1")
            try:
                response.raise_for_status()
            except aiohttp.ClientResponseError as error:
                t.say(error.status, error.message, error.history, _lines(error.headers))
                t.say(error.request_info.real_url, error.request_info.url)


def _lines(headers):
    return [(name.lower(), value) for name, value in headers.items()]


@script()
async def json_of_wrong_type(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="{}", content_type="text/html", repeat=True)
        async with aiohttp.ClientSession() as session:
            response = await session.get(PLACE)
            with t.errors(text=False):
                await response.json()
            t.say(await response.json(content_type=None))
            t.say(await (await session.get(PLACE)).json(content_type="text/html", loads=json.loads))


@script()
async def read_after_the_session(t):
    with t.aioresponses() as m:
        m.get(PLACE, payload={"a": 1})
        async with aiohttp.ClientSession() as session:
            response = await session.get(PLACE)
        t.say(await response.json())


@script(
    why="a response outlives the mock",
    ours=["raised nothing", "{'a': 1}"],
)
async def read_after_the_mock(t):
    said = None
    async with aiohttp.ClientSession() as session:
        with t.aioresponses() as m:
            m.get(PLACE, payload={"a": 1})
            response = await session.get(PLACE)
        with t.errors():
            said = await response.json()
    if said is not None:
        t.say(said)


@script()
async def shared_response_object(t):
    with t.aioresponses() as m:
        m.get(PLACE, payload={"a": 1}, repeat=True)
        async with aiohttp.ClientSession() as session:
            one, two = await session.get(PLACE), await session.get(PLACE)
            t.say(one is two, await one.json(), await two.json())
            t.say([each is other for each, other in zip(m._responses, [one, two], strict=True)])
