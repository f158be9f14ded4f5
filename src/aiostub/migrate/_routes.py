"""Routes: ``m.get(url, status=..., payload=...)`` becomes ``m.get(url).reply(..., json=...)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import libcst as cst

from aiostub.migrate._arguments import Layout, by_name
from aiostub.migrate._module import (
    Module,
    RefusalError,
    dotted,
    text_of,
    walk,
)
from aiostub.migrate._urls import is_pattern, translated
from aiostub.migrate._values import Value, Values

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_ORDER = (
    "url",
    "method",
    "status",
    "body",
    "exception",
    "content_type",
    "payload",
    "headers",
    "response_class",
    "repeat",
    "timeout",
    "reason",
    "callback",
)
_REDIRECTS = ("301", "302", "303", "307", "308")
_BODILESS = ("204", "304")
# aiohttp makes a ClientOSError of them; aioresponses raises them as they are.
_TRANSLATED_BY_AIOHTTP = frozenset(
    {
        "OSError",
        "IOError",
        "EnvironmentError",
        "ConnectionError",
        "ConnectionResetError",
        "ConnectionAbortedError",
        "ConnectionRefusedError",
        "BrokenPipeError",
        "gaierror",
        "herror",
        "SSLError",
        "SSLCertVerificationError",
        "CertificateError",
        "PermissionError",
        "FileNotFoundError",
        "InterruptedError",
        "BlockingIOError",
    }
)
_MADE_BY_FAULTS = ("ClientOSError", "ServerDisconnectedError")
_SPOILERS = ("content-encoding", "content-length", "transfer-encoding")
_CHARSET = re.compile(r"charset=[\"']?([\w-]+)")
_MESSAGE = "Connection timeout test"
_HTTP_STATUS = {
    "MOVED_PERMANENTLY": "301",
    "FOUND": "302",
    "SEE_OTHER": "303",
    "TEMPORARY_REDIRECT": "307",
    "PERMANENT_REDIRECT": "308",
    "NO_CONTENT": "204",
    "NOT_MODIFIED": "304",
}
_MUTATORS = frozenset(
    {
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "clear",
        "update",
        "setdefault",
        "popitem",
        "sort",
        "reverse",
        "add",
        "discard",
    }
)

Build = Callable[[cst.Call], cst.BaseExpression]


@dataclass
class Route:
    """What is known of one registration, and what makes the native one.

    Attributes:
        build: makes it out of the call, inner nodes of which may have been rewritten.
        needs: names that the file must have then.
        fails: whether it has ``exception=`` or ``timeout=``.
        statuses: as far as they show.
        endless: whether it answers without end.
        pattern: whether its URL is a pattern.
        redirects: whether the client may follow it to another URL.
        same_redirect: whether the next request is a GET here as well as there.
    """

    build: Build
    needs: frozenset[str] = frozenset()
    fails: bool = False
    statuses: tuple[str, ...] = ()
    endless: bool = False
    pattern: bool = False
    redirects: bool = False
    same_redirect: bool = True


@dataclass(frozen=True)
class Given:
    """The arguments of one registration."""

    values: Values
    module: Module
    call: cst.Call
    at: Mapping[str, int]
    is_head: bool = False

    def get(self, name: str) -> cst.BaseExpression | None:
        """Return an argument, unless it is missing or has its default written out."""
        node = self.call.args[self.at[name]].value if name in self.at else None
        return None if node is None or _is_default(name, node) else node

    def all(self, name: str) -> list[Value]:
        """Return the expressions that an argument may be, as far as that shows."""
        node = self.get(name)
        return [] if node is None else self.values.of(self.module, node) or []


def _is_default(name: str, node: cst.BaseExpression) -> bool:
    written = dotted(node)
    if name in ("repeat", "timeout"):
        return written == "False" or (
            isinstance(node, cst.Integer) and node.value == "1" and name == "repeat"
        )
    if name == "body":
        return isinstance(node, cst.SimpleString) and node.evaluated_value in ("", b"")
    return written == "None"


def read_route(
    values: Values, module: Module, call: cst.Call, handler: Callable[[cst.BaseExpression], None]
) -> Route:
    """Read a registration, and find what does the same natively.

    Args:
        values: of the project.
        module: the file.
        call: ``m.get(...)`` and the like.
        handler: translates the callback.

    Raises:
        RefusalError: nothing does the same.
    """
    func = cst.ensure_type(call.func, cst.Attribute)
    method = func.attr.value
    order = _ORDER if method == "add" else tuple(name for name in _ORDER if name != "method")
    at = by_name(call, order)
    is_head = method == "head" or (
        "method" in at and (text_of(call.args[at["method"]].value) or "").upper() == "HEAD"
    )
    given = Given(values, module, call, at, is_head=is_head)
    if "url" not in given.at:
        raise RefusalError(call, "no URL is given")
    if given.get("response_class") is not None:
        raise RefusalError(
            call, "response_class= has no counterpart: the session's own class is used"
        )
    route = Route(build=lambda updated: updated)
    verb = _verb(given, method)
    url = translated(values, module, call.args[given.at["url"]].value)
    _know(given, route, verb)
    action = _action(given, route, handler)
    times = _times(given, route)
    route.build = _builder(given, verb, url, action, times)
    return route


def _know(given: Given, route: Route, verb: str | cst.BaseExpression) -> None:
    url = given.call.args[given.at["url"]].value
    route.pattern = is_pattern(given.values, given.module, url)
    route.statuses = tuple(status_text(value.node) for value in given.all("status"))
    headers = _header_names(given)
    hidden = "status" in given.at and not all(map(str.isdecimal, route.statuses or ("?",)))
    may_redirect = any(status in _REDIRECTS for status in route.statuses) or (
        hidden and headers is not None and "location" in headers
    )
    route.redirects = may_redirect and (headers is None or "location" in headers)
    moved = {*route.statuses} & {*_REDIRECTS}
    always_get = moved <= {"301", "302", "303"} and not hidden
    route.same_redirect = verb == "get" or (verb == "post" and always_get)


def status_text(node: cst.BaseExpression) -> str:
    """Return the digits of a status, or the name that stands for it."""
    if isinstance(node, cst.Integer):
        return node.value
    return _HTTP_STATUS.get(dotted(node).rpartition(".")[2], dotted(node))


def _verb(given: Given, method: str) -> str | cst.BaseExpression:
    """Return the method as a name of a native one, or as the expression that gives it."""
    if method != "add":
        return method
    node = given.get("method")
    if node is None:
        return "get"
    text = text_of(node)
    return text.lower() if text is not None and text.lower() in METHODS else node


# -- what it does


def _action(
    given: Given, route: Route, handler: Callable[[cst.BaseExpression], None]
) -> Callable[[Layout], str]:
    """Return what fills in the arguments of the step and says its name."""
    callback, exception = given.get("callback"), given.get("exception")
    timeout = given.get("timeout")
    if callback is not None:
        if exception is not None or timeout is not None:
            raise RefusalError(callback, "callback= with exception= runs both there")
        handler(callback)
        route.statuses = ()  # the callback says its own
        return _keep_one(given.at["callback"], "handle")
    if timeout is not None:
        return _timeout(given, route, timeout)
    if exception is not None:
        route.fails = True
        _check_exception(given, exception)
        return _keep_one(given.at["exception"], "fail", _instance(exception))
    return read_reply(given)


def _keep_one(
    at: int, step: str, value: cst.BaseExpression | None = None
) -> Callable[[Layout], str]:
    def fill(layout: Layout) -> str:
        layout.keep(at, None, value)
        return step

    return fill


def _timeout(given: Given, route: Route, node: cst.BaseExpression) -> Callable[[Layout], str]:
    if dotted(node) != "True":
        raise RefusalError(node, "it does not show whether timeout= is true")
    route.fails = True
    route.needs |= {"asyncio"}
    message = f'("{_MESSAGE}")' if _MESSAGE in given.module.tree.code else ""

    def fill(layout: Layout) -> str:
        layout.add(None, cst.parse_expression(f"asyncio.TimeoutError{message}"))
        return "fail"

    return fill


def _check_exception(given: Given, node: cst.BaseExpression) -> None:
    found = given.values.of(given.module, node)
    for value in found or [Value(given.module, node)]:
        inner = value.node
        is_call = isinstance(inner, cst.Call)
        name = dotted(inner.func if isinstance(inner, cst.Call) else inner).rpartition(".")[2]
        if name in _TRANSLATED_BY_AIOHTTP:
            raise RefusalError(node, f"natively aiohttp makes a ClientOSError of {name}")
        if name == "ClientOSError" and not is_call and inner is not node:
            raise RefusalError(node, "natively the class ClientOSError says what was reset")
        if not name[:1].isupper():
            raise RefusalError(node, "it does not show which exception this is")
        if not is_call and name in ("ClientConnectorError", "ClientConnectorDNSError"):
            raise RefusalError(node, f"raising the class {name} is a TypeError there")
    if isinstance(node, cst.Name) and _is_compared(given, node):
        raise RefusalError(node, "the very exception is asked for, and natively it is copied")


def _instance(node: cst.BaseExpression) -> cst.BaseExpression | None:
    """Make an instance of a class that natively comes about as a fault, with words of its own."""
    name = dotted(node).rpartition(".")[2]
    return cst.Call(node) if name in _MADE_BY_FAULTS else None


def _is_compared(given: Given, name: cst.Name) -> bool:
    outer = given.module.function_of(name)
    return outer is not None and any(
        isinstance(part, (cst.Is, cst.IsNot))
        and any(
            isinstance(inner, cst.Name) and inner.value == name.value
            for inner in walk(given.module.parent(given.module.parent(part)))
        )
        for part in walk(outer)
    )


# -- replies


def read_reply(given: Given) -> Callable[[Layout], str]:
    """Return what fills in the arguments of a reply.

    Raises:
        RefusalError: no reply is the same.
    """
    status, reason, headers = given.get("status"), given.get("reason"), given.get("headers")
    payload = given.get("payload")
    _check_status(given)
    names = _header_names(given)
    if names is None:
        raise RefusalError(
            given.call.args[given.at["headers"]], "it does not show what headers are set"
        )
    for name in _SPOILERS:
        if name in names:
            raise RefusalError(headers or given.call, f"natively the client heeds {name}")
    body = None if payload is not None else given.get("body")
    kind = _body_kind(given, payload, body)
    if kind == "text":
        _check_charset(given)
    renamed = {
        at: new
        for old, new, node in (
            ("status", "status", status),
            ("payload", "json", payload),
            ("body", kind or "text", body),
            ("headers", "headers", headers),
            ("reason", "reason", reason),
        )
        if node is not None and (at := given.at.get(old)) is not None
    }
    typed = _content_type(given, kind, names)

    def fill(layout: Layout) -> str:
        _fill_reply(layout, renamed, typed)
        return "reply"

    return fill


def _check_charset(given: Given) -> None:
    """Refuse a text in another charset: there it is sent in UTF-8, whatever the header says."""
    types = given.all("content_type")
    for value in given.all("headers"):
        inside = _dict_in(value.node)
        types += [
            given.values.one(value.module, one.value)
            for one in (inside.elements if inside is not None else ())
        ]
    for value in types:
        found = _CHARSET.search(text_of(value.node) or "")
        if found and found[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            raise RefusalError(given.call, f"a text is sent in UTF-8 there, not in {found[1]}")


def _fill_reply(layout: Layout, renamed: Mapping[int, str], typed: _ContentType) -> None:
    order = sorted(set(renamed) | ({typed.at} if typed.at is not None else set()))
    status = next((at for at, name in renamed.items() if name == "status"), None)
    if status is not None and not layout.comments:
        order.remove(status)
        order.insert(0, status)
    for at in order:
        value = None
        if at == typed.at and at not in renamed:
            name: str | None = typed.name
            value = typed.value(layout.old[at].value)
        else:
            name = renamed[at]
        layout.keep(at, None if at == status and at == order[0] else name, value)
    if typed.default:
        layout.add(typed.name, typed.value(None))


@dataclass(frozen=True)
class _ContentType:
    """How the content type is said: by ``content_type=``, by ``headers=``, or not at all."""

    at: int | None = None  # of the argument, where it stays one
    default: bool = False  # it was not given, and must be said natively
    in_headers: bool = False

    @property
    def name(self) -> str:
        """The argument that says it."""
        return "headers" if self.in_headers else "content_type"

    def value(self, given: cst.BaseExpression | None) -> cst.BaseExpression:
        """Return what that argument is."""
        said = cst.SimpleString('"application/json"') if given is None else given
        if not self.in_headers:
            return said
        return cst.Dict([cst.DictElement(cst.SimpleString('"Content-Type"'), said)])


def _content_type(given: Given, kind: str | None, names: set[str]) -> _ContentType:
    """Find how to say the same content type.

    There it is application/json unless said otherwise, with a body or without, and never gets a
    charset. Natively a text/* of ``text=`` does, unless it stands among the headers.
    """
    if "content-type" in names:
        return _ContentType()
    node = given.get("content_type")
    if "content_type" not in given.at:
        return _ContentType(default=kind != "json")
    if node is None:
        raise RefusalError(given.call, "content_type=None is no header there")
    text = text_of(given.values.one(given.module, node).node)
    if text == "application/json" and kind == "json":
        return _ContentType()
    if kind != "text" or (
        text is not None and (not text.startswith("text/") or "charset=" in text)
    ):
        return _ContentType(at=given.at["content_type"])
    if given.get("headers") is not None:
        raise RefusalError(node, "natively a text gets '; charset=utf-8'; say the type in headers=")
    return _ContentType(at=given.at["content_type"], in_headers=True)


def _check_status(given: Given) -> None:
    node = given.get("status")
    has_body = given.get("body") is not None or given.get("payload") is not None
    for value in given.all("status"):
        text = status_text(value.node)
        if text.isdecimal() and not 200 <= int(text) <= 599:
            raise RefusalError(
                node or given.call, f"no server answers {text}: native replies are 200 to 599"
            )
        if text in _BODILESS and has_body:
            raise RefusalError(node or given.call, f"a {text} has no body natively")
    if given.is_head and has_body:
        raise RefusalError(given.call, "a reply to HEAD has no body natively")


def _header_names(given: Given) -> set[str] | None:
    """Return the names of the headers in lower case, ``None`` if they do not show."""
    node = given.get("headers")
    if node is None:
        return set()
    found = given.values.of(given.module, node)
    if found is None:
        return None
    names: set[str] = set()
    for value in found:
        written = _dict_in(value.node)
        if dotted(value.node) == "None":
            continue
        if written is None:
            return None
        for element in written.elements:
            key = _key_text(given.values, value.module, element)
            if key is None:
                return None
            names.add(key)
    return names


def _dict_in(node: cst.BaseExpression) -> cst.Dict | None:
    if isinstance(node, cst.Dict):
        return node
    if isinstance(node, cst.Call) and len(node.args) == 1:
        name = dotted(node.func).rpartition(".")[2]
        inner = node.args[0].value
        if name in ("CIMultiDict", "CIMultiDictProxy", "MultiDict", "dict"):
            return _dict_in(inner)
    return None


def _key_text(values: Values, module: Module, element: cst.BaseDictElement) -> str | None:
    if not isinstance(element, cst.DictElement):
        return None
    text = text_of(values.one(module, element.key).node)
    if text is None:
        base, _, name = dotted(element.key).rpartition(".")
        return name.lower().replace("_", "-") if base.endswith("hdrs") else None
    return text.lower()


def _body_kind(
    given: Given, payload: cst.BaseExpression | None, body: cst.BaseExpression | None
) -> str | None:
    if payload is not None:
        _check_payload(given, payload)
        return "json"
    if body is None:
        return None
    kind = given.values.kind(given.module, body)
    if kind is None:
        raise RefusalError(body, "it does not show whether the body is text or bytes")
    return "text" if kind == "text" else "body"


def _check_payload(given: Given, node: cst.BaseExpression) -> None:
    found = given.values.of(given.module, node)
    if any(dotted(value.node) == "None" for value in found or []):
        raise RefusalError(node, "a payload that may be None is no body there, and null natively")
    if isinstance(node, cst.Name) and _is_changed_later(given, node):
        raise RefusalError(
            node, "the payload is changed afterwards, and natively it is read at once"
        )


def _is_changed_later(given: Given, name: cst.Name) -> bool:
    outer = next(
        (
            one
            for one in reversed(list(given.module.ancestors(name)))
            if isinstance(one, cst.FunctionDef)
        ),
        None,
    )
    if outer is None:
        return False
    start = given.module.line(given.call)
    in_loop = any(isinstance(one, (cst.For, cst.While)) for one in given.module.ancestors(name))
    return any(
        _changes(given.module, node, name.value)
        for node in walk(outer)
        if in_loop or given.module.line(node) > start
    )


def _changes(module: Module, node: cst.CSTNode, name: str) -> bool:
    if isinstance(node, cst.Subscript) and module.is_stored(node):
        return _base_name(node) == name
    if isinstance(node, cst.AugAssign):
        return _base_name(node.target) == name
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        return node.func.attr.value in _MUTATORS and _base_name(node.func.value) == name
    return False


def _base_name(node: cst.CSTNode) -> str:
    while isinstance(node, (cst.Subscript, cst.Attribute)):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


# -- how often


def _times(given: Given, route: Route) -> str:
    node = given.get("repeat")
    if node is None:
        return ""
    value = given.values.one(given.module, node).node
    if dotted(value) == "True":
        route.endless = True
        return ".always()"
    if dotted(value) == "False":
        return ""
    if isinstance(value, cst.Integer) and value is node:
        if int(value.evaluated_value) > 1:
            return f".times({value.value})"
        route.endless = int(value.evaluated_value) < 1
        return ".always()" if route.endless else ""
    raise RefusalError(node, "it does not show how often repeat= is")


# -- the new expression

_WIDTH = 88


def _column(module: Module, node: cst.CSTNode) -> int:
    """Return how far a statement is indented, as far as it matters for a line's length."""
    blocks = [one for one in module.ancestors(node) if isinstance(one, cst.IndentedBlock)]
    return 4 * len(blocks) + len(".reply(")


def _builder(
    given: Given,
    verb: str | cst.BaseExpression,
    url: Callable[[cst.BaseExpression], cst.BaseExpression],
    action: Callable[[Layout], str],
    times: str,
) -> Build:
    url_at = given.at["url"]
    method_at = given.at.get("method")

    column = _column(given.module, given.call)

    def build(updated: cst.Call) -> cst.BaseExpression:
        func = cst.ensure_type(updated.func, cst.Attribute)
        where = cst.Arg(url(updated.args[url_at].value))
        if isinstance(verb, str):
            registering, args = verb, [where]
        else:
            assert method_at is not None
            registering = "request"
            args = [cst.Arg(updated.args[method_at].value), where]
        register = cst.Call(func.with_changes(attr=cst.Name(registering)), args)
        layout = Layout(updated.args, updated.whitespace_before_args)
        if isinstance(verb, str) and column + len(given.module.code(register)) > _WIDTH:
            register = layout.on_its_own_line(register, url_at)
        step = action(layout)
        made, opening = layout.arguments()
        chain: cst.BaseExpression = cst.Call(
            cst.Attribute(register, cst.Name(step)), made, whitespace_before_args=opening
        )
        if times:
            ending = cst.ensure_type(cst.parse_expression(f"x{times}"), cst.Call)
            inner = cst.ensure_type(ending.func, cst.Attribute)
            chain = ending.with_changes(func=inner.with_changes(value=chain))
        return chain.with_changes(lpar=updated.lpar, rpar=updated.rpar)

    return build
