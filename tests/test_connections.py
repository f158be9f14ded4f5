"""Connections: the user's limits rule them, and nothing of ours is left anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import ssl
import threading
import warnings
import weakref
from random import Random

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiohttp.client_proto import ResponseHandler
from real_server import real_server

import aiostub
from aiostub import StubStateError, _watch
from aiostub._wire import far_end as _far_end

SITE = "https://api.example.com"
OTHER = "https://other.example.com"


@pytest.fixture(autouse=True)
async def wires(monkeypatch):
    """Note every connection in memory; after the test none is open, and no task is left."""
    made = []
    connect = _far_end.connect_in_memory

    def connect_and_note(loop, near, far, **kwargs):
        connect(loop, near, far, **kwargs)
        made.extend([weakref.ref(near.transport), weakref.ref(far.transport)])

    monkeypatch.setattr(_far_end, "connect_in_memory", connect_and_note)
    wires = Wires(made)
    yield wires
    await turns()
    assert [] == wires.open
    assert {asyncio.current_task()} == asyncio.all_tasks()


class Wires:
    """The connections in memory that a test has made."""

    def __init__(self, ends):
        self._ends = ends

    @property
    def count(self):
        """How many connections there were."""
        return len(self._ends) // 2

    @property
    def open(self):
        """Their ends that are not closed."""
        ends = [end() for end in self._ends]
        return [e for e in ends if e and not e.is_closing() and not e._loop.is_closed()]


async def turns(n=10):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


async def until(happened):
    """Wait for something that takes a few turns of the loop."""
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def fetch(session, url=SITE, **kwargs):
    """Get a URL and read the body."""
    async with session.get(url, **kwargs) as response:
        return await response.text()


def is_untouched(connector):
    """Tell whether the user's connector holds nothing at all."""
    return not (
        connector._conns or connector._acquired or connector._acquired_per_host
    ) and not any(connector._waiters.values())


class Gate:
    """Handlers that wait until they are let go."""

    def __init__(self):
        self.waiting = 0
        self.entered = []
        self._open = asyncio.Event()

    async def __call__(self, request):
        self.entered.append(request.url.path)
        self.waiting += 1
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1
        return request.url.path

    def open(self):
        """Let everybody go."""
        self._open.set()


def tracing(*names):
    """A trace config that notes connection events, and the list of them."""
    events, config = [], aiohttp.TraceConfig()
    for name in names or ("queued_start", "queued_end", "create_start", "create_end", "reuseconn"):

        async def note(session, context, params, name=name):
            events.append(name)

        getattr(config, f"on_connection_{name}").append(note)
    return config, events


# Limits

LIMITS = {
    "limit": {"limit": 2},
    "limit_per_host": {"limit_per_host": 2},
    "both": {"limit": 5, "limit_per_host": 2},
}


with_and_without_rules = pytest.mark.parametrize(
    "passthrough", [(), ("127.0.0.1",)], ids=["", "with_rules"]
)


@with_and_without_rules
@pytest.mark.parametrize("limits", LIMITS.values(), ids=list(LIMITS))
async def test_a_connector_lets_no_more_through_than_its_limit(limits, passthrough):
    """The others wait their turn, and are no calls in flight until they have it."""
    gate = Gate()
    async with aiostub.Stub(passthrough=passthrough) as stub:
        stub.get(SITE + "/{n}").handle(gate).times(5)
        async with ClientSession(connector=TCPConnector(**limits)) as session:
            tasks = [asyncio.create_task(fetch(session, f"{SITE}/{n}")) for n in range(5)]
            await until(lambda: gate.waiting == 2)
            await turns()
            assert ["/0", "/1"] == gate.entered
            gate.open()
            assert [f"/{n}" for n in range(5)] == await asyncio.gather(*tasks)
    assert 5 == len(stub.calls)
    assert 2 == stub.calls.concurrency


async def test_a_connector_without_a_limit_lets_everybody_through():
    """limit=0 is no limit in memory either."""
    gate = Gate()
    async with aiostub.Stub() as stub:
        stub.get(SITE + "/{n}").handle(gate).times(150)
        async with ClientSession(connector=TCPConnector(limit=0)) as session:
            tasks = [asyncio.create_task(fetch(session, f"{SITE}/{n}")) for n in range(150)]
            await until(lambda: gate.waiting == 150)
            gate.open()
            await asyncio.gather(*tasks)
    assert 150 == stub.calls.concurrency


