"""The log: every request that reached the network boundary, and what came of it."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import re
import threading
import zlib

import aiohttp
import pytest
import yarl
from aiohttp import test_utils, web
from multidict import CIMultiDictProxy

import aiostub
from aiostub import RouteError, UnmatchedRequest, UnsatisfiedStub, faults

URL = "http://api.test/items"
AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])

needs_middlewares = pytest.mark.skipif(AIOHTTP < (3, 12), reason="aiohttp has no middlewares yet")
virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime")
    else pytest.mark.skip(reason="looptime is not installed")
)


@pytest.fixture
def stub():
    """Give a strict stub, started."""
    with aiostub.Stub() as stub:
        yield stub


@pytest.fixture
def lenient():
    """Give a stub that checks nothing at the end, for tests that leave something over."""
    with aiostub.Stub(strict=False) as stub:
        yield stub


@pytest.fixture
async def session():
    """Give an ordinary session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(session, method="GET", url=URL, **kwargs):
    """Send a request, and return status and text of the answer."""
    async with session.request(method, url, **kwargs) as response:
        return response.status, await response.text()


async def raised(session, method="GET", url=URL, **kwargs):
    """Send a request, and return what it raised."""
    with pytest.raises(Exception) as caught:
        await ask(session, method, url, **kwargs)
    return caught.value


async def settled():
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


async def sent(stub, session, method="POST", url=URL, **kwargs):
    """Send a request that is answered, and return it as it stands in the log."""
    stub.any(url).reply()
    await ask(session, method, url, **kwargs)
    return stub.calls.last.request


def gzip_of(data):
    """Compress, always to the same bytes."""
    return gzip.compress(data, mtime=0)


