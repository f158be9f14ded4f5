"""Replies: from what the user writes to the bytes on the wire.

The rules of this file: everything that can be wrong with a reply is a ``RouteError`` when it is
made, and all values are taken as they are then. Its bytes are written when it is served first, and
serving it again is a look-up. Nothing here waits, and nothing knows to whom or how many times a
reply is served.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json as json_codec
import math
import re
import reprlib
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from inspect import iscoroutinefunction
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NoReturn,
    Protocol,
    TypeAlias,
    overload,
)

from aiostub._value import UNSET, Individual
from aiostub.exceptions import RouteError
from aiostub.faults import Fault

if TYPE_CHECKING:
    import os
    from types import ModuleType

    from typing_extensions import Unpack, deprecated

    from aiostub.typing import BodyArguments, HeadArguments

__all__ = [
    "SLICE",
    "Chunks",
    "Compression",
    "Pairs",
    "Reply",
    "Stream",
    "check_delay",
    "is_delay",
    "sliced",
    "sse",
]

# For type checkers alone: to make them when the package is imported would take a third of a ms.
Chunks: TypeAlias = "Iterable[bytes] | AsyncIterable[bytes]"
Stream: TypeAlias = "Chunks | Callable[[], Chunks]"
Pairs: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"
Compression: TypeAlias = 'Literal["gzip", "deflate", "br", "zstd"]'
_Kind: TypeAlias = 'Literal["json", "text", "body", "file", "stream"]'
_Lines: TypeAlias = "list[tuple[str, str]]"

_HTTP_1_1: Final = (1, 1)
_BODILESS: Final = frozenset({204, 304})
_PHRASES: Final[Mapping[int, str]] = {status.value: status.phrase for status in HTTPStatus}
# Compiled when they are first used: to compile one takes 0.1 ms, and few tests need any of them.
_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_CHARSET: Final = r";\s*charset\s*=\s*\"?([^\s;\"]+)"
_LINE_END: Final = r"\r\n|\r|\n"
SLICE: Final = 256 * 1024  # asyncio reads a socket in pieces of this size at the most
_SHOWN: Final = 60  # characters of a value in an error text


def _refuse(argument: str, problem: str) -> NoReturn:
    raise RouteError(f"{argument}: {problem}")


def _shorten(value: object) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def is_delay(value: object) -> bool:
    """Tell whether a value is a number of seconds, finite and 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value < math.inf


def check_delay(delay: object) -> None:
    """Raise ``RouteError`` for a delay that is none."""
    if not is_delay(delay):
        _refuse("delay", f"must be a finite number of seconds, 0 or more, got {delay!r}")


# ------------------------------------------------------------------------------- the head


def _check_status(status: object) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        _refuse("status", f"must be an int, got {status!r}")
    if not 200 <= status <= 599:
        hint = "; 101 belongs to serve() and ws()" if status == 101 else ""
        _refuse("status", f"must be 200 to 599, got {status!r}{hint}")
    return int(status)


def _check_reason(status: int, reason: object) -> str:
    if reason is None:
        return _PHRASES.get(status, "")
    if not isinstance(reason, str):
        _refuse("reason", f"must be a str, got {reason!r}")
    return _check_line("reason", reason)


def _is_unsendable(value: str) -> bool:
    return "\r" in value or "\n" in value or "\0" in value


def _check_line(argument: str, value: str) -> str:
    if _is_unsendable(value):
        _refuse(argument, f"CR, LF and NUL cannot be sent, got {value!r}")
    if not value.isascii():
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            _refuse(argument, f"cannot be encoded, got {value!r}")
    return value


def _pairs_of(argument: str, given: object) -> list[tuple[Any, Any]]:
    items: Any = given.items() if hasattr(given, "items") else given
    try:
        if isinstance(items, (str, bytes)):
            raise TypeError  # noqa: TRY301 - "ab" would be taken for a pair
        return [(name, value) for name, value in items]
    except (TypeError, ValueError):
        _refuse(argument, f"must be a mapping or pairs, got {_shorten(given)}")


def check_headers(headers: Pairs | None, argument: str = "headers") -> _Lines:
    """Read the headers that a user gives, in their order.

    Args:
        headers: a mapping, pairs or a multidict.
        argument: what a text calls them.

    Raises:
        RouteError: one of them could not stand in a message.
    """
    if headers is None:
        return []
    return [_check_header(argument, *pair) for pair in _pairs_of(argument, headers)]


