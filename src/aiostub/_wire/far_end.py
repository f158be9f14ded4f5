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
from collections import deque
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub._answers.reply import SLICE, sliced
from aiostub._wire.memory import MemoryTransport, connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.streams import StreamReader

    from aiostub._matching.request import Headers

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


class Turn(Protocol):
    """One request that a web server answers, of those that come over a connection."""

    def hear(self, data: bytes) -> None:
        """Learn what the server sends."""


class ServerSide:
    """Be the transport of a web server that answers requests of a connection, one after another.

    As long as nobody else is asked, the server stays: it takes a request that comes while it is
    still busy with the one before, as behind a socket. While another answers, it leads nowhere.

    Args:
        far_end: of the connection.
        owner: whose server it is.
    """

    def __init__(self, far_end: FarEnd, owner: object) -> None:
        self.owner = owner
        self.turn: Turn | None = None  # of the request that is being answered
        self._next: deque[Turn] = deque()
        self._far_end = far_end
        self._attached = True
        self._in_charge = True
        self._closed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._far_end.wire, name)

    @property
    def _sendfile_compatible(self) -> object:
        """Say that no file can be handed to it, so that aiohttp reads the file itself."""
        raise NotImplementedError

    # Turns.

    def expect(self, turn: Turn) -> None:
        """Learn that the server gets a request to answer, after those that it has got before."""
        self._in_charge = True
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
        if self._closed:
            self._close()
        self._attached = False

    # asyncio.Transport

    @property
    def is_deserted(self) -> bool:
        """Tell whether the client has gone."""
        return not self._attached or self._far_end.is_deserted

    def is_closing(self) -> bool:
        return self._closed or not self._attached or self._far_end.wire.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed or not self._attached or not self._in_charge:
            return
        if not isinstance(data, bytes):
            data = bytes(memoryview(data))  # bytes() alone would take a number for a length
        if self.turn is not None:
            self.turn.hear(data)
        self._far_end.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        # As asyncio does: the client hears what was written last before it hears of the end.
        if not self._closed:
            self._closed = True
            self._far_end.call_soon(self._close)

    def _close(self) -> None:
        if self._rules:
            self._far_end.wire.close()

    def abort(self) -> None:
        self._closed = True
        if self._rules:
            self._far_end.wire.abort()

    @property
    def _rules(self) -> bool:
        """Tell whether the connection is this server's to close."""
        return self._attached and (self._in_charge or self._far_end.is_idle)

    def get_protocol(self) -> asyncio.BaseProtocol | None:
        return self._far_end.server

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._far_end.server = cast("asyncio.Protocol", protocol)


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
        self.server: asyncio.Protocol | None = None  # of the application that answers
        self._kept: asyncio.Protocol | None = None  # the one that stands by, to be asked again
        self._side: ServerSide | None = None
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
        is_at_work = self._side is not None and self._side.turn is not None
        return self._reader is None and not is_at_work

    def call_soon(self, act: Callable[[], None]) -> None:
        """Do something in a turn of the event loop of its own."""
        self._loop.call_soon(act)

    def begin(self, reader: Reader, method: str) -> None:
        """Read the next request for *reader*.

        Args:
            reader: is told what arrives.
            method: which parser will do depends on it.
        """
        if self.server is not None:
            self._leave_server(None)
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
            if self.server is None:
                self.wire.resume_reading()
                self._leave_kept()
            elif not self._stands_by():
                # It may still have to read what the client said before it went.
                self._loop.call_soon(self._leave_later, self.server)
            self._forget()
            if self._half_closed:
                self.wire.close()

    # A web server that answers.

    def _stands_by(self) -> bool:
        """Let the server say and hear nothing until it is asked again; tell whether it can be."""
        side = self._side
        if side is None or side.is_closing() or self._missing or self._payload is not None:
            return False
        if not self.wire.is_reading():  # it has enough of a body, but others are to be heard
            return False
        side.stand_by()
        self._kept, self.server, self._hear_client = self.server, None, None
        return True

    def _leave_kept(self) -> None:
        if self._kept is not None:
            self._leave_server(None)

    def put_server_away(self) -> None:
        """Close the connection of a server that has nothing to do, before this call returns."""
        if (self.server or self._kept) is not None and self.is_idle:
            self._leave_server(None)

    def hold(self) -> None:
        """Take no more of the request until a server is there, which reads as fast as it can."""
        self.wire.pause_reading()

    def ask_again(
        self, owner: object, turn: Turn, hear_client: Callable[[bytes], None] | None
    ) -> bool:
        """Let the server that answered before answer this request as well, if there is one.

        Args:
            owner: whose server it must be.
            turn: the request.
            hear_client: told what comes after the request.
        """
        kept, side = self._kept, self._side
        if kept is None or side is None or side.owner is not owner:
            return False
        self._kept = None
        self._feed(kept, side, turn, hear_client)
        return True

    def serve(
        self,
        server: asyncio.Protocol,
        side: ServerSide,
        turn: Turn,
        hear_client: Callable[[bytes], None] | None,
    ) -> None:
        """Let the protocol of a server answer this request: it gets what came, and what will.

        Args:
            server: the protocol.
            side: its transport.
            turn: the request.
            hear_client: told what comes after the request.
        """
        self._leave_kept()
        self._side = side
        server.connection_made(cast("asyncio.Transport", side))
        if self._paused:
            server.pause_writing()
        self._feed(server, side, turn, hear_client)

    def _feed(
        self,
        server: asyncio.Protocol,
        side: ServerSide,
        turn: Turn,
        hear_client: Callable[[bytes], None] | None,
    ) -> None:
        self._hear_client = hear_client
        self.server = server
        side.expect(turn)
        self.wire.resume_reading()
        for data in self.raw:
            server.data_received(data)

    def _leave_later(self, server: asyncio.Protocol) -> None:
        if self.server is server:
            self._leave_server(None)

    def _leave_server(self, error: BaseException | None) -> None:
        server, side = self.server or self._kept, self._side
        self.server = self._kept = self._side = self._hear_client = None
        assert side is not None
        side.detach()
        if server is not None:
            server.connection_lost(error if isinstance(error, Exception) else None)
        if not self.wire.is_closing():  # where TLS has nothing left to read from
            self.wire.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        server = self.server or self._kept
        if server is not None:
            server.pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        server = self.server or self._kept
        if server is not None:
            server.resume_writing()

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
        server = self.server  # one that is found now gets all that came anyway
        reader = self._reader
        if reader is not None and data:  # aiohttp 3.14 asks again with nothing new
            if self.message is None and self._requests is None:
                self._take_head(reader, data)
            else:
                self._take_more(data)
        if server is None or self.server is None:
            return
        if self._hear_client is not None:
            self._hear_client(data)
        self.server.data_received(data)

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
        self._half_closed = not self.wire.peer.is_closing()
        return self._half_closed  # such a client still reads the response

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._among.discard(self)
        if (self.server or self._kept) is not None:
            self._leave_server(exc)
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

        Only from a task of our own, in which the client is in the midst of nothing.
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
