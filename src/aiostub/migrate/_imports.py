"""The names that a rewritten file needs, and those that it needs no more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import libcst as cst

from aiostub.migrate._module import PACKAGE, Module, dotted, imports_of, text_of

if TYPE_CHECKING:
    from aiostub.migrate._units import Edit

_MODULES = ("aiohttp", "asyncio", "re")
_FROM_AIOHTTP = ("ClientConnectionError",)


def taken(module: Module, needs: Iterable[str]) -> list[str]:
    """Return the names that are something else in the file already."""
    return sorted(name for name in needs if module.is_bound(name) and not has(module, name))


def has(module: Module, name: str) -> bool:
    """Tell whether a file has the name at its top, and means the same by it."""
    wanted = (name, None) if name in _MODULES else (_home(name), name)
    return any(
        (one.module, one.name) == wanted and not one.level
        for statement in _import_statements(module.tree.body)
        for one in imports_of(statement, name)
    )


def _home(name: str) -> str:
    return "aiohttp" if name in _FROM_AIOHTTP else "aiostub"


def _import_statements(
    body: Iterable[cst.CSTNode],
) -> list[cst.Import | cst.ImportFrom]:
    return [
        small
        for line in body
        if isinstance(line, cst.SimpleStatementLine)
        for small in line.body
        if isinstance(small, (cst.Import, cst.ImportFrom))
    ]


def import_edits(
    module: Module, needs: set[str], freed: set[cst.CSTNode], references: Iterable[cst.CSTNode]
) -> dict[cst.CSTNode, Edit]:
    """Return what adds and removes imports.

    Args:
        module: the file.
        needs: names that it must have.
        freed: the references to aioresponses that are gone.
        references: all of them, and those of other files that import from this one.
    """
    known = list(references)
    exported = {
        node.value for node in known if isinstance(node, cst.Name) and not module.owns(node)
    }
    gone: dict[cst.CSTNode, set[str]] = {}
    for statement in _all_imports(module):
        names = _names_gone(module, statement, freed) - exported
        if names:
            gone[module.parent(statement)] = names
    missing = {name for name in needs if not has(module, name)}
    return _placed(module, gone, missing)


def _all_imports(module: Module) -> list[cst.Import | cst.ImportFrom]:
    return [
        node
        for node in module.nodes
        if (isinstance(node, cst.ImportFrom) and dotted(node.module).partition(".")[0] == PACKAGE)
        or (
            isinstance(node, cst.Import)
            and any(one.evaluated_name.partition(".")[0] == PACKAGE for one in node.names)
        )
    ]


def _names_gone(
    module: Module,
    statement: cst.Import | cst.ImportFrom,
    freed: set[cst.CSTNode],
) -> set[str]:
    """Return the names of a statement that were used, and are not any more."""
    if isinstance(statement.names, cst.ImportStar):
        return set()
    bound = {alias.evaluated_alias or alias.evaluated_name for alias in statement.names}
    used: dict[str, list[bool]] = {name: [] for name in bound}
    for node in module.nodes:
        for name, gone in used.items():
            if _refers(node, name) and statement in _bound_by(module, node, name):
                gone.append(node in freed)
    return {name for name, gone in used.items() if gone and all(gone)}


def _refers(node: cst.CSTNode, name: str) -> bool:
    if isinstance(node, cst.SimpleString):
        return re.search(rf"\b{name}\b", node.value) is not None
    return isinstance(node, cst.Name) and node.value == name


def _bound_by(module: Module, node: cst.CSTNode, name: str) -> list[cst.CSTNode]:
    if isinstance(node, cst.Name):
        parent = module.parent(node)
        is_attribute = isinstance(parent, cst.Attribute) and parent.attr is node
        inside = isinstance(parent, (cst.ImportAlias, cst.AsName, cst.ImportFrom))
        keyword = isinstance(parent, cst.Arg) and parent.keyword is node
        return [] if is_attribute or inside or keyword else module.definitions(node)
    if isinstance(module.parent(node), (cst.Annotation, cst.Index)):
        scope = module.scope(node)
        found = [] if scope is None or name not in scope else list(scope[name])
        return [cast("cst.CSTNode", getattr(one, "node", module.tree)) for one in found]
    return []


def _placed(
    module: Module, gone: dict[cst.CSTNode, set[str]], missing: set[str]
) -> dict[cst.CSTNode, Edit]:
    edits: dict[cst.CSTNode, Edit] = {}
    top = [line for line in module.tree.body if isinstance(line, cst.SimpleStatementLine)]
    ours = [line for line in top if any(one in _all_imports(module) for one in line.body)]
    plain = sorted(name for name in missing if name in _MODULES)
    named = sorted(name for name in missing if name not in _MODULES and _home(name) == "aiostub")
    others = sorted(name for name in missing if name in _FROM_AIOHTTP)
    after = [f"from aiohttp import {name}" for name in others]
    after += [f"from aiostub import {', '.join(named)}"] if named else []
    anchor = ours[0] if ours else None
    for line, names in gone.items():
        if line is not anchor:
            edits[line] = _dropping(module, line, names, [])
    if anchor is not None and (after or anchor in gone):
        edits[anchor] = _dropping(module, anchor, gone.get(anchor, set()), after)
        after = []
    before = [f"import {name}" for name in plain]
    if before or after:
        _add_at_top(module, top, before, after, edits)
    return edits


def _add_at_top(
    module: Module,
    top: list[cst.SimpleStatementLine],
    before: list[str],
    after: list[str],
    edits: dict[cst.CSTNode, Edit],
) -> None:
    """Add imports before the first import of the file, and others behind the last one."""
    imports = [line for line in top if _import_statements([line]) and not _is_future(line)]
    if not imports:
        edits[module.tree] = _inserting(module, [*before, *after])
        return
    if before:
        _extend(edits, imports[0], before, ahead=True)
    if after:
        _extend(edits, imports[-1], after, ahead=False)


def _inserting(module: Module, lines: list[str]) -> Edit:
    """Return what puts lines behind the docstring and what must stand before all others."""
    at = next(
        (index for index, line in enumerate(module.tree.body) if not _stands_first(line)),
        len(module.tree.body),
    )

    def build(updated: cst.Module) -> cst.Module:
        made = [_line(one) for one in lines]
        return updated.with_changes(body=[*updated.body[:at], *made, *updated.body[at:]])

    return build


def _stands_first(line: cst.CSTNode) -> bool:
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    first = line.body[0]
    return _is_future(line) or (isinstance(first, cst.Expr) and text_of(first.value) is not None)


def _extend(
    edits: dict[cst.CSTNode, Edit], line: cst.CSTNode, added: list[str], *, ahead: bool
) -> None:
    inner = edits.get(line, lambda updated: updated)

    def build(updated: cst.SimpleStatementLine) -> cst.FlattenSentinel[cst.BaseStatement]:
        made = inner(updated)
        old = list(made.nodes) if isinstance(made, cst.FlattenSentinel) else [made]
        if not isinstance(old[0], cst.SimpleStatementLine):
            old = []
        new = [_line(one) for one in added]
        if ahead and old:
            new[0] = new[0].with_changes(leading_lines=old[0].leading_lines)
            old[0] = old[0].with_changes(leading_lines=[])
        return cst.FlattenSentinel([*new, *old] if ahead else [*old, *new])

    edits[line] = build


def _line(text: str) -> cst.SimpleStatementLine:
    return cst.ensure_type(cst.parse_statement(text), cst.SimpleStatementLine)


def _is_future(line: cst.SimpleStatementLine) -> bool:
    return any(
        isinstance(one, cst.ImportFrom) and dotted(one.module) == "__future__" for one in line.body
    )


def _dropping(module: Module, line: cst.CSTNode, names: set[str], added: list[str]) -> Edit:
    """Return what takes names out of an import line, and puts other lines in its place."""
    alone = _is_alone(module, line)

    def build(updated: cst.SimpleStatementLine) -> object:
        small = [made for one in updated.body for made in _without(one, names)]
        new: list[cst.BaseStatement] = [_line(one) for one in added]
        if not small and not new:
            if alone:
                return updated.with_changes(body=[cst.Pass()])
            return cst.RemoveFromParent()
        if not small:
            first = cst.ensure_type(new[0], cst.SimpleStatementLine)
            new[0] = first.with_changes(
                leading_lines=updated.leading_lines, trailing_whitespace=updated.trailing_whitespace
            )
            return cst.FlattenSentinel(new)
        return cst.FlattenSentinel([updated.with_changes(body=small), *new])

    return build


def _is_alone(module: Module, line: cst.CSTNode) -> bool:
    block = module.parent(line)
    return isinstance(block, cst.IndentedBlock) and len(block.body) == 1


def _without(statement: cst.BaseSmallStatement, names: set[str]) -> list[cst.BaseSmallStatement]:
    if not isinstance(statement, (cst.Import, cst.ImportFrom)) or isinstance(
        statement.names, cst.ImportStar
    ):
        return [statement]
    kept = [
        one for one in statement.names if (one.evaluated_alias or one.evaluated_name) not in names
    ]
    if len(kept) == len(statement.names):
        return [statement]
    if not kept:
        return []
    if kept[-1] is not statement.names[-1]:
        kept[-1] = kept[-1].with_changes(comma=statement.names[-1].comma)
    return [statement.with_changes(names=kept)]
