"""Replies and faults as bytes and endings on the wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from aiostub._answers.reply import Reply
from aiostub.faults import Fault

if TYPE_CHECKING:
    from aiostub._wire.far_end import FarEnd

GARBAGE = b"\x16\x03\x01 this is not HTTP\r\n\r\n"
# aiohttp takes 8190 bytes of a header, unless the session says otherwise: this is over any of that.
LONG_HEADER = b"HTTP/1.1 200 OK\r\nX-Too-Long: %b\r\n\r\n"
_LENGTH_OF_IT = 2**21
BAD_CHUNK = b"not a chunk size\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
BAD_GZIP = b"\x1f\x8b\x08\x00 this is not gzip"
SPOILED = Reply(200, text="This body is spoiled by a fault.")

_HTTP_1_1 = (1, 1)
_PIECES_PER_SECOND = 10
_TURNS = 4  # of the loop, in which a client reads that has a task or a timer around its reading
_STALLED = 2**31 - 1  # asyncio's longest sleep in whole seconds, some 68 years
_FRAMING = frozenset({"content-length", "transfer-encoding", "content-encoding"})


def send(far_end: FarEnd, reply: Reply) -> None:
    """Send a reply that needs no time: head and body together."""
    message = far_end.message
    version = _HTTP_1_1 if message is None else message.version
    keep_alive = message is None or not message.should_close
    pieces, closes = reply.served(far_end.method, version, keep_alive=keep_alive)
    for piece in pieces:
        far_end.wire.write(piece)
    if closes:
        far_end.close()


class Player:
    """Play one reply, or one fault, to one client."""

    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end
        self._method = far_end.method
        message = far_end.message
        self._version: tuple[int, int] = _HTTP_1_1 if message is None else message.version
        self._keep_alive = message is None or not message.should_close
        self._chunks_sent = 0

    def send(self, reply: Reply) -> None:
        """Send a reply in one go."""
        send(self._far_end, reply)

    async def perform(self, reply: Reply) -> None:
        """Send a reply that takes time or is spoiled."""
        fault = reply.fault
        if fault is not None and self._method != "HEAD":
            await self._spoil(reply, fault)
        elif reply.stream is not None:
            await self._stream(reply)
        else:
            self.send(reply)

    async def fail(self, fault: Fault) -> None:
        """Let a fault strike that spoils no reply of the user's."""
        match fault.name:
            case "disconnect":
                self._far_end.close()
            case "reset":
                self._far_end.reset()
            case "garbage":
                self._far_end.write(GARBAGE)
            case "header_too_long":
                self._far_end.write(LONG_HEADER % (b"x" * _LENGTH_OF_IT))
            case _:
                await self._spoil(SPOILED, fault)

    async def _stream(self, reply: Reply) -> None:
        self._far_end.write(self._head(reply))
        if self._method != "HEAD":
            frames = self._chunked(reply)
            async with contextlib.aclosing(_chunks(reply)) as chunks:
                async for chunk in chunks:
                    await self._chunk(chunk, frames=frames)
            if frames:
                self._go_on(_LAST_CHUNK)
        self._finish(reply)

    async def _spoil(self, reply: Reply, fault: Fault) -> None:
        match fault.name:
            case "bad_chunk":
                await self._bad_chunk(reply, late=fault.late)
            case "bad_gzip":
                headers = [*_unframed(reply), ("Content-Encoding", "gzip")]
                self.send(Reply(reply.status, reason=reply.reason, headers=headers, body=BAD_GZIP))
            case "drip":
                await self._drip(reply, fault.bytes_per_second)
            case "truncated":
                await self._part(reply, None if reply.body is None else len(reply.body) // 2)
                self._far_end.close()
            case _:
                await self._part(reply, fault.after)
                await self.strike(fault)

    async def strike(self, fault: Fault) -> None:
        """Let a fault strike in the middle of a body that is on its way."""
        match fault.name:
            case "reset":
                self._far_end.reset()
            case "stall" | "drip":
                await asyncio.sleep(_STALLED)
            case "bad_chunk":
                self._far_end.write(BAD_CHUNK)
            case _:
                self._far_end.close()

    async def _part(self, reply: Reply, length: int | None) -> None:
        """Send the head and the first bytes of the body; ``None``: all of it, but no end."""
        head, frames = self._head(reply), self._chunked(reply)
        if reply.stream is None:
            body = (reply.body or b"")[:length]
            self._far_end.write(head + (_framed(body) if body and frames else body))
        else:
            self._far_end.write(head)
            async with contextlib.aclosing(_chunks(reply)) as chunks:
                async for chunk in _first_bytes(chunks, length):
                    await self._chunk(chunk, frames=frames)
        await self._breathe()

    async def _bad_chunk(self, reply: Reply, *, late: bool) -> None:
        headers = [*_unframed(reply), ("Transfer-Encoding", "chunked")]
        spoiled = Reply(reply.status, reason=reply.reason, headers=headers, body=b"unused")
        head = self._head(spoiled)
        if not late:
            self._far_end.write(head + BAD_CHUNK)
            return
        self._far_end.write(head)
        async with contextlib.aclosing(_chunks(reply)) as chunks:
            async for chunk in chunks:
                await self._chunk(chunk, frames=self._chunked(spoiled))
        await self._breathe()
        self._far_end.write(BAD_CHUNK)
        await self.strike(Fault("stall"))

    async def _drip(self, reply: Reply, bytes_per_second: float) -> None:
        self._far_end.write(self._head(reply))
        frames = self._chunked(reply)
        sent = due = 0.0
        async with contextlib.aclosing(_chunks(reply)) as chunks:
            async for chunk in chunks:
                left = chunk
                while left:
                    await asyncio.sleep(1 / _PIECES_PER_SECOND)
                    due += bytes_per_second / _PIECES_PER_SECOND
                    piece, left = left[: int(due - sent)], left[int(due - sent) :]
                    sent += len(piece)
                    if piece:
                        await self._chunk(piece, frames=frames)
                    if not left:
                        due = sent
        if frames:
            self._go_on(_LAST_CHUNK)
        self._finish(reply)

    async def _chunk(self, chunk: bytes, *, frames: bool) -> None:
        far_end = self._far_end
        # The first one follows the head at once, as behind a network.
        if self._chunks_sent and far_end.is_unread:
            await self._breathe()
        self._chunks_sent += 1
        self._go_on(_framed(chunk) if frames else chunk)
        if not far_end.takes_more:
            await far_end.drain()

    def _go_on(self, data: bytes) -> None:
        # A client that reads a body takes it in the next turn of the loop, which need not be the
        # wire's first; one that has only been sent a head shall have that before the rest.
        if self._chunks_sent > 1:
            self._far_end.write_at_once(data)
        else:
            self._far_end.write(data)

    async def _breathe(self) -> None:
        # A few turns of the loop let a client that is reading see what was before by itself; most
        # need one. Waiting for more of them made a stream three times as dear.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if not self._far_end.is_unread:
                return

    def _finish(self, reply: Reply) -> None:
        if reply.closes(self._method, self._version, keep_alive=self._keep_alive):
            self._far_end.close()

    def _head(self, reply: Reply) -> bytes:
        return reply.head(self._method, self._version, keep_alive=self._keep_alive)

    def _chunked(self, reply: Reply) -> bool:
        return reply.chunked(self._version)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _unframed(reply: Reply) -> list[tuple[str, str]]:
    return [(name, value) for name, value in reply.headers if name.lower() not in _FRAMING]


def _chunks(reply: Reply) -> AsyncGenerator[bytes, None]:
    """Give the body in its chunks; whoever closes this closes the user's iterator."""
    if reply.stream is None:
        return _one_by_one([reply.body] if reply.body else [])
    chunks = reply.stream()
    return chunks if isinstance(chunks, AsyncGenerator) else _one_by_one(chunks)


async def _one_by_one(chunks: Any) -> AsyncGenerator[bytes, None]:
    try:
        for chunk in chunks:
            yield chunk
    finally:
        if hasattr(chunks, "close"):
            chunks.close()


async def _first_bytes(chunks: AsyncIterator[bytes], length: int | None) -> AsyncIterator[bytes]:
    left = length
    while left != 0:  # the chunk behind them may be long in coming
        chunk = (await anext(chunks, b""))[:left]
        if not chunk:
            return
        yield chunk
        if left is not None:
            left -= len(chunk)
