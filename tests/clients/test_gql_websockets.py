"""gql's WebSocket transport meets a stub as it meets a GraphQL server with subscriptions."""

import json

import aiohttp
import pytest
from aiohttp import WSMsgType
from gql import Client, gql
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportQueryError,
    TransportServerError,
)

URL = "wss://api.example.com/graphql"
NEW_PROTOCOL, OLD_PROTOCOL = "graphql-transport-ws", "graphql-ws"
COUNTDOWN = gql("subscription { countdown { left } }")

pytestmark = pytest.mark.looptime


async def welcome(ws):
    """Acknowledge the client, and return the id of what it asks."""
    assert (await ws.receive_json())["type"] == "connection_init"
    await ws.send_json({"type": "connection_ack"})
    asked = await ws.receive_json()
    return asked["id"]


async def count_down(ws):
    """Count down, and say that that is all."""
    id = await welcome(ws)
    for left in (2, 1, 0):
        await ws.send_json({"id": id, "type": "next", "payload": {"data": {"countdown": left}}})
    await ws.send_json({"id": id, "type": "complete"})
    await ws.receive()


async def counted(**kwargs):
    """Subscribe, and return what comes."""
    async with Client(transport=AIOHTTPWebsocketsTransport(URL, **kwargs)) as session:
        return [each["countdown"] async for each in session.subscribe(COUNTDOWN)]


async def test_a_subscription_ends_when_the_server_says_so(aiostub):
    """Each message is an item; the sub-protocol is the one that both know."""
    route = aiostub.ws(URL, protocols=[NEW_PROTOCOL]).handle(count_down)

    assert await counted() == [2, 1, 0]

    request = route.calls.last.request
    assert request.headers["Sec-WebSocket-Protocol"] == f"{OLD_PROTOCOL},{NEW_PROTOCOL}"
    assert route.calls.last.response.headers["Sec-WebSocket-Protocol"] == NEW_PROTOCOL
    assert [frame.data for frame in route.calls.last.frames][-1] == 1000


async def test_messages_may_be_compressed(aiostub):
    """Both ends agree on it, and the log shows what was meant."""
    route = aiostub.ws(URL, protocols=[NEW_PROTOCOL]).handle(count_down)

    assert await counted(connect_args={"compress": 15}) == [2, 1, 0]

    agreed = route.calls.last.response.headers["Sec-WebSocket-Extensions"]
    assert agreed.startswith("permessage-deflate")
    assert json.loads(route.calls.last.frames.received[1])["payload"]["data"] == {"countdown": 2}


async def test_the_older_protocol_speaks_another_language(aiostub):
    """The client does as the server chose: "start" and "data", not "subscribe" and "next"."""

    async def count_down_of_old(ws):
        assert ws.ws_protocol == OLD_PROTOCOL
        id = await welcome(ws)
        await ws.send_json({"id": id, "type": "data", "payload": {"data": {"countdown": 0}}})
        await ws.send_json({"id": id, "type": "complete"})
        await ws.receive()

    route = aiostub.ws(URL, protocols=[OLD_PROTOCOL]).handle(count_down_of_old)

    assert await counted() == [0]
    assert '"type": "start"' in route.calls.last.frames.sent[1]


async def test_the_client_answers_pings_of_the_protocol(aiostub):
    """They are messages, not control frames."""

    async def ping_first(ws):
        id = await welcome(ws)
        await ws.send_json({"type": "ping", "payload": {"at": 1}})
        assert await ws.receive_json() == {"type": "pong"}
        await ws.send_json({"id": id, "type": "complete"})
        await ws.receive()

    aiostub.ws(URL, protocols=[NEW_PROTOCOL]).handle(ping_first)

    assert await counted() == []


async def test_a_silent_server_is_given_up(aiostub):
    """The client's own keep-alive ends it, in virtual time."""

    async def say_nothing(ws):
        await welcome(ws)
        async for _ in ws:
            pass

    route = aiostub.ws(URL, protocols=[NEW_PROTOCOL]).handle(say_nothing)

    with pytest.raises(TransportServerError, match="No keep-alive"):
        await counted(keep_alive_timeout=40)

    assert route.calls.last.frames[-1].at - route.calls.last.started >= 40


async def test_an_error_of_the_query_is_one_of_the_client(aiostub):
    """It ends the subscription, and not the connection."""

    async def refuse(ws):
        id = await welcome(ws)
        await ws.send_json({"id": id, "type": "error", "payload": [{"message": "No such field"}]})
        await ws.receive()

    aiostub.ws(URL, protocols=[NEW_PROTOCOL]).handle(refuse)

    with pytest.raises(TransportQueryError, match="No such field"):
        await counted()


async def test_a_server_that_closes_is_an_error(aiostub):
    """The log has its code and its reason."""

    async def close(ws):
        await welcome(ws)
        await ws.close(code=4400, message=b"out of order")

    route = aiostub.ws(URL, protocols=[NEW_PROTOCOL]).handle(close)

    with pytest.raises(TransportConnectionFailed):
        await counted()

    closed = [frame for frame in route.calls.last.frames if frame.type is WSMsgType.CLOSE]
    assert (closed[0].direction, closed[0].data, closed[0].extra) == (
        "received",
        4400,
        "out of order",
    )


async def test_a_handshake_that_is_refused_is_an_error(aiostub):
    """Nothing is asked, and the reply is that of a server without WebSockets."""
    route = aiostub.ws(URL).reply(403)

    async with aiohttp.ClientSession() as own:  # the client would leave its own open
        with pytest.raises(TransportConnectionFailed):
            await counted(session=own)

    assert route.calls.last.status == 403
    assert not route.calls.last.frames
