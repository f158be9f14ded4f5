"""stub.ws(): a real client's WebSocket talks with a real server's, without a socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import json
import weakref

import aiohttp
import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError, web

import aiostub
from aiostub import (
    RouteError,
    StubStateError,
    UnmatchedRequest,
    UnsatisfiedStub,
    _watch,
    faults,
)

FEED = "wss://feed.example.com/v1"
has_looptime = importlib.util.find_spec("looptime") is not None
in_virtual_time = (
    pytest.mark.looptime if has_looptime else pytest.mark.skip(reason="looptime is not installed")
)
# What a heartbeat in vain leaves behind: aiohttp 3.9 calls it a proper end.
DEAD = 1000 if aiohttp.__version__.startswith("3.9.") else 1006
CLOSED = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)


async def echo(ws):
    """Send back what comes, until the client closes."""
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)


async def quiet(_ws):
    """Say nothing and leave."""


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


# Talking


async def test_text_binary_and_json_go_both_ways():
    """As aiohttp's own methods send and receive them."""

    async def talk(ws):
        assert await ws.receive_str() == "text ä"
        await ws.send_str("back ö")
        assert await ws.receive_bytes() == b"\x00\xff"
        await ws.send_bytes(b"\xff\x00")
        assert await ws.receive_json() == {"a": [1]}
        await ws.send_json([None])

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            await ws.send_str("text ä")
            assert await ws.receive_str() == "back ö"
            await ws.send_bytes(b"\x00\xff")
            assert await ws.receive_bytes() == b"\xff\x00"
            await ws.send_json({"a": [1]})
            assert await ws.receive_json() == [None]
            assert (await ws.receive()).type in CLOSED
        assert ws.close_code == 1000


@pytest.mark.parametrize("scheme", ["wss", "ws", "https", "http"])
@pytest.mark.parametrize("secure", [True, False])
async def test_a_websocket_url_is_an_http_url(scheme, secure):
    """Ws and http, wss and https are the same, in the route and in the call."""
    fits = scheme in ("wss", "https")
    asked = f"{'wss' if secure else 'ws'}://feed.example.com/v1"
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        stub.ws(f"{scheme}://feed.example.com/v1").handle(quiet)
        if fits == secure:
            async with session.ws_connect(asked) as ws:
                assert (await ws.receive()).type in CLOSED
        else:
            with pytest.raises(UnmatchedRequest):
                await session.ws_connect(asked)


async def test_the_client_may_iterate():
    """The end of the talk is the end of the iteration."""

    async def count(ws):
        for n in range(5):
            await ws.send_json(n)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(count)
        async with session.ws_connect(FEED) as ws:
            assert [message.json() async for message in ws] == [0, 1, 2, 3, 4]


async def test_a_message_of_5_megabytes_arrives_whole():
    """Both ways, in as many pieces as the transports make of it."""
    data = bytes(range(256)) * 4 * 5 * 1024
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, max_msg_size=0).handle(echo)
        async with session.ws_connect(FEED, max_msg_size=0) as ws:
            await ws.send_bytes(data)
            assert data == await ws.receive_bytes()
    (call,) = stub.calls
    assert [data] == call.frames.sent == call.frames.received


async def test_100_sockets_talk_at_once():
    """Each with its own talk, all open at the same time."""
    all_there, count = asyncio.Event(), 0

    async def talk(ws, n):
        nonlocal count
        count += 1
        if count == 100:
            all_there.set()
        await all_there.wait()
        await ws.send_str(n)

    async def one(session, n):
        async with session.ws_connect(f"{FEED}/{n}") as ws:
            return await ws.receive_str()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiostub.Stub() as stub, ClientSession(connector=connector) as session:
        stub.ws(FEED + "/{n}").handle(talk).always()
        heard = await asyncio.gather(*(one(session, n) for n in range(100)))
    assert [str(n) for n in range(100)] == heard


