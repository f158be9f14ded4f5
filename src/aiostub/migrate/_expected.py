"""What a test expects that it does not meet natively: refused requests, and all headers at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import libcst as cst

from aiostub.migrate._module import dotted, walk
from aiostub.migrate._routes import Route, status_text

if TYPE_CHECKING:
    from aiostub.migrate._units import Unit

_REFUSALS = frozenset({"ClientConnectionError", "ClientError"})
_RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
_TEXTS = (cst.SimpleString, cst.FormattedStringText)
_EQUAL = frozenset({"assertEqual", "assertNotEqual", "assertDictEqual"})


def check_expected(unit: Unit, shared: list[Unit]) -> None:
    """Refuse a unit that expects what it does not meet natively.

    Args:
        unit: the one.
        shared: it, and what it shares its mock with, other tests excepted.
    """
    routes = [route for one in shared for route in one.routes]
    if not any(route.fails for route in routes):
        _check_refusal(unit, routes, shared)
    headers = _headers_compared(unit.node)
    if headers is not None:
        unit.refuse(headers, "natively a response has more headers than were registered")


def refusal_raised(function: cst.FunctionDef) -> cst.CSTNode | None:
    """Return where a test expects one of the errors that an unmatched request is there."""
    raised = ((node, names & _REFUSALS) for node, names in _raised(function))
    return next((node for node, names in raised if names), None)


def _check_refusal(unit: Unit, routes: list[Route], shared: list[Unit]) -> None:
    """Refuse a unit that expects the error of a request that no route answers."""
    for node in walk(unit.node):
        if isinstance(node, _TEXTS) and "Connection refused" in node.value:
            unit.refuse(node, "natively a request that no route answers has another message")
            return
    if not routes:
        return  # all that it asks for gets a route that fails
    explained = any(_is_error(status) for status in _statuses(routes, shared))
    for node, names in _raised(unit.node):
        if "ClientConnectionError" in names or (any(map(_may_refuse, names)) and not explained):
            reason = "a request that no route answers is no ClientConnectionError natively"
            unit.refuse(node, reason)
            return


def _may_refuse(name: str) -> bool:
    """Tell whether an error is that of a refused request, or what an app may make of it."""
    general = ("ClientError", "Exception", "BaseException")
    return name in general or name.endswith("ConnectionError")


def _raised(where: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, set[str]]]:
    """Go through the places where errors are expected, with the names of these errors."""
    for node in walk(where):
        if isinstance(node, cst.Call) and dotted(node.func).rpartition(".")[2] in _RAISES:
            for argument in node.args:
                yield node, {dotted(one).rpartition(".")[2] for one in walk(argument.value)}


def _is_error(status: str) -> bool:
    return status[:1] in "45" or not status.isdecimal()


def _statuses(routes: Iterable[Route], shared: Iterable[Unit]) -> Iterator[str]:
    """Return the statuses that are answered, as far as they show."""
    for route in routes:
        yield from route.statuses
    for unit in shared:
        for node in walk(unit.node):
            if isinstance(node, cst.Call) and dotted(node.func).endswith("CallbackResult"):
                yield from (status_text(one.value) for one in node.args if _is_status(node, one))


def _is_status(result: cst.Call, argument: cst.Arg) -> bool:
    if argument.keyword is None:
        return result.args.index(argument) == 1
    return argument.keyword.value == "status"


def _headers_compared(where: cst.CSTNode) -> cst.CSTNode | None:
    """Return where all headers of something are compared at once."""
    return next((node for node in walk(where) if any(map(_are_headers, _sides(node)))), None)


def _sides(node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """Go through what is compared for equality."""
    if isinstance(node, cst.Comparison):
        left = node.left
        for target in node.comparisons:
            if isinstance(target.operator, (cst.Equal, cst.NotEqual)):
                yield from (left, target.comparator)
            left = target.comparator
    elif isinstance(node, cst.Call) and dotted(node.func).rpartition(".")[2] in _EQUAL:
        yield from (argument.value for argument in node.args)


def _are_headers(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Call) and dotted(node.func) == "dict" and len(node.args) == 1:
        node = node.args[0].value
    return isinstance(node, cst.Attribute) and node.attr.value in ("headers", "raw_headers")
