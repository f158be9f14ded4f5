"""The log: ``m.requests[("GET", url)][0].kwargs`` and the assertions of aioresponses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from aiostub.migrate._arguments import by_name
from aiostub.migrate._callbacks import header_asked, subscript_text
from aiostub.migrate._module import Module, RefusalError, dotted, elements, text_of
from aiostub.migrate._roles import Role, Roles, index_of
from aiostub.migrate._urls import is_pattern, translated

if TYPE_CHECKING:
    from aiostub.migrate._units import Unit
    from aiostub.migrate._values import Values

ASSERTIONS = frozenset(
    {
        "assert_called",
        "assert_not_called",
        "assert_called_once",
        "assert_called_with",
        "assert_called_once_with",
        "assert_any_call",
    }
)
_GROUPED = (
    "{{(call.request.method, call.request.url): "
    "{calls}.filter(call.request.method, call.request.url) for call in {calls}}}.values()"
)
_DISTINCT = "len({{(call.request.method, call.request.url) for call in {calls}}})"


class Log:
    """Translate what a test asks of its mock's log; each method adds to the unit's edits."""

    def __init__(self, roles: Roles, values: Values) -> None:
        self._roles = roles
        self._values = values

    # m.requests

    def requests(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        """Translate ``m.requests``, or a name for it.

        Raises:
            RefusalError: it is used in a way that has no exact counterpart.
        """
        unit.looks = True
        if isinstance(node, cst.Attribute):
            unit.edits[node] = lambda updated: updated.with_changes(attr=cst.Name("calls"))
        parent = module.parent(node)
        if isinstance(parent, cst.Subscript) and parent.value is node:
            return None
        unit.counts = True
        if self._is_alias(module, node) or self._is_listed(module, node):
            return None
        if isinstance(parent, cst.Arg) and self._is_counted(module, node, unit):
            return None
        if isinstance(parent, cst.ComparisonTarget):
            return self._contained(module, node, unit)
        if isinstance(parent, cst.Comparison) and parent.left is node:
            return _compared(parent, unit)
        if is_truth(module, node):
            if _is_denied(module, node):
                unit.silent = True
            return None
        raise RefusalError(
            node, "of requests only calls by method and URL, and their number, are translated"
        )

    def _is_listed(self, module: Module, node: cst.BaseExpression) -> bool:
        """Tell whether this is in ``list(m.requests.values())``."""
        outwards = [one for _, one in zip(range(4), module.ancestors(node), strict=False)]
        return any(self._roles.requests_listed(module, one) is node for one in outwards)

    def lists(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        """Translate ``list(m.requests.values())``, or a name for it.

        Raises:
            RefusalError: it is used in a way that has no exact counterpart.
        """
        unit.looks = unit.counts = True
        first = module.parent(node)
        second = module.parent(first)
        if isinstance(node, cst.Call):
            is_first = (
                isinstance(first, cst.Subscript)
                and index_of(first) == "0"
                and isinstance(second, cst.Subscript)
                and second.value is first
                and index_of(second) == "0"
            )
            unit.edits[node] = _bare_calls if is_first else _grouped_calls
            if is_first:
                unit.edits[first] = lambda updated: updated.value
        is_item = isinstance(first, cst.Subscript) and first.value is node
        is_loop = isinstance(first, (cst.For, cst.CompFor)) and first.iter is node
        if not (is_item or is_loop or _is_length(module, node) or self._is_alias(module, node)):
            raise RefusalError(node, "the calls go where they cannot be followed")

    def _is_counted(self, module: Module, node: cst.BaseExpression, unit: Unit) -> bool:
        call = module.parent(module.parent(node))
        if not (isinstance(call, cst.Call) and dotted(call.func) == "len"):
            return False
        compared = module.parent(call)
        if isinstance(compared, cst.Comparison) and compared.left is call:
            target = compared.comparisons[0]
            if isinstance(target.comparator, cst.Integer) and target.comparator.value == "0":
                unit.silent = unit.silent or isinstance(target.operator, cst.Equal)
                return True

        def build(updated: cst.Call) -> cst.BaseExpression:
            calls = module.code(updated.args[0].value)
            return cst.parse_expression(_DISTINCT.format(calls=calls))

        unit.edits[call] = build
        return True

    def _contained(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        """Translate ``("GET", url) in m.requests``."""
        target = cst.ensure_type(module.parent(node), cst.ComparisonTarget)
        comparison = cst.ensure_type(module.parent(target), cst.Comparison)
        negated = isinstance(target.operator, cst.NotIn)
        if len(comparison.comparisons) > 1 or not (negated or isinstance(target.operator, cst.In)):
            raise RefusalError(node, "requests are compared with something else")
        arguments = self._key(module, comparison.left)
        plain = is_truth(module, comparison)

        def build(updated: cst.Comparison) -> cst.BaseExpression:
            calls = updated.comparisons[0].comparator
            found = cst.Call(cst.Attribute(calls, cst.Name("filter")), arguments(updated.left))
            if negated:
                return cst.UnaryOperation(cst.Not(), found, lpar=updated.lpar, rpar=updated.rpar)
            made = found if plain else cst.Call(cst.Name("bool"), [cst.Arg(found)])
            return made.with_changes(lpar=updated.lpar, rpar=updated.rpar)

        unit.edits[comparison] = build

    def _key(
        self, module: Module, node: cst.BaseExpression
    ) -> Callable[[cst.BaseExpression], list[cst.Arg]]:
        """Return what makes the arguments of ``filter`` of a key of ``requests``."""
        value = self._values.one(module, node)
        pair = elements(value.node)
        if pair is None or len(pair) != 2:
            raise RefusalError(node, "it does not show which method and URL are meant")
        method = text_of(self._values.one(value.module, pair[0]).node)
        if method is None and "METH_" not in dotted(pair[0]):
            raise RefusalError(node, "it does not show which method is meant")
        if method is not None and method != method.upper():
            raise RefusalError(node, "a key with a lower-case method is of requests made so only")
        if is_pattern(self._values, value.module, pair[1]):
            raise RefusalError(node, "a pattern is no key of requests")
        make_url = translated(self._values, value.module, pair[1])
        if value.node is not node:
            return lambda updated: [cst.Arg(updated, star="*")]

        def build(updated: cst.BaseExpression) -> list[cst.Arg]:
            both = elements(updated)
            assert both is not None
            return [cst.Arg(both[0]), cst.Arg(make_url(both[1]))]

        return build

    def _is_alias(self, module: Module, node: cst.CSTNode) -> bool:
        """Tell whether this is assigned to names that are the same thing."""
        parent = module.parent(node)
        if not isinstance(parent, cst.Assign):
            return False
        role = self._roles.of(module, node)
        targets = [one.target for one in parent.targets]
        return all(
            isinstance(one, cst.Name) and self._roles.of(module, one) is role for one in targets
        )

    # the calls of one URL, one call, its arguments

    def calls(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        """Translate ``m.requests[key]``, or a name for it.

        Raises:
            RefusalError: it is used in a way that has no exact counterpart.
        """
        unit.looks = True
        if isinstance(node, cst.Subscript):
            if self._roles.of(module, node.value) is Role.LISTS:
                return self._check_calls(module, node)
            key = _key_of(node)
            if key is None:
                raise RefusalError(node, "it does not show which method and URL are meant")
            arguments = self._key(module, key)

            def build(updated: cst.Subscript) -> cst.BaseExpression:
                asked = _key_of(updated)
                assert asked is not None
                func = cst.Attribute(updated.value, cst.Name("filter"))
                return cst.Call(func, arguments(asked), lpar=updated.lpar, rpar=updated.rpar)

            unit.edits[node] = build
        self._check_calls(module, node)
        return None

    def _check_calls(self, module: Module, node: cst.BaseExpression) -> None:
        parent = module.parent(node)
        is_item = isinstance(parent, cst.Subscript) and parent.value is node
        is_length = _is_length(module, node)
        is_loop = isinstance(parent, (cst.For, cst.CompFor)) and parent.iter is node
        if is_item and not self._is_index(parent):
            raise RefusalError(node, "it does not show which call is meant")
        if not (
            is_item
            or is_length
            or is_loop
            or self._is_alias(module, node)
            or is_truth(module, node)
        ):
            raise RefusalError(node, "the list of calls goes where it cannot be followed")

    def _is_index(self, node: cst.CSTNode) -> bool:
        return isinstance(node, cst.Subscript) and isinstance(node.slice[0].slice, cst.Index)

    def call(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        """Check the use of one call.

        Raises:
            RefusalError: it has no exact counterpart.
        """
        unit.looks = True
        parent = module.parent(node)
        if isinstance(parent, cst.Attribute) and parent.attr.value == "kwargs":
            return
        if isinstance(parent, cst.Subscript) and parent.value is node and index_of(parent) == "1":
            return
        if self._is_alias(module, node) or isinstance(parent, (cst.For, cst.CompFor)):
            return
        raise RefusalError(node, "of a call only its kwargs are translated")

    def kwargs(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        """Translate ``call.kwargs``, or a name for it.

        Raises:
            RefusalError: it is used in a way that has no exact counterpart.
        """
        if isinstance(node, (cst.Attribute, cst.Subscript)):
            unit.edits[node] = lambda updated: cst.Attribute(
                cst.Attribute(updated.value, cst.Name("origin")), cst.Name("kwargs")
            )
        parent = module.parent(node)
        if self._is_alias(module, node):
            return None
        key = None
        if isinstance(parent, cst.Subscript) and parent.value is node:
            key = subscript_text(parent)
            if key == "headers":
                return self._headers(module, node, parent, unit)
        if isinstance(parent, cst.Attribute) and parent.attr.value == "get":
            outer = module.parent(parent)
            is_call = isinstance(outer, cst.Call) and outer.func is parent and outer.args
            key = text_of(outer.args[0].value) if is_call and isinstance(outer, cst.Call) else None
        if isinstance(parent, cst.ComparisonTarget) and isinstance(
            parent.operator, (cst.In, cst.NotIn)
        ):
            comparison = cst.ensure_type(module.parent(parent), cst.Comparison)
            key = text_of(comparison.left)
        if key is None or key in ("headers", "allow_redirects"):
            reason = (
                "headers are merged with the session's there"
                if key == "headers"
                else ("of a call's kwargs only single ones are translated")
            )
            raise RefusalError(node, reason)
        return None

    def _headers(
        self, module: Module, node: cst.BaseExpression, asked: cst.Subscript, unit: Unit
    ) -> None:
        """Translate ``call.kwargs["headers"]["X"]``: the session's own headers are in there."""
        if not header_asked(module, asked, module.parent(asked)):
            raise RefusalError(asked, "headers are merged with the session's there")
        if not isinstance(node, (cst.Attribute, cst.Subscript)):
            raise RefusalError(asked, "headers are merged with the session's there")
        unit.edits[node] = lambda updated: cst.Attribute(updated.value, cst.Name("request"))
        unit.edits[asked] = lambda updated: cst.Attribute(updated.value, cst.Name("headers"))

    # m.assert_...

    def assertion(self, module: Module, call: cst.Call, unit: Unit) -> None:
        """Translate an assertion.

        Raises:
            RefusalError: no native one asserts the same.
        """
        name = cst.ensure_type(call.func, cst.Attribute).attr.value
        unit.looks = True
        if name in ("assert_called", "assert_not_called", "assert_called_once"):
            unit.counts = True
            unit.silent = unit.silent or name == "assert_not_called"
            return None
        if _is_expected_to_fail(module, call):
            raise RefusalError(call, "the assertion is expected to fail")
        if name == "assert_any_call":
            return self._any_call(module, call, unit)
        unit.counts = unit.counts or name == "assert_called_once_with"
        self._called_with(module, call, unit, once=name == "assert_called_once_with")
        return None

    def _method(self, module: Module, call: cst.Call, at: dict[str, int]) -> str:
        if "method" not in at:
            return "GET"
        node = call.args[at["method"]].value
        text = text_of(self._values.one(module, node).node)
        constant = dotted(node).rpartition(".")[2]
        if text is None and constant.startswith("METH_"):
            text = constant.removeprefix("METH_")
        if text is None:
            raise RefusalError(node, "it does not show which method is meant")
        return text.upper()

    def _asked_url(
        self, module: Module, call: cst.Call, at: dict[str, int]
    ) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
        if "url" not in at:
            raise RefusalError(call, "no URL is given")
        node = call.args[at["url"]].value
        if is_pattern(self._values, module, node):
            raise RefusalError(node, "a pattern is a TypeError in an assertion there")
        return translated(self._values, module, node)

    def _any_call(self, module: Module, call: cst.Call, unit: Unit) -> None:
        at = by_name(call, ("url", "method", *_REQUEST_ARGUMENTS))
        ignored = [name for name in at if name not in ("url", "method", "params")]
        if ignored:
            raise RefusalError(call, f"assert_any_call ignores {ignored[0]}= there")
        method, url = self._method(module, call, at), self._asked_url(module, call, at)

        def build(updated: cst.Call) -> cst.Call:
            args = [
                cst.Arg(cst.SimpleString(f'"{method}"')),
                cst.Arg(url(updated.args[at["url"]].value)),
            ]
            if "params" in at:
                args.append(_keyword("params", updated.args[at["params"]].value))
            return updated.with_changes(args=args, whitespace_before_args=cst.SimpleWhitespace(""))

        unit.edits[call] = build

    def _called_with(self, module: Module, call: cst.Call, unit: Unit, *, once: bool) -> None:
        at = by_name(call, ("url", "method", "args_to_match", *_REQUEST_ARGUMENTS))
        if "headers" in at:
            raise RefusalError(call, "headers= is compared there with the session's merged in")
        statement = module.parent(call)
        line = module.parent(statement)
        if not (
            isinstance(statement, cst.Expr)
            and isinstance(line, cst.SimpleStatementLine)
            and len(line.body) == 1
        ):
            raise RefusalError(call, "the assertion is not a statement by itself")
        method, url = self._method(module, call, at), self._asked_url(module, call, at)
        wanted = _wanted(module, call, at)

        def asserted(updated: cst.Call) -> cst.Assert:
            mock = cst.ensure_type(updated.func, cst.Attribute).value
            args = [
                cst.Arg(cst.SimpleString(f'"{method}"')),
                cst.Arg(url(updated.args[at["url"]].value)),
            ]
            if "params" in at:
                args.append(_keyword("params", updated.args[at["params"]].value))
            found = cst.Call(
                cst.Attribute(cst.Attribute(mock, cst.Name("calls")), cst.Name("filter")), args
            )
            kwargs = cst.Attribute(
                cst.Attribute(_item(found, "-1"), cst.Name("origin")), cst.Name("kwargs")
            )
            given = {name: updated.args[index].value for name, index in at.items()}
            return cst.Assert(_comparison(kwargs, given, wanted, method))

        def build(updated: cst.SimpleStatementLine) -> object:
            inner = cst.ensure_type(cst.ensure_type(updated.body[0], cst.Expr).value, cst.Call)
            made = updated.with_changes(body=[asserted(inner)])
            if not once:
                return made
            mock = cst.ensure_type(inner.func, cst.Attribute)
            first = cst.Call(mock.with_changes(attr=cst.Name("assert_called_once")))
            return cst.FlattenSentinel(
                [
                    cst.SimpleStatementLine([cst.Expr(first)], leading_lines=updated.leading_lines),
                    made.with_changes(leading_lines=[]),
                ]
            )

        unit.edits[line] = build


