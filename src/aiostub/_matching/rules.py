"""Rules for passing through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from yarl import URL

from aiostub._matching.conditions import name_of, read_predicate, truth
from aiostub._matching.url import Canonical, Search, canonical, parse_url
from aiostub._matching.verdict import Mismatch
from aiostub._value import Individual, Value
from aiostub.exceptions import RouteError
from aiostub.matchers import shown

if TYPE_CHECKING:
    from aiostub._matching.request import Request


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
        search = Search(value)
        return Rule(
            shown(value),
            lambda request, _: not isinstance(search.find(request.url), Mismatch),
        )
    if isinstance(value, (str, URL)):
        return Rule(str(value), _read_prefix(str(value)).covers)
    if callable(value) and not isinstance(value, type):
        predicate = read_predicate("passthrough", value)
        return Rule(name_of(value), lambda request, _: truth("passthrough", predicate, request))
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
_SEVERAL: Final = rf"(?:{_SCHEME})?[^/]*[\s,]|.*[\s,]{_SCHEME}"


def _read_prefix(written: str) -> _Prefix:
    text = written.strip().replace("*", _STAR)
    if re.match(_SEVERAL, text):
        raise RouteError(
            f"passthrough: {written!r} is no single rule; write several as a list, "
            "or in an ini file in a line each"
        )
    has_scheme = re.match(_SCHEME, text) is not None
    if not has_scheme:
        text = f"http://[{text}]" if text.count(":") > 1 and "[" not in text else f"http://{text}"
    url = parse_url("passthrough", text, written)
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
