"""The floor: aiohttp's own client, with nothing behind it but a constant answer.

No stub that lets this client run can be faster. What comes in, comes as from a socket: in pieces
no larger than asyncio reads, one in each turn of the loop, and none while the client has paused
reading. What goes out is counted and dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import BaseConnector, ClientSession
from aiohttp.client_proto import ResponseHandler
from sites import JSON, Access, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientRequest, ClientTimeout
    from aiohttp.tracing import Trace

PIECE = 256 * 1024  # what asyncio's selector event loop asks of a socket at once

Pieces = tuple[bytes, ...]


class Answers:
    """Give the answers of a site in turn, cut into pieces beforehand."""

    def __init__(self, site: Site) -> None:
        self._ready = [tuple(_pieces(site, status)) for status in site.statuses]
        self._given = 0

    def next(self) -> Pieces:
        """Return the next answer; the last one for ever."""
        pieces = self._ready[min(self._given, len(self._ready) - 1)]
        self._given += 1
        return pieces


def _pieces(site: Site, status: int) -> Iterator[bytes]:
    start = b"HTTP/1.1 %d Whatever\r\nContent-Type: %b\r\n" % (status, JSON.encode())
    if site.chunks:
        yield start + b"Transfer-Encoding: chunked\r\n\r\n"
        yield from (b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in site.cut())
        yield b"0\r\n\r\n"
    else:
        whole = start + b"Content-Length: %d\r\n\r\n%b" % (len(site.answer), site.answer)
        yield from (whole[at : at + PIECE] for at in range(0, len(whole), PIECE))


class ConstantTransport(asyncio.Transport):
    """Answer a request when the last byte of its body has been written."""

    def __init__(self, client: ResponseHandler, answers: Answers, body_size: int) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._answers = answers
        self._body_size = body_size
        self._missing = 0  # bytes of the request that is being written
        self._pieces: deque[bytes] = deque()
        self._paused = self._scheduled = self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take a piece of a request, and answer if it is the last."""
        if not self._missing:
            self._missing = bytes(data).index(b"\r\n\r\n") + 4 + self._body_size
        self._missing -= len(data)
        if not self._missing:
            self._pieces.extend(self._answers.next())
            self._schedule()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Take the pieces as they are: nobody needs them joined."""
        for data in list_of_data:
            self.write(data)

    def pause_reading(self) -> None:
        """Give nothing more for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on giving."""
        self._paused = False
        self._schedule()

    def is_reading(self) -> bool:
        """Tell whether it gives what it has."""
        return not self._paused

    def _schedule(self) -> None:
        if self._pieces and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._give)

    def _give(self) -> None:
        self._scheduled = False
        if self._pieces and not self._paused:
            self._client.data_received(self._pieces.popleft())
            self._schedule()

    def is_closing(self) -> bool:
        """Tell whether it has been closed."""
        return self._closing

    def close(self) -> None:
        """Tell the client that the connection is lost."""
        if not self._closing:
            self._closing = True
            self._pieces.clear()
            self._loop.call_soon(self._client.connection_lost, None)


class FloorConnector(BaseConnector):
    """Connect every request with a constant answer."""

    def __init__(self, site: Site, answers: Answers) -> None:
        super().__init__()
        self._site = site
        self._answers = answers

    async def _create_connection(
        self, _req: ClientRequest, _traces: list[Trace], _timeout: ClientTimeout
    ) -> ResponseHandler:
        client = ResponseHandler(self._loop)
        client.connection_made(ConstantTransport(client, self._answers, len(self._site.sent)))
        return client


@asynccontextmanager
async def serve_nothing(site: Site) -> AsyncIterator[Access]:
    """Be the floor."""
    answers = Answers(site)
    yield Access(session=lambda: ClientSession(connector=FloorConnector(site, answers)))