_REQUEST_ARGUMENTS = (
    "params",
    "data",
    "json",
    "cookies",
    "headers",
    "skip_auto_headers",
    "auth",
    "allow_redirects",
    "max_redirects",
    "compress",
    "chunked",
    "expect100",
    "raise_for_status",
    "read_until_eof",
    "proxy",
    "proxy_auth",
    "timeout",
    "verify_ssl",
    "fingerprint",
    "ssl_context",
    "ssl",
    "server_hostname",
    "proxy_headers",
    "trace_request_ctx",
    "read_bufsize",
    "auto_decompress",
    "max_line_size",
    "max_field_size",
    "middlewares",
)


def _wanted(module: Module, call: cst.Call, at: dict[str, int]) -> list[str] | None:
    """Return the names that ``args_to_match`` picks; ``None`` for all."""
    if "args_to_match" not in at:
        return None
    node = call.args[at["args_to_match"]].value
    if dotted(node) == "None":
        return None
    names = [text_of(one) for one in elements(node) or ()]
    known = [name for name in names if name is not None]
    if not known or len(known) != len(names) or not all(name in at for name in known):
        raise RefusalError(call, "it does not show which arguments are compared")
    del module
    return known


def _comparison(
    kwargs: cst.BaseExpression,
    given: dict[str, cst.BaseExpression],
    wanted: list[str] | None,
    method: str,
) -> cst.BaseExpression:
    """Compare the arguments of the client call, with the defaults that aioresponses fills in."""
    if wanted is not None and len(wanted) == 1:
        return _equal(_item(kwargs, f'"{wanted[0]}"'), given[wanted[0]])
    if wanted is not None:
        actual = cst.Dict([_pair(name, _item(kwargs, f'"{name}"')) for name in wanted])
        return _equal(actual, cst.Dict([_pair(name, given[name]) for name in wanted]))
    defaults = {"allow_redirects": "True"} | ({"data": "None"} if method == "POST" else {})
    filled = [_pair(name, cst.Name(value)) for name, value in defaults.items()]
    missing = [_pair(n, cst.Name(value)) for n, value in defaults.items() if n not in given]
    asked = [_pair(n, v) for n, v in given.items() if n not in ("url", "method", "args_to_match")]
    return _equal(cst.Dict([*filled, cst.StarredDictElement(kwargs)]), cst.Dict([*asked, *missing]))


