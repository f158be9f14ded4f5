"""Handlers, matchers and streams that do what nobody should do, and stubs in odd orders."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import aiohttp
import pytest
from aiohttp import ClientSession, TCPConnector

import aiostub
from aiostub import ANY, RouteError, StubStateError, UnmatchedRequest, UnsatisfiedStub, faults

pytestmark = pytest.mark.usefixtures("aftermath")

SITE = "http://api.example.com"


async def fetch(session, path="/", method="GET", **kwargs):
    """Ask, and read the answer, in good time."""

    async def ask():
        async with session.request(method, SITE + path, **kwargs) as response:
            return await response.text()

    return await asyncio.wait_for(ask(), 5)


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


# Handlers


async def test_a_handler_may_ask_its_own_route():
    """Two hundred deep, each on a connection of its own."""
    async with aiostub.Stub() as stub, ClientSession(connector=TCPConnector(limit=0)) as session:

        async def deeper(request, depth):
            return "ground" if depth == "0" else await fetch(session, f"/{int(depth) - 1}")

        stub.get(SITE + "/{depth}").handle(deeper).always()
        assert "ground" == await fetch(session, "/200")
        assert 201 == len(stub.calls)
        assert 201 == stub.calls.concurrency
        assert [f"/{n}" for n in range(200, -1, -1)] == [c.request.url.path for c in stub.calls]


async def test_a_handler_that_asks_itself_at_the_limit_waits_like_any_other():
    """As an app that calls itself over a real connector does: until its timeout."""
    async with aiostub.Stub() as stub:
        timeout = aiohttp.ClientTimeout(total=0.05)
        async with ClientSession(connector=TCPConnector(limit=2), timeout=timeout) as session:

            async def deeper(request, depth):
                async with session.get(f"{SITE}/{int(depth) + 1}") as response:
                    return await response.text()

            stub.get(SITE + "/{depth}").handle(deeper).always()
            with pytest.raises(asyncio.TimeoutError):
                await fetch(session, "/0")
            await turns()
            assert not session.connector._acquired


async def test_a_handler_may_register_routes():
    """For the requests after its own, its own included where it declines."""
    async with aiostub.Stub() as stub, ClientSession() as session:

        def grow(request):
            stub.get(SITE + "/").reply(text="front", headers={"X": "1"})
            stub.get(SITE + "/later").reply(text="later")

        stub.get(SITE + "/").handle(grow).optional()  # its use is given back
        assert "front" == await fetch(session)
        assert "later" == await fetch(session, "/later")


async def test_a_handler_may_start_and_stop_stubs():
    """Its own requests go to the inner one; the answer is still its own."""
    async with aiostub.Stub() as stub, ClientSession() as session:

        async def nest(request):
            with aiostub.Stub() as inner:
                inner.get(SITE + "/inner").reply(text="inner")
                return await fetch(session, "/inner")

        stub.get(SITE + "/").handle(nest)
        assert "inner" == await fetch(session)
        assert ["/"] == [call.request.url.path for call in stub.calls]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_handler_that_stops_its_stub_ends_its_own_request(kind):
    """Nobody is there to send what it returns."""
    stub = aiostub.Stub()
    stub.start()
    ends = []

    def stop(request):
        stub.stop()
        return "too late"

    async def stop_and_wait(request):
        try:
            stub.stop()
            await asyncio.sleep(60)
        finally:
            ends.append("cancelled")

    stub.get(SITE + "/").handle(stop if kind == "sync" else stop_and_wait)
    async with ClientSession() as session:
        with pytest.raises(StubStateError):
            await fetch(session)
        await turns()
        assert not session.connector._acquired
    assert ["cancelled"] * (kind == "async") == ends


async def test_a_handler_that_resets_the_stub_is_heard():
    """Its answer is on its way already; the log begins anew."""
    async with aiostub.Stub() as stub, ClientSession() as session:

        def forget(request):
            stub.reset()
            return "after all"

        stub.get(SITE + "/").handle(forget)
        assert "after all" == await fetch(session)
        assert [] == list(stub.calls)
        stub.get(SITE + "/").reply()
        await fetch(session)
        assert 1 == len(stub.calls)


async def test_a_handler_that_resets_the_stub_and_declines():
    """The next route answers, and the call that it answered is in the log."""
    async with aiostub.Stub() as stub, ClientSession() as session:

        def forget(request):
            stub.reset()
            stub.get(SITE + "/").reply(text="new")

        stub.get(SITE + "/").handle(forget)
        assert "new" == await fetch(session)
        assert 1 == len(stub.calls)
        assert 1 == stub.calls.first.route.call_count


async def test_a_handler_that_stops_an_outer_stub():
    """Only what the outer one answers is at an end."""
    outer = aiostub.Stub(strict=False)
    outer.get(SITE + "/outer").hang()
    outer.start()
    async with aiostub.Stub() as inner, ClientSession() as session:
        inner.get(SITE + "/").handle(lambda request: outer.stop() or "inner")
        waiting = asyncio.create_task(fetch(session, "/outer"))
        await turns()
        assert "inner" == await fetch(session)
        with pytest.raises(StubStateError):
            await waiting


async def test_a_handler_in_whose_place_another_task_is_cancelled():
    """What it awaits may be cancelled; the app is not left waiting."""
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        other = asyncio.create_task(asyncio.sleep(60))
        other.cancel()

        async def wait_for_it(request):
            await other

        stub.get(SITE + "/").handle(wait_for_it)
        with pytest.raises(asyncio.CancelledError):
            await fetch(session)


async def test_a_handler_that_swallows_its_cancellation():
    """It may take its time; nobody waits for it, and nothing is a surprise at the end."""
    swallowed = asyncio.Event()
    async with aiostub.Stub() as stub, ClientSession() as session:

        async def stubborn(request):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed.set()
            return "nobody reads this"

        stub.get(SITE + "/").handle(stubborn)
        task = asyncio.create_task(fetch(session))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(swallowed.wait(), 1)


# Matchers


@pytest.mark.parametrize("body", [None, b"x"], ids=["bare", "body"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_matcher_may_raise_whenever_it_likes(nth, body):
    """The call ends with what it raised, and so does the stub."""
    asked = 0

    def raise_at_the_nth(request):
        nonlocal asked
        asked += 1
        if asked == nth:
            raise ZeroDivisionError
        return False

    stub = aiostub.Stub()
    stub.post(SITE + "/", where=raise_at_the_nth).reply().optional()
    stub.start()
    async with ClientSession() as session:
        with pytest.raises((ZeroDivisionError, UnmatchedRequest)) as caught:
            await fetch(session, method="POST", data=body)
    with pytest.raises((ZeroDivisionError, UnsatisfiedStub)) as at_exit:
        stub.stop()
    if asked >= nth:
        assert [ZeroDivisionError] * 2 == [caught.type, at_exit.type]


async def test_a_matcher_may_register_routes():
    """In front and behind, while it is being asked."""
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        added = []

        def add(request):
            if len(added) < 3:
                added.append(stub.get(SITE + "/", first=True, headers={"X": "no"}).reply())
                added.append(stub.get(SITE + "/").reply(text="added"))
            return False

        stub.get(SITE + "/", where=add).reply()
        assert "added" == await fetch(session)


async def test_a_matcher_may_reset_the_stub():
    """Nothing that was dropped answers afterwards."""
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        stub.get(SITE + "/", where=lambda request: stub.reset()).reply(text="first")
        stub.get(SITE + "/").reply(text="dropped")
        with contextlib.suppress(UnmatchedRequest):
            await fetch(session)
        stub.get(SITE + "/").reply(text="new")
        assert "new" == await fetch(session)


def test_a_matcher_that_blocks_blocks_its_own_loop_alone():
    """Another thread's requests to the same stub are answered meanwhile."""
    entered, go_on = threading.Event(), threading.Event()

    def block(request):
        entered.set()
        return go_on.wait(5)

    async def ask(path):
        async with ClientSession() as session:
            return await fetch(session, path)

    answers = []
    with aiostub.Stub() as stub:
        stub.get(SITE + "/slow", where=block).reply(text="slow")
        stub.get(SITE + "/quick").reply(text="quick")
        thread = threading.Thread(target=lambda: answers.append(asyncio.run(ask("/slow"))))
        thread.start()
        assert entered.wait(5)
        stub.get(SITE + "/more").reply(text="more")
        answers += [asyncio.run(ask("/quick")), asyncio.run(ask("/more"))]
        go_on.set()
        thread.join(5)
    assert ["quick", "more", "slow"] == answers