async def test_a_slow_reader_slows_the_writer_down():
    """Back-pressure reaches the talk."""
    written = []

    async def flood(ws):
        for n in range(160):
            await ws.send_bytes(bytes(64 * 1024))
            written.append(n)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, compress=False).handle(flood)
        async with session.ws_connect(FEED) as ws:
            await turns(300)
            before = len(written)
            received = [message async for message in ws]
    assert before < 80
    assert len(received) == 160


# What a talk is told


async def test_a_talk_may_name_the_request_and_path_parameters():
    """As handle(callback) of any route may."""
    seen = []

    async def talk(ws, room, *, request):
        seen.append((room, request.path_params, request.headers["X-A"], type(request).__name__))
        assert isinstance(ws, web.WebSocketResponse)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws("wss://feed.example.com/{room}/{more:path}").handle(talk)
        url = "wss://feed.example.com/a%20b/c/d"
        async with session.ws_connect(url, headers={"X-A": "1"}) as ws:
            await ws.receive()
    assert [("a b", {"room": "a b", "more": "c/d"}, "1", "Request")] == seen


async def test_a_talk_with_kwargs_is_told_everything():
    """**kwargs gets the request and all path parameters."""
    seen = []

    async def talk(ws, **kwargs):
        seen.append(sorted(kwargs))

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws("wss://feed.example.com/{room}").handle(talk)
        async with session.ws_connect("wss://feed.example.com/1") as ws:
            await ws.receive()
    assert seen == [["request", "room"]]


class Talker:
    """A talk that is a method, or the object itself."""

    def __init__(self):
        self.heard = []

    async def __call__(self, ws):
        self.heard.append(await ws.receive_str())

    async def talk(self, ws):
        """Listen once."""
        await self(ws)


@pytest.mark.parametrize("of", [lambda t: t, lambda t: t.talk])
async def test_a_talk_may_be_a_method_or_an_object(of):
    """Anything whose call is async."""
    talker = Talker()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(of(talker))
        async with session.ws_connect(FEED) as ws:
            await ws.send_str("x")
            await ws.receive()
    assert talker.heard == ["x"]


async def test_the_log_shows_the_handshake():
    """A call like any other, with status 101 and the URL of the client."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        route = stub.ws(FEED).handle(echo)
        async with session.ws_connect(FEED) as ws:
            call = stub.calls.last
            assert (101, route) == (call.status, call.route)
            elapsed = call.elapsed
            assert elapsed is not None
            await ws.send_str("x")
        assert elapsed == call.elapsed
        assert [] == list(stub.calls.filter("POST"))
        assert "ws wss://feed.example.com/v1" in stub.calls.timeline()
        route.assert_called_once()


# Matching


async def test_the_arguments_of_a_route_apply():
    """params=, headers=, cookies=, where= as everywhere."""
    async with aiostub.Stub() as stub, ClientSession(cookies={"c": "1"}) as session:
        stub.ws(
            FEED,
            params={"a": "1"},
            headers={"Authorization": "Bearer x"},
            cookies={"c": "1"},
            where=lambda request: request.method == "GET",
        ).handle(quiet)
        headers = {"Authorization": "Bearer x"}
        async with session.ws_connect(FEED, params={"a": "1"}, headers=headers) as ws:
            await ws.receive()


async def test_a_plain_request_is_not_answered():
    """The text says that the route waits for a handshake."""
    with pytest.raises(UnmatchedRequest, match="expected a WebSocket handshake, got a plain"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.ws("https://feed.example.com/v1").handle(quiet).optional()
            await session.get("https://feed.example.com/v1")


@pytest.mark.parametrize("scheme", ["wss", "https"])
async def test_an_unmatched_handshake_is_offered_a_route_for_it(scheme):
    """With stub.ws, ready to paste, whatever the client calls the scheme."""
    with pytest.raises(UnmatchedRequest) as raised:
        async with aiostub.Stub(strict=False), ClientSession() as session:
            await session.ws_connect(f"{scheme}://feed.example.com/v1")
    assert f'stub.ws("{scheme}://feed.example.com/v1").handle(talk)' in str(raised.value)


async def test_another_route_may_answer_the_handshake():
    """As the GET that it is: the client meets a handshake error."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get("https://feed.example.com/v1").reply(426, text="upgrade elsewhere")
        with pytest.raises(WSServerHandshakeError) as raised:
            await session.ws_connect(FEED)
    assert raised.value.status == 426


