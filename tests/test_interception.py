"""The patch: which requests it catches, and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import BaseConnector, ClientSession, TCPConnector
from real_server import real_server
from yarl import URL

import aiostub
from aiostub import StubStateError, UnmatchedRequest, UnsatisfiedStub
from aiostub._boundary import interception
from aiostub._boundary.connector import MemoryConnector, _copy

SITE = "https://api.example.com"
PATCHED = [(ClientSession, "_request"), (BaseConnector, "connect"), (BaseConnector, "close")]
CLASSES = [
    ClientSession,
    BaseConnector,
    TCPConnector,
    aiohttp.UnixConnector,
    aiohttp.ClientRequest,
    aiohttp.ClientResponse,
]


def installed():
    """The functions that stand in aiohttp now."""
    return [owner.__dict__[name] for owner, name in PATCHED]


def everything():
    """All that stands in the classes of a client."""
    return {(owner, name): what for owner in CLASSES for name, what in vars(owner).items()}


@pytest.fixture(autouse=True)
def before():
    """What stands in aiohttp before a test, and must stand there after it."""
    found, all_found = installed(), everything()
    yield found
    assert all_found == everything()
    assert () == interception.started()


async def text_of(url, session=None):
    """What a client reads from a URL."""
    if session is None:
        async with ClientSession() as own:
            return await text_of(url, own)
    async with session.get(url) as response:
        return await response.text()


def answering(text, url=SITE, **kwargs):
    """A stub that answers one URL without end."""
    stub = aiostub.Stub(**kwargs)
    stub.get(url).reply(text=text).always().optional()
    return stub


# Patch and restoration


def test_making_a_stub_patches_nothing(before):
    """Registering routes has no effect on aiohttp."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    assert before == installed()


def test_a_started_stub_patches_three_functions_and_no_more():
    """Nothing else is touched, and what a subclass inherits is not overwritten on it."""
    found = everything()
    with aiostub.Stub():
        now = everything()
    assert found.keys() == now.keys()
    assert set(PATCHED) == {place for place in found if found[place] is not now[place]}


def test_no_class_of_ours_derives_from_one_that_is_patched():
    """The interpreter would forget with each start what it has learnt of it, and be slower."""
    assert not any(issubclass(MemoryConnector, owner) for owner, _ in PATCHED)


def test_a_class_that_cannot_be_copied_is_taken_as_it_is():
    """An aiohttp to come may have slots there, or functions that call super()."""

    class Plain:
        def at_home(self):
            return True

    class Slotted:
        __slots__ = ("x",)

    class Calling:
        def __init__(self):
            super().__init__()

    assert [True, False, False] == [_copy(kind) is not kind for kind in (Plain, Slotted, Calling)]
    assert _copy(Plain)().at_home()


def test_stopping_puts_back_what_was_there(before):
    """The very same objects, by each way of stopping."""
    with aiostub.Stub():
        pass
    assert before == installed()
    stub = aiostub.Stub()
    stub.start()
    stub.stop()
    assert before == installed()


async def test_leaving_async_with_puts_back_what_was_there(before):
    """The same in async code."""
    async with aiostub.Stub():
        assert before != installed()
    assert before == installed()


def test_a_body_that_raises_restores_too(before):
    """The exception of the test comes through, and aiohttp is as before."""
    with pytest.raises(ZeroDivisionError), aiostub.Stub():
        raise ZeroDivisionError
    assert before == installed()


async def test_a_body_that_raises_restores_in_async_code_too(before):
    """The same for async with."""
    with pytest.raises(ZeroDivisionError):
        async with aiostub.Stub():
            raise ZeroDivisionError
    assert before == installed()


def test_the_strict_check_comes_after_the_restoration(before):
    """A stub that complains has stopped all the same."""
    stub = aiostub.Stub()
    stub.get(SITE).reply(200)
    stub.start()
    with pytest.raises(UnsatisfiedStub):
        stub.stop()
    assert before == installed()
    with pytest.raises(StubStateError):
        stub.stop()