class TestCalls:
    """`stub.calls` is a sequence, in order of arrival."""

    async def test_it_is_empty_at_first(self, stub):
        """And false."""
        assert 0 == len(stub.calls)
        assert not stub.calls
        assert (None, None) == (stub.calls.first, stub.calls.last)
        assert [] == list(stub.calls) == stub.calls.gaps
        assert 0 == stub.calls.concurrency

    async def test_calls_stand_in_order_of_arrival(self, stub, session):
        """By index, by slice, by iteration."""
        stub.get("/{n}").reply().times(4)
        for n in range(4):
            await ask(session, url=f"http://api.test/{n}")
        paths = [call.request.url.path for call in stub.calls]
        assert ["/0", "/1", "/2", "/3"] == paths
        assert stub.calls.first is stub.calls[0]
        assert stub.calls.last is stub.calls[-1] is stub.calls[3]
        assert stub.calls[1:3] == [stub.calls[1], stub.calls[2]]
        assert isinstance(stub.calls[1:3], aiostub.Calls)
        assert isinstance(stub.calls, aiostub.Calls)
        assert isinstance(stub.calls.first, aiostub.Call)
        assert stub.calls[2] in stub.calls
        assert 2 == stub.calls.index(stub.calls[2])
        with pytest.raises(IndexError):
            stub.calls[4]

    async def test_it_equals_a_sequence_of_the_same_calls(self, stub, session):
        """A list, a tuple, another part of the log; and nothing else."""
        route = stub.get(URL).reply().times(2)
        await ask(session)
        await ask(session)
        first, second = stub.calls
        for same in ([first, second], (first, second), stub.calls[:], route.calls):
            assert stub.calls == same
        for other in ([], [first], [second, first], stub.calls[1:], 2, None, {first, second}):
            assert stub.calls != other

    async def test_it_is_read_only(self, stub, session):
        """Nobody can put a call in or take one out."""
        stub.get(URL).reply()
        await ask(session)
        for act in ("append", "insert", "pop", "__setitem__", "__delitem__", "sort"):
            assert not hasattr(stub.calls, act), act
        with pytest.raises(AttributeError):
            stub.calls = []
        with pytest.raises(TypeError):
            stub.calls.filter().clear()

    async def test_a_call_waits_for_its_turn(self, stub, session):
        """One whose body has to be seen first keeps the place of its arrival."""
        gate = asyncio.Event()

        async def body():
            yield b"first "
            await gate.wait()
            yield b"second"

        stub.post(URL, data=b"first second").reply()
        stub.get(URL).reply()
        slow = asyncio.ensure_future(ask(session, "POST", data=body()))
        await settled()
        await ask(session)
        gate.set()
        await slow
        assert ["POST", "GET"] == [call.request.method for call in stub.calls]

    async def test_it_changes_as_calls_come(self, stub, session):
        """What was taken from the stub before is not a copy; a filtered one is."""
        calls, filtered = stub.calls, stub.calls.filter()
        stub.get(URL).reply()
        await ask(session)
        assert (1, 0) == (len(calls), len(filtered))

    async def test_route_calls_are_those_of_the_route(self, stub, session):
        """The same objects."""
        a, b = stub.get(URL).reply().times(2), stub.post(URL).reply()
        await ask(session)
        await ask(session, "POST")
        await ask(session)
        assert [stub.calls[0], stub.calls[2]] == list(a.calls)
        assert [stub.calls[1]] == list(b.calls)
        assert [a, b, a] == [call.route for call in stub.calls]

    async def test_what_nobody_answers_is_logged(self, lenient, session):
        """Without a route, with its error."""
        error = await raised(session, "POST", data=b"body")
        (call,) = lenient.calls
        assert isinstance(error, UnmatchedRequest)
        assert (None, error, None) == (call.route, call.error, call.status)
        assert b"body" == call.request.body
        assert "4" == call.request.headers["Content-Length"]

    async def test_what_never_reached_the_boundary_is_not(self, stub, session):
        """A URL that aiohttp itself refuses."""
        with pytest.raises((aiohttp.InvalidURL, ValueError)):
            await ask(session, url="http://")
        assert [] == list(stub.calls)

    async def test_threads_log_together(self, stub):
        """Calls of several loops in several threads."""
        stub.get(URL).reply().always()

        async def client():
            async with aiohttp.ClientSession() as session:
                for _ in range(5):
                    await ask(session)

        threads = [threading.Thread(target=asyncio.run, args=(client(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert 15 == len(stub.calls)
        assert [200] * 15 == [call.status for call in stub.calls]


class TestRequest:
    """`call.request` is what a server would have got."""

    async def test_method_and_url(self, stub, session):
        """The URL as the app's request had it."""
        request = await sent(stub, session, "put", f"{URL}?b=2&a=1")
        assert "PUT" == request.method
        assert yarl.URL(f"{URL}?b=2&a=1") == request.url

    async def test_headers_are_the_lines_on_the_wire(self, stub):
        """Cookies, authentication and the automatic ones included, in order."""
        stub.post(URL).reply()
        async with aiohttp.ClientSession(cookies={"c": "1"}, headers={"X-Session": "s"}) as session:
            headers = [("X-A", "1"), ("X-A", "2")]
            url = URL.replace("//", "//user:pass@")
            await ask(session, "POST", url, json={"a": 1}, headers=headers)
        request = stub.calls.last.request
        assert isinstance(request.headers, CIMultiDictProxy)
        assert ["1", "2"] == request.headers.getall("x-a")
        expected = {
            "Host": "api.test",
            "X-Session": "s",
            "Accept": "*/*",
            "Cookie": "c=1",
            "Authorization": "Basic dXNlcjpwYXNz",
            "Content-Type": "application/json",
            "Content-Length": "8",
        }
        assert expected == {name: request.headers[name] for name in expected}
        assert "User-Agent" in request.headers
        assert "Accept-Encoding" in request.headers

    async def test_cookies(self, stub, session):
        """By name; those that a reply set are sent along."""
        stub.get(URL).reply(cookies={"set": "by reply"})
        await ask(session)
        request = await sent(stub, session, cookies={"a": "1", "b": "x y"})
        assert {"set": "by reply", "a": "1", "b": "x y"} == request.cookies

    async def test_json(self, stub, session):
        """Decoded anew each time."""
        request = await sent(stub, session, json={"a": [1, None]})
        assert b'{"a": [1, null]}' == request.body
        assert '{"a": [1, null]}' == request.text
        assert {"a": [1, None]} == request.json()
        assert request.json() is not request.json()

    @pytest.mark.parametrize("data", [None, b"", b"{", b"text"])
    async def test_what_is_no_json(self, stub, session, data):
        """A ValueError."""
        request = await sent(stub, session, data=data)
        with pytest.raises(ValueError, match=r"."):
            request.json()

    async def test_a_body_without_any(self, stub, session):
        """Empty in every view."""
        request = await sent(stub, session, "GET")
        assert (b"", "", (), {}) == (
            request.body,
            request.text,
            request.parts,
            dict(request.form()),
        )

    async def test_a_urlencoded_form(self, stub, session):
        """A multidict, values decoded."""
        request = await sent(stub, session, data=[("a", "1 &"), ("a", "2"), ("é", "ü")])
        assert [("a", "1 &"), ("a", "2"), ("é", "ü")] == list(request.form().items())

    async def test_a_multipart_form(self, stub, session):
        """A file is its name and its bytes; the parts say the rest."""
        form = aiohttp.FormData()
        form.add_field("text", "é")
        form.add_field("file", b"\x00\x01", filename="a.bin", content_type="application/x-a")
        request = await sent(stub, session, data=form)
        assert [("text", "é"), ("file", ("a.bin", b"\x00\x01"))] == list(request.form().items())
        text, file = request.parts
        assert isinstance(text, aiostub.Part)
        assert ("text", None, "é".encode()) == (text.name, text.filename, text.body)
        assert ("file", "a.bin", "application/x-a", b"\x00\x01") == (
            file.name,
            file.filename,
            file.content_type,
            file.body,
        )
        assert "application/x-a" == file.headers["content-type"]

    async def test_parts_of_any_multipart(self, stub, session):
        """Not of forms alone."""
        with aiohttp.MultipartWriter("mixed") as writer:
            writer.append_json({"a": 1})
            writer.append("text")
        request = await sent(stub, session, data=writer)
        assert ["application/json", "text/plain"] == [part.content_type for part in request.parts]
        assert [b'{"a": 1}', b"text"] == [part.body for part in request.parts]

    @pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip_of), ("deflate", zlib.compress)])
    async def test_content_coding(self, stub, session, coding, encode):
        """Kept in the body, undone in the views."""
        headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
        request = await sent(stub, session, data=encode(b'{"a": 1}'), headers=headers)
        assert encode(b'{"a": 1}') == request.body
        assert ('{"a": 1}', {"a": 1}) == (request.text, request.json())
        assert coding == request.headers["Content-Encoding"]

    async def test_transfer_coding_is_undone(self, stub, session):
        """Of a body that was sent in chunks."""

        async def body():
            yield b"one "
            yield b"two"

        request = await sent(stub, session, data=body())
        assert (b"one two", "chunked") == (request.body, request.headers["Transfer-Encoding"])

    async def test_what_the_client_call_was_made_with(self, stub, session):
        """Timeout, proxy and session."""
        timeout = aiohttp.ClientTimeout(total=12)
        request = await sent(stub, session, timeout=timeout, proxy="http://proxy.test:3128")
        assert 12 == request.timeout.total
        assert yarl.URL("http://proxy.test:3128") == request.proxy
        assert session is request.session

    async def test_without_a_proxy(self, stub, session):
        """There is none."""
        assert (await sent(stub, session)).proxy is None

    async def test_path_params(self, stub, session):
        """As the route captured them."""
        stub.get("http://api.test/{kind}/{name:path}").reply()
        await ask(session, url="http://api.test/files/a/b%20c")
        assert {"kind": "files", "name": "a/b c"} == stub.calls.last.request.path_params

    async def test_no_path_params(self, stub, session):
        """A route that captures nothing."""
        assert {} == dict((await sent(stub, session)).path_params)

    ATTRIBUTES = ("method", "url", "headers", "cookies", "body", "text", "path_params", "timeout")

    @pytest.mark.parametrize("name", [*ATTRIBUTES, "proxy", "session", "parts", "anything"])
    async def test_it_cannot_be_changed(self, stub, session, name):
        """Nobody rewrites the log."""
        request = await sent(stub, session)
        with pytest.raises(AttributeError):
            setattr(request, name, None)

    FAILURES = (
        faults.refused(),
        faults.disconnect(),
        ValueError,
        asyncio.TimeoutError,
        aiohttp.ClientOSError(5, "no"),
    )

    @pytest.mark.parametrize("failure", FAILURES, ids=repr)
    async def test_a_request_that_failed_is_as_it_would_have_been(self, stub, session, failure):
        """Sent or not: headers and body are those of the wire."""
        stub.post(URL).fail(failure)
        await raised(session, "POST", json={"a": 1}, headers={"X-A": "b"}, cookies={"c": "1"})
        request = stub.calls.last.request
        assert {"a": 1} == request.json()
        assert ("b", "8", "application/json") == tuple(
            request.headers.get(name) for name in ("X-A", "Content-Length", "Content-Type")
        )
        assert {"c": "1"} == request.cookies


class TestOrigin:
    """`call.origin` is the client call that the request came from."""

    async def test_it_is_what_the_session_got(self, stub, session):
        """Method, URL and keywords as they were passed."""
        stub.post("http://api.test/items?a=1").reply()
        body = {"n": 1}
        await ask(session, "POST", URL, json=body, params={"a": "1"}, headers={"X-A": "b"})
        origin = stub.calls.last.origin
        assert ("POST", URL) == (origin.method, origin.url)
        assert body is origin.kwargs["json"]
        assert ({"a": "1"}, {"X-A": "b"}) == (origin.kwargs["params"], origin.kwargs["headers"])

    @pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "head", "options"])
    async def test_every_verb_has_one(self, stub, session, verb):
        """The session's shortcuts come to the same."""
        stub.any(URL).reply()
        async with getattr(session, verb)(URL, headers={"X-A": "b"}):
            pass
        origin = stub.calls.last.origin
        assert (verb.upper(), URL) == (origin.method, origin.url)
        assert {"X-A": "b"} == origin.kwargs["headers"]

    async def test_the_url_is_the_object_that_was_passed(self, stub, session):
        """Relative to a base URL of the session, too."""
        url = yarl.URL(URL)
        stub.get(URL).reply().times(2)
        await ask(session, url=url)
        assert url is stub.calls.last.origin.url
        async with aiohttp.ClientSession("http://api.test") as based:
            await ask(based, url="/items")
        assert "/items" == stub.calls.last.origin.url
        assert URL == str(stub.calls.last.request.url)

    async def test_a_redirect_has_the_origin_of_the_first(self, stub, session):
        """One client call, two requests."""
        stub.get(URL).reply(302, headers={"Location": "/next"})
        stub.get("http://api.test/next").reply()
        await ask(session)
        first, second = stub.calls
        assert first.origin is second.origin
        assert URL == second.origin.url

    async def test_concurrent_calls_have_origins_of_their_own(self, stub, session):
        """None is taken for another."""
        stub.get(re.compile(r"/\d+$")).reply().always()
        urls = [f"http://api.test/{n}" for n in range(20)]
        await asyncio.gather(*[ask(session, url=url, headers={"X-Url": url}) for url in urls])
        assert urls == [call.origin.url for call in stub.calls]
        assert urls == [call.request.headers["X-Url"] for call in stub.calls]

    @needs_middlewares
    async def test_a_request_that_a_middleware_makes_has_its_own(self, stub):
        """A token fetched on the way is a client call of its own."""
        stub.get("http://api.test/token").reply(text="secret")
        stub.get(URL).reply()

        async def authorise(request, handler):
            async with aiohttp.ClientSession() as other:
                _, token = await ask(other, url="http://api.test/token")
            request.headers["Authorization"] = token
            return await handler(request)

        async with aiohttp.ClientSession(middlewares=(authorise,)) as session:
            await ask(session)
        assert ["http://api.test/token", URL] == [call.origin.url for call in stub.calls]
        assert "secret" == stub.calls.last.request.headers["Authorization"]

    async def test_an_injected_connector_knows_what_the_request_shows(self):
        """Where nothing is patched, keywords are not known."""
        stub = aiostub.Stub()
        stub.post(URL).reply()
        async with aiohttp.ClientSession(connector=stub.connector()) as session:
            await ask(session, "POST", json={"a": 1})
        origin = stub.calls.last.origin
        assert ("POST", URL, {}) == (origin.method, str(origin.url), dict(origin.kwargs))


