"""How one sample of a contestant is taken: seconds of CPU, seconds by the wall clock, or bytes.

CPU time is that of the whole process, so threads and servers in it count, and a busy machine does
not. The garbage collector runs as in anybody's program; what a sample leaves behind is collected
before the next.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock, call, patch

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientWebSocketResponse
    from contestants import Contestant
    from sites import Route, Site

ENOUGH = 0.06  # seconds of CPU in a sample, at the least
LAP = 8  # requests in a row, spread over the routes
TEXT = "Ada" * 10  # of a WebSocket message

Sample = Callable[["Contestant", "Site"], float]
Work = Callable[[], Awaitable[None]]


def on_a_new_loop(take: Callable[[Contestant, Site], Coroutine[None, None, float]]) -> Sample:
    """Give each sample an event loop of its own, as tests have."""

    @wraps(take)
    def sample(contestant: Contestant, site: Site) -> float:
        return asyncio.run(take(contestant, site))

    return sample


async def steady(work: Work) -> float:
    """Return the seconds of CPU that a piece of work takes, once it is warm: the mean."""
    await work()
    gc.collect()  # what setting up has left behind is not the work's to pay
    count, began = 0, process_time()
    while True:
        await work()
        count += 1
        spent = process_time() - began
        if spent >= ENOUGH:
            return spent / count


async def once(work: Work) -> float:
    """Return the seconds of CPU that a long piece of work takes."""
    began = process_time()
    await work()
    return process_time() - began


async def ask(session: ClientSession, site: Site, origin: str, route: Route) -> None:
    """Send one request, and read its answer."""
    url, data = origin + route.path, site.sent or None
    async with session.request(site.method, url, data=data, headers=route.headers) as response:
        if site.chunks:
            got = sum([len(chunk) async for chunk in response.content.iter_any()])
        else:
            got = len(await response.read())
        assert (response.status, got) == (200, len(site.answer))


# Requests


@on_a_new_loop
async def one_request(contestant: Contestant, site: Site) -> float:
    """Measure one request of many, one after the other, in one session."""
    most = len(site.routes) - 1
    spread = [site.routes[most * step // (LAP - 1)] for step in range(LAP)]
    async with contestant.serve(site) as access, access.session() as session:

        async def lap() -> None:
            for route in spread:
                await ask(session, site, access.origin, route)

        return await steady(lap) / LAP


@on_a_new_loop
async def one_long_request(contestant: Contestant, site: Site) -> float:
    """Measure one request that takes long enough to be measured alone."""
    async with contestant.serve(site) as access, access.session() as session:
        return await once(lambda: ask(session, site, access.origin, site.routes[0]))


def at_once(count: int) -> Sample:
    """Measure one request of many at once, over a session with aiohttp's default limits."""

    @on_a_new_loop
    async def sample(contestant: Contestant, site: Site) -> float:
        async with contestant.serve(site) as access, access.session() as session:

            async def burst() -> None:
                requests = (ask(session, site, access.origin, site.routes[0]) for _ in range(count))
                await asyncio.gather(*requests)

            return await once(burst) / count

    return sample


def in_a_row(count: int) -> Sample:
    """Measure one request of so many, all of which are in the log at the end."""

    @on_a_new_loop
    async def sample(contestant: Contestant, site: Site) -> float:
        async with contestant.serve(site) as access, access.session() as session:

            async def row() -> None:
                for _ in range(count):
                    await ask(session, site, access.origin, site.routes[0])

            return await once(row) / count

    return sample


def bytes_kept(count: int) -> Sample:
    """Measure the memory that each of so many requests has left allocated, in bytes."""

    @on_a_new_loop
    async def sample(contestant: Contestant, site: Site) -> float:
        async with contestant.serve(site) as access, access.session() as session:
            await ask(session, site, access.origin, site.routes[0])
            gc.collect()
            tracemalloc.start()
            try:
                for _ in range(count):
                    await ask(session, site, access.origin, site.routes[0])
                gc.collect()
                return tracemalloc.get_traced_memory()[0] / count
            finally:
                tracemalloc.stop()

    return sample


# Whole tests