@functools.lru_cache(maxsize=256)  # few headers have names of their own
def _is_token(name: str) -> bool:
    return re.fullmatch(_NAME, name) is not None


def _check_header(argument: str, name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not _is_token(name):
        _refuse(argument, f"{name!r} is not the name of a header")
    if not isinstance(value, str):
        _refuse(argument, f"the value of {name} must be a str, got {value!r}")
    return str(name), _check_line(f"{argument}: {name}", str(value))


def _combine(lines: _Lines) -> Mapping[str, str]:
    """Give what was said under each name, in lower case; lines of one name are one list.

    See RFC 9110 5.3.
    """
    said: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        said[key] = f"{said[key]}, {value}" if key in said else value
    return said


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]


def _check_cookies(cookies: Pairs | None) -> _Lines:
    if cookies is None:
        return []
    return [("Set-Cookie", _cookie(*pair)) for pair in _pairs_of("cookies", cookies)]


def _cookie(name: object, value: object) -> str:
    if not isinstance(name, str) or not isinstance(value, str):
        _refuse("cookies", f"names and values must be str, got {name!r}: {value!r}")
    jar: SimpleCookie = SimpleCookie()
    try:
        jar[name] = value
        jar[name]["path"] = "/"
        return _check_line("cookies", jar[name].OutputString())
    except CookieError as error:
        _refuse("cookies", str(error))


# ------------------------------------------------------------------------------- the content type


@functools.cache
def _guesser() -> Callable[[str], tuple[str | None, str | None]]:
    """Guess the type of a file as it lies there, as aiohttp.web.FileResponse does.

    An archive is served as an archive: ``.gz`` is a type of its own, not the inner type with a
    ``Content-Encoding`` that the client would undo. The machine's own tables are left out.
    """
    from mimetypes import MimeTypes  # noqa: PLC0415 - reads the tables of the machine: 5 ms

    types = MimeTypes()
    types.encodings_map.clear()
    for content_type, suffix in (
        ("application/gzip", ".gz"),
        ("application/x-brotli", ".br"),
        ("application/x-bzip2", ".bz2"),
        ("application/x-compress", ".Z"),
        ("application/x-xz", ".xz"),
    ):
        types.add_type(content_type, suffix)
    # The older one takes a name for a URL and stops at its "?".
    guess: Callable[[str], tuple[str | None, str | None]]
    guess = getattr(types, "guess_file_type", types.guess_type)
    return guess


_PLAIN_TEXT: Final = "text/plain; charset=utf-8"
_KIND_TYPES: Final[Mapping[_Kind, str]] = {"json": "application/json", "text": _PLAIN_TEXT}


def _choose_type(kind: _Kind | None, given: object, content_type: str | None) -> str | None:
    if content_type is not None:
        return _check_type(kind, content_type)
    if kind is None:
        return None
    if kind == "file":
        guessed = _guesser()(_check_path(given).name)[0]
        return guessed or "application/octet-stream"
    return _KIND_TYPES.get(kind, "application/octet-stream")


@functools.lru_cache(maxsize=64)  # few replies have a type of their own
def _charset_of(content_type: str) -> str | None:
    if content_type == _PLAIN_TEXT:
        return "utf-8"
    found = re.search(_CHARSET, content_type, re.IGNORECASE)
    return found[1] if found else None


def _check_type(kind: _Kind | None, content_type: object) -> str:
    if not isinstance(content_type, str):
        _refuse("content_type", f"must be a str, got {content_type!r}")
    _check_line("content_type", content_type)
    is_text = kind == "text" and content_type.lower().startswith("text/")
    if is_text and _charset_of(content_type) is None:
        return f"{content_type}; charset=utf-8"
    return content_type


# ------------------------------------------------------------------------------- the body


def _only_kind(
    json: object, text: object, body: object, file: object, stream: object
) -> tuple[_Kind | None, object]:
    """Find the kind of body given: ``None`` is not one, but for json, whose ``None`` is null."""
    given: list[tuple[_Kind, object]] = [] if json is UNSET else [("json", json)]
    if text is not None:
        given.append(("text", text))
    if body is not None:
        given.append(("body", body))
    if file is not None:
        given.append(("file", file))
    if stream is not None:
        given.append(("stream", stream))
    if len(given) > 1:
        names = " and ".join(f"{kind}=" for kind, _ in given)
        _refuse(names, "a reply has one body at most")
    return given[0] if given else (None, None)


