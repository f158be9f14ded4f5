"""What a route asks of query, headers, cookies and body."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.cookies import Morsel
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeAlias

from yarl import URL

from aiostub._matching.request import FormValue, Request, decoded_body, is_form, parsed_json
from aiostub._matching.url import Address, Pairs, Target, by_name, not_found
from aiostub._secrets import mask_body, mask_cookie, mask_header
from aiostub._value import UNSET, Value
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
    shown,
)

# -- the query -------------------------------------------------------------------------


class Query(Value):
    """What the query has to be, or (not ``whole``) to have.

    ``plain`` is the whole query where every value is text: then `==` says it all.
    """

    expected: Named
    whole: bool
    plain: Pairs | None

    def differences(self, actual: Pairs) -> Iterator[str]:
        """Say in words what differs, name by name."""
        return named_differences(self.expected, _multi(actual), whole=self.whole)


_NO_QUERY: Final = Query(MappingProxyType({}), whole=True, plain=())


def _multi(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    gathered: dict[str, list[Any]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered


def read_query(target: Target, own: Pairs, params: object) -> Query | None:
    """Read ``params`` together with the query that the URL has of its own."""
    if is_any(params):
        return None
    if params is UNSET or params is None:
        if not isinstance(target, Address):
            return None
        return _whole_query(own, ()) if own else _NO_QUERY
    if isinstance(params, Partial):
        expected = gathered([*own, *_read_params(params.expected)])
        return Query(expected, whole=False, plain=None)
    return _whole_query(own, _read_params(params))


def _whole_query(own: Pairs, params: Iterable[tuple[str, object]]) -> Query:
    pairs: list[tuple[str, object]] = [*own]
    for name, value in params:
        pairs += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
    plain = tuple((name, value) for name, value in pairs if isinstance(value, str))
    is_plain = len(plain) == len(pairs)
    return Query(
        gathered(pairs),
        whole=True,
        plain=by_name(plain) if is_plain else None,
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


def _as_aiohttp_reads(params: Any) -> Pairs:
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


# -- conditions on headers and cookies -------------------------------------------------


# Each condition says what certainly differs in what has arrived, and whether it lacks
# anything to be sure of the rest.


class Headers(Value):
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


class Handshake(Value):
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


class Cookies(Value):
    name: ClassVar = "cookies"
    expected: Named

    def lacks(self, request: Request) -> bool:
        return not request.sent and "Cookie" not in request.headers

    def differences(self, request: Request) -> Iterator[str]:
        if self.lacks(request):
            return iter(())
        actual = {name: [value] for name, value in request.cookies.items()}
        return named_differences(self.expected, actual, whole=False, mask=mask_cookie)


def read_headers(headers: object) -> Named:
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


def read_cookies(cookies: object) -> Named:
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


# -- conditions on the body ------------------------------------------------------------


class Json(Value):
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
            return not_found(self.expected, request.text)
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


class Where(Value):
    name: ClassVar = "where"
    predicate: Callable[[Request], object]

    def lacks(self, request: Request) -> bool:
        return not (request.complete and request.sent)

    def differences(self, request: Request) -> Iterator[str]:
        if not self.lacks(request) and not truth("where", self.predicate, request):
            yield f"{name_of(self.predicate)} says no"


def truth(argument: str, predicate: Callable[[Request], object], request: Request) -> bool:
    said = predicate(request)
    if inspect.isawaitable(said):
        if inspect.iscoroutine(said):
            said.close()
        raise RouteError(f"{argument}: {name_of(predicate)} must be sync, it gave an awaitable")
    return bool(said)


def name_of(function: object) -> str:
    name: str = getattr(function, "__qualname__", None) or shown(function)
    return name.replace("<locals>.", "")


def read_predicate(argument: str, predicate: object) -> Callable[[Request], object]:
    if not callable(predicate):
        raise RouteError(f"{argument}: expected a callable, got {shown(predicate)}")
    called = type(predicate).__call__
    for function in (predicate, called):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise RouteError(f"{argument}: {name_of(predicate)} must be sync")
    return predicate


Condition: TypeAlias = "Handshake | Headers | Cookies | Json | _RawBody | _Form | Where"


def read_data(data: object) -> _RawBody | _Form:
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
