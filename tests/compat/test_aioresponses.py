"""What `aiostub.compat.aioresponses` does where aioresponses has no answer, or another."""

import asyncio
import gzip
import inspect
import io
import random
import unittest
from unittest.mock import Mock, patch

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import aiostub
from aiostub.compat.aioresponses import CallbackResult, aioresponses
from aiostub.compat.aioresponses.core import RequestMatch

URL = "http://x.test/a"


async def text(url=URL, **kwargs):
    """Get a URL in a session of its own."""
    async with aiohttp.ClientSession() as session, session.get(url, **kwargs) as response:
        return await response.text()


@pytest.fixture
async def real():
    """Serve on loopback, and give the origin."""

    async def answer(request):
        return web.Response(text=f"real {request.method} {request.path_qs}")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


# Decorators.


@aioresponses()
async def test_pytest_looks_for_no_fixture_of_its_name(mocked):
    """The argument that the decorator gives is hidden."""
    mocked.get(URL, body="yes")
    assert await text() == "yes"


@aioresponses()
async def test_fixtures_come_beside_it(real, mocked):
    """What pytest gives by name does not get in the way of it."""
    mocked.get(URL, body=real)
    assert await text() == real


@aioresponses(param="mocked")
async def test_fixtures_come_beside_a_named_one(mocked, real):
    """With a name of its own it may stand anywhere."""
    mocked.get(URL, body=real)
    assert await text() == real


@aioresponses()
@patch("json.loads", Mock(return_value="patched"))
async def test_patches_that_give_nothing(mocked):
    """A patch with a double of its own takes no argument."""
    mocked.get(URL, body="yes")
    assert await text() == "yes"


@aioresponses()
class TestOfAClass:
    """A decorated class has its test methods decorated."""

    helper = "test_"

    async def test_method(self, mocked):
        """Each test gets the mock."""
        mocked.get(URL, body="yes")
        assert await text() == "yes"

    async def test_another(self, mocked):
        """No route of one test is left for the other."""
        assert mocked._matches == {}


def test_a_named_argument_is_hidden():
    """Whatever looks at the signature sees the other arguments."""
    decorated = aioresponses(param="m")(lambda a, m, b: (a, b))
    assert list(inspect.signature(decorated).parameters) == ["a", "b"]
    assert decorated(1, b=2) == (1, 2)


def test_what_has_no_signature_can_be_decorated():
    """Built-in functions say nothing of their parameters."""

    class Named:
        __name__ = "named"
        __signature__ = "none"

        def __call__(self, *args):
            return len(args)

    assert aioresponses()(Named())(1) == 2


def test_without_a_place_for_it():
    """A function that takes nothing by position is told so by Python."""
    with pytest.raises(TypeError):
        aioresponses()(lambda: None)()


# Lifecycle.


def test_started_twice_stops_at_the_last_stop():
    """A mock that two fixtures start is one mock."""
    real_request = aiohttp.ClientSession._request
    mock = aioresponses()
    mock.start()
    mock.get(URL)
    with mock:
        assert len(mock._matches) == 1
    assert len(mock._matches) == 1
    mock.stop()
    assert aiohttp.ClientSession._request is real_request
    mock.stop()


def test_the_patcher_is_the_mock():
    """Who starts and stops the patcher starts and stops the mock."""
    mock = aioresponses()
    real_request = aiohttp.ClientSession._request
    mock.patcher.start()
    assert aiohttp.ClientSession._request is not real_request
    assert mock.patcher.temp_original is real_request
    mock.patcher.stop()
    assert aiohttp.ClientSession._request is real_request


async def test_nothing_is_checked_at_the_end():
    """Unused answers and unmatched calls fail no test of theirs."""
    with aioresponses() as mock:
        mock.get(URL)
        with pytest.raises(aiohttp.ClientConnectionError):
            await text("http://x.test/other")


async def test_a_stub_inside_is_asked_too():
    """Stubs of ours and mocks of theirs nest in either order."""
    with aioresponses() as mock:
        mock.get(URL, body="mock")
        with aiostub.Stub() as stub:
            stub.get("http://x.test/stub").reply(text="stub")
            assert [await text(), await text("http://x.test/stub")] == ["mock", "stub"]
            with pytest.raises(aiohttp.ClientConnectionError, match="refused: GET"):
                await text("http://x.test/nowhere")


