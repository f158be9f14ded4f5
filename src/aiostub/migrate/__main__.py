"""The command line: ``python -m aiostub.migrate [--diff] [--check] [--strict] PATH...``."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiostub.migrate._module import Module
    from aiostub.migrate._translate import Result

_EPILOG = """\
exit codes:
  0  nothing is left that uses aioresponses
  1  something was left as it was; it is listed, with the reason
  2  the command line is wrong, or LibCST is not installed
  3  with --check: there is something to rewrite, and nothing to leave
"""
_USING = re.compile(rb"^(?:\xef\xbb\xbf)?\s*(?:from|import)\s+aioresponses\b", re.MULTILINE)
_DEFINED = re.compile(rb"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
_FROM = re.compile(rb"^\s*from\s+(\.*[\w.]+)\s+import", re.MULTILINE)
_MISSING = "aiostub.migrate needs LibCST: pip install 'aiostub[migrate]'"


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: instead of those of the process.
    """
    options = _parser().parse_args(arguments)
    if importlib.util.find_spec("libcst") is None:
        sys.stderr.write(f"{_MISSING}\n")
        return 2
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aiostub.migrate",
        description="Rewrite tests that use aioresponses as native ones, where they then mean "
        "the same, and list what was left alone.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or directory")
    parser.add_argument("--diff", action="store_true", help="print a diff and write no file")
    parser.add_argument("--check", action="store_true", help="write no file; see the exit codes")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="make strict stubs: a reply that is never fetched fails the test from now on",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from aiostub.migrate._files import diff, neighbours, python_files
    from aiostub.migrate._translate import translate

    try:
        files = python_files(options.paths)
    except FileNotFoundError as error:
        sys.stderr.write(f"there is nothing at {error}\n")
        return 2
    modules, left = _modules(files, neighbours(files))
    results, notes = translate(modules, strict=options.strict)
    left += [f"{_shown(note.module.path)}:{note.line}: {note.reason}" for note in notes]
    changed = [result for result in results if result.rewritten]
    for result in changed:
        if options.diff:
            before = result.module.tree.code
            _say(sys.stdout, diff(_shown(result.module.path), before, result.text))
        elif not options.check:
            _write(result)
    for line in left:
        _say(sys.stderr if options.diff else sys.stdout, f"{line}\n")
    _sum_up(changed, len(left), wrote=not (options.diff or options.check))
    if left:
        return 1
    return 3 if options.check and changed else 0


def _modules(files: list[Path], others: list[Path]) -> tuple[list[Module], list[str]]:
    """Parse the files, and of the others those that have to do with them."""
    from aiostub.migrate._files import UnreadableError, parsed
    from aiostub.migrate._module import Module

    modules, left = [], []
    read = [(path, path.read_bytes()) for path in [*files, *others]]
    for path, data in _concerned(read):
        try:
            modules.append(Module(path, parsed(data), chosen=path in files))
        except UnreadableError as error:
            if path in files and b"aioresponses" in data:
                left.append(f"{_shown(path)}:{error.line}: {error}")
    return modules, left


def _concerned(read: list[tuple[Path, bytes]]) -> list[tuple[Path, bytes]]:
    """Return the files that use aioresponses or what such files define, and what they import."""
    words = _words(data for _, data in read)
    using = {path: data for path, data in read if any(word in data for word in words)}
    imported = _imported(using.values())
    return [
        (path, data) for path, data in read if path in using or (using and _name(path) in imported)
    ]


def _words(sources: Iterable[bytes]) -> set[bytes]:
    """Return what makes a file one of ours: the package, and the functions of files that use it."""
    ours = [data for data in sources if _USING.search(data)]
    defined = {
        name
        for data in ours
        for name in _DEFINED.findall(data)
        if not name.lower().startswith((b"test", b"__"))
    }
    return {b"aioresponses", *defined} if ours else set()


def _imported(sources: Iterable[bytes]) -> set[str]:
    """Return the names of the files that these import from."""
    found = {name for data in sources for name in _FROM.findall(data)}
    return {name.rpartition(b".")[2].decode() for name in found} | {"conftest"}


def _name(path: Path) -> str:
    return path.parent.name if path.stem == "__init__" else path.stem


def _write(result: Result) -> None:
    result.module.path.write_bytes(result.text.encode(result.module.tree.encoding))


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _say(stream: TextIO, text: str) -> None:
    """Write text, whatever the terminal can show."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _sum_up(changed: list[Result], left: int, *, wrote: bool) -> None:
    pieces = sum(result.rewritten for result in changed)
    done = "rewritten" if wrote else "to rewrite"
    sys.stderr.write(
        f"{_count(pieces, 'piece')} in {_count(len(changed), 'file')} {done}, {left} left alone\n"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


if __name__ == "__main__":
    sys.exit(main())
