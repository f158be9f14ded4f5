"""URLs: in the form in which they are compared, and as a route writes them.

They are rewritten for comparing only (`canonical`); nobody is ever shown the rewritten one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, TypeAlias
from urllib.parse import unquote

from yarl import URL

from aiostub._matching.verdict import NOTHING_CAPTURED, Mismatch
from aiostub._secrets import mask_body
from aiostub._value import UNSET, NamedTuple, Value
from aiostub.exceptions import RouteError
from aiostub.matchers import difference, is_any, shown

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
        by_name(url.query.items()) if url.raw_query_string else (),
    )


def by_name(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs, key=itemgetter(0)))


def _requoted(url: URL) -> URL:
    try:
        return URL(str(url.with_user(None)))
    except ValueError:  # encoded=True takes what the parser refuses
        return url


# -- addresses: URLs written out, with or without placeholders -------------------------


class Shape(Value):
    """A host or a path with placeholders in it."""

    pattern: re.Pattern[str]
    text: str
    segments: tuple[Segment, ...] = ()


class Rest(Value):
    """Stand for the rest of a path in the segments of a template."""


REST: Final = Rest()
Segment: TypeAlias = "str | Rest | None"  # None: there is a placeholder in it


class Address(Value):
    """A URL written out. Without a scheme it is a path on any scheme, host and port."""

    scheme: str | None
    host: str | Shape
    port: int | None
    path: str | Shape

    def find(self, actual: Canonical) -> Mapping[str, str] | Mismatch:
        """Compare, and capture what the placeholders stand for."""
        if self.scheme is None:
            return self._in_path(actual, NOTHING_CAPTURED)
        in_host = capture(self.host, actual.host)
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
        in_path = capture(self.path, actual.path)
        if in_path is None:
            return Mismatch("path", lambda: _path_difference(self.path, actual.path))
        return {**in_host, **in_path} if in_host else in_path


def capture(expected: str | Shape, actual: str) -> Mapping[str, str] | None:
    if isinstance(expected, str):
        return NOTHING_CAPTURED if expected == actual else None
    found = expected.pattern.fullmatch(actual)
    if found is None:
        return None
    return {name: unquote(text) for name, text in found.groupdict().items()}


def _place_difference(expected: str | Shape, actual: str) -> str:
    return difference(expected if isinstance(expected, str) else expected.text, actual)


def _path_difference(expected: str | Shape, actual: str) -> str:
    return _place_difference(expected, actual) + _path_hint(expected, actual)


def _path_hint(expected: str | Shape, actual: str) -> str:
    other = actual[:-1] if actual.endswith("/") else f"{actual}/"
    if capture(expected, other) is not None:
        return " (trailing slash)"
    if isinstance(expected, str) and expected.lower() == actual.lower():
        return " (upper and lower case)"
    return ""


class Search(Value):
    """A regular expression, searched in the URL as sent."""

    pattern: re.Pattern[str]

    def find(self, url: URL) -> Mapping[str, str] | Mismatch:
        """Search, and capture what the named groups stand for."""
        text = as_sent(url)
        found = self.pattern.search(text)
        if found is None:
            return Mismatch("url", lambda: not_found(self.pattern, text))
        return {name: group for name, group in found.groupdict().items() if group is not None}


def as_sent(url: URL) -> str:
    """Write the URL without its fragment and its user, of which aiohttp makes a header."""
    text = str(url)
    if "#" in text or "@" in text:
        return str(url.with_fragment(None).with_user(None))
    return text


def not_found(pattern: re.Pattern[str], text: str) -> str:
    return f"{shown(pattern)} is not found in {shown(mask_body(text))}"


class _Everywhere(Value):
    """Every URL."""


class Origin(Value):
    """Every URL of one scheme, host and port."""

    scheme: str
    host: str
    port: int | None

    def find(self, actual: Canonical) -> Mapping[str, str] | Mismatch:
        """Compare; nothing is captured."""
        if actual[:3] == (self.scheme, self.host, self.port):
            return NOTHING_CAPTURED
        for part in ("host", "scheme", "port"):
            expected, got = getattr(self, part), getattr(actual, part)
            if expected == got:
                continue
            if part == "host":
                return Mismatch(part, difference(expected, got))
            return Mismatch(part, f"expected {expected}, got {got}")
        return NOTHING_CAPTURED


Pairs: TypeAlias = tuple[tuple[str, str], ...]  # of a query
Target: TypeAlias = "Address | Search | _Everywhere | Origin"


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
        raise RouteError(
            f"url: a placeholder is {{{name}}} or {{{name}:path}}, got {{{inside}}} in {text!r}; "
            "for more there is re.compile()"
        )
    return _Placeholder(name, bool(colon), stand_in)


def _refuse_doubles(names: Sequence[str], text: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RouteError(f"url: the placeholder {{{name}}} stands twice in {text!r}")


def _shape(text: str, placeholders: Sequence[_Placeholder], one: str) -> str | Shape:
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
    return Shape(re.compile(pattern, re.DOTALL), written, tuple(_segments(text, inside)))


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


def read_url(url: object, base_url: str | URL | None) -> tuple[Target, Pairs]:
    """Read the ``url`` of a route: what it matches, and the query that it has of its own."""
    if url is UNSET or is_any(url):
        return _Everywhere(), ()
    if isinstance(url, re.Pattern):
        if not isinstance(url.pattern, str):
            raise RouteError(f"url: a pattern of str is needed, got {url!r}")
        return Search(url), ()
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
    url = parse_url("origin", origin, str(origin))
    if not (url.scheme and url.raw_host):
        raise RouteError(
            f"origin: {str(origin)!r} needs a scheme and a host, as in 'https://api.example.com'"
        )
    if url.raw_path not in {"", "/"} or url.raw_query_string or url.raw_fragment or url.raw_user:
        raise RouteError(
            f"origin: {str(origin)!r} is more than scheme, host and port; "
            f"write {str(url.origin())!r}, which has all the paths"
        )
    return url.origin()


def _address(
    place: Canonical, placeholders: Sequence[_Placeholder], written: str, *, has_origin: bool
) -> tuple[Address, Pairs]:
    for placeholder in placeholders:
        _refuse_misplaced(placeholder, place, written)
    address = Address(
        scheme=place.scheme if has_origin else None,
        host=_shape(place.host, placeholders, _ONE_LABEL) if has_origin else "",
        port=place.port if has_origin else None,
        path=_shape(place.path, placeholders, _ONE_SEGMENT),
    )
    return address, place.query


def _refuse_misplaced(placeholder: _Placeholder, place: Canonical, written: str) -> None:
    name = placeholder.name
    if placeholder.is_rest and not place.path.endswith(placeholder.stand_in):
        raise RouteError(
            f"url: {{{name}:path}} takes the rest of the path, so nothing may follow it in "
            f"{written!r}; for more there is re.compile()"
        )
    labels = [label for label in place.host.split(".") if not label.startswith("xn--")]
    if not any(placeholder.stand_in in part for part in (*labels, place.path)):
        raise RouteError(
            f"url: {{{name}}} stands neither in the path nor in an ASCII label of the host of "
            f"{written!r}; for a value of the query there is params={{...: ANY}}"
        )


def _located(text: str, base_url: str | URL | None, written: str) -> tuple[URL, bool]:
    """Give the absolute URL, and whether its scheme, host and port count."""
    url = parse_url("url", text, written)
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
    return parse_url("url", f"http://any.invalid{text}", written), False


def _read_base_url(base_url: str | URL) -> URL:
    base = parse_url("base_url", base_url, str(base_url))
    if not (base.scheme and base.raw_host):
        raise RouteError(f"base_url: needs a scheme and a host, got {str(base_url)!r}")
    if not base.raw_path.endswith("/"):
        raise RouteError(f"base_url: must end in '/', as aiohttp's own, got {str(base_url)!r}")
    return base


def parse_url(argument: str, text: str | URL, written: str) -> URL:
    try:
        return URL(text)
    except (ValueError, TypeError) as error:
        raise RouteError(f"{argument}: {written!r} is no URL: {error}") from error
