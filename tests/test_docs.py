"""The pages: every block of Python runs, every text comes out as it is shown, every table holds.

How a page is written, so that it can be run:

- A block of Python is run by itself, with ``await`` at the top level, and must not fail. It finds
  ``aiohttp``, ``asyncio``, ``re``, what aiostub exports, and, where it does not make its own, a
  ``stub``, started and strict, and a ``session``.
- A block that begins with the name of a file, as a comment, is that file, beside those that stand
  before it on the page. Tests are run by pytest.
- A block of text is what the Python before it prints, and then the text of what it raises.
- What the reader need not see stands in HTML comments that begin with one of these words:
  ``prelude``, run before every block of the page; ``before``, run before the next block; ``after``,
  run where the block before it says ``...``, else in the ``with`` that ends it, else behind it
  (several of them: one for each ``...``); ``run:``, for the next block: ``looptime``, or what
  stands behind ``python`` to run a file.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
from multidict import CIMultiDict
from syntax import tree_of
from yarl import URL

import aiostub
from aiostub import Request, RouteError, faults
from aiostub._matching.rules import build_rules
from aiostub._matching.url import canonical

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])

has_looptime = importlib.util.find_spec("looptime") is not None
virtual_time = (
    pytest.mark.looptime if has_looptime else pytest.mark.skip(reason="looptime is not installed")
)

has_trustme = pytest.mark.skipif(
    importlib.util.find_spec("trustme") is None, reason="trustme is not installed"
)


# The pages, read


@dataclass(frozen=True)
class Block:
    """A block of code, and what the page says about it."""

    page: str
    line: int
    language: str
    source: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    run: str = ""
    output: str | None = None

    @property
    def file(self) -> str | None:
        """Return the name of the file that the block is, if it is one."""
        named = re.match(r"# ([\w.-]+\.(?:py|toml|ini))\n", self.source)
        return named[1] if named else None

    @property
    def command(self) -> str | None:
        """Return what stands behind ``python`` to run the block, if a file is to be run."""
        if self.run not in ("", "looptime"):
            return self.run
        is_test = self.file is not None and self.file.startswith("test_")
        return f"-m pytest {self.file}" if is_test else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


PIECE = re.compile(
    r"^<!-- (?P<word>prelude|before|after|run)"
    r"(?:: (?P<option>[^\n]*?))?(?:\n(?P<hidden>.*?))? ?-->$"
    r"|^```(?P<language>[^\n]*)\n(?P<source>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def read(page: Path) -> list[Block]:
    """Return the blocks of code of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    blocks: list[Block] = []
    prelude: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    run = ""
    for piece in PIECE.finditer(text):
        match piece["word"] or piece["language"]:
            case "prelude":
                prelude = (piece["hidden"],)
            case "before":
                before = (piece["hidden"],)
            case "run":
                run = piece["option"]
            case "after":
                blocks[-1] = replace(blocks[-1], after=(*blocks[-1].after, piece["hidden"]))
            case "text":
                blocks[-1] = replace(blocks[-1], output=piece["source"])
            case "python" | "toml" | "ini" as language:
                line = text.count("\n", 0, piece.start()) + 2
                hidden = (*prelude, *before)
                blocks.append(Block(page.name, line, language, piece["source"], hidden, run=run))
                before, run = (), ""
    return blocks


USE_OF_THE_ROUTES = """
class NoNetwork(aiohttp.abc.AbstractResolver):
    async def resolve(self, *_, **__):
        raise OSError("what passes through would be resolved now")

    async def close(self):
        pass

async def get(path, method="GET", **kwargs):
    async with session.request(method, f"https://api.example.com{path}", **kwargs) as response:
        return response.status, await response.read()

async def failure(path):
    try:
        await get(path)
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        return type(error).__name__.replace("Socket", "Server").replace("DNS", "")

async with aiohttp.ClientSession(
    connector=aiohttp.TCPConnector(resolver=NoNetwork()),
    timeout=aiohttp.ClientTimeout(sock_read=5),
) as session:
    assert (200, b"[]") == await get("/users?page=2")
    assert 201 == (await get("/users", "POST", json={"name": "Ada", "age": 36}))[0]
    assert b"PNG" in (await get("/users/7/avatar"))[1]
    assert 200 == (await get("/search?q=a", headers={"Authorization": "Bearer 1"}))[0]
    assert [503, 503, 200, 200] == [(await get("/flaky"))[0] for _ in range(4)]
    assert "ServerTimeoutError" == await failure("/slow")
    assert "ServerTimeoutError" == await failure("/gone")
    assert "ClientPayloadError" == await failure("/cut")
    assert "ClientConnectorError" == await failure("/nowhere")
    assert b'{"id": 7}' == (await get("/users/7"))[1]
    assert "ClientConnectorError" == await failure("/real")
    async with session.ws_connect("wss://api.example.com/feed") as ws:
        await ws.send_json({"op": "subscribe"})
        assert {"price": 7} == await ws.receive_json()
    async with session.get("https://auth.example.com/") as response:
        assert 404 == response.status
"""
CALLS_OF_THE_README = """
import pytest

stub = aiostub.Stub("https://api.example.com")
with stub:
    users = stub.post("/users").reply(503).times(3).then.reply(201)
    async with aiohttp.ClientSession() as session:
        for pause in (1, 2, 4, 0):
            await session.post("https://api.example.com/users", json={"name": "Ada"})
            await asyncio.sleep(pause)
"""

