"""call.frames: what went over a WebSocket, read off the wire."""

from __future__ import annotations

import asyncio
import zlib

import aiohttp
import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.http_websocket import WebSocketWriter
from hypothesis import given
from hypothesis import strategies as st

import aiostub
from aiostub import faults
from aiostub._log.frames import Frame, FrameLog, Frames

FEED = "wss://feed.example.com/v1"
TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
PING, PONG = WSMsgType.PING, WSMsgType.PONG
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
DEFLATED = SWITCHING[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"


async def echo(ws):
    """Send back what comes."""
    async for message in ws:
        send = ws.send_str if message.type is TEXT else ws.send_bytes
        await send(message.data)


def shown(frames):
    """Frames without their times."""
    return [(frame.direction, frame.type, frame.data) for frame in frames]


# A conversation


async def test_every_frame_is_logged_in_the_order_in_which_it_was_written():
    """Messages, pings and closes of both sides, with type and data."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(echo)
        async with session.ws_connect(FEED) as ws:
            await ws.send_str("ä")
            await ws.receive()
            await ws.send_bytes(b"\xff")
            await ws.receive()
            await ws.ping(b"p")
            await ws.send_str("")
            await ws.receive()
    assert [
        ("sent", TEXT, "ä"),
        ("received", TEXT, "ä"),
        ("sent", BINARY, b"\xff"),
        ("received", BINARY, b"\xff"),
        ("sent", PING, b"p"),
        ("sent", TEXT, ""),
        ("received", PONG, b"p"),
        ("received", TEXT, ""),
        ("sent", CLOSE, 1000),
        ("received", CLOSE, 1000),
    ] == shown(stub.calls.last.frames)


async def test_the_log_grows_while_the_socket_is_open():
    """call.frames shows what has been said so far."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(echo)
        async with session.ws_connect(FEED) as ws:
            frames = stub.calls.last.frames
            assert len(frames) == 0
            await ws.send_str("x")
            await ws.receive()
            assert len(frames) == 2


async def test_a_frame_knows_when_it_was():
    """In seconds of the event loop's clock."""
    loop = asyncio.get_running_loop()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(echo)
        before = loop.time()
        async with session.ws_connect(FEED) as ws:
            await ws.send_str("x")
            await ws.receive()
        times = [frame.at for frame in stub.calls.last.frames]
    assert before <= times[0]
    assert times[-1] <= loop.time()
    assert sorted(times) == times


async def test_a_close_shows_code_and_reason():
    """A close without a code is 0."""

    async def talk(ws):
        await ws.close(code=4001, message=b"because")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            await ws.receive()
    first = stub.calls.last.frames[0]
    assert ("received", CLOSE, 4001, "because") == (
        *(first.direction, first.type, first.data),
        first.extra,
    )


async def test_a_connection_that_drops_shows_no_close():
    """What was not said is not logged."""

    async def talk(ws):
        await ws.send_str("x")
        raise faults.disconnect()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED) as ws:
            await ws.receive()
            await ws.receive()
    assert [("received", TEXT, "x")] == shown(stub.calls.last.frames)


@pytest.mark.parametrize("client", [0, 9, 15])
@pytest.mark.parametrize("server", [True, False])
async def test_compression_is_undone(client, server):
    """Also where each message refers to those before it."""
    said = ["the same " * 100] * 3 + ["another " * 50, "", "the same " * 100]
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED, compress=server).handle(echo)
        async with session.ws_connect(FEED, compress=client) as ws:
            for each in said:
                await ws.send_str(each)
                await ws.receive()
    assert [said, said] == [stub.calls.last.frames.sent, stub.calls.last.frames.received]