async def test_a_stub_outside_is_not_asked():
    """What the mock does not answer is refused, as behind aioresponses."""
    with aiostub.Stub(strict=False) as stub:
        stub.get("http://x.test/stub").reply(text="stub")
        with aioresponses() as mock:
            mock.get(URL, body="mock")
            assert await text() == "mock"
            with pytest.raises(aiohttp.ClientConnectionError):
                await text("http://x.test/stub")


async def test_nested_and_letting_through(real):
    """What the inner one lets through comes to the outer one."""
    with aioresponses(passthrough=real) as outer:
        outer.get(URL, body="outer")
        with aioresponses(passthrough_unmatched=True):
            assert await text() == "outer"
            assert await text(f"{real}/b") == "real GET /b"


@pytest.mark.parametrize("unmatched", [True, False])
async def test_what_is_let_through_comes_to_a_stub_outside(real, unmatched):
    """Its routes answer, and what they do not goes to the real network."""
    redirect = f"{real}/stub"
    with aiostub.Stub() as stub:
        stub.get(f"{real}/stub").reply(text="stub").times(2)
        with aioresponses(
            passthrough=[] if unmatched else [real], passthrough_unmatched=unmatched
        ) as mock:
            mock.get(URL, status=302, headers={"Location": redirect})
            assert await text(redirect) == "stub"
            assert await text() == "stub"
            assert await text(f"{real}/b") == "real GET /b"


# Pass-through.


async def test_one_prefix(real):
    """A string is one prefix, and no list of letters."""
    with aioresponses(passthrough=real):
        assert await text(f"{real}/a?b=1") == "real GET /a?b=1"
        with pytest.raises(aiohttp.ClientConnectionError):
            await text()


@pytest.mark.parametrize("unmatched", [True, False])
async def test_a_redirect_to_the_real_network(real, unmatched):
    """A redirect may lead to what is let through."""
    with aioresponses(
        passthrough=[] if unmatched else [real], passthrough_unmatched=unmatched
    ) as mock:
        mock.get(URL, status=302, headers={"Location": f"{real}/b"})
        assert await text() == "real GET /b"


@pytest.mark.parametrize("unmatched", [True, False])
async def test_a_redirect_to_a_server_that_nobody_knows(unmatched):
    """It is the mock that lets it through, not that aiohttp's test servers always are."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nreal")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/b"
        with aioresponses(
            passthrough=[] if unmatched else [url], passthrough_unmatched=unmatched
        ) as mock:
            mock.get(URL, status=302, headers={"Location": url})
            assert await text() == "real"
            assert await text(url) == "real"


async def test_letting_through_behind_a_full_connector(real):
    """What waits for a place among the connections is let through as well."""
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        with aioresponses(passthrough=[real]) as mock:
            mock.get(URL, body="yes")
            first = await session.get(f"{real}/slow")
            waiting = asyncio.ensure_future(session.get(f"{real}/next"))
            mocked = asyncio.ensure_future(session.get(URL))
            await asyncio.sleep(0)
            assert not waiting.done()
            first.close()
            async with await waiting as second, await mocked as third:
                assert await second.text() == "real GET /next"
                assert await third.text() == "yes"


# Middlewares, traces and redirects.

needs_middlewares = pytest.mark.skipif(
    not hasattr(aiohttp, "ClientHandlerType"), reason="middlewares came with aiohttp 3.12"
)


async def test_a_trace_sees_the_body():
    """What a trace listens to is sent."""
    sent = []

    async def chunk(session, context, params):
        sent.append(params.chunk)

    config = aiohttp.TraceConfig()
    config.on_request_chunk_sent.append(chunk)
    with aioresponses() as mock:
        mock.post(URL, payload=1)
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            async with session.post(URL, json={"a": 1}) as response:
                assert await response.json() == 1
    assert b"".join(sent) == b'{"a": 1}'


async def test_a_trace_that_raises():
    """An exception out of a trace is the app's to see."""

    async def start(session, context, params):
        raise ValueError("out of a trace")

    config = aiohttp.TraceConfig()
    config.on_request_start.append(start)
    with aioresponses() as mock:
        mock.get(URL)
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            with pytest.raises(ValueError, match="out of a trace"):
                await session.get(URL)


async def test_a_callback_that_is_cancelled():
    """A cancelled call is cancelled, and its answer is left."""
    with aioresponses() as mock:

        async def wait(url, **kwargs):
            await asyncio.get_running_loop().create_future()

        mock.get(URL, callback=wait)
        task = asyncio.ensure_future(text())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [match.pending for match in mock._matches.values()] == [0]