async def test_routes_are_asked_in_their_order():
    """A handshake goes to the first that fits, plain requests pass the ws route by."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(quiet)
        stub.get("https://feed.example.com/v1").reply(text="plain")
        stub.ws(FEED, first=True).reply(403)
        async with session.get("https://feed.example.com/v1") as response:
            assert await response.text() == "plain"
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(FEED)
        async with session.ws_connect(FEED) as ws:
            await ws.receive()


async def test_a_relative_url_takes_the_base_url():
    """Of the stub, as for any route."""
    async with aiostub.Stub("https://feed.example.com") as stub, ClientSession() as session:
        stub.ws("/v1").handle(quiet)
        async with session.ws_connect(FEED) as ws:
            await ws.receive()


async def test_a_redirect_may_lead_to_the_socket():
    """The client follows it before the upgrade."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws("wss://old.example.com/").reply(307, headers={"Location": "https://feed.test/"})
        stub.ws("wss://feed.test/").handle(echo)
        async with session.ws_connect("wss://old.example.com/") as ws:
            await ws.send_str("there")
            assert await ws.receive_str() == "there"
        assert [307, 101] == [call.status for call in stub.calls]


# Arguments


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ({"protocols": "chat"}, "protocols: expected names of sub-protocols, as in ['chat'], got"),
        ({"protocols": [1]}, "protocols: expected names"),
        ({"protocols": [""]}, "protocols: expected names"),
        ({"protocols": 7}, "protocols: expected names"),
        ({"compress": 15}, "compress: expected True or False, got 15"),
        ({"compress": None}, "compress: expected True or False, got None"),
        ({"heartbeat": 0}, "heartbeat: expected seconds, more than 0, got 0"),
        ({"heartbeat": -1}, "heartbeat: expected"),
        ({"heartbeat": float("inf")}, "heartbeat: expected"),
        ({"heartbeat": float("nan")}, "heartbeat: expected"),
        ({"heartbeat": "1"}, "heartbeat: expected"),
        ({"heartbeat": True}, "heartbeat: expected"),
        ({"max_msg_size": -1}, "max_msg_size: expected bytes, 0 for any size, got -1"),
        ({"max_msg_size": 1.5}, "max_msg_size: expected"),
        ({"max_msg_size": True}, "max_msg_size: expected"),
        ({"reply_headers": 7}, "reply_headers: "),
        ({"reply_headers": {"X-A": 7}}, "reply_headers: the value of X-A must be a str, got 7"),
        ({"reply_headers": {"X-A": "a\r\nb"}}, "reply_headers: X-A: "),
        ({"reply_headers": {"X A": "a"}}, "reply_headers: 'X A' is not the name of a header"),
        ({"params": 7}, "params"),
    ],
)
def test_a_wrong_argument_is_named(argument, named):
    """At the line that registers."""
    with pytest.raises(RouteError) as raised:
        aiostub.Stub().ws(FEED, **argument)
    assert str(raised.value).startswith(named)


def test_an_unknown_argument_is_a_type_error():
    """Python says which."""
    with pytest.raises(TypeError, match="protocol"):
        aiostub.Stub().ws(FEED, protocol="chat")


def not_async(ws):
    """A talk that is no async function."""


async def takes_nothing():
    """A talk that takes no WebSocket."""


async def only_named(*, ws):
    """A talk that cannot be given the WebSocket."""


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (not_async, "handle: not_async must be an async function that takes the WebSocket"),
        (None, "handle: None must be an async function that takes the WebSocket"),
        (takes_nothing, "handle: takes_nothing must take the WebSocket as its first argument"),
        (only_named, "handle: only_named must take the WebSocket as its first argument"),
    ],
)
def test_what_cannot_talk_is_refused(talk, said):
    """At the line that registers."""
    with pytest.raises(RouteError) as raised:
        aiostub.Stub().ws(FEED).handle(talk)
    assert said == str(raised.value)


