"""A client of sockets that sends what it is told, byte by byte, and reads one answer at a time."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

PATIENCE = 5  # seconds


class Got(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def ask(self, target: str = "/", method: str = "GET", *lines: str, body: bytes = b"") -> None:
        """Send a request with these header lines, and the length of the body if there is one."""
        if body:
            lines = (*lines, f"Content-Length: {len(body)}")
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""])
        self.send(head.encode() + body)

    async def get(self, target: str = "/", method: str = "GET", *lines: str) -> Got:
        """Send a request and read its answer."""
        self.ask(target, method, *lines)
        return await self.answer(method)

    async def head(self) -> bytes:
        """Read up to the empty line."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)

    async def answer(self, method: str = "GET") -> Got:
        """Read one answer, framed as HTTP says."""
        first, *lines = (await self.head()).decode("latin-1").split("\r\n")[:-2]
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        status = int(re.match(r"HTTP/1\.[01] (\d{3})", first)[1])
        if method == "HEAD" or status in (101, 204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join([chunk async for chunk in self.chunks()])
        elif "content-length" in headers:
            size = int(headers["content-length"])
            body = await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)
        else:
            body = await self.rest()
        return Got(status, headers, body)

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked body; the last is empty."""
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE), 16)
        return (await asyncio.wait_for(self.reader.readexactly(size + 2), PATIENCE))[:-2]

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read chunks up to the last."""
        while chunk := await self.chunk():
            yield chunk

    async def rest(self) -> bytes:
        """Read until the far end closes."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)


@contextlib.asynccontextmanager
async def dial(url: str, **kwargs: object) -> AsyncIterator[Wire]:
    """Connect to the host and port of a URL."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, **kwargs)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def fetch(url: str, target: str = "/", method: str = "GET", *lines: str) -> Got:
    """Ask over a connection of its own."""
    async with dial(url) as wire:
        return await wire.get(target, method, *lines)
