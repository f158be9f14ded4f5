"""Run a program in which the name aioresponses is ours.

::

    python -m aiostub.compat -m pytest tests
    python -m aiostub.compat pytest tests
    python -m aiostub.compat script.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from aiostub.compat._names import answer

_USAGE = "usage: python -m aiostub.compat (-m MODULE | SCRIPT.py | MODULE) [ARGUMENT ...]"


def main(arguments: list[str]) -> None:
    """Run what the arguments name: ``-m module``, a file, or a module without ``-m``."""
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(f"{_USAGE}\n")
        return
    program, *rest = arguments or [""]
    if program == "-m" and rest:
        program, *rest = rest
    elif Path(program).is_file():
        _run_file(program, rest)
        return
    if not program or program.startswith("-"):
        sys.exit(_USAGE)
    answer()
    # As ``python -m`` does it: what stands in the current directory can be imported.
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = [program, *rest]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


def _run_file(file: str, rest: list[str]) -> None:
    answer()
    sys.path.insert(0, str(Path(file).resolve().parent))
    sys.argv = [file, *rest]
    runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