class TestResponse:
    """`call.response`, `call.status` and `call.error` say how it ended."""

    @pytest.mark.parametrize("text", ["small", "x" * 500_000], ids=["small", "large"])
    async def test_the_response_is_the_one_that_the_app_has(self, stub, session, text):
        """The very object, while it is read and afterwards."""
        stub.get(URL).reply(201, text=text)
        async with session.get(URL) as response:
            call = stub.calls.last
            assert (response, 201) == (call.response, call.status)
            await response.read()
        assert (response, 201, None) == (call.response, call.status, call.error)

    async def test_a_pending_call_has_neither(self, stub, session):
        """Until the head is there."""
        gate = asyncio.Event()

        async def answer(request):
            await gate.wait()
            return 200

        stub.get(URL).handle(answer)
        task = asyncio.ensure_future(ask(session))
        await settled()
        (call,) = stub.calls
        assert (None, None, None, None) == (call.response, call.status, call.error, call.elapsed)
        assert f"<Call GET {URL} pending>" == repr(call)
        gate.set()
        await task
        assert f"<Call GET {URL} 200>" == repr(call)

    async def test_each_hop_of_a_redirect_has_its_own(self, stub, session):
        """Status and response."""
        stub.get(URL).reply(301, headers={"Location": "/b"})
        stub.get("http://api.test/b").reply(307, headers={"Location": "/c"}, text="moved")
        stub.get("http://api.test/c").reply(text="there")
        async with session.get(URL) as response:
            assert "there" == await response.text()
        assert [301, 307, 200] == [call.status for call in stub.calls]
        assert [*response.history, response] == [call.response for call in stub.calls]
        assert ["/items", "/b", "/c"] == [call.request.url.path for call in stub.calls]

    async def test_a_redirect_changes_the_method_as_aiohttp_does(self, stub, session):
        """The log has what was sent."""
        stub.post(URL).reply(303, headers={"Location": "/next"})
        stub.get("http://api.test/next").reply()
        await ask(session, "POST", data=b"body")
        assert [("POST", b"body"), ("GET", b"")] == [
            (call.request.method, call.request.body) for call in stub.calls
        ]

    @needs_middlewares
    async def test_a_status_that_only_a_middleware_saw(self, stub):
        """Each attempt has its own, also where the request object is used again."""
        stub.get(URL).reply(503, text="a").then.reply(429).then.fail(faults.refused()).then.reply()

        async def persist(request, handler):
            while True:
                try:
                    response = await handler(request)
                except aiohttp.ClientConnectorError:
                    continue
                if response.status == 200:
                    return response
                response.release()

        async with aiohttp.ClientSession(middlewares=(persist,)) as session:
            await ask(session)
        assert [503, 429, None, 200] == [call.status for call in stub.calls]
        assert [503, 429, None, 200] == [
            call.response and call.response.status for call in stub.calls
        ]
        assert [type(None)] * 2 + [aiohttp.ClientConnectorError, type(None)] == [
            type(call.error) for call in stub.calls
        ]

    @pytest.mark.skipif(not hasattr(aiohttp, "DigestAuthMiddleware"), reason="no digest yet")
    async def test_an_authentication_round_trip(self, stub):
        """The challenge and its answer are two calls."""
        challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm="MD5"'
        stub.get(URL).reply(401, headers={"WWW-Authenticate": challenge}).then.reply(text="in")
        digest = aiohttp.DigestAuthMiddleware(login="user", password="pass")
        async with aiohttp.ClientSession(middlewares=(digest,)) as session:
            assert (200, "in") == await ask(session)
        assert [401, 200] == [call.status for call in stub.calls]
        assert [False, True] == ["Authorization" in call.request.headers for call in stub.calls]

    async def test_raise_for_status_is_no_error_of_the_call(self, stub, session):
        """The response was in order; the app did not like it."""
        stub.get(URL).reply(500)
        assert isinstance(await raised(session, raise_for_status=True), aiohttp.ClientResponseError)
        assert (500, None) == (stub.calls.last.status, stub.calls.last.error)

    async def test_an_error_of_the_app_is_none_of_the_call(self, stub, session):
        """What the app raises while it has the response is its own."""
        stub.get(URL).reply(text="x" * 500_000)
        with pytest.raises(KeyError):
            async with session.get(URL):
                raise KeyError("of the app")
        assert (200, None) == (stub.calls.last.status, stub.calls.last.error)

    async def test_an_error_while_reading_the_body(self, stub, session):
        """Though the status was 200, and wherever the app catches it."""
        stub.get(URL).reply(text="cut", fault=faults.disconnect(after=1)).times(3)
        seen = []
        seen.append(await raised(session))
        async with session.get(URL) as response:
            with pytest.raises(aiohttp.ClientPayloadError) as caught:
                await response.read()
        seen.append(caught.value)
        response = await session.get(URL)
        with pytest.raises(aiohttp.ClientPayloadError) as caught:
            await response.read()
        seen.append(caught.value)
        assert [200] * 3 == [call.status for call in stub.calls]
        assert [type(error) for error in seen] == [type(call.error) for call in stub.calls]

    @virtual_time
    @pytest.mark.parametrize("timers", [{"sock_read": 60}, {"total": 60}], ids=str)
    async def test_a_timer_that_fires_while_reading(self, stub, session, timers):
        """It is the error of the call."""
        stub.get(URL).reply(text="stalls", fault=faults.stall(after=1))
        async with session.get(URL, timeout=aiohttp.ClientTimeout(**timers)) as response:
            with pytest.raises(asyncio.TimeoutError) as caught:
                await response.read()
        call = stub.calls.last
        assert (200, type(caught.value)) == (call.status, type(call.error))

    @pytest.mark.parametrize(
        "failure",
        [ValueError, faults.disconnect(), faults.refused(), faults.garbage(), OSError(5, "no")],
        ids=repr,
    )
    async def test_the_error_is_the_one_that_the_app_saw(self, stub, session, failure):
        """The very object."""
        stub.post(URL).fail(failure)
        error = await raised(session, "POST")
        assert error is stub.calls.last.error
        assert stub.calls.last.status is None
        assert f"<Call POST {URL} {type(error).__name__}>" == repr(stub.calls.last)

    @pytest.mark.parametrize("which", ["total", "connect", "sock_connect", "sock_read"])
    async def test_the_error_of_a_timer_is_the_one_that_the_app_saw(self, stub, session, which):
        """aiohttp's own."""
        stub.get(URL).timeout(which)
        error = await raised(session, timeout=aiohttp.ClientTimeout(**{which: 60}))
        assert type(error) is type(stub.calls.last.error)

    async def test_a_cancelled_call(self, stub, session):
        """Says so."""
        stub.get(URL).hang()
        task = asyncio.ensure_future(ask(session))
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(stub.calls.last.error, asyncio.CancelledError)
        assert f"<Call GET {URL} cancelled>" == repr(stub.calls.last)

    async def test_what_passed_through(self, stub, session):
        """Says so, and how it ended there."""

        async def answer(request):
            return web.Response(status=202, text="real")

        app = web.Application()
        app.router.add_get("/", answer)
        async with test_utils.TestServer(app) as server:
            url = server.make_url("/")
            async with session.get(url) as response:
                await response.read()
        (call,) = stub.calls
        assert (True, None, 202, response) == (
            call.passed_through,
            call.route,
            call.status,
            call.response,
        )
        assert call.elapsed > 0
        assert f"<Call GET {url} passed through 202>" == repr(call)

    async def test_a_real_network_that_fails(self, stub, session, unused_tcp_port):
        """Its error is the error of the call."""
        stub.passthrough("127.0.0.1")
        error = await raised(session, url=f"http://127.0.0.1:{unused_tcp_port}/")
        (call,) = stub.calls
        assert aiohttp.ClientConnectorError is type(error)
        assert (True, error) == (call.passed_through, call.error)

    async def test_what_was_answered_did_not_pass(self, stub, session):
        """And says that, too."""
        stub.get(URL).reply()
        await ask(session)
        assert stub.calls.last.passed_through is False


