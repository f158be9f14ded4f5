"""One application, behind a real socket and behind a stub, one client, one transcript.

A ``Far`` scenario is an application of aiohttp.web and a client of it, as in ``harness.py``. The
application writes into a notebook of its own what it sees. It is run behind a `web.TCPSite` on
127.0.0.1, then mounted in a stub; a ``Talk`` is run as the function of a ``stub.ws`` besides.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

import aiostub

from .clock import run_idle
from .harness import (
    AIOHTTP,
    TICKS,
    TIDY,
    App,
    Client,
    NoResolver,
    Transcript,
    Version,
    difference,
    plain,
    run,
    tidied,
)

KEYS = {r"Sec-WebSocket-(Key|Accept): .*": r"Sec-WebSocket-\1: (random)"}


class Seen:
    """Be the notebook of an application."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    def note(self, label: str, value: object) -> None:
        """Write something down."""
        self.notes.append({label: plain(value)})

    async def attempt(self, label: str, awaitable: Awaitable[object]) -> None:
        """Await something and note what it gives or raises, which is raised again."""
        try:
            self.note(label, await awaitable)
        except BaseException as error:
            self.note(label, type(error).__name__)
            raise


Make = Callable[[Seen], web.Application]
TalkFunction = Callable[[Seen, web.WebSocketResponse], Awaitable[None]]


@dataclass(frozen=True)
class Far:
    """Declare an application and a client of it."""

    name: str
    make: Make
    client: Client
    since: Version = field(default=(3, 9), kw_only=True)
    until: Version = field(default=(99, 0), kw_only=True)
    tidy: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def exists(self) -> bool:
        """Say whether this aiohttp has what the scenario is about."""
        return self.since <= AIOHTTP <= self.until

    @property
    def ways(self) -> dict[str, Callable[[aiostub.Stub, str, Seen], None]]:
        """Give the ways in which a stub answers as the application does."""
        return {"a mounted application": self._mount}

    def _mount(self, stub: aiostub.Stub, base: str, seen: Seen) -> None:
        stub.mount(base, self.make(seen))


@dataclass(frozen=True)
class Talk:
    """Declare one side of a WebSocket, and a client that is the other."""

    name: str
    talk: TalkFunction
    client: Client
    arguments: Mapping[str, Any] = field(default_factory=dict)
    since: Version = field(default=(3, 9), kw_only=True)
    until: Version = field(default=(99, 0), kw_only=True)
    tidy: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    exists = Far.exists

    @property
    def ways(self) -> dict[str, Callable[[aiostub.Stub, str, Seen], None]]:
        """Give the ways in which a stub talks as the application does."""
        return {"a mounted application": self._mount, "a route for WebSockets": self._route}

    def make(self, seen: Seen) -> web.Application:
        """Make the application that talks so on every path."""

        async def handle(request: web.Request) -> web.WebSocketResponse:
            ws = web.WebSocketResponse(**self.arguments)
            await ws.prepare(request)
            await self.talk(seen, ws)
            return ws

        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        return app

    def _mount(self, stub: aiostub.Stub, base: str, seen: Seen) -> None:
        stub.mount(base, self.make(seen))

    def _route(self, stub: aiostub.Stub, base: str, seen: Seen) -> None:
        async def talk(ws: web.WebSocketResponse) -> None:
            await self.talk(seen, ws)

        arguments = {"protocols": (), **self.arguments}
        stub.ws(base + "/{path:path}", **arguments).handle(talk).always()
        stub.ws(base + "/", **arguments).handle(talk).always()


class _Here(aiohttp.abc.AbstractResolver):
    """Find every name on this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> Any:
        """Answer as a resolver of aiohttp does."""
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Have nothing to close."""


def _no_requests() -> int:
    return 1


async def _for_real(scenario: Far | Talk) -> tuple[Transcript, int]:
    seen = Seen()
    runner = web.AppRunner(scenario.make(seen), shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    connector = functools.partial(aiohttp.TCPConnector, resolver=_Here())
    transcript = await run(scenario, App(f"http://api.test:{port}", connector, _no_requests))  # type: ignore[arg-type]
    await _settle()
    transcript["server"] = list(seen.notes)
    await runner.cleanup()
    return transcript, port


async def _settle() -> None:
    """Let the server see what the client has left behind."""
    await asyncio.sleep(0.05)
    for _ in range(TICKS):
        await asyncio.sleep(0)


async def _on_stub(
    scenario: Far | Talk,
    port: int,
    register: Callable[[aiostub.Stub, str, Seen], None],
    *,
    injected: bool,
) -> Transcript:
    seen, stub, base = Seen(), aiostub.Stub(strict=False), f"http://api.test:{port}"
    register(stub, base, seen)
    make: Any = stub.connector if injected else aiohttp.TCPConnector
    app = App(base, functools.partial(make, resolver=NoResolver()), _no_requests)
    last = stub.connector()
    async with last:
        if not injected:
            stub.start()
        transcript = await run(scenario, app)  # type: ignore[arg-type]
        await _settle()
        transcript["server"] = list(seen.notes)
        if not injected:
            await stub.__aexit__(None, None, None)
    return transcript


async def _transcripts(scenario: Far | Talk) -> dict[str, Transcript]:
    real, port = await _for_real(scenario)
    found = {"a real server": real}
    for way, register in scenario.ways.items():
        for injected in (False, True):
            name = f"{way}, by the stub's own connector" if injected else way
            found[name] = await _on_stub(scenario, port, register, injected=injected)
    tidy = {**TIDY, **KEYS, rf":{port}\b": ":port", **scenario.tidy}
    return {name: tidied(transcript, tidy) for name, transcript in found.items()}


def differences(scenario: Far | Talk) -> str:
    """Run a scenario everywhere and tell what was otherwise than behind a real socket."""
    real, *others = run_idle(_transcripts(scenario)).items()
    found = {name: difference(real[1], transcript) for name, transcript in others}
    return "\n\n".join(f"--- {real[0]}\n+++ {name}\n{d}" for name, d in found.items() if d)
