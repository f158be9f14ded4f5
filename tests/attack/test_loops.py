"""The main scenarios under every kind of event loop, and in every mode of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import logging
import subprocess
import sys
import textwrap

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from real_server import real_server

import aiostub
from aiostub import StubStateError, faults

SITE = "http://api.example.com"
BIG = bytes(range(256)) * 2000
OLD = aiohttp.__version__.startswith("3.9.")


def plain():
    """Make asyncio's own loop."""
    return asyncio.new_event_loop()


def debugged():
    """Make a loop that looks closely."""
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 5
    return loop


def eager():
    """Make a loop that runs a task at once, up to its first await."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def eager_debugged():
    """Make one that does both."""
    loop = eager()
    loop.set_debug(True)
    loop.slow_callback_duration = 5  # 300 requests begin in one turn
    return loop


def uv():
    """Make a loop of uvloop's."""
    import uvloop

    return uvloop.new_event_loop()


def uv_debugged():
    """Make one that looks closely."""
    loop = uv()
    loop.set_debug(True)
    loop.slow_callback_duration = 5
    return loop


has_uvloop = importlib.util.find_spec("uvloop") is not None
needs_uvloop = pytest.mark.skipif(not has_uvloop, reason="uvloop is not installed")
needs_eager = pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython 3.12 brought them")
LOOPS = [
    plain,
    debugged,
    pytest.param(eager, marks=needs_eager),
    pytest.param(eager_debugged, marks=needs_eager),
    pytest.param(uv, marks=needs_uvloop),
    pytest.param(uv_debugged, marks=needs_uvloop),
]


async def fetch(session, path="/", method="GET", **kwargs):
    """Ask, and read the answer."""
    async with session.request(method, SITE + path, **kwargs) as response:
        return await response.read()


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


async def pieces():
    """A body in pieces."""
    for start in range(0, len(BIG), 100_000):
        yield BIG[start : start + 100_000]
        await asyncio.sleep(0)


async def answers(stub, session):
    """Replies of every kind, to requests of every kind."""
    stub.get(SITE + "/").reply(text="text")
    stub.get(SITE + "/late").reply(json=[1], delay=0.002)
    stub.get(SITE + "/stream").reply(stream=pieces)
    stub.get(SITE + "/hop").reply(302, headers={"Location": "/"})
    stub.get(SITE + "/").reply(text="landed")
    stub.post(SITE + "/up", data=BIG).reply(201)
    stub.post(SITE + "/up").reply(202, early=True)
    stub.get(SITE + "/big").reply(body=BIG, compress="gzip")
    stub.get(SITE + "/{name}").handle(lambda request, name: name).times(2)
    assert b"text" == await fetch(session)
    assert b"[1]" == await fetch(session, "/late")
    assert BIG == await fetch(session, "/stream")
    assert b"landed" == await fetch(session, "/hop")
    assert b"" == await fetch(session, "/up", "POST", data=pieces())
    assert b"" == await fetch(session, "/up", "POST", data=b"x", expect100=True)
    assert BIG == await fetch(session, "/big")
    assert [b"a", b"b"] == await asyncio.gather(fetch(session, "/a"), fetch(session, "/b"))


async def failures(stub, session):
    """Errors of the connection, of the head and of the body, and the client's timers."""
    cases = [
        (lambda r: r.fail(aiohttp.ServerDisconnectedError), aiohttp.ServerDisconnectedError),
        (lambda r: r.fail(aiohttp.ClientOSError), aiohttp.ClientOSError),
        (lambda r: r.fail(faults.refused(), delay=0.001), aiohttp.ClientConnectorError),
        (lambda r: r.fail(faults.garbage()), aiohttp.ClientResponseError),
        (lambda r: r.fail(faults.truncated()), aiohttp.ClientPayloadError),
        (lambda r: r.reply(stream=pieces, fault=faults.reset(after=150_000)), aiohttp.ClientError),
        (lambda r: r.fail(ZeroDivisionError), ZeroDivisionError),
        (lambda r: r.handle(lambda request: 1 / 0), ZeroDivisionError),
        (lambda r: r.timeout(), asyncio.TimeoutError),
        (lambda r: r.timeout("sock_read"), asyncio.TimeoutError),
        (lambda r: r.timeout("connect"), asyncio.TimeoutError),
    ]
    timeout = ClientTimeout(total=10, sock_read=10, connect=10)
    for act, expected in cases:
        act(stub.get(SITE + "/"))
        with pytest.raises(expected):
            await fetch(session, timeout=timeout)
    stub.get(SITE + "/").hang()
    with pytest.raises(asyncio.TimeoutError):
        await fetch(session, timeout=ClientTimeout(total=0.02))