async def slowly():
    """Give three chunks, one every ten seconds."""
    for _ in range(3):
        await asyncio.sleep(10)
        yield b"chunk"


@virtual_time
class TestTime:
    """Times are those of the event loop's clock."""

    async def test_started_and_elapsed(self, stub, session):
        """Until the head, not the end of the body."""
        loop = asyncio.get_running_loop()
        stub.get(URL).reply(stream=slowly, delay=5)
        await asyncio.sleep(2)
        started = loop.time()
        await ask(session)
        (call,) = stub.calls
        assert (started, 5) == (pytest.approx(call.started), pytest.approx(call.elapsed))
        assert 35 == pytest.approx(loop.time() - started)

    async def test_elapsed_until_the_error(self, stub, session):
        """A failure takes its time as well."""
        stub.get(URL).fail(ValueError, delay=3).then.fail(faults.disconnect(), delay=4)
        await raised(session)
        await raised(session)
        assert [3, 4] == [pytest.approx(call.elapsed) for call in stub.calls]

    async def test_elapsed_until_a_timer_fires(self, stub, session):
        """The app's own."""
        stub.get(URL).hang()
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, timeout=aiohttp.ClientTimeout(total=6))
        assert 6 == pytest.approx(stub.calls.last.elapsed)

    async def test_gaps(self, stub, session):
        """Seconds between starts: what a back-off test asks for."""
        stub.get(URL).reply(503).times(4)
        for pause in (1, 2, 4, 0):
            await ask(session)
            await asyncio.sleep(pause)
        assert [1, 2, 4] == [pytest.approx(gap) for gap in stub.calls.gaps]
        assert [3, 4] == [
            pytest.approx(gap) for gap in [sum(stub.calls.gaps[:2]), *stub.calls[2:].gaps]
        ]

    async def test_concurrency(self, stub, session):
        """The most in flight at once."""
        stub.get(URL).reply(delay=1).times(12)
        gate = asyncio.Semaphore(3)

        async def limited():
            async with gate:
                await ask(session)

        await asyncio.gather(*[limited() for _ in range(10)])
        assert 3 == stub.calls.concurrency
        await asyncio.gather(ask(session), ask(session))
        assert 3 == stub.calls.concurrency
        assert 2 == stub.calls[10:].concurrency

    async def test_concurrency_of_a_sequence(self, stub, session):
        """One after the other is one at once, also where they end and begin at the same time."""
        stub.get(URL).reply().times(5)
        for _ in range(5):
            await ask(session)
        assert 1 == stub.calls.concurrency

    async def test_a_body_that_is_being_read_is_in_flight(self, stub, session):
        """Until the response is released."""
        stub.get(URL).reply(stream=slowly).then.reply()
        async with session.get(URL) as response:
            await ask(session)
            await response.read()
        assert 2 == stub.calls.concurrency

    async def test_concurrency_under_a_limit_of_the_connector(self, stub):
        """A request that waits for a connection has not reached the network yet."""
        stub.get(URL).reply(delay=1).times(4)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:
            await asyncio.gather(*[ask(session) for _ in range(4)])
        assert [1, 1, 1, 1] == [pytest.approx(call.elapsed) for call in stub.calls]
        assert 2 == stub.calls.concurrency

    async def test_the_timeline(self, stub, session):
        """Offset, method, URL, outcome, duration, route."""
        stub.get(URL).reply(503, delay=0.25).then.fail(ValueError).then.reply(text="up")
        stub.post(re.compile("login")).reply(201, delay=1.5)
        await ask(session)
        await asyncio.sleep(1)
        await raised(session)
        await asyncio.sleep(2)
        await ask(session)
        await ask(session, "POST", "http://api.test/login")
        expected = """\
4 calls in 4.75 s
    +0 ms  GET   http://api.test/items  503         250 ms  GET http://api.test/items
  +1.25 s  GET   http://api.test/items  ValueError    0 ms  GET http://api.test/items
  +3.25 s  GET   http://api.test/items  200           0 ms  GET http://api.test/items
  +3.25 s  POST  http://api.test/login  201          1.5 s  POST re.compile('login')"""
        assert expected == stub.calls.timeline()