@pytest.mark.parametrize("status", [101, 99, 600])
def test_a_rejection_has_a_status_of_a_response(status):
    """101 belongs to the talk."""
    with pytest.raises(RouteError):
        aiostub.Stub().ws(FEED).reply(status)


# The handshake


@pytest.mark.parametrize(
    ("protocols", "offered", "agreed"),
    [
        (None, (), None),
        (None, ("b", "a"), "b"),
        (("a",), (), None),
        (("a", "b"), ("b", "a"), "b"),
        (("a",), ("b", "a"), "a"),
        (("c",), ("b", "a"), None),
        ((), ("b",), None),
    ],
)
async def test_a_sub_protocol_is_agreed_on(protocols, offered, agreed):
    """The first of the client's offers that the stub speaks; by default its first."""
    seen = []

    async def talk(ws):
        seen.append(ws.ws_protocol)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, protocols=protocols).handle(talk)
        async with session.ws_connect(FEED, protocols=offered) as ws:
            await ws.receive()
            assert agreed == ws.protocol
    assert [agreed] == seen


@pytest.mark.parametrize(
    ("compress", "client", "agreed"),
    [(True, 15, True), (True, 9, True), (True, 0, False), (False, 15, False), (False, 0, False)],
)
async def test_compression_is_agreed_on(compress, client, agreed):
    """If both want it; the log shows what was said."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, compress=compress).handle(echo)
        async with session.ws_connect(FEED, compress=client) as ws:
            assert agreed == bool(ws.compress)
            for _ in range(3):
                await ws.send_str("long " * 500)
                assert await ws.receive_str() == "long " * 500
        assert ["long " * 500] * 3 == stub.calls.last.frames.received


async def test_headers_of_the_answer_are_the_tests():
    """In order and with duplicates, besides those of the handshake."""
    headers = [("X-A", "1"), ("X-A", "2"), ("Set-Cookie", "c=1; Path=/")]
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, reply_headers=headers).handle(quiet)
        async with session.ws_connect(FEED) as ws:
            answer = stub.calls.last.response.headers
            assert (["1", "2"], "websocket") == (answer.getall("X-A"), answer["Upgrade"])
            await ws.receive()
        assert "c" in {cookie.key for cookie in session.cookie_jar}


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500, 503])
async def test_a_handshake_is_rejected_by_a_reply(status):
    """The client meets aiohttp's own error, with status and headers."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).reply(status, headers={"X-A": "1"}, text="no")
        with pytest.raises(WSServerHandshakeError) as raised:
            await session.ws_connect(FEED)
        assert (status, "1") == (raised.value.status, raised.value.headers["X-A"])
        assert status == stub.calls.last.status
        assert [] == list(stub.calls.last.frames)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (aiohttp.ServerDisconnectedError, aiohttp.ServerDisconnectedError),
        (aiohttp.ClientConnectorError, aiohttp.ClientConnectorError),
        (faults.reset(), aiohttp.ClientOSError),
        (faults.garbage(), aiohttp.ClientError),
        (ZeroDivisionError("x"), ZeroDivisionError),
    ],
)
async def test_a_handshake_fails_as_a_request_does(failure, expected):
    """With a fault or an exception."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).fail(failure)
        with pytest.raises(expected):
            await session.ws_connect(FEED)


async def test_a_handshake_times_out_at_once():
    """The client's own timer fires."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiostub.Stub() as stub, ClientSession(timeout=timeout) as session:
        stub.ws(FEED).timeout()
        with pytest.raises(asyncio.TimeoutError):
            await session.ws_connect(FEED)


async def test_a_handshake_that_is_never_answered_hangs():
    """Until somebody gives up."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).hang()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(session.ws_connect(FEED), 0.01)


async def test_a_handshake_without_a_key_is_the_400_of_a_server():
    """aiohttp's own server side judges it."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(quiet)
        async with session.get("https://feed.example.com/v1", headers=headers) as response:
            assert response.status == 400


