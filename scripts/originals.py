"""Run the corpus of tests/migrate as it is written: with aioresponses 0.7.9, on aiohttp 3.13.5.

Every file has to pass, and every way to break its client has to fail. The environment is made
once, under ``.originals/``::

    python scripts/originals.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".originals"
PYTHON = HOME / ("Scripts" if os.name == "nt" else "bin") / "python"
NEEDED = ("aioresponses==0.7.9", "aiohttp==3.13.5", "pytest", "pytest-asyncio")

sys.path.insert(0, str(ROOT / "tests" / "migrate"))

from breaking import CORPUS, write_all  # type: ignore[import-not-found]  # noqa: E402 - no package


def main() -> int:
    """Run both halves and return the exit code."""
    make_environment()
    sources = {path.stem: path.read_text(encoding="utf-8") for path in CORPUS}
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as spoilt:
        names = {Path(n).stem for n in write_all(Path(whole), sources, broken=False)}
        ways = {Path(n).stem for n in write_all(Path(spoilt), sources, broken=True)}
        wrong = sorted(names - passed(Path(whole)))
        unnoticed = sorted(passed(Path(spoilt)) & ways)
    for name in wrong:
        print(f"{name} does not pass")
    for name in unnoticed:
        print(f"{name} passes with a broken client")
    print(
        f"{len(names)} files pass, {len(ways)} broken clients are noticed"
        if not (wrong or unnoticed)
        else "the corpus is wrong"
    )
    return 1 if wrong or unnoticed else 0


def make_environment() -> None:
    """Install what the originals need, unless it is there."""
    if not (HOME / "ready").exists():
        venv.create(HOME, with_pip=True, clear=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", *NEEDED], check=True)
        (HOME / "ready").touch()


def passed(directory: Path) -> set[str]:
    """Run the tests of a directory and return the files in which all passed."""
    report = directory / "report.xml"
    options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", f"--junitxml={report}")
    command = [str(PYTHON), "-m", "pytest", *options, str(directory)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, cwd=directory)
    cases = list(ET.parse(report).getroot().iter("testcase"))
    files = {case.attrib["classname"].split(".")[0] for case in cases}
    return files - {case.attrib["classname"].split(".")[0] for case in cases if list(case)}


if __name__ == "__main__":
    sys.exit(main())