class TestTimeline:
    """`calls.timeline()` is a table for people."""

    def test_without_calls(self, stub):
        """It says so."""
        assert "no calls" == stub.calls.timeline()

    async def test_every_outcome_has_a_word(self, lenient, session):
        """Status, error, unmatched, cancelled, pending."""
        stub = lenient
        stub.get(URL).reply(204).then.fail(faults.refused()).then.hang().times(2)
        await ask(session)
        await raised(session)
        await raised(session, url="http://api.test/other")
        tasks = [asyncio.ensure_future(ask(session)) for _ in range(2)]
        await settled()
        tasks[0].cancel()
        await settled()
        words = [line.split()[4] for line in stub.calls.timeline().splitlines()[1:]]
        assert ["204", "ClientConnectorError", "unmatched", "cancelled", "pending"] == words
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @pytest.mark.skipif(AIOHTTP < (3, 10), reason="this aiohttp re-sends nothing")
    async def test_attempts_are_shown(self, stub, session):
        """Where there was more than one."""
        stub.get(URL).fail(faults.disconnect())
        await raised(session)
        assert "  2 attempts" in stub.calls.timeline()

    async def test_a_part_of_the_calls_has_one_of_its_own(self, stub, session):
        """Slices, filters and routes."""
        stub.get(URL).reply().times(2)
        route = stub.post(URL).reply()
        for method in ("GET", "POST", "GET"):
            await ask(session, method)
        for part, count in ((stub.calls[1:], 2), (stub.calls.filter("GET"), 2), (route.calls, 1)):
            lines = part.timeline().splitlines()
            assert lines[0].startswith(f"{count} call")
            assert "+0" == lines[1].split()[0]
            assert count + 1 == len(lines)


