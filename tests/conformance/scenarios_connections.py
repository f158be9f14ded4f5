"""Connections and time: reuse, limits, timers, cancellation, what happens in flight."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from .actions import hang, reply, timeout
from .harness import AT_ONCE, App, Client, Scenario, get, post
from .scenarios_replies import BIG
from .scenarios_sessions import calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SHORT = 0.5  # seconds that a timer of the client runs
TOTAL = aiohttp.ClientTimeout(total=SHORT)
SOCK_READ = aiohttp.ClientTimeout(total=None, sock_read=SHORT)
CONNECT = aiohttp.ClientTimeout(total=None, connect=SHORT)
SOCK_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=SHORT)


async def endless() -> AsyncIterator[bytes]:
    """Send a piece and then nothing more."""
    yield b"piece"
    await asyncio.Event().wait()


async def ticking() -> AsyncIterator[bytes]:
    """Send a piece every now and then."""
    for _ in range(3):
        yield b"tick "
        await asyncio.sleep(SHORT / 2.5)


async def endless_upload() -> AsyncIterator[bytes]:
    """Produce a piece of a body and then nothing more."""
    yield b"piece"
    await asyncio.Event().wait()


async def patient_upload() -> AsyncIterator[bytes]:
    """Produce a body that takes longer than the answer to it."""
    yield b"piece"
    await asyncio.sleep(SHORT)
    yield b"too late"


def at_once(*paths: str, connector: Any = None, **session: Any) -> Client:
    """Make a client that asks for all paths at once."""

    async def client(app: App) -> None:
        async with app.session(connector=connector, **session) as opened:

            async def one(path: str) -> object:
                async with opened.get(app.url(path)) as response:
                    return [path, response.status, await response.text()]

            app.note("all", sorted(await asyncio.gather(*map(one, paths)), key=str))

    return client


async def queued_until_timeout(app: App) -> None:
    """Wait for the only connection longer than the connect timer allows."""
    async with app.session(connector={"limit": 1}) as session:
        async with session.get(app.url("/a")):
            await app.ask(session, "GET", "/b", timeout=CONNECT)
        await app.ask(session, "GET", "/c")


async def queued_until_cancelled(app: App) -> None:
    """Cancel a request that waits for the only connection."""
    async with app.session(connector={"limit": 1}) as session:
        async with session.get(app.url("/a")):
            task = asyncio.create_task(app.ask(session, "GET", "/b"))
            await asyncio.sleep(0.01)  # it arrives nowhere
            await cancel(app, task)
        await app.ask(session, "GET", "/c")


async def cancel(app: App, task: asyncio.Task[Any]) -> None:
    """Cancel a task and note how it ends."""
    task.cancel()
    try:
        app.note("finished", await task)
    except asyncio.CancelledError:
        app.note("cancelled", True)


async def cancelled_waiting(app: App) -> None:
    """Cancel a request whose answer doesn't come, and ask again."""
    async with app.session() as session:
        task = asyncio.create_task(app.ask(session, "GET", "/a"))
        await app.arrival()
        await cancel(app, task)
        await app.ask(session, "GET", "/b")


async def cancelled_posting(app: App) -> None:
    """Cancel a request whose body is still being sent."""
    async with app.session() as session:
        task = asyncio.create_task(app.ask(session, "POST", "/", data=endless_upload()))
        await app.arrival()
        await cancel(app, task)


async def cancelled_reading(app: App) -> None:
    """Cancel the reading of a body that doesn't end, and ask again."""
    async with app.session() as session:
        async with session.get(app.url("/a")) as response:
            task = asyncio.create_task(response.read())
            await asyncio.sleep(0)
            await cancel(app, task)
            app.note("closed", [response.closed, response.connection is None])
        await app.ask(session, "GET", "/b")


async def cancelled_at_once(app: App) -> None:
    """Cancel a request before it has begun."""
    async with app.session() as session:
        await cancel(app, asyncio.create_task(app.ask(session, "GET", "/a")))
        await app.ask(session, "GET", "/b")


async def cancelled_by_wait_for(app: App) -> None:
    """Let the app's own timer end a request."""
    async with app.session() as session:
        await app.attempt("gave up", asyncio.wait_for(session.get(app.url("/a")), SHORT))
        await app.ask(session, "GET", "/b")


async def cancelled_in_a_group(app: App) -> None:
    """Cancel several requests at once."""
    async with app.session() as session:
        tasks = [asyncio.create_task(session.get(app.url("/a"))) for _ in range(3)]
        await app.arrival(3)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        app.note("results", [type(result).__name__ for result in results])


