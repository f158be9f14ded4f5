"""The side of a connection that a web server has: its transport.

Rules of the file:

- A server has a side of its own for each connection. As long as it stays, it takes a request that
  comes while it is still busy with the one before, as behind a socket. While another one answers,
  its side leads nowhere.
- A server reads no more in a turn of the event loop than it would of a socket. The client waits
  with what it writes behind that.
- What a server sends reaches the client within the server's own call, until it is much: a request
  takes two turns of the event loop instead of four, which is 6 % of its instructions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiostub._answers.reply import SLICE, sliced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiostub._wire.far_end import FarEnd

# A client that has not read its answer can stop more of it only where it gets that in a turn of
# its own. So much a socket takes before it lets a server wait (asyncio/transports.py).
_AT_ONCE = 64 * 1024


class Turn(Protocol):
    """One request that a web server answers, of those that come over a connection."""

    def hear(self, data: bytes) -> None:
        """Learn what the server sends."""


class ServerSide(asyncio.Transport):
    """Be the transport of a web server that answers requests of a connection, one after another.

    Args:
        far_end: of the connection.
        owner: whose server it is.
        server: the protocol.
    """

    def __init__(self, far_end: FarEnd, owner: object, server: asyncio.Protocol) -> None:
        super().__init__()
        self.owner = owner
        self.server = server
        self.turn: Any = None  # a `Turn`: of the request that is being answered
        self.is_taken_over = False  # by a protocol of the handler's
        self._next: deque[Turn] = deque()
        self._far_end = far_end
        self._wire = far_end.wire
        self._attached = True
        self._in_charge = True
        self._closed = False
        self._at_once = 0  # bytes that the client may still get within a call of the server's
        self._unread: deque[bytes] = deque()
        self._reads = True
        self._will_read = False

    # Turns.

    def connect(self) -> None:
        """Tell the server of its connection."""
        self.server.connection_made(self)

    def expect(self, turn: Turn) -> None:
        """Learn that the server gets a request to answer, after those that it has got before."""
        self._in_charge = True
        self._at_once = 0 if self.is_taken_over else _AT_ONCE
        if self.turn is None:
            self.turn = turn
        else:
            self._next.append(turn)

    def end_turn(self) -> None:
        """Learn that the server has sent all of a response."""
        self.turn = self._next.popleft() if self._next else None

    def stand_by(self) -> None:
        """Lead nowhere until the server is asked again."""
        self._in_charge = False

    def detach(self) -> None:
        """Lead nowhere from now on."""
        if self._closed and self._rules:
            self._wire.close()
        self._attached = False
        self._closed = True

    def disconnect(self, error: Exception | None) -> None:
        """Tell the server that its connection is lost."""
        self.detach()
        if self._unread:
            self._far_end.weigh(-sum(map(len, self._unread)))
            self._unread.clear()
        self.server.connection_lost(error)

    # What the server reads.

    def give(self, data: bytes) -> None:
        """Let the server read what has come."""
        if self._unread or len(data) > SLICE:
            self._give_in_pieces(data)
        else:
            self.server.data_received(data)

    def _give_in_pieces(self, data: bytes) -> None:
        self._wire.pause_reading()
        self._far_end.weigh(len(data))
        self._unread.extend(sliced(data))
        self._read_soon()

    def _read_soon(self) -> None:
        if self._reads and not self._will_read:
            self._will_read = True
            self._far_end.call_soon(self._read)

    def _read(self) -> None:
        """Let the server read one piece, unless it has enough."""
        self._will_read = False
        if not self._unread or not self._reads:
            return
        piece = self._unread.popleft()
        self._far_end.weigh(-len(piece))
        if not self._unread:
            self._wire.resume_reading()
        try:
            self.server.data_received(piece)
        except Exception:  # as asyncio treats a protocol that fails
            self.abort()
            raise
        if self._unread:  # a handler that it has woken reads first, as where a socket is polled
            self._read_soon()

    def is_reading(self) -> bool:
        return self._reads and not self.is_closing()

    def pause_reading(self) -> None:
        self._reads = False
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._reads = True
        if self._unread:
            self._read_soon()
        else:
            self._wire.resume_reading()

    def hear_end(self) -> bool:
        """Tell the server that the client will send no more; return whether it wants to go on."""
        goes_on = bool(self.server.eof_received())
        return goes_on and self._wire.get_extra_info("sslcontext") is None

    # What it sends.

    @property
    def is_deserted(self) -> bool:
        """Tell whether the client has gone."""
        return not self._attached or self._far_end.is_deserted

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed or not self._in_charge:
            return
        if not isinstance(data, bytes):
            data = bytes(memoryview(data))  # bytes() alone would take a number for a length
        if self.turn is not None:
            self.turn.hear(data)
        self._at_once -= len(data)
        if self._at_once >= 0:
            self._far_end.write_at_once(data)
        else:
            self._far_end.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    # The end.

    def is_closing(self) -> bool:
        return self._closed or self._wire.is_closing()

    def close(self) -> None:
        # As asyncio does: the client hears what was written last before it hears of the end.
        if not self._closed:
            self._closed = True
            self._far_end.call_soon(self._close)

    def _close(self) -> None:
        if self._rules:
            self._wire.close()
        elif self._attached:
            self._far_end.leave(self)  # others have the connection

    def abort(self) -> None:
        self._closed = True
        if self._rules:
            self._wire.abort()
        else:
            self._far_end.call_soon(self._close)

    @property
    def _rules(self) -> bool:
        """Tell whether the connection is this server's to close."""
        return self._attached and (self._in_charge or self._far_end.is_left_to(self))

    # What else a transport can do.

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.server

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.server = cast("asyncio.Protocol", protocol)
        self.is_taken_over = True
        self._at_once = 0  # it may answer within a call of the client's

    @property
    def _sendfile_compatible(self) -> object:
        """Say that no file can be handed to it, so that aiohttp reads the file itself."""
        raise NotImplementedError

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._wire.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._wire.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._wire.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        return self._wire.can_write_eof()

    def write_eof(self) -> None:
        if self._in_charge and not self._closed:
            self._wire.write_eof()