@pytest.mark.parametrize("place", [0, 1, 2], ids=[name for _, name in PATCHED])
def test_a_patched_function_looks_like_the_original(before, place):
    """Name, documentation, signature and kind stay; __wrapped__ leads to the original."""
    original = before[place]
    with aiostub.Stub():
        patched = installed()[place]
    assert original is patched.__wrapped__
    assert inspect.signature(original) == inspect.signature(patched)
    assert inspect.iscoroutinefunction(original) == inspect.iscoroutinefunction(patched)
    assert [getattr(original, name) for name in functools.WRAPPER_ASSIGNMENTS] == [
        getattr(patched, name) for name in functools.WRAPPER_ASSIGNMENTS
    ]


def test_what_is_put_back_leaves_nothing_to_the_garbage_collector():
    """A suite patches and restores once for each test."""
    with aiostub.Stub():
        once = installed()
    while gc.collect():  # what earlier tests have left, and what that leaves in turn
        pass
    gc.disable()
    try:
        with aiostub.Stub():
            assert once == installed()
        assert 0 == gc.collect()
    finally:
        gc.enable()


def test_several_stubs_patch_once(before):
    """The second stub finds the patch there, and its stop leaves it there."""
    with aiostub.Stub():
        once = installed()
        with aiostub.Stub():
            assert once == installed()
        assert once == installed()
    assert before == installed()


# State


def test_starting_twice_is_an_error(before):
    """It says so, and the stub stays started."""
    stub = aiostub.Stub()
    stub.start()
    with pytest.raises(StubStateError, match="started already"):
        stub.start()
    assert before != installed()
    stub.stop()


def test_stopping_what_is_not_started_is_an_error():
    """Before the first start as after a stop."""
    stub = aiostub.Stub()
    with pytest.raises(StubStateError, match="not started"):
        stub.stop()
    stub.start()
    stub.stop()
    with pytest.raises(StubStateError, match="not started"):
        stub.stop()


async def test_leaving_a_stub_that_was_stopped_is_an_error_unless_there_is_one_already():
    """A test that fails behind its own stop() fails with what it has raised."""
    with pytest.raises(StubStateError, match="not started"), aiostub.Stub() as stub:
        stub.stop()
    with pytest.raises(KeyError), aiostub.Stub() as stub:
        stub.stop()
        raise KeyError
    with pytest.raises(KeyError):
        async with aiostub.Stub() as stub:
            stub.stop()
            raise KeyError


def test_entering_a_started_stub_is_an_error():
    """A with statement starts; nothing starts twice."""
    with aiostub.Stub() as stub, pytest.raises(StubStateError):
        stub.__enter__()


async def test_a_state_error_is_a_runtime_error_of_ours():
    """So that it is caught as either."""
    stub = aiostub.Stub()
    with pytest.raises(RuntimeError):
        stub.stop()
    with pytest.raises(aiostub.AiostubError):
        stub.stop()


async def test_a_stub_starts_again_where_it_stopped(before):
    """Routes keep their used steps, and the log goes on."""
    stub = aiostub.Stub(strict=False)
    stub.get(SITE).reply(text="one").then.reply(text="two")
    async with stub:
        assert "one" == await text_of(SITE)
    assert before == installed()
    async with stub:
        assert "two" == await text_of(SITE)
    assert ["200", "200"] == [call.outcome for call in stub.calls]


async def test_the_log_is_readable_after_the_stop():
    """Requests, responses and routes are still there."""
    async with answering("x") as stub:
        await text_of(SITE)
    assert [(URL(SITE), 200)] == [(call.request.url, call.status) for call in stub.calls]


async def test_routes_may_come_before_the_start_and_between_runs():
    """Registering is independent of being started."""
    stub = aiostub.Stub()
    stub.get(SITE + "/before").reply(text="a")
    async with stub:
        assert "a" == await text_of(SITE + "/before")
    stub.get(SITE + "/between").reply(text="b")
    async with stub:
        stub.get(SITE + "/meanwhile").reply(text="c")
        assert "b" == await text_of(SITE + "/between")
        assert "c" == await text_of(SITE + "/meanwhile")


# Nesting


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_stubs_stop_in_any_order(order, before):
    """Who is still started answers; the last to stop restores."""
    urls = [f"{SITE}/{n}" for n in range(3)]
    stubs = [answering(f"stub {n}", url) for n, url in enumerate(urls)]
    for stub in stubs:
        stub.start()
    running = set(range(3))
    for n in order:
        for still in running:
            assert f"stub {still}" == await text_of(urls[still])
        stubs[n].stop()
        running.discard(n)
        assert bool(running) == (before != installed())


