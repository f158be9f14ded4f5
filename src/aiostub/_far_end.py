"""The far end of a connection in memory: read requests, write what an exchange says.

It stands where a server would. aiohttp's own request parser reads, so that the log holds what a
real aiohttp server would have got.

aiohttp's private names used here, and why:

- ``aiohttp.base_protocol.BaseProtocol``: what its parser and its streams want of a protocol.
- ``aiohttp.http_parser.HttpRequestParser`` and ``HttpRequestParserPy``: the C parser takes only
  the methods that llhttp knows, the one in Python takes any.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub._memory import MemoryTransport, connect_in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.streams import StreamReader

    from aiostub._request import Headers

FAR_END = "aiostub.far_end"  # the extra info of a client's transport that leads here

_NO_LIMIT = 2**30  # the payload is taken out after each write, so it never fills up
_LONG_LINE = 2**24  # the client's own headers are not ours to refuse
_SLICE = 256 * 1024  # asyncio reads a socket in pieces of this size at the most

_LLHTTP_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


# A head of which nothing need be known but its lines: RFC 9112, 3 and 5, in its plainest form.
_PLAIN_HEAD = re.compile(
    rb"""
    [!#$%&'*+\-.^_`|~0-9A-Z]+ [ ] [!-~]+ [ ] HTTP/1\.1\r\n
    (?:
        (?! (?: connection | content-length | expect | transfer-encoding | upgrade ) : )
        [!#$%&'*+\-.^_`|~0-9A-Z]+ : [\t -~\x80-\xff]* \r\n
    )*
    \r\n
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Head(Protocol):
    """The head of a request, as aiohttp's parser gives it."""

    @property
    def headers(self) -> Headers: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def should_close(self) -> bool: ...


class PlainHead(NamedTuple):
    """The head of a request without a body, whose lines are read when somebody asks for them.

    Most requests are such, and parsing them is the dearest thing that the far end does.
    """

    headers: Callable[[], CIMultiDictProxy[str]]
    version: tuple[int, int] = (1, 1)
    should_close: bool = False

    @classmethod
    def of(cls, data: bytes) -> PlainHead | None:
        """Return the head that these bytes are, if they are one and nothing special is in it."""
        return cls(partial(_lines, data)) if _PLAIN_HEAD.fullmatch(data) else None


def _lines(head: bytes) -> CIMultiDictProxy[str]:
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    return CIMultiDictProxy(CIMultiDict((name, value.strip(" \t")) for name, _, value in pairs))


class Reader(Protocol):
    """Be told what arrives at the far end."""

    def head_arrived(self, message: Head) -> None:
        """Take the request line and the headers."""

    def body_arrived(self, data: bytes) -> None:
        """Take a piece of the body, its transfer coding undone."""

    def request_arrived(self, message: Head, data: bytes) -> None:
        """Learn that the request is complete, with the last piece of its body."""

    def request_refused(self, error: HttpProcessingError) -> None:
        """Learn that what came is no request that a server would take."""

    def client_left(self) -> None:
        """Learn that the client has closed the connection."""


class FarEnd(BaseProtocol):
    """Serve one connection of a client, request after request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.wire: MemoryTransport = cast("MemoryTransport", None)  # set when connected
        self.raw: list[bytes] = []  # what came, for a replay to a real server
        self.message: Head | None = None
        self._reader: Reader | None = None
        self._method = ""
        self._requests: Any = None
        self._payload: StreamReader | None = None
        self._half_closed = False

    @classmethod
    def connect(
        cls,
        loop: asyncio.AbstractEventLoop,
        client: ResponseHandler,
        extra: Mapping[str, Any],
    ) -> FarEnd:
        """Give a client's protocol a connection that leads to a new far end."""
        far_end = cls(loop)
        connect_in_memory(
            loop,
            client,
            far_end,
            near_extra={**extra, FAR_END: far_end},
            far_extra={},
            far_is_eager=True,
        )
        return far_end

    @property
    def client(self) -> ResponseHandler:
        """Return the client's protocol."""
        return cast("ResponseHandler", self.wire.peer.get_protocol())

    @property
    def is_idle(self) -> bool:
        """Tell whether no request is under way."""
        return self._reader is None

    def begin(self, reader: Reader, method: str) -> None:
        """Read the next request for *reader*."""
        self._reader = reader
        self._method = method
        self._requests = self._payload = self.message = None
        self.raw.clear()

    def _new_parser(self) -> Any:
        known = self._method in _LLHTTP_METHODS
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
            self._reader = None
            self._requests = self._payload = self.message = None
            self.raw.clear()
            if self._half_closed:
                self.wire.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.wire = cast("MemoryTransport", transport)

    def data_received(self, data: bytes) -> None:
        if self._reader is None or not data:  # aiohttp 3.14 asks again with nothing new
            return
        if self.message is not None and self._payload is None:
            return  # behind a complete request: bytes of an upgraded connection
        self.raw.append(data)
        if self._requests is None:
            self.message = PlainHead.of(data)
            if self.message is not None:
                self._reader.request_arrived(self.message, b"")
                return
            self._requests = self._new_parser()
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
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.client_left()

    # Writing.

    def write(self, data: bytes) -> None:
        """Send bytes to the client; long ones in the pieces in which a socket would be read."""
        if len(data) <= _SLICE:
            self.wire.write(data)
            return
        for start in range(0, len(data), _SLICE):
            self.wire.write(data[start : start + _SLICE])

    def finish_with(self, data: bytes) -> None:
        """Send the last bytes and close, before the client does anything else."""
        self._reader = None
        self.wire.finish(data)

    async def drain(self) -> None:
        """Wait until the client takes more, and let it read what it has."""
        await self._drain_helper()

    def close(self) -> None:
        """Close the connection properly (FIN)."""
        self._reader = None
        self.wire.close()

    def abort(self) -> None:
        """Close both ends at once: nobody will."""
        self.wire.peer.abort()
        self.close()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        self._reader = None
        self.wire.reset()
