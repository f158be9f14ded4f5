"""Which expressions are the mock, its requests, one call, its arguments.

A role is what an expression is at run time, as far as that shows. Roles travel: through names and
``self`` attributes, out of fixtures into the parameters of tests, and into functions that are
called with a mock.
"""

from __future__ import annotations

import enum

import libcst as cst

from aiostub.migrate._module import (
    PACKAGE,
    Imported,
    Module,
    decorators_of,
    dotted,
    parameters_of,
    text_of,
    walk,
)
from aiostub.migrate._project import Function, Project, position_of
from aiostub.migrate._values import assigned_to, attribute_values


class Role(enum.Enum):
    """What an expression is."""

    PACKAGE = "the package aioresponses"
    FACTORY = "the class aioresponses"
    RESULT = "the class CallbackResult"
    MOCK = "a mock"
    REQUESTS = "the requests of a mock"
    LISTS = "the calls of all methods and URLs, one list each"
    CALLS = "the calls of one method and URL"
    CALL = "one call"
    KWARGS = "the arguments of a call"


_EXPORTED = {"aioresponses": Role.FACTORY, "CallbackResult": Role.RESULT}
_ENTERING = frozenset({"enter_context", "enterContext", "enterClassContext", "enter_async_context"})
_TYPED = (cst.FunctionDef, cst.Lambda)


