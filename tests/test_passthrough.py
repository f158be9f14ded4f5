"""Passing through: what reaches a real server on loopback, and what does not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web
from aiohttp.abc import AbstractResolver
from aiohttp.test_utils import RawTestServer, TestClient, TestServer
from real_server import real_server
from yarl import URL

import aiostub
from aiostub import UnmatchedRequest, UnsatisfiedStub

SITE = "https://api.example.com"
CERTIFICATE = Path(__file__).parent / "conformance" / "self_signed.pem"


class Everywhere(AbstractResolver):
    """Every name leads to this machine."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self):
        pass


@pytest.fixture
async def server():
    """A real server that says what it is."""
    async with real_server() as running:
        yield running


@pytest.fixture
async def echo():
    """A real server that repeats the body."""

    async def repeat(request):
        return web.Response(body=await request.read())

    async with real_server(repeat) as running:
        yield running


@pytest.fixture
async def session():
    """A client for which every name is this machine."""
    async with ClientSession(connector=TCPConnector(resolver=Everywhere())) as opened:
        yield opened


async def text_of(session, url, method="GET", **kwargs):
    """Ask, and read the body."""
    async with session.request(method, url, **kwargs) as response:
        return await response.text()


async def unmatched(session, url, method="GET", **kwargs):
    """Ask what nobody answers."""
    with pytest.raises(UnmatchedRequest):
        await text_of(session, url, method, **kwargs)


def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# Rules

PASSING = [
    ("127.0.0.1", "127.0.0.1", "/"),
    ("http://127.0.0.1", "127.0.0.1", "/any/path?and=query"),
    ("http://127.0.0.1:{port}", "127.0.0.1", "/x"),
    ("http://127.0.0.1/api", "127.0.0.1", "/api"),
    ("http://127.0.0.1/api", "127.0.0.1", "/api/users/7"),
    ("http://127.0.0.1/api", "127.0.0.1", "/api?page=2"),
    ("http://127.0.0.1:{port}/api/", "127.0.0.1", "/api/users"),
    ("service.internal", "service.internal", "/"),
    ("SERVICE.internal", "service.INTERNAL", "/"),
    ("*.internal", "service.internal", "/"),
    ("http://*.internal:{port}/health", "service.internal", "/health/live"),
    ("http://service-*.internal", "service-7.internal", "/"),
    ("http://127.0.0.1/v*/users", "127.0.0.1", "/v2/users"),
    (re.compile(r"/health$"), "127.0.0.1", "/deep/health"),
    (re.compile(r"internal:\d+/.*page=2"), "service.internal", "/x?page=2"),
    (lambda request: request.method == "GET", "127.0.0.1", "/"),
    (lambda request: request.url.path == "/x", "127.0.0.1", "/x"),
]
STOPPED = [
    ("127.0.0.2", "127.0.0.1", "/"),
    ("localhost", "127.0.0.1", "/"),
    ("https://127.0.0.1", "127.0.0.1", "/"),
    ("http://127.0.0.1:1", "127.0.0.1", "/"),
    ("http://127.0.0.1/api", "127.0.0.1", "/"),
    ("http://127.0.0.1/api", "127.0.0.1", "/apiary"),
    ("http://127.0.0.1/api", "127.0.0.1", "/API"),
    ("internal", "service.internal", "/"),
    ("*.internal", "a.b.internal", "/"),
    ("*.internal", "internal", "/"),
    ("http://127.0.0.1/v*/users", "127.0.0.1", "/v2/more/users"),
    (re.compile(r"^/health"), "127.0.0.1", "/health"),
    (lambda request: False, "127.0.0.1", "/"),
]


def rule_for(rule, server):
    """Fill in the port of the server."""
    return rule.format(port=server.url.port) if isinstance(rule, str) else rule


def url_for(host, path, server):
    """Where to ask."""
    return URL(f"http://{host}:{server.url.port}{path}")


@pytest.mark.parametrize(("rule", "host", "path"), PASSING)
async def test_a_rule_lets_through(rule, host, path, server, session):
    """By host, origin, prefix, pattern or predicate; given to the stub or told to it."""
    url = url_for(host, path, server)
    async with aiostub.Stub(passthrough=[rule_for(rule, server)]) as stub:
        assert "real" == await text_of(session, url)
    assert [True] == [call.passed_through for call in stub.calls]
    async with aiostub.Stub() as stub:
        stub.passthrough(rule_for(rule, server))
        assert "real" == await text_of(session, url)
    assert [f"GET {path}"] * 2 == server.lines