def _content_of(kind: _Kind | None, given: object, content_type: str | None) -> bytes | None:
    if kind == "json":
        return _dump(given)
    if kind == "text":
        return _encode(given, content_type or "")
    if kind == "body":
        return _check_body(given)
    if kind == "file":
        return _read(_check_path(given))
    return None


def _dump(value: object) -> bytes:
    try:
        return json_codec.dumps(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise RouteError(f"json: cannot be serialised: {error}") from error


def _encode(text: object, content_type: str) -> bytes:
    if not isinstance(text, str):
        _refuse("text", f"must be a str, got {_shorten(text)}")
    charset = _charset_of(content_type) or "utf-8"
    try:
        return text.encode(charset)
    except LookupError as error:
        raise RouteError(
            f"text: the content type names a charset that is none, {charset!r}"
        ) from error
    except UnicodeError as error:
        raise RouteError(f"text: cannot be encoded in {charset}: {error}") from error


def _check_body(body: object) -> bytes:
    if not isinstance(body, (bytes, bytearray, memoryview)):
        _refuse("body", f"must be bytes, got {_shorten(body)}; use text= or json=")
    return bytes(body)


def _check_path(path: object) -> Path:
    try:
        return Path(path)  # type: ignore[arg-type] # it says itself what it does not take
    except TypeError:
        _refuse("file", f"must be a path, got {_shorten(path)}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise RouteError(f"file: cannot be read: {error}") from error


# ------------------------------------------------------------------------------- streams


if TYPE_CHECKING:

    class _Coder(Protocol):
        """Compress one body; ``flush`` makes all that went in readable at the other end."""

        def compress(self, data: bytes) -> bytes: ...

        def flush(self) -> bytes: ...

        def finish(self) -> bytes: ...


_MakeCoder: TypeAlias = "Callable[[], _Coder]"
_Unchecked: TypeAlias = "Iterable[object] | AsyncIterable[object]"


def _check_chunk(chunk: object) -> bytes:
    if not isinstance(chunk, (bytes, bytearray, memoryview)):
        _refuse("stream", f"must give bytes, gave {_shorten(chunk)}")
    return bytes(chunk)


def _check_chunks(chunks: object) -> _Unchecked:
    if isinstance(chunks, (str, bytes, bytearray, memoryview)):
        _refuse("stream", f"must give chunks of bytes, got {_shorten(chunks)}; use text= or body=")
    if not isinstance(chunks, (Iterable, AsyncIterable)):
        _refuse(
            "stream",
            "must be an iterable or async iterable of bytes, or a callable giving one, "
            f"got {_shorten(chunks)}",
        )
    return chunks


def _is_one_shot(chunks: _Unchecked) -> bool:
    """Tell whether iterating a second time would find nothing left."""
    if isinstance(chunks, AsyncIterable):
        return hasattr(chunks, "__anext__") and chunks.__aiter__() is chunks
    return hasattr(chunks, "__next__") and iter(chunks) is chunks


def _opener(stream: object) -> tuple[Callable[[], _Unchecked], bool]:
    """Give what opens the user's chunks once more, and whether that works only once."""
    if callable(stream) and not isinstance(stream, (Iterable, AsyncIterable)):
        if iscoroutinefunction(stream):
            _refuse("stream", f"{_shorten(stream)} gives a coroutine, not chunks: let it yield")
        return (lambda: _check_chunks(stream())), False
    chunks = _check_chunks(stream)
    if isinstance(chunks, (list, tuple)):
        chunks = tuple(_check_chunk(chunk) for chunk in chunks)
    return (lambda: chunks), _is_one_shot(chunks)


def _streamer(open_: Callable[[], _Unchecked], make: _MakeCoder | None) -> Callable[[], Chunks]:
    """Give what opens the chunks as they are sent: checked, none empty, perhaps compressed."""

    def stream() -> Chunks:
        chunks = open_()
        coder = None if make is None else make()
        if isinstance(chunks, AsyncIterable):
            return _pieces_async(chunks, coder)
        return _pieces(chunks, coder)

    return stream


def _piece(chunk: object, coder: _Coder | None) -> bytes:
    data = _check_chunk(chunk)
    return data if coder is None or not data else coder.compress(data) + coder.flush()


def _pieces(chunks: Iterable[object], coder: _Coder | None) -> Iterator[bytes]:
    iterator = iter(chunks)
    try:
        for chunk in iterator:
            if piece := _piece(chunk, coder):
                yield piece
        if coder is not None:
            yield coder.finish()
    finally:
        # Either may be what holds a resource: a generator, or the object that made it.
        for resource in {id(it): it for it in (iterator, chunks)}.values():
            if hasattr(resource, "close"):
                resource.close()


async def _pieces_async(
    chunks: AsyncIterable[object], coder: _Coder | None
) -> AsyncIterator[bytes]:
    iterator = chunks.__aiter__()
    try:
        async for chunk in iterator:
            if piece := _piece(chunk, coder):
                yield piece
        if coder is not None:
            yield coder.finish()
    finally:
        for resource in {id(it): it for it in (iterator, chunks)}.values():
            if hasattr(resource, "aclose"):
                await resource.aclose()


# ------------------------------------------------------------------------------- compression


class _Zlib:
    """Write gzip (RFC 1952) or what HTTP calls deflate, the zlib format (RFC 1950)."""

    def __init__(self, wbits: int) -> None:
        coder = zlib.compressobj(wbits=wbits)
        self.compress = coder.compress
        self.finish = coder.flush
        self._flush = coder.flush

    def flush(self) -> bytes:
        return self._flush(zlib.Z_SYNC_FLUSH)


class _Brotli:
    def __init__(self, module: ModuleType) -> None:
        coder = module.Compressor()
        self.compress = coder.process
        self.flush = coder.flush
        self.finish = coder.finish


class _Zstd:
    def __init__(self, module: ModuleType) -> None:
        self._coder = module.ZstdCompressor()
        self.compress = self._coder.compress
        self.finish = self._coder.flush

    def flush(self) -> bytes:
        return bytes(self._coder.flush(self._coder.FLUSH_BLOCK))


# Where aiohttp's client finds what undoes them.
_BROTLI_MODULES: Final = ("brotlicffi", "brotli")
_ZSTD_MODULES: Final = ("compression.zstd", "backports.zstd")


def _coder_for(compress: str) -> _MakeCoder:
    if compress == "gzip":
        return lambda: _Zlib(zlib.MAX_WBITS | 16)
    if compress == "deflate":
        return lambda: _Zlib(zlib.MAX_WBITS)
    if compress == "br":
        brotli = _import_first(_BROTLI_MODULES, "compress: 'br' needs the package Brotli")
        return lambda: _Brotli(brotli)
    if compress == "zstd":
        zstd = _import_first(_ZSTD_MODULES, "compress: 'zstd' needs the package backports.zstd")
        return lambda: _Zstd(zstd)
    _refuse("compress", f"must be 'gzip', 'deflate', 'br' or 'zstd', got {compress!r}")


def _check_compress(compress: str, kind: _Kind | None) -> _MakeCoder:
    if kind is None:
        _refuse("compress", "there is no body to compress")
    return _coder_for(compress)


def _import_first(names: tuple[str, ...], missing: str) -> ModuleType:
    for name in names:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    raise RouteError(missing)


def _compressed(content: bytes, make: _MakeCoder) -> bytes:
    coder = make()
    return coder.compress(content) + coder.finish()


# ------------------------------------------------------------------------------- the reply


def sliced(data: bytes) -> tuple[bytes, ...]:
    """Cut bytes into the pieces in which a socket would be read."""
    if len(data) <= SLICE:
        return (data,)
    return tuple(data[start : start + SLICE] for start in range(0, len(data), SLICE))


def _sliced_behind(head: bytes, body: bytes) -> tuple[bytes, ...]:
    """Cut a head and a body as if they were joined, which would copy a long body once more."""
    if len(head) + len(body) <= SLICE:
        return (head + body,)
    room = -len(head) % SLICE  # in the piece that the head ends in
    rest = (body[start : start + SLICE] for start in range(room, len(body), SLICE))
    return (*sliced(head + body[:room]), *rest)


def _check_fault(fault: object, kind: _Kind | None, content: bytes | None) -> None:
    if not isinstance(fault, Fault):
        _refuse("fault", f"must be a fault, such as faults.reset(after=1), got {fault!r}")
    if fault.stage != "body":
        _refuse("fault", f"{fault!r} leaves no reply to spoil; use fail({fault!r})")
    if kind is None:
        _refuse("fault", f"{fault!r} spoils a body, and this reply has none")
    if content is not None and fault.after > len(content):
        _refuse("fault", f"{fault!r} never comes, the body has {len(content)} bytes")
    if content == b"" and fault.name == "truncated":
        _refuse("fault", f"{fault!r} needs a body of one byte at least")


def _framing(
    said: Mapping[str, str], status: int, content: bytes | None, *, streamed: bool
) -> _Lines:
    """Say how long the body is, unless the user has said so or there can be none.

    A 204 has no length, and a 304 would have to repeat that of a 200 nobody knows; see RFC 9110
    8.6.
    """
    if status in _BODILESS or _is_framed(said):
        return []
    if streamed:
        return [("Transfer-Encoding", "chunked")]
    return [("Content-Length", str(len(content or b"")))]


def _is_framed(said: Mapping[str, str]) -> bool:
    return "content-length" in said or "transfer-encoding" in said


def _is_chunked(said: Mapping[str, str]) -> bool:
    """Tell whether chunked is the last transfer coding; see RFC 9112 6.1."""
    codings = said.get("transfer-encoding")
    return codings is not None and _tokens(codings)[-1] == "chunked"


def _as_one_chunk(content: bytes) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
    return chunk + b"0\r\n\r\n"


class Reply(Individual):
    """Say what a route answers: status, headers and a body of one kind at most.

    Args:
        status: 200 to 599.
        json: Anything that ``json.dumps`` takes; ``None`` is ``null``.
        text: Sent in the charset that the content type names, or else in UTF-8.
        body: Bytes, sent as they are.
        file: A path, read now; the content type is guessed from its name.
        stream: An iterable or async iterable of bytes, or a callable giving one. Sent chunked.
        headers: A mapping, pairs or a multidict. Duplicates and order survive.
        cookies: Names and values, sent as ``Set-Cookie`` with ``Path=/``.
        content_type: Instead of the one that the kind of body has. A header wins over it.
        reason: Instead of the phrase of the status.
        compress: ``"gzip"`` or ``"deflate"``, and ``"br"`` and ``"zstd"`` where installed.
        delay: Seconds on the event loop's clock before the answer, finite, 0 or more.
        fault: A fault of the body, which spoils this reply.

    Attributes:
        headers: The lines as sent to a GET over HTTP/1.1, in order.
        body: The bytes as sent, content coding applied; ``None`` for a stream and without a body.
        stream: What opens the chunks once more, content coding applied and none of them empty.
        one_shot: Whether that works only once.
        takes_time: Whether it cannot be sent in one go.

    Raises:
        RouteError: An argument is wrong or contradicts another; the text names it.

    """

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    stream: Callable[[], Chunks] | None
    one_shot: bool
    takes_time: bool
    delay: float
    fault: Fault | None
    _kind: _Kind | None
    _shown: Any
    _said: Mapping[str, str]
    _plain: tuple[tuple[bytes, ...], bool] | None  # what was `served` where nothing asks for else

    @overload
    def __init__(self, status: int = 200, **head: Unpack[HeadArguments]) -> None: ...

    if TYPE_CHECKING:

        @overload
        @deprecated("a reply with status 204 or 304 carries no body")
        def __init__(
            self,
            status: Literal[204, 304],
            *,
            json: object = ...,
            text: str | None = ...,
            body: bytes | None = ...,
            file: str | os.PathLike[str] | None = ...,
            stream: Stream | None = ...,
            **more: Unpack[BodyArguments],
        ) -> None: ...

    @overload
    def __init__(
        self,
        status: int = 200,
        *,
        json: object,
        **more: Unpack[BodyArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        status: int = 200,
        *,
        text: str | None,
        **more: Unpack[BodyArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        status: int = 200,
        *,
        body: bytes | None,
        **more: Unpack[BodyArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        status: int = 200,
        *,
        file: str | os.PathLike[str] | None,
        **more: Unpack[BodyArguments],
    ) -> None: ...
    @overload
    def __init__(
        self,
        status: int = 200,
        *,
        stream: Stream | None,
        **more: Unpack[BodyArguments],
    ) -> None: ...
    def __init__(
        self,
        status: int = 200,
        *,
        json: object = UNSET,
        text: str | None = None,
        body: bytes | None = None,
        file: str | os.PathLike[str] | None = None,
        stream: Stream | None = None,
        headers: Pairs | None = None,
        cookies: Pairs | None = None,
        content_type: str | None = None,
        reason: str | None = None,
        compress: Compression | None = None,
        delay: float = 0,
        fault: Fault | None = None,
    ) -> None:
        check_delay(delay)
        status = _check_status(status)
        reason = _check_reason(status, reason)
        kind, given = _only_kind(json, text, body, file, stream)
        if kind is not None and status in _BODILESS:
            _refuse(f"{kind}=", f"a {status} carries no body")
        lines = check_headers(headers)
        said = _combine(lines)
        type_ = said.get("content-type") or _choose_type(kind, given, content_type)
        if type_ is not None and "content-type" not in said:
            lines.append(("Content-Type", type_))
        raw = _content_of(kind, given, type_)
        make = None if compress is None else _check_compress(compress, kind)
        if compress is not None and "content-encoding" not in said:
            lines.append(("Content-Encoding", compress))
        content = raw if make is None or raw is None else _compressed(raw, make)
        open_, one_shot = _opener(given) if kind == "stream" else (None, False)
        cookie_lines = _check_cookies(cookies)
        if fault is not None:
            _check_fault(fault, kind, content)
        self._fill(
            status,
            reason,
            (
                *lines,
                *_framing(said, status, content, streamed=open_ is not None),
                *cookie_lines,  # behind the length, as in an answer of aiohttp.web's
            ),
            content,
            None if open_ is None else _streamer(open_, make),
            one_shot,
            open_ is not None or fault is not None or delay > 0,
            delay,
            fault,
            kind,
            raw if kind in ("json", "body") else given,
            said,
            None,
        )

    def encode(
        self, method: str, version: tuple[int, int], *, keep_alive: bool | None = None
    ) -> bytes:
        """Give what can be written at once: the head, and the body unless it is streamed.

        Args:
            method: The method of the request, upper-case.
            version: Its HTTP version, which the answer takes over.
            keep_alive: Whether the request lets the connection stay open. By default what its
                version means: HTTP/1.1 does, HTTP/1.0 does not.

        """
        return b"".join(self.served(method, version, keep_alive=keep_alive)[0])

    @property
    def is_long(self) -> bool:
        """Tell whether it is more than a socket would be read in one piece."""
        return self.body is not None and len(self.body) > SLICE

    def served(
        self, method: str, version: tuple[int, int], *, keep_alive: bool | None
    ) -> tuple[tuple[bytes, ...], bool]:
        """Give the same in the pieces in which a socket would be read, and what `closes` says."""
        if method == "HEAD" or version != _HTTP_1_1 or keep_alive is False:
            return self._written(method, version, keep_alive=keep_alive)
        plain = self._plain  # cut once: a copy of a long body for each call is the dearest part
        if plain is None:
            plain = self._written(method, version, keep_alive=keep_alive)
            self._setters["_plain"](self, plain)
        return plain

    def _written(
        self, method: str, version: tuple[int, int], *, keep_alive: bool | None
    ) -> tuple[tuple[bytes, ...], bool]:
        says_closes = self._says_closes(method, version, keep_alive=keep_alive)
        head = self._head(version, says_closes=says_closes)
        closes = says_closes or self._has_wrong_length(method)
        return _sliced_behind(head, self.payload(method)), closes

    def head(
        self, method: str, version: tuple[int, int], *, keep_alive: bool | None = None
    ) -> bytes:
        """Give status line and header block, the empty line included. Arguments as ``encode``."""
        says_closes = self._says_closes(method, version, keep_alive=keep_alive)
        return self._head(version, says_closes=says_closes)

    def _head(self, version: tuple[int, int], *, says_closes: bool) -> bytes:
        lines = "".join([f"{name}: {value}\r\n" for name, value in self._lines(version)])
        # Only what the version does not mean by itself is said, as aiohttp.web does.
        if says_closes is (version >= _HTTP_1_1) and "connection" not in self._said:
            lines += f"Connection: {'close' if says_closes else 'keep-alive'}\r\n"
        start = f"HTTP/{version[0]}.{version[1]} {self.status} {self.reason}"
        return f"{start}\r\n{lines}\r\n".encode("utf-8", "surrogateescape")

    def payload(self, method: str) -> bytes:
        """Give the bytes that follow the head: none for HEAD, 204, 304 and streams."""
        if self.stream is not None or not self._carries_body(method):
            return b""
        # One chunk where the user's own header says that it is chunked.
        content = self.body or b""
        return _as_one_chunk(content) if _is_chunked(self._said) else content

    def chunked(self, version: tuple[int, int]) -> bool:
        """Tell whether the body is sent in the chunked coding, as the head says."""
        if "transfer-encoding" in self._said:
            return _is_chunked(self._said)
        return self._chunks_by_itself() and version >= _HTTP_1_1

    def closes(
        self, method: str, version: tuple[int, int], *, keep_alive: bool | None = None
    ) -> bool:
        """Tell whether the connection must be closed after this reply. Arguments as ``encode``.

        It must where a side says so, where nothing but its end shows the end of the body, and,
        without a word in the head, where a length of the user's is wrong.
        """
        says_closes = self._says_closes(method, version, keep_alive=keep_alive)
        return says_closes or self._has_wrong_length(method)

    def _has_wrong_length(self, method: str) -> bool:
        length = self._said.get("content-length")
        if length is None or self.stream is not None or not self._carries_body(method):
            return False
        return length != str(len(self.payload(method)))

    def _says_closes(
        self, method: str, version: tuple[int, int], *, keep_alive: bool | None
    ) -> bool:
        said = self._said.get("connection")
        if said is not None and "close" in _tokens(said):
            return True
        if keep_alive is False or (keep_alive is None and version < _HTTP_1_1):
            return True
        return not self._has_end(version) and self._carries_body(method)

    def _carries_body(self, method: str) -> bool:
        return method != "HEAD" and self.status not in _BODILESS

    def _has_end(self, version: tuple[int, int]) -> bool:
        if "transfer-encoding" in self._said or self._chunks_by_itself():
            return self.chunked(version)
        return True

    def _chunks_by_itself(self) -> bool:
        return self.stream is not None and not _is_framed(self._said)

    def _lines(self, version: tuple[int, int]) -> tuple[tuple[str, str], ...]:
        if version < _HTTP_1_1 and self._chunks_by_itself():
            return tuple(line for line in self.headers if line[0] != "Transfer-Encoding")
        return self.headers

    def __repr__(self) -> str:
        """Show what a reader of an error text recognises the reply by."""
        shown = [str(self.status), *self._shown_body()]
        if self.fault is not None:
            shown.append(f"fault={self.fault!r}")
        return f"reply({', '.join(shown)})"

    def _shown_body(self) -> list[str]:
        match self._kind:
            case None:
                return []
            case "stream":
                return ["stream=..."]
            case "json":
                return [f"json={_shorten(json_codec.loads(self._shown))}"]
            case "file":
                return [f"file={str(self._shown)!r}"]
            case kind:
                return [f"{kind}={_shorten(self._shown)}"]


# ------------------------------------------------------------------------------- events


def sse(
    data: str = "",
    *,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
) -> bytes:
    """Format one server-sent event, for ``stream=``.

    Args:
        data: The text, of as many lines as it has.
        event: The type of the event, one line.
        id: Its id, one line without NUL.
        retry: Milliseconds before the client reconnects, 0 or more.

    Raises:
        RouteError: An argument cannot be sent so.

    See https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation.

    """
    if not isinstance(data, str):
        _refuse("data", f"must be a str, got {_shorten(data)}")
    fields = [*_field("event", event), *_field("id", id)]
    if retry is not None:
        fields.append(f"retry: {_check_retry(retry)}")
    fields += [f"data: {line}" for line in re.split(_LINE_END, data)]
    try:
        return "".join([f"{line}\n" for line in [*fields, ""]]).encode()
    except UnicodeEncodeError as error:
        raise RouteError(f"data: cannot be encoded: {error}") from error


def _check_retry(retry: object) -> int:
    if isinstance(retry, bool) or not isinstance(retry, int) or retry < 0:
        _refuse("retry", f"must be an int of 0 or more (milliseconds), got {retry!r}")
    return retry


def _field(name: str, value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str) or _is_unsendable(value):
        _refuse(name, f"must be a str of one line, got {value!r}")
    return [f"{name}: {value}"]