async def test_another_host_has_a_limit_of_its_own():
    """limit_per_host counts by host, port and scheme, as aiohttp does."""
    gate = Gate()
    async with aiostub.Stub() as stub:
        stub.get(SITE).handle(gate)
        stub.get(OTHER).reply(text="free")
        async with ClientSession(connector=TCPConnector(limit_per_host=1)) as session:
            task = asyncio.create_task(fetch(session))
            await until(lambda: gate.waiting)
            assert "free" == await fetch(session, OTHER)
            gate.open()
            await task


@with_and_without_rules
async def test_the_queue_is_served_in_order(passthrough):
    """First come, first served, for one host."""
    gate = Gate()
    gate.open()
    async with aiostub.Stub(passthrough=passthrough) as stub:
        stub.get(SITE + "/{n}").handle(gate).times(6)
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            await asyncio.gather(*(fetch(session, f"{SITE}/{n}") for n in range(6)))
    assert [f"/{n}" for n in range(6)] == gate.entered


async def test_queueing_tells_its_trace_events():
    """A request that waits says so, and again when it goes on."""
    config, events = tracing("queued_start", "queued_end")
    gate = Gate()
    async with aiostub.Stub() as stub:
        stub.get(SITE).handle(gate).times(2)
        connector = TCPConnector(limit=1)
        async with ClientSession(connector=connector, trace_configs=[config]) as session:
            one = asyncio.create_task(fetch(session))
            await until(lambda: gate.waiting)
            two = asyncio.create_task(fetch(session))
            await until(lambda: events)
            assert ["queued_start"] == events
            gate.open()
            await asyncio.gather(one, two)
    assert ["queued_start", "queued_end"] == events


async def test_a_real_request_in_flight_counts_against_the_limit():
    """One limit rules real and stubbed requests of a connector."""
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return aiohttp.web.Response(text="real")

    async with real_server(slow) as server, aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.get(SITE).reply(text="stubbed")
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            real = asyncio.create_task(fetch(session, server.url))
            await server.arrived()
            stubbed = asyncio.create_task(fetch(session))
            await turns()
            assert not stubbed.done()
            gate.set()
            assert ["real", "stubbed"] == [await real, await stubbed]


async def test_a_stubbed_request_in_flight_counts_against_the_limit_of_real_ones():
    """And the other way round."""
    gate = Gate()
    async with real_server() as server, aiostub.Stub(passthrough="127.0.0.1") as stub:
        stub.get(SITE + "/x").handle(gate)
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            stubbed = asyncio.create_task(fetch(session, SITE + "/x"))
            await until(lambda: gate.waiting)
            real = asyncio.create_task(fetch(session, server.url))
            await asyncio.sleep(0.005)
            assert [] == server.arrivals
            gate.open()
            assert ["/x", "real"] == [await stubbed, await real]


@with_and_without_rules
async def test_waiting_longer_than_the_connect_timeout_fails_as_aiohttp_does(passthrough):
    """The step is not used up by a request that never got a connection."""
    gate = Gate()
    async with aiostub.Stub(passthrough=passthrough) as stub:
        stub.get(SITE + "/{n}").handle(gate).times(2)
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            one = asyncio.create_task(fetch(session, SITE + "/1"))
            await until(lambda: gate.waiting)
            with pytest.raises(aiohttp.ServerTimeoutError):
                await fetch(session, SITE + "/2", timeout=ClientTimeout(connect=0.002))
            gate.open()
            assert "/1" == await one
            assert "/3" == await fetch(session, SITE + "/3")
    assert ["/1", "/3"] == gate.entered


@with_and_without_rules
async def test_a_request_that_timed_out_in_the_queue_is_no_unmatched_one(passthrough):
    """The strict check has nothing against it; the log tells what happened."""
    gate = Gate()
    async with aiostub.Stub(passthrough=passthrough) as stub:
        stub.get(SITE).handle(gate)
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            one = asyncio.create_task(fetch(session))
            await until(lambda: gate.waiting)
            with pytest.raises(aiohttp.ServerTimeoutError):
                await fetch(session, OTHER, timeout=ClientTimeout(connect=0.002))
            gate.open()
            await one
    assert [None] == [call.route for call in stub.calls if call.error is not None]


# Keep-alive


async def test_a_connection_is_used_again(wires):
    """One connection for one request after the other, with aiohttp's own events."""
    config, events = tracing()
    async with aiostub.Stub() as stub, ClientSession(trace_configs=[config]) as session:
        stub.get(SITE).reply(text="x").times(3)
        for _ in range(3):
            await fetch(session)
    assert ["create_start", "create_end", "reuseconn", "reuseconn"] == events
    assert 1 == wires.count