# Steps


async def test_a_client_that_reconnects_meets_the_next_step():
    """The first socket drops, the second talks."""

    async def drops(ws):
        await ws.send_str("first")
        raise faults.disconnect()

    async def stays(ws):
        await ws.send_str("second")

    heard = []
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).reply(503).then.handle(drops).then.handle(stays)
        while heard != ["first", "second"]:
            with contextlib.suppress(WSServerHandshakeError):
                async with session.ws_connect(FEED) as ws:
                    heard.extend([message.data async for message in ws])
    assert [503, 101, 101] == [call.status for call in stub.calls]


async def test_a_talk_counts_like_any_step():
    """times(2) is two sockets, and a third is unmatched."""
    with pytest.raises(UnsatisfiedStub):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.ws(FEED).handle(quiet).times(2)
            for _ in range(2):
                async with session.ws_connect(FEED) as ws:
                    await ws.receive()
            with pytest.raises(UnmatchedRequest, match="used up 2/2"):
                await session.ws_connect(FEED)


def test_a_talk_that_nobody_asked_for_is_unsatisfied():
    """Unless the route is optional."""
    with pytest.raises(UnsatisfiedStub, match=r"ws wss://feed\.example\.com/v1"):
        with aiostub.Stub() as stub:
            stub.ws(FEED).handle(quiet)
    with aiostub.Stub() as stub:
        stub.ws(FEED).handle(quiet).optional()


async def test_a_decorated_test_gets_its_own_sockets():
    """The routes of a decorating stub are copied, handshake and all."""
    decorating = aiostub.Stub()
    decorating.ws(FEED, protocols=["a"]).handle(echo)

    @decorating
    async def test(stub):
        async with ClientSession() as session, session.ws_connect(FEED, protocols=["a"]) as ws:
            await ws.send_str("x")
            assert (await ws.receive_str(), ws.protocol) == ("x", "a")

    await test()
    await test()


# Control frames and closing


async def test_pings_are_answered_on_both_sides():
    """A pong comes back with the ping's data; nobody's code sees the ping."""

    async def talk(ws):
        await ws.ping(b"from the server")
        await ws.receive_str()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            await ws.ping(b"from the client")
            reading = asyncio.create_task(ws.receive())
            await turns()
            await ws.send_str("done")
            assert (await reading).type in CLOSED
    kinds = [(f.direction, f.type.name, f.data) for f in stub.calls.last.frames]
    for expected in (
        ("sent", "PING", b"from the client"),
        ("received", "PONG", b"from the client"),
        ("received", "PING", b"from the server"),
        ("sent", "PONG", b"from the server"),
    ):
        assert expected in kinds


async def test_a_client_without_autoping_sees_pings():
    """And answers them itself."""

    async def talk(ws):
        await ws.ping(b"x")
        await ws.receive_str()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED, autoping=False) as ws:
            message = await ws.receive()
            assert (WSMsgType.PING, b"x") == (message.type, message.data)
            await ws.pong(b"x")
            await ws.send_str("done")
            await ws.receive()


@in_virtual_time
async def test_the_clients_heartbeat_is_answered():
    """As long as the talk receives."""
    loop = asyncio.get_running_loop()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(echo)
        async with session.ws_connect(FEED, heartbeat=10) as ws:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.receive(), 35)
            assert not ws.closed
            assert round(loop.time()) == 35
        pings = [f for f in stub.calls.last.frames if f.type is WSMsgType.PING]
    assert [10, 20, 30] == [round(frame.at) for frame in pings]


@in_virtual_time
async def test_the_clients_heartbeat_finds_a_talk_dead():
    """A talk that does not receive sends no pong."""
    loop = asyncio.get_running_loop()

    async def deaf(_ws):
        await asyncio.sleep(3600)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(deaf)
        async with session.ws_connect(FEED, heartbeat=10) as ws:
            message = await ws.receive()
            assert message.type in (WSMsgType.ERROR, WSMsgType.CLOSED)
            assert ws.close_code == DEAD
    assert 14 < loop.time() < 17


