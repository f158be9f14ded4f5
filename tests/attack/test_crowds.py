"""Thousands of requests at once: each step is used once, and nothing is left."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter

import aiohttp
import pytest
from aiohttp import ClientSession, TCPConnector
from multidict import CIMultiDict
from yarl import URL

import aiostub
from aiostub import UnmatchedRequest
from aiostub._matching.url import canonical
from aiostub._routing import route as _route
from aiostub._routing.router import Taken

pytestmark = pytest.mark.usefixtures("aftermath")

SITE = "http://api.example.com"
MANY = 1000
OLD = aiohttp.__version__.startswith("3.9.")


async def fetch(session, path):
    """Ask, and read the answer."""
    async with session.get(SITE + path) as response:
        return await response.text()


@pytest.mark.parametrize(
    "limits",
    [{}, {"limit": 0}, {"limit": 3}, {"limit_per_host": 2}, {"limit": 7, "force_close": True}],
    ids=["default", "no_limit", "limit", "per_host", "force_close"],
)
async def test_thousands_over_one_session(limits):
    """Each is answered by its own step, none waits for ever, and the limit is kept."""
    async with aiostub.Stub() as stub:
        for n in range(10):
            stub.get(f"{SITE}/{n}").reply(text=f"{n}").times(MANY // 10)
        async with ClientSession(connector=TCPConnector(**limits)) as session:
            asking = asyncio.gather(*(fetch(session, f"/{n % 10}") for n in range(MANY)))
            answers = await asyncio.wait_for(asking, 60)
            assert not session.connector._acquired
            assert not any(session.connector._waiters.values())
    assert [str(n % 10) for n in range(MANY)] == answers
    assert MANY == len(stub.calls)
    limit = limits.get("limit", 0 if "limit_per_host" in limits else 100)
    limit = limits.get("limit_per_host", limit)
    assert stub.calls.concurrency == (limit or MANY)
    assert set() == stub._registry.in_flight


async def test_each_of_a_long_queue_is_served_once():
    """A route for each request, of one URL: served in order, and none is left."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        for n in range(MANY):
            stub.get(SITE + "/").reply(text=str(n))
        answers = await asyncio.gather(*(fetch(session, "/") for _ in range(MANY)))
        assert sorted(map(str, range(MANY))) == sorted(answers)
        with pytest.raises(UnmatchedRequest):
            await fetch(session, "/")
        stub._registry.troubles.clear()


async def test_many_sessions_at_once():
    """Each has limits and connections of its own."""
    async with aiostub.Stub() as stub:
        stub.get(SITE + "/{n}").handle(lambda request, n: n).times(MANY)
        sessions = [ClientSession(connector=TCPConnector(limit=5)) for _ in range(50)]
        asking = (fetch(sessions[n % 50], f"/{n}") for n in range(MANY))
        assert [str(n) for n in range(MANY)] == await asyncio.gather(*asking)
        assert not any(session.connector._acquired for session in sessions)
        for session in sessions:
            await session.close()


