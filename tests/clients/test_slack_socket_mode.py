"""slack-sdk's Socket Mode client meets a stub as it meets Slack."""

import asyncio
import contextlib
import json

import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from aiostub import faults

OPEN = "https://slack.com/api/apps.connections.open"
SOCKET = "wss://wss-primary.slack.com/link/?ticket={}"

pytestmark = pytest.mark.looptime


def envelope(number):
    """Wrap an event as Slack does."""
    return {
        "type": "events_api",
        "envelope_id": f"e{number}",
        "payload": {"event": {"type": "app_mention", "text": f"Hello {number}"}},
        "accepts_response_payload": False,
    }


async def greet(ws, number, then="wait"):
    """Send an event, and what is told to end the connection; return the acknowledgement."""
    await ws.send_json({"type": "hello", "num_connections": 1})
    await ws.send_json(envelope(number))
    acknowledged = json.loads(await ws.receive_str())
    assert acknowledged == {"envelope_id": f"e{number}"}
    return acknowledged


@pytest.fixture
async def slack(aiostub):
    """Make a client that acknowledges what it gets, and keeps it."""
    client = SocketModeClient(app_token="xapp-1", ping_interval=5)
    client.texts = asyncio.Queue()

    async def acknowledge(client, request):
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        client.texts.put_nowait(request.payload["event"]["text"])

    client.socket_mode_request_listeners.append(acknowledge)
    yield client
    await client.close()
    for task in (client.message_processor, client.message_receiver, client.current_session_monitor):
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def tickets(aiostub):
    """Let Slack say where each socket is; a ticket is good for one."""
    numbers = iter("123456789")

    def ticket(request):
        return {"ok": True, "url": SOCKET.format(next(numbers))}

    return aiostub.post(OPEN, headers={"Authorization": "Bearer xapp-1"}).handle(ticket).always()


async def test_each_event_is_acknowledged(slack, tickets, aiostub):
    """The id of the envelope goes back over the socket, in a message of text."""

    async def talk(ws):
        await greet(ws, 1)
        await ws.receive()

    socket = aiostub.ws(SOCKET.format(1)).handle(talk)
    await slack.connect()

    assert await slack.texts.get() == "Hello 1"
    assert socket.calls.last.frames.sent == [json.dumps({"envelope_id": "e1"})]


async def test_a_new_socket_is_opened_when_slack_says_so(slack, tickets, aiostub):
    """It has a ticket of its own, and the old one is closed by the client."""
    closed = asyncio.get_running_loop().create_future()

    async def talk_and_send_away(ws):
        await greet(ws, 1)
        await ws.send_json({"type": "disconnect", "reason": "refresh_requested"})
        closed.set_result([message async for message in ws])

    async def talk(ws):
        await greet(ws, 2)
        await ws.receive()

    first = aiostub.ws(SOCKET.format(1)).handle(talk_and_send_away)
    second = aiostub.ws(SOCKET.format(2)).handle(talk)
    await slack.connect()

    assert [await slack.texts.get(), await slack.texts.get()] == ["Hello 1", "Hello 2"]
    assert await closed == []
    assert tickets.call_count == 2
    assert [first.call_count, second.call_count] == [1, 1]


async def test_a_connection_that_is_lost_is_opened_anew(slack, tickets, aiostub):
    """The client's monitor finds out, in virtual time."""

    async def talk_and_fall(ws):
        await greet(ws, 1)
        raise faults.reset()

    async def talk(ws):
        await greet(ws, 2)
        await ws.receive()

    aiostub.ws(SOCKET.format(1)).handle(talk_and_fall)
    second = aiostub.ws(SOCKET.format(2)).handle(talk)
    await slack.connect()

    assert [await slack.texts.get(), await slack.texts.get()] == ["Hello 1", "Hello 2"]
    assert second.calls.first.started - tickets.calls.first.started == pytest.approx(5, abs=0.1)


async def test_a_socket_that_cannot_be_opened_is_tried_again(slack, tickets, aiostub):
    """It is so with the same ticket; the pause is the ping interval."""

    async def talk(ws):
        await greet(ws, 1)
        await ws.receive()

    socket = aiostub.ws(SOCKET.format(1)).reply(503).then.fail(faults.refused()).then.handle(talk)
    await slack.connect()

    assert await slack.texts.get() == "Hello 1"
    assert socket.calls.gaps == pytest.approx([5, 5])
    assert tickets.call_count == 1