@in_virtual_time
async def test_the_stubs_heartbeat_keeps_a_client_that_listens():
    """It pings as often as it says."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, heartbeat=10).handle(echo)
        async with session.ws_connect(FEED) as ws:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ws.receive(), 35)
            assert not ws.closed
        pings = [f for f in stub.calls.last.frames if f.type is WSMsgType.PING]
    assert ["received"] * 3 == [frame.direction for frame in pings]


@in_virtual_time
async def test_the_stubs_heartbeat_drops_a_client_that_is_deaf():
    """The talk sees the end; that is no error of the test's."""
    ended = asyncio.get_running_loop().create_future()

    async def talk(ws):
        message = await ws.receive()
        ended.set_result((message.type, ws.close_code))

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, heartbeat=10).handle(talk)
        async with session.ws_connect(FEED, autoping=False):
            await asyncio.sleep(20)
            assert (await ended)[1] == DEAD


@in_virtual_time
async def test_the_client_waits_no_longer_than_it_says():
    """receive_timeout and receive(timeout=) are the client's."""
    loop = asyncio.get_running_loop()
    kwargs = {"receive_timeout": 5.0}
    if hasattr(aiohttp, "ClientWSTimeout"):
        kwargs = {"timeout": aiohttp.ClientWSTimeout(ws_receive=5.0)}
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(echo)
        async with session.ws_connect(FEED, **kwargs) as ws:
            with pytest.raises(asyncio.TimeoutError):
                await ws.receive()
            assert round(loop.time()) == 5


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
async def test_the_talk_may_close_with_any_code(code):
    """The client sees it, with the reason."""

    async def talk(ws):
        await ws.close(code=code, message=b"because")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            message = await ws.receive()
            assert (WSMsgType.CLOSE, code, "because") == (message.type, message.data, message.extra)
            assert code == ws.close_code


@pytest.mark.parametrize("code", [1000, 1001, 1008, 3000, 4999])
async def test_the_client_may_close_with_any_code(code):
    """The talk sees it."""
    seen = []

    async def talk(ws):
        message = await ws.receive()
        seen.append((message.type, message.data, message.extra, ws.close_code))

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            await ws.close(code=code, message=b"because")
    assert [(WSMsgType.CLOSE, code, "because", code)] == seen


async def test_a_talk_that_returns_at_once_closes_with_1000():
    """The client's first message is the close."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(quiet)
        async with session.ws_connect(FEED) as ws:
            message = await ws.receive()
            assert (WSMsgType.CLOSE, 1000) == (message.type, message.data)
    assert [("received", 1000), ("sent", 1000)] == [
        (frame.direction, frame.data) for frame in stub.calls.last.frames
    ]


async def test_a_client_that_leaves_without_closing_ends_the_talk():
    """The talk's receive() tells it; no error is left."""
    seen = []

    async def talk(ws):
        seen.append((await ws.receive()).type)
        seen.append(ws.close_code)

    async with aiostub.Stub() as stub:
        stub.ws(FEED).handle(talk)
        session = ClientSession()
        ws = await session.ws_connect(FEED)
        ws._response.connection.transport.abort()
        await turns()
        await session.close()
    assert seen[0] in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
    assert seen[1] == 1006


async def test_a_talk_that_writes_to_a_client_that_has_left_is_no_error():
    """It meets a ConnectionResetError, as behind a real server, and nobody is blamed."""
    met, go_on, over = [], asyncio.Event(), asyncio.Event()

    async def talk(ws):
        await go_on.wait()
        try:
            await ws.send_str("x")
        except ConnectionResetError as error:
            met.append(error)
            raise
        finally:
            over.set()

    async with aiostub.Stub() as stub:
        stub.ws(FEED).handle(talk)
        session = ClientSession()
        ws = await session.ws_connect(FEED)
        ws._response.connection.transport.abort()
        await turns()
        go_on.set()
        await asyncio.wait_for(over.wait(), 1)
        await session.close()
    assert len(met) == 1