@pytest.mark.parametrize(("rule", "host", "path"), STOPPED)
async def test_a_rule_lets_nothing_else_through(rule, host, path, server, session):
    """What it does not name is unmatched, and reaches no network."""
    async with aiostub.Stub(passthrough=[rule_for(rule, server)], strict=False) as stub:
        await unmatched(session, url_for(host, path, server))
    assert [False] == [call.passed_through for call in stub.calls]
    assert [] == server.lines


async def test_a_bare_string_is_one_rule(server, session):
    """It is no iterable of characters."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.passthrough("service.internal")
        assert "real" == await text_of(session, server.url)
        assert "real" == await text_of(session, url_for("service.internal", "/", server))
        with pytest.raises(UnmatchedRequest):
            await text_of(session, url_for("1", "/", server))
        stub._registry.troubles.clear()


async def test_several_rules_are_alternatives(server, session):
    """Any of them will do."""
    rules = ["nowhere.example.com", re.compile("/a$"), "http://127.0.0.1/b"]
    async with aiostub.Stub(passthrough=rules, strict=False):
        assert "real" == await text_of(session, server.url / "a")
        assert "real" == await text_of(session, server.url / "b")
        await unmatched(session, server.url / "c")


async def test_a_rule_may_come_while_requests_are_made(server, session):
    """From then on it holds."""
    async with aiostub.Stub(strict=False) as stub:
        await unmatched(session, server.url)
        stub.passthrough("127.0.0.1")
        assert "real" == await text_of(session, server.url)


async def test_a_predicate_sees_the_request(server, session):
    """Method, URL and headers, as far as they are known before sending."""
    seen = []

    def rule(request):
        seen.append((request.method, request.url, request.headers.get("X-Known")))
        return True

    async with aiostub.Stub(passthrough=rule):
        await text_of(session, server.url, headers={"X-Known": "yes"})
    assert ("GET", server.url, "yes") == seen[0]


async def test_a_predicate_that_raises_is_a_bug_of_the_test(server, session):
    """It comes out of the call and again at the end, and never means no."""

    def rule(request):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with aiostub.Stub(passthrough=rule):
            with pytest.raises(ZeroDivisionError):
                await text_of(session, server.url)
    assert [] == server.lines


@pytest.mark.parametrize("wrong", [5, None, b"127.0.0.1", "", object()])
def test_what_is_no_rule_is_an_error_where_it_is_given(wrong):
    """At the constructor as at the method."""
    with pytest.raises(aiostub.RouteError):
        aiostub.Stub(passthrough=[wrong])
    with pytest.raises(aiostub.RouteError):
        aiostub.Stub().passthrough(wrong)


# Routes come first


async def test_a_route_comes_before_a_rule(server, session):
    """What a route matches is not let through."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.get(str(server.url / "stubbed")).reply(text="stub")
        assert "stub" == await text_of(session, server.url / "stubbed")
        assert "real" == await text_of(session, server.url / "real")
    assert ["GET /real"] == server.lines


