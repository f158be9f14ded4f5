"""An answer in aioresponses' words, and how aiohttp's response comes to say it.

Rules of the file:

- On the wire is what aiohttp has to read itself: the body, how long it is, so that the connection
  is kept, and its coding. Whatever else was registered, HTTP may not be able to carry: the response
  is told.

aiohttp's private names used here, and why:

- ``ClientResponse._headers``, ``_raw_headers``, ``_cache``: to tell it.
- ``StreamReader._buffer``: to hold a long body once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import RequestInfo, hdrs, http
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub._answers.steps import Deliver
from aiostub._matching.request import decodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

_LONG = 2**16
_LENGTHS = (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What aioresponses 0.7.9 makes a response with; aiohttp 3.14 wants more.
_PASSED_THERE = frozenset(
    {"continue100", "loop", "request_info", "session", "timer", "traces", "writer"}
)

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
    _head: bytes | None = None
    _whole: bytes = b""

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

    def data_for(self, method: str) -> bytes:
        """Return what goes on the wire to a request of this method."""
        if self._head is None:
            coding = self.headers.get(hdrs.CONTENT_ENCODING)
            is_coded = coding is not None and decodes(self.body, coding)
            said = f"Content-Encoding: {coding}\r\n" if is_coded else ""
            length = f"Content-Length: {len(self.body)}"
            self._head = f"HTTP/1.1 200 OK\r\n{said}{length}\r\n\r\n".encode()
            self._whole = self._head + self.body
        return self._head if method == hdrs.METH_HEAD else self._whole


class Telling:
    """Let the response to one request say what an answer says.

    Args:
        url: of the request, as the response shall tell it.
        method: the same.
        headers: what the app passed, and its session.
    """

    __slots__ = ("_answer", "_headers", "_info")

    def __init__(self, url: URL, method: str, headers: Any) -> None:
        self._info = RequestInfo(url, method, _proxied(headers), url)
        self._answer: Answer | None = None  # until somebody was asked for it
        self._headers: CIMultiDict[str] = CIMultiDict()  # which the app may change

    def deliver(self, answer: Answer, method: str) -> Deliver:
        """Return the action that gives an answer to the request, which is of this method."""
        self._answer = answer
        self._headers.extend(answer.headers)
        passed = self._info.headers
        # How long the body of the request is may not be true, if the app says it itself.
        early = bool(passed) and any(name in passed for name in _LENGTHS)
        status = answer.status if isinstance(answer.status, int) else 0
        return Deliver(status, answer.data_for(method), self.make, early)

    def make(self, cls: Callable[..., Any], method: str, _: URL, **kwargs: Any) -> Any:
        """Make the response; *cls* is what it would be otherwise."""
        answer = self._answer
        if answer is not None and answer.response_class is not None:
            cls = answer.response_class
        kwargs["request_info"] = self._info
        response = _made(cls, method, self._info.url, kwargs)

        async def start(connection: Any) -> Any:
            del response.start  # aiohttp's own is behind it
            response._cache["headers"] = self._headers  # aiohttp takes the cookies from these
            await response.start(connection)
            self._tell(response)
            return response

        response.start = start
        return response

    def _tell(self, response: Any) -> None:
        answer = self._answer
        assert answer is not None
        response.status, response.reason = answer.status, answer.reason
        response._headers, response._raw_headers = self._headers, answer.raw_headers
        if len(answer.body) > _LONG:
            # To compare a megabyte takes 20 µs, and to hold it in memory of its own 400.
            read: Any = getattr(response.content, "_buffer", ())
            if len(read) == 1 and read[0] == answer.body:
                read[0] = answer.body


def _made(cls: Callable[..., Any], method: str, url: URL, kwargs: dict[str, Any]) -> Any:
    """Make a response, also of a class that takes what aioresponses passes and fills in the rest.

    Suites have such classes, or such an ``__init__`` on aiohttp's own, to limp past aiohttp 3.14.
    """
    try:
        return cls(method, url, **kwargs)
    except (AttributeError, TypeError):
        if _PASSED_THERE.issuperset(kwargs):
            raise
    passed = {name: value for name, value in kwargs.items() if name in _PASSED_THERE}
    return cls(method, url, **{**passed, "writer": None})


_NONE: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())


def _proxied(headers: Any) -> CIMultiDictProxy[str]:
    if not headers:
        return _NONE
    try:
        return CIMultiDictProxy(CIMultiDict(headers))
    except (TypeError, ValueError):
        return _NONE


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