@pytest.mark.parametrize(
    ("fault", "code"), [(faults.disconnect(), 1006), (faults.reset(), 1006)], ids=str
)
async def test_a_talk_may_drop_the_connection(fault, code):
    """raise faults.disconnect(): the client sees an end without a close frame."""

    async def talk(ws):
        await ws.send_str("x")
        raise fault

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            assert await ws.receive_str() == "x"
            message = await ws.receive()
            assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
            assert ws.closed
            assert code == ws.close_code
    assert [WSMsgType.TEXT] == [frame.type for frame in stub.calls.last.frames]


@in_virtual_time
async def test_a_talk_may_fall_silent():
    """raise faults.stall(): the client's own timer decides."""
    loop = asyncio.get_running_loop()

    async def talk(_ws):
        raise faults.stall()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            with pytest.raises(asyncio.TimeoutError):
                await ws.receive(timeout=7)
            assert round(loop.time()) == 7
            ws._response.connection.close()


# Sizes


async def test_a_message_too_large_for_the_stub_closes_the_socket():
    """max_msg_size: 1009, as aiohttp's server says it."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, max_msg_size=100).handle(echo)
        async with session.ws_connect(FEED) as ws:
            await ws.send_str("x" * 99)
            assert await ws.receive_str() == "x" * 99
            await ws.send_str("x" * 101)
            message = await ws.receive()
            assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
            assert ws.close_code == 1009


async def test_a_message_too_large_for_the_client_is_its_error():
    """The client's own max_msg_size decides."""

    async def talk(ws):
        await ws.send_str("x" * 101)
        await ws.receive()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED, max_msg_size=100) as ws:
            message = await ws.receive()
            assert message.type is WSMsgType.ERROR
            assert ws.close_code == 1009


# What goes wrong


class TalkError(Exception):
    """An error of a talk's."""


