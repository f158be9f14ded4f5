"""The pages: every block of Python runs, every text comes out as it is shown, every table holds.

How a page is written, so that it can be run:

- A block of Python is run by itself, with ``await`` at the top level, and must not fail. It finds
  ``aiohttp``, ``asyncio``, ``re``, what aiostub exports, and, where it does not make its own, a
  ``stub``, started and strict, and a ``session``.
- A block that begins with the name of a file, as a comment, is that file. Tests are run by pytest.
- A block of text is what the Python before it prints, and then the text of what it raises.
- What the reader need not see stands in HTML comments that begin with one of these words:
  ``prelude``, run before every block of the page; ``before``, run before the next block; ``after``,
  run where the block before it says ``...``, else in the ``with`` that ends it, else behind it;
  ``run:``, for the next block: ``looptime``, or what stands behind ``python`` to run a file.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

import aiostub
from aiostub import RouteError, faults

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# The recipes are held by a test of their own.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted(DOCS.glob("*.md")) if not page.stem.startswith("cookbook")),
]
AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])

virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime")
    else pytest.mark.skip(reason="looptime is not installed")
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
    after: str = ""
    run: str = ""
    output: str | None = None

    @property
    def file(self) -> str | None:
        """Return the name of the file that the block is, if it is one."""
        named = re.match(r"# ([\w.-]+\.(?:py|toml|ini))\n", self.source)
        return named[1] if named else None

    @property
    def command(self) -> str | None:
        """Return what stands behind ``python`` to run the block, if that is how it is run."""
        if self.run not in ("", "looptime"):
            return self.run
        is_test = self.file is not None and self.file.startswith("test_")
        return f"-m pytest {self.file}" if is_test else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


PIECE = re.compile(
    r"^<!-- (?P<word>\w+)(?:: (?P<option>[^\n]*?))?(?:\n(?P<hidden>.*?))? ?-->$"
    r"|^```(?P<language>[^\n]*)\n(?P<source>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
CODE = {"python", "toml", "ini"}
NOT_CODE = {"console", ""}

# How the blocks of the README are run, by their first lines: it has no comments of this kind.
README = {
    "import aiohttp\n\n\nasync def fetch_name": "<!-- run: -m pytest -o asyncio_mode=auto -->",
    "import re\nimport aiohttp\nfrom aiostub import ANY": """<!-- after
await use_the_routes_of_the_readme()
-->""",
    "stub.calls.last": "<!-- run: looptime -->",
}


def read(page: Path) -> list[Block]:
    """Return the blocks of code of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    blocks: list[Block] = []
    prelude, before, run = (), (), ""
    for piece in PIECE.finditer(text):
        word, language = piece["word"], piece["language"]
        line = text.count("\n", 0, piece.start()) + 2
        if word == "prelude":
            prelude = (piece["hidden"],)
        elif word == "before":
            before = (piece["hidden"],)
        elif word == "run":
            run = piece["option"]
        elif word == "after":
            blocks[-1] = replace(blocks[-1], after=piece["hidden"])
        elif language == "text":
            blocks[-1] = replace(blocks[-1], output=piece["source"])
        elif language in CODE:
            hidden = (*prelude, *before)
            blocks.append(Block(page.name, line, language, piece["source"], hidden, run=run))
            before, run = (), ""
        else:
            assert language in NOT_CODE or language.startswith("{") or page.name == "README.md"
    return blocks


BLOCKS = [block for page in PAGES for block in read(page)]
SNIPPETS = [b for b in BLOCKS if b.language == "python" and not b.file and not b.command]
FILES = [block for block in BLOCKS if block.file or block.command]


def test_every_block_is_run():
    """None is of a kind that nobody looks at."""
    assert {b for b in BLOCKS if b.language == "python"} <= {*SNIPPETS, *FILES}
    assert [] == [str(b) for b in FILES if not b.file]