async def test_a_redirect_of_a_stand_in():
    """Redirects are followed also where aiohttp refuses the call as it was made."""
    with aioresponses() as mock:
        mock.get(URL, status=302, headers={"Location": "/b"})
        mock.get("http://x.test/b", exception=ConnectionResetError("gone"))
        with pytest.raises(ConnectionResetError, match="gone"):
            await text(headers={"X-A": 1})


async def test_a_redirect_to_what_raises_in_its_callback():
    """Nobody makes another exception of it."""

    def answer(url, **kwargs):
        raise OSError(5, "of the callback")

    with aioresponses() as mock:
        mock.get(URL, status=302, headers={"Location": "/b"})
        mock.get("http://x.test/b", callback=answer)
        with pytest.raises(OSError, match="of the callback") as raised:
            await text()
    assert type(raised.value) is OSError


async def test_too_many_redirects():
    """The limit is the client's."""
    with aioresponses() as mock:
        mock.get(URL, status=302, headers={"Location": "/a"}, repeat=True)
        with pytest.raises(aiohttp.TooManyRedirects):
            await text(max_redirects=3)


def reused():
    """Make a trace that counts the connections, and how often one is used again."""
    counted = {"made": 0, "used again": 0}
    trace = aiohttp.TraceConfig()

    async def count(*_):
        counted["made"] += 1

    async def count_again(*_):
        counted["used again"] += 1

    trace.on_connection_create_end.append(count)
    trace.on_connection_reuseconn.append(count_again)
    return trace, counted


async def test_a_connection_is_kept():
    """One connection carries whatever is answered, a length registered or not."""
    trace, counted = reused()
    with aioresponses() as mock:
        mock.get(URL, body="yes", repeat=4)
        mock.get(URL, status=204, body="a body all the same")
        mock.get(URL, status=304)
        mock.get(URL, body="short", headers={"Content-Length": "1000"})
        mock.get(URL, body="coded", headers={"Transfer-Encoding": "gzip"})
        mock.get(URL, status=303, headers={"Location": URL})
        mock.get(URL, body="redirected")
        mock.head(URL, headers={"Content-Length": "1000"})
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:
            for _ in range(9):
                async with session.get(URL) as response:
                    await response.read()
            await session.head(URL)
    assert counted == {"made": 1, "used again": 10}


async def test_a_connection_that_is_not_kept():
    """One on which the rest of a request is missing is closed."""
    trace, counted = reused()
    with aioresponses() as mock:
        mock.post(URL, body="yes", repeat=True)
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:
            await session.post(URL, headers={"Content-Length": "1000"})
            await session.post(URL)
    assert counted == {"made": 2, "used again": 0}


async def test_a_long_answer_left_unread():
    """It holds up nobody who is answered after it, by whomever."""
    with aioresponses() as mock, aiostub.Stub() as stub:
        mock.get(URL, body="x" * 500_000, repeat=True)
        stub.get("http://x.test/stub").reply(text="stub")
        async with aiohttp.ClientSession() as session:
            unread = [await session.get(URL) for _ in range(2)]
            response = await asyncio.wait_for(session.get("http://x.test/stub"), 5)
            assert await response.text() == "stub"
            assert [len(await response.read()) for response in unread] == [500_000, 500_000]


async def test_a_long_body_is_held_once():
    """What the app reads is what was registered."""
    body = b"x" * 100_000
    with aioresponses() as mock:
        mock.get(URL, body=body)
        mock.head(URL, status=302, headers={"Location": URL})
        mock.head(URL, body=body)
        async with aiohttp.ClientSession() as session:
            assert body is await (await session.get(URL)).read()
            async with session.head(URL, allow_redirects=True) as response:
                assert await response.read() == b""


async def test_a_long_body_that_is_unpacked():
    """All of it is there, and the connection is kept, though aiohttp reads it bit by bit."""
    trace, counted = reused()
    plain = random.Random(0).randbytes(1_000_000)
    with aioresponses() as mock:
        mock.get(URL, body=gzip.compress(plain), headers={"Content-Encoding": "gzip"}, repeat=True)
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:
            for _ in range(2):
                response = await session.get(URL)
                assert response.closed
                assert await response.read() == plain
    assert counted == {"made": 1, "used again": 1}


@pytest.mark.parametrize("whose", ["session", "mock"])
async def test_a_kept_connection_leaves_no_timer(whose):
    """aiohttp's timer for it ends with the session, and with the mock."""
    loop = asyncio.get_running_loop()
    mock, session = aioresponses(), aiohttp.ClientSession()
    with mock:
        mock.get(URL)
        await session.get(URL)
        if whose == "session":
            await session.close()
            assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
    assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
    await session.close()


