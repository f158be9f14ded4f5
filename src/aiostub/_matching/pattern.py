"""What a route matches: a URL pattern with conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from yarl import URL

from aiostub._matching.conditions import (
    Condition,
    Cookies,
    Handshake,
    Headers,
    Json,
    Query,
    Where,
    read_cookies,
    read_data,
    read_headers,
    read_predicate,
    read_query,
)
from aiostub._matching.url import (
    Address,
    Canonical,
    Origin,
    Search,
    Segment,
    Shape,
    Target,
    canonical,
    capture,
    origin_of,
    read_url,
)
from aiostub._matching.verdict import (
    NOTHING_CAPTURED,
    PLAIN_MATCH,
    UNDECIDED,
    Match,
    Mismatch,
    Undecided,
)
from aiostub._value import UNSET, Individual, NamedTuple
from aiostub.exceptions import RouteError
from aiostub.matchers import (
    read_json,
    shown,
)

if TYPE_CHECKING:
    from aiostub._matching.request import Request

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
    _target: Target
    _query: Query | None
    _conditions: tuple[Condition, ...]

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
        **unknown: object,
    ) -> Pattern:
        """Read what a route was told to match; *websocket*: handshakes alone.

        Of *url*, ``UNSET`` is every URL, as ``ANY`` is.

        Raises:
            RouteError: an argument is wrong; the text names it.
            TypeError: an argument is *unknown*. Python's own text would name this function.
        """
        if unknown:
            raise TypeError(
                f"unexpected keyword argument {next(iter(unknown))!r}; "
                "a request is matched by params, headers, cookies, json, data and where"
            )
        known_method = _read_method(method)
        data = UNSET if data is None else data
        is_plain = params is json is data is UNSET and headers is cookies is where is None
        if is_plain and not websocket:
            return cls.of_url(known_method, url, base_url)
        given = {
            name: value
            for name, value in (
                ("params", params),
                ("headers", UNSET if headers is None else headers),
                ("cookies", UNSET if cookies is None else cookies),
                ("json", json),
                ("data", data),
                ("where", UNSET if where is None else where),
            )
            if value is not UNSET
        }
        return _read_pattern(known_method, url, base_url, given, websocket=websocket)

    @classmethod
    def of_url(cls, method: str | None, url: object, base_url: str | URL | None) -> Pattern:
        """Match a method, in upper case, and a URL under no other condition; else as `build`."""
        if type(url) is str:
            return _plain_pattern(method, url, base_url)
        return _read_pattern(method, url, base_url, {}, websocket=False)

    @classmethod
    def of_origin(cls, origin: object) -> Pattern:
        """Match every request to an origin.

        Raises:
            RouteError: it is no origin, or more than one.
        """
        target = Origin(*canonical(origin_of(origin))[:3])
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
            return self._ask(request, PLAIN_MATCH) if self._conditions else PLAIN_MATCH
        captured = _find(self._target, request, canonical)
        if isinstance(captured, Mismatch):
            return captured
        differences = self._query_differences(canonical)
        if differences:
            return Mismatch("params", differences)
        if captured and self._conditions:
            request = request.with_path_params(captured)
        return self._ask(request, Match(captured) if captured else PLAIN_MATCH)

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
    target, own = read_url(url, base_url)
    query = read_query(target, own, given.get("params", UNSET))
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
        (*((Handshake(),) if websocket else ()), *_read_conditions(given)),
    )


# Of what most routes are made of, with nothing in it that could change. The tests of a suite
# register the same few URLs over and over, and to look one up takes a tenth of the time. A
# kilobyte each.
@lru_cache(maxsize=512)
def _plain_pattern(method: str | None, url: str, base_url: str | URL | None) -> Pattern:
    return _read_pattern(method, url, base_url, {}, websocket=False)


def _find(target: Target, request: Request, canonical: Canonical) -> Mapping[str, str] | Mismatch:
    if isinstance(target, (Address, Origin)):
        return target.find(canonical)
    if isinstance(target, Search):
        return target.find(request.url)
    return NOTHING_CAPTURED


_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_METHOD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def _read_method(method: object) -> str | None:
    if method is None or (type(method) is str and method in _METHODS):
        return method
    if not isinstance(method, str) or not re.fullmatch(_METHOD, method):
        raise RouteError(f"method: expected the name of a method, got {shown(method)}")
    return method.upper()


def _read_conditions(given: Mapping[str, object]) -> Iterator[Condition]:
    if "json" in given and "data" in given:
        raise RouteError("json, data: a body is one or the other; both are given")
    if "headers" in given:
        yield Headers(read_headers(given["headers"]))
    if "cookies" in given:
        yield Cookies(read_cookies(given["cookies"]))
    if "json" in given:
        yield Json(read_json(given["json"]))
    if "data" in given:
        yield read_data(given["data"])
    if "where" in given:
        yield Where(read_predicate("where", given["where"]))


def _looked_up(target: Target, query: Query | None) -> tuple[Canonical | None, Place | None]:
    if not isinstance(target, Address) or not isinstance(target.path, str):
        return None, None
    if target.scheme is None:
        return None, (None, None, None, target.path)
    if not isinstance(target.host, str):
        return None, None
    if query is None or query.plain is None:
        return None, (target.scheme, target.host, target.port, target.path)
    return Canonical(target.scheme, target.host, target.port, target.path, query.plain), None


def _template(target: Target) -> Template | None:
    if not isinstance(target, Address):
        return None
    host = target.host if isinstance(target.host, str) and target.scheme is not None else None
    path = target.path
    if isinstance(path, Shape):
        return Template(target.scheme, host, target.port, path.segments)
    if isinstance(target.host, Shape):
        return Template(target.scheme, host, target.port, tuple(path.split("/")))
    return None


def _needle(target: Target) -> str:
    if not isinstance(target, Search):
        return ""
    from aiostub._matching.needle import needle_of  # noqa: PLC0415 - for those who have a regex

    return needle_of(target.pattern)


def _written(url: object) -> str:
    if url is UNSET:
        return "ANY"
    return str(url) if isinstance(url, (str, URL)) else shown(url)


# -- how near a route came -------------------------------------------------------------


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


def _target_likeness(target: Target, actual: Canonical) -> float:
    if isinstance(target, Address):
        return _address_likeness(target, actual)
    if isinstance(target, Origin):
        return 0.5 * _likeness(target.host, actual.host)
    # How near an expression came, nobody knows.
    return 0.5 if isinstance(target, Search) else 1.0


def _address_likeness(address: Address, actual: Canonical) -> float:
    path = _part_likeness(address.path, actual.path)
    if address.scheme is None:
        return path
    origin = (address.scheme == actual.scheme) + (address.port == actual.port)
    return 0.4 * _part_likeness(address.host, actual.host) + 0.05 * origin + 0.5 * path


def _part_likeness(expected: str | Shape, actual: str) -> float:
    if capture(expected, actual) is not None:
        return 1.0
    # Something that differs is never quite like it.
    return 0.95 * _likeness(expected if isinstance(expected, str) else expected.text, actual)


def _likeness(left: str, right: str) -> float:
    from difflib import SequenceMatcher  # noqa: PLC0415 - for those whose test fails

    return SequenceMatcher(None, left, right, autojunk=False).ratio()
