"""Callbacks: ``def f(url, **kwargs): return CallbackResult(...)`` becomes ``def f(request)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from aiostub.migrate._arguments import Layout, by_name
from aiostub.migrate._module import Module, RefusalError, dotted, parameters_of, text_of, walk
from aiostub.migrate._roles import Role, Roles
from aiostub.migrate._routes import Given, read_reply

if TYPE_CHECKING:
    from aiostub.migrate._units import Groups, Unit
    from aiostub.migrate._values import Values

_RESULT_ORDER = (
    "method",
    "status",
    "body",
    "content_type",
    "payload",
    "headers",
    "response_class",
    "reason",
)
# What is the same of the URL as sent and of the one with its query sorted.
_SAME_OF_URL = frozenset(
    {
        "host",
        "name",
        "parts",
        "path",
        "port",
        "query",
        "raw_path",
        "scheme",
        "suffix",
        "authority",
    }
)
AUTOMATIC = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "transfer-encoding",
        "user-agent",
    }
)


class Callbacks:
    """Translate callbacks, each once."""

    def __init__(self, groups: Groups, roles: Roles, values: Values) -> None:
        self._groups = groups
        self._roles = roles
        self._values = values

    def translate(self, module: Module, node: cst.BaseExpression) -> Unit:
        """Add to a callback's unit what makes a handler of it, and return that unit.

        Raises:
            RefusalError: no handler does the same.
        """
        function = self._function(module, node)
        unit = self._groups.unit(module, function)
        url, rest = _parameters(function)
        results = _results(module, function)
        if any(isinstance(one, cst.Name) and one.value == "request" for one in walk(function)):
            raise RefusalError(node, "the name 'request' is taken in the callback")
        self._check_uses(module, function, url, rest, unit)
        for result in results:
            self._translate_result(module, result, unit)
        _translate_signature(function, unit)
        return unit

    def _function(self, module: Module, node: cst.BaseExpression) -> cst.FunctionDef | cst.Lambda:
        if isinstance(node, cst.Lambda):
            return node
        nodes = module.definitions(node) if isinstance(node, cst.Name) else []
        found = nodes[0] if len(nodes) == 1 else None
        if isinstance(node, cst.Name) and isinstance(found, cst.FunctionDef):
            if found.decorators:
                raise RefusalError(found, "the callback is decorated")
            self._check_references(module, node.value, found)
            return found
        raise RefusalError(node, "the callback is not seen in this file")

    def _check_references(self, module: Module, name: str, function: cst.FunctionDef) -> None:
        """Check that a function is nothing but a callback of routes."""
        for one in module.nodes:
            if not isinstance(one, cst.Name) or one.value != name or one is function.name:
                continue
            if function not in module.definitions(one):
                continue
            argument = module.parent(one)
            call = module.parent(argument)
            is_callback = (
                isinstance(argument, cst.Arg)
                and argument.keyword is not None
                and argument.keyword.value == "callback"
                and isinstance(call, cst.Call)
                and isinstance(call.func, cst.Attribute)
                and self._roles.of(module, call.func.value) is Role.MOCK
            )
            if argument is function or (isinstance(argument, cst.Arg) and argument.keyword is one):
                continue
            if not is_callback:
                raise RefusalError(one, "the callback is used for something else as well")

    def _check_uses(
        self,
        module: Module,
        function: cst.FunctionDef | cst.Lambda,
        url: cst.Param | None,
        rest: cst.Param,
        unit: Unit,
    ) -> None:
        for one in walk(function.body):
            if not isinstance(one, cst.Name) or not module.scope(one):
                continue
            bound = module.definitions(one)
            if url is not None and url in bound:
                _translate_url(module, one, unit)
            elif rest in bound:
                _translate_argument(module, one, unit)

    def _translate_result(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        is_result = isinstance(node, cst.Call) and self._roles.of(module, node.func) is Role.RESULT
        if not is_result or not isinstance(node, cst.Call):
            raise RefusalError(node, "the callback returns something else than CallbackResult(...)")
        at = by_name(node, _RESULT_ORDER)
        given = Given(self._values, module, node, at)
        if given.get("response_class") is not None:
            raise RefusalError(node, "response_class= has no counterpart")
        fill = read_reply(given)
        unit.edits[node] = _reply_builder(fill)
        unit.freed.update(inner for inner in walk(node.func) if isinstance(inner, cst.Name))
        unit.needs.add("Reply")


def _reply_builder(fill: Callable[[Layout], str]) -> Callable[[cst.Call], cst.Call]:
    def build(updated: cst.Call) -> cst.Call:
        layout = Layout(updated.args, updated.whitespace_before_args)
        fill(layout)
        args, opening = layout.arguments()
        return updated.with_changes(
            func=cst.Name("Reply"), args=args, whitespace_before_args=opening
        )

    return build


def _parameters(
    function: cst.FunctionDef | cst.Lambda,
) -> tuple[cst.Param | None, cst.Param]:
    """Return the parameters for the URL and for the rest."""
    params = function.params
    rest = params.star_kwarg
    named = [*params.posonly_params, *params.params]
    star = params.star_arg if isinstance(params.star_arg, cst.Param) else None
    if rest is None or params.kwonly_params or len(named) + (star is not None) != 1:
        raise RefusalError(function, "a callback with other parameters than (url, **kwargs)")
    if star is not None:
        used = any(
            isinstance(n, cst.Name) and n.value == star.name.value for n in walk(function.body)
        )
        if used:
            raise RefusalError(function, "a callback with other parameters than (url, **kwargs)")
    return (named[0] if named else None), rest


def _results(module: Module, function: cst.FunctionDef | cst.Lambda) -> list[cst.BaseExpression]:
    """Return what a callback returns, if every way through it ends in a ``return``."""
    if isinstance(function, cst.Lambda):
        return [function.body]
    inside = [one for one in walk(function.body) if module.function_of(one) is function]
    for one in inside:
        if isinstance(one, cst.Raise):
            raise RefusalError(one, "a callback that raises is asked again there")
        if isinstance(one, (cst.Yield, cst.FunctionDef)):
            raise RefusalError(one, "the callback is more than a plain function")
    returns = [one for one in inside if isinstance(one, cst.Return)]
    values = [one.value for one in returns if one.value is not None]
    if not _ends(function.body) or len(values) != len(returns):
        reason = "a callback that may return None leaves the answer to the route there"
        raise RefusalError(function, reason)
    return values


def _ends(body: cst.BaseSuite) -> bool:
    """Tell whether control never comes out at the end of a block."""
    last = body.body[-1] if body.body else None
    if isinstance(last, cst.SimpleStatementLine):
        return isinstance(last.body[-1], cst.Return)
    if isinstance(body, cst.SimpleStatementSuite):
        return isinstance(last, cst.Return)
    if isinstance(last, cst.If):
        return _ends(last.body) and _else_ends(last.orelse)
    return isinstance(last, cst.With) and _ends(last.body)


def _else_ends(orelse: cst.If | cst.Else | None) -> bool:
    if isinstance(orelse, cst.Else):
        return _ends(orelse.body)
    return orelse is not None and _ends(orelse.body) and _else_ends(orelse.orelse)


def _translate_url(module: Module, name: cst.Name, unit: Unit) -> None:
    parent = module.parent(name)
    if not (isinstance(parent, cst.Attribute) and parent.attr.value in _SAME_OF_URL):
        raise RefusalError(name, "the callback's URL has its query sorted there, and not natively")
    unit.edits[name] = lambda updated: cst.parse_expression("request.url").with_changes(
        lpar=updated.lpar, rpar=updated.rpar
    )


def _translate_argument(module: Module, name: cst.Name, unit: Unit) -> None:
    """Translate ``kwargs["json"]`` and ``kwargs["headers"]["X"]``."""
    node = module.parent(name)
    key = subscript_text(node) if isinstance(node, cst.Subscript) else None
    if key == "json":
        unit.edits[node] = lambda _: cst.parse_expression("request.json()")
        return
    outer = module.parent(node)
    if key == "headers" and header_asked(module, node, outer):
        unit.edits[node] = lambda _: cst.parse_expression("request.headers")
        return
    raise RefusalError(
        name, "of a callback's arguments only json and single headers are translated"
    )


def subscript_text(node: cst.Subscript) -> str | None:
    """Return the key of a subscript, if it is a text that is written out."""
    inner = node.slice[0].slice if len(node.slice) == 1 else None
    return text_of(inner.value) if isinstance(inner, cst.Index) else None


def header_asked(module: Module, node: cst.CSTNode, outer: cst.CSTNode) -> bool:
    """Tell whether one header is read that aiohttp does not set by itself."""
    key = None
    if isinstance(outer, cst.Subscript) and outer.value is node:
        key = subscript_text(outer)
    if isinstance(outer, cst.Attribute) and outer.attr.value == "get":
        call = module.parent(outer)
        if isinstance(call, cst.Call) and call.func is outer and call.args:
            key = text_of(call.args[0].value)
    return key is not None and key.lower() not in AUTOMATIC


def _translate_signature(function: cst.FunctionDef | cst.Lambda, unit: Unit) -> None:
    typed = any(one.annotation is not None for one in parameters_of(function))
    annotation = cst.Annotation(cst.Name("Request")) if typed else None
    if typed:
        unit.needs.add("Request")
    param = cst.Param(cst.Name("request"), annotation=annotation)

    def build(updated: cst.Parameters) -> cst.Parameters:
        del updated
        return cst.Parameters(params=[param])

    unit.edits[function.params] = build
    returns = function.returns if isinstance(function, cst.FunctionDef) else None
    if returns is not None and dotted(returns.annotation).endswith("CallbackResult"):
        unit.edits[returns.annotation] = lambda _: cst.Name("Reply")
        unit.freed.update(one for one in walk(returns) if isinstance(one, cst.Name))
