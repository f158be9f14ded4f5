"""stub.connector(): a session that is stubbed openly, with nothing patched."""

from __future__ import annotations

import asyncio
import gc
import weakref

import aiohttp
import pytest
from aiohttp import ClientSession, TCPConnector, web
from aiohttp.test_utils import TestServer
from real_server import real_server
from yarl import URL

import aiostub
from aiostub import UnmatchedRequest, UnsatisfiedStub
from aiostub._boundary import interception

SITE = "https://api.example.com/x"
RESENDS = not aiohttp.__version__.startswith("3.9.")


@pytest.fixture(autouse=True)
def nothing_patched():
    """Nothing is patched when a test is over, and nothing was at its beginning."""
    before = ClientSession._request, aiohttp.BaseConnector.connect
    yield
    assert before == (ClientSession._request, aiohttp.BaseConnector.connect)
    assert () == interception.started()


async def text_of(session, url=SITE, method="GET", **kwargs):
    """Ask, and read the body."""
    async with session.request(method, url, **kwargs) as response:
        return await response.text()


def injected(stub, **kwargs):
    """A session with a connector of the stub's."""
    return ClientSession(connector=stub.connector(**kwargs))


# A connector like any other


async def test_it_is_a_tcp_connector():
    """Whoever looks at its class finds what is expected."""
    stub = aiostub.Stub()
    async with stub.connector() as connector:
        assert isinstance(connector, TCPConnector)
        assert not connector.closed
    assert connector.closed


async def test_it_takes_the_keywords_of_a_tcp_connector():
    """And hands them on."""
    stub = aiostub.Stub()
    async with stub.connector(limit=7, limit_per_host=3, force_close=True) as connector:
        assert (7, 3, True) == (connector.limit, connector.limit_per_host, connector.force_close)


async def test_a_keyword_that_a_tcp_connector_does_not_take_is_a_type_error():
    """As at aiohttp's own."""
    with pytest.raises(TypeError):
        aiostub.Stub().connector(wrong=1)


async def test_what_a_tcp_connector_refuses_is_refused_and_forgotten():
    """A connector that was never made does not hold up the strict check of the others."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    with pytest.raises(ValueError, match="force_close"):
        stub.connector(force_close=True, keepalive_timeout=3)
    with pytest.raises(UnsatisfiedStub):
        async with injected(stub):
            pass


# Without a start


async def test_it_is_stubbed_without_a_start():
    """Routes answer, the log fills, and nothing is patched."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(json={"a": 1})
    before = ClientSession._request
    async with injected(stub) as session:
        async with session.get(SITE) as response:
            assert {"a": 1} == await response.json()
            assert isinstance(response, aiohttp.ClientResponse)
        assert before is ClientSession._request
    assert [("GET", URL(SITE), 200)] == [
        (call.request.method, call.request.url, call.status) for call in stub.calls
    ]


async def test_other_sessions_are_not_stubbed():
    """Only who was given the connector is."""
    stub = aiostub.Stub()
    async with real_server() as server, injected(stub), ClientSession() as other:
        assert "real" == await text_of(other, server.url)
    stub.assert_not_called()


async def test_routes_may_come_later():
    """Before the connector is made, after it, and between requests."""
    stub = aiostub.Stub()
    async with injected(stub) as session:
        for text in ("one", "two"):
            stub.get(SITE).reply(text=text)
            assert text == await text_of(session)


async def test_the_origin_is_what_the_request_shows():
    """Nobody saw the call itself, so its keywords are not known."""
    stub = aiostub.Stub()
    stub.get(SITE, params={"a": "1"}).reply(200)
    async with injected(stub) as session:
        await text_of(session, params={"a": "1"})
    origin = stub.calls.last.origin
    assert ("GET", URL(SITE + "?a=1"), {}) == (origin.method, origin.url, origin.kwargs)