async def test_the_innermost_stub_is_asked_first():
    """What both would answer, the inner one answers, and logs."""
    async with answering("outer") as outer, ClientSession() as session:
        async with answering("inner") as inner:
            assert "inner" == await text_of(SITE, session)
        assert "outer" == await text_of(SITE, session)
    assert (1, 1) == (len(outer.calls), len(inner.calls))


async def test_the_innermost_stub_is_the_one_that_started_last():
    """When an outer one stops first, the order of the rest stays."""
    a, b, c = (answering(name) for name in "abc")
    for stub in (a, b, c):
        stub.start()
    c.stop()
    assert "b" == await text_of(SITE)
    c.start()
    b.stop()
    assert "c" == await text_of(SITE)
    a.stop()
    assert "c" == await text_of(SITE)
    c.stop()


async def test_what_the_inner_stub_does_not_know_the_outer_one_answers():
    """The call stands in the log of the one that answered, and in no other."""
    async with answering("outer", SITE + "/outer") as outer, answering("inner") as inner:
        assert "outer" == await text_of(SITE + "/outer")
    assert 1 == len(outer.calls)
    inner.assert_not_called()


async def test_a_used_up_inner_route_lets_the_outer_one_answer():
    """Routes are asked from the innermost outwards, as long as they have a step left."""
    async with answering("outer"), aiostub.Stub() as inner:
        inner.get(SITE).reply(text="inner")
        assert "inner" == await text_of(SITE)
        assert "outer" == await text_of(SITE)


async def test_what_nobody_answers_counts_against_the_innermost_stub_alone():
    """It is in that one's log, and only that one complains."""
    async with answering("outer") as outer:
        with pytest.raises(UnsatisfiedStub, match="/nobody"):
            async with answering("inner") as inner:
                with pytest.raises(UnmatchedRequest):
                    await text_of(SITE + "/nobody")
        assert ["unmatched"] == [call.outcome for call in inner.calls]
    outer.assert_not_called()


async def test_an_unmatched_request_names_the_routes_of_all_stubs():
    """It might have been meant for any of them."""
    async with answering("outer", SITE + "/outer"), answering("in", SITE + "/in", strict=False):
        with pytest.raises(UnmatchedRequest) as caught:
            await text_of(SITE + "/out")
    assert "GET https://api.example.com/outer" in str(caught.value)
    assert "GET https://api.example.com/in" in str(caught.value)


async def test_an_unmatched_request_is_no_client_error():
    """Retry code and `except ClientError` do not swallow it."""
    async with aiostub.Stub(strict=False):
        with pytest.raises(AssertionError) as caught:
            await text_of(SITE)
    assert not isinstance(caught.value, (aiohttp.ClientError, OSError, asyncio.TimeoutError))


async def test_stubs_of_several_threads_come_and_go(before):
    """However starts and stops interleave, the last one restores."""

    def come_and_go(_):
        for _ in range(30):
            with aiostub.Stub(), aiostub.Stub():
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert before == installed()


# Tracers: others who wrap the same function


def tracing(seen):
    """Wrap ClientSession._request as a tracer does; return the undoing."""
    original = ClientSession._request

    @functools.wraps(original)
    async def traced(self, method, url, **kwargs):
        seen.append(str(url))
        return await original(self, method, url, **kwargs)

    ClientSession._request = traced

    def undo():
        ClientSession._request = original

    return undo


async def test_a_tracer_that_was_there_before_sees_every_request():
    """Ours wraps theirs, and stopping puts theirs back."""
    seen = []
    undo = tracing(seen)
    theirs = ClientSession._request
    async with answering("x"):
        assert "x" == await text_of(SITE)
    assert theirs is ClientSession._request
    undo()
    assert [SITE] == seen


async def test_a_tracer_that_comes_and_goes_meanwhile_leaves_no_trace():
    """It sees what is asked while it is there."""
    seen = []
    async with answering("x") as stub:
        undo = tracing(seen)
        await text_of(SITE)
        undo()
        await text_of(SITE)
    assert [SITE] == seen
    assert 2 == len(stub.calls)