async def closed_in_flight(app: App) -> None:
    """Close the session while a request waits for its answer."""
    async with app.session() as session:
        task = asyncio.create_task(app.ask(session, "GET", "/a"))
        await app.arrival()
        await session.close()
        await asyncio.wait([task], timeout=1)
        app.note("done", task.done())


async def closed_while_reading(app: App) -> None:
    """Close the session while a body is read."""
    async with app.session() as session:
        response = await session.get(app.url("/a"))
        task = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        await session.close()
        await asyncio.wait([task], timeout=SHORT)
        app.note("done", task.done())
        task.cancel()
        await asyncio.wait([task])


async def held_by_unread(app: App) -> None:
    """Keep a response open, and ask again in the meantime."""
    async with app.session() as session:
        async with session.get(app.url("/a")) as first:
            await app.ask(session, "GET", "/b")
            app.note("first", [first.closed, first.connection is None])
            first.close()
        await app.ask(session, "GET", "/c")


async def reading_between(app: App) -> None:
    """Read two bodies by turns."""
    async with (
        app.session() as session,
        session.get(app.url("/a")) as a,
        session.get(app.url("/b")) as b,
    ):
        app.note("a", await a.content.readany())
        app.note("b", await b.content.readany())
        app.note("rest", [await a.read(), await b.read()])


async def a_slow_reader(app: App) -> None:
    """Read a large body with pauses, smaller than the timer between two reads."""
    timeout = aiohttp.ClientTimeout(sock_read=SHORT)
    async with (
        app.session(timeout=timeout, read_bufsize=4096) as session,
        session.get(app.url("/")) as response,
    ):
        size = 0
        while piece := await response.content.read(200_000):
            size += len(piece)
            await asyncio.sleep(0.001)
        app.note("size", size)


async def idle_between(app: App) -> None:
    """Let a connection lie longer than it is kept."""
    async with app.session(connector={"keepalive_timeout": 0.1}) as session:
        await app.ask(session, "GET", "/a")
        await app.ask(session, "GET", "/b")
        await asyncio.to_thread(time.sleep, 0.15)  # aiohttp looks at the clock on the wall
        await app.ask(session, "GET", "/c")


async def two_hosts_one_connection_each(app: App) -> None:
    """Ask two hosts with a limit for each."""
    async with app.session(connector={"limit_per_host": 1}) as session:
        async with session.get(app.url("/a")) as first:
            await app.ask(session, "GET", app.url("/b", host="other.test"))
            app.note("first", await first.read())
        await app.ask(session, "GET", "/c")


async def traced_twice(app: App) -> None:
    """Trace with a context of the app's own."""
    seen: list[object] = []

    async def started(_: object, context: Any, __: object) -> None:
        seen.append(context.trace_request_ctx)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)  # type: ignore[arg-type,unused-ignore]
    config.freeze()
    async with aiohttp.ClientSession(connector=app.connector(), trace_configs=[config]) as session:
        await app.ask(session, "GET", "/", trace_request_ctx={"id": 7})
        await app.ask(session, "GET", "/")
    app.note("contexts", seen)


async def raising_tracers(app: App) -> None:
    """Raise out of trace events."""

    async def refuse(*_: object) -> None:
        raise LookupError("no such span")

    for signal in ("on_request_start", "on_request_end", "on_response_chunk_received"):
        config = aiohttp.TraceConfig()
        getattr(config, signal).append(refuse)
        connector = app.connector()
        async with aiohttp.ClientSession(connector=connector, trace_configs=[config]) as session:
            await app.ask(session, "POST", "/", data=b"x")


async def changing_tracer(app: App) -> None:
    """Change the headers in a trace event."""

    async def stamp(_: object, __: object, params: aiohttp.TraceRequestStartParams) -> None:
        params.headers["X-Trace"] = "1"

    config = aiohttp.TraceConfig()
    config.on_request_start.append(stamp)
    async with aiohttp.ClientSession(connector=app.connector(), trace_configs=[config]) as session:
        await app.ask(session, "GET", "/")


async def timers_of_a_body(app: App) -> None:
    """Let the total timer fire while a body is read."""
    async with app.session(timeout=TOTAL) as session:
        await app.ask(session, "GET", "/a")
        await app.ask(session, "GET", "/b")


