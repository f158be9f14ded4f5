"""Which files there are, and how their bytes become a syntax tree and bytes again."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

import libcst as cst

_ROOT_MARKS = (".git", ".hg", "pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini")
_FOREIGN = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist", "venv"})


def python_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files named, and the ``*.py`` files in the directories named, each once.

    Raises:
        FileNotFoundError: there is nothing at one of the paths.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(path)
        inside = _files_in(path) if path.is_dir() else [path]
        found.update(dict.fromkeys(file.absolute() for file in inside))
    return list(found)


def _files_in(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            if path.name not in _FOREIGN and not path.name.startswith("."):
                yield from _files_in(path)
        elif path.suffix == ".py":
            yield path


def neighbours(files: Iterable[Path]) -> list[Path]:
    """Return the other Python files of the projects that *files* belong to.

    Without a mark of a project's root, these are the files beside and beneath them, and the
    conftest.py files above.
    """
    known = set(files)
    others: dict[Path, None] = {}
    for root in {_root_of(file) or file.parent for file in known}:
        others.update(dict.fromkeys(path for path in _files_in(root) if path not in known))
    for file in known:
        above = (parent / "conftest.py" for parent in file.parents)
        others.update(dict.fromkeys(p for p in above if p.is_file() and p not in known))
    return list(others)


def _root_of(file: Path) -> Path | None:
    marked = (
        parent
        for parent in file.parents
        if any((parent / mark).exists() for mark in _ROOT_MARKS) and parent != Path(parent.anchor)
    )
    return next(marked, None)


class UnreadableError(Exception):
    """A file is no Python that can be read.

    Attributes:
        line: where, counted from 1.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def parsed(data: bytes) -> cst.Module:
    """Parse the bytes of a file, in the encoding that it declares.

    Raises:
        UnreadableError: it has a syntax error, or is not in that encoding.
    """
    try:
        tree = cst.parse_module(data)
    except cst.ParserSyntaxError as error:
        raise UnreadableError(error.raw_line, "the file has a syntax error") from error
    except (UnicodeError, LookupError, SyntaxError) as error:
        raise UnreadableError(1, f"the file cannot be decoded: {error}") from error
    except (RecursionError, cst.CSTValidationError) as error:
        raise UnreadableError(1, f"the file cannot be parsed: {error}") from error
    if tree.bytes != data:
        raise UnreadableError(1, "the file would not survive being read and written")
    return tree


def diff(path: str, before: str, after: str) -> str:
    """Return the unified diff of a file, lines ending as they do in it."""
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{path}",
            f"b/{path}",
        )
    )