async def test_a_tracer_that_comes_meanwhile_stays(before):
    """Stopping does not tear it off; ours inside it steps aside."""
    seen = []
    async with real_server() as server:
        async with answering("x") as stub:
            undo = tracing(seen)
            theirs = ClientSession._request
            assert "x" == await text_of(SITE)
        assert theirs is ClientSession._request
        assert "real" == await text_of(server.url)
        ClientSession._request = before[0]
        undo()  # puts back ours, which is of no effect any more
        assert "real" == await text_of(server.url)
        ClientSession._request = before[0]
    assert [SITE, str(server.url)] == seen
    assert 1 == len(stub.calls)


async def test_a_stub_started_over_a_tracer_that_stayed_logs_once(before):
    """The first installation inside the tracer stays aside for good."""
    undo = None
    async with answering("first"):
        undo = tracing([])
    theirs = ClientSession._request
    async with answering("second") as stub:
        assert "second" == await text_of(SITE)
        call = stub.calls.last
    assert theirs is ClientSession._request
    assert 1 == len(stub.calls)
    assert (1, SITE, "GET") == (call.attempts, str(call.origin.url), call.origin.method)
    undo()
    async with answering("third") as stub:
        assert "third" == await text_of(SITE)
    assert 1 == len(stub.calls)
    ClientSession._request = before[0]


async def test_a_tracer_that_unwraps_later_does_not_bring_ours_back(before):
    """What it puts back is ours, but nothing is stubbed by it."""
    async with answering("x"):
        undo = tracing([])
    undo()
    assert before[0] is not ClientSession._request
    async with real_server() as server:
        assert "real" == await text_of(server.url)
    assert before[0] is inspect.unwrap(ClientSession._request)
    ClientSession._request = before[0]


async def test_a_tracer_that_unwraps_over_ours_does_not_break_the_stub(before):
    """It came before, and puts back the original while a stub runs: requests stay stubbed."""
    undo = tracing([])
    async with answering("x") as stub:
        undo()
        assert before[0] is ClientSession._request
        assert "x" == await text_of(SITE)
        assert SITE == str(stub.calls.last.origin.url)
    assert before[0] is ClientSession._request


async def test_somebody_who_wraps_the_boundary_meanwhile_stays_too(before):
    """The second patched function is treated as the first."""
    hosts = []
    async with real_server() as server:
        async with answering("x"):
            inner = BaseConnector.connect

            async def connect(self, req, traces, timeout):
                hosts.append(req.host)
                return await inner(self, req, traces, timeout)

            BaseConnector.connect = connect
            assert "x" == await text_of(SITE)
        assert connect is BaseConnector.connect
        assert "real" == await text_of(server.url)
    BaseConnector.connect = before[1]
    assert ["api.example.com", "127.0.0.1"] == hosts


async def test_somebody_who_wraps_the_closing_meanwhile_stays_too(before):
    """And so is the third."""
    closed = []
    async with answering("x"):
        inner = BaseConnector.close

        def close(self, **kwargs):
            closed.append(self)
            return inner(self, **kwargs)

        BaseConnector.close = close
        connectors = [TCPConnector()]
        await connectors[0].close()
    assert close is BaseConnector.close
    connectors.append(TCPConnector())
    await connectors[1].close()
    BaseConnector.close = before[2]
    assert connectors == closed


async def test_a_function_kept_from_a_running_stub_steps_aside():
    """Whoever copies _request at import, while a stub runs, gets a plain one afterwards."""
    with answering("x") as stub:
        kept = ClientSession._request
    async with real_server() as server, ClientSession() as session:
        response = await kept(session, "GET", server.url)
        assert "real" == await response.text()
    stub.assert_not_called()


async def test_a_function_kept_from_before_is_stubbed():
    """A bound method taken early still ends at the boundary."""
    async with ClientSession() as session:
        kept = session._request
        async with answering("x", SITE + "/x") as stub:
            response = await kept("GET", SITE + "/x")
            assert "x" == await response.text()
        origin = stub.calls.last.origin
        assert ("GET", URL(SITE + "/x"), {}) == (origin.method, origin.url, origin.kwargs)


# What a client call looks like


async def test_the_origin_is_the_call_as_the_app_made_it():
    """Method, URL and keywords as _request got them, not what became of them."""
    async with answering("x", SITE + "/?a=1") as stub, ClientSession() as session:
        async with session.get(SITE, params={"a": "1"}, headers={"X": "y"}):
            pass
    origin = stub.calls.last.origin
    assert ("GET", SITE) == (origin.method, origin.url)
    assert {"a": "1"} == origin.kwargs["params"]
    assert {"X": "y"} == origin.kwargs["headers"]