# The README has no comments for us: what its blocks need, by a line of theirs.
README = {
    "async def test_a_dropped_connection_is_retried(aiostub):": {
        "run": "-m pytest -o asyncio_mode=auto test_readme.py"
    },
    "from aiostub import ANY, Reply, Stub, faults, partial, script": {
        "run": "looptime",
        "after": (USE_OF_THE_ROUTES,),
    },
    "print(stub.calls.timeline())": {"run": "looptime", "before": (CALLS_OF_THE_README,)},
}


def readme() -> list[Block]:
    """Return the blocks of the README."""
    blocks = []
    for block in read(ROOT / "README.md"):
        needs = next((it for line, it in README.items() if line in block.source.split("\n")), {})
        is_test = "test_readme.py" in needs.get("run", "")
        name = "# test_readme.py\n" if is_test else ""
        blocks.append(replace(block, source=name + block.source, **needs))
    return blocks


# The recipes and the gallery are held by tests of their own.
OTHERS = ("cookbook", "gallery")
PAGES = [page for page in sorted(DOCS.glob("*.md")) if not page.stem.startswith(OTHERS)]
BLOCKS = [*readme(), *(block for page in PAGES for block in read(page))]
FILES = [block for block in BLOCKS if block.file]
SNIPPETS = [block for block in BLOCKS if not block.file]


# The blocks, run


def as_parameter(block: Block) -> object:
    """Return a block as a parameter of a test."""
    marks = [virtual_time] if block.run == "looptime" else []
    marks += [has_trustme] if "tls=True" in block.source else []
    return pytest.param(block, id=str(block), marks=marks)


def parsed(source: str, hidden: tuple[str, ...]) -> ast.Module:
    """Return a block with what the page hides, each piece put where it belongs."""
    tree = tree_of(source)
    for piece in hidden:
        body, dots = next(dots_of(tree), (end_of(tree), slice(len(end_of(tree)), None)))
        body[dots] = tree_of(piece).body
    return tree


def dots_of(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], slice]]:
    """Yield where a statement is ``...`` and nothing else."""
    for body in (node.body for node in ast.walk(tree) if hasattr(node, "body")):
        for at, statement in enumerate(body if isinstance(body, list) else ()):
            if isinstance(statement, ast.Expr) and ast.unparse(statement) == "...":
                yield body, slice(at, at + 1)