async def cancelled(stub, session):
    """Requests that are given up, wherever they are."""
    stub.get(SITE + "/hang").hang().always()
    stub.get(SITE + "/stream").reply(stream=endless).always()
    stub.get(SITE + "/handler").handle(lambda request: asyncio.sleep(60)).always()
    for path in ("/hang", "/stream", "/handler"):
        for moment in range(8):
            task = asyncio.ensure_future(fetch(session, path))
            await turns(moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    await turns()
    assert not session.connector._acquired


async def endless():
    """A body without end."""
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0)


async def stopped(stub, session):
    """A stub that stops under the requests that it answers, from a handler of its own, too."""
    inner = aiostub.Stub(strict=False)
    inner.start()
    inner.get(SITE + "/hang").hang()
    inner.get(SITE + "/delay").reply(delay=60)
    inner.get(SITE + "/stream").reply(stream=endless)
    inner.get(SITE + "/handler").handle(lambda request: asyncio.sleep(60))

    async def stop(request):
        inner.stop()
        await asyncio.sleep(60)

    inner.get(SITE + "/stop").handle(stop)
    paths = ("/hang", "/delay", "/stream", "/handler")
    tasks = [asyncio.ensure_future(fetch(session, path)) for path in paths]
    await turns()
    tasks.append(asyncio.ensure_future(fetch(session, "/stop")))
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert [StubStateError] * 5 == [type(end) for end in ends]
    await turns()
    assert not session.connector._acquired


async def real(stub, session):
    """The real network, decided at the boundary and after the body."""
    async with real_server() as server:
        stub.passthrough("127.0.0.1")
        stub.post(server.url, data=BIG).passthrough().times(2)
        for _ in range(2):
            async with session.get(server.url) as response:
                assert "real" == await response.text()
            async with session.post(server.url, data=pieces()) as response:
                assert "real" == await response.text()
        assert [True] * 4 == [call.passed_through for call in stub.calls]
        assert [0, len(BIG), 0, len(BIG)] == [len(arrival.body) for arrival in server.arrivals]


async def crowded(stub, session):
    """More requests than places."""
    stub.get(SITE + "/").reply(text="x").times(300)
    got = await asyncio.gather(*(fetch(session) for _ in range(300)))
    assert [b"x"] * 300 == got


SCENARIOS = [answers, failures, cancelled, stopped, real, crowded]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("make_loop", LOOPS, ids=lambda make: make.__name__)
def test_a_loop_is_a_loop(make_loop, scenario, caplog):
    """No task is left, nothing is logged as slow, lost or never awaited."""
    problems = []

    async def run():
        before = asyncio.all_tasks()
        asyncio.get_running_loop().set_exception_handler(lambda _, each: problems.append(each))
        async with (
            aiostub.Stub() as stub,
            ClientSession(connector=TCPConnector(limit=7)) as session,
        ):
            await scenario(stub, session)
        await turns()
        return asyncio.all_tasks() - before

    with caplog.at_level(logging.WARNING, "asyncio"), contextlib.closing(make_loop()) as loop:
        assert set() == loop.run_until_complete(asyncio.wait_for(run(), 20))
        gc.collect()
    if not OLD:  # whose upload of a body does not mind its own exception
        assert [] == problems
    assert [] == [record.getMessage() for record in caplog.records if record.name == "asyncio"]


def test_development_mode_has_nothing_to_say():
    """Neither on the way nor at the end, whatever was left open."""
    program = textwrap.dedent(
        """
        import asyncio, aiohttp
        from aiostub import Stub
        async def stream():
            yield b"a"
            await asyncio.sleep(0)
            yield b"b"
        async def handler(request):
            await asyncio.sleep(0)
            return "x"
        async def main():
            async with Stub() as stub:
                stub.get("/").reply(stream=stream)
                stub.get("/").handle(handler)
                stub.get("/").reply(delay=60)
                async with aiohttp.ClientSession() as session:
                    for _ in range(2):
                        async with session.get("http://x/") as response:
                            await response.read()
                    task = asyncio.create_task(session.get("http://x/"))
                    for _ in range(10):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
        asyncio.run(main())
        """
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
