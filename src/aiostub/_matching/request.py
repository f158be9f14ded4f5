"""The request as a route, a handler and the log see it.

Nothing in here knows a session or a connection: a request is method, URL, header lines
and the bytes of its body. Views on the body (text, JSON, form, parts) are computed when
they are asked for, on the body with its content coding undone.
"""

from __future__ import annotations

import json
import re
import weakref
import zlib
from collections.abc import Callable
from contextlib import suppress
from email.feedparser import BytesFeedParser
from email.message import Message
from email.utils import collapse_rfc2231_value
from http.cookies import SimpleCookie
from importlib import import_module
from itertools import count
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from urllib.parse import parse_qsl, unquote

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from aiostub._value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.policy import Policy

    import aiohttp
    from yarl import URL

__all__ = ["FormValue", "Part", "Request", "decoded_body", "is_form", "parsed_json"]

FormValue: TypeAlias = str | bytes | tuple[str, bytes]
"""A field of a form: its text, its bytes where they are no text, or ``(filename, bytes)``."""

_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})


class Part(Value):
    """Hold one part of a multipart body.

    Attributes:
        name: name of the form field, ``None`` outside ``multipart/form-data``.
        filename: name of the file as the sender gave it, ``None`` for a plain field.
        content_type: type without parameters; ``text/plain`` if the part says nothing.
        headers: the header lines of the part.
        body: content with transfer encoding and content coding undone. A part that is
            a multipart body itself is given as it stands.
    """

    name: str | None
    filename: str | None
    content_type: str
    headers: CIMultiDictProxy[str]
    body: bytes


Headers: TypeAlias = CIMultiDictProxy[str] | CIMultiDict[str] | Callable[[], CIMultiDictProxy[str]]


