"""Answers for calls that aiohttp would not take to the network boundary.

aioresponses never looked at the session, the connector and most arguments of a call. What aiohttp
makes nothing of is answered over a session of our own here, so that aiohttp still makes the
response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientResponse, ClientResponseError, ClientSession, DummyCookieJar
from yarl import URL

if TYPE_CHECKING:
    from aiostub._stub import Stub

_ANYWHERE = URL("http://stand-in.invalid/")
_THEIRS = frozenset({"aiohttp.client_middlewares", "aiosignal", "aiohttp.tracing"})


def is_refusal(error: BaseException) -> bool:
    """Tell whether aiohttp, and nobody else, has made this error of what a call was given."""
    if not isinstance(error, Exception):
        return False
    if isinstance(error, (asyncio.TimeoutError, asyncio.CancelledError, ClientResponseError)):
        return False
    return not _came_through(error.__traceback__)


def is_no_way(error: BaseException) -> bool:
    """Tell whether aiohttp follows no redirect to a URL like this one."""
    return isinstance(error, (ValueError, ClientError)) and is_refusal(error)


def is_plain(data: Any) -> bool:
    """Tell whether a body can be read any number of times."""
    if isinstance(data, Mapping):
        return all(isinstance(value, (str, bytes)) for value in data.values())
    return data is None or isinstance(data, (str, bytes))


def _came_through(traceback: TracebackType | None) -> bool:
    """Tell whether an error came out of a middleware or a trace."""
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") in _THEIRS:
            return True
        traceback = traceback.tb_next
    return False


async def stand_in(
    stub: Stub,
    url: URL,
    kwargs: dict[str, Any],
    *,
    original: Any,
) -> ClientResponse:
    """Give an answer over a session of our own.

    Args:
        stub: the one that answers.
        url: of the call.
        kwargs: of the call; its redirects are followed if it says so.
        original: aiohttp's own ``ClientSession._request``.
    """
    redirects = {
        name: kwargs[name] for name in ("allow_redirects", "max_redirects") if name in kwargs
    }
    session = ClientSession(connector=stub.connector(), cookie_jar=DummyCookieJar())
    try:
        response: ClientResponse = await original(session, "GET", _sendable(url), **redirects)
    finally:
        await session.close()
    return response


def _sendable(url: URL) -> URL:
    """Return a URL that aiohttp takes; whatever it took, the response tells the real one."""
    if url.scheme in ("http", "https") and url.raw_host:
        return url
    return _ANYWHERE