def end_of(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of the ``with`` that ends a block, else of the block."""
    last = tree.body[-1]
    return last.body if isinstance(last, (ast.With, ast.AsyncWith)) else tree.body


def missing_names(trees: list[ast.Module]) -> set[str]:
    """Return the names that are used and never made."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    made = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return {name.id for name in names} - made - {n.arg for n in nodes if isinstance(n, ast.arg)}


# Asked for at once: a module that is first imported by pytest in pytest is forgotten with it, and
# would then be there twice.
EXPORTED = {name: getattr(aiostub, name) for name in aiostub.__all__}


async def execute(trees: list[ast.Module]) -> None:
    """Run what has been read, one after the other, in one namespace."""
    names = {**EXPORTED, "aiohttp": aiohttp, "aiostub": aiostub, "asyncio": asyncio, "re": re}
    missing = missing_names(trees)
    async with contextlib.AsyncExitStack() as stack:
        if missing & {"stub", "session"}:
            names["stub"] = await stack.enter_async_context(aiostub.Stub())
        if "session" in missing:
            names["session"] = await stack.enter_async_context(aiohttp.ClientSession())
        for tree in trees:
            code = compile(
                tree, "tests/test_users.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True
            )
            running = eval(code, names)
            if inspect.iscoroutine(running):
                await running


def tidy(text: str) -> str:
    """Return a text without the spaces at the ends of lines and without empty ends."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.mark.parametrize("block", [as_parameter(block) for block in SNIPPETS])
async def test_a_block_runs(block, monkeypatch, tmp_path):
    """It does what the page says; what it prints and raises is shown."""
    monkeypatch.chdir(tmp_path)
    trees = [*map(tree_of, block.before), parsed(block.source, block.after)]
    raised = ""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            await execute(trees)
        except (aiostub.AiostubError, AssertionError) as error:
            if block.output is None:
                raise
            raised = str(error)
    if block.output is not None:
        assert tidy(block.output) == tidy(printed.getvalue() + raised)


IN_PYTEST = ("-p", "no:randomly", "-o", "asyncio_default_fixture_loop_scope=function")
RUNNABLE = [block for block in FILES if block.command]


@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_a_file_runs(block, pytester):
    """It does so as a user runs it; its text is a part of what comes."""
    if "looptime" in block.source and not has_looptime:
        pytest.skip("looptime is not installed")
    for each in FILES:
        if each.page == block.page and each.line <= block.line:
            (pytester.path / each.file).write_text(each.source, encoding="utf-8")
    command = block.command.split()
    if command[:2] == ["-m", "pytest"]:
        done = pytester.runpytest_inprocess(*IN_PYTEST, *command[2:])
    else:
        done = pytester.run(sys.executable, *command)
    shown = "\n".join([*done.outlines, *done.errlines])
    if block.output is None:
        assert 0 == done.ret, shown
    else:
        assert without_times(block.output) in without_times(shown)


def test_every_file_is_run_or_used():
    """A file that is no test is read by one of the page."""
    used = "\n".join(f"{block.page} {block.source}" for block in RUNNABLE)
    files = {block for block in FILES if block not in RUNNABLE}
    assert [] == [str(b) for b in files if f"from {b.file.removesuffix('.py')} import" not in used]


def without_times(text: str) -> str:
    """Return a text that says nothing of how long something took, nor how wide its columns are."""
    timeless = re.sub(r"\b[\d.]+ ?(?:ms|s|min)\b", "#", tidy(text))
    return re.sub(r"[ ─=_-]{2,}", " ", timeless)


# The tables


def rows(page: str, *head: str) -> list[list[str]]:
    """Return the rows of the tables of a page whose heads begin with these cells."""
    text = (DOCS / page).read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    cells = [[line.strip("|").split(" | ") for line in each.splitlines()] for each in tables]
    found = [[[c.strip() for c in row] for row in table] for table in cells]
    return [row for table in found if table[0][: len(head)] == list(head) for row in table[2:]]


def plain(cell: str) -> str:
    """Return what a cell says of this aiohttp, without its quotes."""
    which = r"\2" if AIOHTTP < (3, 10) else r"\1"
    return re.sub(r"(\S+) \(aiohttp 3\.9: (.*?)\)", which, cell).replace("`", "")


PATIENT = aiohttp.ClientTimeout(total=300, sock_read=60)


async def outcome(stub: aiostub.Stub, timeout: aiohttp.ClientTimeout = PATIENT, **kwargs) -> str:
    """Ask the stub for the report, and say what comes of it in the words of the tables."""
    loop = asyncio.get_running_loop()
    where, received, began = "from the call", 0, loop.time()
    async with stub, aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.get(REPORT, **kwargs) as response:
                where = "while reading"
                assert 200 == response.status
                async for chunk in response.content.iter_any():
                    received += len(chunk)
            said = "the body"
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            status = f" with status {error.status}" if hasattr(error, "status") else ""
            behind = f", behind {received} bytes" if received else ""
            said = f"{type(error).__name__}{status} {where}{behind}"
    seconds = loop.time() - began
    return said if seconds < 1 else f"{said}, after {seconds:.3g} s"


REPORT = "https://api.example.com/report"
IN_FAIL, IN_REPLY = (
    {fault.strip("`"): plain(seen) for fault, _, seen in rows("failures.md", head)}
    for head in ("in `fail()`", "in `reply(fault=)`")
)
ALL_FAULTS = {name for name in faults.__all__ if name.islower()}


def named_fault(text: str) -> faults.Fault:
    """Make the fault that a table names."""
    return eval(f"faults.{text}", {"faults": faults})


def test_the_tables_have_every_fault():
    """None is left out, and the second table has those that a reply can have."""
    assert ALL_FAULTS == {text.partition("(")[0] for text in IN_FAIL}
    assert {text.partition("(")[0] for text in IN_REPLY} == {
        name for name in ALL_FAULTS if can_spoil(name)
    }


def can_spoil(name: str) -> bool:
    """Tell whether a reply takes a fault."""
    arguments = "20" if name == "drip" else ""
    try:
        aiostub.Reply(text="x", fault=named_fault(f"{name}({arguments})"))
    except RouteError:
        return False
    return True


@virtual_time
@pytest.mark.parametrize(("text", "seen"), IN_FAIL.items())
async def test_a_fault_in_fail_is_what_the_table_says(text, seen):
    """The app sees that exception, there and then."""
    stub = aiostub.Stub()
    stub.get(REPORT).fail(named_fault(text))
    proxy = {"proxy": "http://proxy.example.com"} if text == "proxy()" else {}
    assert seen == await outcome(stub, **proxy)


@virtual_time
@pytest.mark.parametrize(("text", "seen"), IN_REPLY.items())
async def test_a_fault_in_a_reply_is_what_the_table_says(text, seen):
    """The app sees that exception, there and then, behind so much of the body."""
    stub = aiostub.Stub()
    stub.get(REPORT).reply(text="x" * 100, fault=named_fault(text))
    assert seen == await outcome(stub)


@pytest.mark.parametrize(("step", "seen"), rows("timeouts.md", "step"))
async def test_a_timer_is_what_the_table_says(step, seen):
    """The app sees that exception from the call."""
    which = re.search(r'"(\w+)"', step)[1]
    stub = aiostub.Stub()
    stub.get(REPORT).timeout(which)
    name = plain(seen).partition(",")[0]
    assert f"{name} from the call" == await outcome(stub, aiohttp.ClientTimeout(**{which: 5}))


@pytest.mark.parametrize(("route", "request_url", "same"), rows("matching.md", "route"))
async def test_two_urls_are_the_same_where_the_table_says_so(route, request_url, same):
    """A route for the one answers a request for the other, or does not."""
    async with aiostub.Stub(strict=False) as stub, aiohttp.ClientSession() as session:
        stub.get(route.strip("`")).reply()
        try:
            async with session.get(request_url.strip("`")):
                answered = "yes"
        except aiostub.UnmatchedRequest:
            answered = "no"
    assert same.partition(":")[0] == answered


@pytest.mark.parametrize(("rule", "through", "not_through"), rows("passing-through.md", "rule"))
def test_a_rule_lets_through_what_the_table_says(rule, through, not_through):
    """It names that URL, and does not name the other."""
    value = eval(rule.strip("`"), {"re": re})
    (built,) = build_rules([value])
    assert [True, False] == [
        built.matches(Request("GET", url, CIMultiDict()), canonical(url))
        for url in (URL(through.strip("`")), URL(not_through.strip("`")))
    ]


def test_every_private_name_is_listed():
    """The page has the names that the modules have at their heads, and no others."""
    heads = "".join(
        ast.get_docstring(tree_of(path.read_text(encoding="utf-8"))).partition("private names")[2]
        for path in (ROOT / "src" / "aiostub").rglob("*.py")
    )
    bullets = re.findall(r"^- (.+?): ", heads, re.MULTILINE | re.DOTALL)
    listed = [name for name, _ in rows("how-it-works.md", "private name")]
    assert names_in(bullets, "``") == names_in(listed, "`")


def names_in(texts: list[str], quote: str) -> set[str]:
    """Return what stands in quotes, each without what it belongs to."""
    found = re.findall(rf"{quote}([\w.]+){quote}", "\n".join(texts))
    return {name.rpartition(".")[2] for name in found}


def test_what_the_conformance_suite_leaves_out_is_listed():
    """The page names each of the things that a stub in memory does not show as a server does."""
    from conformance.harness import NOT_IDENTICAL

    assert set(NOT_IDENTICAL) <= {what for what, *_ in rows("differences.md", "what")}


REFERENCE = (DOCS / "api.md").read_text(encoding="utf-8")


def test_every_public_name_is_in_the_reference():
    """What can be imported from aiostub is documented, and each of its faults."""
    documented = set(re.findall(r":: (\w+)", REFERENCE))
    assert {*aiostub.__all__, *ALL_FAULTS} - {"faults", "script"} <= documented


@pytest.mark.parametrize("name", ["Stub", "Route", "Calls"])
def test_every_member_in_the_reference_is_there(name):
    """A method that a class has no more leaves the page, too."""
    members = re.search(rf"autoclass:: {name}\b.*?:members: (.*?)```", REFERENCE, re.DOTALL)[1]
    cls = getattr(aiostub, name)
    assert [] == [each for each in re.findall(r"\w+", members) if not hasattr(cls, each)]