async def test_request_takes_its_arguments_by_name_as_well():
    """The patched function has the parameters of the original."""
    async with answering("x") as stub, ClientSession() as session:
        response = await session._request(method="GET", str_or_url=SITE)
        assert "x" == await response.text()
    stub.assert_called_once()


async def test_redirects_share_their_origin():
    """Two requests, one client call."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/old").reply(302, headers={"Location": "/new"})
        stub.get(SITE + "/new").reply(text="new")
        assert "new" == await text_of(SITE + "/old", session)
    first, second = stub.calls
    assert first.origin is second.origin
    assert SITE + "/old" == second.origin.url


async def test_a_call_inside_of_a_call_has_an_origin_of_its_own():
    """A trace that fetches a token does not take the name of the request that it serves."""
    config = aiohttp.TraceConfig()
    config.on_request_start.append(lambda session, ctx, params: token.get(SITE + "/token"))
    async with aiostub.Stub() as stub, ClientSession() as token:
        stub.get(SITE + "/token").reply(text="t")
        stub.get(SITE + "/data").reply(text="d")
        async with ClientSession(trace_configs=[config]) as session:
            assert "d" == await text_of(SITE + "/data", session)
    assert [SITE + "/token", SITE + "/data"] == [call.origin.url for call in stub.calls]


async def test_calls_at_once_keep_their_origins_apart():
    """Each task knows its own."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/{n}").reply(200).always()
        urls = [f"{SITE}/{n}" for n in range(20)]
        await asyncio.gather(*(text_of(url, session) for url in urls))
    assert [str(call.request.url) for call in stub.calls] == [c.origin.url for c in stub.calls]
    assert sorted(urls) == sorted(call.origin.url for call in stub.calls)


# Every session


async def test_a_session_made_before_is_stubbed():
    """And real again afterwards."""
    async with real_server() as server, ClientSession() as session:
        assert "real" == await text_of(server.url, session)
        async with answering("stub", str(server.url)) as stub:
            assert "stub" == await text_of(server.url, session)
        assert "real" == await text_of(server.url, session)
    assert 2 == len(server.arrivals)
    assert 1 == len(stub.calls)


async def test_a_real_idle_connection_never_answers_a_stubbed_request():
    """The pool of the connector keeps its own, untouched."""
    async with real_server() as server, ClientSession() as session:
        await text_of(server.url, session)
        (kept,) = session.connector._conns.values()
        async with answering("stub", str(server.url)):
            assert "stub" == await text_of(server.url, session)
            assert [kept] == list(session.connector._conns.values())
        assert "real" == await text_of(server.url, session)
        assert 1 == len(server.connections)


async def test_a_session_made_meanwhile_is_real_afterwards():
    """It keeps no connection in memory."""
    async with real_server() as server:
        async with answering("stub", str(server.url)):
            session = ClientSession()
            assert "stub" == await text_of(server.url, session)
        assert "real" == await text_of(server.url, session)
        await session.close()


async def test_the_session_of_a_module_is_stubbed():
    """One that lives longer than any test."""
    async with ClientSession() as module_session:

        async def app():
            return await text_of(SITE, module_session)

        for n in range(3):
            async with answering(f"run {n}"):
                assert f"run {n}" == await app()


def test_a_connector_that_outlives_its_loop_does_no_harm():
    """Stopping the stub is silent about a connection in a loop that is gone."""
    kept = []

    async def app():
        kept.append(TCPConnector())
        async with ClientSession(connector=kept[0], connector_owner=False) as session:
            assert "x" == await text_of(SITE, session)

    with answering("x"):
        asyncio.run(app())
    assert not kept[0].closed


async def test_aiohttp_request_is_stubbed():
    """The function without a session makes one inside."""
    async with answering("x"), aiohttp.request("GET", SITE) as response:
        assert "x" == await response.text()


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_a_subclass_of_the_session_is_stubbed():
    """One that overrides _request and calls the original."""

    class Signing(ClientSession):
        async def _request(self, method, str_or_url, **kwargs):
            kwargs["headers"] = {"X-Signed": "yes"}
            return await super()._request(method, str_or_url, **kwargs)

    async with answering("x") as stub, Signing() as session:
        assert "x" == await text_of(SITE, session)
    assert "yes" == stub.calls.last.request.headers["X-Signed"]
    assert {"X-Signed": "yes"} == stub.calls.last.origin.kwargs["headers"]


