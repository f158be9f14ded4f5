"""What went over a WebSocket, read off the wire.

The bytes are read as they are sent (RFC 6455, compression as in RFC 7692), so that the log does
not depend on who writes them: a function of the test's, a mounted application, or a client.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, overload

from aiohttp import WSMsgType

Direction = Literal["sent", "received"]

_FIN, _COMPRESSED, _OPCODE = 0x80, 0x40, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_TWO_BYTES, _EIGHT_BYTES = 126, 127  # of length that follow
_MASK_SIZE = 4
_CONTROL = 0x8
_SYNC = b"\x00\x00\xff\xff"  # what a sender leaves out at the end of each message (RFC 7692, 7.2.1)
_SWITCHING = b"HTTP/1.1 101 "
_HEAD_END = b"\r\n\r\n"
_DEFLATE = b"permessage-deflate"


class Frame(NamedTuple):
    """One message or control frame of a WebSocket.

    A message that was sent in fragments is one; compression is undone.

    Attributes:
        direction: ``"sent"`` by the client, or ``"received"`` by it.
        type: an `aiohttp.WSMsgType`: TEXT, BINARY, PING, PONG or CLOSE.
        data: str of a text, bytes of a binary message and of pings; of a close, its code, 0
            where it was sent without one.
        at: when, in seconds of the event loop's clock.
        extra: the reason of a close.
    """

    direction: Direction
    type: WSMsgType
    data: str | bytes | int
    at: float
    extra: str = ""


class Frames(Sequence[Frame]):
    """Read the frames of a WebSocket in the order in which they were written."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[Frame] = ()) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Frames: ...
    def __getitem__(self, index: int | slice) -> Frame | Frames:
        return Frames(self._items[index]) if isinstance(index, slice) else self._items[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Frames, list, tuple)):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Frames {list(self)!r}>"

    @property
    def sent(self) -> list[str | bytes]:
        """Return what the client sent as text and binary messages."""
        return _messages(self._items, "sent")

    @property
    def received(self) -> list[str | bytes]:
        """Return what the client was sent as text and binary messages."""
        return _messages(self._items, "received")


def _messages(frames: Sequence[Frame], direction: Direction) -> list[str | bytes]:
    return [
        frame.data
        for frame in frames
        if frame.direction == direction and frame.type in (WSMsgType.TEXT, WSMsgType.BINARY)
        if not isinstance(frame.data, int)
    ]


class FrameLog(Sequence[Frame]):
    """Hear both directions of one connection, from the server's answer to the handshake on.

    What is heard is read when somebody asks for it: to read 64 KiB takes longer than to talk them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: list[tuple[Direction, float, bytes]] = []
        self._frames: list[Frame] = []
        self._head = b""
        self._readers: dict[Direction, _Reader] | None = None

    def sent(self, data: bytes) -> None:
        """Hear what the client sends after its handshake."""
        self._heard.append(("sent", self._clock(), data))

    def received(self, data: bytes) -> None:
        """Hear what the server sends, its answer to the handshake first."""
        self._heard.append(("received", self._clock(), data))

    @property
    def frames(self) -> list[Frame]:
        """Return what has been heard, as frames."""
        heard, self._heard = self._heard, []
        for direction, at, data in heard:
            if self._readers is None and direction == "received":
                self._read_head(at, data)
            else:
                self._read(direction, at, data)
        return self._frames

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        return self.frames[index]

    def _read_head(self, at: float, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(_HEAD_END)
        if end:
            self._begin(head)
            self._read("received", at, rest)

    def _begin(self, head: bytes) -> None:
        """Read frames if the handshake was accepted; else what follows is none."""
        self._head = b""
        self._readers = {}
        if head.startswith(_SWITCHING):
            deflated = _DEFLATE in head.lower()
            self._readers = {
                "sent": _Reader(deflated=deflated),
                "received": _Reader(deflated=deflated),
            }

    def _read(self, direction: Direction, at: float, data: bytes) -> None:
        readers = self._readers or {}
        if direction not in readers:
            return
        try:
            for kind, payload, extra in readers[direction].feed(data):
                self._frames.append(Frame(direction, kind, payload, at, extra))
        except (ValueError, zlib.error):  # no frames; the other end will say so
            del readers[direction]


_Read = tuple[WSMsgType, "str | bytes | int", str]


class _Reader:
    """Make messages of the bytes of one direction."""

    def __init__(self, *, deflated: bool) -> None:
        self._inflate = _new_inflater() if deflated else None
        self._buffer = bytearray()
        self._type = WSMsgType.CONTINUATION
        self._parts: list[bytes] = []
        self._compressed = False

    def feed(self, data: bytes) -> list[_Read]:
        """Return what is complete now."""
        self._buffer += data
        read: list[_Read] = []
        while (frame := self._next()) is not None:
            message = self._take(*frame)
            if message is not None:
                read.append(message)
        return read

    def _next(self) -> tuple[int, bytes] | None:
        """Take a frame off the buffer: its first byte and its payload, unmasked."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, length, start = buffer[0], buffer[1] & _LENGTH, 2
        if length >= _TWO_BYTES:
            start += 8 if length == _EIGHT_BYTES else 2
            length = int.from_bytes(buffer[2:start], "big")
        masked = buffer[1] & _MASKED
        end = start + (_MASK_SIZE if masked else 0) + length
        if len(buffer) < end:
            return None
        payload = bytes(buffer[end - length : end])
        if masked:
            payload = _unmasked(payload, bytes(buffer[start : start + _MASK_SIZE]))
        del buffer[:end]
        return first, payload

    def _take(self, first: int, payload: bytes) -> _Read | None:
        opcode = first & _OPCODE
        if opcode & _CONTROL:
            return _control(WSMsgType(opcode), payload)
        if opcode:
            self._type, self._compressed = WSMsgType(opcode), bool(first & _COMPRESSED)
            self._parts = []
        self._parts.append(payload)
        return self._message() if first & _FIN else None

    def _message(self) -> _Read:
        payload = b"".join(self._parts)
        if self._compressed and self._inflate is not None:
            payload = self._inflate.decompress(payload + _SYNC)
            if self._inflate.eof:  # RFC 7692, 7.2.3.5: what comes next begins anew
                self._inflate = _new_inflater()
        if self._type is WSMsgType.TEXT:
            return self._type, payload.decode("utf-8", "replace"), ""
        return self._type, payload, ""


def _new_inflater() -> zlib._Decompress:
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS)


def _control(kind: WSMsgType, payload: bytes) -> _Read:
    if kind is not WSMsgType.CLOSE:
        return kind, payload, ""
    return kind, int.from_bytes(payload[:2], "big"), payload[2:].decode("utf-8", "replace")


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    """Undo RFC 6455, 5.3, on the whole payload at once."""
    size = len(payload)
    repeated = (mask * (size // _MASK_SIZE + 1))[:size]
    whole = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return whole.to_bytes(size, "big")