async def test_a_used_up_route_passes_by_an_explicit_rule(server, session):
    """The rule was written by somebody who meant it."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.get(str(server.url)).reply(text="stub")
        assert "stub" == await text_of(session, server.url)
        assert "real" == await text_of(session, server.url)


async def test_a_used_up_route_does_not_pass_as_what_is_unmatched(server, session):
    """It is unmatched, and not silently real."""
    async with aiostub.Stub(unmatched="passthrough", strict=False) as stub:
        stub.get(str(server.url)).reply(text="stub")
        assert "stub" == await text_of(session, server.url)
        await unmatched(session, server.url)
        assert "real" == await text_of(session, server.url / "other")
    assert ["GET /other"] == server.lines


async def test_a_used_up_route_with_a_body_does_not_pass_either(echo, session):
    """Nor when it took the body to know that it would have answered."""
    async with aiostub.Stub(unmatched="passthrough", strict=False) as stub:
        stub.post(str(echo.url), json={"a": 1}).reply(text="stub")
        assert "stub" == await text_of(session, echo.url, "POST", json={"a": 1})
        await unmatched(session, echo.url, "POST", json={"a": 1})
        assert '{"a": 2}' == await text_of(session, echo.url, "POST", json={"a": 2})
    assert 1 == len(echo.arrivals)


async def test_a_used_up_route_of_an_inner_stub_does_not_pass(server, session):
    """Whichever stub would let the rest go."""
    async with aiostub.Stub(unmatched="passthrough"), aiostub.Stub(strict=False) as inner:
        inner.get(str(server.url)).reply(text="stub")
        assert "stub" == await text_of(session, server.url)
        await unmatched(session, server.url)


async def test_all_the_rest_may_pass(server, session):
    """unmatched="passthrough" lets go what no route matches."""
    async with aiostub.Stub(unmatched="passthrough") as stub:
        stub.get(SITE).reply(text="stub")
        assert "stub" == await text_of(session, SITE)
        assert "real" == await text_of(session, server.url)
    assert [False, True] == [call.passed_through for call in stub.calls]


async def test_nothing_passes_by_default(server, session):
    """A loopback host is no exception."""
    with pytest.raises(UnsatisfiedStub):
        async with aiostub.Stub():
            await unmatched(session, server.url)
    assert [] == server.lines


# Nesting


async def test_the_routes_of_all_stubs_come_before_the_rules_of_any(server, session):
    """An inner rule does not hide an outer route."""
    async with aiostub.Stub() as outer, aiostub.Stub(passthrough="127.0.0.1") as inner:
        outer.get(str(server.url)).reply(text="outer")
        assert "outer" == await text_of(session, server.url)
        assert "real" == await text_of(session, server.url / "x")
    assert (1, 1) == (len(outer.calls), len(inner.calls))


async def test_an_outer_rule_lets_through_what_an_inner_stub_does_not_know(server, session):
    """The call stands in the log of the one whose rule it was."""
    async with aiostub.Stub(passthrough="127.0.0.1") as outer, aiostub.Stub() as inner:
        assert "real" == await text_of(session, server.url)
    assert (1, 0) == (len(outer.calls), len(inner.calls))


async def test_the_innermost_rule_lets_through(server, session):
    """Rules are asked from the innermost stub outwards."""
    async with (
        aiostub.Stub(passthrough="127.0.0.1") as outer,
        aiostub.Stub(passthrough="127.0.0.1") as inner,
    ):
        assert "real" == await text_of(session, server.url)
    assert (0, 1) == (len(outer.calls), len(inner.calls))


# What is logged


@pytest.mark.parametrize("kind", ["rule", "rest", "step", "test server"])
async def test_what_passes_is_logged(kind, session):
    """With request, response, status and time, whichever way it passed."""

    async def handler(request):
        return web.Response(status=418, text="real")

    async with contextlib.AsyncExitStack() as stack:
        if kind == "test server":
            app = web.Application()
            app.router.add_get("/x", handler)
            url = (await stack.enter_async_context(TestServer(app))).make_url("/x")
        else:
            url = (await stack.enter_async_context(real_server(handler))).url / "x"
        async with aiostub.Stub(unmatched="passthrough" if kind == "rest" else "error") as stub:
            if kind == "rule":
                stub.passthrough("127.0.0.1")
            route = stub.get(str(url)).passthrough() if kind == "step" else None
            async with session.get(url) as response:
                await response.read()
    (call,) = stub.calls
    assert (True, route, None) == (call.passed_through, call.route, call.error)
    assert (response, 418) == (call.response, call.status)
    assert ("GET", url) == (call.request.method, call.request.url)
    assert ("GET", url) == (call.origin.method, call.origin.url)
    assert call.elapsed > 0
    assert "418" in stub.calls.timeline()


async def stream_of(*pieces):
    """A body of which nobody knows the length."""
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


def form_with_file():
    """A multipart form."""
    form = aiohttp.FormData()
    form.add_field("file", b"content", filename="a.txt")
    return form


BODIES = {
    "none": dict,
    "bytes": lambda: {"data": b"abc"},
    "text": lambda: {"data": "abc"},
    "json": lambda: {"json": {"a": 1}},
    "form": lambda: {"data": {"a": "1"}},
    "multipart": lambda: {"data": form_with_file()},
    "stream": lambda: {"data": stream_of(b"ab", b"c")},
}
each_body = pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))


@each_body
async def test_the_log_has_what_the_real_server_got(body, echo, session):
    """Headers and body as they were on the wire."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        await text_of(session, echo.url, "POST", headers={"X-Mine": "yes"}, **body())
    (arrival,), (call,) = echo.arrivals, stub.calls
    assert arrival.body == call.request.body
    assert arrival.headers == dict(call.request.headers)