class Request:
    """Show one request, read-only.

    Args:
        method: upper case.
        url: as the app's request had it.
        headers: the header lines, or what reads them when they are asked for.
        timeout: the timeouts in force for the request.
        proxy: the proxy that the request goes through.
        session: the session that sends it; held weakly.
        body: transfer coding undone, content coding kept; ``None`` until some has arrived.
        complete: whether that is all of it.
        sent: whether ``headers`` are the final ones of the wire, automatic ones included.
        truncated: whether ``body`` is only the beginning of what was sent.
        path_params: what a route's URL captured.
    """

    __slots__ = (
        "__weakref__",
        "_body",
        "_complete",
        "_headers",
        "_method",
        "_path_params",
        "_proxy",
        "_sent",
        "_session",
        "_timeout",
        "_truncated",
        "_url",
        "_views",
    )

    def __init__(  # noqa: PLR0917 - what each has goes by place: by name it takes 1.6 times as long
        self,
        method: str,
        url: URL,
        headers: Headers,
        timeout: aiohttp.ClientTimeout | None = None,
        proxy: URL | None = None,
        session: aiohttp.ClientSession | None = None,
        *,
        body: bytes | None = None,
        complete: bool = True,
        sent: bool = False,
        truncated: bool = False,
        path_params: Mapping[str, str] = _NO_PARAMS,
    ) -> None:
        self._method = method
        self._url = url
        self._headers: Headers = headers
        self._body = body
        self._complete = complete and body is not None
        self._sent = sent
        self._truncated = truncated
        self._path_params = path_params
        self._timeout = timeout
        self._proxy = proxy
        self._session = None if session is None else weakref.ref(session)
        self._views: dict[str, Any] | None = None  # on the body, as far as somebody has asked

    def __repr__(self) -> str:
        return f"<Request {self._method} {self._url}>"

    def with_path_params(self, path_params: Mapping[str, str]) -> Request:
        """Copy the request with what a route's URL captured."""
        copy = self._copy()
        copy._path_params = path_params
        copy._views = self._known_views()
        return copy

    def _arrived(self, headers: Headers, body: bytes, size: int) -> None:
        """Note what is on the wire; *headers* will not change any more.

        *size* is that of all the body that has come, of which *body* is the beginning.
        """
        self._headers = headers
        self._body = body
        self._sent = True
        self._truncated = size > len(body)
        self._views = None

    def cut(self, size: int) -> Request:
        """Copy the request with so many bytes of its body, if it has more."""
        body = self._body
        if body is None or len(body) <= size:
            return self
        copy = self._copy()
        copy._body = body[:size]
        copy._truncated = True
        return copy

    def _copy(self) -> Request:
        copy = object.__new__(Request)
        copy._method = self._method
        copy._url = self._url
        copy._headers = self._headers
        copy._body = self._body
        copy._complete = self._complete
        copy._sent = self._sent
        copy._truncated = self._truncated
        copy._path_params = self._path_params
        copy._timeout = self._timeout
        copy._proxy = self._proxy
        copy._session = self._session
        copy._views = None
        return copy

    def _known_views(self) -> dict[str, Any]:
        """Return the views that have been computed; copies with the same body share them."""
        if self._views is None:
            self._views = {}
        return self._views

    @property
    def method(self) -> str:
        """The method, in upper case."""
        return self._method

    @property
    def url(self) -> URL:
        """The URL as the app's request had it."""
        return self._url

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header lines on the wire: cookies, authentication and automatic ones included."""
        headers = self._headers
        if not isinstance(headers, (CIMultiDictProxy, CIMultiDict)):
            headers = self._headers = headers()
        elif not isinstance(headers, CIMultiDictProxy):
            headers = self._headers = CIMultiDictProxy(headers)
        return headers

    @property
    def body(self) -> bytes:
        """The bytes of the body: transfer coding undone, content coding kept."""
        return self._body or b""

    @property
    def truncated(self) -> bool:
        """Whether the body is only the beginning of what was sent: see ``Stub(log_bodies=...)``."""
        return self._truncated

    @property
    def complete(self) -> bool:
        """Whether the whole body has arrived."""
        return self._complete

    @property
    def sent(self) -> bool:
        """Whether the headers are the final ones, automatic ones included."""
        return self._sent

    @property
    def path_params(self) -> Mapping[str, str]:
        """What the placeholders or named groups of the route's URL captured."""
        return self._path_params

    @property
    def timeout(self) -> aiohttp.ClientTimeout | None:
        """The timeouts in force for the request."""
        return self._timeout

    @property
    def proxy(self) -> URL | None:
        """The proxy that the request goes through."""
        return self._proxy

    @property
    def session(self) -> aiohttp.ClientSession | None:
        """The session that sent the request, ``None`` once it is gone."""
        return None if self._session is None else self._session()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that were sent, by name (RFC 6265 section 5.4)."""
        pairs = (
            pair.partition("=")
            for line in self.headers.getall("Cookie", ())
            for pair in line.split(";")
        )
        return {
            name.strip(): SimpleCookie().value_decode(value.strip())[0]
            for name, equals, value in pairs
            if equals
        }

    @property
    def text(self) -> str:
        """The body as text, in the charset that it names or UTF-8; what is none is replaced."""
        return _text(self._decoded_body(), self._content_type())

    def json(self) -> Any:
        """Parse the body as JSON, whatever its content type says.

        Raises:
            ValueError: the body is no JSON.
        """
        body = self._decoded_body()
        charset = self._content_type().get_content_charset()
        try:
            return json.loads(body if charset is None else body.decode(charset))
        except LookupError:
            return json.loads(body)

    def form(self) -> MultiDict[FormValue]:
        """Parse the body as a form: urlencoded or ``multipart/form-data``.

        A file is ``(filename, bytes)``. A body that is no form has no fields.
        """
        content_type = self._content_type().get_content_type()
        if content_type == _URLENCODED:
            return MultiDict(self._urlencoded_fields())
        if content_type == _MULTIPART:
            return MultiDict((part.name or "", _form_value(part)) for part in self.parts)
        return MultiDict()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of a multipart body; none if the body is something else."""
        views = self._known_views()
        if "parts" not in views:
            views["parts"] = _parts(self._content_type(), self._decoded_body())
        parts: tuple[Part, ...] = views["parts"]
        return parts

    def _decoded_body(self) -> bytes:
        views = self._known_views()
        if "body" not in views:
            codings = ",".join(self.headers.getall("Content-Encoding", ()))
            views["body"] = _decoded(self.body, codings)
        body: bytes = views["body"]
        return body

    def _content_type(self) -> Message:
        return _header_of("Content-Type", self.headers.get("Content-Type", ""))

    def _urlencoded_fields(self) -> list[tuple[str, str]]:
        charset = self._content_type().get_content_charset("utf-8")
        try:
            return parse_qsl(self.text, keep_blank_values=True, encoding=charset)
        except LookupError:
            return parse_qsl(self.text, keep_blank_values=True)


def decoded_body(request: Request) -> bytes:
    """Give the body with its content coding undone."""
    return request._decoded_body()


def is_form(request: Request) -> bool:
    """Tell whether the body says that it is a form."""
    content_type = request._content_type().get_content_type()
    return content_type in (_URLENCODED, _MULTIPART)


def parsed_json(request: Request) -> object:
    """Parse the body as JSON once; the value is shared, so only look at it.

    Raises:
        ValueError: the body is no JSON.
    """
    views = request._known_views()
    if "json" not in views:
        views["json"] = request.json()
    return views["json"]


