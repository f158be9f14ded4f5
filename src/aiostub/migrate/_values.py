"""What is known of an expression without running it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import libcst as cst

from aiostub.migrate._module import Module, dotted, text_of
from aiostub.migrate._project import Function, Project

_DEPTH = 6

_TEXT_CALLS = frozenset({"str", "json.dumps", "dumps", "textwrap.dedent", "dedent", "repr"})
_TEXT_METHODS = frozenset(
    {"decode", "format", "join", "lower", "read_text", "replace", "strip", "upper"}
)
_BYTES_CALLS = frozenset({"bytes", "bytearray", "orjson.dumps", "gzip.compress", "zlib.compress"})
_BYTES_METHODS = frozenset({"encode", "read_bytes", "tobytes", "SerializeToString"})


class Value(NamedTuple):
    """An expression, and the file that it stands in."""

    module: Module
    node: cst.BaseExpression


class Values:
    """Follow names to what they are bound to."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def of(
        self, module: Module, node: cst.BaseExpression, depth: int = _DEPTH
    ) -> list[Value] | None:
        """Return every expression that may give the value; ``None`` if that is not known."""
        if isinstance(node, cst.IfExp):
            return self._all([(module, node.body), (module, node.orelse)], depth)
        if depth and isinstance(node, cst.Name) and node.value not in ("None", "True", "False"):
            return self._of_name(module, node, depth - 1)
        if depth and isinstance(node, cst.Attribute) and dotted(node.value) in ("self", "cls"):
            return self._of_attribute(module, node, depth - 1)
        return [Value(module, node)]

    def _all(
        self, nodes: list[tuple[Module, cst.BaseExpression]], depth: int
    ) -> list[Value] | None:
        found = [self.of(module, node, depth) for module, node in nodes]
        if any(one is None for one in found):
            return None
        return [value for one in found for value in one or ()]

    def _of_name(self, module: Module, name: cst.Name, depth: int) -> list[Value] | None:
        found = self._project.definition(module, name)
        if found is None and module.imported(name):
            return [Value(module, name)]
        if found is None:
            nodes = module.definitions(name)
            bound = [assigned_to(module, node) for node in nodes]
            if not bound or any(value is None for value in bound):
                return None
            return self._all([(module, value) for value in bound if value is not None], depth)
        place, node = found
        if isinstance(node, cst.Param):
            return self._of_parameter(place, node, depth)
        if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
            return [Value(module, name)]
        value = assigned_to(place, node)
        return None if value is None else self.of(place, value, depth)

    def _of_parameter(self, module: Module, param: cst.Param, depth: int) -> list[Value] | None:
        function = module.function_of(param)
        if function is None:
            return None
        given = Function(module, function).parametrized().get(param.name.value)
        return None if given is None else self._all([(module, one) for one in given], depth)

    def _of_attribute(self, module: Module, node: cst.Attribute, depth: int) -> list[Value] | None:
        owner = module.class_of(node)
        if owner is None:
            return None
        found: list[tuple[Module, cst.BaseExpression]] = []
        for place, cls in self._project.bases(module, owner):
            for value in attribute_values(place, cls, node.attr.value):
                if value is None:
                    return None
                found.append((place, value))
        return self._all(found, depth) if found else None

    def one(self, module: Module, node: cst.BaseExpression) -> Value:
        """Return the one expression that gives the value, or the expression itself."""
        found = self.of(module, node)
        return found[0] if found is not None and len(found) == 1 else Value(module, node)

    def texts(self, module: Module, node: cst.BaseExpression) -> list[str] | None:
        """Return the strings that an expression may be, if each is written out."""
        found = self.of(module, node)
        texts = [text_of(value.node) for value in found or ()]
        known = [text for text in texts if text is not None]
        return known if found and len(known) == len(texts) else None

    def kind(
        self, module: Module, node: cst.BaseExpression, depth: int = 4
    ) -> Literal["text", "bytes"] | None:
        """Tell whether an expression is text or bytes, if that shows."""
        found = self.of(module, node)
        if found is None:
            return self._annotated(module, node)
        kinds = {self._kind_of(value, depth) for value in found}
        return kinds.pop() if len(kinds) == 1 else None

    def _annotated(
        self, module: Module, node: cst.BaseExpression
    ) -> Literal["text", "bytes"] | None:
        found = self._project.definition(module, node) if isinstance(node, cst.Name) else None
        if found is not None and isinstance(found[1], cst.Param):
            return _kind_named(found[1].annotation)
        return None

    def _kind_of(self, value: Value, depth: int) -> Literal["text", "bytes"] | None:
        module, node = value
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            return "bytes" if "b" in _prefix(node) else "text"
        if isinstance(node, cst.FormattedString):
            return "text"
        if isinstance(node, cst.BinaryOperation):
            return self.kind(module, node.left, depth - 1) if depth else None
        if isinstance(node, cst.Call):
            return self._kind_of_call(module, node, depth)
        return None

    def _kind_of_call(
        self, module: Module, call: cst.Call, depth: int
    ) -> Literal["text", "bytes"] | None:
        name = dotted(call.func)
        if name in _TEXT_CALLS:
            return "text"
        if name in _BYTES_CALLS:
            return "bytes"
        if isinstance(call.func, cst.Attribute):
            method = call.func.attr.value
            if method in _BYTES_METHODS:
                return "bytes"
            if method in _TEXT_METHODS:
                base = call.func.value
                inner = self.kind(module, base, depth - 1) if depth else None
                return (
                    inner if method not in ("decode", "read_text", "format") and inner else "text"
                )
        callee = self._project.function_called(module, call)
        return None if callee is None or not depth else self._kind_returned(callee, depth)

    def _kind_returned(self, callee: Function, depth: int) -> Literal["text", "bytes"] | None:
        if callee.node.returns is not None:
            return _kind_named(callee.node.returns)
        results = [
            node.value
            for node in callee.module.nodes
            if isinstance(node, cst.Return) and callee.module.function_of(node) is callee.node
        ]
        kinds = {
            None if value is None else self.kind(callee.module, value, depth - 1)
            for value in results
        }
        return kinds.pop() if len(kinds) == 1 else None


def _prefix(node: cst.SimpleString | cst.ConcatenatedString) -> str:
    while isinstance(node, cst.ConcatenatedString):
        if isinstance(node.left, cst.FormattedString):
            return "f"
        node = cst.ensure_type(node.left, cst.SimpleString)
    return node.prefix.lower()


def _kind_named(annotation: cst.Annotation | None) -> Literal["text", "bytes"] | None:
    name = None if annotation is None else dotted(annotation.annotation)
    return "text" if name == "str" else "bytes" if name == "bytes" else None


def assigned_to(module: Module, node: cst.CSTNode) -> cst.BaseExpression | None:
    """Return the expression that a target is assigned, if it is assigned by itself."""
    parent = module.parent(node)
    if isinstance(parent, cst.AssignTarget):
        return cst.ensure_type(module.parent(parent), cst.Assign).value
    if isinstance(parent, cst.AnnAssign) and parent.target is node:
        return parent.value
    return None


def attribute_values(
    module: Module, owner: cst.ClassDef, name: str
) -> list[cst.BaseExpression | None]:
    """Return what ``self.name`` is assigned in a class; ``None`` where that is not plain."""
    return [assigned_to(module, node) for node in module.targets(owner, name)]