def _pair(name: str, value: cst.BaseExpression) -> cst.DictElement:
    return cst.DictElement(cst.SimpleString(f'"{name}"'), value)


def _equal(left: cst.BaseExpression, right: cst.BaseExpression) -> cst.Comparison:
    return cst.Comparison(left, [cst.ComparisonTarget(cst.Equal(), right)])


def _item(node: cst.BaseExpression, index: str) -> cst.Subscript:
    return cst.Subscript(node, [cst.SubscriptElement(cst.Index(cst.parse_expression(index)))])


def _keyword(name: str, value: cst.BaseExpression) -> cst.Arg:
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return cst.Arg(value, keyword=cst.Name(name), equal=equal)


def _key_of(node: cst.Subscript) -> cst.BaseExpression | None:
    """Return the key of ``m.requests[key]`` or ``m.requests["GET", url]``."""
    inside = [one.slice for one in node.slice]
    values = [one.value for one in inside if isinstance(one, cst.Index)]
    if len(values) != len(inside):
        return None
    return values[0] if len(values) == 1 else cst.Tuple([cst.Element(one) for one in values])


def _is_length(module: Module, node: cst.CSTNode) -> bool:
    parent = module.parent(node)
    call = module.parent(parent)
    is_argument = isinstance(parent, cst.Arg) and isinstance(call, cst.Call)
    return is_argument and isinstance(call, cst.Call) and dotted(call.func) == "len"