async def test_a_handshake_that_fails_has_no_frames():
    """Nor has a plain request."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).reply(403)
        stub.get("https://feed.example.com/").reply()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(FEED)
        await session.get("https://feed.example.com/")
    assert [0, 0] == [len(call.frames) for call in stub.calls]


async def test_a_refusal_of_the_applications_has_no_frames():
    """Whatever its body looks like."""

    async def refuse(_request):
        return web.Response(status=400, body=b"\x81\x01a")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get("https://feed.example.com/v1").serve(refuse)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(FEED)
    assert [] == list(stub.calls.last.frames)


# The sequence


FRAMES = Frames(
    [
        Frame("sent", TEXT, "a", 1.0),
        Frame("received", BINARY, b"b", 2.0),
        Frame("received", PING, b"c", 3.0),
        Frame("sent", CLOSE, 1000, 4.0),
    ]
)


def test_frames_are_a_sequence():
    """To be indexed, sliced, counted and compared."""
    assert len(FRAMES) == 4
    assert FRAMES[0].data == "a"
    assert [FRAMES[1], FRAMES[2]] == FRAMES[1:3]
    assert isinstance(FRAMES[1:3], Frames)
    assert list(FRAMES) == FRAMES
    assert FRAMES != list(FRAMES)[1:]
    assert FRAMES != "frames"
    assert "direction='sent'" in repr(FRAMES)
    with pytest.raises(TypeError):
        hash(FRAMES)


def test_frames_give_the_messages_of_either_side():
    """Without control frames."""
    assert (["a"], [b"b"]) == (FRAMES.sent, FRAMES.received)


# The reader


def log(handshake=SWITCHING):
    """A log that has heard the handshake."""
    made = FrameLog(lambda: 0.0)
    made.received(handshake)
    return made


class Wire:
    """A transport and its protocol that keep what is written."""

    _paused = False

    def __init__(self):
        self.data = bytearray()
        self.transport = self

    def is_closing(self):
        return False

    def write(self, data):
        """Keep the data."""
        self.data += data

    async def _drain_helper(self):
        pass


messages = st.lists(
    st.one_of(
        st.tuples(st.just(TEXT), st.text(max_size=70000)),
        st.tuples(st.just(TEXT), st.text("ab", min_size=100).map(lambda text: text * 9)),
        st.tuples(st.just(BINARY), st.binary(max_size=300)),
        st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    ),
    max_size=6,
)


@given(messages, st.booleans(), st.sampled_from([0, 9, 15]), st.booleans(), st.data())
def test_what_aiohttp_writes_is_read(said, masks, compress, forgets, data):
    """Whatever it is, compressed or not, masked or not, in whatever pieces it comes."""
    wire = Wire()
    asyncio.run(write(wire, said, use_mask=masks, compress=compress, notakeover=forgets))
    made = log(DEFLATED if compress else SWITCHING)
    hear = made.sent if masks else made.received
    for piece in pieces_of(bytes(wire.data), data):
        hear(piece)
    expected = [(kind, each) for kind, each in said]
    assert expected == [(frame.type, frame.data) for frame in made.frames]


async def write(wire, said, **how):
    """Let aiohttp write messages."""
    writer = WebSocketWriter(wire, wire, **how)
    send = getattr(writer, "send_frame", None) or writer._send_frame
    for kind, each in said:
        await send(each.encode() if isinstance(each, str) else each, kind)


def pieces_of(whole, data):
    """Cut bytes somewhere."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=5)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def frame_of(first, payload):
    """One frame, unmasked."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 2**16:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


@given(st.text(), st.booleans(), st.data())
def test_fragments_are_one_message(text, compressed, data):
    """With control frames between them, which come first."""
    payload = text.encode()
    if compressed:
        deflate = zlib.compressobj(wbits=-15)
        payload = (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]
    parts = pieces_of(payload, data)
    made = log(DEFLATED)
    for index, part in enumerate(parts):
        first = (0x01 | (0x40 if compressed else 0)) if index == 0 else 0
        final = 0x80 if index == len(parts) - 1 else 0
        if index:
            made.received(frame_of(0x89, b"ping"))
        made.received(frame_of(first | final, part))
    pings = [("received", PING, b"ping")] * (len(parts) - 1)
    assert [*pings, ("received", TEXT, text)] == shown(made.frames)


def test_a_compressed_message_may_end_its_stream():
    """RFC 7692, 7.2.3.5: a last block; the next message begins a new stream."""
    made = log(DEFLATED)
    for _ in range(2):
        deflate = zlib.compressobj(wbits=-15)
        made.received(frame_of(0xC1, deflate.compress(b"text") + deflate.flush() + b"\0"))
    assert [("received", TEXT, "text")] * 2 == shown(made.frames)


@given(st.lists(st.binary(max_size=50)), st.booleans())
def test_no_bytes_disturb_the_log(pieces, deflated):
    """Whatever comes, the log reads what is a frame and keeps quiet about the rest."""
    made = log(DEFLATED if deflated else SWITCHING)
    for piece in pieces:
        made.sent(piece)
        made.received(piece)
    assert all(isinstance(frame, Frame) for frame in made.frames)


@given(st.lists(st.binary(max_size=50)))
def test_no_answer_disturbs_the_log(pieces):
    """Nor does what is no answer to a handshake at all."""
    made = FrameLog(lambda: 0.0)
    for piece in pieces:
        made.received(piece)
        made.sent(piece)
    assert made.frames == []


@pytest.mark.parametrize(
    "wrong",
    [b"\x83\x01a", b"\xc1\x03abc", frame_of(0xC2, b"\xff\xff")],
    ids=["reserved opcode", "not compressed", "no deflate"],
)
def test_what_is_no_frame_ends_the_log_of_its_direction(wrong):
    """The other end says what is wrong; the other direction goes on."""
    made = log(DEFLATED)
    made.received(frame_of(0x81, b"before"))
    made.received(wrong)
    made.received(frame_of(0x81, b"after"))
    made.sent(frame_of(0x81, b"other"))
    assert [("received", TEXT, "before"), ("sent", TEXT, "other")] == shown(made.frames)


def test_frames_in_the_segment_of_the_handshake_are_read():
    """The head may come in pieces, too."""
    made = FrameLog(lambda: 0.0)
    made.received(SWITCHING[:20])
    made.received(SWITCHING[20:] + frame_of(0x81, b"a")[:1])
    made.received(frame_of(0x81, b"a")[1:])
    assert [("received", TEXT, "a")] == shown(made.frames)


def test_text_that_is_none_is_shown_as_far_as_it_goes():
    """The client refuses it; the log shows it."""
    made = log()
    made.received(frame_of(0x81, b"a\xff"))
    assert [("received", TEXT, "a\ufffd")] == shown(made.frames)


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [(b"", 0, ""), (b"\x03\xe8", 1000, ""), (b"\x03\xe9why", 1001, "why"), (b"\x03", 3, "")],
)
def test_a_close_is_taken_apart(payload, code, reason):
    """Code and reason, as far as they are there."""
    made = log()
    made.received(frame_of(0x88, payload))
    assert [Frame("received", CLOSE, code, 0.0, reason)] == made.frames


# The timeline


async def timeline_of(talk, speak, *, masked=False):
    """The lines of a conversation, without offsets."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.ws(FEED).handle(talk)
        async with session.ws_connect(FEED, compress=0) as ws:
            await speak(ws)
        lines = stub.calls.timeline(masked=masked).splitlines()[2:]
    return [line.partition("ms  ")[2] or line.strip() for line in lines]