async def test_requests_at_once_have_connections_of_their_own(wires):
    """Those are kept, and used again by the next ones."""
    gate = Gate()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/{n}").handle(gate).always()
        tasks = [asyncio.create_task(fetch(session, f"{SITE}/{n}")) for n in range(3)]
        await until(lambda: gate.waiting == 3)
        gate.open()
        await asyncio.gather(*tasks)
        await asyncio.gather(*(fetch(session, f"{SITE}/{n}") for n in range(3)))
    assert 3 == wires.count


@pytest.mark.parametrize(
    "url", [OTHER, "http://api.example.com", "https://api.example.com:444", SITE + "./"]
)
async def test_a_connection_belongs_to_its_host_port_and_scheme(url, wires):
    """Another one gets its own."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(aiostub.ANY).reply(200).always()
        await fetch(session)
        await fetch(session, url)
    assert 2 == wires.count


@pytest.mark.parametrize(
    ("connector", "reply"),
    [
        ({"force_close": True}, {}),
        ({}, {"headers": {"Connection": "close"}}),
        ({"keepalive_timeout": 0}, {}),
    ],
    ids=["force_close", "Connection: close", "keepalive_timeout=0"],
)
async def test_a_connection_is_not_used_again(connector, reply, wires):
    """Where the connector's settings or the server's headers forbid it."""
    config, events = tracing()
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(text="x", **reply).times(2)
        made = TCPConnector(**connector)
        async with ClientSession(connector=made, trace_configs=[config]) as session:
            await fetch(session)
            await asyncio.sleep(0.002)
            await fetch(session)
    assert ["create_start", "create_end"] * 2 == events
    assert 2 == wires.count


async def test_a_connection_is_not_used_again_when_its_body_was_left_unread(wires):
    """As with a server whose bytes are still under way."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE).reply(stream=[b"a", b"b", b"c"] * 50).times(2)
        for _ in range(2):
            async with session.get(SITE) as response:
                await response.content.readany()
                response.close()
    assert 2 == wires.count


async def test_an_idle_connection_is_dropped_when_its_time_is_over(wires):
    """keepalive_timeout cleans up, though nobody asks again."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(200)
        connector = TCPConnector(keepalive_timeout=0.003)
        async with ClientSession(connector=connector) as session:
            await fetch(session)
            assert wires.open
            for _ in range(200):
                if not wires.open:
                    break
                await asyncio.sleep(0.001)
            assert [] == wires.open


async def test_a_refused_connection_drops_the_idle_ones_of_its_host(wires):
    """A host that refuses has not kept the others either."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE).reply(200).then.fail(aiostub.faults.refused()).then.reply(200)
        await fetch(session)
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(session)
        await turns()
        assert [] == wires.open
        await fetch(session)
    assert 2 == wires.count


@pytest.mark.parametrize("data", [lambda: b"abc", lambda: io.BytesIO(b"abc" * 100_000)])
async def test_an_early_answer_may_close_the_connection(data):
    """The body that is still to come, or came with the head, disturbs nobody."""
    problems = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    async with aiostub.Stub() as stub:
        stub.post(SITE).reply(413, text="too large", early=True)
        async with ClientSession(connector=TCPConnector(force_close=True)) as session:
            async with session.post(SITE, data=data()) as response:
                assert (413, "too large") == (response.status, await response.text())
        await turns()
    assert [] == problems


# What a connection says about itself


async def test_a_plain_connection_knows_its_peer():
    """As a socket to this machine would."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get("http://api.example.com:8080/").reply(stream=endless)
        async with session.get("http://api.example.com:8080/") as response:
            transport = response.connection.transport
            assert ("127.0.0.1", 8080) == transport.get_extra_info("peername")
            assert "127.0.0.1" == transport.get_extra_info("sockname")[0]
            asked = [transport.get_extra_info(n) for n in ("socket", "ssl_object", "sslcontext")]
            assert [None, None, None] == asked
            assert transport.can_write_eof()


async def test_a_tls_connection_has_its_context():
    """The client's own where it brought one."""
    context = ssl.create_default_context()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE).reply(stream=endless).times(2)
        async with session.get(SITE, ssl=context) as response:
            assert context is response.connection.transport.get_extra_info("sslcontext")
        async with session.get(SITE) as response:
            found = response.connection.transport.get_extra_info("sslcontext")
            assert isinstance(found, ssl.SSLContext)


class HalfClosing(aiohttp.ClientRequest):
    """Says at once that it will send no more."""

    async def send(self, conn):
        response = await super().send(conn)
        await turns()
        conn.transport.write_eof()
        return response


async def test_a_client_that_half_closes_still_gets_its_answer():
    """RFC 9112, 9.6: the other direction stays open."""
    async with aiostub.Stub() as stub, ClientSession(request_class=HalfClosing) as session:
        stub.get(SITE).reply(text="late", delay=0.003)
        assert "late" == await fetch(session)