async def test_the_calls_of_a_route_are_in_order_of_arrival():
    """A slow upload that came first stands first, whoever is answered first."""
    gate = asyncio.Event()

    async def slow():
        yield b"slow"
        await gate.wait()

    async with aiostub.Stub() as stub, ClientSession() as session:
        route = stub.post(SITE + "/", data=ANY).reply().always()
        first = asyncio.create_task(fetch(session, method="POST", data=slow()))
        await turns()
        await fetch(session, method="POST", data=b"quick")
        gate.set()
        await first
        assert [b"slow", b"quick"] == [call.request.body for call in stub.calls]
        assert list(stub.calls) == list(route.calls)
        assert all(gap >= 0 for gap in route.calls.gaps)


# Streams


def raising(error):
    """A stream that raises after a piece."""

    async def stream():
        yield b"piece"
        raise error

    return stream


async def wrong_type():
    """A stream of what is no bytes."""
    yield b"piece"
    yield "text"


async def cancels_itself():
    """A stream whose own work is cancelled."""
    yield b"piece"
    raise asyncio.CancelledError


def sync_raising():
    """A stream that is not async and raises."""
    yield b"piece"
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("stream", "expected", "at_exit"),
    [
        (raising(ZeroDivisionError()), aiohttp.ClientPayloadError, ZeroDivisionError),
        (raising(faults.reset()), (aiohttp.ClientOSError, aiohttp.ClientPayloadError), None),
        (raising(faults.disconnect()), aiohttp.ClientPayloadError, None),
        (wrong_type, aiohttp.ClientPayloadError, RouteError),
        (sync_raising, aiohttp.ClientPayloadError, ZeroDivisionError),
        (cancels_itself, (aiohttp.ClientPayloadError, asyncio.CancelledError), ANY),
    ],
    ids=["raises", "resets", "disconnects", "wrong_type", "sync", "cancelled"],
)
async def test_a_stream_that_goes_wrong_breaks_the_body(stream, expected, at_exit):
    """The client is not left waiting; what was unexpected comes again at exit."""
    stub = aiostub.Stub()
    stub.start()
    stub.get(SITE + "/").reply(stream=stream)
    async with ClientSession() as session:
        with pytest.raises(expected):
            await fetch(session)
        await turns()
        assert not session.connector._acquired
    try:
        stub.stop()
    except BaseException as error:  # noqa: BLE001 - it is looked at
        assert at_exit in (type(error), ANY)  # noqa: PT017 - there may be none
    else:
        assert at_exit in (None, ANY)


