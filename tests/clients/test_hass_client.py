"""The client of Home Assistant's WebSocket API meets a stub as it meets a home."""

import asyncio
from collections import defaultdict

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from hass_client import HomeAssistantClient
from hass_client.exceptions import (
    AuthenticationFailed,
    CannotConnect,
    ConnectionFailed,
    ConnectionFailedDueToLargeMessage,
    FailedCommand,
    NotConnected,
)

from aiostub import faults

HOME = "https://home.example.com:8123"
URL = "wss://home.example.com:8123/api/websocket"

pytestmark = pytest.mark.looptime


class Home:
    """A home with a lamp in it, as an application: WebSocket and REST over one state."""

    def __init__(self):
        self.states = {"light.desk": "off"}
        self.subscribers = defaultdict(set)
        self.app = web.Application()
        self.app.add_routes([web.get("/api/websocket", self.talk)])
        self.app.add_routes([web.post("/api/states/{entity}", self.put)])

    async def put(self, request):
        """Set a state, and tell everybody who wants to know."""
        entity = request.match_info["entity"]
        self.states[entity] = (await request.json())["state"]
        event = {"event_type": "state_changed", "data": {"entity_id": entity}}
        for ws, ids in self.subscribers.items():
            for id in ids:
                await ws.send_json({"id": id, "type": "event", "event": event})
        return web.json_response({"state": self.states[entity]})

    async def talk(self, request):
        """Let those in who know the token, and do what they say."""
        ws = web.WebSocketResponse(heartbeat=30)
        await ws.prepare(request)
        await ws.send_json({"type": "auth_required", "ha_version": "2026.1"})
        if (await ws.receive_json())["access_token"] != "token":
            await ws.send_json({"type": "auth_invalid", "message": "Invalid access token"})
            return ws
        await ws.send_json({"type": "auth_ok", "ha_version": "2026.1"})
        async for message in ws:
            await self.do(ws, message.json())
        self.subscribers.pop(ws, None)
        return ws

    async def do(self, ws, command):
        """Carry a command out."""
        answer = {"id": command["id"], "type": "result", "success": True, "result": None}
        match command["type"]:
            case "get_states":
                answer["result"] = [{"entity_id": k, "state": v} for k, v in self.states.items()]
            case "subscribe_events":
                self.subscribers[ws].add(command["id"])
            case "unsubscribe_events":
                self.subscribers[ws].discard(command["subscription"])
            case name:
                answer |= {"success": False, "error": {"message": f"Unknown command {name}"}}
        await ws.send_json(answer)


@pytest.fixture
async def home(aiostub):
    """Mount a home."""
    home = Home()
    aiostub.mount(HOME, home.app)
    return home


async def test_an_event_follows_from_a_request_of_another_client(home, aiostub):
    """One application answers both, in one process and one event loop."""
    events = asyncio.Queue()

    async with HomeAssistantClient(URL, "token") as client, aiohttp.ClientSession() as session:
        unsubscribe = await client.subscribe_events(events.put_nowait)
        await session.post(f"{HOME}/api/states/light.desk", json={"state": "on"})
        event = await events.get()
        states = await client.get_states()
        unsubscribe()
        await client.get_states()

    assert client.version == "2026.1"
    assert event["data"] == {"entity_id": "light.desk"}
    assert states == [{"entity_id": "light.desk", "state": "on"}]
    assert not any(home.subscribers.values())
    assert [call.status for call in aiostub.calls] == [101, 200]


async def test_an_error_is_one_of_the_command(home, aiostub):
    """The connection goes on."""
    async with HomeAssistantClient(URL, "token") as client:
        with pytest.raises(FailedCommand, match="Unknown command get_services"):
            await client.get_services()
        assert await client.get_states()


async def test_a_wrong_token_is_an_error(home, aiostub):
    """The home closes the connection."""
    client = HomeAssistantClient(URL, "wrong")
    with pytest.raises(AuthenticationFailed, match="Invalid access token"):
        await client.connect()
    await client.disconnect()


async def test_a_quiet_hour_is_filled_with_pings(home, aiostub):
    """The heartbeat of the home keeps that of the client quiet, and nobody gives up."""
    async with HomeAssistantClient(URL, "token") as client:
        await asyncio.sleep(3610)
        assert client.connected

    frames = aiostub.calls.last.frames
    assert [
        sum(frame.type is kind and frame.direction == direction for frame in frames)
        for kind, direction in ((WSMsgType.PING, "received"), (WSMsgType.PONG, "sent"))
    ] == [120, 120]


async def authenticated(ws):
    """Let anybody in."""
    await ws.send_json({"type": "auth_required", "ha_version": "2026.1"})
    await ws.receive_json()
    await ws.send_json({"type": "auth_ok", "ha_version": "2026.1"})


async def test_a_home_that_falls_silent_is_given_up(aiostub):
    """The client's heartbeat is not answered, and the commands under way are cancelled."""

    async def talk(ws):
        await authenticated(ws)
        await asyncio.sleep(3600)

    aiostub.ws(URL).handle(talk)
    client = HomeAssistantClient(URL, "token")
    await client.connect()
    began = asyncio.get_running_loop().time()
    listening = asyncio.create_task(client.start_listening())
    waiting = asyncio.create_task(client.get_states())

    with pytest.raises(ConnectionFailed):
        await listening
    assert asyncio.get_running_loop().time() - began == pytest.approx(55 * 1.5, abs=1)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await client.disconnect()


async def test_a_state_that_is_too_large_is_an_error_with_its_code(aiostub):
    """The client closes the connection with 1009."""

    async def talk(ws):
        await authenticated(ws)
        await ws.send_json({"type": "event", "id": 1, "event": "x" * 2000})
        await ws.receive()

    route = aiostub.ws(URL).handle(talk)
    client = HomeAssistantClient(URL, "token", max_msg_size=1000)

    with pytest.raises(ConnectionFailedDueToLargeMessage):
        await client.start_listening()

    closing = [f for f in route.calls.last.frames if f.type is WSMsgType.CLOSE]
    assert (closing[0].direction, closing[0].data) == ("sent", 1009)
    await client.disconnect()


@pytest.mark.parametrize("fail", [faults.refused(), faults.certificate(), faults.disconnect()])
async def test_a_home_that_cannot_be_reached_is_an_error(aiostub, fail):
    """The next attempt gets through."""
    aiostub.ws(URL).fail(fail).then.handle(authenticated)
    client = HomeAssistantClient(URL, "token")

    with pytest.raises(CannotConnect):
        await client.connect()
    await client.start_listening()

    with pytest.raises(NotConnected):
        await client.get_states()
    await client.disconnect()
