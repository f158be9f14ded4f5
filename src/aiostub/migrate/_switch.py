"""Switching it on: ``aioresponses(...)`` becomes ``Stub(strict=False, ...)``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from aiostub.migrate._arguments import by_name
from aiostub.migrate._module import (
    Module,
    RefusalError,
    decorators_of,
    dotted,
    elements,
    text_of,
)
from aiostub.migrate._project import Function, Project
from aiostub.migrate._roles import Role, Roles, injected_parameter
from aiostub.migrate._units import Switch

if TYPE_CHECKING:
    from aiostub.migrate._values import Values

_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?")
_INERT = re.compile(r"(pytest\.)?mark\.|(unittest\.)?(skip|skipIf|skipUnless|expectedFailure)$")


def read_switch(
    roles: Roles, values: Values, module: Module, call: cst.Call, *, strict: bool
) -> tuple[Switch, Callable[[cst.Call], cst.BaseExpression], set[str]]:
    """Read ``aioresponses(...)``: what it is, what makes the native one, which names that needs.

    Raises:
        RefusalError: no stub does the same.
    """
    if any(one.keyword is None for one in call.args):
        raise RefusalError(call, "aioresponses takes keywords only")
    at = by_name(call, ("param", "passthrough", "passthrough_unmatched"))
    given = {name: call.args[index].value for name, index in at.items()}
    switch, needs = Switch(), {"Stub"}
    parts = [] if strict else ["strict=False"]
    rules = _rules(values, module, given["passthrough"]) if "passthrough" in given else ""
    switch.passes_prefixes = bool(rules)
    if "re.compile" in rules:
        needs.add("re")
    switch.passes_unmatched = _is_true(given.get("passthrough_unmatched"))
    param = _param(roles, module, call)
    if param and param != "stub":
        parts.append(f'param="{param}"')

    def build(updated: cst.Call) -> cst.BaseExpression:
        said = [*parts]
        if switch.passes_unmatched and switch.unmatched != "unmatched":
            said.append(f"passthrough=[{rules}{', ' if rules else ''}lambda request: True]")
        elif rules:
            said.append(f"passthrough=[{rules}]")
        if switch.unmatched == "unmatched":
            said.append('unmatched="passthrough"')
        made = cst.ensure_type(cst.parse_expression(f"Stub({', '.join(said)})"), cst.Call)
        return made.with_changes(lpar=updated.lpar, rpar=updated.rpar)

    return switch, build, needs


def _is_true(node: cst.BaseExpression | None) -> bool:
    if node is not None and dotted(node) not in ("True", "False"):
        raise RefusalError(node, "it does not show whether passthrough_unmatched= is true")
    return node is not None and dotted(node) == "True"


def _rules(values: Values, module: Module, node: cst.BaseExpression) -> str:
    """Return the rules as they are written natively, without the brackets."""
    found = values.one(module, node)
    inside = elements(found.node)
    if inside is None:
        raise RefusalError(
            node, "it does not show what passthrough= is; there it is a list of prefixes"
        )
    return ", ".join(_rule(values, found.module, one) for one in inside)


def _rule(values: Values, module: Module, node: cst.BaseExpression) -> str:
    text = text_of(values.one(module, node).node)
    if text is None:
        raise RefusalError(node, "it does not show what passes through")
    if _ORIGIN.fullmatch(text):
        return module.code(node) if text_of(node) is not None else f'"{text}"'
    return f're.compile(r"^{re.escape(text)}")'


# -- decorators


def _param(roles: Roles, module: Module, call: cst.Call) -> str:
    """Return the parameter by which a decorator passes the mock; nothing for another call."""
    decorator = module.parent(call)
    named = next((a for a in call.args if a.keyword and a.keyword.value == "param"), None)
    if not isinstance(decorator, cst.Decorator):
        if named is not None:
            raise RefusalError(named, "param= means something on a decorator only")
        return ""
    target = module.parent(decorator)
    if not isinstance(target, cst.FunctionDef):
        raise RefusalError(call, "on a class it makes a function of it there")
    _check_decorated(roles.project, module, target, decorator)
    param = injected_parameter(target, call)
    if param is None:
        raise RefusalError(call, "the decorated function has no parameter for the mock")
    if target.params.posonly_params:
        raise RefusalError(target, "natively the stub is passed by keyword")
    if named is None and not _is_plain(roles.project, module, target):
        raise RefusalError(call, "it does not show which parameter the mock is passed as")
    return param.name.value


def _check_decorated(
    project: Project, module: Module, target: cst.FunctionDef, decorator: cst.Decorator
) -> None:
    del project
    if any(
        isinstance(one, cst.Yield) and module.function_of(one) is target for one in module.nodes
    ):
        raise RefusalError(
            decorator, "on a generator the mock is gone there before the first yield"
        )
    if isinstance(target.params.star_arg, cst.Param):
        raise RefusalError(target, "it does not show which parameter the mock is passed as")
    below = [one for one in decorators_of(target) if one[1] is not decorator]
    inner = below[[one for _, one in decorators_of(target)].index(decorator) :]
    for name, one in inner:
        if not _INERT.match(name):
            raise RefusalError(
                one, "a decorator beneath @aioresponses() may pass arguments as well"
            )


def _is_plain(project: Project, module: Module, target: cst.FunctionDef) -> bool:
    """Tell whether the last positional parameter is the mock, for certain.

    pytest passes fixtures by keyword, and then the mock is the first one.
    """
    owner = module.class_of(target)
    own = [p for p in target.params.params if p.name.value not in ("self", "cls")]
    return len(own) == 1 or (
        owner is not None
        and any(
            dotted(base.value).endswith("TestCase")
            for _, cls in project.bases(module, owner)
            for base in cls.bases
        )
    )


# -- annotations


def is_annotation(module: Module, node: cst.CSTNode) -> bool:
    """Tell whether a name stands in an annotation."""
    for one in module.ancestors(node):
        if isinstance(one, cst.Annotation):
            return True
        if not isinstance(
            one,
            (cst.Subscript, cst.SubscriptElement, cst.Index, cst.BinaryOperation, cst.Attribute),
        ):
            return False
    return False


# -- where a mock may stand


def check_mock_place(roles: Roles, module: Module, node: cst.BaseExpression) -> None:
    """Check that a mock stands where a stub may stand just as well.

    Raises:
        RefusalError: it goes where it cannot be followed.
    """
    parent = module.parent(node)
    if isinstance(parent, cst.WithItem):
        _check_entered(roles, module, parent)
    elif isinstance(parent, (cst.AssignTarget, cst.Assign, cst.AnnAssign)):
        _check_assigned(roles, module, parent)
    elif isinstance(parent, (cst.Yield, cst.Return)):
        _check_provided(roles, module, parent)
    elif not _is_plain_place(roles, module, node, parent):
        raise RefusalError(node, "the mock goes where it cannot be followed")


def _is_plain_place(
    roles: Roles, module: Module, node: cst.BaseExpression, parent: cst.CSTNode
) -> bool:
    if isinstance(parent, cst.Attribute):
        return parent.value is node  # what is asked of it is looked at by itself
    if isinstance(parent, (cst.Decorator, cst.Expr)):
        return isinstance(node, cst.Call)
    return isinstance(parent, cst.Arg) and _is_followed(roles, module, parent)


def _check_entered(roles: Roles, module: Module, item: cst.WithItem) -> None:
    if item.asname is not None and roles.of(module, item.asname.name) is not Role.MOCK:
        raise RefusalError(item, "the same name is something else as well")
    if isinstance(item.item, cst.Call):
        return
    here = module.function_of(item)
    made = module.definitions(item.item) if isinstance(item.item, cst.Name) else [module.tree]
    in_loop = any(isinstance(one, (cst.For, cst.While)) for one in module.ancestors(item))
    if here is None or in_loop or any(module.function_of(one) is not here for one in made):
        raise RefusalError(item, "a mock that is started again forgets its routes there")


def _check_provided(roles: Roles, module: Module, node: cst.CSTNode) -> None:
    node_function = module.function_of(node)
    function = None if node_function is None else Function(module, node_function)
    followed = function is not None and (
        function.is_fixture
        or function.is_context
        or (isinstance(node, cst.Return) and not function.node.decorators)
    )
    if function is None or not followed or not roles.provides(function):
        raise RefusalError(node, "the mock goes where it cannot be followed")


def _check_assigned(roles: Roles, module: Module, node: cst.CSTNode) -> None:
    statement = module.parent(node) if isinstance(node, cst.AssignTarget) else node
    targets = (
        [one.target for one in statement.targets]
        if isinstance(statement, cst.Assign)
        else [cst.ensure_type(statement, cst.AnnAssign).target]
    )
    if module.function_of(statement) is None:
        raise RefusalError(statement, "a mock that is started again forgets its routes there")
    value = statement.value if isinstance(statement, (cst.Assign, cst.AnnAssign)) else None
    for target in targets:
        if roles.of(module, target) is not Role.MOCK:
            raise RefusalError(target, "the mock goes where it cannot be followed")
    if value is None or roles.of(module, value) is not Role.MOCK:
        raise RefusalError(statement, "the same name is something else here")


def _is_followed(roles: Roles, module: Module, argument: cst.Arg) -> bool:
    call = cst.ensure_type(module.parent(argument), cst.Call)
    if roles.of(module, call) is Role.MOCK:
        return True  # entering a context
    return any(source is call for sources in roles.sources.values() for _, source in sources)