async def streamed_until_timeout(app: App) -> None:
    """Read pieces until the timer between two of them fires."""
    pieces: list[bytes] = []
    async with app.session(timeout=SOCK_READ) as session:
        async with session.get(app.url("/")) as response:
            try:
                async for piece in response.content.iter_any():
                    pieces.append(piece)  # noqa: PERF401 - those before the error count
            except asyncio.TimeoutError as error:
                app.note("error", error)
        app.note("pieces", pieces)
        app.note("closed", [response.closed, response.connection is None])


async def a_second_client_for_the_pool(app: App) -> None:
    """Ask through a session whose connector has been used by another."""
    async with app.connector() as connector:
        for path in ("/a", "/b"):
            session = aiohttp.ClientSession(connector=connector, connector_owner=False)
            async with session:
                await app.ask(session, "GET", path)


async def early_answer(app: App) -> None:
    """Get the answer while the body is still being sent."""
    async with (
        app.session() as session,
        session.post(app.url("/"), data=patient_upload()) as response,
    ):
        app.note("status", response.status)
        app.note("read", await response.text())
        app.note("closed", response.closed)


async def early_refusal(app: App) -> None:
    """Be refused with 417 before the body is sent."""
    async with app.session() as session:
        async with session.post(app.url("/"), data=b"never", expect100=True) as response:
            app.note("status", response.status)
            app.note("read", await response.text())
        app.note("closed", response.closed)


async def many_one_after_the_other(app: App) -> None:
    """Ask fifty times."""
    async with app.session(trace=False) as session:
        for n in range(50):
            async with session.get(app.url(f"/{n}")) as response:
                assert await response.json() == {"n": 1}
        app.note("asked", n + 1)


async def many_at_once(app: App) -> None:
    """Ask fifty times at once with ten connections."""
    async with app.session(trace=False, connector={"limit": 10}) as session:

        async def one(n: int) -> int:
            async with session.get(app.url(f"/{n}")) as response:
                return int(response.status)

        app.note("statuses", await asyncio.gather(*map(one, range(50))))


CLOSE = {"Connection": "close"}

