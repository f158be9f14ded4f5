"""The shape of the repository: who imports whom, and what must not be written down."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from syntax import tree_of

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "aiostub"


def folder(name: str, *modules: str) -> list[str]:
    """List a package of ours and the modules in it."""
    return [name, *(f"{name}.{module}" for module in modules)]


# A module imports only what stands before it. `aiostub` is the package's own __init__.py.
ORDER = (
    "exceptions",
    "_value",
    "typing",
    "faults",
    "_secrets",
    "matchers",
    *folder("_matching", "request", "verdict", "url", "conditions", "needle", "pattern", "rules"),
    *folder("_answers", "reply", "failure", "steps"),
    *folder("_explain", "texts"),
    "_log",
    "_log.frames",
    "script",
    "_log.calls",
    "_log.assertions",
    *folder(
        *("_routing", "route", "websocket", "mount", "index", "router", "test_servers", "registry")
    ),
    *folder("_wire", "memory", "server_side", "far_end", "play"),
    "_kept",
    "_watch",
    *folder("_exchange", "client_call", "apps", "exchange", "client", "socket"),
    *folder("_sockets", "end", "site"),
    *folder("_boundary", "connector", "interception", "injected"),
    "_decorator",
    "_stub",
    *folder("_pytest", "leaks", "waterfall", "test_run", "hooks"),
    "strategies",
    "aiostub",
    "pytest_plugin",
    "compat",
    "migrate",
)
# Up to here it is data in, data out: nothing runs on an event loop, nothing knows a session.
PURE = ORDER[: ORDER.index("_log")]
EVENT_LOOPS = {"aiohttp", "anyio", "asyncio"}
# It makes aiohttp's own exceptions, of which there is no second definition.
MAY_KNOW_AIOHTTP = {"_answers.failure"}
# In these, the order is their own affair.
WHOLE = {"compat", "migrate"}


def place(path: Path) -> str:
    """Return the name under which a file stands in ORDER."""
    parts = [part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"]
    if parts and parts[0] in WHOLE:
        return parts[0]
    return ".".join(parts) or "aiostub"


MODULES = sorted(PACKAGE.rglob("*.py"))
PLACES = {place(path) for path in MODULES} | set(ORDER)
each_module = pytest.mark.parametrize(
    "path", MODULES, ids=[path.relative_to(PACKAGE).as_posix() for path in MODULES]
)


class Import(NamedTuple):
    """One imported module, and whether only the type checker follows it."""

    name: str
    line: int
    for_types: bool


def module_named(name: str) -> str:
    """Return what is imported by ``name``: a module of ours by its place, else the top package."""
    package, _, rest = name.partition(".")
    if package != "aiostub":
        return name
    first, _, rest = rest.partition(".")
    module = f"{first}.{rest.partition('.')[0]}"
    known = next((each for each in (module, first) if each in PLACES), "aiostub")
    return f"aiostub.{known}"


def imported_by(node: ast.stmt, path: Path) -> list[str]:
    """List the full names that an import statement asks for; none for any other statement."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            here = ["aiostub", *path.relative_to(PACKAGE).parent.parts]
            base = here[: len(here) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            return [f"{stem}.{alias.name}" for alias in node.names]
        case _:
            return []


def is_for_types(node: ast.stmt) -> bool:
    """Tell whether this is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in {
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    }


def imports(path: Path) -> list[Import]:
    """List every import of a file, those inside functions included."""
    tree = tree_of(path.read_text(encoding="utf-8"))
    guarded = {
        inner
        for node in ast.walk(tree)
        if is_for_types(node)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return [
        Import(module_named(name), node.lineno, node in guarded)
        for node in ast.walk(tree)
        for name in imported_by(node, path)
    ]


@each_module
def test_every_module_has_its_place_in_the_order(path):
    """A new module is put where it belongs before anything imports it."""
    assert place(path) in ORDER


@each_module
def test_a_module_imports_only_what_stands_before_it(path):
    """Knowledge runs one way; what only the type checker follows is not run, so may look ahead."""
    known = {f"aiostub.{name}" for name in ORDER[: ORDER.index(place(path)) + 1]}
    wrong = [
        f"line {line}: {name}"
        for name, line, for_types in imports(path)
        if name.startswith("aiostub.") and not for_types and name not in known
    ]
    assert wrong == []


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_knows_no_event_loop_and_no_session(name):
    """Matching, replies and texts can be tested with neither asyncio nor aiohttp."""
    allowed = {"aiohttp"} if name in MAY_KNOW_AIOHTTP else set()
    wrong = [
        f"{path.name}:{line}: {imported}"
        for path in MODULES
        if place(path) == name
        for imported, line, for_types in imports(path)
        if not for_types and imported.partition(".")[0] in EVENT_LOOPS - allowed
    ]
    assert wrong == []


@each_module
def test_only_the_matchers_take_a_name_from_unittest_mock(path):
    """ANY is the one thing of unittest.mock in the package; nothing is mocked with it."""
    taken = [name for name, _, _ in imports(path) if name.startswith("unittest.mock")]
    allowed = {"unittest.mock.ANY"} if place(path) == "matchers" else set()
    assert set(taken) <= allowed


@each_module
def test_every_module_says_what_it_is_for(path):
    """A module begins with its docstring."""
    assert ast.get_docstring(tree_of(path.read_text(encoding="utf-8")))


# Written text

TEXTS = sorted(
    path
    for pattern in (
        "*.md",
        "*.toml",
        "Makefile",
        ".ci/run",
        ".github/**/*.yml",
        "src/**/*.py",
        "tests/**/*.py",
        "examples/**/*.py",
        "benchmarks/**/*.py",
        "scripts/**/*.py",
        "docs/**/*.md",
        "docs/conf.py",
    )
    for path in ROOT.glob(pattern)
    if "_build" not in path.parts
)

# Where people and build machines keep their files; inside a URL such a segment is just a path.
MACHINE_PATH = re.compile(
    r"(?<![\w.}/*:-])/(?:root|work|Users|home/[a-z]+)/\w"
    r"|\b[A-Z]:\\\\?Users\b"
)


@pytest.mark.parametrize("path", TEXTS, ids=[path.relative_to(ROOT).as_posix() for path in TEXTS])
def test_no_text_names_a_path_of_the_machine_it_was_written_on(path):
    """What is written holds on every machine."""
    text = path.read_text(encoding="utf-8")
    assert MACHINE_PATH.findall(text) == []


@pytest.mark.parametrize(
    ("text", "names_one"),
    [
        ("see /root" + "/project", True),
        ('open("/home' + '/ada/file")', True),
        ("C:" + "\\Users\\ada", True),
        ("https://api.example.com/root" + "/project", False),
        ('stub.get("/users/{id}")', False),
        ("/usr/bin/env", False),
    ],
)
def test_a_machine_path_is_told_from_the_path_of_a_url(text, names_one):
    """Only what begins at the root of a disk is a path of a machine."""
    assert names_one == bool(MACHINE_PATH.search(text))
