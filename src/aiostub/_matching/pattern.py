"""What a route matches: URL patterns and conditions.

The rules of this file:

- Matching is sync and pure. It says `Match`, `Mismatch` or `UNDECIDED`; "no" is a value.
- What a user's matcher raises goes through untouched: it never means "no match".
- URLs are rewritten for comparing only (`canonical`); nobody is ever shown the rewritten one.
- What the user wrote is checked and taken apart once, when the route is registered.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from http.cookies import Morsel
from itertools import islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import unquote

from yarl import URL

from aiostub._matching.request import FormValue, Request, decoded_body, is_form, parsed_json
from aiostub._secrets import mask_body, mask_cookie, mask_header
from aiostub._value import UNSET, Individual, NamedTuple, Value
from aiostub.exceptions import RouteError
from aiostub.matchers import (
    Named,
    Partial,
    difference,
    equals_text,
    gathered,
    is_any,
    is_expected_text,
    is_matcher,
    is_scalar,
    json_differences,
    named_differences,
    read_json,
    shown,
)

__all__ = [
    "REST",
    "UNDECIDED",
    "Canonical",
    "Match",
    "Mismatch",
    "Pattern",
    "Place",
    "Rest",
    "Rule",
    "Segment",
    "Template",
    "Undecided",
    "as_sent",
    "build_rule",
    "build_rules",
    "canonical",
    "nearness",
]


# -- the answers -----------------------------------------------------------------------


class Undecided(Value):
    """Tell "not yet known" from yes and no."""

    def __repr__(self) -> str:
        return "UNDECIDED"


UNDECIDED: Final = Undecided()


class Match(Value):
    """Say that a request matches, and what its URL captured."""

    path_params: Mapping[str, str]


class Mismatch(Value):
    """Say the first thing that differs.

    Attributes:
        field: what differs: ``"method"``, ``"url"``, ``"scheme"``, ``"host"``, ``"port"``,
            ``"path"``, ``"params"``, ``"headers"``, ``"cookies"``, ``"json"``, ``"data"``
            or ``"where"``.
    """

    field: str
    _detail: str | Callable[[], str]

    def __repr__(self) -> str:
        return f"Mismatch({self.field!r}, {self.detail!r})"

    @property
    def detail(self) -> str:
        """The difference in words, ``page: expected '2', got '1'``."""
        # Most mismatches are only passed over on the way to the route that matches.
        return self._detail if isinstance(self._detail, str) else self._detail()


_NOTHING_CAPTURED: Final[Mapping[str, str]] = MappingProxyType({})
_PLAIN_MATCH: Final = Match(_NOTHING_CAPTURED)


# -- canonical URLs --------------------------------------------------------------------


class Canonical(NamedTuple):
    """A URL as it is compared: two URLs that mean the same have the same one."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: tuple[tuple[str, str], ...]


_COMPARED_SCHEME: Final = {"ws": "http", "wss": "https"}

# What yarl leaves as it stands; anything else (percents, dot segments, what
# URL(..., encoded=True) let through) is requoted before it is compared.
_IS_PLAIN_HOST: Final = re.compile(r"[a-z0-9._\-]*").fullmatch
_IS_PLAIN_PATH: Final = re.compile(r"(?:/(?!\.)[\w.~!$&'()*+,;=:@\-]*)*", re.ASCII).fullmatch


@lru_cache(maxsize=1024)
def canonical(url: URL) -> Canonical:
    """Rewrite a URL for comparing.

    Equal become: case of scheme and host, IDNA forms, a dot after the host, the default
    port, ``ws`` and ``http``, an empty path and ``/``, percent-encoding variants, dot
    segments, key order of the query, spellings of one query pair. Fragment and userinfo
    are dropped.
    """
    if not (_IS_PLAIN_HOST(url.raw_host or "") and _IS_PLAIN_PATH(url.raw_path)):
        url = _requoted(url)
    scheme = url.scheme
    return Canonical(
        _COMPARED_SCHEME.get(scheme, scheme),
        (url.raw_host or "").lower().removesuffix("."),
        url.port,
        url.raw_path or "/",
        _by_name(url.query.items()) if url.raw_query_string else (),
    )


def _by_name(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs, key=itemgetter(0)))


def _requoted(url: URL) -> URL:
    try:
        return URL(str(url.with_user(None)))
    except ValueError:  # encoded=True takes what the parser refuses
        return url


# -- addresses: URLs written out, with or without placeholders --------------------------


class _Shape(Value):
    """A host or a path with placeholders in it."""

    pattern: re.Pattern[str]
    text: str
    segments: tuple[Segment, ...] = ()


class Rest(Value):
    """Stand for the rest of a path in the segments of a template."""


REST: Final = Rest()
Segment: TypeAlias = "str | Rest | None"  # None: there is a placeholder in it