class TestFilter:
    """`calls.filter(...)` takes the arguments of a route."""

    @pytest.fixture
    async def calls(self, stub, session):
        """Give the log of five calls, numbered by a header."""
        stub.any(aiostub.ANY).reply().always()
        requests = (
            ("GET", URL, {}),
            ("GET", f"{URL}?page=1&sort=a", {}),
            ("POST", URL, {"json": {"name": "Ada", "age": 36}}),
            ("POST", f"{URL}/7", {"data": {"a": "1"}}),
            ("DELETE", "https://other.test/items/8", {"cookies": {"c": "1"}}),
        )
        for number, (method, url, kwargs) in enumerate(requests):
            await ask(session, method, url, headers={"N": str(number)}, **kwargs)
        return stub.calls

    FILTERS = (
        ((), {}, "01234"),
        (("GET",), {}, "01"),
        (("get",), {}, "01"),
        ((), {"method": "POST"}, "23"),
        ((None, URL), {}, "02"),
        (("GET", URL), {}, "0"),
        ((), {"url": yarl.URL(URL)}, "02"),
        ((), {"url": "/items"}, "02"),
        ((), {"url": "/items/{id}"}, "34"),
        ((), {"url": "https://{host}.test/{rest:path}"}, "4"),
        ((), {"url": re.compile(r"items/\d")}, "34"),
        ((), {"url": aiostub.ANY}, "01234"),
        ((), {"url": URL, "params": aiostub.ANY}, "012"),
        ((), {"url": URL, "params": {"sort": "a", "page": 1}}, "1"),
        ((), {"url": URL, "params": aiostub.partial({"page": "1"})}, "1"),
        ((), {"headers": {"n": "3"}}, "3"),
        ((), {"headers": {"N": re.compile("[13]")}}, "13"),
        ((), {"cookies": {"c": "1"}}, "4"),
        ((), {"json": {"name": "Ada", "age": 36}}, "2"),
        ((), {"json": aiostub.partial({"name": "Ada"})}, "2"),
        ((), {"data": {"a": "1"}}, "3"),
        ((), {"where": lambda request: request.url.host == "other.test"}, "4"),
        (("PUT",), {}, ""),
    )

    @pytest.mark.parametrize(("args", "kwargs", "expected"), FILTERS)
    async def test_it_gives_the_calls_that_match(self, calls, args, kwargs, expected):
        """In their order."""
        found = calls.filter(*args, **kwargs)
        assert expected == "".join(call.request.headers["N"] for call in found)
        assert isinstance(found, aiostub.Calls)

    async def test_filters_chain(self, calls):
        """A part can be filtered again."""
        assert 1 == len(calls.filter("POST").filter(url="/items"))
        assert 1 == len(calls[2:].filter("POST").filter(headers={"N": "2"}))

    async def test_a_base_url_holds_here_too(self, session):
        """As it does for routes."""
        with aiostub.Stub("http://api.test/v1/") as stub:
            stub.get("users").reply()
            await ask(session, url="http://api.test/v1/users")
            assert 1 == len(stub.calls.filter("GET", "users"))
            assert 1 == len(stub.calls[:].filter("GET", "users"))
            assert 0 == len(stub.calls.filter("GET", "/users"))

    WRONG = (
        {"params": 3},
        {"headers": 3},
        {"url": 3},
        {"url": "items"},
        {"where": 3},
        {"json": 1, "data": b"1"},
    )

    @pytest.mark.parametrize("arguments", WRONG, ids=str)
    async def test_wrong_arguments_are_route_errors(self, calls, arguments):
        """As for a route."""
        with pytest.raises(RouteError):
            calls.filter(**arguments)

    async def test_an_unknown_keyword_is_a_type_error(self, calls):
        """As for a route."""
        with pytest.raises(TypeError, match="bogus"):
            calls.filter(bogus=1)

    async def test_a_matcher_that_raises_comes_through(self, calls):
        """It never means no match."""
        with pytest.raises(ZeroDivisionError):
            calls.filter(where=lambda request: 1 / 0)


