"""Carry bytes between two asyncio protocols of one process, without a socket.

Rules of the file:

- Two `MemoryTransport` objects back to back are one connection. Each follows the
  contract of `asyncio.Transport` towards the protocol that it serves: flow control,
  half-close, ``connection_lost`` once and never from inside a call of the protocol's.
- Borders of writes are kept: one ``write`` is one ``data_received``, and so is one ``writelines``
  unless it is long: then no copy is made of it.
- Bytes wait at the receiving end. An *eager* end hands them on inside the other
  end's ``write``; any other does so from the event loop, so that whoever wrote a
  request has yielded to the loop before the reply is there, and no more in a turn of
  the loop than a socket would be read: a client that gets more joins what it could
  have read piece by piece, which made a long body half as dear again.
- Nothing here knows HTTP or aiohttp.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, cast

# asyncio's own limits of a socket's write buffer (asyncio/transports.py).
_HIGH_WATER = 64 * 1024
_LOW_WATER = 16 * 1024
# What it asks of a socket in one turn of the loop (asyncio/selector_events.py).
_READ_SIZE = 256 * 1024


class MemoryTransport(asyncio.Transport):
    """Be one end of a connection in memory."""

    __slots__ = (
        "__weakref__",
        "_closing",
        "_eager",
        "_end",
        "_ended",
        "_eof_told",
        "_flushing",
        "_high",
        "_inbox",
        "_inbox_size",
        "_loop",
        "_lost",
        "_low",
        "_reading",
        "_sent_eof",
        "_writer_paused",
        "peer",
        "protocol",
    )

    peer: MemoryTransport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        extra: Mapping[str, Any],
        *,
        eager: bool = False,
    ) -> None:
        self._loop = loop
        self.protocol = protocol  # that this end serves
        self._extra = extra
        self._eager = eager
        self._inbox: deque[bytes] = deque()
        self._inbox_size = 0
        self._reading = True
        self._flushing = False
        self._ended = False  # the other end will write no more
        self._end: BaseException | None = None  # ... because of this
        self._eof_told = False
        self._sent_eof = False
        self._closing = False
        self._lost = False
        self._writer_paused = False
        self._high = _HIGH_WATER
        self._low = _LOW_WATER

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {state}>"

    # The side of the protocol that this end serves.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._extra.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._schedule()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        high = high if high is not None else 4 * low if low is not None else _HIGH_WATER
        low = low if low is not None else high // 4
        if not high >= low >= 0:
            message = f"high ({high!r}) must be >= low ({low!r}) must be >= 0"
            raise ValueError(message)
        self._high, self._low = high, low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self.peer._inbox_size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes):
            data = bytes(memoryview(data))  # bytes() alone would take a number for a length
        if self._sent_eof:
            message = "Cannot call write() after write_eof()"
            raise RuntimeError(message)
        if data and not self._closing:
            self.peer._receive(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        pieces = list(list_of_data)
        if sum(map(len, pieces)) < _HIGH_WATER:
            pieces = [b"".join(pieces)]
        for piece in pieces:
            self.write(piece)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._sent_eof and not self._closing:
            self._sent_eof = True
            self.peer._receive_end(None)

    def close(self) -> None:
        self._leave(None, None)

    def abort(self) -> None:
        self._leave(None, None)

    def abort_both(self) -> None:
        """Close both ends at once: neither hears of the other's going."""
        for end in (self, self.peer):
            if not end._closing:
                end._closing = True
                end._lose_soon(None)

    def reset(self) -> None:
        """Close this end so that the other meets a connection reset (a TCP RST)."""
        reset = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        self._leave(None, reset)

    def write_at_once(self, data: bytes) -> None:
        """Write, and let the other end have it inside of this very call if it would take it now.

        Only from a task that the other end waits for: it must be in the midst of nothing.
        """
        peer = self.peer
        if peer._inbox or self._closing or peer._closing or not peer._reading or self._sent_eof:
            self.write(data)
        else:
            peer._hand_on(data)

    def hand_over(self, data: bytes) -> None:
        """Hand bytes on inside of this very call, whether the other end reads or not.

        The other end must expect that: it gets them in the midst of what it does.
        """
        peer = self.peer
        peer._inbox.append(data)
        while peer._inbox and not peer._closing:
            peer._hand_on(peer._inbox.popleft())
        peer._inbox_size = 0

    def end(self) -> None:
        """Close both ends inside of this very call; the other end must expect that, too."""
        for each in (self.peer, self):
            each._closing = True
            each._lose(None)

    # The side of the other end.

    def _receive(self, data: bytes) -> None:
        if self._closing:
            return
        if self._eager and self._reading and not self._inbox:
            self._hand_on(data)
            return
        self._inbox.append(data)
        self._inbox_size += len(data)
        if self._eager:
            self._flush()
        elif self._reading and not self._flushing:
            self._schedule()
        if self._inbox_size > self.peer._high:
            self.peer._pause_writer()

    def _receive_end(self, reason: BaseException | None) -> None:
        self._ended = True
        self._end = reason
        self._schedule()

    def weigh(self, size: int) -> None:
        """Count bytes that were handed on as still to be read, or as read: then less than zero."""
        if self._closing:
            return
        self._inbox_size += size
        if self._inbox_size > self.peer._high:
            self.peer._pause_writer()
        elif self._inbox_size <= self.peer._low:
            self.peer._resume_writer()

    def _pause_writer(self) -> None:
        if not self._writer_paused and not self._closing:
            self._writer_paused = True
            self.protocol.pause_writing()

    def _resume_writer(self) -> None:
        if self._writer_paused:
            self._writer_paused = False
            if not self._lost:
                self.protocol.resume_writing()

    # Delivery.

    def _schedule(self) -> None:
        if self._flushing or self._closing or not self._reading:
            return
        try:
            self._loop.call_soon(self._flush)
            self._flushing = True
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _flush(self) -> None:
        self._flushing = False
        inbox = self._inbox
        room = _READ_SIZE
        while inbox and self._reading and not self._closing and room > 0:
            data = inbox.popleft()
            self._inbox_size -= len(data)
            room -= len(data)
            self._hand_on(data)
        if inbox:
            self._schedule()
        if self.peer._writer_paused and self._inbox_size <= self.peer._low:
            self.peer._resume_writer()
        if self._ended and self._reading and not inbox and not self._closing:
            self._deliver_end()

    def _hand_on(self, data: bytes) -> None:
        try:
            self.protocol.data_received(data)
        except Exception as error:  # noqa: BLE001 - as asyncio treats a protocol that fails
            self._fail(error, "data_received")

    def _fail(self, error: Exception, method: str) -> None:
        self._loop.call_exception_handler(
            {
                "message": f"Fatal error: protocol.{method}() call failed.",
                "exception": error,
                "transport": self,
                "protocol": self.protocol,
            }
        )
        self._leave(error, None)

    def _deliver_end(self) -> None:
        self._ended = False
        if self._end is not None:
            self._leave(self._end, None)
        elif not self._eof_told and not self._wants_to_go_on():
            self.close()

    def _wants_to_go_on(self) -> bool:
        """Tell the protocol, once, that no more will come; it may still want to write."""
        self._eof_told = True
        try:
            return bool(self.protocol.eof_received())
        except Exception as error:  # noqa: BLE001 - as asyncio treats a protocol that fails
            self._fail(error, "eof_received")
            return False

    def _leave(self, mine: BaseException | None, theirs: BaseException | None) -> None:
        """Close this end: my protocol loses the connection for one reason, the peer for another."""
        if self._closing:
            return
        self._closing = True
        self.peer._receive_end(theirs)
        self.peer._resume_writer()
        self._lose_soon(mine)

    def _lose_soon(self, reason: BaseException | None) -> None:
        self._inbox.clear()
        self._inbox_size = 0
        if not self._loop.is_closed():
            self._loop.call_soon(self._lose, reason)

    def _lose(self, reason: BaseException | None) -> None:
        if self._lost:
            return
        self._lost = True
        self.protocol.connection_lost(reason if isinstance(reason, Exception) else None)


def connect_in_memory(
    loop: asyncio.AbstractEventLoop,
    near: asyncio.Protocol,
    far: asyncio.Protocol,
    *,
    near_extra: Mapping[str, Any],
    far_extra: Mapping[str, Any],
    far_is_eager: bool,
) -> None:
    """Connect two protocols with each other and tell both, the far one first."""
    a = MemoryTransport(loop, near, near_extra)
    b = MemoryTransport(loop, far, far_extra, eager=far_is_eager)
    a.peer, b.peer = b, a
    far.connection_made(b)
    near.connection_made(a)
