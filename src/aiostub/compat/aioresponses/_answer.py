"""An answer in aioresponses' words, as bytes that aiohttp's own parser reads.

Rules of the file:

- The head has the lines that were registered, but says itself how long the body is, so that the
  connection is kept. What HTTP cannot carry (a body behind a 204, a status of 0) is left out.
- What aiohttp's response has read, it is told otherwise: it says what was registered.

aiohttp's private names used here, and why:

- ``ClientResponse._headers``, ``_raw_headers``, ``_cache``: to tell it.
- ``StreamReader._buffer``: to hold a long body once.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import RequestInfo, hdrs, http
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub._answers.steps import Deliver
from aiostub._matching.request import decodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")  # 5.5
_REASON = re.compile(r"[\t -~\x80-\uffff]*")  # RFC 9112, 4
_BODILESS = frozenset({204, 304})
_LENGTHS = ("content-length", "transfer-encoding")
_FRAMING = frozenset(name.encode() for name in _LENGTHS)
_LONG = 4096  # half of what aiohttp takes in a line of the head
_MUCH = 2**16  # in a body
_MANY = 64  # half of the lines that it takes
_UNLIMITED = 2**24
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

RawHeaders = tuple[tuple[bytes, bytes], ...]


@dataclass(eq=False)  # one that is frozen would be 2 µs slower to make
class Answer:
    """One reply, as it was registered or as a callback gave it; nobody changes it.

    What is made of it is made once: a route that is asked again has the same answer.
    """

    method: str  # what the response says of the request
    status: Any
    reason: Any
    headers: CIMultiDict[str]
    raw_headers: RawHeaders
    body: bytes
    response_class: Callable[..., Any] | None
    _needs: dict[str, Any] | None = None
    _wire: _Wire | None = None

    @classmethod
    def of(cls, result: Any) -> Answer:
        """Read what a route or a `CallbackResult` says.

        Raises:
            TypeError: *body* is neither str nor bytes, or *payload* cannot be JSON.
            AttributeError: a header is no str.
        """
        return cls.with_body(result, body_of(result))

    @classmethod
    def with_body(cls, result: Any, body: Any) -> Answer:
        """Read what it says, its body excepted; errors as for `of`."""
        status, reason = result.status, result.reason
        if not isinstance(body, bytes):
            body = str.encode(body)
        headers: CIMultiDict[str] = CIMultiDict({hdrs.CONTENT_TYPE: result.content_type})
        if result.headers:
            headers.update(result.headers)
        raw = tuple((name.encode(), value.encode()) for name, value in headers.items())
        if reason is None:  # of a callback; without one, raise_for_status() would fail
            reason = phrase(status)
        return cls(result.method, status, reason, headers, raw, body, result.response_class)

    @property
    def redirects(self) -> bool:
        """Tell whether aiohttp may go on to another URL."""
        return self.status in _REDIRECTS

    def fits(self, method: str) -> bool:
        """Tell whether a request of this method can get such an answer."""
        return method != "CONNECT" and not (method == "HEAD" and self.body)

    @property
    def needs(self) -> dict[str, Any]:
        """Return what a client call must be told to take this answer, if it can be told."""
        if self._needs is None:
            self._needs = self._find_needs()
        return self._needs

    def _find_needs(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if not self.is_encoded:
            told["auto_decompress"] = False
        if any(len(name) + len(value) > _LONG for name, value in self.raw_headers):
            told.update(max_line_size=_UNLIMITED, max_field_size=_UNLIMITED)
        if len(self.raw_headers) > _MANY:
            told["max_headers"] = _UNLIMITED
        if self.redirects and hdrs.LOCATION not in self.headers:
            told["allow_redirects"] = False
        return told

    @property
    def is_encoded(self) -> bool:
        """Tell whether the body has the content coding that its header names, if it names one."""
        coding = self.headers.get(hdrs.CONTENT_ENCODING)
        return coding is None or decodes(self.body, coding)

    def deliver(self, method: str, url: URL, headers: Any) -> Deliver:
        """Return the action that gives this answer to a request.

        Args:
            method: of the request.
            url: of the request.
            headers: what the app passed, and its session.
        """
        wire = self._wire
        if wire is None:
            wire = self._wire = _Wire.of(self)
        info = self._info(url, headers)
        # How long its body is may not be true, if the app says it itself.
        early = bool(headers) and any(name in info.headers for name in _LENGTHS)
        return Deliver(wire.status, wire.data_for(method), self._maker(info), early)

    def deliver_late(self, method: str) -> Deliver:
        """Return the action for a request whose response is made, and can be told nothing."""
        wire = _Wire.of(self, framed=False)
        return Deliver(wire.status, wire.data_for(method))

    def deliver_bare(self, url: URL, headers: Any) -> Deliver:
        """Return the action that gives this answer to a request which stands for another.

        Args:
            url: of the request that the app made.
            headers: of that request.
        """
        return Deliver(200, _BARE + self.body, self._maker(self._info(url, headers)))

    def _info(self, url: URL, headers: Any) -> RequestInfo:
        return RequestInfo(url, self.method, _proxied(headers), url)

    def _maker(self, info: RequestInfo) -> Callable[..., Any]:
        """Return what makes aiohttp's response, which then says what was registered."""

        def make(cls: Callable[..., Any], method: str, _: URL, **kwargs: Any) -> Any:
            kwargs["request_info"] = info
            response = (self.response_class or cls)(method, info.url, **kwargs)

            async def start(connection: Any) -> Any:
                del response.start  # aiohttp's own is behind it
                headers = response._cache["headers"] = self.headers.copy()  # the app may change it
                await response.start(connection)
                response.status, response.reason = self.status, self.reason
                response._headers, response._raw_headers = headers, self.raw_headers
                if len(self.body) > _MUCH:
                    self._share_body(response.content)
                return response

            response.start = start
            return response

        return make

    def _share_body(self, content: Any) -> None:
        """Let the app read the very bytes that were registered, and not a copy.

        To compare a megabyte takes 20 µs, and to hold it in memory of its own 400.
        """
        read: Any = getattr(content, "_buffer", ())
        if len(read) == 1 and read[0] == self.body:
            read[0] = self.body


