"""python-socketio's client meets its own server, mounted on a stub."""

import asyncio
import contextlib

import pytest
import socketio
from aiohttp import web

from aiostub import ANY, faults

ORIGIN = "https://chat.example.com"

pytestmark = pytest.mark.looptime


class Chat:
    """A server that hands on what is said, and lets in who has a name."""

    def __init__(self):
        self.server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=25, ping_timeout=20)
        self.app = web.Application()
        self.server.attach(self.app)
        self.app.on_shutdown.append(self.stop)
        self.left = []
        self.server.on("connect", self.connect)
        self.server.on("say", self.say)
        self.server.on("disconnect", self.disconnect)

    async def connect(self, sid, environ, auth):
        if "name" not in auth:
            raise socketio.exceptions.ConnectionRefusedError("who is there?")
        await self.server.save_session(sid, auth)

    async def say(self, sid, text):
        name = (await self.server.get_session(sid))["name"]
        await self.server.emit("said", {"name": name, "text": text}, skip_sid=sid)
        return len(text)

    async def disconnect(self, sid, reason):
        self.left.append(reason)

    async def stop(self, app):
        await self.server.shutdown()


@pytest.fixture
async def chat(aiostub):
    """Mount the server."""
    chat = Chat()
    aiostub.mount(ORIGIN, chat.app)
    return chat


class Guest(socketio.AsyncClient):
    """Keep what others say."""

    def __init__(self):
        super().__init__(reconnection_delay=1, randomization_factor=0)
        self.heard = asyncio.Queue()
        self.on("said", self.heard.put_nowait)


@contextlib.asynccontextmanager
async def guests(*names, **kwargs):
    """Let guests with these names in."""
    guests = [Guest() for _ in names]
    for guest, name in zip(guests, names, strict=True):
        await guest.connect(ORIGIN, auth={"name": name}, **kwargs)
    yield guests
    for guest in guests:
        await guest.disconnect()
    await asyncio.sleep(60)  # until the server has seen it


@pytest.mark.parametrize(
    "transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="+".join
)
async def test_what_one_says_is_heard_by_the_other(chat, aiostub, transports):
    """It is so by polling, over a WebSocket, and by the one that becomes the other."""
    async with guests("ada", "bob", transports=transports) as (ada, bob):
        assert await ada.call("say", "on engines") == 10
        assert await bob.heard.get() == {"name": "ada", "text": "on engines"}
        await asyncio.sleep(310)
        assert ada.connected

    sockets = [call for call in aiostub.calls if call.status == 101]
    assert len(sockets) == (2 if "websocket" in transports else 0)
    assert all(call.frames for call in sockets)
    assert len(chat.left) == 2


async def test_a_guest_without_a_name_is_not_let_in(chat, aiostub):
    """The server says why."""
    guest, reasons = Guest(), []
    guest.on("connect_error", reasons.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await guest.connect(ORIGIN, auth={"colour": "grey"})

    assert reasons == [{"message": "who is there?"}]


async def test_a_connection_that_is_lost_comes_back(chat, aiostub):
    """What is in front of the mount fails first; the pauses double."""
    async with guests("ada", transports=["websocket"]) as (ada,):
        down = aiostub.any(f"{ORIGIN}/socket.io/", params=ANY, first=True)
        down.fail(faults.refused()).times(2)
        await ada.eio.ws.close()
        await down.wait_called(2, timeout=60)
        await asyncio.sleep(10)
        assert await ada.call("say", "again") == 5

    assert aiostub.calls.gaps == pytest.approx([1, 2, 4], abs=0.1)