class _Address(Value):
    """A URL written out. Without a scheme it is a path on any scheme, host and port."""

    scheme: str | None
    host: str | _Shape
    port: int | None
    path: str | _Shape

    def find(self, actual: Canonical) -> Mapping[str, str] | Mismatch:
        """Compare, and capture what the placeholders stand for."""
        if self.scheme is None:
            return self._in_path(actual, _NOTHING_CAPTURED)
        in_host = _captured(self.host, actual.host)
        if in_host is None:
            return Mismatch("host", lambda: _place_difference(self.host, actual.host))
        if self.scheme != actual.scheme:
            return Mismatch("scheme", lambda: f"expected {self.scheme}, got {actual.scheme}")
        if self.port != actual.port:
            return Mismatch("port", lambda: f"expected {self.port}, got {actual.port}")
        return self._in_path(actual, in_host)

    def _in_path(
        self, actual: Canonical, in_host: Mapping[str, str]
    ) -> Mapping[str, str] | Mismatch:
        in_path = _captured(self.path, actual.path)
        if in_path is None:
            return Mismatch("path", lambda: _path_difference(self.path, actual.path))
        return {**in_host, **in_path} if in_host else in_path


def _captured(expected: str | _Shape, actual: str) -> Mapping[str, str] | None:
    if isinstance(expected, str):
        return _NOTHING_CAPTURED if expected == actual else None
    found = expected.pattern.fullmatch(actual)
    if found is None:
        return None
    return {name: unquote(text) for name, text in found.groupdict().items()}


def _place_difference(expected: str | _Shape, actual: str) -> str:
    return difference(expected if isinstance(expected, str) else expected.text, actual)


def _path_difference(expected: str | _Shape, actual: str) -> str:
    return _place_difference(expected, actual) + _path_hint(expected, actual)


def _path_hint(expected: str | _Shape, actual: str) -> str:
    other = actual[:-1] if actual.endswith("/") else f"{actual}/"
    if _captured(expected, other) is not None:
        return " (trailing slash)"
    if isinstance(expected, str) and expected.lower() == actual.lower():
        return " (upper and lower case)"
    return ""


class _Search(Value):
    """A regular expression, searched in the URL as sent."""

    pattern: re.Pattern[str]

    def find(self, url: URL) -> Mapping[str, str] | Mismatch:
        """Search, and capture what the named groups stand for."""
        text = as_sent(url)
        found = self.pattern.search(text)
        if found is None:
            return Mismatch("url", lambda: _not_found(self.pattern, text))
        return {name: group for name, group in found.groupdict().items() if group is not None}


def as_sent(url: URL) -> str:
    """Write the URL without its fragment and its user, of which aiohttp makes a header."""
    text = str(url)
    if "#" in text or "@" in text:
        return str(url.with_fragment(None).with_user(None))
    return text


def _not_found(pattern: re.Pattern[str], text: str) -> str:
    return f"{shown(pattern)} is not found in {shown(mask_body(text))}"


class _Everywhere(Value):
    """Every URL."""


class _Origin(Value):
    """Every URL of one scheme, host and port."""

    scheme: str
    host: str
    port: int | None

    def find(self, actual: Canonical) -> Mapping[str, str] | Mismatch:
        """Compare; nothing is captured."""
        for part in ("host", "scheme", "port"):
            expected, got = getattr(self, part), getattr(actual, part)
            if expected == got:
                continue
            if part == "host":
                return Mismatch(part, difference(expected, got))
            return Mismatch(part, f"expected {expected}, got {got}")
        return _NOTHING_CAPTURED


_Target: TypeAlias = "_Address | _Search | _Everywhere | _Origin"


# -- reading a URL ---------------------------------------------------------------------


class _Placeholder(Value):
    name: str
    is_rest: bool
    stand_in: str  # plain letters and digits, so that yarl leaves it alone


_BRACES: Final = r"\{\{|\}\}|\{(?P<inside>[^{}]*)\}|(?P<open>\{)"