async def test_middlewares_are_told():
    """Whoever sees the response before the app sees what was registered, and nothing else."""
    seen = []

    async def look(_, __, params):
        response = params.response
        seen.append((response.status, dict(response.headers), await response.text()))

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(look)
    with aioresponses() as mock:
        mock.get(URL, status=204, body="a body all the same", headers={"X-A": "1"})
        async with aiohttp.ClientSession(trace_configs=[trace]) as session:
            await session.get(URL)
    told = {"Content-Type": "application/json", "X-A": "1"}
    assert seen == [(204, told, "a body all the same")]


async def test_read_timer():
    """A read timeout is no hindrance, and leaves no timer behind."""
    loop = asyncio.get_running_loop()
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    with aioresponses() as mock:
        mock.get(URL, body="yes")
        async with aiohttp.ClientSession(timeout=timeout) as session:
            async with session.get(URL) as response:
                assert await response.text() == "yes"
    assert [handle for handle in loop._scheduled if not handle.cancelled()] == []


async def test_headers_that_are_none():
    """Headers that are no headers are nobody's in the response."""
    with aioresponses() as mock:
        mock.get(URL, body="yes")
        async with aiohttp.ClientSession() as session:
            response = await session.get(URL, headers=5)
            assert (await response.text(), len(response.request_info.headers)) == ("yes", 0)


def test_no_coroutine_is_left_over(recwarn):
    """A match that is asked outside of a call answers, too."""

    async def build():
        response = await RequestMatch(URL, body="yes").build_response(aiohttp.client.URL(URL))
        return await response.text()

    assert asyncio.run(build()) == "yes"
    assert list(recwarn) == []


class TestUnittest(unittest.IsolatedAsyncioTestCase):
    """Debug mode, which unittest switches on, changes nothing."""

    async def test_in_debug_mode(self):
        """Calls are answered."""
        with aioresponses() as mock:
            mock.post(URL, callback=lambda url, **_: CallbackResult(body="yes"))
            async with aiohttp.ClientSession() as session, session.post(URL, json=1) as response:
                assert await response.text() == "yes"


@needs_middlewares
async def test_a_middleware_that_raises():
    """An exception out of a middleware is the app's to see."""

    async def refuse(request, handler):
        raise ValueError("out of a middleware")

    with aioresponses() as mock:
        mock.get(URL)
        async with aiohttp.ClientSession(middlewares=[refuse]) as session:
            with pytest.raises(ValueError, match="out of a middleware"):
                await session.get(URL)


@needs_middlewares
async def test_a_middleware_that_deals_with_a_failure():
    """What a redirect met, and a middleware has dealt with, is not raised again."""

    async def forgive(request, handler):
        try:
            return await handler(request)
        except ConnectionResetError:
            raise RuntimeError("dealt with") from None

    with aioresponses() as mock:
        mock.get(URL, status=302, headers={"Location": "/b"})
        mock.get("http://x.test/b", exception=ConnectionResetError("gone"))
        async with aiohttp.ClientSession(middlewares=[forgive]) as session:
            with pytest.raises(RuntimeError, match="dealt with"):
                await session.get(URL)


def tracing(start):
    """Trace the start of every request."""
    config = aiohttp.TraceConfig()
    config.on_request_start.append(start)
    return aiohttp.ClientSession(trace_configs=[config])


async def test_a_trace_that_outlasts_the_client():
    """The client's timeout is the client's, and no reason to answer all the same."""

    async def wait(*_):
        await asyncio.get_running_loop().create_future()

    with aioresponses() as mock:
        mock.get(URL, repeat=True)
        async with tracing(wait) as session:
            task = asyncio.ensure_future(session.get(URL))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_timeout_on_the_way():
    """A timeout that a trace meets is nobody else's."""

    async def late(*_):
        raise asyncio.TimeoutError("of the trace")

    with aioresponses() as mock:
        mock.get(URL)
        async with tracing(late) as session:
            with pytest.raises(asyncio.TimeoutError, match="of the trace"):
                await session.get(URL)


async def test_bodies_of_a_call_that_is_traced():
    """A form of plain fields is sent; a file is left for the test to read."""
    seen = []

    async def see(session, context, params):
        seen.append(params.method)

    with aioresponses() as mock:
        mock.post(URL, body="yes", repeat=True)
        file = io.BytesIO(b"content")
        async with tracing(see) as session:
            for data in ({"a": "1"}, {"file": file}, file):
                async with session.post(URL, data=data) as response:
                    assert await response.text() == "yes"
    assert (seen, file.read()) == (["POST"] * 3, b"content")


