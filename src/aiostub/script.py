"""The lines of a WebSocket's script: what the client has to say, and what it is told.

::

    from aiostub import script

    stub.ws("wss://feed.example.com/v1").script(
        script.expect({"op": "subscribe", "channel": "prices"}),
        script.send({"price": 7}),
        script.close(1001),
    )

Where the client strays, the socket is closed with 1011, and leaving the stub raises an
`AssertionError` that says at which line, and the difference.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from aiohttp import WSMsgType

from aiostub._answers.reply import is_delay
from aiostub._value import Value
from aiostub.exceptions import RouteError
from aiostub.faults import Fault
from aiostub.matchers import Partial, difference, equals_text, json_differences, read_json, shown

if TYPE_CHECKING:
    from aiohttp import WSMessage, web

__all__ = ["close", "expect", "receive", "send", "wait"]

_NORMAL = 1000  # RFC 6455, 7.4.1
_LEAST_CODE, _MOST_CODE = 1000, 4999
_MOST_REASON = 123  # bytes that fit into a control frame besides the code (RFC 6455, 5.5)


class Expect(Value):
    """Wait for a message of the client's, and compare it."""

    value: object

    def __str__(self) -> str:
        return f"expect({shown(self.value)})"


class Receive(Value):
    """Wait for any message of the client's."""

    def __str__(self) -> str:
        return "receive()"


class Send(Value):
    """Send a message to the client."""

    message: str | bytes

    def __str__(self) -> str:
        return f"send({shown(self.message)})"


class Wait(Value):
    """Do nothing for a while."""

    seconds: float

    def __str__(self) -> str:
        return f"wait({self.seconds:g})"


class Close(Value):
    """Close the socket."""

    code: int
    reason: str

    def __str__(self) -> str:
        return f"close({self.code})"


Line = Union[Expect, Receive, Send, Wait, Close, Fault]  # noqa: UP007 - evaluated on 3.10


def expect(value: Any) -> Expect:
    """Wait for the client's next message, which has to be this.

    Args:
        value: str or an `re.Pattern` (full match) for a text message, bytes for a binary one;
            anything else, also ``partial({...})``, for the JSON of a text message. ``ANY`` and
            objects with an ``==`` of their own work anywhere.

    Raises:
        RouteError: *value* is nothing that JSON has.
    """
    return Expect(value if isinstance(value, (str, bytes, re.Pattern)) else read_json(value))


def receive() -> Receive:
    """Wait for the client's next message, whatever it is."""
    return Receive()


def send(value: Any) -> Send:
    """Send a message to the client.

    Args:
        value: str for a text message, bytes for a binary one, anything else as JSON.

    Raises:
        RouteError: *value* cannot be written as JSON.
    """
    if isinstance(value, (str, bytes)):
        return Send(value)
    try:
        return Send(json.dumps(value))
    except (TypeError, ValueError) as error:
        message = f"send: {error}"
        raise RouteError(message) from None


def wait(seconds: float) -> Wait:
    """Do nothing for some seconds of the event loop's clock; 0 or more.

    Raises:
        RouteError: *seconds* is no such number.
    """
    if not is_delay(seconds):
        message = f"wait: expected seconds from 0, got {seconds!r}"
        raise RouteError(message)
    return Wait(float(seconds))


def close(code: int = _NORMAL, reason: str = "") -> Close:
    """Close the socket; after the last line that happens by itself.

    Args:
        code: 1000 to 4999.
        reason: at most 123 bytes of UTF-8.

    Raises:
        RouteError: one of them is out of bounds.
    """
    if type(code) is not int or not _LEAST_CODE <= code <= _MOST_CODE:
        message = f"close: expected a code from 1000 to 4999, got {code!r}"
        raise RouteError(message)
    if len(reason.encode()) > _MOST_REASON:
        message = f"close: reason has {len(reason.encode())} bytes, at most 123 fit into a frame"
        raise RouteError(message)
    return Close(code, reason)


def read_lines(lines: Sequence[object]) -> tuple[Line, ...]:
    """Read the arguments of ``.script(...)``.

    Raises:
        RouteError: one of them is no line.
    """
    for number, line in enumerate(lines, 1):
        if not isinstance(line, (Expect, Receive, Send, Wait, Close, Fault)):
            message = (
                f"script: line {number} is {shown(line)}; write script.expect(...), "
                "script.receive(), script.send(...), script.wait(...), script.close(...) or a fault"
            )
            raise RouteError(message)
    return tuple(lines)  # type: ignore[arg-type]


async def play(ws: web.WebSocketResponse, lines: Sequence[Line]) -> None:
    """Do what the lines say, in order.

    Raises:
        AssertionError: the client has strayed from them.
        Fault: a line is one.
    """
    for number, line in enumerate(lines, 1):
        if isinstance(line, Fault):
            raise line
        if isinstance(line, (Expect, Receive)):
            _compare(number, line, await ws.receive())
        elif isinstance(line, Wait):
            await asyncio.sleep(line.seconds)
        elif isinstance(line, Close):
            await ws.close(code=line.code, message=line.reason.encode())
        elif isinstance(line.message, str):
            await ws.send_str(line.message)
        else:
            await ws.send_bytes(line.message)


def _compare(number: int, line: Expect | Receive, message: WSMessage) -> None:
    differs = _difference(line, message)
    if differs:
        text = f"the client strayed from the script at line {number}, {line}\n  {differs}"
        raise AssertionError(text)


def _difference(line: Expect | Receive, message: WSMessage) -> str:
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        return f"expected a message, got {_ending(message)}"
    if isinstance(line, Receive):
        return ""
    expected, got = line.value, message.data
    if isinstance(expected, bytes):
        return "" if expected == got else difference(expected, got)
    if isinstance(expected, (str, re.Pattern)):
        return _text_difference(expected, got)
    return _json_difference(expected, got)


def _text_difference(expected: str | re.Pattern[str], got: str | bytes) -> str:
    if isinstance(got, str) and equals_text(expected, got):
        return ""
    return difference(expected, got)


def _json_difference(expected: object, got: str | bytes) -> str:
    if not isinstance(expected, (Partial, dict, list)) and expected == got:
        return ""
    try:
        actual = json.loads(got)
    except ValueError:
        return f"expected JSON, got {shown(got)}"
    return "; ".join(json_differences(expected, actual))


def _ending(message: WSMessage) -> str:
    if message.type is WSMsgType.CLOSE:
        return f"a close with {message.data}"
    return "the end of the connection"
