"""A client call driven step by step, and cancelled at each of its awaits."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import ClientSession, TCPConnector
from real_server import real_server

import aiostub
from aiostub import faults

pytestmark = pytest.mark.usefixtures("aftermath")

SITE = "http://api.example.com"
OLD = aiohttp.__version__.startswith("3.9.")


class Driver:
    """Await a coroutine, and throw something into it at its nth await instead of going on."""

    def __init__(self, coroutine, nth, error):
        self._coroutine = coroutine
        self._nth = nth
        self._error = error
        self.reached = False

    def __await__(self):
        inner = self._coroutine.__await__()
        throw = None
        for step in range(10_000):
            try:
                awaited = inner.send(None) if throw is None else inner.throw(throw)
            except StopIteration as end:
                return end.value
            throw = None
            if step == self._nth:
                self.reached = True
                if awaited is not None:
                    awaited._asyncio_future_blocking = False
                    if not isinstance(awaited, asyncio.Task):
                        awaited.cancel()  # as a task does with what it waits for
                throw = self._error()
                continue
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - handed on to where it belongs
                throw = error
        raise AssertionError("it never ends")


async def fetch(session, path="/", method="GET", **kwargs):
    """Ask, and read the answer."""
    async with session.request(method, SITE + path, **kwargs) as response:
        return await response.read()


async def pieces():
    """A body in pieces."""
    for piece in (b"a", b"b", b"c"):
        yield piece
        await asyncio.sleep(0)


async def slow_handler(request):
    """Answer after a few turns of the loop."""
    for _ in range(3):
        await asyncio.sleep(0)
    return "x"


async def decline(request):
    """Leave the answer to the next route."""
    await asyncio.sleep(0)


def each(route):
    """Serve without end, and miss nothing."""
    return route.always().optional()


CASES = {
    "reply": lambda s: each(s.get(SITE + "/").reply(text="x")),
    "delay": lambda s: each(s.get(SITE + "/").reply(text="x", delay=0.0001)),
    "stream": lambda s: each(s.get(SITE + "/").reply(stream=pieces)),
    "handler": lambda s: each(s.get(SITE + "/").handle(slow_handler)),
    "declines": lambda s: (
        each(s.get(SITE + "/").handle(decline)),
        each(s.get(SITE + "/").reply(text="x")),
    ),
    "redirect": lambda s: (
        each(s.get(SITE + "/").reply(302, headers={"Location": "/2"})),
        each(s.get(SITE + "/2").reply(text="x")),
    ),
    "upload": lambda s: each(s.post(SITE + "/").reply(text="x")),
    "upload_matched": lambda s: each(s.post(SITE + "/", data=b"abc").reply(text="x")),
    "upload_early": lambda s: each(s.post(SITE + "/").reply(text="x", early=True)),
    "expecting": lambda s: each(s.post(SITE + "/").reply(text="x")),
    "disconnect": lambda s: each(s.get(SITE + "/").fail(aiohttp.ServerDisconnectedError)),
    "refused": lambda s: each(s.get(SITE + "/").fail(faults.refused(), delay=0.0001)),
    "raises": lambda s: each(s.get(SITE + "/").fail(ZeroDivisionError)),
    "timeout": lambda s: each(s.get(SITE + "/").timeout()),
    "connect_timeout": lambda s: each(s.get(SITE + "/").timeout("connect")),
    "garbage": lambda s: each(s.get(SITE + "/").fail(faults.garbage())),
    "truncated": lambda s: each(s.get(SITE + "/").fail(faults.truncated())),
}
KWARGS = {
    "upload": {"method": "POST", "data": pieces},
    "upload_matched": {"method": "POST", "data": pieces},
    "upload_early": {"method": "POST", "data": pieces},
    "expecting": {"method": "POST", "data": lambda: b"abc", "expect100": True},
}
ENDS = (aiohttp.ClientError, asyncio.TimeoutError, ZeroDivisionError)


class Interrupted(Exception):  # noqa: N818 - as asyncio names its own
    """What some libraries throw into a coroutine instead of cancelling it."""


@pytest.mark.parametrize("error", [asyncio.CancelledError, Interrupted])
@pytest.mark.parametrize("case", CASES)
async def test_a_call_may_be_broken_off_at_each_of_its_awaits(case, error):
    """Its place is free afterwards, nothing is in flight, and the next call is answered."""
    timeout = aiohttp.ClientTimeout(total=5, connect=5)
    async with aiostub.Stub(strict=False) as stub:
        CASES[case](stub)
        stub.get(SITE + "/next").reply(text="next").always()
        connector = TCPConnector(limit=1)
        async with ClientSession(connector=connector, timeout=timeout) as session:
            for nth in range(200):
                kwargs = dict(KWARGS.get(case, {}))
                if "data" in kwargs:
                    kwargs["data"] = kwargs["data"]()
                driver = Driver(fetch(session, **kwargs), nth, error)
                with contextlib.suppress(error, *ENDS):
                    await driver
                if not driver.reached:
                    break
                for _ in range(12):
                    await asyncio.sleep(0)
                assert not connector._acquired, nth
                assert set() == stub._registry.in_flight, nth
                assert b"next" == await asyncio.wait_for(fetch(session, "/next"), 1), nth
            else:
                raise AssertionError("the call never came to its end")
    assert [] == [call for call in stub.calls if call._ended is None]


@pytest.mark.parametrize("decided_by", ["url", "body"])
async def test_a_call_on_its_way_to_a_real_server_may_be_cancelled_at_every_turn(decided_by):
    """Neither the real connection nor ours is left open."""
    async with real_server() as server:
        condition = {"data": b"abc"} if decided_by == "body" else {}
        async with aiostub.Stub(strict=False) as stub:
            stub.post(server.url, **condition).passthrough().always()
            connector = TCPConnector(limit=1)
            async with ClientSession(connector=connector) as session:

                async def ask():
                    async with session.post(server.url, data=pieces()) as response:
                        return await response.text()

                for moment in range(60):
                    task = asyncio.create_task(ask())
                    for _ in range(moment):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    for _ in range(12):
                        await asyncio.sleep(0)
                    assert not connector._acquired, moment
                    assert set() == stub._registry.in_flight, moment
                assert "real" == await asyncio.wait_for(ask(), 2)
