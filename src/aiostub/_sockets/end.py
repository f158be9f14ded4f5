"""The far end of a connection on a socket: the one in memory, with a real transport under it.

Rules of the file:

- One request at a time. What a client sends behind one that is not answered yet waits.
- A parser gets the bytes of one request and no more, so that a web server that is to answer can
  be given the same.
- Nobody is cut off in the middle of sending: what comes of a request that is answered already is
  read and forgotten, for a socket that is closed with something unread resets the connection, and
  the answer may be lost (RFC 9112, 9.6).

aiohttp's private names used here, and why:

- ``aiohttp.http_parser.HttpRequestParser``: by way of `FarEnd`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError

from aiostub._exchange.socket import SocketExchange
from aiostub._wire.far_end import FarEnd

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader
    from yarl import URL

    from aiostub._routing.registry import Registry

_logger = logging.getLogger("aiostub")

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_END_OF_CHUNKS = b"\r\n\r\n"  # behind the last chunk, or behind the trailers
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: |\Z)")

# SO_LINGER: on, for no time.
_RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_GAP = 0.02  # seconds between what is sent and a reset
_PATIENCE = 0.5  # seconds in which a client that has stopped sending must have got something


class Place(Protocol):
    """Where connections come in."""

    loop: asyncio.AbstractEventLoop
    asked: Callable[[], Sequence[Registry]]

    def url_of(self, method: str, target: str) -> URL: ...
    def connected(self, end: SocketEnd) -> None: ...
    def lost(self, end: SocketEnd) -> None: ...


class SocketEnd(FarEnd):
    """Serve one connection of a client on a socket."""

    def __init__(self, place: Place) -> None:
        super().__init__(place.loop, set())  # its place knows the others
        self._place = place
        self._unread = bytearray()
        self._body_left = 0  # of a body whose length is known
        self._last_bytes = b""  # of a body in chunks
        self._is_last = False  # no other request can follow
        self._wrote = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._place.connected(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self.wire.close()  # CPython 3.10 warns of a TLS transport that lost its connection unclosed
        super().connection_lost(exc)
        self._place.lost(self)

    # Reading.

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._read_on()

    def _read_on(self) -> None:
        while self._unread and not self.wire.is_closing():
            if self.message is None:
                if not self._take_request():
                    return
            elif self._payload is not None:
                self._take(self._next_of_body())
            elif self._is_upgraded:
                self._take_upgraded()
            else:
                return

    @property
    def _is_upgraded(self) -> bool:
        return self.side is not None and getattr(self.message, "upgrade", False)

    def _take_request(self) -> bool:
        """Begin a request when all of its head is there; tell whether it was."""
        del self._unread[: len(self._unread) - len(self._unread.lstrip(b"\r\n"))]  # RFC 9112, 2.2
        end = _END_OF_HEAD.search(self._unread)
        if end is not None:
            self._begin_request(self._cut(end.end()))
        elif self._unread and _METHOD.match(self._unread) is None:
            self._refuse(BadHttpMessage("this is no request line"))
        return end is not None

    def _begin_request(self, head: bytes) -> None:
        try:
            message, payload = self._parsed(head)
            url = self._place.url_of(message.method, message.path)
        except HttpProcessingError as error:
            self._refuse(error)
            return
        except ValueError as error:  # no URL, or no length
            self._refuse(BadHttpMessage(str(error)))
            return
        self.raw.append(head)
        self.message, self._payload = message, payload
        reader = self._reader = SocketExchange(self._place.asked(), self, message, url)
        if message.method == "CONNECT" or payload.is_eof():
            self._payload = None
            reader.request_arrived(message, b"")
        else:
            reader.head_arrived(message)

    def _parsed(self, head: bytes) -> tuple[Any, StreamReader]:
        self.method = head.partition(b" ")[0].decode("latin-1")
        self._requests = self._new_parser()
        messages, _upgraded, _tail = self._requests.feed_data(head)
        if not messages:
            raise BadHttpMessage("this is no head of a request")
        message, payload = messages[0]
        self._body_left = int(message.headers.get("Content-Length", 0))
        self._last_bytes = b""
        self._wrote = False
        return message, payload

    def _next_of_body(self) -> bytes:
        """Take what of the unread may belong to the body."""
        if self._body_left:
            piece = self._cut(self._body_left)
            self._body_left -= len(piece)
            return piece
        known = len(self._last_bytes)
        end = (self._last_bytes + self._unread).find(_END_OF_CHUNKS)
        piece = self._cut(len(self._unread) if end < 0 else end + len(_END_OF_CHUNKS) - known)
        self._last_bytes = (self._last_bytes + piece)[1 - len(_END_OF_CHUNKS) :]
        return piece

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._unread[:size])
        del self._unread[:size]
        return piece

    def _take(self, data: bytes) -> None:
        side = self.side  # one that is found now gets all that came anyway
        if self._reader is not None:
            self.raw.append(data)
        try:
            piece = self._parsed_body(data)
        except HttpProcessingError as error:
            self._refuse(error)
        else:
            self._tell(piece)
        if side is not None and self.side is side:
            side.give(data)

    def _parsed_body(self, data: bytes) -> bytes:
        assert self._payload is not None
        self._requests.feed_data(data)
        piece = self._payload.read_nowait()
        if self._payload.is_eof():
            self._payload = None
        return piece

    def _tell(self, piece: bytes) -> None:
        if self._reader is None:
            self._turn_to_the_next()
        elif self._payload is None:
            assert self.message is not None
            self._reader.request_arrived(self.message, piece)
        elif piece:
            self._reader.body_arrived(piece)

    def _take_upgraded(self) -> None:
        data = self._cut(len(self._unread))
        if self._hear_client is not None:
            self._hear_client(data)
        assert self.side is not None
        self.side.give(data)

    # What is no HTTP.

    def _refuse(self, error: HttpProcessingError) -> None:
        """Answer 400, and read no more."""
        _logger.warning("what came over a socket is no HTTP: %s", error.message)
        self._is_last = True
        self._unread.clear()
        self._payload = None
        if self._reader is not None:
            self._reader.request_refused(error)
        elif self.message is None:
            text = f"Bad Request: {error.message}".encode("utf-8", "replace")
            self.write(_BAD_REQUEST % (len(text), text))
            self.wire.close()
        else:
            self.wire.close()

    # The end of a request.

    def finish(self, reader: Any) -> None:
        """Forget a request that is answered, and turn to the next."""
        if self._reader is not reader:
            return
        self._reader = None
        if self.side is None:
            if not self.wire.is_closing():
                self.wire.resume_reading()  # held for a server that did not start
            self.leave_all()
        elif not self._stands_by(self.side):
            self.leave(self.side)
        self.raw.clear()
        self._turn_to_the_next()

    def _turn_to_the_next(self) -> None:
        """Wait for the next request, behind what is still to come of this one."""
        if self._payload is not None:
            return
        self._requests = self.message = None
        if self._is_last or (self._half_closed and not self._unread):
            self.wire.close()
        elif self._unread:
            self._loop.call_soon(self._read_on)

    def eof_received(self) -> bool:
        """Learn that the client has closed its side, or all of the connection: TCP says no more.

        It is given the time to take an answer that is on its way.
        """
        if self.side is not None and self.side.is_taken_over:
            return self.side.hear_end()
        is_waiting = self._reader is not None and self._payload is None and not self._is_upgraded
        if not is_waiting or self.wire.get_extra_info("sslcontext") is not None:
            return False  # TLS cannot be half open
        self._half_closed = True
        self._be_patient()
        return True

    def _be_patient(self) -> None:
        self._wrote = False
        self._patience = self._loop.call_later(_PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        if self._wrote:
            self._be_patient()
        else:
            self.wire.close()

    # Writing.

    def write(self, data: bytes) -> None:
        self._wrote = True
        super().write(data)

    def weigh(self, size: int) -> None:
        """Do nothing: the client waits with what its socket does not take."""

    def write_at_once(self, data: bytes) -> None:
        self.write(data)  # as soon as a socket can

    @property
    def is_unread(self) -> bool:
        return True  # nobody here can tell

    def close(self) -> None:
        self._reader = None
        self._is_last = True
        if self._payload is None:
            self.wire.close()
        elif self.wire.can_write_eof():
            self.wire.write_eof()

    def abort(self) -> None:
        self.wire.abort()

    def abandon(self) -> None:
        """Drop the connection, and the request that is under way."""
        if isinstance(self._reader, SocketExchange):
            self._reader.abandon()
        self.wire.abort()

    def reset(self) -> None:
        self._reader = None
        self._is_last = True
        if self._wrote:  # the client reads that first, and many forget it when they meet a reset
            self._loop.call_later(_GAP, self._reset_when_sent)
        else:
            self._reset()

    def _reset_when_sent(self) -> None:
        if self.wire.get_write_buffer_size() and not self.wire.is_closing():
            self._loop.call_later(_GAP, self._reset_when_sent)
        else:
            self._reset()

    def _reset(self) -> None:
        raw = self.wire.get_extra_info("socket")
        if raw is not None and not self.wire.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.wire.abort()


_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