class Roles:
    """Give expressions their roles.

    Attributes:
        sources: for each parameter that is a mock, the fixture or the call it comes from.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.sources: dict[cst.Param, list[tuple[Module, cst.CSTNode]]] = {}
        self._memo: dict[cst.CSTNode, Role | None] = {}
        self._busy: set[cst.CSTNode] = set()
        self._users = [f for f in project.functions() if f.is_fixture or f.is_test]
        self._calls = [
            (module, node)
            for module in project.modules
            for node in module.nodes
            if isinstance(node, cst.Call)
        ]
        self._settle()

    def _settle(self) -> None:
        """Follow mocks into parameters until no more are found."""
        before = -1
        while before != len(self.sources):
            before = len(self.sources)
            self._memo.clear()
            self._ask_fixtures()
            self._follow_calls()
        self._memo.clear()

    def _ask_fixtures(self) -> None:
        for user in self._users:
            given = user.parametrized()
            for param in parameters_of(user.node):
                name = param.name.value
                if name in given or name in ("self", "cls", "request") or param in self.sources:
                    continue
                fixture = self.project.fixture(user.module, user.node, name)
                if fixture is not None and self.provides(fixture):
                    self.sources[param] = [(fixture.module, fixture.node)]

    def _follow_calls(self) -> None:
        for module, call in self._calls:
            for argument in call.args:
                if self.of(module, argument.value) is not Role.MOCK:
                    continue
                callee = self.project.function_called(module, call)
                param = None if callee is None else position_of(call, argument, callee)
                if param is not None:
                    known = self.sources.setdefault(param, [])
                    if not any(node is call for _, node in known):
                        known.append((module, call))

    def provides(self, function: Function) -> bool:
        """Tell whether what a function yields or returns is a mock, and always is."""
        results = results_of(function)
        return bool(results) and all(
            self.of(function.module, result) is Role.MOCK for result in results
        )

    def of(self, module: Module, node: cst.CSTNode) -> Role | None:
        """Return the role of an expression, ``None`` for one that has none."""
        if node not in self._memo:
            if node in self._busy:
                return None
            self._busy.add(node)
            self._memo[node] = self._find(module, node)
            self._busy.discard(node)
        return self._memo[node]

    def _find(self, module: Module, node: cst.CSTNode) -> Role | None:
        if isinstance(node, cst.Name):
            return self._of_name(module, node)
        if isinstance(node, cst.Attribute):
            return self._of_attribute(module, node)
        if isinstance(node, cst.Subscript):
            return self._of_subscript(module, node)
        if isinstance(node, cst.Call):
            return self._of_call(module, node)
        return None

    # Names

    def _of_name(self, module: Module, name: cst.Name) -> Role | None:
        parent = module.parent(name)
        if isinstance(parent, cst.Attribute) and parent.attr is name:
            return None
        if isinstance(parent, (cst.Arg, cst.Param, cst.FunctionDef, cst.ClassDef)) and (
            getattr(parent, "keyword", None) is name or getattr(parent, "name", None) is name
        ):
            return None
        imported = module.imported(name)
        if imported:
            return self._of_import(imported[0]) if len(imported) == 1 else None
        roles = {self._of_definition(module, node) for node in module.definitions(name)}
        return roles.pop() if len(roles) == 1 else None

    def _of_import(self, one: Imported) -> Role | None:
        if one.level or one.module.partition(".")[0] != PACKAGE:
            return None
        if one.name is None:
            return Role.PACKAGE if one.module == PACKAGE else None
        return _EXPORTED.get(one.name) if one.module in (PACKAGE, f"{PACKAGE}.core") else None

    def _of_definition(self, module: Module, node: cst.CSTNode) -> Role | None:
        if isinstance(node, cst.Param):
            return self._of_parameter(module, node)
        value = assigned_to(module, node)
        if value is not None:
            role = self.of(module, value)
            return None if role is Role.FACTORY else role
        parent = module.parent(node)
        if isinstance(parent, cst.AsName):
            item = module.parent(parent)
            return self._entered(module, item.item) if isinstance(item, cst.WithItem) else None
        if isinstance(parent, (cst.For, cst.CompFor)) and parent.target is node:
            looped = {Role.CALLS: Role.CALL, Role.LISTS: Role.CALLS}
            role = self.of(module, parent.iter)
            return None if role is None else looped.get(role)
        return None

    def _entered(self, module: Module, item: cst.BaseExpression) -> Role | None:
        """Return the role of what a ``with`` gives."""
        role = self.of(module, item)
        if role is None and isinstance(item, cst.Call):
            callee = self.project.function_called(module, item)
            if callee is not None and callee.is_context and self.provides(callee):
                return Role.MOCK
        return role if role is Role.MOCK else None

    def _of_parameter(self, module: Module, param: cst.Param) -> Role | None:
        if param in self.sources or self.is_injected(module, param):
            return Role.MOCK
        annotation = None if param.annotation is None else param.annotation.annotation
        if annotation is None:
            return None
        if text_of(annotation) == PACKAGE and module.is_bound(PACKAGE):
            return Role.MOCK
        return Role.MOCK if self.of(module, annotation) is Role.FACTORY else None

    def is_injected(self, module: Module, param: cst.Param) -> bool:
        """Tell whether the decorator passes the mock as this parameter."""
        function = module.parent(module.parent(param))
        if not isinstance(function, cst.FunctionDef):
            return False
        return any(
            injected_parameter(function, one.decorator) is param
            for _, one in decorators_of(function)
            if self.of(module, one.decorator) is Role.MOCK
        )

    # Attributes, subscripts, calls

    def _of_attribute(self, module: Module, node: cst.Attribute) -> Role | None:
        if dotted(node.value) in ("self", "cls"):
            return Role.MOCK if self.attribute_homes(module, node) else None
        base, name = self.of(module, node.value), node.attr.value
        if base is Role.PACKAGE:
            return Role.PACKAGE if name == "core" else _EXPORTED.get(name)
        if base is Role.MOCK and name == "requests":
            return Role.REQUESTS
        return Role.KWARGS if base is Role.CALL and name == "kwargs" else None

    def attribute_homes(
        self, module: Module, node: cst.Attribute
    ) -> list[tuple[Module, cst.ClassDef]]:
        """Return the classes that make ``self.name`` a mock."""
        owner = module.class_of(node)
        if owner is None:
            return []
        return [
            (place, cls)
            for place, cls in self.project.bases(module, owner)
            if any(
                value is not None and self.of(place, value) is Role.MOCK
                for value in attribute_values(place, cls, node.attr.value)
            )
        ]

    def _of_subscript(self, module: Module, node: cst.Subscript) -> Role | None:
        base = self.of(module, node.value)
        if base is Role.REQUESTS:
            return Role.CALLS
        if base is Role.CALLS and not isinstance(node.slice[0].slice, cst.Slice):
            return Role.CALL
        if base is Role.CALL and index_of(node) == "1":
            return Role.KWARGS
        if base is Role.LISTS and not isinstance(node.slice[0].slice, cst.Slice):
            return Role.CALLS
        return None

    def requests_listed(self, module: Module, node: cst.CSTNode) -> cst.BaseExpression | None:
        """Return ``m.requests`` out of ``list(m.requests.values())``."""
        if not (isinstance(node, cst.Call) and dotted(node.func) in ("list", "tuple")):
            return None
        values = node.args[0].value if len(node.args) == 1 else None
        if not (isinstance(values, cst.Call) and isinstance(values.func, cst.Attribute)):
            return None
        base = values.func.value
        is_values = values.func.attr.value == "values" and not values.args
        return base if is_values and self.of(module, base) is Role.REQUESTS else None

    def _of_call(self, module: Module, call: cst.Call) -> Role | None:
        if self.of(module, call.func) is Role.FACTORY:
            return Role.MOCK
        if self.requests_listed(module, call) is not None:
            return Role.LISTS
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in _ENTERING:
            return self._entered(module, call.args[0].value) if call.args else None
        callee = self.project.function_called(module, call)
        if callee is None or callee.is_context or callee.is_fixture:
            return None
        return Role.MOCK if self.provides(callee) else None


def results_of(function: Function) -> list[cst.BaseExpression]:
    """Return what a function yields, or what it returns if it yields nothing."""
    inner = [
        node
        for node in walk(function.node.body)
        if isinstance(node, (cst.Yield, cst.Return))
        and function.module.within(node, cst.FunctionDef) is function.node
    ]
    yields = [node for node in inner if isinstance(node, cst.Yield)]
    return [
        value for node in yields or inner if isinstance(value := node.value, cst.BaseExpression)
    ]


def injected_parameter(function: cst.FunctionDef, decorator: cst.CSTNode) -> cst.Param | None:
    """Return the parameter that ``@aioresponses()`` fills: the one it names, or the last."""
    given = decorator.args if isinstance(decorator, cst.Call) else ()
    for one in given:
        if one.keyword is not None and one.keyword.value == "param":
            named = text_of(one.value)
            return next((p for p in parameters_of(function) if p.name.value == named), None)
    positional = [*function.params.posonly_params, *function.params.params]
    return positional[-1] if positional else None


def index_of(node: cst.Subscript) -> str:
    """Return the index of a subscript as written, if it is a number."""
    inner = node.slice[0].slice
    value = inner.value if isinstance(inner, cst.Index) else None
    return value.value if isinstance(value, cst.Integer) else ""
