"""The corpus of tests written with aioresponses, and how each client in it is broken.

A file of the corpus is a client and tests of it. Each of its lines ``# broken: OLD => NEW`` is one
way to break the client; the tests must notice, before they are rewritten and after.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = sorted((HERE / "corpus").glob("*.py"))
_BROKEN = re.compile(r"(?m)^# broken: (.+) => (.+)\n")


def broken(source: str) -> Iterator[str]:
    """Give the source with its client broken, in each of the ways that it names."""
    ways = _BROKEN.findall(source)
    assert ways, "a file of the corpus says how its client is broken"
    bare = _BROKEN.sub("", source)
    client = re.search(r"(?m)^(@pytest\.fixture|async def test_|class Test|class Mocked|def mock|@async|def doubled)", bare)
    end = client.start() if client else len(bare)
    for old, new in ways:
        assert old in bare[:end], f"{old!r} does not stand in the client"
        yield bare[:end].replace(old, new) + bare[end:]


def write_all(directory: Path, sources: dict[str, str]) -> None:
    """Write each source as ``test_NAME.py``, and each broken one as ``test_NAME_broken_N.py``."""
    for name, source in sources.items():
        (directory / f"test_{name}.py").write_text(source, encoding="utf-8")
        for number, one in enumerate(broken(source), 1):
            path = directory / f"test_{name}_broken_{number}.py"
            path.write_text(one, encoding="utf-8")