either_body = pytest.mark.parametrize(
    "data", [lambda: b"abc", lambda: stream_of(b"ab", b"c")], ids=["bytes", "stream"]
)


@either_body
async def test_a_compressed_body_that_passes_is_read_as_a_stubbed_one(data, echo, session):
    """The views undo its coding, or find it undone: aiohttp codes it behind our ear."""
    for rules in ((), ("127.0.0.1",)):
        async with aiostub.Stub(passthrough=rules) as stub:
            if not rules:
                stub.post(str(echo.url)).reply(200)
            await text_of(session, echo.url, "POST", data=data(), compress="deflate")
        request = stub.calls.last.request
        assert ("abc", "deflate") == (request.text, request.headers["Content-Encoding"])


@pytest.mark.parametrize("reads_body", [False, True], ids=["", "replayed"])
async def test_what_passes_through_a_proxy_is_what_aiohttp_sends_it(reads_body, echo):
    """The rule names the host that was asked for; the proxy is told who asks, once."""
    url, proxy = "http://service.internal/x", echo.url.with_user("ada").with_password("secret")
    async with ClientSession() as one:
        await text_of(one, url, "POST", data=b"abc", proxy=proxy)
    async with aiostub.Stub(passthrough="service.internal") as stub, ClientSession() as two:
        if reads_body:
            stub.post(url, data=b"never").reply(200).optional()
        assert "abc" == await text_of(two, url, "POST", data=b"abc", proxy=proxy)
    direct, passed = echo.arrivals
    assert direct == passed
    assert passed.headers == dict(stub.calls.last.request.headers)


async def test_an_error_of_the_real_network_is_the_calls_own(session):
    """It is logged, and is neither unmatched nor an error of the stub's."""
    url = URL(f"http://127.0.0.1:{closed_port()}/")
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await text_of(session, url)
    (call,) = stub.calls
    assert (True, caught.value) == (call.passed_through, call.error)


async def test_a_real_body_that_breaks_off_is_logged(session):
    """An error while reading stands in the log, too."""

    async def break_off(request):
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"half")
        request.transport.close()
        return response

    async with real_server(break_off) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            with pytest.raises(aiohttp.ClientPayloadError) as caught:
                await text_of(session, server.url)
    assert caught.value is stub.calls.last.error
    assert 200 == stub.calls.last.status


# A real connection stays real


async def test_real_connections_are_kept_and_used_again(server, session):
    """In the pool of the user's connector, also after the stub has stopped."""
    async with aiostub.Stub(passthrough="127.0.0.1"):
        for _ in range(3):
            await text_of(session, server.url)
    assert "real" == await text_of(session, server.url)
    assert 1 == len(server.connections)


async def test_trace_events_of_a_real_connection_are_those_of_aiohttp(server):
    """Nothing is told twice or kept back."""

    def config(events):
        made = aiohttp.TraceConfig()
        for name in ("create_start", "create_end", "reuseconn", "queued_start"):

            async def note(session, context, params, name=name):
                events.append(name)

            getattr(made, f"on_connection_{name}").append(note)
        return made

    plain, stubbed = [], []
    async with ClientSession(trace_configs=[config(plain)]) as one:
        for _ in range(2):
            await text_of(one, server.url)
    async with aiostub.Stub(passthrough="127.0.0.1"):
        async with ClientSession(trace_configs=[config(stubbed)]) as two:
            for _ in range(2):
                await text_of(two, server.url)
    assert plain == stubbed


async def test_a_stub_may_redirect_to_a_real_server_and_back(session):
    """Each hop is decided by itself."""

    async def back(request):
        raise web.HTTPFound(SITE + "/end")

    async with real_server(back) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.get(SITE + "/start").reply(302, headers={"Location": str(server.url / "x")})
            stub.get(SITE + "/end").reply(text="end")
            assert "end" == await text_of(session, SITE + "/start")
    assert [False, True, False] == [call.passed_through for call in stub.calls]