async def listen(ws):
    """Receive until the end."""
    async for _ in ws:
        pass


async def test_the_timeline_shows_the_frames_below_their_call():
    """With direction, type and data."""

    async def talk(ws):
        await ws.send_str('{"token": "secret", "n": 1}')
        await ws.send_bytes(b"\x00\x01")
        await ws.ping()
        await ws.close(code=3000, message=b"bye")

    assert [
        """<- TEXT    '{"token": "secret", "n": 1}'""",
        "<- BINARY  2 bytes, binary: 00 01",
        "<- PING",
        "<- CLOSE   3000 'bye'",
    ] == (await timeline_of(talk, listen))[:4]


async def test_a_masked_timeline_keeps_the_secrets_of_frames():
    """For a report that others read."""

    async def talk(ws):
        await ws.send_str('{"token": "secret", "n": 1}')

    lines = await timeline_of(talk, listen, masked=True)
    assert lines[0] == """<- TEXT   '{"token": "***", "n": 1}'"""


async def test_a_long_conversation_shows_its_beginning_and_its_end():
    """Ten frames, and how many stand between them; long data is cut."""

    async def talk(ws):
        for n in range(19):
            await ws.send_str(f"{n} " + "x" * 500)

    lines = await timeline_of(talk, listen)
    assert len(lines) == 11
    assert "... 11 more" == lines[5]
    assert lines[0].startswith("<- TEXT   '0 xxx")
    assert lines[-1].endswith("-> CLOSE  1000")
    assert all(len(line) < 100 for line in lines)


def test_a_close_without_a_code_says_so_in_the_timeline():
    """Instead of a 0."""
    from aiostub._explain import FrameRow, Row, timeline

    row = Row(0, "GET", FEED, "101", frames=[FrameRow(0.5, sent=True, kind="CLOSE", data=0)])
    assert "      +500 ms  -> CLOSE  without a code" == timeline([row]).splitlines()[-1]