_NONE: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


def _proxied(headers: Any) -> CIMultiDictProxy[str]:
    if not headers:
        return _NONE
    try:
        return CIMultiDictProxy(CIMultiDict(headers))
    except (TypeError, ValueError):
        return _NONE


_BARE = b"HTTP/1.1 200 OK\r\n\r\n"


class _Wire(NamedTuple):
    """What of an answer goes on the wire."""

    status: int
    head: bytes
    whole: bytes

    @classmethod
    def of(cls, answer: Answer, *, framed: bool = True) -> _Wire:
        """Encode an answer, by default with a head that says how long the body is."""
        status = _status(answer.status)
        # Behind these aiohttp reads no body, and has one stream for all of them.
        is_other = status in _BODILESS and bool(framed or answer.body)
        lines = [line for line in answer.raw_headers if line[0].lower() not in _FRAMING]
        if framed:
            lines.append((b"Content-Length", b"%d" % len(answer.body)))
        head = _head(200 if is_other else status, _reason(answer.reason), tuple(lines))
        return cls(status, head, head + answer.body)

    def data_for(self, method: str) -> bytes:
        """Return what goes to a request of this method."""
        return self.head if method == hdrs.METH_HEAD else self.whole


def _status(status: Any) -> int:
    return int(status) if isinstance(status, int) and 200 <= status <= 999 else 200


def _reason(reason: Any) -> str:
    is_reason = isinstance(reason, str) and _REASON.fullmatch(reason)
    return reason.strip() if is_reason else ""


@lru_cache(256)  # most answers of a suite have one of a few heads
def _head(status: int, reason: str, lines: RawHeaders) -> bytes:
    head = [f"HTTP/1.1 {status} {reason}".encode()]
    for name, value in lines:
        carried = value.strip(b" \t")
        if _NAME.fullmatch(name) and _VALUE.fullmatch(carried):
            head.append(b"%b: %b" % (name, carried))
    return b"\r\n".join([*head, b"", b""])


def body_of(result: Any) -> Any:
    """Return the body that a route or a `CallbackResult` says, as text or bytes.

    Raises:
        TypeError: *payload* cannot be JSON.
    """
    return result.body if result.payload is None else json.dumps(result.payload)


def phrase(status: Any) -> str:
    """Return the phrase of a status, or nothing if it has none."""
    try:
        return http.RESPONSES[status][0]
    except (IndexError, KeyError, TypeError):
        return ""