async def echo_socket(request):
    """Answer a WebSocket's messages."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data + "!")
    return socket


async def test_a_websocket_passes(session):
    """An upgraded connection is real in both directions."""
    async with real_server(echo_socket) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            async with session.ws_connect(server.url) as ws:
                await ws.send_str("hello")
                assert "hello!" == await ws.receive_str()
    assert (101, True) == (stub.calls.last.status, stub.calls.last.passed_through)


async def test_many_requests_pass_at_once(server, session):
    """None waits for the other, stubbed ones among them."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.get(SITE).reply(text="stub").always()
        urls = [SITE, server.url] * 10
        assert ["stub", "real"] * 10 == await asyncio.gather(*(text_of(session, u) for u in urls))


# Test servers of this process


def greeting(text="served"):
    """An application that greets at every path."""

    async def greet(request):
        return web.Response(text=text)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", greet)
    return app


async def test_a_test_server_passes_by_itself(session):
    """One that was started before the stub."""
    async with TestServer(greeting()) as served:
        async with aiostub.Stub() as stub:
            assert "served" == await text_of(session, served.make_url("/"))
    assert [True] == [call.passed_through for call in stub.calls]


async def test_a_test_server_started_meanwhile_passes_too(session):
    """When it was made does not count."""
    async with aiostub.Stub():
        async with TestServer(greeting()) as served:
            assert "served" == await text_of(session, served.make_url("/x"))


async def test_a_test_client_works_beside_a_stub():
    """The app under test is real, what it calls is not."""

    async def handler(request):
        async with ClientSession() as outgoing:
            return web.Response(text=await text_of(outgoing, SITE))

    app = web.Application()
    app.router.add_get("/", handler)
    async with aiostub.Stub() as stub, TestClient(TestServer(app)) as client:
        stub.get(SITE).reply(text="stubbed")
        response = await client.get("/")
        assert "stubbed" == await response.text()
    assert [True, False] == [call.passed_through for call in stub.calls]


async def test_a_raw_test_server_passes(session):
    """It is a test server like the others."""

    async def handler(request):
        return web.Response(text="raw")

    async with aiostub.Stub(), RawTestServer(handler) as served:
        assert "raw" == await text_of(session, served.make_url("/"))


async def test_a_test_server_is_found_by_the_name_of_this_machine(session):
    """localhost is where it listens."""
    async with aiostub.Stub(), TestServer(greeting(), host="localhost") as served:
        assert "served" == await text_of(session, served.make_url("/"))


async def test_a_test_clients_websocket_passes():
    """The handshake is a request as any other."""
    app = web.Application()
    app.router.add_get("/", echo_socket)
    async with aiostub.Stub(), TestClient(TestServer(app)) as client:
        async with client.ws_connect("/") as ws:
            await ws.send_str("hello")
            assert "hello!" == await ws.receive_str()


async def test_a_route_comes_before_a_test_server(session):
    """Who writes the route means it."""
    async with aiostub.Stub() as stub, TestServer(greeting()) as served:
        stub.get(str(served.make_url("/"))).reply(text="stub")
        assert "stub" == await text_of(session, served.make_url("/"))


async def test_a_used_up_route_does_not_pass_to_a_test_server(session):
    """It is unmatched, and not silently real."""
    async with aiostub.Stub(strict=False) as stub, TestServer(greeting()) as served:
        stub.get(str(served.make_url("/"))).reply(text="stub")
        await text_of(session, served.make_url("/"))
        await unmatched(session, served.make_url("/"))


async def test_a_closed_test_server_does_not_pass(session):
    """Nor does another server at this machine."""
    async with aiostub.Stub(strict=False):
        async with TestServer(greeting()) as served:
            url = served.make_url("/")
            assert "served" == await text_of(session, url)
        await unmatched(session, url)


async def test_a_server_that_is_no_test_server_does_not_pass(server, session):
    """Living in this process is not enough."""
    async with aiostub.Stub(strict=False), TestServer(greeting()):
        await unmatched(session, server.url)


async def test_a_test_server_needs_no_other_stub_to_agree(session):
    """With nested stubs the innermost one logs it."""
    async with aiostub.Stub() as outer, aiostub.Stub() as inner, TestServer(greeting()) as served:
        assert "served" == await text_of(session, served.make_url("/"))
    assert (0, 1) == (len(outer.calls), len(inner.calls))


# Steps


async def test_a_step_may_let_through(server, session):
    """Once, like every step, and then the route is used up."""
    async with aiostub.Stub(strict=False) as stub:
        route = stub.get(str(server.url)).passthrough()
        assert "real" == await text_of(session, server.url)
        await unmatched(session, server.url)
    assert [(route, True)] == [(call.route, call.passed_through) for call in route.calls]


