"""Units: the smallest pieces that are rewritten whole or not at all, and what holds them together.

A unit is a function or method at the top, or a statement that stands in none. Units that share a
mock (through a fixture, an attribute, a helper, a callback) are decided together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst

if TYPE_CHECKING:
    from aiostub.migrate._module import Module
    from aiostub.migrate._routes import Route

Edit = Callable[[Any], Any]


class Note(NamedTuple):
    """Something that was left alone, and why."""

    module: Module
    line: int
    reason: str


@dataclass
class Switch:
    """One place where a mock is made.

    Attributes:
        unmatched: what stands for ``passthrough_unmatched=True``; decided with the routes.
    """

    passes_prefixes: bool = False
    passes_unmatched: bool = False
    unmatched: str = ""


@dataclass
class Unit:
    """One piece, and all that was found in it.

    Attributes:
        edits: for each node, what makes the new one of it.
        needs: names that the file must have if it is rewritten.
        freed: names of aioresponses that are gone if it is rewritten.
        counts: whether it looks at all calls, not at those of one URL.
        looks: whether it looks at calls at all.
        silent: whether it asserts that there was no call.
        resets: whether it clears a mock.
        openings: the bodies in which a mock of its own begins to work, with its name.
    """

    module: Module
    node: cst.CSTNode
    edits: dict[cst.CSTNode, Edit] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    freed: set[cst.CSTNode] = field(default_factory=set)
    refusals: list[Note] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    counts: bool = False
    looks: bool = False
    silent: bool = False
    resets: bool = False
    openings: list[tuple[cst.CSTNode, str]] = field(default_factory=list)

    def refuse(self, node: cst.CSTNode, reason: str) -> None:
        """Note that the unit has to be left alone."""
        note = Note(self.module, self.module.line(node), reason)
        if note not in self.refusals:
            self.refusals.append(note)

    @property
    def name(self) -> str:
        """What a reader calls it."""
        if isinstance(self.node, (cst.FunctionDef, cst.ClassDef)):
            return self.node.name.value
        return f"line {self.module.line(self.node)}"

    @property
    def is_test(self) -> bool:
        """Whether it is a test function."""
        return isinstance(self.node, cst.FunctionDef) and self.name.startswith("test")


def unit_node(module: Module, node: cst.CSTNode) -> cst.CSTNode:
    """Return the unit that a node belongs to."""
    outwards = [node, *module.ancestors(node)]
    functions = [one for one in outwards if isinstance(one, cst.FunctionDef)]
    if functions:
        return functions[-1]
    classes = [one for one in outwards if isinstance(one, cst.ClassDef)]
    if classes:
        return classes[-1]
    return outwards[-2] if len(outwards) > 1 else node


class Groups:
    """Units by node, and which of them hold together."""

    def __init__(self) -> None:
        self.units: dict[cst.CSTNode, Unit] = {}
        self._leader: dict[cst.CSTNode, cst.CSTNode] = {}

    def unit(self, module: Module, node: cst.CSTNode) -> Unit:
        """Return the unit that a node belongs to, made when first asked for."""
        top = unit_node(module, node)
        if top not in self.units:
            self.units[top] = Unit(module, top)
            self._leader[top] = top
        return self.units[top]

    def tie(self, one: Unit, other: Unit) -> None:
        """Let two units be decided together."""
        self._leader[self._lead(one.node)] = self._lead(other.node)

    def _lead(self, node: cst.CSTNode) -> cst.CSTNode:
        while self._leader[node] is not node:
            node = self._leader[node]
        return node

    def all(self) -> Iterable[list[Unit]]:
        """Return the groups."""
        found: dict[cst.CSTNode, list[Unit]] = {}
        for node, unit in self.units.items():
            found.setdefault(self._lead(node), []).append(unit)
        return found.values()