# Nothing left


async def test_nothing_is_ever_in_the_pool_of_the_user():
    """Neither while a request is in flight nor after it."""
    gate = Gate()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE).handle(gate).times(2)
        task = asyncio.create_task(fetch(session))
        await until(lambda: gate.waiting)
        assert not session.connector._conns
        gate.open()
        await task
        assert is_untouched(session.connector)
        await fetch(session)
        assert is_untouched(session.connector)


@pytest.mark.parametrize("limits", [{}, {"limit": 1}, {"limit_per_host": 1}], ids=str)
async def test_stopping_drops_the_idle_connections(wires, limits):
    """The session that is left over has none of ours."""
    async with ClientSession(connector=TCPConnector(**limits)) as session:
        async with aiostub.Stub() as stub:
            stub.get(SITE).reply(200)
            await fetch(session)
            assert wires.open
        assert [] == wires.open
        assert is_untouched(session.connector)


async def test_closing_the_session_drops_them_too(wires):
    """An open stub does not keep the connections of a closed session."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(200)
        async with ClientSession() as session:
            await fetch(session)
            assert wires.open
        await turns()
        assert [] == wires.open


async def test_a_session_is_given_back():
    """Once it is closed and forgotten, nothing of ours keeps it or its connector alive."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(json=1)
        stub.post(SITE).handle(lambda request: 200)
        session = ClientSession()
        await fetch(session)
        async with session.post(SITE, json={}):
            pass
        alive = [weakref.ref(session), weakref.ref(session.connector)]
        await session.close()
        stub.calls.clear()
        stub.reset()
        del session
        await turns()
        gc.collect()
        assert [None, None] == [thing() for thing in alive]


async def test_the_log_does_not_keep_a_session_alive():
    """A request knows its session weakly; a response is kept, as it is part of the log."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(json=1)
        session = ClientSession()
        await fetch(session)
        alive = weakref.ref(session.connector)
        await session.close()
        del session
        await turns()
        gc.collect()
        assert alive() is None
        assert 200 == stub.calls.last.response.status


async def test_the_origin_of_a_call_leads_to_no_session():
    """Neither through the traces that it was known by, nor through its last request."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(200)
        async with ClientSession(trace_configs=[aiohttp.TraceConfig()]) as session:
            await fetch(session)
        origin = stub.calls.last.origin
        assert ((), None, None) == (origin.traces, origin.last, origin.failed)


async def test_a_connector_with_a_response_that_nobody_lets_go_is_given_back():
    """The log still has the response, which has its session, as aiohttp has made it."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(stream=endless)
        session = ClientSession()
        alive = weakref.ref(session.connector)
        await session.get(SITE)
        await session.close()
        del session
        await turns()
    gc.collect()
    assert alive() is None
    assert 200 == stub.calls.last.response.status


async def test_a_stub_is_given_back(monkeypatch):
    """aiohttp, patched or not, does not remember it."""
    monkeypatch.setattr(_watch, "current", None)  # pytest does, until the test is over
    async with ClientSession() as session:
        stub = aiostub.Stub()
        stub.get(SITE).reply(200)
        async with stub:
            await fetch(session)
        alive = weakref.ref(stub._registry)
        del stub
        await turns()
        gc.collect()
        assert alive() is None


async def test_an_unclosed_session_is_blamed_for_itself_alone():
    """aiohttp's own warning, and none for a connector or a connection of ours."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with aiostub.Stub() as stub:
            stub.get(SITE).reply(text="x")
            session = ClientSession()
            await fetch(session)
            del session
            gc.collect()
        gc.collect()
    kinds = [str(each.message).split(" <")[0] for each in caught]
    assert ["Unclosed client session"] == kinds


async def test_a_response_that_nobody_closes_is_closed_with_its_stub(wires):
    """Nothing waits for the garbage collector."""
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.get(SITE).reply(stream=endless)
            response = await session.get(SITE)
        await turns()
        assert [] == wires.open
        response.close()
        assert is_untouched(session.connector)


# Stopping in the middle


async def endless():
    """A body without end."""
    while True:
        yield b"more "
        await asyncio.sleep(0)


async def slow_upload():
    """A request body that never comes to its end."""
    yield b"piece"
    await asyncio.Event().wait()


async def read_to_the_end(session):
    """Read what has no end."""
    async with session.get(SITE) as response:
        await response.read()


async def read_a_handler(session):
    """Ask a handler that waits."""
    await fetch(session)