@pytest.mark.parametrize("kind", ["rule", "rest", "step"])
async def test_what_passes_waits_its_turn_in_the_queue_of_the_connector(kind, server):
    """Behind a stubbed request that has the only place, and before another."""
    rest = "passthrough" if kind == "rest" else "error"
    async with aiostub.Stub(unmatched=rest) as stub:
        stub.get(SITE).reply(text="stub", delay=0.002).times(2)
        if kind == "rule":
            stub.passthrough("127.0.0.1")
        if kind == "step":
            stub.get(str(server.url)).passthrough().times(2)
        async with ClientSession(connector=TCPConnector(limit=1)) as narrow:
            urls = [SITE, server.url, SITE, server.url]
            answers = asyncio.gather(*(text_of(narrow, url) for url in urls))
            assert ["stub", "real"] * 2 == await asyncio.wait_for(answers, 2)
            assert not narrow.connector._acquired
    assert 2 == len(server.arrivals)
    assert 1 == stub.calls.concurrency


async def test_a_script_may_end_in_the_real_network(server, session):
    """First the failures, then the truth."""
    async with aiostub.Stub() as stub:
        route = stub.get(str(server.url)).reply(503).times(2).then.passthrough().always()
        answers = [await text_of(session, server.url) for _ in range(4)]
    assert ["", "", "real", "real"] == answers
    assert [False, False, True, True] == [call.passed_through for call in route.calls]


async def test_a_script_may_begin_in_the_real_network(server, session):
    """Stubbed and real requests of one session do not mix their connections."""
    async with aiostub.Stub() as stub:
        stub.get(str(server.url)).passthrough().then.reply(text="stub").then.passthrough()
        answers = [await text_of(session, server.url) for _ in range(3)]
    assert ["real", "stub", "real"] == answers
    assert 1 == len(server.connections)


async def test_an_unused_step_counts_in_the_strict_check(server):
    """Passing is something that was expected."""
    with pytest.raises(UnsatisfiedStub):
        async with aiostub.Stub() as stub:
            stub.get(str(server.url)).passthrough()


async def test_a_step_that_is_queued_lets_a_streamed_body_through(echo):
    """Piece by piece, though it was not known at first where it would go."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(text="stub", delay=0.002)
        stub.post(str(echo.url)).passthrough()
        async with ClientSession(connector=TCPConnector(limit=1)) as narrow:
            first = asyncio.create_task(text_of(narrow, SITE))
            data = stream_of(b"ab", b"c")
            second = asyncio.create_task(text_of(narrow, echo.url, "POST", data=data))
            assert ["stub", "abc"] == [await first, await asyncio.wait_for(second, 2)]


async def test_a_template_may_let_through(server, session):
    """Path parameters are in the log."""
    async with aiostub.Stub() as stub:
        stub.get(f"http://127.0.0.1:{server.url.port}/users/{{id}}").passthrough()
        assert "real" == await text_of(session, server.url / "users/7")
    assert {"id": "7"} == stub.calls.last.request.path_params


@each_body
async def test_a_step_with_a_condition_on_the_body_lets_it_through_whole(body, echo, session):
    """The body was read to decide; the real server gets it all the same."""
    async with aiostub.Stub() as stub:
        route = stub.post(str(echo.url), where=lambda request: True).passthrough()
        async with session.post(echo.url, **body()) as response:
            answer = await response.read()
    (arrival,), (call,) = echo.arrivals, route.calls
    assert answer == arrival.body == call.request.body
    assert (200, True) == (call.status, call.passed_through)


# A body that had to be read first


@pytest.fixture
def stub_reading_bodies(echo):
    """A stub whose only route asks for a body that never comes."""
    stub = aiostub.Stub(passthrough="127.0.0.1")
    stub.any(str(echo.url), json={"never": "this"}).reply(text="stub").optional()
    return stub


@each_body
async def test_a_body_that_no_route_wants_is_replayed(body, echo, session, stub_reading_bodies):
    """The real server gets head and body as if nobody had looked."""
    async with aiostub.Stub(passthrough="127.0.0.1"):
        await text_of(session, echo.url, "POST", headers={"X-Mine": "yes"}, **body())
    async with stub_reading_bodies as stub:
        await text_of(session, echo.url, "POST", headers={"X-Mine": "yes"}, **body())
    direct, replayed = echo.arrivals

    def without_boundary(arrival):
        kind = arrival.headers.get("Content-Type", "")
        boundary = kind.partition("boundary=")[2] or "no boundary"
        headers = {k: v.replace(boundary, "-") for k, v in arrival.headers.items()}
        return (
            arrival.method,
            arrival.target,
            headers,
            arrival.body.replace(boundary.encode(), b"-"),
        )

    assert without_boundary(direct) == without_boundary(replayed)
    assert (True, replayed.body) == (stub.calls.last.passed_through, stub.calls.last.request.body)


async def test_the_route_answers_what_it_wants(echo, session):
    """The same URL, one body stubbed and the other real."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.post(str(echo.url), json={"a": 1}).reply(text="stub")
        assert '{"a": 2}' == await text_of(session, echo.url, "POST", json={"a": 2})
        assert "stub" == await text_of(session, echo.url, "POST", json={"a": 1})
    assert [True, False] == [call.passed_through for call in stub.calls]


