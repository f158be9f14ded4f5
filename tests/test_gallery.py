"""The gallery: every message, with the code that provokes it; the page is made by this file.

``make gallery`` writes the page anew. Code is run as on every page of the documentation: with
``await`` at the top level, a ``stub`` and a ``session``, or, where it says so, by pytest.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import os
import re
import sys
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import aiohttp
import pytest
from pytest_in_pytest import collect

import aiostub
from aiostub import AiostubError
from aiostub._explain import texts

PAGE = Path(__file__).resolve().parent.parent / "docs" / "gallery.md"
AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])
REWRITE = os.environ.get("REWRITE_GALLERY")

HEAD = """# Gallery of messages

What aiostub says, and the code that makes it say so. This page is generated, and a test compares it
with what is really said. Times are left out.
"""
IMPORTS = "import asyncio\n\nimport aiohttp\nimport pytest\n\n\n"


class Scene(NamedTuple):
    """One message: what it is about, and the code."""

    title: str
    code: str
    ini: str = ""

    @property
    def in_pytest(self):
        """Tell whether it is a test file."""
        return "def test_" in self.code


SECTIONS = {
    "A request that no route answers": (
        Scene(
            "Another query",
            """
            users = stub.get("https://api.example.com/users", params={"page": "2", "size": "50"})
            users.reply(json=[])

            await session.get("https://api.example.com/users?page=1&size=50")
            """,
        ),
        Scene(
            "Another value, deep in JSON",
            """
            stub.post("https://api.example.com/users", json={"user": {"name": "Ada"}}).reply(201)

            await session.post("https://api.example.com/users", json={"user": {"name": "ada"}})
            """,
        ),
        Scene(
            "Another header; secrets are masked",
            """
            headers = {"Authorization": "Bearer test"}
            stub.get("https://api.example.com/me", params=ANY, headers=headers).reply(json={})

            headers = {"Authorization": "Bearer real"}
            await session.get("https://api.example.com/me?token=real", headers=headers)
            """,
        ),
        Scene(
            "A trailing slash, another scheme, another method",
            """
            stub.get("https://api.example.com/users/").reply(json=[])
            stub.get("http://api.example.com/users").reply(json=[])
            stub.post("https://api.example.com/users").reply(201)

            await session.get("https://api.example.com/users")
            """,
        ),
        Scene(
            "Used up",
            """
            stub.get("https://api.example.com/status").reply(text="up")

            await session.get("https://api.example.com/status")
            await session.get("https://api.example.com/status")
            """,
        ),
        Scene(
            "After a redirect",
            """
            stub.get("https://api.example.com/old").reply(301, headers={"Location": "/new"})

            await session.get("https://api.example.com/old")
            """,
        ),
        Scene("On this machine", 'await session.get("http://127.0.0.1:8080/health")'),
        Scene(
            "Among many routes",
            """
            for number in range(20):
                stub.get(f"https://api.example.com/users/{number}").reply()

            await session.get("https://api.example.com/users/20")
            """,
        ),
        Scene(
            "A handler that does not answer",
            """
            def answer(request):
                return None


            stub.get("https://api.example.com/users").handle(answer)

            await session.get("https://api.example.com/users")
            """,
        ),
    ),
    "What is left over at the end": (
        Scene(
            "A step that was never served, and the request that it was meant for",
            """
            with aiostub.Stub() as stub:
                stub.get("https://api.example.com/users/7").reply(503).times(2).then.reply(json={})
                async with aiohttp.ClientSession() as session:
                    await session.get("https://api.example.com/users/7")
                    try:
                        await session.get("https://api.example.com/user/7")
                    except Exception:
                        print("the app goes on")
            """,
        ),
    ),
    "Errors of the call": (
        Scene(
            "A route without a step",
            """
            stub.get("https://api.example.com/users")

            await session.get("https://api.example.com/users")
            """,
        ),
        Scene(
            "A timer that the client has not",
            """
            stub.get("https://api.example.com/users").timeout("sock_read")

            timeout = aiohttp.ClientTimeout(total=5, connect=2.5)
            await session.get("https://api.example.com/users", timeout=timeout)
            """,
        ),
        Scene(
            "A handler that returns something else",
            """
            def answer(request):
                return 1.5


            stub.get("https://api.example.com/users").handle(answer)

            await session.get("https://api.example.com/users")
            """,
        ),
        Scene(
            "TLS that is not there",
            """
            stub.get("http://api.example.com/users").fail(faults.certificate())

            await session.get("http://api.example.com/users")
            """,
        ),
        Scene(
            "A stub that stops too early",
            """
            with aiostub.Stub() as stub:
                stub.get("https://api.example.com/users").hang()
                async with aiohttp.ClientSession() as session:
                    task = asyncio.create_task(session.get("https://api.example.com/users"))
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    stub.stop()
                    try:
                        await task
                    finally:
                        stub.start()
            """,
        ),
    ),
    "Assertions": (
        Scene(
            "How often",
            """
            users = stub.get("https://api.example.com/users").reply(json=[]).always()
            for _ in range(2):
                await session.get("https://api.example.com/users")

            users.assert_called_once()
            """,
        ),
        Scene(
            "With what",
            """
            users = stub.post("https://api.example.com/users").reply(201)
            await session.post("https://api.example.com/users", json={"name": "ada"})

            users.assert_called_with(json={"name": "Ada"})
            """,
        ),
        Scene(
            "None like this",
            """
            stub.get("https://api.example.com/users").reply(json=[])
            await session.get("https://api.example.com/users")

            stub.assert_any_call("GET", "https://api.example.com/users", params={"page": "1"})
            """,
        ),
        Scene(
            "All of them",
            """
            stub.get("https://api.example.com/users").reply(json=[])
            stub.get("https://api.example.com/groups").reply(json=[])
            await session.get("https://api.example.com/users")

            stub.assert_all_called()
            """,
        ),
        Scene(
            "In this order",
            """
            login = stub.post("https://api.example.com/login").reply()
            users = stub.get("https://api.example.com/users").reply(json=[])
            await session.get("https://api.example.com/users")
            await session.post("https://api.example.com/login")

            stub.assert_call_order(login, users)
            """,
        ),
        Scene(
            "Not in time",
            """
            users = stub.get("https://api.example.com/users").reply(json=[])

            await users.wait_called(timeout=0.01)
            """,
        ),
    ),
    "Under pytest": (
        Scene(
            "A failing test",
            """
            async def test_login(aiostub):
                aiostub.post("https://api.example.com/login", json={"user": "Ada"}).reply()

                async with aiohttp.ClientSession() as session:
                    try:
                        await session.post(
                            "https://api.example.com/login", json={"user": "ada", "password": "abc"}
                        )
                    except AssertionError:
                        pass  # as some clients do
            """,
        ),
        Scene(
            "A failing test that is lenient",
            """
            @pytest.mark.aiostub(strict=False)
            async def test_users(aiostub):
                aiostub.get("https://api.example.com/users").reply(json=[])

                assert len(aiostub.calls) == 1
            """,
        ),
        Scene(
            "The guard",
            """
            async def test_forgotten():
                async with aiohttp.ClientSession() as session:
                    await session.get("https://api.example.com/users/7")
            """,
            "aiostub_guard = true",
        ),
        Scene(
            "Leaks",
            """
            async def poll(session):
                await session.get("https://api.example.com/changes")


            async def test_leaks(aiostub):
                changes = aiostub.get("https://api.example.com/changes").hang()
                aiostub.get("https://api.example.com/export").reply(stream=[b"a", b"b" * 1_000_000])

                session = aiohttp.ClientSession()
                await session.get("https://api.example.com/export")
                task = asyncio.create_task(poll(session))
                await changes.wait_called()
            """,
            "aiostub_leaks = error",
        ),
    ),
}

ONE_LINERS = (
    'stub.get("users")',
    'stub.get("https://api.example.com/{}")',
    'stub.get("https://api.example.com/{id")',
    'stub.get("https://api.example.com/{id}/{id}")',
    "stub.get(7)",
    'stub.get("/users", params=7)',
    'stub.get("/users", headers=["X-A"])',
    'stub.get("/users", where="a")',
    'stub.get("/users", data=7)',
    'stub.request("GET /", "/users")',
    'stub.passthrough("http://[")',
    'stub.get("/users").reply(99)',
    'stub.get("/users").reply(204, json=[])',
    'stub.get("/users").reply(json=[], text="a")',
    'stub.get("/users").reply(json={1, 2})',
    'stub.get("/users").reply(text=b"a")',
    'stub.get("/users").reply(compress="gzip")',
    'stub.get("/users").reply(text="a", compress="lzma")',
    'stub.get("/users").reply(delay=-1)',
    'stub.get("/users").reply(headers={"X": "a\\n"})',
    'stub.get("/users").reply(fault=faults.stall())',
    'stub.get("/users").reply(text="a", fault=faults.refused())',
    'stub.get("/users").reply().reply()',
    'stub.get("/users").reply().always().then',
    'stub.get("/users").reply().times(0)',
    'stub.get("/users").reply().times(2).times(2)',
    'stub.get("/users").reply(stream=iter([b"a"])).times(2)',
    'stub.get("/users").then',
    'stub.get("/users").fail("refused")',
    'stub.get("/users").fail(faults.reset(after=3))',
    'stub.get("/users").timeout("read")',
    'stub.get("/users").handle("answer")',
    'stub.get("/users").handle(lambda: None)',
    'aiostub.Stub("users")',
    'aiostub.Stub(unmatched="maybe")',
    'aiostub.Stub(param="a b")',
    "stub.start()",
    "aiostub.Stub().stop()",
)


def tidy(text):
    """Return a text without what differs from run to run: times, and columns made for them."""
    return "\n".join(tidy_line(line.rstrip()) for line in text.splitlines()).strip("\n")


def tidy_line(line):
    """Return a line without times; the lines of a timeline without the width of their columns."""
    timeless = re.sub(r"\b\d[\d.]* ?(?:ms|s|min)\b", "# ms", line)
    if timeless.lstrip().startswith("+# ms"):
        return re.sub(r"(?<=\S) {2,}", "  ", re.sub(r"^ +", "  ", timeless))
    return timeless


async def said_by(code):
    """Run code as a test would, and return what it prints and raises."""
    tree = ast.parse(code)
    lines = []
    names = {
        "aiohttp": aiohttp,
        "aiostub": aiostub,
        "asyncio": asyncio,
        "faults": aiostub.faults,
        "ANY": aiostub.ANY,
    }
    names["print"] = lines.append
    async with contextlib.AsyncExitStack() as stack:
        if "aiostub.Stub() as stub" not in code:
            stub = stack.enter_context(aiostub.Stub(strict=False))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            names.update(stub=stub, session=session)
        try:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            running = eval(compile(tree, "tests/test_users.py", "exec", flags, True), names)
            if inspect.iscoroutine(running):
                await running
        except (AiostubError, AssertionError) as error:
            lines.append(str(error))
    return "\n".join(lines)


def shown_by_pytest(scene, pytester):
    """Run a test file, and return what the report says below the traceback's source."""
    pytester.makepyfile(test_users=IMPORTS + dedent(scene.code).strip() + "\n")
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n" + scene.ini
    )
    quiet = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:logging", "--tb=short")
    filters = ("-Wignore::ResourceWarning", "-Wignore::pytest.PytestUnraisableExceptionWarning")
    out = pytester.runpytest_inprocess(*quiet, *filters).outlines
    collect()
    start = next(n for n, line in enumerate(out) if re.match(r"_+ .* _+$", line))
    end = next(n for n, line in enumerate(out) if "short test summary" in line)
    agents = re.compile(r"^(Accept-Encoding|User-Agent|Content-Type|Content-Length|Host|Accept): ")
    return "\n".join(
        re.sub(r"^([-_])\1+( .* )[-_]+$", r"\1\1\1\2\1\1\1", line)
        for line in out[start:end]
        if not agents.match(line)
    )


