"""The far end of a connection in memory: read requests, write what an exchange says.

It stands where a server would. aiohttp's own request parser reads, so that the log holds what a
real aiohttp server would have got.

aiohttp's private names used here, and why:

- ``aiohttp.base_protocol.BaseProtocol``: what its parser and its streams want of a protocol.
- ``aiohttp.http_parser.HttpRequestParser`` and ``HttpRequestParserPy``: the C parser takes only
  the methods that llhttp knows, the one in Python takes any.
- ``ResponseHandler._payload`` and ``StreamReader._size``: whether the client has read what it got.
- ``BaseProtocol._reading_paused``: whether it would take more than it has parsed.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub._answers.reply import SLICE, sliced
from aiostub._wire.memory import MemoryTransport, connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.streams import StreamReader

    from aiostub._matching.request import Headers
    from aiostub._wire.server_side import ServerSide, Turn

_NO_LIMIT = 2**30  # the payload is taken out after each write, so it never fills up
_LONG_LINE = 2**24  # the client's own headers are not ours to refuse

_LLHTTP_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


# A head of which nothing need be known but its lines, and how long the body is: RFC 9112, 3 and 5,
# in its plainest form. Compiled by the first request: it is 4 % of the package's import.
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD = rb"%b [!-~]+ HTTP/1\.1\r\n(?:%b:[\t -~\x80-\xff]*\r\n)*\r\n" % (_TOKEN, _TOKEN)
_FRAMING = rb"(?i)\n(connection|content-length|expect|transfer-encoding|upgrade):[ \t]*([^\r]*)"
_END = b"\r\n\r\n"


class Head(Protocol):
    """The head of a request, as aiohttp's parser gives it."""

    @property
    def headers(self) -> Headers: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def should_close(self) -> bool: ...


class PlainHead:
    """The head of a request whose lines are read when somebody asks for them.

    Most requests have such a head, and parsing it is the dearest thing that the far end does.
    """

    __slots__ = ("body_size", "headers", "should_close", "version")

    def __init__(self, lines: bytes, body_size: int) -> None:
        self.headers: Headers = partial(_lines, lines)
        self.body_size = body_size
        self.version = (1, 1)
        self.should_close = False


# Tests send the same few heads over and over: reading one again is 0.2 µs instead of 4.
@lru_cache(maxsize=256)
def _plain_head(head: bytes) -> PlainHead | None:
    if re.fullmatch(_HEAD, head) is None:
        return None
    framing = re.findall(_FRAMING, head)
    if not framing:
        return PlainHead(head, 0)
    (name, value), *more = framing
    if more or name.lower() != b"content-length" or not value.isdigit():
        return None
    return PlainHead(head, int(value))


@lru_cache(maxsize=256)  # those who look at what they have sent share what is read
def _lines(head: bytes) -> CIMultiDictProxy[str]:
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    return CIMultiDictProxy(CIMultiDict((name, value.strip(" \t")) for name, _, value in pairs))


class Reader(Protocol):
    """Be told what arrives at the far end."""

    def head_arrived(self, message: Head) -> None:
        """Take the request line and the headers."""

    def body_in(self, data: bytes, start: int) -> bytes:
        """Return the body that begins in the midst of what came."""

    def body_arrived(self, data: bytes) -> None:
        """Take a piece of the body, its transfer coding undone."""

    def request_arrived(self, message: Head, data: bytes) -> None:
        """Learn that the request is complete, with the last piece of its body."""

    def request_refused(self, error: HttpProcessingError) -> None:
        """Learn that what came is no request that a server would take."""

    def client_left(self) -> None:
        """Learn that the client has closed the connection."""