async def test_a_large_body_is_replayed_whole(session):
    """More than any buffer takes at once."""
    body = bytes(range(256)) * 3000

    async def size(request):
        return web.Response(text=str(len(await request.read())))

    async with real_server(size) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            answer = await text_of(session, server.url, "POST", data=body)
    assert str(len(body)) == answer
    assert body == server.arrivals[0].body == stub.calls.last.request.body


@either_body
async def test_a_body_that_waits_for_leave_is_replayed(data, echo, session, stub_reading_bodies):
    """Expect: 100-continue was answered to get the body, and is not answered twice."""
    async with stub_reading_bodies:
        answer = await asyncio.wait_for(
            text_of(session, echo.url, "POST", data=data(), expect100=True), 2
        )
    assert "abc" == answer
    assert b"abc" == echo.arrivals[0].body


async def test_a_large_real_answer_to_a_replayed_body_arrives_whole(session):
    """Flow control works on the real connection."""
    answer = bytes(range(256)) * 5000

    async def big(request):
        return web.Response(body=answer)

    async with real_server(big) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            async with session.post(server.url, data=b"x") as response:
                assert answer == await response.read()


async def test_the_session_goes_on_after_a_replay(echo, session, stub_reading_bodies):
    """Replayed, plain and stubbed requests follow each other on one session."""
    async with stub_reading_bodies as stub:
        stub.get(SITE).reply(text="stub").always()
        for n in range(3):
            body = str(n)
            assert body == await text_of(session, echo.url, "POST", data=body)
            assert "" == await text_of(session, echo.url)
            assert "stub" == await text_of(session, SITE)
    assert 9 == len(stub.calls)


async def test_many_bodies_are_replayed_at_once(echo, session, stub_reading_bodies):
    """Each to its own connection."""
    async with stub_reading_bodies:
        asked = [str(n) for n in range(10)]
        answers = await asyncio.gather(
            *(text_of(session, echo.url, "POST", data=each) for each in asked)
        )
    assert asked == answers


async def test_nothing_is_left_of_a_replay(echo, session, stub_reading_bodies):
    """No place in the connector, and no open socket."""
    async with stub_reading_bodies:
        await text_of(session, echo.url, "POST", data=b"x")
        await asyncio.sleep(0)
        assert not session.connector._acquired
    gc.collect()


async def test_a_replay_keeps_to_the_limit_of_the_connector(echo):
    """The memory connection and the real one are one place, not two."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.post(str(echo.url), data=b"never").reply(200).optional()
        async with ClientSession(connector=TCPConnector(limit=1)) as narrow:
            for _ in range(2):
                answer = text_of(narrow, echo.url, "POST", data=b"x")
                assert "x" == await asyncio.wait_for(answer, 2)


async def test_a_replay_over_tls(session):
    """What is handed over is the inside of the TLS connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    async def repeat(request):
        return web.Response(body=await request.read())

    async with real_server(repeat, tls=context) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            assert "x" == await text_of(session, server.url, "POST", data=b"x", ssl=False)


async def test_a_replay_that_cannot_connect_fails_as_aiohttp_does(session):
    """The app sees the connector error, the log too."""
    url = URL(f"http://127.0.0.1:{closed_port()}/")
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.post(str(url), data=b"never").reply(200).optional()
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await text_of(session, url, "POST", data=b"x")
    (call,) = stub.calls
    assert (True, caught.value) == (call.passed_through, call.error)