async def test_redirects_share_their_origin():
    """Two requests of one call, told from the next call of the same task."""
    stub = aiostub.Stub()
    stub.get(SITE + "/old").reply(302, headers={"Location": SITE + "/new"})
    stub.get(SITE + "/new").reply(200).times(2)
    async with injected(stub) as session:
        await text_of(session, SITE + "/old")
        await text_of(session, SITE + "/new")
    first, second, third = (call.origin for call in stub.calls)
    assert first is second
    assert second is not third
    assert [URL(SITE + "/old"), URL(SITE + "/new")] == [first.url, third.url]


async def test_one_failure_is_one_exception_and_one_call():
    """aiohttp's own re-send is recognised without the patch."""
    stub = aiostub.Stub()
    stub.get(SITE).fail(aiohttp.ServerDisconnectedError).then.reply(text="up")
    async with injected(stub) as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await text_of(session)
        assert "up" == await text_of(session)
    assert [2 if RESENDS else 1, 1] == [call.attempts for call in stub.calls]


async def test_each_method_of_failing_and_handling_works():
    """Whatever a route may do."""
    stub = aiostub.Stub()
    stub.get(SITE).fail(aiostub.faults.refused())
    stub.get(SITE).handle(lambda request: {"path": request.url.path})
    stub.get(SITE).timeout()
    stub.post(SITE, json={"a": 1}).reply(201)
    async with injected(stub) as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await text_of(session)
        assert '{"path": "/x"}' == await text_of(session)
        with pytest.raises(asyncio.TimeoutError):
            await text_of(session)
        async with session.post(SITE, json={"a": 1}) as response:
            assert 201 == response.status


async def test_several_connectors_share_routes_and_log():
    """One stub behind them all."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(text="one").then.reply(text="two")
    async with injected(stub) as first, injected(stub) as second:
        assert "one" == await text_of(first)
        assert "two" == await text_of(second)
        assert [first, second] == [call.request.session for call in stub.calls]


async def test_a_connector_of_another_thread_works():
    """In its own loop."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(text="x").times(2)

    async def app():
        async with injected(stub) as session:
            return await text_of(session)

    async with injected(stub) as session:
        assert "x" == await asyncio.to_thread(asyncio.run, app())
        assert "x" == await text_of(session)


async def test_the_limits_and_the_keep_alive_of_its_keywords_hold():
    """As for any connector of the user's."""
    events, config = [], aiohttp.TraceConfig()
    for name in ("queued_start", "create_end", "reuseconn"):

        async def note(session, context, params, name=name):
            events.append(name)

        getattr(config, f"on_connection_{name}").append(note)
    stub = aiostub.Stub()
    stub.get(SITE).reply(200, delay=0.001).times(2)
    connector = stub.connector(limit=1)
    async with ClientSession(connector=connector, trace_configs=[config]) as session:
        await asyncio.gather(text_of(session), text_of(session))
        assert not connector._conns
        assert not connector._acquired
    assert ["create_end", "queued_start", "reuseconn"] == sorted(events)


@pytest.mark.parametrize("started", [False, True], ids=["", "started"])
async def test_closing_it_closes_its_connections_in_memory(started):
    """Though nothing is patched that would tell."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    if started:
        stub.start()
    async with injected(stub) as session:
        await text_of(session)
        memory = session.connector._aiostub_memory
        wires = [far_end.wire for far_end in memory._far_ends]
        assert [False] == [wire.is_closing() for wire in wires]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [True] == [wire.is_closing() for wire in wires]
    if started:
        stub.stop()


async def test_nothing_of_it_is_left():
    """Closed and forgotten, it is given back, and so is its session."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)

    async def app():
        session = injected(stub)
        await text_of(session)
        await session.close()
        return [weakref.ref(session), weakref.ref(session.connector or session)]

    connector = stub.connector()
    alive = [weakref.ref(connector), *await asyncio.create_task(app())]
    await connector.close()
    stub.calls.clear()
    stub.reset()
    del connector
    await asyncio.sleep(0)
    gc.collect()
    assert [None] * 3 == [thing() for thing in alive]


