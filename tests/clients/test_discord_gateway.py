"""discord.py's gateway client meets a stub as it meets Discord's gateway."""

import asyncio
import contextlib
import json
import warnings
import zlib

import pytest

from aiostub import ANY, faults

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # audioop, of CPython's
    import discord

API = "https://discord.com/api/v10"
GATEWAY = "wss://gateway.discord.gg/"
RESUME_AT = "wss://us-east.discord.gg"
ADA = {"id": "1", "username": "ada", "discriminator": "0", "avatar": None, "bot": True}
DISPATCH, HEARTBEAT, IDENTIFY, RESUME, INVALID, HELLO, ACK = 0, 1, 2, 6, 9, 10, 11

pytestmark = pytest.mark.looptime


class Gateway:
    """Talk as Discord does: JSON, all of one connection in one zlib stream."""

    def __init__(self, ws):
        self._ws = ws
        self._deflate = zlib.compressobj()

    async def send(self, op, data=None, **more):
        """Send a payload in a binary message of its own."""
        payload = json.dumps({"op": op, "d": data, **more}).encode()
        deflated = self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._ws.send_bytes(deflated)

    async def greet(self):
        """Say hello, answer the first heartbeat, and return what the client wants."""
        await self.send(HELLO, {"heartbeat_interval": 45_000})
        assert (await self._ws.receive_json())["op"] == HEARTBEAT
        await self.send(ACK)
        return await self._ws.receive_json()

    async def be_ready(self):
        """Take an identity, and say who that is."""
        wanted = await self.greet()
        assert (wanted["op"], wanted["d"]["token"]) == (IDENTIFY, "token")
        ready = {"session_id": "s", "resume_gateway_url": RESUME_AT, "user": ADA, "guilds": []}
        await self.send(DISPATCH, ready, t="READY", s=1)

    async def write(self, number):
        """Let somebody write to the bot."""
        await self.send(DISPATCH, message(number), t="MESSAGE_CREATE", s=number)


def message(number):
    """Describe a message as Discord does."""
    return {
        "id": str(number),
        "channel_id": "7",
        "channel_type": 1,
        "author": ADA | {"id": "9", "bot": False},
        "content": f"Hello {number}",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        **dict.fromkeys(("tts", "mention_everyone", "pinned"), False),
        **{name: [] for name in ("mentions", "mention_roles", "attachments", "embeds")},
        "type": 0,
    }


class Bot(discord.Client):
    """Remember what is heard."""

    def __init__(self):
        super().__init__(intents=discord.Intents(dm_messages=True))
        self.heard = asyncio.Queue()

    async def on_message(self, message):
        self.heard.put_nowait(message.content)


@pytest.fixture
async def bot(aiostub):
    """Make a client that has logged in and connects."""
    aiostub.get(f"{API}/users/@me").reply(json=ADA)
    application = {"id": "2", "name": "n", "description": "", "icon": None, "verify_key": ""}
    application |= {"bot_public": False, "bot_require_code_grant": False, "owner": ADA, "flags": 0}
    aiostub.get(f"{API}/oauth2/applications/@me").reply(json=application)
    async with Bot() as bot:
        await bot.login("token")
        yield bot


@contextlib.asynccontextmanager
async def connected(bot):
    """Let the client connect, in the background."""
    connecting = asyncio.create_task(bot.connect())
    yield
    await bot.close()
    await connecting


async def test_messages_are_heard(bot, aiostub):
    """They are compressed, and many to one stream."""

    async def talk(ws):
        gateway = Gateway(ws)
        await gateway.be_ready()
        await gateway.write(2)
        await gateway.write(3)
        await ws.receive()

    socket = aiostub.ws(GATEWAY, params={"v": "10", "encoding": "json", "compress": ANY})
    socket.handle(talk)

    async with connected(bot):
        assert [await bot.heard.get() for _ in range(2)] == ["Hello 2", "Hello 3"]

    assert json.loads(socket.calls.last.frames.sent[1])["d"]["intents"] == 1 << 12
    assert socket.calls.last.frames[-1].data == 1000


@pytest.mark.parametrize("end", ["reset", "close", "silence"])
async def test_a_session_that_is_cut_off_is_resumed(bot, aiostub, end):
    """It is so where Discord said, with the number of the last event."""

    async def talk_and_end(ws):
        gateway = Gateway(ws)
        await gateway.be_ready()
        await gateway.write(2)
        if end == "reset":
            raise faults.reset()
        if end == "close":
            await ws.close(code=4009)
        async for _ in ws:  # the client gives a silent gateway up, in virtual time
            pass

    async def resume(ws):
        gateway = Gateway(ws)
        wanted = await gateway.greet()
        assert wanted == {"op": RESUME, "d": {"seq": 2, "session_id": "s", "token": "token"}}
        await gateway.write(3)
        await ws.receive()

    first = aiostub.ws(GATEWAY, params=ANY).handle(talk_and_end)
    second = aiostub.ws(RESUME_AT, params=ANY).handle(resume)

    async with connected(bot):
        assert [await bot.heard.get() for _ in range(2)] == ["Hello 2", "Hello 3"]

    waited = second.calls.last.started - first.calls.last.started
    assert waited == pytest.approx(60 if end == "silence" else 0, abs=5)


async def test_a_session_that_is_invalid_is_begun_anew(bot, aiostub):
    """The client identifies itself again, at the first address."""

    async def invalidate(ws):
        gateway = Gateway(ws)
        await gateway.greet()
        await gateway.send(INVALID, data=False)
        await ws.receive()

    async def talk(ws):
        gateway = Gateway(ws)
        await gateway.be_ready()
        await gateway.write(2)
        await ws.receive()

    socket = aiostub.ws(GATEWAY, params=ANY).handle(invalidate).then.handle(talk)

    async with connected(bot):
        assert await bot.heard.get() == "Hello 2"

    assert socket.call_count == 2


async def test_a_code_that_cannot_be_mended_is_an_error(bot, aiostub):
    """The client does not come back with a token that Discord refuses."""

    async def refuse(ws):
        await Gateway(ws).greet()
        await ws.close(code=4004, message=b"Authentication failed.")

    socket = aiostub.ws(GATEWAY, params=ANY).handle(refuse)

    with pytest.raises(discord.ConnectionClosed) as caught:
        await bot.connect()

    assert (caught.value.code, socket.call_count) == (4004, 1)