def _with_stand_ins(text: str) -> tuple[str, tuple[_Placeholder, ...]]:
    """Replace placeholders by words that survive yarl, and doubled braces by single ones."""
    if "{" not in text and "}" not in text:
        return text, ()
    word = "zz"
    while word in text.lower():
        word += "z"
    placeholders: list[_Placeholder] = []

    def replace(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found["open"]:
            raise RouteError(f"url: a brace is not closed in {text!r}; write '{{{{' for a brace")
        placeholder = _placeholder(found["inside"], f"{word}{len(placeholders)}q", text)
        placeholders.append(placeholder)
        return placeholder.stand_in

    replaced = re.sub(_BRACES, replace, text)
    _refuse_doubles([placeholder.name for placeholder in placeholders], text)
    return replaced, tuple(placeholders)


def _placeholder(inside: str, stand_in: str, text: str) -> _Placeholder:
    name, colon, kind = inside.partition(":")
    if not name.isidentifier():
        raise RouteError(
            f"url: the name of a placeholder is a Python name, got {{{inside}}} in {text!r}; "
            "write '{{' for a brace"
        )
    if colon and kind != "path":
        raise RouteError(f"url: {{name}} or {{name:path}}, got {{{inside}}} in {text!r}")
    return _Placeholder(name, bool(colon), stand_in)


def _refuse_doubles(names: Sequence[str], text: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RouteError(f"url: the placeholder {{{name}}} stands twice in {text!r}")


def _shape(text: str, placeholders: Sequence[_Placeholder], one: str) -> str | _Shape:
    """Make a shape of the text of a host or path, if a placeholder stands in it."""
    inside = [placeholder for placeholder in placeholders if placeholder.stand_in in text]
    if not inside:
        return text
    pattern, written = re.escape(text), text
    for placeholder in inside:
        group = f"(?P<{placeholder.name}>{'.+' if placeholder.is_rest else one})"
        pattern = pattern.replace(placeholder.stand_in, group)
        kind = ":path" if placeholder.is_rest else ""
        written = written.replace(placeholder.stand_in, f"{{{placeholder.name}{kind}}}")
    return _Shape(re.compile(pattern, re.DOTALL), written, tuple(_segments(text, inside)))


def _segments(text: str, placeholders: Sequence[_Placeholder]) -> Iterator[Segment]:
    for segment in text.split("/"):
        inside = [each for each in placeholders if each.stand_in in segment]
        if any(placeholder.is_rest for placeholder in inside):
            yield REST
        else:
            yield None if inside else segment


_ONE_LABEL: Final = r"[^.]+"
# Never half of a percent triplet; unrolled, so that it cannot backtrack for long.
_TRIPLET: Final = "%[0-9A-Fa-f]{2}"
_ONE_SEGMENT: Final = rf"(?:[^/%]|{_TRIPLET})[^/%]*(?:{_TRIPLET}[^/%]*)*"


def _read_url(url: object, base_url: str | URL | None) -> tuple[_Target, _Pairs]:
    """Read the ``url`` of a route: what it matches, and the query that it has of its own."""
    if url is UNSET or is_any(url):
        return _Everywhere(), ()
    if isinstance(url, re.Pattern):
        if not isinstance(url.pattern, str):
            raise RouteError(f"url: a pattern of str is needed, got {url!r}")
        return _Search(url), ()
    if not isinstance(url, (str, URL)):
        raise RouteError(f"url: expected a str, a yarl.URL, a re.Pattern or ANY, got {shown(url)}")
    text, placeholders = _with_stand_ins(url) if isinstance(url, str) else (str(url), ())
    located, has_origin = _located(text, base_url, str(url))
    return _address(canonical(located), placeholders, str(url), has_origin=has_origin)


def origin_of(origin: object) -> URL:
    """Read an origin: scheme, host and port.

    Raises:
        RouteError: it is none, or more than one.
    """
    if not isinstance(origin, (str, URL)):
        raise RouteError(f"origin: expected a str or a yarl.URL, got {shown(origin)}")
    url = _parsed("origin", origin, str(origin))
    if not (url.scheme and url.raw_host):
        raise RouteError(
            f"origin: {str(origin)!r} needs a scheme and a host, as in 'https://api.example.com'"
        )
    if url.raw_path not in {"", "/"} or url.raw_query_string or url.raw_fragment or url.raw_user:
        raise RouteError(
            f"origin: {str(origin)!r} is more than scheme, host and port; an application has all "
            "the paths of an origin"
        )
    return url.origin()


def _address(
    place: Canonical, placeholders: Sequence[_Placeholder], written: str, *, has_origin: bool
) -> tuple[_Address, _Pairs]:
    for placeholder in placeholders:
        _refuse_misplaced(placeholder, place, written)
    address = _Address(
        scheme=place.scheme if has_origin else None,
        host=_shape(place.host, placeholders, _ONE_LABEL) if has_origin else "",
        port=place.port if has_origin else None,
        path=_shape(place.path, placeholders, _ONE_SEGMENT),
    )
    return address, place.query


def _refuse_misplaced(placeholder: _Placeholder, place: Canonical, written: str) -> None:
    name = placeholder.name
    if placeholder.is_rest and not place.path.endswith(placeholder.stand_in):
        raise RouteError(f"url: {{{name}:path}} is the rest of the path, in {written!r}")
    labels = [label for label in place.host.split(".") if not label.startswith("xn--")]
    if not any(placeholder.stand_in in part for part in (*labels, place.path)):
        raise RouteError(
            f"url: {{{name}}} stands neither in the path nor in an ASCII label of the host of "
            f"{written!r}; for a value of the query there is params={{...: ANY}}"
        )


def _located(text: str, base_url: str | URL | None, written: str) -> tuple[URL, bool]:
    """Give the absolute URL, and whether its scheme, host and port count."""
    url = _parsed("url", text, written)
    if url.scheme and url.raw_host:
        return url, True
    if url.scheme or url.raw_host:
        raise RouteError(
            f"url: {written!r} needs both a scheme and a host, as in 'https://api.example.com/x'"
        )
    if base_url is not None:
        return _read_base_url(base_url).join(url), True
    if not text.startswith("/"):
        raise RouteError(
            f"url: {written!r} has no scheme; write 'https://...', or begin it with '/' for "
            "that path on any host"
        )
    return _parsed("url", f"http://any.invalid{text}", written), False


def _read_base_url(base_url: str | URL) -> URL:
    base = _parsed("base_url", base_url, str(base_url))
    if not (base.scheme and base.raw_host):
        raise RouteError(f"base_url: needs a scheme and a host, got {str(base_url)!r}")
    if not base.raw_path.endswith("/"):
        raise RouteError(f"base_url: must end in '/', as aiohttp's own, got {str(base_url)!r}")
    return base


def _parsed(argument: str, text: str | URL, written: str) -> URL:
    try:
        return URL(text)
    except (ValueError, TypeError) as error:
        raise RouteError(f"{argument}: {written!r} is no URL: {error}") from error


# -- the query -------------------------------------------------------------------------

_Pairs: TypeAlias = tuple[tuple[str, str], ...]


class _Query(Value):
    """What the query has to be, or (not ``whole``) to have.

    ``plain`` is the whole query where every value is text: then `==` says it all.
    """

    expected: Named
    whole: bool
    plain: _Pairs | None

    def differences(self, actual: _Pairs) -> Iterator[str]:
        """Say in words what differs, name by name."""
        return named_differences(self.expected, _multi(actual), whole=self.whole)


_NO_QUERY: Final = _Query(MappingProxyType({}), whole=True, plain=())


def _multi(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    gathered: dict[str, list[Any]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered


def _read_query(target: _Target, own: _Pairs, params: object) -> _Query | None:
    """Read ``params`` together with the query that the URL has of its own."""
    if is_any(params):
        return None
    if params is UNSET or params is None:
        if not isinstance(target, _Address):
            return None
        return _whole_query(own, ()) if own else _NO_QUERY
    if isinstance(params, Partial):
        expected = gathered([*own, *_read_params(params.expected)])
        return _Query(expected, whole=False, plain=None)
    return _whole_query(own, _read_params(params))


def _whole_query(own: _Pairs, params: Iterable[tuple[str, object]]) -> _Query:
    pairs: list[tuple[str, object]] = [*own]
    for name, value in params:
        pairs += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
    plain = tuple((name, value) for name, value in pairs if isinstance(value, str))
    is_plain = len(plain) == len(pairs)
    return _Query(
        gathered(pairs),
        whole=True,
        plain=_by_name(plain) if is_plain else None,
    )


def _read_params(params: object) -> Iterator[tuple[str, object]]:
    """Read ``params`` as aiohttp takes them; values become text, a matcher, or a list of those."""
    if isinstance(params, str):
        yield from _as_aiohttp_reads(params)
    elif isinstance(params, Mapping):
        for name, value in params.items():
            yield _param_name(name), _param_values(name, value)
    elif isinstance(params, (list, tuple)):
        for name, value in _pairs("params", params):
            yield _param_name(name), _param_value(name, value)
    else:
        raise RouteError(
            "params: expected a mapping, pairs, a str, partial({...}) or ANY, "
            f"got {shown(params)}"
        )


def _param_name(name: object) -> str:
    if not isinstance(name, str):
        raise RouteError(f"params: names are str, got {shown(name)}")
    return str(name)


def _param_values(name: object, value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_param_value(name, item) for item in value]
    return _param_value(name, value)


def _param_value(name: object, value: object) -> object:
    if is_matcher(value):
        return value
    # Of str, too: of a subclass yarl sends what str() makes of it.
    return value if type(value) is str else _as_aiohttp_reads([(name, value)])[0][1]


def _as_aiohttp_reads(params: Any) -> _Pairs:
    """Let yarl say what aiohttp makes of plain values."""
    try:
        return tuple(URL().with_query(params).query.items())
    except (TypeError, ValueError) as error:
        raise RouteError(f"params: {error}") from error


def _pairs(argument: str, value: Iterable[object]) -> Iterator[tuple[object, object]]:
    for pair in value:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise RouteError(f"{argument}: expected pairs (name, value), got {shown(pair)}")
        yield pair[0], pair[1]


# -- conditions on headers and cookies --------------------------------------------------


# Each condition says what certainly differs in what has arrived, and whether it lacks
# anything to be sure of the rest.


class _Headers(Value):
    name: ClassVar = "headers"
    expected: Named

    def lacks(self, request: Request) -> bool:
        return not request.sent and not all(name in request.headers for name in self.expected)

    def differences(self, request: Request) -> Iterator[str]:
        headers = request.headers
        known = {
            name: values
            for name, values in self.expected.items()
            if request.sent or name in headers
        }
        actual = {name: headers.getall(name, ()) for name in known}
        return named_differences(known, actual, whole=False, mask=mask_header)


class _Handshake(Value):
    """The request asks for a WebSocket (RFC 6455, 4.1), which aiohttp says from the start."""

    name: ClassVar = "websocket"

    def lacks(self, _: Request) -> bool:
        return False

    def differences(self, request: Request) -> Iterator[str]:
        if not asks_for_websocket(request):
            yield "expected a WebSocket handshake, got a plain request"


def asks_for_websocket(request: Request) -> bool:
    """Tell whether a request is a WebSocket handshake."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


class _Cookies(Value):
    name: ClassVar = "cookies"
    expected: Named

    def lacks(self, request: Request) -> bool:
        return not request.sent and "Cookie" not in request.headers

    def differences(self, request: Request) -> Iterator[str]:
        if self.lacks(request):
            return iter(())
        actual = {name: [value] for name, value in request.cookies.items()}
        return named_differences(self.expected, actual, whole=False, mask=mask_cookie)


def _read_headers(headers: object) -> Named:
    if not isinstance(headers, Mapping):
        raise RouteError(f"headers: expected a mapping, got {shown(headers)}")
    return gathered((name, _header_values(name, value)) for name, value in headers.items())


def _header_values(name: object, value: object) -> object:
    if not isinstance(name, str):
        raise RouteError(f"headers: names are str, got {shown(name)}")
    listed = isinstance(value, (list, tuple))
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    for item in items:
        if not is_expected_text(item):
            raise RouteError(
                f"headers: {name}: expected a str, a matcher or a list of those, got {shown(item)}"
            )
    return items if listed else value


def _read_cookies(cookies: object) -> Named:
    if not isinstance(cookies, Mapping):
        raise RouteError(f"cookies: expected a mapping, got {shown(cookies)}")
    return gathered((name, _cookie_value(name, value)) for name, value in cookies.items())


def _cookie_value(name: object, value: object) -> object:
    if not isinstance(name, str):
        raise RouteError(f"cookies: names are str, got {shown(name)}")
    if isinstance(value, Morsel):
        return value.value
    if is_expected_text(value):
        return value
    raise RouteError(f"cookies: {name}: expected a str or a matcher, got {shown(value)}")


# -- conditions on the body -------------------------------------------------------------


class _Json(Value):
    name: ClassVar = "json"
    expected: object

    def lacks(self, request: Request) -> bool:
        return not request.complete

    def differences(self, request: Request) -> Iterator[str]:
        if not request.complete:
            return
        try:
            actual = parsed_json(request)
        except ValueError:
            yield f"the body is no JSON: {_shown_body(request)}"
            return
        yield from json_differences(self.expected, actual)


class _RawBody(Value):
    """The body as it stands: bytes, text, a regular expression, or a matcher."""

    name: ClassVar = "data"
    expected: object

    def lacks(self, request: Request) -> bool:
        return not request.complete

    def differences(self, request: Request) -> Iterator[str]:
        if request.complete and not self._equals(request):
            yield self._told(request)

    def _equals(self, request: Request) -> bool:
        expected = self.expected
        if isinstance(expected, re.Pattern):
            return expected.search(request.text) is not None
        if isinstance(expected, bytes):
            return expected == decoded_body(request)
        if isinstance(expected, str):
            return expected == request.text
        return bool(expected == decoded_body(request)) or bool(expected == request.text)

    def _told(self, request: Request) -> str:
        if isinstance(self.expected, re.Pattern):
            return _not_found(self.expected, request.text)
        if isinstance(self.expected, str):
            return difference(self.expected, mask_body(request.text))
        return difference(self.expected, _masked_bytes(request))


class _Form(Value):
    """The fields of a form, urlencoded or multipart."""

    name: ClassVar = "data"
    expected: Named
    whole: bool

    def lacks(self, request: Request) -> bool:
        return not request.complete

    def differences(self, request: Request) -> Iterator[str]:
        if not request.complete:
            return
        fields = request.form()
        if not is_form(request) and (self.expected or decoded_body(request)):
            kind = request.headers.get("Content-Type", "no content type")
            yield f"the body is no form ({kind}): {_shown_body(request)}"
            return
        yield from named_differences(
            self.expected, _multi(fields.items()), whole=self.whole, equals=_equals_field
        )


def _equals_field(expected: object, actual: FormValue) -> bool:
    if isinstance(actual, tuple):
        return _equals_file(expected, *actual)
    if isinstance(actual, bytes):
        return _equals_content(expected, actual)
    if isinstance(expected, bytes):
        return expected == actual.encode()
    return equals_text(expected, actual)


def _equals_file(expected: object, filename: str, content: bytes) -> bool:
    if isinstance(expected, tuple):
        return equals_text(expected[0], filename) and _equals_content(expected[1], content)
    if isinstance(expected, str):  # a field of text is no file
        return False
    if isinstance(expected, (bytes, re.Pattern)):
        return _equals_content(expected, content)
    return bool(expected == content) or bool(expected == (filename, content))


def _equals_content(expected: object, actual: bytes) -> bool:
    if not isinstance(expected, (str, re.Pattern)):
        return bool(expected == actual)
    try:
        return equals_text(expected, actual.decode())
    except UnicodeDecodeError:
        return False


def _shown_body(request: Request) -> str:
    return shown(_masked_bytes(request)) if decoded_body(request) else "it is empty"


def _masked_bytes(request: Request) -> bytes:
    body = decoded_body(request)
    try:
        return mask_body(body.decode()).encode()
    except UnicodeDecodeError:
        return body


class _Where(Value):
    name: ClassVar = "where"
    predicate: Callable[[Request], object]

    def lacks(self, request: Request) -> bool:
        return not (request.complete and request.sent)

    def differences(self, request: Request) -> Iterator[str]:
        if not self.lacks(request) and not _truth("where", self.predicate, request):
            yield f"{_name_of(self.predicate)} says no"


def _truth(argument: str, predicate: Callable[[Request], object], request: Request) -> bool:
    said = predicate(request)
    if inspect.isawaitable(said):
        if inspect.iscoroutine(said):
            said.close()
        raise RouteError(f"{argument}: {_name_of(predicate)} must be sync, it gave an awaitable")
    return bool(said)


def _name_of(function: object) -> str:
    name: str = getattr(function, "__qualname__", None) or shown(function)
    return name.replace("<locals>.", "")


def _read_predicate(argument: str, predicate: object) -> Callable[[Request], object]:
    if not callable(predicate):
        raise RouteError(f"{argument}: expected a callable, got {shown(predicate)}")
    called = type(predicate).__call__
    for function in (predicate, called):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise RouteError(f"{argument}: {_name_of(predicate)} must be sync")
    return predicate


_Condition: TypeAlias = "_Handshake | _Headers | _Cookies | _Json | _RawBody | _Form | _Where"


def _read_data(data: object) -> _RawBody | _Form:
    if is_expected_text(data):
        return _RawBody(data)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return _RawBody(bytes(data))
    if isinstance(data, Partial):
        return _Form(_read_fields(data.expected.items()), whole=False)
    if isinstance(data, Mapping):
        return _Form(_read_fields(data.items()), whole=True)
    if isinstance(data, (list, tuple)):
        return _Form(_read_fields(_pairs("data", data)), whole=True)
    raise RouteError(
        "data: expected bytes, a str, a mapping, pairs, partial({...}), a re.Pattern or a "
        f"matcher, got {shown(data)}"
    )


def _read_fields(pairs: Iterable[tuple[object, object]]) -> Named:
    fields: list[tuple[str, object]] = []
    for name, value in pairs:
        if not isinstance(name, str):
            raise RouteError(f"data: names are str, got {shown(name)}")
        fields.append((name, _field_value(name, value)))
    return gathered(fields)


def _field_value(name: str, value: object) -> object:
    if isinstance(value, tuple) and len(value) == 2 and not is_scalar(value[1]):
        return _file(name, *value)
    if isinstance(value, (list, tuple)):
        return [_field_value(name, item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if is_expected_text(value):
        return value
    if is_scalar(value):
        return str(value)  # as urlencode() does for aiohttp
    raise RouteError(f"data: {name}: expected a str, bytes or a matcher, got {shown(value)}")


def _file(name: str, filename: object, content: object) -> tuple[object, object]:
    if isinstance(content, (bytes, bytearray, memoryview)):
        content = bytes(content)
    elif not is_matcher(content):
        raise RouteError(f"data: {name}: expected the bytes of a file, got {shown(content)}")
    if not is_expected_text(filename):
        raise RouteError(f"data: {name}: expected the name of a file, got {shown(filename)}")
    return filename, content


# -- the whole pattern ------------------------------------------------------------------

Place: TypeAlias = tuple[str | None, str | None, int | None, str]


class Template(NamedTuple):
    """What is written out of a URL with placeholders; ``None`` for a host that is not.

    Of a path on any host, scheme, host and port are ``None``.
    """

    scheme: str | None
    host: str | None
    port: int | None
    segments: tuple[Segment, ...]


class Pattern(Individual):
    """What a route matches.

    Attributes:
        method: upper case; ``None`` is every method.
        verb: what a text calls the method: also ``"ws"`` and ``"mount"``.
        url_text: the URL as the user wrote it.
        conditions_text: the conditions besides method and URL, in short.
        exact: the whole `Canonical` that matches, where only one does.
        place: its first four items where the query is free or has matchers in it; of a path
            on any host, ``(None, None, None, path)``. With neither, a pattern has to be asked.
        template: what is written out of a URL with placeholders.
        needle: of a regex, a piece of text that every URL has in which it is found.
    """

    method: str | None
    verb: str
    url_text: str
    conditions_text: str
    exact: Canonical | None
    place: Place | None
    template: Template | None
    needle: str
    _target: _Target
    _query: _Query | None
    _conditions: tuple[_Condition, ...]

    @classmethod
    def build(
        cls,
        method: str | None,
        url: object,
        *,
        base_url: str | URL | None = None,
        params: object = UNSET,
        headers: object = None,
        cookies: object = None,
        json: object = UNSET,
        data: object = UNSET,
        where: object = None,
        websocket: bool = False,
    ) -> Pattern:
        """Read what a route was told to match; *websocket*: handshakes alone.

        Of *url*, ``UNSET`` is every URL, as ``ANY`` is.

        Raises:
            RouteError: an argument is wrong; the text names it.
        """
        given = {
            name: value
            for name, value in (
                ("params", params),
                ("headers", UNSET if headers is None else headers),
                ("cookies", UNSET if cookies is None else cookies),
                ("json", json),
                ("data", UNSET if data is None else data),
                ("where", UNSET if where is None else where),
            )
            if value is not UNSET
        }
        known_method = _read_method(method)
        if type(url) is str and not given and not websocket:
            return _plain_pattern(known_method, url, base_url)
        return _read_pattern(known_method, url, base_url, given, websocket=websocket)

    @classmethod
    def of_origin(cls, origin: object) -> Pattern:
        """Match every request to an origin.

        Raises:
            RouteError: it is no origin, or more than one.
        """
        target = _Origin(*canonical(origin_of(origin))[:3])
        return cls(
            method=None,
            verb="mount",
            url_text=str(origin),
            conditions_text="",
            exact=None,
            place=None,
            template=None,
            needle="",
            _target=target,
            _query=None,
            _conditions=(),
        )

    def match(self, request: Request, canonical: Canonical) -> Match | Mismatch | Undecided:
        """Compare with a request; ``canonical`` is that of its URL.

        A difference that is certain is said at once; `UNDECIDED` means that none is, and
        that something has not arrived yet.
        """
        if self.method is not None and self.method != request.method:
            return Mismatch("method", f"expected {self.method}, got {request.method}")
        if self.exact == canonical:
            return self._ask(request, _PLAIN_MATCH) if self._conditions else _PLAIN_MATCH
        captured = _find(self._target, request, canonical)
        if isinstance(captured, Mismatch):
            return captured
        differences = self._query_differences(canonical)
        if differences:
            return Mismatch("params", differences)
        if captured and self._conditions:
            request = request.with_path_params(captured)
        return self._ask(request, Match(captured) if captured else _PLAIN_MATCH)

    def _query_differences(self, canonical: Canonical) -> str:
        if self._query is None or self._query.plain == canonical.query:
            return ""
        return "; ".join(self._query.differences(canonical.query))

    def count_differences(self, field: str, request: Request, canonical: Canonical) -> int:
        """Count what differs in one of the conditions; for ranking, not for deciding."""
        if field == "params" and self._query is not None:
            return len(list(self._query.differences(canonical.query)))
        return sum(
            len(list(condition.differences(request)))
            for condition in self._conditions
            if condition.name == field
        )

    def url_likeness(self, canonical: Canonical) -> float:
        """Say how like the URL is, from 0 to 1; for ranking, not for deciding."""
        return _target_likeness(self._target, canonical)

    def _ask(self, request: Request, match: Match) -> Match | Mismatch | Undecided:
        decided = True
        for condition in self._conditions:
            # Of a document, the first difference will do; the rest often follows from it.
            most = 1 if condition.name == "json" else None
            differences = "; ".join(islice(condition.differences(request), most))
            if differences:
                return Mismatch(condition.name, differences)
            decided = decided and not condition.lacks(request)
        return match if decided else UNDECIDED


def _read_pattern(
    method: str | None,
    url: object,
    base_url: str | URL | None,
    given: Mapping[str, object],
    *,
    websocket: bool,
) -> Pattern:
    target, own = _read_url(url, base_url)
    query = _read_query(target, own, given.get("params", UNSET))
    exact, place = _looked_up(target, query)
    return Pattern(
        method,
        "ws" if websocket else method or "any",
        _written(url),
        # Taken now: some matchers (dirty-equals) change their repr when they are asked.
        ", ".join(f"{name}={shown(value)}" for name, value in given.items()),
        exact,
        place,
        _template(target),
        _needle(target),
        target,
        query,
        (*((_Handshake(),) if websocket else ()), *_read_conditions(given)),
    )


# Of what most routes are made of, with nothing in it that could change. The tests of a suite
# register the same few URLs over and over, and to look one up takes a tenth of the time. A
# kilobyte each.
@lru_cache(maxsize=512)
def _plain_pattern(method: str | None, url: str, base_url: str | URL | None) -> Pattern:
    return _read_pattern(method, url, base_url, {}, websocket=False)


def _find(target: _Target, request: Request, canonical: Canonical) -> Mapping[str, str] | Mismatch:
    if isinstance(target, (_Address, _Origin)):
        return target.find(canonical)
    if isinstance(target, _Search):
        return target.find(request.url)
    return _NOTHING_CAPTURED


_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_METHOD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def _read_method(method: object) -> str | None:
    if method is None or (type(method) is str and method in _METHODS):
        return method
    if not isinstance(method, str) or not re.fullmatch(_METHOD, method):
        raise RouteError(f"method: expected the name of a method, got {shown(method)}")
    return method.upper()


def _read_conditions(given: Mapping[str, object]) -> Iterator[_Condition]:
    if "json" in given and "data" in given:
        raise RouteError("json, data: a body is one or the other; both are given")
    if "headers" in given:
        yield _Headers(_read_headers(given["headers"]))
    if "cookies" in given:
        yield _Cookies(_read_cookies(given["cookies"]))
    if "json" in given:
        yield _Json(read_json(given["json"]))
    if "data" in given:
        yield _read_data(given["data"])
    if "where" in given:
        yield _Where(_read_predicate("where", given["where"]))


def _looked_up(target: _Target, query: _Query | None) -> tuple[Canonical | None, Place | None]:
    if not isinstance(target, _Address) or not isinstance(target.path, str):
        return None, None
    if target.scheme is None:
        return None, (None, None, None, target.path)
    if not isinstance(target.host, str):
        return None, None
    if query is None or query.plain is None:
        return None, (target.scheme, target.host, target.port, target.path)
    return Canonical(target.scheme, target.host, target.port, target.path, query.plain), None


def _template(target: _Target) -> Template | None:
    if not isinstance(target, _Address):
        return None
    host = target.host if isinstance(target.host, str) and target.scheme is not None else None
    path = target.path
    if isinstance(path, _Shape):
        return Template(target.scheme, host, target.port, path.segments)
    if isinstance(target.host, _Shape):
        return Template(target.scheme, host, target.port, tuple(path.split("/")))
    return None


def _needle(target: _Target) -> str:
    if not isinstance(target, _Search):
        return ""
    from aiostub._matching.needle import needle_of  # noqa: PLC0415 - for those who have a regex

    return needle_of(target.pattern)


def _written(url: object) -> str:
    if url is UNSET:
        return "ANY"
    return str(url) if isinstance(url, (str, URL)) else shown(url)


# -- how near a route came --------------------------------------------------------------

_STAGES: Final = {
    "params": 2,
    "websocket": 3,
    "headers": 3,
    "cookies": 4,
    "json": 5,
    "data": 5,
    "where": 6,
}


def nearness(pattern: Pattern, request: Request, canonical: Canonical, mismatch: Mismatch) -> float:
    """Say how near a pattern came; the larger, the nearer. Only for error texts: it is slow.

    A mismatch that comes later in the order of asking is nearer, and of two in the same
    field the one with fewer differences. Among those whose method or URL differs, the
    likeness of the URLs decides, and the right method weighs as much as half a URL.
    """
    if mismatch.field == "where":  # a predicate is not asked twice
        return _STAGES["where"]
    stage = _STAGES.get(mismatch.field)
    if stage is not None:
        return stage + 1 / (1 + pattern.count_differences(mismatch.field, request, canonical))
    likeness = pattern.url_likeness(canonical)
    return likeness if mismatch.field == "method" else likeness + 0.5


def _target_likeness(target: _Target, actual: Canonical) -> float:
    if isinstance(target, _Address):
        return _address_likeness(target, actual)
    if isinstance(target, _Origin):
        return 0.5 * _likeness(target.host, actual.host)
    # How near an expression came, nobody knows.
    return 0.5 if isinstance(target, _Search) else 1.0


def _address_likeness(address: _Address, actual: Canonical) -> float:
    path = _part_likeness(address.path, actual.path)
    if address.scheme is None:
        return path
    origin = (address.scheme == actual.scheme) + (address.port == actual.port)
    return 0.4 * _part_likeness(address.host, actual.host) + 0.05 * origin + 0.5 * path


def _part_likeness(expected: str | _Shape, actual: str) -> float:
    if _captured(expected, actual) is not None:
        return 1.0
    # Something that differs is never quite like it.
    return 0.95 * _likeness(expected if isinstance(expected, str) else expected.text, actual)


def _likeness(left: str, right: str) -> float:
    from difflib import SequenceMatcher  # noqa: PLC0415 - for those whose test fails

    return SequenceMatcher(None, left, right, autojunk=False).ratio()


# -- rules for passing through ----------------------------------------------------------


class Rule(Individual):
    """A rule that lets requests pass through to the real network.

    Attributes:
        text: the rule as the user wrote it.
    """

    text: str
    _matches: Callable[[Request, Canonical], bool]

    def matches(self, request: Request, canonical: Canonical) -> bool:
        """Tell whether the request may pass; ``canonical`` is that of its URL."""
        return self._matches(request, canonical)


def build_rules(values: object) -> tuple[Rule, ...]:
    """Read pass-through rules; a bare one counts as one.

    Raises:
        RouteError: a value is no rule.
    """
    if isinstance(values, Iterable) and not isinstance(values, (str, URL)):
        return tuple(map(build_rule, values))
    return (build_rule(values),)


def build_rule(value: object) -> Rule:
    """Read one pass-through rule.

    Args:
        value: a host, an origin, a URL prefix that ends at a path boundary (in each, ``*``
            stands for anything within one label or segment, and no port for every port),
            a ``re.Pattern`` to search in the URL, or a predicate of the `Request`.

    Raises:
        RouteError: it is none of these.
    """
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        search = _Search(value)
        return Rule(
            shown(value),
            lambda request, _: not isinstance(search.find(request.url), Mismatch),
        )
    if isinstance(value, (str, URL)):
        return Rule(str(value), _read_prefix(str(value)).covers)
    if callable(value) and not isinstance(value, type):
        predicate = _read_predicate("passthrough", value)
        return Rule(_name_of(value), lambda request, _: _truth("passthrough", predicate, request))
    raise RouteError(
        "passthrough: expected a host, an origin, a URL prefix, a re.Pattern or a predicate, "
        f"got {shown(value)}"
    )


class _Prefix(Value):
    """An origin, with or without scheme and port, and the beginning of a path."""

    scheme: str | None
    host: re.Pattern[str]
    port: int | None
    path: re.Pattern[str]

    def covers(self, _: Request, actual: Canonical) -> bool:
        """Tell whether a URL begins so."""
        return (
            self.scheme in (None, actual.scheme)
            and self.port in (None, actual.port)
            and self.host.fullmatch(actual.host) is not None
            and self.path.match(actual.path) is not None
        )


_STAR: Final = "zz9star9zz"  # stands in for `*`, so that yarl leaves it alone
_SCHEME: Final = r"[a-zA-Z][a-zA-Z0-9+.\-]*://"


def _read_prefix(written: str) -> _Prefix:
    text = written.strip().replace("*", _STAR)
    has_scheme = re.match(_SCHEME, text) is not None
    if not has_scheme:
        text = f"http://[{text}]" if text.count(":") > 1 and "[" not in text else f"http://{text}"
    url = _parsed("passthrough", text, written)
    if not url.raw_host or url.raw_query_string or url.raw_fragment or url.raw_user:
        raise RouteError(
            f"passthrough: {written!r} is no host, no origin and no URL prefix "
            "(which has neither query nor fragment nor user)"
        )
    if not has_scheme and "/" in written:
        raise RouteError(f"passthrough: {written!r} has a path but no scheme; write 'https://...'")
    place = canonical(url)
    if (place.host + place.path).count(_STAR) != written.count("*"):
        raise RouteError(f"passthrough: '*' stands in host or path only, got {written!r}")
    if any(label.startswith("xn--") and _STAR in label for label in place.host.split(".")):
        raise RouteError(f"passthrough: '*' stands in ASCII labels only, got {written!r}")
    return _Prefix(
        scheme=place.scheme if has_scheme else None,
        host=re.compile(_starred(place.host, "[^.]*")),
        port=url.explicit_port,
        path=re.compile(_path_prefix(place.path)),
    )


def _path_prefix(path: str) -> str:
    starred = _starred(path, "[^/]*")
    return starred if path.endswith("/") else rf"{starred}(?:/|\Z)"


def _starred(text: str, star: str) -> str:
    return re.escape(text).replace(_STAR, star)