SCENARIOS = [
    Scenario("a connection is used again", [reply(text="x", times=3)], calls("/1", "/2", "/3")),
    Scenario(
        "a connection is used again without bodies",
        [reply(204), reply(304), reply()],
        calls("/1", "/2", "/3"),
    ),
    Scenario(
        "a connection is used again after HEAD",
        [reply(text="x", times=2)],
        calls("/1", "/2", method="HEAD"),
    ),
    Scenario(
        "a connection is used again after chunks",
        [reply(stream=lambda: [b"a"], times=2)],
        calls("/1", "/2"),
    ),
    Scenario(
        "a connection is used again after an error",
        [reply(500, text="no"), reply()],
        calls("/1", "/2"),
    ),
    Scenario(
        "a connection is used again after POST",
        [reply(201), reply(201)],
        calls("/1", "/2", method="POST"),
    ),
    Scenario(
        "the reply closes the connection",
        [reply(text="x", headers=CLOSE), reply()],
        calls("/1", "/2"),
    ),
    Scenario(
        "the request closes the connection",
        [reply(text="x", times=2)],
        calls("/1", "/2", headers=CLOSE),
    ),
    Scenario(
        "the connector closes the connection",
        [reply(text="x"), reply()],
        calls("/1", "/2", connector={"force_close": True}),
    ),
    Scenario(
        "HTTP/1.0 keeps the connection",
        [reply(text="x"), reply()],
        calls("/1", "/2", version=aiohttp.HttpVersion10),
    ),
    Scenario(
        "HTTP/1.0 with a stream closes the connection",
        [reply(stream=lambda: [b"a", b"b"]), reply()],
        calls("/1", "/2", version=aiohttp.HttpVersion10),
    ),
    Scenario("a connection is kept no longer than told", [reply(times=3)], idle_between),
    Scenario(
        "an unread response keeps its connection",
        [reply(body=BIG), reply(text="b"), reply(text="c")],
        held_by_unread,
    ),
    Scenario(
        "a small unread response gives its connection back",
        [reply(text="a"), reply(text="b"), reply(text="c")],
        held_by_unread,
    ),
    Scenario(
        "two bodies by turns",
        [reply(stream=lambda: [b"a"]), reply(stream=lambda: [b"b"])],
        reading_between,
    ),
    Scenario(
        "sessions share what a connector keeps", [reply(times=2)], a_second_client_for_the_pool
    ),
    Scenario(
        "two requests wait for one connection",
        {"/a": [reply(text="a", delay=0.02)], "/b": [reply(text="b")]},
        at_once("/a", "/b", connector={"limit": 1}),
        log=False,
    ),
    Scenario(
        "three requests with two connections to a host",
        [reply(text="x", delay=0.01, times=3)],
        at_once("/a", "/b", "/c", connector={"limit_per_host": 2}),
        log=False,
    ),
    Scenario(
        "a limit for each host",
        [reply(body=BIG), reply(text="b"), reply(text="c")],
        two_hosts_one_connection_each,
    ),
    Scenario(
        "the connect timer runs while a request is queued",
        [reply(stream=endless), reply(text="c")],
        queued_until_timeout,
    ),
    Scenario(
        "a queued request is cancelled",
        [reply(stream=endless), reply(text="c")],
        queued_until_cancelled,
    ),
    Scenario(
        "no connection is left over after fifty requests",
        [reply(json={"n": 1}, times=50)],
        many_one_after_the_other,
    ),
    Scenario(
        "fifty requests share ten connections", [reply(text="x", times=50)], many_at_once, log=False
    ),
    Scenario("the total timer fires before the head", [hang()], get(timeout=TOTAL)),
    Scenario("the total timer as a number", [hang()], get(timeout=SHORT)),
    Scenario("the total timer of the session", [hang()], get(session={"timeout": TOTAL})),
    Scenario("the total timer fires for a POST", [hang()], post(json={"a": 1}, timeout=TOTAL)),
    Scenario(
        "the total timer fires in a slow reply", [reply(delay=1)], get(timeout=TOTAL), log=False
    ),
    Scenario("the total timer fires in a body", [reply(stream=endless, times=2)], timers_of_a_body),
    Scenario("the read timer fires before the head", [hang()], get(timeout=SOCK_READ)),
    Scenario("the read timer fires after a POST", [hang()], post(data=b"x", timeout=SOCK_READ)),
    Scenario("the read timer fires in a body", [reply(stream=endless)], get(timeout=SOCK_READ)),
    Scenario("the read timer fires in a stream", [reply(stream=endless)], streamed_until_timeout),
    Scenario(
        "the read timer begins again with each piece",
        [reply(stream=ticking)],
        get(timeout=aiohttp.ClientTimeout(sock_read=SHORT)),
    ),
    Scenario("a slow reader is in time", [reply(body=BIG)], a_slow_reader),
    Scenario("the app's own timer", [hang(), reply()], cancelled_by_wait_for),
    Scenario("a total timeout by name", [timeout("total")], get(timeout=TOTAL)),
    Scenario(
        "a total timeout of a POST by name", [timeout("total")], post(data=b"x", timeout=TOTAL)
    ),
    Scenario("a connect timeout by name", [timeout("connect")], get(timeout=CONNECT)),
    Scenario(
        "a connect timeout of a POST by name",
        [timeout("connect")],
        post(data=b"x", timeout=CONNECT),
    ),
    Scenario(
        "a sock_connect timeout by name", [timeout("sock_connect")], get(timeout=SOCK_CONNECT)
    ),
    Scenario("a sock_read timeout by name", [timeout("sock_read")], get(timeout=SOCK_READ)),
    Scenario(
        "a sock_read timeout of a POST by name",
        [timeout("sock_read")],
        post(data=b"x", timeout=SOCK_READ),
    ),
    Scenario(
        "a timeout by name and then a reply",
        [timeout("sock_read"), reply()],
        calls("/1", "/2", timeout=SOCK_READ),
    ),
    Scenario("a request is cancelled while it waits", [hang(), reply()], cancelled_waiting),
    Scenario(
        "a request is cancelled while it is sent",
        [hang()],
        cancelled_posting,
        log=False,
        ways=AT_ONCE,
    ),
    Scenario(
        "a body is cancelled while it is read", [reply(stream=endless), reply()], cancelled_reading
    ),
    Scenario("a request is cancelled before it begins", [reply()], cancelled_at_once),
    Scenario("several requests are cancelled", [hang(times=3)], cancelled_in_a_group),
    Scenario("a session is closed in flight", [hang()], closed_in_flight),
    Scenario(
        "a session is closed while a body is read", [reply(stream=endless)], closed_while_reading
    ),
    Scenario("a trace context of the app's own", [reply(times=2)], traced_twice),
    Scenario("a tracer raises", [reply(), reply(text="x")], raising_tracers),
    Scenario("a tracer changes the headers", [reply()], changing_tracer),
    Scenario(
        "an answer before the body is sent",
        [reply(413, text="too much", early=True)],
        early_answer,
        log=False,
    ),
    Scenario("100 refused", [reply(417, text="no", early=True)], early_refusal, log=False),
]