class TestWaitCalled:
    """`await route.wait_called(n, timeout)` waits until the route has answered."""

    async def test_it_returns_at_once_if_the_calls_are_there(self, stub, session):
        """However many more there are, and however little time."""
        route = stub.get(URL).reply().times(3)
        for _ in range(3):
            await ask(session)
        await route.wait_called()
        await route.wait_called(2, timeout=0)
        await route.wait_called(n=3)

    async def test_it_waits_for_calls_of_a_background_task(self, stub, session):
        """As many as it is told."""
        route = stub.get(URL).reply().always()

        async def background():
            while True:
                await ask(session)

        task = asyncio.ensure_future(background())
        await route.wait_called(3)
        assert route.call_count >= 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def test_it_hears_of_calls_in_other_threads(self, stub):
        """Whichever loop they are made in."""
        route = stub.get(URL).reply()

        async def client():
            async with aiohttp.ClientSession() as session:
                await ask(session)

        waiting = asyncio.ensure_future(route.wait_called())
        await asyncio.sleep(0)
        await asyncio.to_thread(asyncio.run, client())
        await waiting

    async def test_a_failure_counts(self, stub, session):
        """The route has answered with it."""
        route = stub.get(URL).fail(faults.refused())
        waiting = asyncio.ensure_future(route.wait_called())
        await raised(session)
        await waiting

    async def test_many_may_wait(self, stub, session):
        """For different numbers."""
        route = stub.get(URL).reply().times(3)
        waiting = [asyncio.ensure_future(route.wait_called(n)) for n in (1, 2, 3)]
        for _ in range(3):
            await ask(session)
        await asyncio.gather(*waiting)

    async def test_whoever_has_given_up_is_forgotten(self, stub, session):
        """A loop that is closed by now, a task that was cancelled."""
        route = stub.get(URL).reply()
        waiting = asyncio.ensure_future(route.wait_called())
        await settled()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await ask(session)
        await route.wait_called()

    @virtual_time
    async def test_in_time_it_gives_up(self, stub, session):
        """After five seconds, unless told otherwise; the text has the timeline."""
        loop = asyncio.get_running_loop()
        route = stub.get(URL).reply().always()
        await ask(session)
        for arguments, seconds in (({}, 5), ({"timeout": 2}, 2)):
            start = loop.time()
            with pytest.raises(AssertionError) as caught:
                await route.wait_called(2, **arguments)
            assert seconds == pytest.approx(loop.time() - start)
            assert (
                f"expected at least 2 calls of GET {URL} within {seconds} s, got 1:\n"
                f"  1 call in 0 ms\n"
                f"    +0 ms  GET  {URL}  200  0 ms  GET {URL}"
            ) == str(caught.value)

    @virtual_time
    async def test_the_text_shows_the_other_calls(self, stub, session):
        """Where the route has none."""
        other = stub.get(f"{URL}/other").reply(204)
        await ask(session, url=f"{URL}/other")
        route = stub.get(URL).reply().optional()
        with pytest.raises(AssertionError) as caught:
            await route.wait_called()
        assert (
            f"expected at least 1 call of GET {URL} within 5 s, got none\n\n"
            f"There were others:\n"
            f"  1 call in 0 ms\n"
            f"    +0 ms  GET  {URL}/other  204  0 ms  GET {URL}/other"
        ) == str(caught.value)
        assert other.called

    async def test_the_error_is_no_timeout(self, stub):
        """Nothing that an app would swallow."""
        route = stub.get(URL).reply().optional()
        with pytest.raises(AssertionError) as caught:
            await route.wait_called(timeout=0)
        assert not isinstance(caught.value, (asyncio.TimeoutError, OSError))


