"""How URLs are compared, and other names that suites import from ``aioresponses.compat``."""

from __future__ import annotations

import asyncio
from re import Pattern
from typing import Any

import aiohttp
from aiohttp import StreamReader
from aiohttp.client_proto import ResponseHandler
from multidict import MultiDict
from yarl import URL

__all__ = [
    "AIOHTTP_VERSION",
    "URL",
    "Pattern",
    "merge_params",
    "normalize_url",
    "stream_reader_factory",
]


def _version() -> Any:
    try:
        from packaging.version import Version  # noqa: PLC0415 - pytest brings it, aiohttp doesn't
    except ImportError:  # pragma: no cover - the tests have pytest
        return tuple(int(part) for part in aiohttp.__version__.split(".")[:3] if part.isdigit())
    return Version(aiohttp.__version__)


AIOHTTP_VERSION = _version()


def stream_reader_factory(loop: asyncio.AbstractEventLoop | None = None) -> StreamReader:
    """Return a stream that can be fed by hand."""
    given: Any = loop
    return StreamReader(ResponseHandler(loop=given), limit=2**16, loop=given)


def merge_params(url: URL | str, params: Any = None) -> URL:
    """Return the URL with *params* behind its own query, as aiohttp takes them."""
    whole = URL(url)
    if not params:
        return whole
    query = MultiDict(whole.query)
    query.extend(whole.with_query(params).query)
    return whole.with_query(query)


def normalize_url(url: URL | str) -> URL:
    """Return the URL with its query sorted, in which form two of them are compared."""
    whole = URL(url)
    if not whole.raw_query_string:
        return whole
    return whole.with_query(sorted(whole.query.items()))
