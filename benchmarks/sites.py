"""What is served: a site, in a form that every contestant can be told in its own words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from aiohttp import ClientSession

ORIGIN = "https://api.example.com"
JSON = "application/json"
HEADER = "X-Tenant"

Kind = Literal["exact", "template", "regex", "condition"]
Way = Literal["replies", "app", "echo", "socket"]


@dataclass(frozen=True)
class Route:
    """Name one route."""

    name: str
    kind: Kind = "exact"

    @property
    def path(self) -> str:
        """Return the path to ask for."""
        return f"/{self.name}" if self.whole else f"/{self.name}/ada"

    @property
    def whole(self) -> bool:
        """Tell whether the path is registered as it will be asked for."""
        return self.kind in {"exact", "condition"}

    @property
    def headers(self) -> dict[str, str] | None:
        """Return the headers to ask with."""
        return {HEADER: self.name} if self.kind == "condition" else None

    @property
    def written(self) -> str:
        """Return what to register, as aiohttp and aiostub write it."""
        return f"/{self.name}" if self.whole else f"/{self.name}/{{id}}"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Return the regex to register, compiled once."""
        return re.compile(rf"^{re.escape(ORIGIN)}/{self.name}/[a-z]+$")

    @property
    def url(self) -> str | re.Pattern[str]:
        """Return what to register for a contestant that is told a whole URL."""
        return self.pattern if self.kind == "regex" else ORIGIN + self.written


@dataclass(frozen=True)
class Site:
    """Say what is served: the same answer, whichever route is asked for.

    Args:
        routes: what may be asked for.
        method: how.
        sent: the body of every request.
        answer: the body of every response.
        statuses: of the responses, in turn; the last for ever.
        chunks: in how many the answer is streamed; 0: it has a length.
        way: what stands behind it: registered replies, an `aiohttp.web.Application`, a WebSocket
            that sends back what comes, or registered replies behind a real socket.
    """

    routes: tuple[Route, ...] = (Route("users"),)
    method: str = "GET"
    sent: bytes = b""
    answer: bytes = b'{"name": "Ada"}'
    statuses: tuple[int, ...] = (200,)
    chunks: int = 0
    way: Way = "replies"

    @cached_property
    def needs(self) -> frozenset[str]:
        """Return what a contestant must be able to do."""
        streams = {"stream"} if self.chunks else set()
        huge = {"huge uploads"} if len(self.sent) > 2**20 else set()
        return frozenset({route.kind for route in self.routes} | streams | huge)

    def cut(self) -> Iterator[bytes]:
        """Cut the answer into its chunks."""
        size = len(self.answer) // self.chunks
        return (self.answer[at : at + size] for at in range(0, len(self.answer), size))

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the chunks of the answer one by one, each in a turn of the loop of its own."""
        for chunk in self.cut():
            yield chunk
            await asyncio.sleep(0)  # else a socket would merge them


class Access(NamedTuple):
    """Say how a site is reached: where it is, and what makes a session."""

    origin: str = ORIGIN
    session: Callable[[], ClientSession] = ClientSession


Serve = Callable[[Site], AbstractAsyncContextManager[Access]]