@on_a_new_loop
async def whole_test(contestant: Contestant, site: Site) -> float:
    """Measure a test: start, one route, a session, three requests, stop."""

    async def test() -> None:
        async with contestant.serve(site) as access, access.session() as session:
            for _ in range(3):
                await ask(session, site, access.origin, site.routes[0])

    return await steady(test)


async def retry(contestant: Contestant, site: Site) -> None:
    """Test a client that asks until the answer is no 503, and waits 1 s, then 2 s."""
    async with contestant.serve(site) as access, access.session() as session:
        for pause in (1, 2, None):
            async with session.get(access.origin + site.routes[0].path) as response:
                await response.read()
            if response.status != 503:
                break
            await asyncio.sleep(pause or 0)
        assert (response.status, pause) == (200, None)


def retry_in_real_time(contestant: Contestant, site: Site) -> float:
    """Measure the retry test with its sleeps, by the wall clock."""
    began = perf_counter()
    asyncio.run(retry(contestant, site))
    return perf_counter() - began


def retry_without_sleeping(contestant: Contestant, site: Site) -> float:
    """Measure the retry test with `asyncio.sleep` replaced by a mock, by the wall clock."""
    began = perf_counter()
    with patch("asyncio.sleep", AsyncMock()) as sleep:
        asyncio.run(retry(contestant, site))
    took = perf_counter() - began
    assert [one for one in sleep.await_args_list if one != call(0)] == [call(1), call(2)]
    return took


def retry_in_virtual_time(contestant: Contestant, site: Site) -> float:
    """Measure the retry test on a loop whose clock jumps, by the wall clock."""
    import looptime

    began = perf_counter()
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(retry(contestant, site))
        elapsed = runner.get_loop().time()
    took = perf_counter() - began
    assert 3 <= elapsed < 3.1
    return took


# WebSockets


@asynccontextmanager
async def connected(contestant: Contestant, site: Site) -> AsyncIterator[ClientWebSocketResponse]:
    """Start, and connect a WebSocket."""
    async with contestant.serve(site) as access, access.session() as session:
        url = access.origin + site.routes[0].path
        async with session.ws_connect(url) as ws:
            yield ws


async def echo(ws: ClientWebSocketResponse, count: int) -> None:
    """Send messages, and wait for each to come back."""
    for _ in range(count):
        await ws.send_str(TEXT)
        assert await ws.receive_str() == TEXT


@on_a_new_loop
async def one_message(contestant: Contestant, site: Site) -> float:
    """Measure one text message over a WebSocket, there and back."""
    async with connected(contestant, site) as ws:
        return await steady(lambda: echo(ws, LAP)) / LAP


@on_a_new_loop
async def whole_websocket_test(contestant: Contestant, site: Site) -> float:
    """Measure a test: start, one route, a session, connect, three messages, close, stop."""

    async def test() -> None:
        async with connected(contestant, site) as ws:
            await echo(ws, 3)

    return await steady(test)


# Processes of their own

CLOCK = "from time import process_time as now; began = now(); "


def first_import(contestant: Contestant, _site: Site) -> float:
    """Measure how long a new process takes to import aiohttp and the contestant."""
    return seconds_said(f"{CLOCK}import aiohttp; {contestant.imports}; print(now() - began)")


def pytest_run(count: int) -> Sample:
    """Measure a run of pytest with so many tests that do nothing, with a plugin or with none."""

    def sample(contestant: Contestant, _site: Site) -> float:
        plugins = ["no:cacheprovider", *filter(None, [contestant.plugin])]
        with tempfile.TemporaryDirectory() as home:
            file = Path(home, "test_nothing.py")
            tests = (f"def test_{number}(): pass\n" for number in range(count))
            file.write_text("".join(tests), encoding="utf-8")
            chosen = [argument for plugin in plugins for argument in ("-p", plugin)]
            arguments = ["-q", "--disable-plugin-autoload", f"--rootdir={home}", *chosen, str(file)]
            return seconds_said(
                f"{CLOCK}import pytest; assert not pytest.main({arguments}); print(now() - began)"
            )

    return sample


def seconds_said(code: str) -> float:
    """Run code in a new interpreter, and return the number in the last line that it prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - code of our own
    return float(done.stdout.splitlines()[-1])