# -- multipart -------------------------------------------------------------------------


class _RawPart(Message):
    """A part that the email parser takes as it stands, multipart or message or not."""

    def get_content_maintype(self) -> str:
        return "application"

    def get_content_type(self) -> str:
        return "application/octet-stream"


def _parts(content_type: Message, body: bytes) -> tuple[Part, ...]:
    if content_type.get_content_maintype() != "multipart" or not content_type.get_boundary():
        return ()
    made = count()

    def message(policy: Policy) -> Message:
        # The parser makes one for a trial, then the whole, then the parts.
        return (Message if next(made) < 2 else _RawPart)(policy)

    parser = BytesFeedParser(message)  # type: ignore[arg-type] # it gives the policy by name
    parser.feed(b"Content-Type: " + str(content_type["Content-Type"]).encode() + b"\r\n\r\n")
    parser.feed(body)
    root = parser.close()
    raw_parts = cast("list[Message]", root.get_payload()) if root.is_multipart() else []
    return tuple(map(_part, raw_parts))


def _part(raw: Message) -> Part:
    headers = CIMultiDict((name, _utf8(value)) for name, value in raw.raw_items())
    disposition = _header_of("Content-Disposition", headers.get("Content-Disposition", ""))
    content = cast("bytes", raw.get_payload(decode=True))
    return Part(
        name=_parameter(disposition, "name"),
        filename=_parameter(disposition, "filename", percent=True),
        content_type=_header_of("Content-Type", headers.get("Content-Type", "")).get_content_type(),
        headers=CIMultiDictProxy(headers),
        body=_decoded(content, headers.get("Content-Encoding", "")),
    )


def _parameter(disposition: Message, name: str, *, percent: bool = False) -> str | None:
    """Read a parameter: RFC 2231 form, or plain with the percents of RFC 7578 section 2."""
    value = disposition.get_param(name, header="Content-Disposition")
    # Of the quoted pairs (RFC 9110, 5.6.4) the email package undoes only two.
    quoted = re.search(
        rf';\s*{name}="((?:[^"\\]|\\.)*)"', disposition["Content-Disposition"] or "", re.IGNORECASE
    )
    if quoted is not None:
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    if isinstance(value, str):
        return unquote(value) if percent else value
    return None if value is None else collapse_rfc2231_value(value)


def _form_value(part: Part) -> FormValue:
    if part.filename is not None:
        return part.filename, part.body
    if not part.content_type.startswith("text/"):
        return part.body
    return _text(part.body, _header_of("Content-Type", part.headers.get("Content-Type", "")))


def _header_of(name: str, value: str) -> Message:
    """Let the email package take the parameters of a header apart (RFC 2231)."""
    message = Message()
    message[name] = value
    return message


def _text(body: bytes, content_type: Message) -> str:
    try:
        return body.decode(content_type.get_content_charset("utf-8"), "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _utf8(value: str) -> str:
    return value.encode("ascii", "surrogateescape").decode("utf-8", "replace")


# -- content coding --------------------------------------------------------------------


def _decoded(body: bytes, codings: str) -> bytes:
    """Undo content codings, last one first; one that is unknown or broken stays."""
    for coding in reversed(codings.lower().split(",")):
        decode = _DECODERS.get(coding.strip())
        if decode is None:
            return body
        try:
            body = decode(body)
        except Exception:  # noqa: BLE001 - each library has errors of its own
            return body
    return body


def decodes(body: bytes, codings: str) -> bool:
    """Tell whether a body really has the content codings that are said of it."""
    return _decoded(body, codings) is not body


def _inflated(body: bytes) -> bytes:
    """Undo ``deflate``: zlib by the book (RFC 9110 section 8.4.1.2), raw by custom."""
    try:
        return zlib.decompress(body)
    except zlib.error:
        return zlib.decompress(body, -zlib.MAX_WBITS)


def _by_first_of(*modules: str) -> Callable[[bytes], bytes]:
    """Decompress with the first of the modules that is installed."""

    def decode(body: bytes) -> bytes:
        plain: bytes = _first_installed(*modules).decompress(body)
        return plain

    return decode


def _first_installed(*modules: str) -> ModuleType:
    for module in modules:
        with suppress(ImportError):
            return import_module(module)
    msg = f"none of {', '.join(modules)} is installed"
    raise ImportError(msg)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": _by_first_of("gzip"),
    "x-gzip": _by_first_of("gzip"),
    "deflate": _inflated,
    "br": _by_first_of("brotli", "brotlicffi"),
    "zstd": _by_first_of("compression.zstd", "backports.zstd"),
}
