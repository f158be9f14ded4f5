"""Starting, stopping, decorating, nesting, sessions of every kind, and the insides."""

import asyncio
import contextlib
import inspect
import re
import threading
import unittest
from unittest.mock import AsyncMock, MagicMock, Mock, patch

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from differential import PLACE, script, scripts
from yarl import URL


@script()
async def start_and_stop(t):
    m = t.aioresponses()
    m.start()
    m.get(PLACE, body="yes", repeat=True)
    await t.get()
    m.clear()
    await t.get()
    m.get(PLACE, body="again")
    await t.get()
    m.stop()
    t.say(len(m._matches), len(m._responses), len(m.requests))
    m.start()
    t.say(len(m._matches), len(m._responses), len(m.requests))
    m.stop()
    m.stop()


@script()
async def used_again(t):
    mock = t.aioresponses()
    for body in ("one", "two"):
        with mock as m:
            t.say(m is mock)
            m.get(PLACE, body=body, repeat=True)
            await t.get()
    t.requests(mock)


@script()
async def stops_after_an_error(t):
    real = aiohttp.ClientSession._request
    with contextlib.suppress(ValueError), t.aioresponses():
        raise ValueError
    t.say(aiohttp.ClientSession._request is real)


@script(
    why="routes may be registered before the start",
    ours=["200 OK http://x.test b'early'", "  headers [('content-type', 'application/json')]"],
)
async def registered_before_the_start(t):
    m = t.aioresponses()
    m.get(PLACE, body="early")
    with m:
        await t.get()


@script(
    why="`async with` works",
    ours=["200 OK http://x.test b'yes'", "  headers [('content-type', 'application/json')]"],
)
async def async_with(t):
    async with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        await t.get()


@script(
    why="mocks nest",
    ours=[
        "inner inner",
        "outer outer",
        "raised ClientConnectionError Connection refused: GET http://x.test/nowhere",
        "outer again",
        "[('GET', 'http://x.test/inner'), ('GET', 'http://x.test/outer'), ('GET', 'http://x.test/nowhere')]",
    ],
)
async def nested(t):
    with t.aioresponses() as outer:
        outer.get(f"{PLACE}/outer", body="outer", repeat=True)
        outer.get(f"{PLACE}/inner", body="not asked")
        async with aiohttp.ClientSession() as session:
            with t.aioresponses() as inner:
                inner.get(f"{PLACE}/inner", body="inner")
                t.say("inner", await (await session.get(f"{PLACE}/inner")).text())
                t.say("outer", await (await session.get(f"{PLACE}/outer")).text())
                with t.errors():
                    await session.get(f"{PLACE}/nowhere")
            t.say(await (await session.get(f"{PLACE}/outer")).text(), "again")
            t.say([(method, str(url)) for method, url in inner.requests])


@script()
def param(t):
    @t.aioresponses(param="mocked")
    def sync(a, mocked, b=2):
        t.say(a, b, type(mocked).__name__)
        return "returned"

    t.say(sync(1), sync.__name__)


@script()
async def decorator(t):
    @t.aioresponses()
    def sync(a, m):
        m.get(PLACE)
        t.say(a, type(m).__name__, len(m._matches))
        return "returned"

    @t.aioresponses()
    async def later(a, m, b=3):
        """Say something."""
        m.get(PLACE, body="yes")
        await t.get()
        t.say(a, b)
        return "returned"

    t.say(sync(1), await later(2), await later(2, b=4))
    t.say(inspect.iscoroutinefunction(later), later.__name__, later.__doc__)


@script()
async def decorator_with_passthrough(t):
    @t.aioresponses(passthrough=["http://y.test"])
    async def later(m):
        m.get(PLACE, body="yes")
        await t.get()

    await later()


@script()
async def decorators_in_a_row(t):
    @t.aioresponses()
    @patch("json.loads", return_value="patched")
    async def outside(m, loads):
        t.say(type(m).__name__, type(loads).__name__)

    @patch("json.loads", return_value="patched")
    @t.aioresponses()
    async def inside(loads, m):
        t.say(type(m).__name__, type(loads).__name__)

    await outside()
    await inside()


