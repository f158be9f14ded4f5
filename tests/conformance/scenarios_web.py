"""Replies as aiohttp.web itself makes them: a check on the other files' server, too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from .actions import Action, reply
from .harness import App, Client, Scenario, ask, get, post
from .loopback import APART
from .scenarios_replies import by_chunk
from .scenarios_sessions import calls

OLD: dict[str, Any] = {"version": aiohttp.HttpVersion10}
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def answering(status: int = 200, *, cookies: Any = None, **arguments: Any) -> Handler:
    """Make a handler that answers with a plain response."""

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(status=status, **arguments)
        for name, value in (cookies or {}).items():
            response.set_cookie(name, value)
        return response

    return handler


def streaming(*pieces: bytes, **headers: str) -> Handler:
    """Make a handler that answers piece by piece."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        if request.version >= aiohttp.HttpVersion11:
            response.enable_chunked_encoding()
        else:
            response.force_close()
        await response.prepare(request)
        for index, piece in enumerate(pieces):
            if index:
                await asyncio.sleep(APART)
            await response.write(piece)
        await response.write_eof()
        return response

    return handler


def text(times: int = 1) -> Action:
    """Answer with a text."""
    return reply(text="hi", times=times, web=answering(text="hi"))


def stream(times: int = 1) -> Action:
    """Answer with a stream."""
    handler = streaming(b"ab", b"c", **{"Content-Type": "application/octet-stream"})
    return reply(stream=lambda: [b"ab", b"c"], times=times, web=handler)


def streamed(*paths: str, **session: Any) -> Client:
    """Make a client that reads streams; how far they have come when it begins is luck."""

    async def client(app: App) -> None:
        async with app.session(**session) as opened:
            for path in paths:
                async with opened.get(app.url(path)) as response:
                    app.note("headers", response.headers)
                    app.note("chunks", await by_chunk(response))

    return client


HEADERS = [("X-B", "1"), ("x-a", "2"), ("X-B", "3")]

SCENARIOS = [
    Scenario("aiohttp.web answers with a text", [text()], get()),
    Scenario("aiohttp.web answers HEAD", [text()], ask("HEAD")),
    Scenario("aiohttp.web answers on one connection", [text(times=3)], calls("/1", "/2", "/3")),
    Scenario(
        "aiohttp.web answers with JSON",
        [
            reply(
                json={"a": 1},
                content_type="application/json; charset=utf-8",
                web=answering(text='{"a": 1}', content_type="application/json"),
            )
        ],
        get(),
    ),
    Scenario(
        "aiohttp.web answers with bytes",
        [reply(body=b"\x00", web=answering(body=b"\x00", content_type="application/octet-stream"))],
        get(),
    ),
    Scenario(
        "aiohttp.web answers with headers",
        [reply(text="x", headers=HEADERS, web=answering(text="x", headers=HEADERS))],
        get(),
    ),
    Scenario(
        "aiohttp.web answers with cookies",
        [
            reply(
                text="x",
                cookies={"a": "1", "b": "2"},
                web=answering(text="x", cookies={"a": "1", "b": "2"}),
            )
        ],
        get("/deep/er"),
    ),
    Scenario(
        "aiohttp.web answers with a reason",
        [reply(418, text="x", reason="Tea", web=answering(418, text="x", reason="Tea"))],
        get(),
    ),
    Scenario("aiohttp.web answers with 204", [reply(204, web=answering(204))], get()),
    Scenario("aiohttp.web answers with 304", [reply(304, web=answering(304))], get()),
    Scenario("aiohttp.web answers with a stream", [stream()], streamed("/")),
    Scenario("aiohttp.web answers with two streams", [stream(times=2)], streamed("/1", "/2")),
    Scenario("aiohttp.web answers HTTP/1.0", [text()], get(session=OLD)),
    Scenario("aiohttp.web answers HTTP/1.0 twice", [text(times=2)], calls("/1", "/2", **OLD)),
    Scenario("aiohttp.web answers HTTP/1.0 with a stream", [stream()], streamed("/", **OLD)),
    Scenario(
        "aiohttp.web is asked to close",
        [text(times=2)],
        calls("/1", "/2", headers={"Connection": "close"}),
    ),
    Scenario(
        "aiohttp.web is asked to close by the connector",
        [text(times=2)],
        calls("/1", "/2", connector={"force_close": True}),
    ),
    Scenario("aiohttp.web reads a form", [text()], post(data={"a": "1"})),
    Scenario("aiohttp.web reads chunks", [text()], post(data=b"abc", chunked=True)),
    Scenario("aiohttp.web reads JSON", [text()], post(json={"a": "č"})),
    Scenario("aiohttp.web answers DELETE", [text()], ask("DELETE")),
]
