"""An answer in aioresponses' words, as bytes that aiohttp's own parser reads.

Rules of the file:

- The head has the lines that were registered and no others, so a body without a length ends with
  the connection.
- What HTTP cannot carry (a body behind a 204, a length that contradicts the body, a status of 0)
  is left out of the bytes, and *told*: aiohttp's response is made by a subclass that says it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import ClientResponse, RequestInfo, hdrs, http
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
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_LONG = 4096  # half of what aiohttp takes in a line of the head
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
    _plans: dict[bool, _Plan] = field(default_factory=dict)  # by whether there is a body

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
        has_body = method != "HEAD"
        plan = self._plans.get(has_body)
        if plan is None:
            plan = self._plans[has_body] = _Plan(self, has_body=has_body)
        info = RequestInfo(url, self.method, _proxied(headers), url)

        def dress(cls: Callable[..., Any]) -> Callable[..., Any]:
            own: Any = self.response_class or cls
            made = telling(own, self) if plan.told else own

            def make(*args: Any, **kwargs: Any) -> Any:
                kwargs["request_info"] = info
                return made(*args, **kwargs)

            return make

        # How long its body is may not be true, if the app says it itself.
        early = bool(headers) and not _FRAMING.isdisjoint(map(str.lower, info.headers))
        return Deliver(plan.status, plan.bytes, dress, early)

    def deliver_told(self, url: URL, headers: Any) -> Deliver:
        """Return the action that gives this answer to a request which stands for another.

        Args:
            url: of the request that the app made.
            headers: of that request.
        """
        info = RequestInfo(url, self.method, _proxied(headers), url)
        told = telling(self.response_class or ClientResponse, self)

        def make(_method: str, _url: URL, **kwargs: Any) -> Any:
            return told(self.method, url, **{**kwargs, "request_info": info})

        return Deliver(200, b"HTTP/1.1 200 OK\r\n\r\n" + self.body, lambda _: make)


_NONE: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


def _proxied(headers: Any) -> CIMultiDictProxy[str]:
    if not headers:
        return _NONE
    try:
        return CIMultiDictProxy(CIMultiDict(headers))
    except (TypeError, ValueError):
        return _NONE


class _Plan:
    """What of an answer goes on the wire, and whether that is all of it."""

    def __init__(self, answer: Answer, *, has_body: bool) -> None:
        self.told = False
        self.status = self._status(answer)
        reason = self._reason(answer.reason)
        lines, body = self._framed(answer, has_body=has_body)
        head = _head(self.status, reason, lines)
        self.told = self.told or not head.is_whole
        self.bytes = b"%b\r\n%b" % (head.bytes, body)

    def _status(self, answer: Answer) -> int:
        status = answer.status
        is_status = isinstance(status, int) and 200 <= status <= 999
        if is_status and not (answer.body and status in _BODILESS):
            return int(status)
        self.told = True
        return 200

    def _reason(self, reason: Any) -> str:
        if isinstance(reason, str) and _REASON.fullmatch(reason) and reason.strip() == reason:
            return reason
        self.told = True
        return ""

    def _framed(self, answer: Answer, *, has_body: bool) -> tuple[RawHeaders, bytes]:
        """Return the lines and the body as they go together."""
        body = answer.body if has_body else b""
        if len(answer.raw_headers) == 1:
            return answer.raw_headers, body
        codings = answer.headers.getall(hdrs.TRANSFER_ENCODING, [])
        lengths = answer.headers.getall(hdrs.CONTENT_LENGTH, [])
        if not codings and (not lengths or lengths == [str(len(body))]):
            return answer.raw_headers, body
        if [coding.lower() for coding in codings] == ["chunked"] and not lengths and has_body:
            return answer.raw_headers, _chunked(body)
        if not has_body and not codings and len(lengths) == 1 and lengths[0].isdecimal():
            return answer.raw_headers, body
        self.told = True
        lines = tuple(
            line for line in answer.raw_headers if line[0].lower().decode() not in _FRAMING
        )
        return lines, body


class _Head(NamedTuple):
    bytes: bytes
    is_whole: bool  # it says all that it should


@lru_cache(256)  # most answers of a suite have one of a few heads
def _head(status: int, reason: str, lines: RawHeaders) -> _Head:
    head, is_whole = [f"HTTP/1.1 {status} {reason}".encode()], True
    for name, value in lines:
        line, says_all = _line(name, value)
        is_whole = is_whole and says_all
        if line is not None:
            head.append(line)
    return _Head(b"\r\n".join([*head, b""]), is_whole)


def _line(name: bytes, value: bytes) -> tuple[bytes | None, bool]:
    """Return a line of a head, if it can be one, and whether it says all that it should."""
    carried = value.strip(b" \t")
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(carried):
        return None, False
    return b"%b: %b" % (name, carried), carried == value


def _chunked(body: bytes) -> bytes:
    last = b"0\r\n\r\n"
    return b"%x\r\n%b\r\n%b" % (len(body), body, last) if body else last


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


def telling(cls: Any, answer: Answer) -> Any:
    """Return a subclass of a response class that says what HTTP could not carry."""
    own_headers = CIMultiDict(answer.headers)  # which the app may change

    class Told(cls):  # type: ignore[misc]
        async def start(self, connection: Any) -> Any:
            await super().start(connection)
            self.status = answer.status
            self.reason = answer.reason
            return self

        @property
        def headers(self) -> CIMultiDict[str]:
            return own_headers

        @property
        def raw_headers(self) -> RawHeaders:
            return answer.raw_headers

        @property
        def content_length(self) -> int | None:
            length = own_headers.get(hdrs.CONTENT_LENGTH, "")
            return int(length) if length.isdecimal() else None

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Told, name, getattr(cls, name))
    return Told