class FarEnd(BaseProtocol):
    """Serve one connection of a client, request after request.

    Args:
        loop: of the client.
        among: the far ends whose connections are open, to which this one belongs until then.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, among: set[FarEnd]) -> None:
        super().__init__(loop)
        self._among = among
        self.wire: MemoryTransport = cast("MemoryTransport", None)  # set when connected
        self.raw: list[bytes] = []  # what came, for a replay to a real server
        self.message: Head | None = None
        self._reader: Reader | None = None
        self.method = ""  # of the request that is under way
        self._requests: Any = None
        self._payload: StreamReader | None = None
        self._missing = 0  # bytes of a body that no parser needs to read
        self._half_closed = False
        self.side: ServerSide | None = None  # of the web server that answers
        self._sides: dict[object, ServerSide] = {}  # of all that have answered, by their owners
        self._hear_client: Callable[[bytes], None] | None = None

    @classmethod
    def connect(
        cls,
        loop: asyncio.AbstractEventLoop,
        client: ResponseHandler,
        extra: Mapping[str, Any],
        far_extra: Mapping[str, Any],
        among: set[FarEnd],
    ) -> FarEnd:
        """Give a client's protocol a connection that leads to a new far end."""
        far_end = cls(loop, among)
        connect_in_memory(
            loop, client, far_end, near_extra=extra, far_extra=far_extra, far_is_eager=True
        )
        return far_end

    @property
    def client(self) -> ResponseHandler:
        """Return the client's protocol."""
        return self.wire.peer.get_protocol()  # type: ignore[return-value] # no cast: each chunk asks

    @property
    def is_deserted(self) -> bool:
        """Tell whether nobody is at the other end."""
        peer = getattr(self.wire, "peer", self.wire)  # which a socket does not have
        return self.wire.is_closing() or peer.is_closing()

    @property
    def is_idle(self) -> bool:
        """Tell whether no request is under way, and no server hears the end of one."""
        return self._reader is None and all(side.turn is None for side in self._sides.values())

    def is_left_to(self, side: ServerSide) -> bool:
        """Tell whether no request is under way, and no other server has the connection."""
        return self.is_idle and len(self._sides) == 1 and side.owner in self._sides

    @property
    def is_plain(self) -> bool:
        """Tell whether the head of the request asks for nothing but an answer."""
        return type(self.message) is PlainHead

    def call_soon(self, act: Callable[[], None]) -> None:
        """Do something in a turn of the event loop of its own."""
        self._loop.call_soon(act)

    def begin(self, reader: Reader, method: str) -> None:
        """Read the next request for *reader*.

        Args:
            reader: is told what arrives.
            method: which parser will do depends on it.
        """
        if self.side is not None:
            self.leave(self.side)
        if self.raw or self.message is not None:
            self._forget()
        self._reader = reader
        self.method = method

    def _forget(self) -> None:
        self._reader = self._requests = self._payload = self.message = None
        self._missing = 0
        self.raw.clear()

    def _new_parser(self) -> Any:
        known = self.method in _LLHTTP_METHODS
        return (HttpRequestParser if known else HttpRequestParserPy)(
            self,
            self._loop,
            _NO_LIMIT,
            max_line_size=_LONG_LINE,
            max_field_size=_LONG_LINE,
            auto_decompress=False,
        )

    def finish(self, reader: Reader) -> None:
        """Forget a reader whose exchange is over: an idle connection keeps nothing alive."""
        if self._reader is reader:
            side = self.side
            if side is None:
                self.wire.resume_reading()
                if self._sides:
                    self.leave_all()
            elif not self._stands_by(side):
                # It may still have to read what the client said before it went.
                self._loop.call_soon(self._leave_later, side)
            self._forget()
            if self._half_closed:
                self.wire.close()

    # Web servers that answer. Each keeps its connection, to answer again, as long as nobody answers
    # who is no such server, and it has sent all of its answer when another one is asked.

    def _stands_by(self, side: ServerSide) -> bool:
        """Let the server say and hear nothing until it is asked again; tell whether it can be."""
        if self._missing or self._payload is not None or side.is_closing():
            return False
        if not self.wire.is_reading():  # it has enough of a body, but others are to be heard
            return False
        side.stand_by()
        self.side = self._hear_client = None
        return True

    def put_servers_away(self) -> None:
        """Close the connections of servers that have nothing to do, before this call returns."""
        if self._sides and self.is_idle:
            self.leave_all()

    def hold(self) -> None:
        """Take no more of the request until a server is there, which reads as fast as it can."""
        self.wire.pause_reading()

    def side_of(self, owner: object) -> ServerSide | None:
        """Return the side of the server that answered before, if it would answer again."""
        side = self._sides.get(owner)
        return None if side is None or side.is_closing() else side

    def admit(self, side: ServerSide) -> None:
        """Let a new server have the connection, besides those of other owners."""
        former = self._sides.get(side.owner)
        if former is not None:
            self.leave(former)
        self._sides[side.owner] = side
        side.connect()
        if self._paused:
            side.server.pause_writing()

    def let_answer(
        self, side: ServerSide, turn: Turn, hear_client: Callable[[bytes], None] | None
    ) -> None:
        """Let a server answer this request: it gets what came, and what will.

        Args:
            side: of the server.
            turn: the request.
            hear_client: told what comes after the request.
        """
        if len(self._sides) > 1:
            self._leave_busy(but=side)
        self.side = side
        self._hear_client = hear_client
        side.expect(turn)
        self.wire.resume_reading()
        side.give(b"".join(self.raw))

    def weigh(self, size: int) -> None:
        """Let the client wait with its writing for so much that a server has still to read."""
        self.wire.weigh(size)

    def _leave_later(self, side: ServerSide) -> None:
        if self.side is side:
            self.leave(side)

    def _leave_busy(self, but: ServerSide) -> None:
        for side in tuple(self._sides.values()):
            if side is not but and side.turn is not None:
                self.leave(side)

    def leave_all(self, error: BaseException | None = None) -> None:
        """Let no server have the connection any more."""
        for side in tuple(self._sides.values()):
            self.leave(side, error)

    def leave(self, side: ServerSide, error: BaseException | None = None) -> None:
        """Let a server lose the connection."""
        if side is self.side:
            self.side = self._hear_client = None
        del self._sides[side.owner]
        side.disconnect(error if isinstance(error, Exception) else None)
        if not self.wire.is_closing():  # where TLS has nothing left to read from
            self.wire.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        for side in self._sides.values():
            side.server.pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        for side in self._sides.values():
            side.server.resume_writing()

    # What a body asks for whose reader is slow or fast. This one takes everything at once; who
    # answers is to say how fast the wire is read.

    def pause_reading(self) -> None:
        pass

    def resume_reading(self, *_: object, **__: object) -> None:
        pass

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.wire = cast("MemoryTransport", transport)
        self._among.add(self)

    def data_received(self, data: bytes) -> None:
        side = self.side  # one that is found now gets all that came anyway
        reader = self._reader
        if reader is not None and data:  # aiohttp 3.14 asks again with nothing new
            if self.message is None and self._requests is None:
                self._take_head(reader, data)
            else:
                self._take_more(data)
        if side is None or self.side is not side:
            return
        if self._hear_client is not None:
            self._hear_client(data)
        side.give(data)

    def _take_head(self, reader: Reader, data: bytes) -> None:
        self.raw.append(data)
        start = data.find(_END) + len(_END)  # of the body
        size = len(data) - start
        head = _plain_head(data[:start] if size else data)
        if head is None or size > head.body_size:
            self._requests = self._new_parser()
            self._parse(data)
            return
        self.message = head
        if size == head.body_size:
            reader.request_arrived(head, reader.body_in(data, start) if size else b"")
            return
        self._missing = head.body_size
        reader.head_arrived(head)
        if size:
            self._take_plain_body(data[start:])

    def _take_more(self, data: bytes) -> None:
        if self._missing:
            self.raw.append(data)
            self._take_plain_body(data)
        elif self.message is None or self._payload is not None:
            self.raw.append(data)
            self._parse(data)
        # Else these are bytes of an upgraded connection, behind a complete request.

    def _take_plain_body(self, data: bytes) -> None:
        # An early answer to the head may have closed the connection.
        if self._reader is None or self.message is None:
            return
        piece = data[: self._missing]
        self._missing -= len(piece)
        if self._missing:
            self._reader.body_arrived(piece)
        else:
            self._reader.request_arrived(self.message, piece)

    def _parse(self, data: bytes) -> None:
        assert self._reader is not None
        try:
            messages, _upgraded, _tail = self._requests.feed_data(data)
        except HttpProcessingError as error:
            self._reader.request_refused(error)
            return
        for message, payload in messages:
            self.message, self._payload = message, payload
            if not payload.is_eof():
                self._reader.head_arrived(message)
        self._take_body()

    def _take_body(self) -> None:
        reader, message, payload = self._reader, self.message, self._payload
        # An early answer to the head may have closed the connection.
        if reader is None or message is None or payload is None:
            return
        piece = payload.read_nowait()
        if payload.is_eof():
            self._payload = None
            reader.request_arrived(message, piece)
        elif piece:
            reader.body_arrived(piece)

    def eof_received(self) -> bool:
        if self.side is not None and self.side.is_taken_over:
            return self.side.hear_end()
        self._half_closed = not self.wire.peer.is_closing()
        return self._half_closed  # such a client still reads the response

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._among.discard(self)
        if self._sides:
            self.leave_all(exc)
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.client_left()

    # Writing.

    def write(self, data: bytes) -> None:
        """Send bytes to the client; long ones in the pieces in which a socket would be read."""
        for piece in sliced(data):
            self.wire.write(piece)

    def write_at_once(self, data: bytes) -> None:
        """Send bytes without a turn of the loop before the client has them, if they are few.

        Only from a task in which the client is in the midst of nothing.
        """
        if len(data) > SLICE:
            self.write(data)
        else:
            self.wire.write_at_once(data)

    def answer_at_once(self, data: bytes, *, keep: bool) -> None:
        """Send a whole answer before the client does anything else.

        Args:
            data: of the answer.
            keep: whether the connection may be kept; if not, this is the end of it.
        """
        client = self.client
        self.wire.hand_over(data)
        while client._reading_paused and client.is_connected():  # however long it is
            client.resume_reading()
        content = client._payload
        if not keep or content is None or not content.is_eof():
            self._reader = None
            self.wire.end()

    @property
    def is_unread(self) -> bool:
        """Tell whether the client may still have to read what was sent."""
        if self.wire.get_write_buffer_size():
            return True
        content = self.client._payload
        # Nothing may have come out yet of what was compressed.
        return content is None or content._size > 0 or not content.total_bytes

    @property
    def takes_more(self) -> bool:
        """Tell whether there is a client, and it would take more."""
        return self.transport is not None and not self._paused

    async def drain(self) -> None:
        """Wait until the client takes more, and let it read what it has."""
        await self._drain_helper()

    def close(self) -> None:
        """Close the connection properly (FIN)."""
        self._reader = None
        self.wire.close()

    def abort(self) -> None:
        """Close both ends at once: nobody will."""
        self._reader = None
        self.wire.abort_both()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        self._reader = None
        self.wire.reset()