class TestClearing:
    """What `calls.clear()` and `reset()` forget."""

    async def test_clear_forgets_the_calls_alone(self, lenient, session):
        """Steps stay used."""
        lenient.get(URL).reply()
        await ask(session)
        lenient.calls.clear()
        assert [] == list(lenient.calls)
        assert isinstance(await raised(session), UnmatchedRequest)
        assert 1 == len(lenient.calls)

    async def test_clear_forgets_the_calls_of_the_routes(self, stub, session):
        """A route and its stub tell the same story."""
        route = stub.get(URL).reply().times(2)
        await ask(session)
        stub.calls.clear()
        assert ([], False, 0) == (list(route.calls), route.called, route.call_count)
        await ask(session)
        assert (1, 1) == (route.call_count, len(stub.calls))

    async def test_clear_remembers_unmatched_requests(self, session):
        """The strict check has them still."""
        stub = aiostub.Stub()
        stub.start()
        await raised(session)
        stub.calls.clear()
        with pytest.raises(UnsatisfiedStub, match=f"GET {URL}"):
            stub.stop()

    async def test_clear_remembers_what_was_served(self, stub, session):
        """The strict check is satisfied."""
        stub.get(URL).reply()
        await ask(session)
        stub.calls.clear()

    async def test_reset_drops_routes_and_calls(self, stub, session):
        """What was registered is neither asked nor missed."""
        stub.get(URL).reply(text="old")
        stub.get(URL).reply(text="older")
        await ask(session)
        stub.reset()
        assert [] == list(stub.calls)
        stub.get(URL).reply(text="new")
        assert (200, "new") == await ask(session)

    async def test_reset_keeps_unmatched_requests_in_mind(self, session):
        """A request that nobody answered is not forgiven by it."""
        stub = aiostub.Stub()
        stub.start()
        await raised(session)
        stub.reset()
        with pytest.raises(UnsatisfiedStub, match="1 request was unmatched"):
            stub.stop()

    async def test_a_route_from_before_a_reset_does_not_come_back(self, lenient, session):
        """Adding a step to it registers nothing."""
        route = lenient.get(URL).reply()
        lenient.reset()
        route.then.reply()
        assert isinstance(await raised(session), UnmatchedRequest)

    async def test_reset_keeps_rules(self, session, unused_tcp_port):
        """What passes through is not a route."""
        with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.reset()
            error = await raised(session, url=f"http://127.0.0.1:{unused_tcp_port}/")
            assert aiohttp.ClientConnectorError is type(error)

    async def test_a_call_in_flight_when_the_log_is_cleared(self, stub, session):
        """It is forgotten, and ends quietly."""
        gate = asyncio.Event()

        async def answer(request):
            await gate.wait()
            return 200

        stub.get(URL).handle(answer)
        task = asyncio.ensure_future(ask(session))
        await settled()
        stub.calls.clear()
        gate.set()
        assert (200, "") == await task
        assert [] == list(stub.calls)


class TestAfterwards:
    """The log stays readable when the stub has stopped."""

    async def test_every_attribute(self):
        """Session closed, stub stopped."""
        with aiostub.Stub() as stub:
            route = stub.post(URL).reply(201, text="made")
            async with aiohttp.ClientSession() as session:
                await ask(session, "POST", json={"a": 1})
        (call,) = stub.calls
        assert {"a": 1} == call.request.json()
        assert (201, None, 1, False) == (
            call.status,
            call.error,
            call.attempts,
            call.passed_through,
        )
        assert 201 == call.response.status
        assert route is call.route
        assert 1 == len(stub.calls.filter("POST", URL, json={"a": 1}))
        assert "1 call in" in stub.calls.timeline()
        stub.assert_called_once_with("POST", URL, json={"a": 1})

    def test_after_the_loop_is_closed(self):
        """A sync test may look at what an app did in a loop of its own."""

        async def app():
            async with aiohttp.ClientSession() as session:
                return await ask(session)

        with aiostub.Stub() as stub:
            stub.get(URL).reply(text="a")
            loop = asyncio.new_event_loop()
            assert (200, "a") == loop.run_until_complete(app())
            loop.close()
        assert [200] == [call.status for call in stub.calls]

    async def test_the_next_run_goes_on_with_it(self, session):
        """Starting again forgets nothing."""
        stub = aiostub.Stub()
        stub.get(URL).reply().times(2)
        stub.start()
        await ask(session)
        with pytest.raises(UnsatisfiedStub):
            stub.stop()
        with stub:
            await ask(session)
        assert 2 == len(stub.calls)


class TestNesting:
    """A call stands in the log of the stub that answered."""

    async def test_the_outer_one_answers(self, session):
        """And the inner one knows nothing of it."""
        with aiostub.Stub() as outer, aiostub.Stub() as inner:
            outer.get(URL).reply()
            inner.post(URL).reply()
            await ask(session)
            await ask(session, "POST", data=b"body")
        assert ["GET"] == [call.request.method for call in outer.calls]
        assert ["POST"] == [call.request.method for call in inner.calls]

    async def test_what_nobody_answers_is_in_the_innermost_log(self, session):
        """And counts against that one alone."""
        outer, inner = aiostub.Stub(), aiostub.Stub()
        outer.start()
        inner.start()
        await raised(session)
        assert (0, 1) == (len(outer.calls), len(inner.calls))
        with pytest.raises(UnsatisfiedStub):
            inner.stop()
        outer.stop()

    async def test_what_waits_for_its_body_ends_in_one_log(self, session):
        """Whichever stub answers in the end."""
        with aiostub.Stub() as outer, aiostub.Stub() as inner:
            inner.post(URL, data=b"inner").reply().optional()
            outer.post(URL, data=b"outer").reply()
            await ask(session, "POST", data=b"outer")
        assert (1, 0) == (len(outer.calls), len(inner.calls))