async def test_a_stream_without_end_and_without_an_await_can_be_left():
    """The client closes, and the stream is closed, too."""
    closed = []

    def endless():
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.append("closed")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/").reply(stream=endless)
        async with session.get(SITE + "/") as response:
            assert b"x" == await response.content.readexactly(1)
        await turns()
        assert ["closed"] == closed


async def test_a_stream_that_swallows_its_cancellation_is_no_surprise_at_exit():
    """The client has gone: what the stream gives now goes nowhere, and nobody minds."""

    async def stubborn():
        yield b"piece"
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        yield b"more"
        yield b"and more"

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/").reply(stream=stubborn)
        async with session.get(SITE + "/") as response:
            assert b"piece" == await response.content.read(5)
        await turns()


# Stubs in odd orders


async def test_an_outer_stub_that_has_stopped_answers_nothing():
    """A request that was not decided yet is decided by those that are left."""
    gate = asyncio.Event()

    async def slow():
        yield b"a"
        await gate.wait()
        yield b"b"

    outer = aiostub.Stub(strict=False)
    outer.post(SITE + "/", data=b"ab").reply(text="outer")
    outer.start()
    with aiostub.Stub(strict=False) as inner:
        inner.post(SITE + "/", data=b"xy").reply()
        async with ClientSession() as session:
            task = asyncio.create_task(fetch(session, method="POST", data=slow()))
            await turns()
            outer.stop()
            gate.set()
            with pytest.raises(UnmatchedRequest):
                await task


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1)])
async def test_stubs_that_stop_in_any_order_end_what_they_answer(order):
    """And nothing else: each of three has a request in flight."""
    stubs = [aiostub.Stub(strict=False) for _ in range(3)]
    async with ClientSession() as session:
        for n, stub in enumerate(stubs):
            stub.start()
            stub.get(f"{SITE}/{n}").hang()
        tasks = [asyncio.create_task(fetch(session, f"/{n}")) for n in range(3)]
        await turns()
        for place, n in enumerate(order):
            stubs[n].stop()
            await turns()
            assert {tasks[m] for m in order[: place + 1]} == {t for t in tasks if t.done()}
        for task in tasks:
            assert isinstance(task.exception(), StubStateError)