async def upload(session):
    """Send a body that has no end."""
    async with session.post(SITE, data=slow_upload()):
        pass


IN_FLIGHT = {
    "hang": (lambda route: route.hang(), fetch),
    "delay": (lambda route: route.reply(delay=60), fetch),
    "handler": (lambda route: route.handle(Gate()), fetch),
    "stream": (lambda route: route.reply(stream=endless), read_to_the_end),
    "stall": (
        lambda route: route.reply(body=b"xxxx", fault=aiostub.faults.stall(after=2)),
        read_to_the_end,
    ),
    "upload": (lambda route: route.reply(200), upload),
    "failure with a delay": (lambda route: route.fail(aiohttp.ClientError, delay=60), fetch),
    "fault with a delay": (
        lambda route: route.fail(aiostub.faults.refused(), delay=60),
        fetch,
    ),
}
in_flight = pytest.mark.parametrize(
    ("act", "client"), IN_FLIGHT.values(), ids=[name.replace(" ", "_") for name in IN_FLIGHT]
)


@contextlib.asynccontextmanager
async def a_request_in_flight(stub, act, client, **connector):
    """Give a session, and the task of a request that is not over."""
    act(stub.any(SITE).optional())
    async with ClientSession(connector=TCPConnector(**connector)) as session:
        task = asyncio.create_task(client(session))
        await turns(30)
        assert not task.done()
        yield session, task


@in_flight
async def test_stopping_the_stub_ends_a_request_in_flight(act, client, wires):
    """The app learns why, and nothing is left, whatever the request waited for."""
    stub = aiostub.Stub(strict=False)
    stub.start()
    async with a_request_in_flight(stub, act, client) as (session, task):
        stub.stop()
        with pytest.raises(StubStateError, match=r"stopped while (GET|POST) .* was in flight"):
            await asyncio.wait_for(task, 1)
        await turns()
        assert [] == wires.open
        assert is_untouched(session.connector)
        assert set() == stub._registry.in_flight


@in_flight
async def test_stopping_from_another_thread_ends_it_in_its_own_loop(act, client, wires):
    """The loop of the request does the work."""
    stub = aiostub.Stub(strict=False)
    stub.start()
    async with a_request_in_flight(stub, act, client):
        task = asyncio.current_task()
        assert task is not None
        pending = [t for t in asyncio.all_tasks() if t.get_coro().__name__ == client.__name__]
        await asyncio.to_thread(stub.stop)
        with pytest.raises(StubStateError):
            await asyncio.wait_for(pending[0], 1)
        await turns()
        assert [] == wires.open


async def test_a_request_in_the_queue_is_not_served_by_a_stopped_stub():
    """It ends like one in flight: nobody is there to answer it."""
    stub = aiostub.Stub(strict=False)
    stub.start()
    stub.get(SITE + "/queued").reply(text="from the grave")
    connector = {"limit": 1}
    async with a_request_in_flight(stub, lambda r: r.hang(), fetch, **connector) as (session, one):
        two = asyncio.create_task(fetch(session, SITE + "/queued"))
        await turns(30)
        stub.stop()
        for task in (one, two):
            with pytest.raises(StubStateError):
                await asyncio.wait_for(task, 1)
        assert is_untouched(session.connector)
    assert [] == [call for call in stub.calls if call.status]


async def test_the_outer_stub_goes_on_when_the_inner_one_stops():
    """A request that it answers is not the inner one's to end."""
    gate = Gate()
    async with aiostub.Stub() as outer, ClientSession() as session:
        outer.get(SITE + "/x").handle(gate)
        async with aiostub.Stub():
            task = asyncio.create_task(fetch(session, SITE + "/x"))
            await until(lambda: gate.waiting)
        gate.open()
        assert "/x" == await task


async def test_a_passed_request_goes_on_when_the_stub_stops():
    """It is between the app and the real server."""
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return aiohttp.web.Response(text="real")

    async with real_server(slow) as server, ClientSession() as session:
        async with aiostub.Stub(passthrough="127.0.0.1"):
            task = asyncio.create_task(fetch(session, server.url))
            await server.arrived()
        gate.set()
        assert "real" == await task


async def test_what_has_arrived_can_be_read_after_the_stop():
    """A small body came with its head."""
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.get(SITE).reply(text="here")
            response = await session.get(SITE)
        assert "here" == await response.text()