@pytest.fixture
def impatient_threads():
    """Let threads change places as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(count, work):
    """Run something in as many threads, and raise what one of them raised."""
    errors, ready = [], threading.Barrier(count)

    def run(n):
        ready.wait(10)
        try:
            work(n)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


@pytest.mark.usefixtures("impatient_threads")
def test_threads_share_a_queue_of_steps():
    """Eight loops, one script of steps: each serving goes to one request, none to two."""
    answers = []

    def work(n):
        async def ask():
            async with ClientSession() as session:
                return await asyncio.gather(*(fetch(session, "/") for _ in range(100)))

        answers.extend(asyncio.run(ask()))

    with aiostub.Stub() as stub:
        script = stub.get(SITE + "/").reply(text="0").times(3)
        for n in range(1, 100):
            script = script.then.reply(text=str(n)).times(5)
        for n in range(100, 402):
            stub.get(SITE + "/").reply(text=str(n))
        in_threads(8, work)
        counts = Counter(map(int, answers))
    assert {0: 3, **dict.fromkeys(range(1, 100), 5), **dict.fromkeys(range(100, 402), 1)} == counts
    assert 800 == len(stub.calls)
    began = [call._began for call in stub.calls]
    assert sorted(began) == began


@pytest.mark.usefixtures("impatient_threads")
def test_a_script_that_grows_while_threads_use_it_up():
    """No serving is lost, and none is served twice."""
    answers, steps = [], 300
    written = threading.Event()
    stub = aiostub.Stub(strict=False)
    script = stub.get(SITE + "/").reply(text="0").times(2)

    def work(n):
        async def ask():
            got = []
            async with ClientSession() as session:
                while True:
                    last = written.is_set()
                    try:
                        got.append(await fetch(session, "/"))
                    except UnmatchedRequest:
                        if last:
                            return got

        if n == 0:
            for step in range(1, steps):
                script.then.reply(text=str(step)).times(2)
            written.set()
        else:
            answers.extend(asyncio.run(ask()))

    with aiostub.Stub(strict=False) as stub:
        script = stub.get(SITE + "/").reply(text="0").times(2)
        in_threads(4, work)
        served = [step.served for step in stub._registry.router.routes[0].steps]
    assert dict.fromkeys(map(str, range(steps)), 2) == Counter(answers)
    assert [2] * steps == served


def grow_while_used(nth):
    """Add a step, let two be used up at the nth byte code of that, then use up what is left.

    Returns:
        How often each step was served, and how many byte codes there were.
    """
    stub = aiostub.Stub(strict=False)
    script = stub.get(SITE + "/").reply().then.reply()
    request = aiostub.Request("GET", URL(SITE + "/"), CIMultiDict(), body=b"", sent=True)
    codes, threads = 0, []

    def use_one():
        return isinstance(stub._registry.router.choose(request, canonical(request.url)), Taken)

    def interrupt(frame, event, argument):
        nonlocal codes
        if frame.f_code.co_filename != _route.__file__:
            return None
        frame.f_trace_opcodes = True
        codes += event == "opcode"
        if event == "opcode" and codes == nth:
            thread = threading.Thread(target=lambda: use_one() and use_one())
            thread.start()
            thread.join(0.001)  # unless it has to wait for us
            threads.append(thread)
        return interrupt

    before = sys.gettrace()
    sys.settrace(interrupt)
    try:
        script.then.reply().times(2)
    finally:
        sys.settrace(before)
    for thread in threads:
        thread.join()
    for _ in range(10):
        use_one()
    return [step.served for step in script.steps], codes


def test_a_step_that_is_added_while_another_thread_uses_one_up_is_not_lost():
    """Wherever the threads change places."""
    served, codes = grow_while_used(0)
    assert [1, 1, 2] == served
    lost = [nth for nth in range(1, codes + 1) if grow_while_used(nth)[0] != [1, 1, 2]]
    assert [] == lost


@pytest.mark.usefixtures("impatient_threads")
def test_threads_that_wait_for_a_route_are_all_woken():
    """Each of them, by a call that any of the others made."""

    def work(n):
        async def ask():
            async with ClientSession() as session:
                for round_ in range(20):
                    route = stub.get(f"{SITE}/{n}/{round_}").reply()
                    waiting = asyncio.create_task(route.wait_called(timeout=20))
                    await fetch(session, f"/{n}/{round_}")
                    await waiting

        asyncio.run(ask())

    with aiostub.Stub() as stub:
        in_threads(6, work)


async def test_a_crowd_that_is_cancelled_leaves_nothing():
    """Half of it queued, half of it served, all of it gone."""
    async with aiostub.Stub(strict=False) as stub:
        stub.get(SITE + "/").handle(lambda request: asyncio.sleep(60)).always()
        stub.get(SITE + "/next").reply(text="next")
        async with ClientSession(connector=TCPConnector(limit=50)) as session:
            tasks = [asyncio.create_task(fetch(session, "/")) for _ in range(500)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert "next" == await asyncio.wait_for(fetch(session, "/next"), 5)
            assert not session.connector._acquired
        assert set() == stub._registry.in_flight


async def test_a_crowd_whose_stub_stops_ends_at_once():
    """Half of it queued, half of it served, each with the same clear error."""
    stub = aiostub.Stub(strict=False)
    stub.start()
    stub.get(SITE + "/").hang().always()
    async with ClientSession(connector=TCPConnector(limit=50)) as session:
        tasks = [asyncio.create_task(fetch(session, "/")) for _ in range(500)]
        await asyncio.sleep(0.05)
        stub.stop()
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        assert {aiostub.StubStateError} == {type(end) for end in ends}
        assert not session.connector._acquired


async def test_a_crowd_that_fails_and_is_re_sent_uses_a_step_each():
    """Aiohttp's own re-send of hundreds at once meets the failure of its own call."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/").fail(aiohttp.ServerDisconnectedError).times(300)
        asking = (fetch(session, "/") for _ in range(300))
        ends = await asyncio.gather(*asking, return_exceptions=True)
        assert {aiohttp.ServerDisconnectedError} == {type(end) for end in ends}
        assert 300 == len(stub.calls)
        assert {1 if OLD else 2} == {call.attempts for call in stub.calls}
