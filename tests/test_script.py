"""A WebSocket that follows a script, and a client that has to."""

from __future__ import annotations

import re

import aiohttp
import pytest
from aiohttp import WSMsgType

import aiostub
from aiostub import ANY, RouteError, faults, partial, script

FEED = "wss://feed.example.com/v1"


@pytest.fixture
async def session():
    """Open a session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_script_talks_with_a_client_that_follows_it(session):
    """Each message in its turn, as text, JSON or bytes, then a close with its code."""
    async with aiostub.Stub() as stub:
        stub.ws(FEED).script(
            script.expect({"op": "subscribe", "channels": ["a", ANY]}),
            script.send({"ok": True}),
            script.expect(b"\x00"),
            script.send(b"\x01"),
            script.receive(),
            script.send("text"),
            script.close(4001, "enough"),
        )
        async with session.ws_connect(FEED) as ws:
            await ws.send_json({"op": "subscribe", "channels": ["a", "b"]})
            assert {"ok": True} == await ws.receive_json()
            await ws.send_bytes(b"\x00")
            assert b"\x01" == await ws.receive_bytes()
            await ws.send_str("whatever")
            assert "text" == await ws.receive_str()
            end = await ws.receive()
        assert (WSMsgType.CLOSE, 4001, "enough") == (end.type, end.data, end.extra)


async def test_a_script_that_is_over_closes_the_socket(session):
    """With 1000, as a function that returns does."""
    async with aiostub.Stub() as stub:
        stub.ws(FEED).script(script.send("hello"))
        async with session.ws_connect(FEED) as ws:
            assert "hello" == await ws.receive_str()
            assert WSMsgType.CLOSE == (await ws.receive()).type
        assert 1000 == ws.close_code


MATCHING = [
    ("hi", "hi"),
    (re.compile(r"h."), "hi"),
    (ANY, "hi"),
    ({"a": 1}, '{"a": 1}'),
    (partial({"a": 1}), '{"a": 1, "b": 2}'),
    ([1, ANY], "[1, 2]"),
    (7, "7"),
    (None, "null"),
    (b"raw", b"raw"),
]


@pytest.mark.parametrize(("expected", "sent"), MATCHING)
async def test_what_is_expected_is_compared_by_its_kind(session, expected, sent):
    """Text with text, bytes with bytes, the rest with the JSON that came."""
    async with aiostub.Stub() as stub:
        stub.ws(FEED).script(script.expect(expected))
        async with session.ws_connect(FEED) as ws:
            await (ws.send_bytes(sent) if isinstance(sent, bytes) else ws.send_str(sent))
            assert WSMsgType.CLOSE == (await ws.receive()).type
            assert 1000 == ws.close_code


STRAYING = [
    (
        {"user": {"name": "Ada"}},
        '{"user": {"name": "ada"}}',
        "user.name: expected 'Ada', got 'ada'",
    ),
    ("hi", "ho", "expected 'hi', got 'ho'"),
    (re.compile("h."), "hello", "expected re.compile('h.'), got 'hello'"),
    (b"raw", "raw", "expected b'raw', got 'raw'"),
    ("raw", b"raw", "expected 'raw', got b'raw'"),
    ({"a": 1}, "no json", "expected JSON, got 'no json'"),
]


@pytest.mark.parametrize(("expected", "sent", "difference"), STRAYING)
async def test_a_client_that_strays_fails_the_test_with_the_difference(
    session, expected, sent, difference
):
    """The socket closes with 1011, and leaving the stub says at which line, and why."""
    line = script.expect(expected)
    with pytest.raises(AssertionError) as raised:
        async with aiostub.Stub() as stub:
            stub.ws(FEED).script(script.send("first"), line)
            async with session.ws_connect(FEED) as ws:
                await ws.receive()
                await (ws.send_bytes(sent) if isinstance(sent, bytes) else ws.send_str(sent))
                await ws.receive()
                assert 1011 == ws.close_code
    assert f"the client strayed from the script at line 2, {line}\n  {difference}" == str(
        raised.value
    )


@pytest.mark.parametrize("line", [script.receive(), script.expect("more")], ids=str)
async def test_a_client_that_closes_too_early_fails_the_test(session, line):
    """Whether the script wanted a certain message or any."""
    with pytest.raises(AssertionError, match="expected a message, got a close with 1000"):
        async with aiostub.Stub() as stub:
            stub.ws(FEED).script(line)
            async with session.ws_connect(FEED) as ws:
                await ws.close()


async def test_a_fault_may_be_a_line(session):
    """The connection drops in the middle of the talk."""
    async with aiostub.Stub() as stub:
        stub.ws(FEED).script(script.send("one"), faults.disconnect())
        async with session.ws_connect(FEED) as ws:
            assert "one" == await ws.receive_str()
            assert WSMsgType.CLOSED == (await ws.receive()).type
        assert 1006 == ws.close_code


async def test_a_client_that_reconnects_meets_the_next_script(session):
    """Scripts are steps as any other."""
    async with aiostub.Stub() as stub:
        route = stub.ws(FEED).script(script.send("a")).then.script(script.send("b"))
        for expected in ("a", "b"):
            async with session.ws_connect(FEED) as ws:
                assert expected == await ws.receive_str()
        assert 2 == route.call_count


WRONG = [
    (lambda: script.wait(-1), "wait: expected seconds from 0, got -1"),
    (lambda: script.wait("1"), "wait: expected seconds from 0, got '1'"),
    (lambda: script.close(999), "close: expected a code from 1000 to 4999, got 999"),
    (lambda: script.close(1000, "x" * 124), "close: reason has 124 bytes, at most 123"),
    (lambda: script.send(object()), "send: Object of type object is not JSON serializable"),
    (lambda: aiostub.Stub().ws(FEED).script("hello"), "script: line 1 is 'hello'; write script."),
]


@pytest.mark.parametrize(("write", "message"), WRONG)
def test_what_is_no_line_is_refused_where_it_is_written(write, message):
    """The text names the argument."""
    with pytest.raises(RouteError, match=re.escape(message)):
        write()