# Closing the session in the middle


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_closing_the_session_ends_a_request_that_waits_for_its_answer(method, wires):
    """With an error of aiohttp's own, and without a second call where aiohttp tries once more."""
    cancelled = []

    async def handler(request):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(request.method)

    async with aiostub.Stub() as stub:
        stub.any(SITE).handle(handler)
        session = ClientSession()
        connector = session.connector
        task = asyncio.create_task(session.request(method, SITE))
        await turns(30)
        await session.close()
        # aiohttp 3.10 to 3.13 stumble over the connector that their re-send does not find.
        with pytest.raises((aiohttp.ClientConnectionError, AttributeError)):
            await asyncio.wait_for(task, 1)
        await turns()
        assert [] == wires.open
        assert [] == [each for each in connector._acquired if isinstance(each, ResponseHandler)]
        assert set() == stub._registry.in_flight
    assert [method] == cancelled
    assert 1 == len(stub.calls)


@pytest.mark.parametrize("which", ["stream", "stall"])
async def test_closing_the_session_ends_a_response_that_is_under_way(which, wires):
    """Whoever sends it stops; a reader waits on, as against a real server."""
    act, client = IN_FLIGHT[which]
    async with aiostub.Stub() as stub:
        async with a_request_in_flight(stub, act, client) as (session, task):
            await session.close()
            await turns()
            assert [] == wires.open
            assert not stub._registry.in_flight or not next(iter(stub._registry.in_flight))._tasks
            task.cancel()
            await asyncio.wait([task])


# Cancelling in the middle


async def get_plain(session):
    """The shortest way."""
    await fetch(session)


async def get_twice(session):
    """On a connection that was kept alive."""
    await fetch(session)
    await fetch(session)


async def get_redirected(session):
    """Two requests in one call."""
    await fetch(session, SITE + "/redirect")


async def post_body(session):
    """A body that a route asks for, in pieces."""

    async def pieces():
        for piece in (b"a", b"b", b"c"):
            yield piece
            await asyncio.sleep(0)

    async with session.post(SITE, data=pieces()) as response:
        await response.read()


async def post_expecting(session):
    """A body that waits for leave to be sent."""
    async with session.post(SITE, data=b"abc", expect100=True) as response:
        await response.read()


async def get_stream(session):
    """A body in pieces."""
    await fetch(session, SITE + "/stream")


async def get_handled(session):
    """A handler that awaits."""
    await fetch(session, SITE + "/handled")


async def get_after_declining(session):
    """A handler that leaves the answer to the next route."""
    await fetch(session, SITE + "/declined")


async def get_failing(session):
    """A failure that aiohttp meets twice."""
    with contextlib.suppress(aiohttp.ClientError):
        await fetch(session, SITE + "/failing")


def routes_for_cancelling(stub):
    """What all of these ask for."""

    async def handler(request):
        for _ in range(5):
            await asyncio.sleep(0)
        return "handled"

    async def decline(request):
        await asyncio.sleep(0)

    async def pieces():
        for piece in (b"a", b"b", b"c"):
            yield piece
            await asyncio.sleep(0)

    stub.get(SITE).reply(text="x").always()
    stub.post(SITE, data=b"abc").reply(text="x").always()
    stub.get(SITE + "/redirect").reply(302, headers={"Location": SITE}).always()
    stub.get(SITE + "/stream").reply(stream=pieces).always()
    stub.get(SITE + "/handled").handle(handler).always()
    stub.get(SITE + "/declined").handle(decline).always()
    stub.get(SITE + "/declined").reply(text="next").always()
    stub.get(SITE + "/failing").fail(aiohttp.ServerDisconnectedError).always()


CLIENTS = [
    get_plain,
    get_twice,
    get_redirected,
    post_body,
    post_expecting,
    get_stream,
    get_handled,
    get_after_declining,
    get_failing,
]


def pausing_trace():
    """A trace config that gives every connection event await points of its own."""
    config = aiohttp.TraceConfig()

    async def pause(session, context, params):
        await asyncio.sleep(0)

    for name in ("queued_start", "queued_end", "create_start", "create_end", "reuseconn"):
        getattr(config, f"on_connection_{name}").append(pause)
    return config


OLD = aiohttp.__version__.startswith("3.9.")
each_trace = pytest.mark.parametrize(
    "traced",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(
                OLD, reason="aiohttp 3.9 leaks a place when it is cancelled inside of a trace"
            ),
        ),
    ],
    ids=["", "traced"],
)