async def test_the_task_that_asked_keeps_nothing_alive():
    """A long-lived task does not remember the session of its last request."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    session = injected(stub)
    await text_of(session)
    alive = [weakref.ref(session), weakref.ref(session.connector)]
    await session.close()
    stub.calls.clear()
    stub.reset()
    del session
    await asyncio.sleep(0)
    gc.collect()
    assert [None, None] == [thing() for thing in alive]


# Passing through


async def test_what_no_rule_names_does_not_pass():
    """A real connector, but not for everything."""
    stub = aiostub.Stub(strict=False)
    async with real_server() as server, injected(stub) as session:
        with pytest.raises(UnmatchedRequest):
            await text_of(session, server.url)
    assert [] == server.lines
    assert ["unmatched"] == [call.outcome for call in stub.calls]


@pytest.mark.parametrize("kind", ["rule", "rest", "step"])
async def test_what_a_rule_names_passes(kind):
    """By a rule, with all the rest, or by a step; over real connections that are kept."""
    stub = aiostub.Stub(unmatched="passthrough" if kind == "rest" else "error")
    if kind == "rule":
        stub.passthrough("127.0.0.1")
    async with real_server() as server, injected(stub) as session:
        if kind == "step":
            stub.get(str(server.url)).passthrough().times(2)
        for _ in range(2):
            assert "real" == await text_of(session, server.url)
        assert 1 == len(server.connections)
        assert 1 == len(session.connector._conns)
    assert [True, True] == [call.passed_through for call in stub.calls]


async def test_a_test_server_passes_by_itself():
    """As with the patch."""

    async def greet(request):
        return web.Response(text="served")

    app = web.Application()
    app.router.add_get("/", greet)
    stub = aiostub.Stub()
    async with TestServer(app) as served, injected(stub) as session:
        assert "served" == await text_of(session, served.make_url("/"))


async def test_a_body_that_no_route_wants_is_replayed():
    """Through the connector's own way to the network."""

    async def repeat(request):
        return web.Response(body=await request.read())

    stub = aiostub.Stub(passthrough="127.0.0.1")
    async with real_server(repeat) as server, injected(stub) as session:
        stub.post(str(server.url), data=b"never").reply(200).optional()
        assert "x" == await text_of(session, server.url, "POST", data=b"x")


async def test_its_keywords_rule_the_real_connections():
    """A resolver of the user's is asked for what passes, and for nothing else."""
    asked = []

    class Resolver(aiohttp.abc.AbstractResolver):
        async def resolve(self, host, port=0, family=0):
            asked.append(host)
            found = {"hostname": host, "host": "127.0.0.1", "port": port}
            return [{**found, "family": 2, "proto": 0, "flags": 0}]

        async def close(self):
            pass

    stub = aiostub.Stub(passthrough="service.internal")
    stub.get(SITE).reply(200)
    async with real_server() as server, injected(stub, resolver=Resolver()) as session:
        await text_of(session)
        assert "real" == await text_of(session, server.url.with_host("service.internal"))
    assert ["service.internal"] == asked


# With a start as well


async def test_with_its_stub_started_a_request_is_served_and_logged_once():
    """And the origin is the whole call again."""
    async with aiostub.Stub() as stub:
        stub.get(SITE).reply(text="x")
        async with injected(stub) as session:
            assert "x" == await text_of(session, SITE, headers={"A": "b"})
    (call,) = stub.calls
    assert {"A": "b"} == call.origin.kwargs["headers"]


async def test_it_works_before_during_and_after_a_run():
    """Starting and stopping do not concern it."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(text="x").times(3)
    async with injected(stub) as session:
        assert "x" == await text_of(session)
        async with aiostub.Stub(strict=False):
            assert "x" == await text_of(session)
        assert "x" == await text_of(session)
    assert 3 == len(stub.calls)


async def test_it_works_after_its_stub_has_stopped():
    """It needs no start, so it does not mind a stop."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(text="x").always()
    async with injected(stub) as session:
        async with stub:
            assert "x" == await text_of(session)
        assert "x" == await text_of(session)
    assert 2 == len(stub.calls)