async def test_a_replay_goes_on_when_the_stub_stops(session):
    """It is between the app and the real server."""
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return web.Response(text="real")

    async with real_server(slow) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            task = asyncio.create_task(text_of(session, server.url, "POST", data=b"x"))
            await server.arrived()
        gate.set()
        assert "real" == await asyncio.wait_for(task, 2)


async def test_a_real_answer_to_a_replay_goes_on_when_the_stub_stops(session):
    """The body as well as the head."""
    gate = asyncio.Event()

    async def slow(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one ")
        await gate.wait()
        await response.write(b"two")
        return response

    async with real_server(slow) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            response = await session.post(server.url, data=b"x")
        gate.set()
        assert "one two" == await asyncio.wait_for(response.text(), 2)


async def test_a_replay_that_is_cancelled_leaves_no_socket(session):
    """At any moment: before the real connection, while it opens, while it waits."""

    async def never(request):
        await asyncio.Event().wait()

    async with real_server(never) as server:
        async with aiostub.Stub(passthrough="127.0.0.1", strict=False) as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            for moment in range(25):
                task = asyncio.create_task(text_of(session, server.url, "POST", data=b"x"))
                for _ in range(moment):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.sleep(0.001)
                assert not session.connector._acquired
            gc.collect()


@pytest.mark.parametrize("timer", ["total", "sock_read"])
async def test_the_timers_of_the_client_rule_a_replay(timer, session):
    """A real server that does not answer is timed out by aiohttp."""

    async def never(request):
        await asyncio.Event().wait()

    timeout = ClientTimeout(**{"total": None, timer: 0.03})
    async with real_server(never) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            with pytest.raises(asyncio.TimeoutError):
                await text_of(session, server.url, "POST", data=b"x", timeout=timeout)
    assert isinstance(stub.calls.last.error, asyncio.TimeoutError)


async def test_a_real_server_that_hangs_up_on_a_replay_is_told(session):
    """As the app would meet it without a stub."""

    async def hang_up(request):
        request.transport.close()
        return web.Response()

    async with real_server(hang_up) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.post(str(server.url), data=b"never").reply(200).optional()
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await text_of(session, server.url, "POST", data=b"x")
    assert isinstance(stub.calls.last.error, aiohttp.ServerDisconnectedError)


async def test_a_condition_on_a_header_of_the_wire_is_waited_for(server, session):
    """A header that aiohttp adds last is known only when it is sent; a GET has no body."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.get(str(server.url), headers={"X-Never": "sent"}).reply(text="stub").optional()
        assert "real" == await text_of(session, server.url)
    assert ["GET /"] == server.lines
    assert [True] == [call.passed_through for call in stub.calls]


async def test_a_websocket_passes_after_its_head_was_read(session):
    """The handshake is replayed, and the upgraded connection is real."""
    async with real_server(echo_socket) as server:
        async with aiostub.Stub(passthrough="127.0.0.1") as stub:
            stub.get(str(server.url), headers={"X-Never": "sent"}).reply(200).optional()
            async with session.ws_connect(server.url) as ws:
                for text in ("hello", "again"):
                    await ws.send_str(text)
                    assert text + "!" == await ws.receive_str()
    assert (101, True) == (stub.calls.last.status, stub.calls.last.passed_through)


async def test_an_outer_rule_passes_a_body_that_an_inner_route_has_read(echo, session):
    """The call moves to the log of the one whose rule it was."""
    async with aiostub.Stub(passthrough="127.0.0.1") as outer, aiostub.Stub() as inner:
        inner.post(str(echo.url), data=b"never").reply(200).optional()
        assert "x" == await text_of(session, echo.url, "POST", data=b"x")
    assert (1, 0) == (len(outer.calls), len(inner.calls))


async def test_a_body_that_nobody_wants_and_no_rule_passes_is_unmatched(echo, session):
    """Having been read does not make it real."""
    async with aiostub.Stub(strict=False) as stub:
        stub.post(str(echo.url), data=b"never").reply(200).optional()
        await unmatched(session, echo.url, "POST", data=b"x")
    assert [] == echo.arrivals


async def test_a_handler_that_declines_lets_a_rule_pass_the_request(echo, session):
    """None means: ask the next, and at last the rules."""
    async with aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.post(str(echo.url)).handle(lambda request: None).optional()
        assert "x" == await text_of(session, echo.url, "POST", data=b"x")
    assert [True] == [call.passed_through for call in stub.calls]
