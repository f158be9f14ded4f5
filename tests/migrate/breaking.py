"""The corpus of tests written with aioresponses, and how each client in it is broken.

A file of the corpus is a client and tests of it. Each of its lines ``# broken: OLD => NEW`` is one
way to break the client; the tests must notice, before they are rewritten and after.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = sorted((HERE / "corpus").glob("*.py"))
_BROKEN = re.compile(r"(?m)^# broken: (.+) => (.+)\n")
# What comes after the client.
_TESTS = re.compile(
    r"^(@pytest\.fixture|async def test_|class Test|class Mocked|def mock|@async|def doubled)",
    re.MULTILINE,
)


def broken_sources(source: str) -> Iterator[str]:
    """Give the source with its client broken, in each of the ways that it names."""
    ways = _BROKEN.findall(source)
    assert ways, "a file of the corpus says how its client is broken"
    bare = _BROKEN.sub("", source)
    tests = _TESTS.search(bare)
    end = tests.start() if tests else len(bare)
    for old, new in ways:
        assert old in bare[:end], f"{old!r} does not stand in the client"
        yield bare[:end].replace(old, new) + bare[end:]


def broken_names(path: Path) -> list[str]:
    """Return the names of the files that a file of the corpus becomes when it is broken."""
    ways = _BROKEN.findall(path.read_text(encoding="utf-8"))
    return [f"test_{path.stem}_broken_{number}.py" for number in range(1, len(ways) + 1)]


def write_all(directory: Path, sources: Mapping[str, str], *, broken: bool) -> list[str]:
    """Write each source as ``test_NAME.py``, or each way to break it, and return the names."""
    made = {}
    for name, source in sources.items():
        if broken:
            for number, one in enumerate(broken_sources(source), 1):
                made[f"test_{name}_broken_{number}.py"] = one
        else:
            made[f"test_{name}.py"] = source
    for name, source in made.items():
        (directory / name).write_text(source, encoding="utf-8")
    return list(made)