@pytest.fixture
async def page(pytester, recorded):  # a pytester stands in its own directory
    """Make the page."""
    parts = [HEAD]
    for title, scenes in SECTIONS.items():
        parts.append(f"## {title}\n")
        for scene in scenes:
            code = dedent(scene.code).strip()
            if scene.in_pytest:
                text = await asyncio.to_thread(shown_by_pytest, scene, pytester)
                code = f"# test_users.py\n{IMPORTS}{code}"
            else:
                text = await said_by(code)
            ini = f"```ini\n[pytest]\n{scene.ini}\n```\n\n" if scene.ini else ""
            parts.append(
                f"### {scene.title}\n\n{ini}```python\n{code}\n```\n\n```text\n{tidy(text)}\n```\n"
            )
    parts.append("## Errors of one line\n")
    for code in ONE_LINERS:
        text = tidy(await said_by(code))
        assert text, code
        parts.append(f"```python\n{code}\n```\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


# Those that make no text of their own.
PARTS = {
    "body_excerpt",
    "fixes",
    "human",
    "mask_header",
    "mask_url",
    "nearest_first",
}


@pytest.fixture
def recorded(monkeypatch):
    """Give the names of the texts that are made while the test runs."""
    names = set()

    def recording(name, function):
        def record(*args, **kwargs):
            names.add(name)
            return function(*args, **kwargs)

        return record

    for name in texts.__all__:
        if name.islower() and name not in PARTS:
            monkeypatch.setattr(texts, name, recording(name, getattr(texts, name)))
    return names


@pytest.mark.skipif(
    sys.version_info < (3, 11) or AIOHTTP < (3, 14), reason="the page shows the newest"
)
async def test_the_gallery_is_up_to_date_and_complete(page, recorded):
    """It shows what is really said, and every text that there is."""
    if REWRITE:
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, "stale: run `make gallery`"
    written = {name for name in texts.__all__ if name.islower()} - PARTS
    assert set() == written - recorded


@pytest.mark.parametrize("name", ["UnmatchedRequest", "UnsatisfiedStub", "LeakWarning"])
def test_what_pytest_names_is_in_it(name):
    """As its report shows it."""
    assert f"aiostub.exceptions.{name}: " in PAGE.read_text(encoding="utf-8")
