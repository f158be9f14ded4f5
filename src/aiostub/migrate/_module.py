"""One parsed file: parents, lines, and what a name in it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import libcst as cst
from libcst.metadata import (
    Assignment,
    ExpressionContext,
    ExpressionContextProvider,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    Scope,
    ScopeProvider,
)

PACKAGE = "aioresponses"


class RefusalError(Exception):
    """Something cannot be translated with the same meaning.

    Attributes:
        node: what cannot.
    """

    def __init__(self, node: cst.CSTNode, reason: str) -> None:
        super().__init__(reason)
        self.node = node


class Imported(NamedTuple):
    """Where a name was imported from: ``from ..a import b`` is ``("a", "b", 2)``."""

    module: str
    name: str | None  # None for `import a`
    level: int


class Module:
    """Show one file as a tree whose nodes know their parents and lines.

    Attributes:
        path: absolute.
        tree: of LibCST.
        chosen: whether it is among the files to rewrite; the others are only looked at.
    """

    def __init__(self, path: Path, tree: cst.Module, *, chosen: bool) -> None:
        wrapper = MetadataWrapper(tree)
        self.path = path
        self.tree = wrapper.module
        self.chosen = chosen
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._positions = wrapper.resolve(PositionProvider)
        self._scopes = wrapper.resolve(ScopeProvider)
        self._contexts = wrapper.resolve(ExpressionContextProvider)
        self.nodes = tuple(_walk(self.tree))
        self._targets: dict[tuple[cst.CSTNode, str], list[cst.CSTNode]] = {}
        for node in self.nodes:
            name = self._attribute_stored(node)
            owner = self.class_of(node) if name else None
            if owner is not None:
                self._targets.setdefault((owner, name), []).append(node)

    def _attribute_stored(self, node: cst.CSTNode) -> str:
        """Return the name of an attribute of a class or its instance that is assigned to."""
        if isinstance(node, cst.Attribute):
            own = dotted(node.value) in ("self", "cls") and self.is_stored(node)
            return node.attr.value if own else ""
        if isinstance(node, cst.Name) and self.is_stored(node) and not self.function_of(node):
            return "" if isinstance(self.parent(node), cst.Attribute) else node.value
        return ""

    def targets(self, owner: cst.ClassDef, name: str) -> list[cst.CSTNode]:
        """Return where ``self.name``, or the name in the class's body, is assigned to."""
        return self._targets.get((owner, name), [])

    def owns(self, node: cst.CSTNode) -> bool:
        """Tell whether a node stands in this file."""
        return node in self._parents

    def line(self, node: cst.CSTNode) -> int:
        """Return the line that a node begins in, counted from 1."""
        position = self._positions.get(node)
        return position.start.line if position is not None else 1

    def code(self, node: cst.CSTNode) -> str:
        """Return a node as it is written."""
        return self.tree.code_for_node(node)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """Return what a node stands in; the module stands in itself."""
        return self._parents.get(node, self.tree)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Go from a node outwards, itself left out, up to the module."""
        while node is not self.tree:
            node = self.parent(node)
            yield node

    def is_stored(self, node: cst.CSTNode) -> bool:
        """Tell whether an expression is assigned to or deleted, not read."""
        return self._contexts.get(node) in (ExpressionContext.STORE, ExpressionContext.DEL)

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """Return the scope that a node stands in."""
        return self._scopes.get(node)

    def definitions(self, name: cst.Name) -> list[cst.CSTNode]:
        """Return what binds a name: targets, parameters, functions, classes, import statements."""
        scope = self.scope(name)
        if scope is None:
            return []
        found = [one.node for one in scope[name.value] if isinstance(one, Assignment)]
        return sorted(found, key=self.line)

    def imported(self, name: cst.Name) -> list[Imported]:
        """Return where a name was imported from; empty for a name that something else binds."""
        scope = self.scope(name)
        found = [] if scope is None else list(scope[name.value])
        imports = [one for one in found if isinstance(one, ImportAssignment)]
        if len(imports) != len(found):
            return []
        return [where for one in imports for where in imports_of(one.node, name.value)]

    def is_bound(self, name: str) -> bool:
        """Tell whether a name is bound anywhere in the file."""
        return any(
            name in scope for scope in set(self._scopes.values()) if isinstance(scope, Scope)
        )

    def within(self, node: cst.CSTNode, kind: type[cst.CSTNode]) -> cst.CSTNode | None:
        """Return the nearest ancestor of a kind."""
        return next((one for one in self.ancestors(node) if isinstance(one, kind)), None)

    def function_of(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Return the function whose body (or signature) a node stands in."""
        return cast("cst.FunctionDef | None", self.within(node, cst.FunctionDef))

    def class_of(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """Return the class that a node stands in."""
        return cast("cst.ClassDef | None", self.within(node, cst.ClassDef))


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Go through a node and everything in it."""
    return _walk(node)


def dotted(node: cst.CSTNode | None) -> str:
    """Return ``a.b.c`` of such an expression, nothing of any other."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr.value}" if base else ""
    return ""


def imports_of(statement: cst.CSTNode, bound: str) -> list[Imported]:
    """Return what an import statement binds to a name."""
    if isinstance(statement, cst.ImportFrom) and not isinstance(statement.names, cst.ImportStar):
        source, level = dotted(statement.module), len(statement.relative)
        return [
            Imported(source, dotted(alias.name), level)
            for alias in statement.names
            if (alias.evaluated_alias or alias.evaluated_name) == bound
        ]
    if isinstance(statement, cst.Import):
        return [
            Imported(alias.evaluated_name if alias.asname else bound, None, 0)
            for alias in statement.names
            if (alias.evaluated_alias or alias.evaluated_name.partition(".")[0]) == bound
        ]
    return []


def parameters_of(function: cst.FunctionDef | cst.Lambda) -> list[cst.Param]:
    """Return every named parameter, in order."""
    given = function.params
    stars = [one for one in (given.star_arg, given.star_kwarg) if isinstance(one, cst.Param)]
    return [*given.posonly_params, *given.params, *given.kwonly_params, *stars]


def decorators_of(node: cst.FunctionDef | cst.ClassDef) -> list[tuple[str, cst.Decorator]]:
    """Return the decorators with their dotted names, outermost first."""
    return [(dotted(_called(one.decorator)), one) for one in node.decorators]


def _called(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.func if isinstance(node, cst.Call) else node


def keyword(call: cst.Call, name: str) -> cst.BaseExpression | None:
    """Return the value of a keyword argument, if it is given."""
    given = (a.value for a in call.args if a.keyword is not None and a.keyword.value == name)
    return next(given, None)


def text_of(node: cst.CSTNode | None) -> str | None:
    """Return the value of a string that is written out, ``None`` of anything else."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def elements(node: cst.CSTNode | None) -> Sequence[cst.BaseExpression] | None:
    """Return the elements of a list or tuple that is written out, ``None`` of anything else."""
    if isinstance(node, (cst.List, cst.Tuple)):
        values = [one.value for one in node.elements if isinstance(one, cst.Element)]
        return values if len(values) == len(node.elements) else None
    return None