def _bare_calls(updated: cst.Call) -> cst.BaseExpression:
    """Take ``m.calls`` out of ``list(m.calls.values())``."""
    values = cst.ensure_type(updated.args[0].value, cst.Call)
    return cst.ensure_type(values.func, cst.Attribute).value


def _grouped_calls(updated: cst.Call) -> cst.BaseExpression:
    """Write out, for each method and URL in the order of their first calls, the calls."""
    calls = cst.Module([]).code_for_node(_bare_calls(updated))
    grouped = cst.parse_expression(_GROUPED.format(calls=calls))
    return updated.with_changes(args=[cst.Arg(grouped)])


def is_truth(module: Module, node: cst.CSTNode) -> bool:
    """Tell whether only the truth of an expression counts."""
    parent = module.parent(node)
    if isinstance(parent, (cst.Assert, cst.If, cst.While, cst.IfExp)):
        return parent.test is node
    if isinstance(parent, cst.UnaryOperation):
        return isinstance(parent.operator, cst.Not)
    return isinstance(parent, cst.BooleanOperation) and is_truth(module, parent)


def _is_denied(module: Module, node: cst.CSTNode) -> bool:
    parent = module.parent(node)
    return isinstance(parent, cst.UnaryOperation) and isinstance(module.parent(parent), cst.Assert)