async def test_the_call_knows_its_session():
    """The request says which session sent it."""
    async with answering("x") as stub, ClientSession() as session:
        await text_of(SITE, session)
        if aiohttp.__version__ >= "3.9":
            assert session is stub.calls.last.request.session


# Every loop and thread


def test_a_sync_stub_works_around_asyncio_run():
    """One stub, several loops, one after the other."""
    with aiostub.Stub() as stub:
        stub.get(SITE).reply(text="one").then.reply(text="two")
        assert "one" == asyncio.run(text_of(SITE))
        assert "two" == asyncio.run(text_of(SITE))
    assert 2 == len(stub.calls)


async def test_other_threads_with_loops_of_their_own_are_stubbed():
    """Their sessions were made there, before or while the stub runs."""
    with answering("x") as stub:
        texts = await asyncio.gather(
            *(asyncio.to_thread(asyncio.run, text_of(SITE)) for _ in range(4))
        )
    assert ["x"] * 4 == texts
    assert 4 == len(stub.calls)


def test_a_session_of_another_thread_that_was_there_before_is_stubbed():
    """A service in the background, started long before the test."""
    begin, answers = threading.Event(), []

    async def service():
        async with ClientSession() as session:
            await asyncio.to_thread(begin.wait)
            answers.append(await text_of(SITE, session))

    thread = threading.Thread(target=asyncio.run, args=(service(),))
    thread.start()
    with answering("x"):
        begin.set()
        thread.join()
    assert ["x"] == answers


def test_threads_share_the_steps_of_a_route_without_loss():
    """Each use is served once, whoever asks."""
    n = 5

    async def app():
        async with ClientSession() as session:
            return [await text_of(SITE, session) for _ in range(8)]

    with aiostub.Stub() as stub:
        for index in range(8 * n):
            stub.get(SITE).reply(text=str(index))
        with ThreadPoolExecutor(n) as pool:
            rows = list(pool.map(lambda _: asyncio.run(app()), range(n)))
    assert sorted(map(str, range(8 * n))) == sorted(itertools.chain(*rows))
    assert 8 * n == len(stub.calls)


def test_routes_may_be_registered_while_another_thread_asks():
    """Neither side waits for the other, and nothing is lost."""
    done = threading.Event()

    async def app():
        async with ClientSession() as session:
            count = 0
            while not done.is_set() or count == 0:
                assert "x" == await text_of(SITE, session)
                count += 1
            return count

    with answering("x") as stub, ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, app())
        for n in range(300):
            stub.get(f"{SITE}/{n}").reply(200).optional()
        done.set()
        count = running.result()
    assert count == len(stub.calls)


# Every connector


class Polite(TCPConnector):
    """Overrides connect, and calls what it overrides."""

    async def connect(self, req, traces, timeout):
        req.headers["X-Polite"] = "please"
        return await super().connect(req, traces, timeout)


class Unreachable(TCPConnector):
    """Overrides the step that opens a socket."""

    async def _create_connection(self, req, traces, timeout):
        raise AssertionError("the network was asked")


class NoNames(aiohttp.abc.AbstractResolver):
    """A resolver that must not be asked."""

    async def resolve(self, host, port=0, family=0):
        raise AssertionError("the resolver was asked")

    async def close(self):
        pass


class Proxied:
    """Wraps a connector, as SDKs do to count or to log."""

    def __init__(self, connector):
        self._wrapped = connector

    def __getattr__(self, name):
        return getattr(self._wrapped, name)


CONNECTORS = {
    "connect overridden": Polite,
    "_create_connection overridden": Unreachable,
    "unix socket": lambda: aiohttp.UnixConnector("/nowhere/at-all.sock"),
    "resolver": lambda: TCPConnector(resolver=NoNames()),
    "bound to an address": lambda: TCPConnector(local_addr=("203.0.113.1", 0)),
    "no verification": lambda: TCPConnector(ssl=False),
}