@script()
def unittest_case(t):
    class Case(unittest.IsolatedAsyncioTestCase):
        def setUp(self):
            self.mock = t.aioresponses()
            self.mock.start()
            self.addCleanup(self.mock.stop)

        async def asyncSetUp(self):
            self.session = aiohttp.ClientSession()
            self.addAsyncCleanup(self.session.close)

        async def test_one(self):
            self.mock.get(PLACE, body="one")
            await t.show(self.session.get(PLACE))

        @t.aioresponses()
        async def test_two(self, m):
            t.say(type(m).__name__)

    case = Case("test_one")
    result = unittest.TestResult()
    case.run(result)
    t.say(result.testsRun, result.errors, result.failures)


@script()
def sync_around_async(t):
    async def main():
        await t.get()

    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        asyncio.run(main())
        asyncio.run(main())


@script()
def several_loops(t):
    """A session that lives through several loops."""
    made = []

    async def make():
        made.append(aiohttp.ClientSession())

    async def use():
        await t.show(made[0].get(PLACE))
        await t.show(made[0].post(PLACE, json={"a": 1}))

    async def close():
        await made[0].close()

    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        m.post(PLACE, body="yes", repeat=True)
        for step in (make, use, use, close):
            asyncio.run(step())


@script()
def session_of_an_idle_loop(t):
    other = asyncio.new_event_loop()

    async def make():
        return aiohttp.ClientSession()

    session = other.run_until_complete(make())

    async def use():
        await t.show(session.get(PLACE))

    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        asyncio.run(use())
    other.run_until_complete(session.close())
    other.close()


@script()
def threads(t):
    said = []

    def work(n):
        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{PLACE}/{n}") as response:
                    said.append(await response.text())

        asyncio.run(main())

    with t.aioresponses() as m:
        for n in range(4):
            m.get(f"{PLACE}/{n}", body=f"thread {n}")
        workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        t.say(sorted(said), len(m.requests))


@script()
async def concurrent(t):
    with t.aioresponses() as m:
        for n in range(20):
            m.get(PLACE, body=str(n))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:

            async def one():
                async with session.get(PLACE) as response:
                    return await response.text()

            t.say(sorted(await asyncio.gather(*(one() for _ in range(20)))))


