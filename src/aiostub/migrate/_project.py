"""All files together: imports between them, fixtures, classes and their bases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import libcst as cst

from aiostub.migrate._module import (
    Module,
    decorators_of,
    elements,
    keyword,
    parameters_of,
    text_of,
)

_FIXTURES = frozenset({"pytest.fixture", "fixture", "pytest_asyncio.fixture"})
_CONTEXTS = frozenset(
    f"{prefix}{kind}"
    for prefix in ("", "contextlib.")
    for kind in ("contextmanager", "asynccontextmanager")
)


class Function(NamedTuple):
    """A function, and the file that it stands in."""

    module: Module
    node: cst.FunctionDef

    @property
    def name(self) -> str:
        """The name in the source."""
        return self.node.name.value

    @property
    def is_fixture(self) -> bool:
        """Whether pytest takes it for a fixture."""
        return any(name in _FIXTURES for name, _ in decorators_of(self.node))

    @property
    def is_context(self) -> bool:
        """Whether calling it gives a context manager."""
        return any(name in _CONTEXTS for name, _ in decorators_of(self.node))

    @property
    def fixture_name(self) -> str:
        """The name under which tests ask for the fixture."""
        for name, decorator in decorators_of(self.node):
            if name in _FIXTURES and isinstance(decorator.decorator, cst.Call):
                return text_of(keyword(decorator.decorator, "name")) or self.name
        return self.name

    @property
    def fixture_arguments(self) -> list[str]:
        """The keywords that the fixture is declared with."""
        return [
            argument.keyword.value
            for name, decorator in decorators_of(self.node)
            if name in _FIXTURES and isinstance(decorator.decorator, cst.Call)
            for argument in decorator.decorator.args
            if argument.keyword is not None
        ]

    @property
    def is_test(self) -> bool:
        """Whether a test runner takes it for a test."""
        return self.name.startswith("test") and not self.is_fixture

    def parametrized(self) -> dict[str, list[cst.BaseExpression] | None]:
        """Return the parameters that ``pytest.mark.parametrize`` gives, with their values."""
        found: dict[str, list[cst.BaseExpression] | None] = {}
        for name, decorator in decorators_of(self.node):
            call = decorator.decorator
            if name.endswith("parametrize") and isinstance(call, cst.Call) and call.args:
                found.update(_parametrized(call))
        return found


def _parametrized(call: cst.Call) -> dict[str, list[cst.BaseExpression] | None]:
    first = call.args[0].value
    written = text_of(first)
    names = (
        [part.strip() for part in written.split(",")]
        if written is not None
        else [text_of(one) or "" for one in elements(first) or ()]
    )
    rows = elements(call.args[1].value) if len(call.args) > 1 else None
    if rows is None:
        return dict.fromkeys(names)
    if len(names) == 1:
        return {names[0]: [_bare(row) for row in rows]}
    split = [elements(_bare(row)) or _arguments_of(row) for row in rows]
    return {
        name: [row[at] for row in split] if all(len(row) > at for row in split) else None
        for at, name in enumerate(names)
    }


def _bare(row: cst.BaseExpression) -> cst.BaseExpression:
    """Take the one value out of ``pytest.param(value, id=...)``."""
    values = _arguments_of(row)
    return values[0] if len(values) == 1 else row


def _arguments_of(row: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(row, cst.Call) and isinstance(row.func, (cst.Attribute, cst.Name)):
        name = row.func.attr.value if isinstance(row.func, cst.Attribute) else row.func.value
        if name == "param":
            return [one.value for one in row.args if one.keyword is None]
    return []


class Project:
    """Find things across files.

    Attributes:
        modules: the files, those to rewrite and those that are only looked at.
    """

    def __init__(self, modules: list[Module]) -> None:
        self.modules = modules
        self._by_path = {module.path: module for module in modules}
        self._fixtures = {id(module): _fixtures_in(module) for module in modules}

    def functions(self) -> Iterator[Function]:
        """Go through all functions of all files, nested ones too."""
        for module in self.modules:
            for node in module.nodes:
                if isinstance(node, cst.FunctionDef):
                    yield Function(module, node)

    def module_named(self, name: str, level: int, importer: Module) -> Module | None:
        """Return the file that an import statement means, if it is one of these."""
        parts = name.split(".") if name else []
        if level:
            base = importer.path.parent
            for _ in range(level - 1):
                base = base.parent
            return self._at(base.joinpath(*parts))
        above = (parent.joinpath(*parts) for parent in importer.path.parents)
        return next(filter(None, map(self._at, above)), None) if parts else None

    def _at(self, stem: Path) -> Module | None:
        return self._by_path.get(stem.with_name(f"{stem.name}.py")) or self._by_path.get(
            stem / "__init__.py"
        )

    def definition(
        self, module: Module, name: cst.Name, depth: int = 4
    ) -> tuple[Module, cst.CSTNode] | None:
        """Return the one thing that a name is bound to, through imports between the files."""
        imported = module.imported(name)
        if imported:
            one = imported[0]
            if one.name is None or len(imported) > 1:
                return None
            source = self.module_named(one.module, one.level, module)
            return None if source is None else self.exported(source, one.name, depth)
        nodes = module.definitions(name)
        return (module, nodes[0]) if len(nodes) == 1 else None

    def exported(
        self, module: Module, name: str, depth: int = 4
    ) -> tuple[Module, cst.CSTNode] | None:
        """Return the one thing that a name at the top of a file is bound to."""
        probe = next(
            (
                node
                for node in module.nodes
                if isinstance(node, (cst.SimpleStatementLine, cst.FunctionDef, cst.ClassDef))
            ),
            None,
        )
        scope = None if probe is None else module.scope(probe)
        if scope is None or depth == 0:
            return None
        found = [one for one in scope.globals[name] if hasattr(one, "node")]
        if len(found) != 1:
            return None
        node = found[0].node
        if isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
            for alias in node.names:
                if (alias.evaluated_alias or alias.evaluated_name) == name:
                    base = cst.ensure_type(alias.name, cst.Name)
                    source = self.module_named(
                        "" if node.module is None else cst.Module([]).code_for_node(node.module),
                        len(node.relative),
                        module,
                    )
                    return None if source is None else self.exported(source, base.value, depth - 1)
            return None
        return module, node

    def function_called(self, module: Module, call: cst.Call) -> Function | None:
        """Return the function that a call runs, if it is one of these files'."""
        if isinstance(call.func, cst.Name):
            found = self.definition(module, call.func)
            if found is not None and isinstance(found[1], cst.FunctionDef):
                return Function(found[0], found[1])
        if isinstance(call.func, cst.Attribute) and _is_self(call.func.value):
            owner = module.class_of(call)
            return None if owner is None else self.method(module, owner, call.func.attr.value)
        return None

    def method(self, module: Module, owner: cst.ClassDef, name: str) -> Function | None:
        """Return a method of a class or of its bases."""
        for place, cls in self.bases(module, owner):
            for node in cls.body.body:
                if isinstance(node, cst.FunctionDef) and node.name.value == name:
                    return Function(place, node)
        return None

    def bases(
        self, module: Module, owner: cst.ClassDef, depth: int = 6
    ) -> Iterator[tuple[Module, cst.ClassDef]]:
        """Go through a class and those of its bases that stand in these files."""
        yield module, owner
        for base in owner.bases:
            found = (
                self.definition(module, base.value)
                if depth and isinstance(base.value, cst.Name)
                else None
            )
            if found is not None and isinstance(found[1], cst.ClassDef):
                yield from self.bases(found[0], found[1], depth - 1)

    def fixture(self, module: Module, user: cst.FunctionDef, name: str) -> Function | None:
        """Return the fixture that a test or fixture gets under a name."""
        owner = module.class_of(user)
        for place, cls in self.bases(module, owner) if owner is not None else ():
            inside = self._fixtures[id(place)].get((id(cls), name))
            if inside is not None:
                return inside
        own = self._fixtures[id(module)].get((None, name)) or self._imported_fixture(module, name)
        if own is not None and own.node is not user:
            return own
        for parent in module.path.parents:
            above = self._by_path.get(parent / "conftest.py")
            if above is not None and above is not module:
                found = self._fixtures[id(above)].get((None, name))
                found = found or self._imported_fixture(above, name)
                if found is not None:
                    return found
        return None

    def _imported_fixture(self, module: Module, name: str) -> Function | None:
        found = self.exported(module, name)
        if found is None or not isinstance(found[1], cst.FunctionDef):
            return None
        function = Function(found[0], found[1])
        return function if function.is_fixture and function.fixture_name == name else None


def _fixtures_in(module: Module) -> dict[tuple[int | None, str], Function]:
    found: dict[tuple[int | None, str], Function] = {}
    for node in module.nodes:
        if isinstance(node, cst.FunctionDef):
            function = Function(module, node)
            if function.is_fixture:
                owner = module.class_of(node)
                found[None if owner is None else id(owner), function.fixture_name] = function
    return found


def _is_self(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Name) and node.value in ("self", "cls")


def position_of(call: cst.Call, argument: cst.Arg, callee: Function) -> cst.Param | None:
    """Return the parameter that an argument of a call ends up in."""
    parameters = parameters_of(callee.node)
    if argument.keyword is not None:
        return next((p for p in parameters if p.name.value == argument.keyword.value), None)
    if any(one.star for one in call.args):
        return None
    at = next(index for index, one in enumerate(call.args) if one is argument)
    bound = isinstance(call.func, cst.Attribute) and _is_self(call.func.value)
    static = any(name == "staticmethod" for name, _ in decorators_of(callee.node))
    at += 1 if bound and not static else 0
    positional = [*callee.node.params.posonly_params, *callee.node.params.params]
    return positional[at] if at < len(positional) else None