@pytest.mark.parametrize("make", CONNECTORS.values(), ids=list(CONNECTORS))
async def test_a_session_with_its_own_connector_is_stubbed(make):
    """Whatever the connector would do to reach the network is not done."""
    async with answering("x") as stub, ClientSession(connector=make()) as session:
        assert "x" == await text_of(SITE, session)
        assert "x" == await text_of(SITE, session)
    assert 2 == len(stub.calls)


async def test_what_a_connector_of_the_users_adds_is_on_the_wire():
    """Its connect runs, so the log shows what it did."""
    async with answering("x") as stub, ClientSession(connector=Polite()) as session:
        await text_of(SITE, session)
    assert "please" == stub.calls.last.request.headers["X-Polite"]


async def test_a_connector_behind_a_proxy_object_is_stubbed():
    """The session need not hold the connector itself."""
    async with answering("x") as stub, TCPConnector() as connector:
        async with ClientSession(connector=connector) as session:
            session._connector = Proxied(connector)
            assert "x" == await text_of(SITE, session)
            session._connector = connector
    assert 1 == len(stub.calls)


async def test_sessions_may_share_a_connector():
    """Each call knows its own session."""
    async with answering("x") as stub, TCPConnector() as connector:
        async with (
            ClientSession(connector=connector, connector_owner=False) as one,
            ClientSession(connector=connector, connector_owner=False) as two,
        ):
            await text_of(SITE, one)
            await text_of(SITE, two)
            assert [one, two] == [call.request.session for call in stub.calls]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://[::1]:1/x",
        "https://203.0.113.7/",
        "http://localhost:1/",
        "http://user:secret@api.example.com/",
        "https://müller.example/straße",
    ],
)
async def test_any_kind_of_host_is_stubbed(url):
    """IP literals and loopback hosts are caught like names."""
    async with answering("x", url):
        assert "x" == await text_of(url)


async def test_a_scheme_of_the_connectors_own_is_stubbed():
    """A connector says which schemes it takes; the stub does not mind."""
    if not hasattr(BaseConnector, "allowed_protocol_schema_set"):
        pytest.skip("this aiohttp takes http and https only")

    class Docker(aiohttp.UnixConnector):
        allowed_protocol_schema_set = TCPConnector.allowed_protocol_schema_set | {"docker"}

    async with answering("x", "docker://engine/info"):
        async with ClientSession(connector=Docker("/nowhere.sock")) as session:
            assert "x" == await text_of("docker://engine/info", session)


async def test_what_is_no_request_at_all_is_not_logged():
    """An error of aiohttp's own, before the boundary, is the app's affair."""
    async with answering("x") as stub, ClientSession() as session:
        with pytest.raises(aiohttp.InvalidURL):
            await session.get("http://")
    stub.assert_not_called()


# An aiohttp that is not the one we know


@pytest.fixture
def check_again():
    """Let the check of aiohttp's names run as if for the first time."""
    interception._check_aiohttp.cache_clear()
    yield
    interception._check_aiohttp.cache_clear()


def test_a_missing_name_is_said_once_and_clearly(monkeypatch, caplog, check_again):
    """With the versions that were tested, so that the reader knows what to change."""
    needed = (*interception._NEEDED, (BaseConnector, "_renamed"))
    monkeypatch.setattr(interception, "_NEEDED", needed)
    with caplog.at_level(logging.ERROR, logger="aiostub"):
        for _ in range(2):
            with aiostub.Stub():
                pass
    (record,) = caplog.records
    assert "BaseConnector._renamed" in record.getMessage()
    assert aiohttp.__version__ in record.getMessage()
    assert "3.9 to 3.14" in record.getMessage()


def test_an_aiohttp_without_the_boundary_is_said_and_not_a_key_error(
    monkeypatch, caplog, check_again
):
    """A start that cannot patch names what it missed, and leaves nothing half done."""
    request = ClientSession._request
    monkeypatch.setattr(ClientSession, "_request", request)  # put back whatever happens
    monkeypatch.delattr(BaseConnector, "connect")
    stub = aiostub.Stub()
    with caplog.at_level(logging.ERROR, logger="aiostub"), suppress(aiostub.AiostubError):
        stub.start()
        stub.stop()
    assert "BaseConnector.connect" in caplog.text
    assert request is ClientSession._request
    assert () == interception.started()