@each_trace
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_a_request_can_be_cancelled_at_every_await(client, traced, wires):
    """Nothing is left behind, and the next request has the only connection at once."""
    configs = [pausing_trace()] if traced else []
    connector = TCPConnector(limit=1, limit_per_host=1)
    async with aiostub.Stub(strict=False) as stub:
        routes_for_cancelling(stub)
        async with ClientSession(connector=connector, trace_configs=configs) as session:
            for moment in range(500):
                task = asyncio.create_task(client(session))
                await turns(moment)
                if task.done():
                    break
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await turns()
                assert is_untouched(connector), f"after {moment} turns"
                assert set() == stub._registry.in_flight, f"after {moment} turns"
                assert "x" == await asyncio.wait_for(fetch(session), 1)
            else:
                raise AssertionError("the request never came to its end")
            await task
    assert 1 == stub.calls.concurrency
    errors = {type(call.error) for call in stub.calls}
    assert errors <= {type(None), asyncio.CancelledError, aiohttp.ServerDisconnectedError}


@with_and_without_rules
@each_trace
async def test_a_request_in_the_queue_can_be_cancelled_at_every_await(traced, passthrough):
    """It leaves the queue, and those behind it are served."""
    configs = [pausing_trace()] if traced else []
    connector = TCPConnector(limit=1)
    async with aiostub.Stub(passthrough=passthrough) as stub:
        queued_route = stub.get(SITE + "/queued").reply(200).optional()
        async with ClientSession(connector=connector, trace_configs=configs) as session:
            for moment in range(12):
                gate = Gate()
                stub.get(f"{SITE}/{moment}").handle(gate).times(2)
                first = asyncio.create_task(fetch(session, f"{SITE}/{moment}"))
                await until(lambda gate=gate: gate.waiting)
                queued = asyncio.create_task(fetch(session, SITE + "/queued"))
                last = asyncio.create_task(fetch(session, f"{SITE}/{moment}"))
                await turns(moment)
                queued.cancel()
                await asyncio.wait([queued])
                gate.open()
                await asyncio.wait_for(asyncio.gather(first, last), 1)
                await turns()
                assert is_untouched(connector), f"after {moment} turns"
    assert 0 == queued_route.call_count


async def test_cancelling_closes_what_the_handler_has_opened():
    """The handler is cancelled with its request, and may clean up."""
    cleaned = []

    async def handler(request):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("handler")

    async def stream():
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            cleaned.append("stream")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE).handle(handler)
        stub.get(SITE).reply(stream=stream)
        for name in ("handler", "stream"):
            task = asyncio.create_task(fetch(session))
            await turns(30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await turns()
            assert name == cleaned[-1]


async def test_leaving_a_stream_unread_closes_its_generator():
    """The client that goes away is noticed by the one that sends."""
    closed = asyncio.Event()

    async def stream():
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            closed.set()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE).reply(stream=stream)
        async with session.get(SITE) as response:
            assert b"x" == await response.content.read(1)
        await asyncio.wait_for(closed.wait(), 1)


# Everything at once


class NoNetwork(aiohttp.abc.AbstractResolver):
    """Nothing leads anywhere, once the stub has stopped."""

    async def resolve(self, host, port=0, family=0):
        raise OSError("there is no network")

    async def close(self):
        pass


def acts(random):
    """What a route may do, much of it unkind."""

    async def handler(request):
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        return random.choice([None, "text", 204, {"a": 1}])

    async def pieces():
        for _ in range(5):
            yield b"x" * random.choice([1, 1000, 70_000])
            await asyncio.sleep(0)

    faults = aiostub.faults
    return [
        lambda route: route.reply(text="x"),
        lambda route: route.reply(text="early", early=True),
        lambda route: route.reply(text="late", delay=0.001),
        lambda route: route.reply(302, headers={"Location": SITE + "/0"}),
        lambda route: route.reply(stream=pieces),
        lambda route: route.reply(text="abc" * 100, fault=faults.reset(after=5)),
        lambda route: route.reply(text="abc", fault=faults.truncated()),
        lambda route: route.handle(handler),
        lambda route: route.hang(),
        lambda route: route.timeout(),
        lambda route: route.fail(aiohttp.ServerDisconnectedError),
        lambda route: route.fail(ZeroDivisionError),
        *(
            lambda route, fault=fault: route.fail(fault())
            for fault in (
                faults.refused,
                faults.reset,
                faults.garbage,
                faults.bad_gzip,
                faults.bad_chunk,
            )
        ),
    ]