async def test_a_failure_of_a_stub_inside():
    """What a stub inside says is what the app sees."""
    with aioresponses():
        with aiostub.Stub() as stub:
            stub.get(URL).fail(aiohttp.ClientConnectionError("of the stub"))
            with pytest.raises(aiohttp.ClientConnectionError, match="of the stub"):
                await text()


# What suites have written to limp past aiohttp 3.14, which wants more of a response than
# aioresponses gives.

WANTS_MORE = "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters
MORE = {"stream_writer": Mock(output_size=0)} if WANTS_MORE else {}


class TakesTheOldNames(aiohttp.ClientResponse):
    """A response class that takes what aioresponses gives, by name."""

    def __init__(self, method, url, *, writer, continue100, timer, traces, session, **kwargs):
        if kwargs.keys() != {"request_info", "loop"}:
            raise TypeError("an unexpected keyword argument")
        kwargs.update(continue100=continue100, timer=timer, traces=traces, session=session)
        super().__init__(method, url, writer=writer, **kwargs, **MORE)


class AddsTheNewName(aiohttp.ClientResponse):
    """A response class that adds what aioresponses does not give."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, **MORE)


class _Done:
    output_size = 0

    def done(self):
        return True


class OneForBoth(aiohttp.ClientResponse):
    """A response class that takes one double for both writers."""

    def __init__(self, *args, stream_writer=None, writer=None, **kwargs):
        double = stream_writer or writer or _Done()
        more = {"stream_writer": double} if WANTS_MORE else {}
        super().__init__(*args, writer=double, **kwargs, **more)


CLASSES = pytest.mark.parametrize("cls", [TakesTheOldNames, AddsTheNewName, OneForBoth])


@CLASSES
async def test_a_response_class_that_fills_in_what_is_missing(cls):
    """Such a class makes the response of a route and of a callback, also while a body is sent."""

    async def see(request, handler):
        return await handler(request)

    seen = {"middlewares": [see]} if hasattr(aiohttp, "ClientMiddlewareType") else {}
    with aioresponses() as mock:
        mock.post(URL, body="of the route", response_class=cls, repeat=2)
        mock.post(URL, callback=lambda *_, **__: CallbackResult(body="back", response_class=cls))
        async with aiohttp.ClientSession(**seen) as session:
            for body in ("of the route", "of the route", "back"):
                async with session.post(URL, data=b"x" * 2**18) as response:
                    assert (type(response), await response.text()) == (cls, body)


@CLASSES
async def test_a_response_class_for_every_route(cls):
    """The class may come in through what a route is made of."""
    made = RequestMatch.__init__

    def patched(self, *args, **kwargs):
        kwargs["response_class"] = cls
        made(self, *args, **kwargs)

    with patch.object(RequestMatch, "__init__", patched), aioresponses() as mock:
        mock.get(URL, status=302, headers={"Location": "/b"})
        mock.get("http://x.test/b", body="yes")
        assert await text() == "yes"


async def test_a_constructor_that_fills_in_what_is_missing():
    """So may a patched constructor of aiohttp's own class."""
    made = aiohttp.ClientResponse.__init__

    def patched(self, *args, **kwargs):
        made(self, *args, **kwargs, **MORE)

    with patch.object(aiohttp.ClientResponse, "__init__", patched), aioresponses() as mock:
        mock.get(URL, body="yes")
        assert await text() == "yes"


async def test_a_response_class_that_fails():
    """What a class raises for reasons of its own is raised."""

    class Fails(aiohttp.ClientResponse):
        def __init__(self, *_, **__):
            raise TypeError("for reasons of its own")

    with aioresponses() as mock:
        mock.get(URL, response_class=Fails)
        with pytest.raises(TypeError, match="for reasons of its own"):
            await text()


async def test_a_wrapped_response_builder(monkeypatch):
    """What suites wrap to change how a response is built is there, and says what to ask."""
    with pytest.raises(NotImplementedError, match=r"await build_response\(url\)"):
        RequestMatch(URL)._build_response(url=URL)
    monkeypatch.setattr(RequestMatch, "_build_response", Mock(side_effect=AssertionError))
    with aioresponses() as mock:
        mock.get(URL, body="yes")
        assert await text() == "yes"