def _compared(comparison: cst.Comparison, unit: Unit) -> None:
    """Translate ``m.requests == {}``."""
    target = comparison.comparisons[0]
    is_empty = isinstance(target.comparator, cst.Dict) and not target.comparator.elements
    if len(comparison.comparisons) > 1 or not is_empty:
        raise RefusalError(comparison, "requests are compared with something else")
    if isinstance(target.operator, cst.Equal):
        unit.silent = True
        unit.edits[comparison] = lambda updated: cst.UnaryOperation(
            cst.Not(), updated.left, lpar=updated.lpar, rpar=updated.rpar
        )
    elif isinstance(target.operator, cst.NotEqual):
        unit.edits[comparison] = lambda updated: cst.Call(cst.Name("bool"), [cst.Arg(updated.left)])
    else:
        raise RefusalError(comparison, "requests are compared with something else")


def _is_expected_to_fail(module: Module, node: cst.CSTNode) -> bool:
    for one in module.ancestors(node):
        if isinstance(one, cst.With):
            for item in one.items:
                called = item.item
                if isinstance(called, cst.Call) and dotted(called.func).rpartition(".")[2] in (
                    "raises",
                    "assertRaises",
                    "assertRaisesRegex",
                ):
                    return True
        if isinstance(one, (cst.Try, cst.Lambda)):
            return True
    return False