async def ask_anything(session, random):
    """Make one request, and let it end as it likes."""

    async def body():
        for piece in (b"a", b"b", b"c"):
            yield piece
            await asyncio.sleep(0)

    kinds = [{}, {}, {"data": b"abc"}, {"data": body()}, {"data": b"abc", "expect100": True}]
    kwargs = random.choice(kinds)
    method = "POST" if kwargs else "GET"
    expected = (
        aiohttp.ClientError,
        asyncio.TimeoutError,
        aiostub.UnmatchedRequest,
        StubStateError,
        ZeroDivisionError,
    )
    with contextlib.suppress(*expected):
        async with session.request(method, f"{SITE}/{random.randrange(6)}", **kwargs) as response:
            if random.random() < 0.7:
                await response.read()


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_happens_in_whatever_order_nothing_is_left(seed):
    """Many requests on narrow connectors, all acts, cancelled and stopped at random."""
    random = Random(seed)
    problems = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    stub = aiostub.Stub(strict=False, passthrough=["nowhere.example.com"][: seed % 2])
    for act in random.choices(acts(random), k=12):
        condition = {"data": b"abc"} if random.random() < 0.4 else {}
        act(stub.any(f"{SITE}/{random.randrange(6)}", **condition)).always()
    sessions = [
        ClientSession(
            connector=TCPConnector(
                resolver=NoNetwork(), limit=limit, limit_per_host=1, force_close=seed % 3 == 0
            ),
            timeout=ClientTimeout(total=0.02),
        )
        for limit in (1, 3)
    ]
    stub.start()
    tasks = [asyncio.create_task(ask_anything(random.choice(sessions), random)) for _ in range(25)]
    for _ in range(40):
        await turns(random.randrange(6))
        if random.random() < 0.3:
            random.choice(tasks).cancel()
    if seed % 4 == 0:
        stub.stop()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    if seed % 4:
        stub.stop()
    await turns()
    assert {type(None)} >= {type(end) for end in ends} - {asyncio.CancelledError}
    assert [True, True] == [is_untouched(session.connector) for session in sessions]
    assert set() == stub._registry.in_flight
    assert [] == [call for call in stub.calls if call._ended is None]
    for session in sessions:
        await session.close()
    if not OLD:  # whose upload of a body does not mind its own exception
        assert [] == problems


# Back-pressure


async def test_a_stream_waits_for_a_client_that_does_not_read():
    """As much is made as the buffers on the way take, and no more."""
    made = []

    async def stream():
        for n in range(1000):
            made.append(n)
            yield b"x" * 16_384

    async with aiostub.Stub() as stub, ClientSession(read_bufsize=2**16) as session:
        stub.get(SITE).reply(stream=stream)
        async with session.get(SITE) as response:
            await turns(3000)
            assert len(made) < 50
            assert 1000 * 16_384 == len(await response.read())
    assert 1000 == len(made)


async def test_a_large_body_goes_up_and_comes_down_whole():
    """Nothing is lost at any buffer's border."""
    body = bytes(range(256)) * 10_000
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.post(SITE).handle(lambda request: request.body)
        async with session.post(SITE, data=io.BytesIO(body)) as response:
            assert body == await response.read()
    assert body == stub.calls.last.request.body


# Threads


def test_idle_connections_of_another_thread_are_dropped_in_its_loop():
    """Stopping here does not touch the objects of a loop there."""
    ready, stopped, left = threading.Event(), threading.Event(), []

    async def app():
        async with ClientSession() as session:
            await fetch(session)
            memory = session.connector._aiostub_memory
            idle = [p for kept in memory._conns.values() for p, _ in kept]
            ready.set()
            await asyncio.to_thread(stopped.wait)
            await turns()
            left.append((len(idle), [p.is_connected() for p in idle], dict(memory._conns)))

    thread = threading.Thread(target=asyncio.run, args=(app(),))
    with aiostub.Stub() as stub:
        stub.get(SITE).reply(200)
        thread.start()
        ready.wait()
    stopped.set()
    thread.join()
    assert [(1, [False], {})] == left


def test_a_request_in_flight_whose_loop_is_gone_does_no_harm():
    """Stopping has nobody to tell."""
    stub = aiostub.Stub(strict=False)
    stub.get(SITE).hang()
    stub.start()
    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(opened())
    task = loop.create_task(fetch(session))
    loop.run_until_complete(turns(30))
    loop.close()
    stub.stop()
    assert not task.done()
    # Left to the garbage collector, the connection might go before the coroutine that closes it.
    task.get_coro().close()
    task._log_destroy_pending = False  # that it never ends is what was asked for
    session.connector._closed = True


async def opened():
    """A session of the running loop."""
    return ClientSession()


def test_a_request_in_flight_whose_loop_rests_ends_when_it_goes_on():
    """A loop that is run piece by piece, as some test frameworks do."""
    stub = aiostub.Stub(strict=False)
    stub.get(SITE).hang()
    stub.start()
    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(opened())
    task = loop.create_task(fetch(session))
    loop.run_until_complete(turns(30))
    stub.stop()
    with pytest.raises(StubStateError):
        loop.run_until_complete(task)
    loop.run_until_complete(session.close())
    loop.close()
