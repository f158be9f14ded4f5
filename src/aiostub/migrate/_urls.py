"""URLs: what a route of aioresponses matches, written so that a route of aiostub matches it.

A text is a template here, where it is plain text there. A pattern is searched here, in the URL as
sent; there it is matched from the start, against the URL with its query sorted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from aiostub.migrate._module import Module, RefusalError, dotted, text_of

if TYPE_CHECKING:
    from aiostub.migrate._values import Value, Values

_NOT_STRINGS = re.compile(r"(?i)(^|_)(re|regex|regexp|pattern)(_|$)|(regex|pattern)$")
_READS_QUERY = re.compile(r"\\\?|\[[^\]]*\?[^\]]*\]|=|&")
_WHOLE_TAIL = re.compile(r"\\\?\.[*+]\$?$")
_ONE_PAIR = re.compile(r"^[^&=?]*\.[*+][\w.-]+=[\w.%-]+(?:\.\*)?$")


def is_pattern(values: Values, module: Module, node: cst.BaseExpression) -> bool:
    """Tell whether an expression is a compiled pattern, as far as that shows."""
    found = values.of(module, node)
    if found is None:
        return bool(_NOT_STRINGS.search(dotted(node).rpartition(".")[2]))
    return any(_compiled(one.node) is not None for one in found) or any(
        bool(_NOT_STRINGS.search(dotted(one.node).rpartition(".")[2])) for one in found
    )


def _compiled(node: cst.BaseExpression) -> cst.Call | None:
    is_call = isinstance(node, cst.Call) and dotted(node.func) in ("re.compile", "compile")
    return node if is_call and isinstance(node, cst.Call) and node.args else None


def translated(
    values: Values, module: Module, node: cst.BaseExpression
) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
    """Return what makes the native URL of one.

    Raises:
        RefusalError: there is none that matches the same requests.
    """
    if is_pattern(values, module, node):
        return _translated_pattern(values, module, node)
    found = values.of(module, node)
    for value in found or []:
        _check_text(value, node)
    if isinstance(node, _WRITTEN) or _is_sum(node):
        return _with_doubled_braces
    if any(_has_braces(value) for value in found or []):
        raise RefusalError(node, "the URL has braces, which begin a placeholder in a native route")
    return lambda updated: updated


# Text

_WRITTEN = (cst.SimpleString, cst.ConcatenatedString, cst.FormattedString)


def _is_sum(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add)


def _check_text(value: Value, node: cst.BaseExpression) -> None:
    text = text_of(value.node)
    if isinstance(value.node, cst.Call) and dotted(value.node.func).endswith("URL"):
        text = text_of(value.node.args[0].value) if len(value.node.args) == 1 else None
    if isinstance(value.node, cst.FormattedString):
        first = value.node.parts[0] if value.node.parts else None
        text = first.value if isinstance(first, cst.FormattedStringText) else None
        text = text if text is not None and text.startswith("/") else None
    if text is None:
        return
    if "://" not in text:
        raise RefusalError(node, "the URL is relative, which aiohttp does not request")
    origin = text.partition("://")[2].partition("/")[0]
    if "#" in text or "@" in origin:
        raise RefusalError(node, "fragment and user of a URL do not count natively")
    keys = [pair.partition("=")[0] for pair in text.partition("?")[2].split("&") if pair]
    if len(keys) != len(set(keys)):
        raise RefusalError(node, "the order of repeated names in a query counts natively")


def _has_braces(value: Value) -> bool:
    text = text_of(value.node)
    if text is not None:
        return "{" in text or "}" in text
    parts = value.node.parts if isinstance(value.node, cst.FormattedString) else ()
    texts = [part.value for part in parts if isinstance(part, cst.FormattedStringText)]
    return any("{" in one or "}" in one for one in texts)


class _Doubling(cst.CSTTransformer):
    """Double the braces of string literals, but not of those inside an f-string's expressions."""

    def visit_FormattedStringExpression(self, node: cst.FormattedStringExpression) -> bool:
        del node
        return False

    def visit_Call(self, node: cst.Call) -> bool:
        del node
        return False

    def visit_Subscript(self, node: cst.Subscript) -> bool:
        del node
        return False

    def leave_SimpleString(
        self, original_node: cst.SimpleString, updated_node: cst.SimpleString
    ) -> cst.SimpleString:
        del original_node
        return updated_node.with_changes(value=_doubled(updated_node.value))

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        del original_node
        return updated_node.with_changes(value=_doubled(updated_node.value))


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _with_doubled_braces(node: cst.BaseExpression) -> cst.BaseExpression:
    doubled = node.visit(_Doubling())
    assert isinstance(doubled, cst.BaseExpression)
    return doubled


