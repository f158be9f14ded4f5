"""Applications and WebSockets: cancelled at each await, stopped at every moment."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import ClientSession, WSMsgType, web

import aiostub
from aiostub import StubStateError

pytestmark = pytest.mark.usefixtures("aftermath")

SITE = "http://api.example.com"
MOMENTS = range(36)
ENDS = (
    StubStateError,
    aiohttp.ClientError,
    asyncio.CancelledError,
    ConnectionError,
    RuntimeError,
    TypeError,  # receive_str() of the end
)


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


async def pieces():
    """An upload in pieces."""
    for _ in range(3):
        yield b"piece"
        await asyncio.sleep(0)


class Site:
    """An application that does a little of everything, and counts what it begins and ends."""

    def __init__(self):
        self.begun = self.ended = 0
        self.app = web.Application()
        self.app.cleanup_ctx.append(self.live)
        self.app.router.add_route("*", "/http", self.answer)
        self.app.router.add_get("/ws", self.talk)

    async def live(self, _app):
        """Take a while to start and to end."""
        self.begun += 1
        try:
            await turns(2)
            yield
            await turns(2)
        finally:
            self.ended += 1

    async def answer(self, request):
        """Read and stream."""
        self.begun += 1
        try:
            await request.read()
            response = web.StreamResponse()
            await response.prepare(request)
            for _ in range(3):
                await response.write(b"piece")
                await asyncio.sleep(0)
            return response
        finally:
            self.ended += 1

    async def talk(self, request):
        """Talk."""
        self.begun += 1
        try:
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    await ws.send_str(message.data)
            return ws
        finally:
            self.ended += 1


async def upload(session):
    """Send in pieces, read in pieces."""
    async with session.post(f"{SITE}/http", data=pieces()) as response:
        return await response.read()


async def fetch(session):
    """Ask and read."""
    async with session.get(f"{SITE}/http") as response:
        return await response.read()


async def talk(session):
    """Talk, and leave politely."""
    async with session.ws_connect(f"{SITE}/ws") as ws:
        for n in range(3):
            await ws.send_str(str(n))
            assert await ws.receive_str() == str(n)


each_client = pytest.mark.parametrize("client", [upload, fetch, talk])


async def cancelled(client, moment):
    """Cancel a client at one moment."""
    site = Site()
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.mount(SITE, site.app)
            task = asyncio.create_task(client(session))
            await turns(moment)
            task.cancel()
            await asyncio.wait([task], timeout=1)
            assert task.done(), moment
            await asyncio.wait_for(fetch(session), 1)
            await asyncio.wait_for(talk(session), 1)
    assert site.begun == site.ended, moment


@each_client
async def test_a_client_that_is_cancelled_anywhere_leaves_nothing(client):
    """And the next one is served as if it had not been."""
    for moment in MOMENTS:
        await cancelled(client, moment)


async def stopped(client, moment, *, sync):
    """Stop a stub at one moment."""
    site, stub = Site(), aiostub.Stub(strict=False)
    stub.mount(SITE, site.app)
    stub.start()
    async with ClientSession() as session:
        task = asyncio.create_task(client(session))
        await turns(moment)
        if sync:
            stub.stop()
        else:
            await stub.__aexit__(None, None, None)
        await asyncio.wait([task], timeout=1)
        assert task.done(), moment
        if not task.cancelled() and task.exception() is not None:
            assert isinstance(task.exception(), ENDS), (moment, task.exception())
    await turns()
    assert site.begun == site.ended, moment


@each_client
@pytest.mark.parametrize("sync", [False, True])
async def test_a_stub_that_stops_anywhere_ends_its_clients(client, sync):
    """Nobody hangs, the application is cleaned up, its handlers have ended."""
    for moment in MOMENTS:
        await stopped(client, moment, sync=sync)


async def closed(client, moment):
    """Close a session at one moment."""
    site = Site()
    async with aiostub.Stub(strict=False) as stub:
        stub.mount(SITE, site.app)
        session = ClientSession()
        task = asyncio.create_task(client(session))
        await turns(moment)
        await session.close()
        await asyncio.wait([task], timeout=0.01)
        task.cancel()
        # aiohttp itself stumbles over a session that closes while it opens a WebSocket.
        with contextlib.suppress(*ENDS, AttributeError, AssertionError):
            await task
        async with ClientSession() as another:
            await asyncio.wait_for(talk(another), 1)
    assert site.begun == site.ended, moment


@each_client
async def test_a_session_that_closes_anywhere_leaves_nothing(client):
    """The stub goes on, and so does the application."""
    for moment in MOMENTS:
        await closed(client, moment)


async def left(moment):
    """Leave a talk at one moment."""
    begun, ended = [], []

    async def listen(ws):
        begun.append(ws)
        try:
            await ws.send_str("hello")
            async for _ in ws:
                await ws.ping()
        finally:
            ended.append(ws)

    async def client():
        async with session.ws_connect(f"{SITE}/feed") as ws:
            await ws.receive()
            await ws.send_str("x")
            await ws.receive()

    async with ClientSession() as session:
        async with aiostub.Stub(strict=False) as stub:
            stub.ws(f"{SITE}/feed").handle(listen).always()
            task = asyncio.create_task(client())
            await turns(moment)
            task.cancel()
            await asyncio.wait([task], timeout=1)
            assert task.done(), moment
    assert len(begun) == len(ended), moment


async def test_a_talk_that_is_left_anywhere_ends():
    """However far the client has come when its task is cancelled."""
    for moment in MOMENTS:
        await left(moment)