@script()
async def concurrent_responses_held(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            held = [await session.get(PLACE) for _ in range(5)]
            t.say([await each.text() for each in held])


@script(
    why="a use is reserved before a callback is awaited",
    ours=["['ClientConnectionError', 'answered']"],
)
async def concurrent_callbacks(t):
    async def answer(url, **kwargs):
        await asyncio.sleep(0)
        return t.CallbackResult(body="answered", reason="OK")

    with t.aioresponses() as m:
        m.get(PLACE, callback=answer)
        async with aiohttp.ClientSession() as session:

            async def one():
                try:
                    async with session.get(PLACE) as response:
                        return await response.text()
                except Exception as error:
                    return type(error).__name__

            t.say(sorted(await asyncio.gather(one(), one())))


@script(since=(3, 11))
async def needs_no_turn_of_the_loop(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        m.get(f"{PLACE}/moved", status=302, headers={"Location": "/"}, repeat=True)
        async with aiohttp.ClientSession() as session:
            for url in (PLACE, f"{PLACE}/moved"):
                task = asyncio.ensure_future(t.show(session.get(url)))
                await asyncio.sleep(0)
                t.say(task.done())


@script()
async def closed_session(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        session = aiohttp.ClientSession()
        await session.close()
        with t.errors():
            await session.get(PLACE)
        t.say(len(m.requests))


@script()
async def closed_connector(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        connector = aiohttp.TCPConnector()
        session = aiohttp.ClientSession(connector=connector)
        await connector.close()
        with t.errors():
            await session.get(PLACE)
        session.detach()


@scripts(mock=Mock, magic=MagicMock)
async def mocked_connector(t, kind):
    connector = kind()
    connector._loop = asyncio.get_running_loop()
    connector.closed = False
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        session = aiohttp.ClientSession(connector=connector)
        await t.show(session.get(PLACE))
        session.detach()


@script()
async def connector_with_a_connect_of_its_own(t):
    class Own(aiohttp.TCPConnector):
        async def connect(self, *args, **kwargs):
            raise AssertionError("never asked")

    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        async with aiohttp.ClientSession(connector=Own()) as session:
            await t.show(session.get(PLACE))


@scripts(
    unix=lambda: aiohttp.UnixConnector("/nowhere"),
    force_close=lambda: aiohttp.TCPConnector(force_close=True),
    limit=lambda: aiohttp.TCPConnector(limit=1, limit_per_host=1),
    no_ssl=lambda: aiohttp.TCPConnector(ssl=False),
    tls=lambda: aiohttp.TCPConnector(enable_cleanup_closed=True),
)
async def connectors(t, make):
    with t.aioresponses() as m:
        m.get("https://x.test", body="yes", repeat=True)
        m.get(PLACE, body="yes", repeat=True)
        async with aiohttp.ClientSession(connector=make()) as session:
            await t.show(session.get("https://x.test"))
            await t.show(session.get(PLACE))
            await t.show(session.get(PLACE))


@script()
async def mocked_cookie_jar(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", headers={"Set-Cookie": "a=1"})
        async with aiohttp.ClientSession(cookie_jar=Mock()) as session:
            await t.show(session.get(PLACE))


@script()
async def request_called_directly(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        async with aiohttp.ClientSession() as session:
            await t.show(session._request("GET", PLACE))
            await t.show(aiohttp.ClientSession._request(session, "GET", PLACE))
        async with aiohttp.request("GET", PLACE) as response:
            t.say(response.status)
        t.say([(method, str(url), len(calls)) for (method, url), calls in m.requests.items()])


@script()
async def subclassed_session(t):
    class Session(aiohttp.ClientSession):
        async def _request(self, method, url, **kwargs):
            t.say("mine", method)
            return await super()._request(method, url, **kwargs)

        def _build_url(self, url):
            return super()._build_url(f"{PLACE}{url}")

    with t.aioresponses() as m:
        m.get(f"{PLACE}/a", body="yes")
        async with Session() as session:
            await t.show(session.get("/a"))
        t.requests(m)


@script()
async def session_without_anything(t):
    """A stand-in for a session that has only what aioresponses asks for."""
    session = MagicMock()
    session.closed = False
    session.headers = {}
    session._raise_for_status = False
    session._build_url = URL
    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        await t.show(m._request_mock(session, "GET", PLACE))
        await t.show(m._request_mock(session, "GET", PLACE))
        t.say(len(m.requests), len(m._responses))


@script()
async def patched_sleep_and_clock(t):
    with patch("asyncio.sleep", AsyncMock()), patch("time.sleep"), t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        m.post(PLACE, body="yes", repeat=True)
        async with aiohttp.ClientSession() as session:
            await t.show(session.get(PLACE, timeout=aiohttp.ClientTimeout(total=5)))
            await t.show(session.post(PLACE, json={"a": 1}))


@script()
async def frozen_loop_time(t):
    loop = asyncio.get_running_loop()
    with patch.object(loop, "time", return_value=0.0), t.aioresponses() as m:
        m.get(PLACE, body="yes")
        m.post(PLACE, body="yes")
        async with aiohttp.ClientSession() as session:
            await t.show(session.get(PLACE))
            await t.show(session.post(PLACE, data=b"x" * 100_000))


@script()
async def patched_request(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        with patch.object(aiohttp.ClientSession, "_request", AsyncMock(return_value="patched")):
            async with aiohttp.ClientSession() as session:
                t.say(await session._request("GET", PLACE))
        await t.get()


@script()
async def websocket(t):
    with t.aioresponses() as m:
        m.get("ws://x.test/ws", body="yes")
        async with aiohttp.ClientSession() as session:
            with t.errors(text=False):
                await session.ws_connect("ws://x.test/ws")
            with t.errors(text=False):
                await session.ws_connect("ws://x.test/nowhere")


@script(why="a connection stays open between calls", ours=["0", "False"])
async def leaves_no_task_or_timer(t):
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        m.post(PLACE, body="yes", repeat=True)
        async with aiohttp.ClientSession() as session:
            for call in (session.get, session.post):
                async with call(PLACE, json={"a": 1}) as response:
                    await response.read()
            await asyncio.sleep(0)
            t.say(len(asyncio.all_tasks() - before))
            t.say(len([h for h in loop._scheduled if not h.cancelled()]) <= 1)


@script()
async def response_left_alone(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="x" * 500_000, repeat=True)
        async with aiohttp.ClientSession() as session:
            response = await session.get(PLACE)
            t.say(response.closed, response.connection)
            async with session.get(PLACE):
                pass
            t.say(len(session.connector._acquired))


# Passing through.


@contextlib.asynccontextmanager
async def server():
    """Serve on loopback."""

    async def answer(request):
        body = await request.text()
        return web.Response(text=f"real {request.method} {request.path_qs} {body}")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    served = TestServer(app)
    await served.start_server()
    try:
        yield f"http://127.0.0.1:{served.port}"
    finally:
        await served.close()


async def text_of(call):
    """Return status and text of a call."""
    async with call as response:
        return response.status, await response.text()


@script()
async def passthrough(t):
    async with server() as origin, aiohttp.ClientSession() as session:
        with t.aioresponses(passthrough=[origin]) as m:
            m.get(PLACE, body="yes")
            m.get(f"{origin}/mocked", body="never asked")
            t.say(await text_of(session.get(f"{origin}/a?b=2&a=1")))
            t.say(await text_of(session.post(f"{origin}/p", json={"a": 1}, params={"q": "ü"})))
            t.say(await text_of(session.get(f"{origin}/mocked")))
            t.say(await text_of(session.get(PLACE)))
            with t.errors():
                await session.get(f"{PLACE}/nowhere")
            t.say(len(m.requests), len(m._responses))


@script()
async def passthrough_prefix(t):
    async with server() as origin, aiohttp.ClientSession() as session:
        with t.aioresponses(passthrough=[f"{origin}/real"]) as m:
            m.get(f"{origin}/mock", body="yes")
            t.say(await text_of(session.get(f"{origin}/really")))
            t.say(await text_of(session.get(f"{origin}/mock")))


@script()
async def passthrough_unmatched(t):
    async with server() as origin, aiohttp.ClientSession() as session:
        with t.aioresponses(passthrough_unmatched=True) as m:
            m.get(f"{origin}/mock", body="yes")
            t.say(await text_of(session.get(f"{origin}/mock")))
            t.say(await text_of(session.get(f"{origin}/mock")))
            t.say(await text_of(session.post(f"{origin}/p", data="x")))
            t.say([(method, url.path) for method, url in m.requests], len(m._responses))
            m.passthrough_unmatched = False
            with t.errors(text=False):
                await session.get(f"{origin}/mock")


@script()
async def passthrough_ends_with_the_mock(t):
    async with server() as origin, aiohttp.ClientSession() as session:
        with t.aioresponses():
            with t.errors(text=False):
                await session.get(f"{origin}/a")
        t.say(await text_of(session.get(f"{origin}/a")))


@script()
async def raise_for_status_of_what_passes(t):
    async with server() as origin, aiohttp.ClientSession(raise_for_status=True) as session:
        with t.aioresponses(passthrough=[origin]):
            t.say(await text_of(session.get(f"{origin}/a", allow_redirects=False)))


# The insides.


@script()
async def matches(t):
    with t.aioresponses() as m:
        m.get(f"{PLACE}/a?b=2&a=1", payload=1)
        m.post(re.compile("x"), status=201, repeat=True)
        for key, match in m._matches.items():
            t.say(type(key).__name__, match, match.method, match.url_or_pattern, match.repeat)
            t.say(match.status, match.reason, match.body, match.payload, match.content_type)
            t.say(match.headers, match.exception, match.callback, match.response_class)
            t.say(match.match("GET", URL(f"{PLACE}/a?a=1&b=2")))
        for key in list(m._matches):
            del m._matches[key]
        await t.get(f"{PLACE}/a?b=2&a=1")
        m._matches.clear()


@script()
async def matches_replaced(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="old", repeat=True)
        await t.get()
        key = next(iter(m._matches))
        m._matches[key] = t.core.RequestMatch(PLACE, body="new", repeat=True)
        await t.get()
        m._matches = {"mine": t.core.RequestMatch(URL(PLACE), "GET", 404, "mine")}
        await t.get()
        t.say(len(m._matches))


@script()
async def match_changed(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="old", repeat=True)
        (match,) = m._matches.values()
        match.body, match.status = "new", 201
        await t.get()
        match.exception = ValueError("now")
        await t.get()


@script()
async def add_replaced(t):
    with t.aioresponses() as m:
        add = m.add

        def mine(url, method="GET", **kwargs):
            t.say("add", url, method, sorted(kwargs))
            add(url, method, **kwargs)

        m.add = mine
        m.get(PLACE, body="yes")
        m.delete(PLACE, status=204)
        await t.get()


@script()
async def subclassed(t):
    class Mine(t.aioresponses):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seen = []

        def add(self, url, *args, **kwargs):
            super().add(f"{PLACE}{url}", *args, **kwargs)

        async def match(self, method, url, allow_redirects=True, **kwargs):
            self.seen.append((method, str(url)))
            return await super().match(method, url, allow_redirects, **kwargs)

        async def _request_mock(self, orig_self, method, url, *args, **kwargs):
            response = await super()._request_mock(orig_self, method, url, *args, **kwargs)
            t.say("answered", response.status)
            return response

        def start(self):
            t.say("start")
            super().start()

        def stop(self):
            t.say("stop")
            super().stop()

    with Mine() as m:
        m.get("/a", body="yes", repeat=True)
        await t.get(f"{PLACE}/a")
        await t.get(f"{PLACE}/nowhere")
        t.say(m.seen)


@script()
async def match_called_directly(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes")
        t.say(await (await m.match("GET", URL(PLACE))).text())
        t.say(await m.match("GET", URL(PLACE)))


@script()
async def match_replaced(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=True)
        m.match = AsyncMock(wraps=m.match)
        await t.get()
        t.say(m.match.await_count, [str(arg) for arg in m.match.await_args.args])


@script()
async def responses(t):
    with t.aioresponses() as m:
        m.get(PLACE, body="yes", repeat=2)
        m.get(PLACE, exception=ValueError())
        for _ in range(3):
            await t.get()
        t.say(len(m._responses), [response.status for response in m._responses])
        m.clear()
        t.say(len(m._responses), len(m._matches), len(m.requests))


@script()
def request_match(t):
    match = t.core.RequestMatch(f"{PLACE}/a?b=2&a=1", method="POST", status=201)
    t.say(match, match.method, match.reason, match.match("post", URL(f"{PLACE}/a?a=1&b=2")))
    t.say(match.match_str(URL(PLACE)), match.headers, match.repeat)
    pattern = t.core.RequestMatch(re.compile("http"), timeout=True, headers={"a": "1"})
    t.say(pattern, pattern.match_regexp(URL(PLACE)), repr(pattern.exception), pattern.headers)


@script()
async def build_response(t):
    match = t.core.RequestMatch(PLACE, payload={"a": 1}, status=201, headers={"X-A": "1"})
    response = await match.build_response(URL(PLACE))
    t.say(response.status, response.reason, await response.json(), response.headers["X-A"])
    failing = t.core.RequestMatch(PLACE, exception=ValueError("v"))
    t.say(repr(await failing.build_response(URL(PLACE))))


@script()
def callback_result(t):
    result = t.CallbackResult()
    t.say(sorted(vars(result).items(), key=str))
    t.say(
        vars(t.CallbackResult("POST", 201, "b", "t", {}, {}, None, "r"))
        == vars(
            t.CallbackResult(
                method="POST",
                status=201,
                body="b",
                content_type="t",
                payload={},
                headers={},
                response_class=None,
                reason="r",
            )
        )
    )


@script()
def names(t):
    for module in (t.package, t.core, t.compat):
        wanted = {
            "aioresponses",
            "CallbackResult",
            "RequestMatch",
            "RequestCall",
            "ClientResponse",
            "ClientSession",
            "ClientConnectionError",
            "RequestInfo",
            "TimerNoop",
            "CIMultiDict",
            "CIMultiDictProxy",
            "URL",
            "Pattern",
            "merge_params",
            "normalize_url",
            "stream_reader_factory",
            "AIOHTTP_VERSION",
            "hdrs",
            "http",
            "__version__",
        }
        t.say(sorted(wanted & set(vars(module))))
    t.say(t.package.__all__, t.package.__version__)


@script()
def signatures(t):
    for each in (
        t.aioresponses.add,
        t.aioresponses.get,
        t.aioresponses.assert_called_with,
        t.aioresponses.assert_any_call,
        t.aioresponses.match,
        t.aioresponses._request_mock,
        t.CallbackResult,
        t.core.RequestMatch,
        t.aioresponses,
        t.compat.normalize_url,
        t.compat.merge_params,
        t.compat.stream_reader_factory,
    ):
        parameters = inspect.signature(each).parameters.values()
        t.say([(p.name, str(p.kind), str(p.default)) for p in parameters])


@scripts(unknown={"foo": 1}, method={"method": "POST"})
def wrong_arguments(t, kwargs):
    with t.aioresponses() as m:
        with t.errors(text=False):
            m.get(PLACE, **kwargs)
        with t.errors(text=False):
            t.aioresponses(**kwargs)


@scripts(none=None, int=5, bytes=b"http://x.test", list=[PLACE])
async def wrong_url(t, given):
    with t.aioresponses() as m:
        with t.errors(text=False):
            m.get(given)
        async with aiohttp.ClientSession() as session:
            with t.errors(text=False):
                await session.get(given)


@script()
def stream_reader(t):
    async def main():
        reader = t.compat.stream_reader_factory(asyncio.get_running_loop())
        reader.feed_data(b"x" * 10)
        reader.feed_eof()
        t.say(await reader.read())

    asyncio.run(main())


@script()
async def patched_names(t):
    """What suites patch to limp past a newer aiohttp."""
    core = t.core.__name__

    class Response(aiohttp.ClientResponse):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    original = aiohttp.ClientResponse.__init__

    def patched(self, *args, **kwargs):
        original(self, *args, **kwargs)

    with (
        patch(f"{core}.ClientResponse", Response),
        patch.object(aiohttp.ClientResponse, "__init__", patched),
        patch.dict(t.core.__dict__, ClientResponse=Response),
        t.aioresponses() as m,
    ):
        m.get(PLACE, payload=1)
        await t.get()


@script()
async def patcher(t):
    m = t.aioresponses()
    real = aiohttp.ClientSession._request
    with m:
        t.say(m.patcher.temp_original is real, aiohttp.ClientSession._request is real)
    t.say(aiohttp.ClientSession._request is real)


@script()
async def cookies(t):
    with t.aioresponses() as m:
        m.get(PLACE, headers={"Set-Cookie": "a=1; Path=/"})
        m.get(f"{PLACE}/b")
        async with aiohttp.ClientSession() as session:
            await t.show(session.get(PLACE))
            await t.show(session.get(f"{PLACE}/b"))
            t.requests(m)


@script(why="the session's cookie jar is at work", ours=["['a']"])
async def cookie_jar(t):
    with t.aioresponses() as m:
        m.get(PLACE, headers={"Set-Cookie": "a=1; Path=/"})
        async with aiohttp.ClientSession() as session:
            await session.get(PLACE)
            t.say([cookie.key for cookie in session.cookie_jar])


@script(why="tracing is at work", ours=["start GET", "end 200"])
async def tracing(t):
    async def start(session, context, params):
        t.say("start", params.method)

    async def end(session, context, params):
        t.say("end", params.response.status)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(start)
    config.on_request_end.append(end)
    with t.aioresponses() as m:
        m.get(PLACE)
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            await session.get(PLACE)


@script(
    since=(3, 12),
    why="middlewares are at work",
    ours=["before GET http://x.test/a?a=1&b=2", "after 503", "after 200", "b'ok'"],
)
async def middleware(t):
    async def twice(request, handler):
        t.say("before", request.method, request.url)
        response = await handler(request)
        t.say("after", response.status)
        if response.status == 503:
            response = await handler(request)
            t.say("after", response.status)
        return response

    with t.aioresponses() as m:
        m.get(f"{PLACE}/a?b=2&a=1", status=503)
        m.get(f"{PLACE}/a?b=2&a=1", body="ok")
        async with aiohttp.ClientSession(middlewares=[twice]) as session:
            response = await session.get(f"{PLACE}/a?b=2&a=1")
            t.say(await response.read())