async def test_its_stub_comes_before_the_started_ones():
    """It stands nearest to the request; what it does not know the others answer."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(text="injected")
    async with aiostub.Stub() as started, injected(stub) as session:
        started.get(SITE).reply(text="never").optional()
        started.get(SITE + "/more").reply(text="started")
        assert "injected" == await text_of(session)
        assert "started" == await text_of(session, SITE + "/more")
    assert (1, 1) == (len(stub.calls), len(started.calls))


async def test_a_started_stub_keeps_its_place_on_the_stack():
    """Being injected as well does not make it the innermost."""
    async with aiostub.Stub() as stub, aiostub.Stub() as inner:
        stub.get(SITE).reply(text="never").optional()
        inner.get(SITE).reply(text="inner")
        async with injected(stub) as session:
            assert "inner" == await text_of(session)
    stub.assert_not_called()


async def test_what_nobody_answers_counts_against_its_stub():
    """And not against the started ones."""
    stub = aiostub.Stub(strict=False)
    async with aiostub.Stub() as started, injected(stub) as session:
        with pytest.raises(UnmatchedRequest):
            await text_of(session)
    assert (1, 0) == (len(stub.calls), len(started.calls))


async def test_the_rules_of_started_stubs_hold_for_it():
    """Rules are asked from the innermost outwards."""
    stub = aiostub.Stub()
    async with real_server() as server, aiostub.Stub(passthrough="127.0.0.1") as started:
        async with injected(stub) as session:
            assert "real" == await text_of(session, server.url)
    assert (0, 1) == (len(stub.calls), len(started.calls))


async def test_stopping_its_stub_ends_a_request_in_flight():
    """As for every request of the stub."""
    stub = aiostub.Stub()
    route = stub.get(SITE).hang()
    stub.start()
    async with injected(stub) as session:
        task = asyncio.create_task(text_of(session))
        await route.wait_called()
        await asyncio.sleep(0.001)
        stub.stop()
        with pytest.raises(aiostub.StubStateError):
            await asyncio.wait_for(task, 1)


# The strict check


async def test_the_check_runs_when_the_last_connector_closes():
    """Nobody stops a stub that was never started."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    with pytest.raises(UnsatisfiedStub, match=r"never served"):
        async with injected(stub):
            pass


async def test_the_check_does_not_run_while_another_connector_is_open():
    """Who closes first may leave the rest to the other."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    async with injected(stub) as second:
        async with injected(stub):
            pass
        await text_of(second)


async def test_the_check_finds_what_the_app_swallowed():
    """An unmatched request is told at the end."""
    stub = aiostub.Stub()
    with pytest.raises(UnsatisfiedStub):
        async with injected(stub) as session:
            with pytest.raises(UnmatchedRequest):
                await text_of(session)


async def test_the_check_raises_once():
    """Closing again has nothing to say."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    connector = stub.connector()
    with pytest.raises(UnsatisfiedStub):
        await connector.close()
    await connector.close()
    assert connector.closed


async def test_the_check_does_not_hide_the_exception_of_the_test():
    """It is added to it."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    with pytest.raises(ZeroDivisionError) as caught:
        async with injected(stub):
            raise ZeroDivisionError
    assert "never served" in "\n".join(caught.value.__notes__)


async def test_a_lenient_stub_checks_nothing():
    """strict=False turns it off here, too."""
    stub = aiostub.Stub(strict=False)
    stub.get(SITE).reply(200)
    async with injected(stub):
        pass


async def test_a_started_stub_checks_when_it_stops_and_not_before():
    """A connector that closes in between leaves it to the stop."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    stub.start()
    async with injected(stub):
        pass
    with pytest.raises(UnsatisfiedStub):
        stub.stop()


async def test_a_stub_that_has_stopped_is_not_checked_again():
    """Its connectors may close later."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    async with injected(stub):
        stub.start()
        with pytest.raises(UnsatisfiedStub):
            stub.stop()


async def test_a_session_is_closed_although_the_check_fails():
    """Complaining comes last."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    session = injected(stub)
    with pytest.raises(UnsatisfiedStub):
        await session.close()
    assert session.closed