# Patterns


def _translated_pattern(
    values: Values, module: Module, node: cst.BaseExpression
) -> Callable[[cst.BaseExpression], cst.BaseExpression]:
    here = _compiled(node)
    found = values.of(module, node) or []
    written = [_compiled(value.node) for value in found]
    if not written or any(one is None for one in written):
        raise RefusalError(
            node, "a pattern is matched from the start there, and this one is not seen"
        )
    for one in written:
        if one is not None:
            _check_query(one, node)
            if here is None and not _is_anchored(one.args[0].value):
                reason = "a pattern is matched from the start there; begin it with '^' or '.*'"
                raise RefusalError(node, reason)
    if here is None or _is_anchored(here.args[0].value):
        return lambda updated: updated
    _check_anchorable(here)
    return _anchored


def _pieces(node: cst.BaseExpression) -> list[str]:
    """Return the literal pieces of a string or f-string, as the ``re`` module gets them."""
    if isinstance(node, cst.FormattedString):
        texts = [p.value if isinstance(p, cst.FormattedStringText) else "" for p in node.parts]
        return [text.replace("{{", "{").replace("}}", "}") for text in texts]
    if isinstance(node, cst.ConcatenatedString):
        return [*_pieces(node.left), *_pieces(node.right)]
    text = text_of(node)
    if text is None:
        raise RefusalError(
            node, "a pattern is matched from the start there, and this one is not seen"
        )
    return [text]


def _check_query(call: cst.Call, node: cst.BaseExpression) -> None:
    text = "".join(_pieces(call.args[0].value))
    if not _READS_QUERY.search(text) or _WHOLE_TAIL.search(text) or _ONE_PAIR.search(text):
        return
    without_tail = _WHOLE_TAIL.sub("", text)
    if _READS_QUERY.search(without_tail):
        raise RefusalError(
            node, "the pattern reads the query, which is sorted there and not natively"
        )


def _is_anchored(node: cst.BaseExpression) -> bool:
    pieces = _pieces(node)
    return pieces[0].startswith(("^", r"\A", ".*")) and not any("|" in one for one in pieces)


def _check_anchorable(call: cst.Call) -> None:
    text = "".join(_pieces(call.args[0].value))
    if "(?" in text and re.search(r"\(\?[aiLmsux]+\)", text):
        raise RefusalError(call, "the pattern begins with flags, before which no '^' can stand")
    flags = " ".join(dotted(part) for one in call.args[1:] for part in _walk_names(one.value))
    if re.search(r"\b(X|VERBOSE)\b", flags):
        raise RefusalError(call, "a verbose pattern is not taken apart")


def _walk_names(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(node, cst.BinaryOperation):
        return [*_walk_names(node.left), *_walk_names(node.right)]
    return [node]


def _anchored(updated: cst.BaseExpression) -> cst.BaseExpression:
    call = cst.ensure_type(updated, cst.Call)
    old = call.args[0].value
    bare = not any("|" in piece for piece in _pieces(old))
    new = _with_ends(old, "^", "") if bare else _with_ends(old, "^(?:", ")")
    return call.with_changes(args=[call.args[0].with_changes(value=new), *call.args[1:]])


def _with_ends(node: cst.BaseExpression, start: str, end: str) -> cst.BaseExpression:
    """Write something before and behind the text of a string literal."""
    if isinstance(node, cst.ConcatenatedString):
        left = _with_ends(node.left, start, "")
        return node.with_changes(left=left, right=_with_ends(node.right, "", end))
    if isinstance(node, cst.FormattedString):
        before = [cst.FormattedStringText(start)] if start else []
        behind = [cst.FormattedStringText(end)] if end else []
        return node.with_changes(parts=[*before, *node.parts, *behind])
    text = cst.ensure_type(node, cst.SimpleString)
    opening = f"{text.prefix}{text.quote}"
    inner = text.value[len(opening) : len(text.value) - len(text.quote)]
    return text.with_changes(value=f"{opening}{start}{inner}{end}{text.quote}")
