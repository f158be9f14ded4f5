"""All rules applied to all files: what is found, what is decided, what is rewritten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import libcst as cst

from aiostub.migrate._callbacks import Callbacks
from aiostub.migrate._expected import check_expected, refusal_raised
from aiostub.migrate._imports import has, import_edits, taken
from aiostub.migrate._log import ASSERTIONS, Log
from aiostub.migrate._module import (
    PACKAGE,
    Module,
    RefusalError,
    dotted,
    imports_of,
    parameters_of,
    text_of,
    walk,
)
from aiostub.migrate._project import Function, Project, position_of
from aiostub.migrate._roles import Role, Roles
from aiostub.migrate._routes import METHODS, read_route
from aiostub.migrate._switch import check_mock_place, is_annotation, read_switch
from aiostub.migrate._units import Edit, Groups, Note, Unit, unit_node
from aiostub.migrate._values import Values

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_SETUPS = frozenset({"setup", "asyncsetup", "setupclass", "setup_method", "setup_class"})


class Result(NamedTuple):
    """What became of one file.

    Attributes:
        text: the new source; the old one where nothing was rewritten.
        rewritten: how many units were.
    """

    module: Module
    text: str
    rewritten: int


def translate(modules: list[Module], *, strict: bool = False) -> tuple[list[Result], list[Note]]:
    """Translate files together.

    Args:
        modules: those to rewrite, and those that share names with them.
        strict: whether the stubs check at their end that every reply was fetched.

    Returns:
        What became of the chosen files, and what was left alone in them.
    """
    return _Translation(Project(modules), strict=strict).run()


class _Translation:
    def __init__(self, project: Project, *, strict: bool) -> None:
        self.project = project
        self.strict = strict
        self.roles = Roles(project)
        self.values = Values(project)
        self.groups = Groups()
        self.log = Log(self.roles, self.values)
        self.callbacks = Callbacks(self.groups, self.roles, self.values)
        self.references: dict[int, list[cst.CSTNode]] = {}
        self._readers: dict[Role, Callable[[Module, Any, Unit], None]] = {
            Role.MOCK: self._read_mock,
            Role.REQUESTS: self.log.requests,
            Role.LISTS: self.log.lists,
            Role.CALLS: self.log.calls,
            Role.CALL: self.log.call,
            Role.KWARGS: self.log.kwargs,
        }

    def run(self) -> tuple[list[Result], list[Note]]:
        for module in self.project.modules:
            self._read(module)
        self._tie_parameters()
        notes = [note for group in self.groups.all() for note in self._decide(group)]
        chosen = [module for module in self.project.modules if module.chosen]
        paths = {module.path for module in chosen}
        shown = sorted(
            {note for note in notes if note.module.path in paths},
            key=lambda note: (str(note.module.path), note.line, note.reason),
        )
        return [self._rewrite(module) for module in chosen], shown

    # What is found

    def _read(self, module: Module) -> None:
        for node in module.nodes:
            if isinstance(node, cst.SimpleString):
                self._read_string(module, node)
            if not isinstance(node, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)):
                continue
            role = self.roles.of(module, node)
            if role is None or self._is_import(module, node):
                self._read_provider(module, node)
                continue
            unit = self.groups.unit(module, node)
            try:
                self._read_node(module, node, role, unit)
            except RefusalError as refusal:
                unit.refuse(refusal.node, str(refusal))

    def _is_import(self, module: Module, node: cst.CSTNode) -> bool:
        return any(isinstance(one, (cst.Import, cst.ImportFrom)) for one in module.ancestors(node))

    def _read_string(self, module: Module, node: cst.SimpleString) -> None:
        """Translate an annotation that is written as a string."""
        parent = module.parent(node)
        if not isinstance(parent, (cst.Annotation, cst.Index)) or not is_annotation(module, node):
            return
        scope = module.scope(node)
        for name in set(_IDENTIFIER.findall(node.value)):
            bound = [] if scope is None or name not in scope else list(scope[name])
            kinds = {
                found.name
                for one in bound
                for found in imports_of(getattr(one, "node", node), name)
                if found.module.partition(".")[0] == PACKAGE
            }
            if kinds == {PACKAGE}:
                self._rename_in_string(module, node, name)
            elif kinds:
                reason = f"{name} stands in an annotation that is a string"
                self.groups.unit(module, node).refuse(node, reason)

    def _rename_in_string(self, module: Module, node: cst.SimpleString, name: str) -> None:
        unit = self.groups.unit(module, node)
        self.references.setdefault(id(module), []).append(node)
        new = re.sub(rf"\b{name}\b", "Stub", node.value)
        unit.edits[node] = lambda updated: updated.with_changes(value=new)
        unit.freed.add(node)
        unit.needs.add("Stub")

    def _read_provider(self, module: Module, node: cst.CSTNode) -> None:
        """Tie ``with mocked() as m`` to the function that makes the mock."""
        if isinstance(node, cst.Call):
            callee = self.project.function_called(module, node)
            if callee is not None and callee.is_context and self.roles.provides(callee):
                self._tie(module, node, callee.module, callee.node)

    def _tie(self, module: Module, node: cst.CSTNode, other: Module, end: cst.CSTNode) -> None:
        self.groups.tie(self.groups.unit(module, node), self.groups.unit(other, end))

    def _read_node(
        self,
        module: Module,
        node: cst.Name | cst.Attribute | cst.Subscript | cst.Call,
        role: Role,
        unit: Unit,
    ) -> None:
        if role in (Role.PACKAGE, Role.FACTORY, Role.RESULT):
            self._read_name(module, node, role, unit)
            return
        self._tie_definitions(module, node)
        if module.is_stored(node):
            self._read_target(module, node, role)
        else:
            self._readers[role](module, node, unit)

    def _read_target(self, module: Module, node: cst.CSTNode, role: Role) -> None:
        parent = module.parent(node)
        if role is Role.MOCK and isinstance(parent, (cst.AssignTarget, cst.AnnAssign)):
            check_mock_place(self.roles, module, node)  # type: ignore[arg-type]

    def _read_name(self, module: Module, node: cst.CSTNode, role: Role, unit: Unit) -> None:
        """Read a name of the package itself."""
        names = [one for one in walk(node) if isinstance(one, cst.Name)]
        if isinstance(node, cst.Name):
            self.references.setdefault(id(module), []).append(node)
        parent = module.parent(node)
        if isinstance(parent, cst.Attribute) and self.roles.of(module, parent) is not None:
            return
        if role is Role.RESULT:
            return  # it is the callback's to free
        if role is Role.FACTORY and isinstance(parent, cst.Call) and parent.func is node:
            return
        if role is Role.FACTORY and is_annotation(module, node):
            unit.edits[node] = lambda updated: cst.Name(
                "Stub", lpar=updated.lpar, rpar=updated.rpar
            )
            unit.freed.update(names)
            unit.needs.add("Stub")
            return
        raise RefusalError(node, "aioresponses is used in another way than to make a mock")

    def _tie_definitions(self, module: Module, node: cst.CSTNode) -> None:
        if isinstance(node, cst.Name):
            for one in module.definitions(node):
                self._tie(module, node, module, one)
        if isinstance(node, cst.Attribute) and dotted(node.value) in ("self", "cls"):
            for place, cls in self.roles.attribute_homes(module, node):
                for target in place.targets(cls, node.attr.value):
                    self._tie(module, node, place, target)
        if isinstance(node, cst.Call):
            callee = self.project.function_called(module, node)
            if callee is not None and self.roles.provides(callee):
                self._tie(module, node, callee.module, callee.node)

    def _read_mock(self, module: Module, node: cst.BaseExpression, unit: Unit) -> None:
        if isinstance(node, cst.Call) and self.roles.of(module, node.func) is Role.FACTORY:
            self._read_switch(module, node, unit)
        check_mock_place(self.roles, module, node)
        parent = module.parent(node)
        if isinstance(parent, cst.WithItem):
            self._read_with(module, parent, unit)
        if isinstance(parent, cst.Attribute) and parent.value is node:
            self._read_asked(module, parent, unit)

    def _read_switch(self, module: Module, call: cst.Call, unit: Unit) -> None:
        unit.freed.update(one for one in walk(call.func) if isinstance(one, cst.Name))
        switch, build, needs = read_switch(
            self.roles, self.values, module, call, strict=self.strict
        )
        unit.switches.append(switch)
        unit.edits[call] = build
        unit.needs |= needs
        decorator = module.parent(call)
        if isinstance(decorator, cst.Decorator):
            target = cst.ensure_type(module.parent(decorator), cst.FunctionDef)
            for param in parameters_of(target):
                if self.roles.is_injected(module, param):
                    unit.openings.append((target.body, param.name.value))

    def _read_with(self, module: Module, item: cst.WithItem, unit: Unit) -> None:
        outer = module.parent(item)
        if isinstance(outer, cst.With) and item.asname is not None:
            unit.openings.append((outer.body, dotted(item.asname.name)))

    def _read_asked(self, module: Module, node: cst.Attribute, unit: Unit) -> None:
        """Read what is asked of a mock."""
        name, call = node.attr.value, module.parent(node)
        is_called = isinstance(call, cst.Call) and call.func is node
        if name in ("requests", "start", "stop", "__enter__", "__exit__"):
            return
        if not is_called or not isinstance(call, cst.Call):
            raise RefusalError(node, f"{name} of a mock has no counterpart")
        if name in METHODS or name == "add":
            self._read_route(module, call, unit)
        elif name in ASSERTIONS:
            self.log.assertion(module, call, unit)
        elif name == "clear":
            unit.resets = True
            unit.edits[node] = lambda updated: updated.with_changes(attr=cst.Name("reset"))
        else:
            raise RefusalError(node, f"{name}() of a mock has no counterpart")

    def _read_route(self, module: Module, call: cst.Call, unit: Unit) -> None:
        def handler(callback: cst.BaseExpression) -> None:
            self.groups.tie(unit, self.callbacks.translate(module, callback))

        route = read_route(self.values, module, call, handler)
        if route.redirects and not route.same_redirect:
            raise RefusalError(call, "a redirect becomes a GET there, whatever the method")
        unit.routes.append(route)
        unit.needs |= route.needs
        unit.edits[call] = route.build

    # What holds together

    def _tie_parameters(self) -> None:
        for function in self.project.functions():
            for param in parameters_of(function.node):
                self._tie_parameter(function, param)

    def _tie_parameter(self, function: Function, param: cst.Param) -> None:
        module = function.module
        sources = self.roles.sources.get(param, [])
        for place, node in sources:
            self._tie(module, param, place, node)
        if param.name.value == PACKAGE and function.is_test and not sources:
            self.groups.unit(module, param).refuse(
                param, "it does not show where the mock comes from"
            )
        probe = self.roles.is_injected(module, param)
        if not sources and not probe and not self._is_annotated(module, param):
            return
        unit = self.groups.unit(module, param)
        unit.openings.append((function.node.body, param.name.value))
        if not sources and not probe:
            unit.refuse(param, f"it does not show where the mock {param.name.value!r} comes from")
        rebound = [
            one
            for one in walk(function.node.body)
            if isinstance(one, cst.Name)
            and one.value == param.name.value
            and module.is_stored(one)
            and module.function_of(one) is function.node
        ]
        if rebound:
            unit.refuse(rebound[0], "the same name is something else as well")
        if any(isinstance(node, cst.Call) for _, node in sources):
            self._check_callers(function, param, unit)

    def _is_annotated(self, module: Module, param: cst.Param) -> bool:
        annotation = None if param.annotation is None else param.annotation.annotation
        return annotation is not None and (
            self.roles.of(module, annotation) is Role.FACTORY
            or (text_of(annotation) == "aioresponses" and module.is_bound("aioresponses"))
        )

    def _check_callers(self, function: Function, param: cst.Param, unit: Unit) -> None:
        """Check that a function that gets a mock is called with mocks only."""
        for module in self.project.modules:
            for node in module.nodes:
                if not isinstance(node, cst.Name) or node.value != function.name:
                    continue
                if node is function.node.name or self._is_import(module, node):
                    continue
                call = module.parent(node)
                if isinstance(call, cst.Attribute) and call.attr is node:
                    call = module.parent(call)
                found = isinstance(call, cst.Call) and self.project.function_called(module, call)
                if not found or found.node is not function.node:
                    definition = self.project.definition(module, node)
                    if definition is not None and definition[1] is function.node:
                        unit.refuse(function.node, f"{function.name} is used other than by a call")
                    continue
                assert isinstance(call, cst.Call)
                given = [
                    one.value for one in call.args if position_of(call, one, function) is param
                ]
                if not given or self.roles.of(module, given[0]) is not Role.MOCK:
                    unit.refuse(
                        function.node, f"{function.name} is called with something else, too"
                    )

    # What is decided

    def _decide(self, group: list[Unit]) -> Iterator[Note]:
        """Empty the edits of a group that must be left alone, and say why."""
        for unit in group:
            self._check_unit(unit, group)
        _check_group(group)
        refusals = [note for unit in group for note in unit.refusals]
        if not refusals:
            for unit in group:
                self._open(unit, group)
            return
        first = min(refusals, key=lambda note: (str(note.module.path), note.line))
        for unit in group:
            unit.edits.clear()
            unit.freed.clear()
            unit.needs.clear()
            yield from unit.refusals
            if not unit.refusals:
                where = f"{first.module.path.name}:{first.line}"
                yield Note(
                    unit.module,
                    unit.module.line(unit.node),
                    f"{unit.name} shares its mock with what is left at {where}",
                )

    def _check_unit(self, unit: Unit, group: list[Unit]) -> None:
        if not unit.module.chosen:
            unit.refuse(unit.node, "the file is not among those to rewrite")
        for node in self.references.get(id(unit.module), []):
            if node in unit.freed or not isinstance(node, cst.Name) or not _stands_in(unit, node):
                continue
            line = unit.module.line(node)
            if all(note.line != line for note in unit.refusals):
                unit.refuse(node, f"{node.value} is used in another way")
        if _is_shared(self.roles, unit):
            self._check_bystanders(unit, group)
        names = taken(unit.module, unit.needs)
        if names:
            unit.refuse(unit.node, f"the name {names[0]} is taken in the file")
        self._check_fixture(unit)
        check_expected(unit, [one for one in group if not one.is_test or one is unit])

    def _check_bystanders(self, unit: Unit, group: list[Unit]) -> None:
        """Check that no test meets an unmatched request of a mock that it does not mention."""
        owner = unit.module.class_of(unit.node)
        known = {one.node for one in group}
        for function in self.project.functions():
            if not function.is_test or function.node in known:
                continue
            near = function.module is unit.module or unit.module.path.name == "conftest.py"
            mine = function.module.class_of(function.node)
            homes = () if mine is None else self.project.bases(function.module, mine)
            inside = owner is None or any(cls is owner for _, cls in homes)
            found = refusal_raised(function.node) if near and inside else None
            if found is not None:
                line = function.module.line(found)
                reason = f"{function.name} (line {line}) expects an error of a request unanswered"
                unit.refuse(unit.node, reason)

    def _check_fixture(self, unit: Unit) -> None:
        """Check that nobody gets the fixture in a way that does not show."""
        if not isinstance(unit.node, cst.FunctionDef):
            return
        function = Function(unit.module, unit.node)
        if not function.is_fixture or not self.roles.provides(function):
            return
        for module in self.project.modules:
            for node in module.nodes:
                if (
                    isinstance(node, cst.Call)
                    and dotted(node.func).endswith("getfixturevalue")
                    and node.args
                    and text_of(node.args[0].value) == function.fixture_name
                ):
                    unit.refuse(unit.node, "the fixture is asked for by getfixturevalue")

    def _open(self, unit: Unit, group: list[Unit]) -> None:
        """Let a test without routes meet the error that it meets there."""
        shared = [one for one in group if not one.is_test or one is unit]
        switches = [switch for one in group for switch in one.switches]
        if (
            not (unit.is_test or len(group) == 1)
            or any(one.routes for one in shared)
            or any(one.silent for one in shared)
            or any(one.passes_prefixes or one.passes_unmatched for one in switches)
        ):
            return
        openings = {body: name for body, name in unit.openings if name}
        if not openings:
            return
        error = "ClientConnectionError"
        if has(unit.module, "aiohttp"):
            error = f"aiohttp.{error}"
        else:
            unit.needs.add(error)
        unit.needs.add("ANY")
        ending = ".optional()" if self.strict else ""
        for body, name in openings.items():
            line = f"{name}.any(ANY).fail({error}).always(){ending}"
            unit.edits[body] = _opening(line)

    # What is rewritten

    def _references_to(self, module: Module) -> list[cst.CSTNode]:
        """Return the references to aioresponses in a file, and what other files import of it."""
        exported = [
            node
            for other in self.project.modules
            if other is not module
            for statement in other.nodes
            if isinstance(statement, cst.ImportFrom)
            and self.project.module_named(dotted(statement.module), len(statement.relative), other)
            is module
            for node in walk(statement)
        ]
        return [*self.references.get(id(module), []), *exported]

    def _rewrite(self, module: Module) -> Result:
        units = [unit for unit in self.groups.units.values() if unit.module is module]
        edits: dict[cst.CSTNode, Edit] = {}
        for unit in units:
            edits.update(unit.edits)
        rewritten = sum(bool(unit.edits) for unit in units)
        if not edits:
            return Result(module, module.tree.code, 0)
        needs = {name for unit in units for name in unit.needs}
        freed = {node for unit in units for node in unit.freed}
        edits.update(import_edits(module, needs, freed, self._references_to(module)))
        made = module.tree.visit(_Applying(edits))
        assert isinstance(made, cst.Module)
        return Result(module, made.code, rewritten)


def _stands_in(unit: Unit, node: cst.CSTNode) -> bool:
    return unit_node(unit.module, node) is unit.node


def _opening(line: str) -> Edit:
    return lambda updated: _with_first_statement(updated, line)


def _with_first_statement(body: cst.BaseSuite, line: str) -> cst.BaseSuite:
    statement = cst.parse_statement(line)
    if not isinstance(body, cst.IndentedBlock):
        return body
    first = body.body[0]
    is_docstring = (
        isinstance(first, cst.SimpleStatementLine)
        and isinstance(first.body[0], cst.Expr)
        and text_of(first.body[0].value) is not None
    )
    at = 1 if is_docstring else 0
    return body.with_changes(body=[*body.body[:at], statement, *body.body[at:]])


def _is_shared(roles: Roles, unit: Unit) -> bool:
    """Tell whether a unit switches a mock on for tests that need not mention it."""
    if not isinstance(unit.node, cst.FunctionDef) or not unit.switches or unit.is_test:
        return False
    function = Function(unit.module, unit.node)
    automatic = function.is_fixture and (
        "autouse" in function.fixture_arguments or not roles.provides(function)
    )
    return automatic or function.name.lower() in _SETUPS


def _check_group(group: list[Unit]) -> None:
    routes = [(unit, route) for unit in group for route in unit.routes]
    switches = [switch for unit in group for switch in unit.switches]
    looking = [unit for unit in group if unit.looks]
    for unit, route in routes:
        if route.redirects and looking:
            unit.refuse(unit.node, "a redirect is a call of its own in the native log")
            break
    for unit in looking:
        if any(one.resets for one in group):
            unit.refuse(unit.node, "clear() keeps the calls there, and reset() does not")
        if unit.counts and any(switch.passes_prefixes for switch in switches):
            unit.refuse(unit.node, "what passes through is in the native log")
    for unit, route in routes:
        if route.pattern and any(switch.passes_prefixes for switch in switches):
            unit.refuse(unit.node, "natively a pattern answers before anything passes through")
    endless = all(route.endless for _, route in routes)
    for switch in switches:
        switch.unmatched = "unmatched" if switch.passes_unmatched and endless else ""


class _Applying(cst.CSTTransformer):
    """Put in the new nodes, from the inside outwards."""

    def __init__(self, edits: dict[cst.CSTNode, Edit]) -> None:
        super().__init__()
        self._edits = edits

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        edit = self._edits.get(original_node)
        return updated_node if edit is None else edit(updated_node)