async def test_a_stub_that_another_thread_stops_ends_no_request_of_another_stub():
    """Although it was the innermost one when the request was made."""
    async with aiostub.Stub() as outer, ClientSession() as session:
        inner = aiostub.Stub()
        inner.start()

        def stop_inner(request):
            thread = threading.Thread(target=inner.stop)
            thread.start()
            thread.join(5)
            return True

        async def answer(request):
            await turns()
            return "outer"

        outer.get(SITE + "/", where=stop_inner).handle(answer)
        assert "outer" == await fetch(session)
        assert [200] == [call.status for call in outer.calls]


async def test_a_request_that_nobody_has_taken_yet_outlives_the_innermost_stub():
    """An outer stub takes it when its body has come; with no other stub there, it ends."""
    gate = asyncio.Event()

    async def body():
        yield b"first"
        await gate.wait()
        yield b"last"

    async with aiostub.Stub() as outer, ClientSession() as session:
        outer.post(SITE + "/", data=b"firstlast").reply(text="outer")
        inner = aiostub.Stub()
        inner.start()
        asked = asyncio.create_task(fetch(session, method="POST", data=body()))
        await turns()
        inner.stop()
        await turns()
        gate.set()
        assert "outer" == await asked
        assert 1 == len(outer.calls)
        assert 0 == len(inner.calls)


def test_stubs_that_come_and_go_in_threads_end_only_their_own():
    """Requests of a stub that stays are answered all the while."""
    over = threading.Event()
    strangers = []

    def come_and_go(name):
        async def once():
            async with aiostub.Stub(strict=False) as mine, ClientSession() as session:
                mine.get(f"{SITE}/{name}").reply(text=name)
                strangers.append(await fetch(session, f"/{name}") == name)

        while not over.is_set():
            asyncio.run(once())

    async def stay():
        async with ClientSession() as session:
            return [await fetch(session, "/stays") for _ in range(300)]

    with aiostub.Stub() as stub:
        stub.get(SITE + "/stays").reply(text="here").always()
        threads = [threading.Thread(target=come_and_go, args=(f"t{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            answers = asyncio.run(stay())
        finally:
            over.set()
            for thread in threads:
                thread.join(10)
        assert {"here"} == set(answers)
        assert strangers
        assert all(strangers)
        assert 300 == len(stub.calls)