@pytest.mark.parametrize("error", [TalkError("wrong"), AssertionError("wrong")])
async def test_an_exception_in_the_talk_closes_with_1011_and_is_raised_at_exit(error):
    """The client sees the code, the test the exception."""

    async def talk(ws):
        await ws.receive_str()
        raise error

    with pytest.raises(type(error), match="wrong"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.ws(FEED).handle(talk)
            async with session.ws_connect(FEED) as ws:
                await ws.send_str("x")
                message = await ws.receive()
                assert (WSMsgType.CLOSE, 1011) == (message.type, message.data)


async def test_an_outcome_of_pytest_in_the_talk_is_the_tests():
    """pytest.fail() closes with 1011, too."""

    async def talk(_ws):
        pytest.fail("not like this")

    with pytest.raises(pytest.fail.Exception, match="not like this"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.ws(FEED).handle(talk)
            async with session.ws_connect(FEED) as ws:
                message = await ws.receive()
                assert (WSMsgType.CLOSE, 1011) == (message.type, message.data)


async def test_a_stub_that_is_not_strict_keeps_the_exception_to_itself():
    """1011 is all there is."""

    async def talk(_ws):
        raise TalkError

    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            await ws.receive()
            assert ws.close_code == 1011


async def test_a_talk_that_expects_another_type_says_so_at_exit():
    """receive_str() of a binary message is a TypeError out of the talk."""

    async def talk(ws):
        await ws.receive_str()

    with pytest.raises(TypeError, match=r"^Received message"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.ws(FEED).handle(talk)
            async with session.ws_connect(FEED) as ws:
                await ws.send_bytes(b"x")
                await ws.receive()
                assert ws.close_code == 1011


# The end of the stub


async def test_a_stub_that_stops_ends_the_sockets():
    """A talk that is busy is cancelled, the client sees an end, nobody hangs."""
    events = []

    async def talk(_ws):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.ws(FEED).handle(talk)
            ws = await session.ws_connect(FEED)
            waiting = asyncio.create_task(ws.receive())
            await turns()
        message = await asyncio.wait_for(waiting, 1)
        assert message.type in (*CLOSED, WSMsgType.ERROR)
        assert ws.closed
        await asyncio.wait_for(ws.close(), 1)
    assert events == ["cancelled"]


async def test_a_stub_that_stops_ends_a_talk_that_listens():
    """As a client would that is gone: nothing more will come."""
    events = []

    async def talk(ws):
        events.append((await ws.receive()).type)
        events.append(ws.close_code)

    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.ws(FEED).handle(talk)
            await session.ws_connect(FEED)
    assert events[0] in (*CLOSED, WSMsgType.ERROR)
    assert events[1] == 1006


async def test_a_stub_that_stops_leaves_a_socket_that_nobody_reads():
    """The next receive() or send says so."""
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.ws(FEED).handle(echo)
            ws = await session.ws_connect(FEED)
        await turns()
        message = await asyncio.wait_for(ws.receive(), 1)
        assert message.type in (*CLOSED, WSMsgType.ERROR)


async def test_a_stub_that_stops_during_the_handshake_ends_it():
    """With the error that says so."""
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.ws(FEED).hang()
            connecting = asyncio.create_task(session.ws_connect(FEED))
            await turns()
        with pytest.raises(StubStateError):
            await connecting


async def test_nothing_is_left_when_the_socket_is_closed(monkeypatch):
    """No task, no reference to talk or socket, in asyncio's debug mode."""
    monkeypatch.setattr(_watch, "current", None)  # pytest remembers stubs until the test is over
    asyncio.get_running_loop().set_debug(True)
    talker = Talker()
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.ws(FEED).handle(talker)
            async with session.ws_connect(FEED) as ws:
                await ws.send_str("x")
                await ws.receive()
            left = [weakref.ref(talker), weakref.ref(ws)]
        del stub, talker, ws
        await turns()
        gc.collect()
        assert [None, None] == [each() for each in left]
    assert {asyncio.current_task()} == asyncio.all_tasks()


# Who else answers


async def test_the_socket_of_a_mounted_application_is_real():
    """Frames are logged all the same."""

    async def handle(request):
        ws = web.WebSocketResponse(protocols=["chat"])
        await ws.prepare(request)
        await echo(ws)
        return ws

    app = web.Application()
    app.router.add_get("/v1", handle)
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount("https://feed.example.com", app)
        async with session.ws_connect(FEED, protocols=["chat"], compress=15) as ws:
            assert ws.protocol == "chat"
            await ws.send_str("x" * 1000)
            assert await ws.receive_str() == "x" * 1000
    assert (["x" * 1000], ["x" * 1000]) == (
        stub.calls.last.frames.sent,
        stub.calls.last.frames.received,
    )


async def test_the_socket_of_a_served_handler_is_real():
    """stub.get(url).serve(handler) may upgrade as well."""

    async def handle(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(request.match_info["room"])
        return ws

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get("https://feed.example.com/{room}").serve(handle)
        async with session.ws_connect("wss://feed.example.com/a") as ws:
            assert await ws.receive_str() == "a"
        assert stub.calls.last.frames.received == ["a"]


async def test_an_injected_connector_carries_sockets():
    """Without any patch."""
    stub = aiostub.Stub()
    stub.ws(FEED).handle(echo)
    async with ClientSession(connector=stub.connector()) as session:
        async with session.ws_connect(FEED) as ws:
            await ws.send_str(json.dumps({"a": 1}))
            assert await ws.receive_json() == {"a": 1}


async def test_an_application_may_be_between_two_sockets():
    """A mounted proxy talks to a feed of the same stub."""

    async def proxy(request):
        front = web.WebSocketResponse()
        await front.prepare(request)
        async with ClientSession() as session, session.ws_connect(FEED) as back:
            async for message in front:
                await back.send_str(message.data)
                await front.send_str(f"proxied {await back.receive_str()}")
        return front

    app = web.Application()
    app.router.add_get("/", proxy)
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(echo)
        stub.mount("http://proxy.test", app)
        async with session.ws_connect("ws://proxy.test/") as ws:
            await ws.send_str("x")
            assert await ws.receive_str() == "proxied x"
