"""Run the suite on every supported pair of aiohttp and CPython.

Each pair has an environment of its own under ``.matrix/``, made once and made anew when
pyproject.toml changes. Environments are made beside each other, two at a time; the suites run one
after the other, with two workers each. A pair that cannot be set up is skipped, with the reason in
the closing table. Tests marked ``once`` read the sources alone and run on the first pair only.

With ``--check-coverage``, the first and the last pair are measured: that takes half as long again,
and what is written for some versions runs on the oldest or on the newest.

What follows ``--`` goes to pytest::

    python scripts/matrix.py
    python scripts/matrix.py --aiohttp 3.9.5 3.14.5 --python 3.11
    python scripts/matrix.py --pairs 3.9.5:3.10 3.14.5:3.13 -- -k redirect
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

AIOHTTP = ("3.9.5", "3.10.11", "3.11.18", "3.12.15", "3.13.5", "3.14.5")
CPYTHON = ("3.10", "3.11", "3.12", "3.13")

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".matrix"
BIN = "Scripts" if os.name == "nt" else "bin"
INSTALL = ("install", "-q", "--disable-pip-version-check")

# What pip says when a version cannot be had at all, as against a network that is down.
UNAVAILABLE = re.compile(
    r"^.*(?:No matching distribution found for aiohttp==|Failed to build|Failed building wheel"
    r"|failed-wheel-build|requires a different Python|ResolutionImpossible).*$",
    re.MULTILINE,
)
COUNT = re.compile(r"(\d+) (passed|failed|errors?)\b")
CLOSING = re.compile(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s.*$", re.MULTILINE)

suite_at_work = threading.Lock()


@dataclass(frozen=True, slots=True)
class Pair:
    """Name one combination to test."""

    aiohttp: str
    python: str

    @property
    def name(self) -> str:
        """Say both versions, for directories and logs."""
        return f"py{self.python}-aiohttp{self.aiohttp}"

    @property
    def interpreter(self) -> Path:
        """Point at the interpreter of this pair's environment."""
        return HOME / self.name / BIN / "python"

    @property
    def log(self) -> Path:
        """Point at the output of pip and of pytest."""
        return HOME / f"{self.name}.log"


@dataclass(frozen=True, slots=True)
class Result:
    """Hold one line of the closing table."""

    pair: Pair
    outcome: str
    tests: str
    seconds: float

    def __str__(self) -> str:
        """Format the line."""
        pair = self.pair
        return (
            f"{pair.python:8} {pair.aiohttp:9} {self.outcome:8} {self.seconds:5.0f} s  {self.tests}"
        )


class Unavailable(Exception):  # noqa: N818 - not an error: the pair is skipped
    """Say why a pair cannot be set up on this machine."""


# Interpreters


def candidates(version: str) -> list[Path]:
    """List where CPython ``version`` (such as 3.12) may be, the likeliest first."""
    beside_ours = Path(sys.base_prefix).parent.parent
    roots = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv", beside_ours]
    kept = [
        found
        for root in roots
        if root
        for found in sorted(Path(root).glob(f"versions/{version}.*/bin/python"), reverse=True)
    ]
    on_path = shutil.which(f"python{version}")
    return [*([Path(on_path)] if on_path else []), *kept, Path(sys.executable)]


def runs(interpreter: Path, version: str) -> bool:
    """Tell whether this is CPython ``version``; a pyenv shim may be there and not run."""
    ask = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [interpreter, "-c", ask], capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    return answer.stdout.split() == ["cpython", version]


def find_interpreter(version: str) -> Path:
    """Find CPython ``version`` or raise Unavailable."""
    for candidate in candidates(version):
        if runs(candidate, version):
            return candidate
    message = f"no CPython {version} on PATH or in pyenv"
    raise Unavailable(message)


# Environments


def logged(pair: Pair, *command: str | Path, env: dict[str, str] | None = None) -> int:
    """Run a command, add its output to the pair's log, return its exit code."""
    with pair.log.open("a", encoding="utf-8") as log:
        return subprocess.run(
            command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, check=False
        ).returncode


def made_from(pair: Pair) -> str:
    """Return what an environment depends on; it is made anew when this differs."""
    return f"{pair.name}\n{ROOT}\n" + (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def make_environment(pair: Pair) -> None:
    """Install the pinned aiohttp, the package and the test tools, unless that is done.

    Raises:
        Unavailable: There is no interpreter, or no wheel and no build of a package.
        RuntimeError: pip failed for another reason.
    """
    stamp = HOME / pair.name / "made-from"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_from(pair):
        return
    base = find_interpreter(pair.python)
    pip = (pair.interpreter, "-m", "pip", *INSTALL)
    wanted = (f"aiohttp=={pair.aiohttp}", "--group", "test", "-e", ".[hypothesis,migrate,time,tls]")
    failed = (
        logged(pair, base, "-m", "venv", "--clear", HOME / pair.name)
        or logged(pair, *pip, "--upgrade", "pip>=25.1")
        or logged(pair, *pip, *wanted)
    )
    if failed:
        said = pair.log.read_text(encoding="utf-8")
        if reason := UNAVAILABLE.search(said):
            raise Unavailable(reason[0].strip())
        message = f"pip failed:\n{said}"
        raise RuntimeError(message)
    stamp.write_text(made_from(pair), encoding="utf-8")


# Suites


def run_suite(pair: Pair, pytest_args: list[str], *, measured: bool) -> Result:
    """Run the suite in the pair's environment, its coverage measured or not."""
    coverage = ("-m", "coverage", "run") if measured else ()
    pytest = ("-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *pytest_args)
    env = {**os.environ, "COVERAGE_FILE": str(HOME / f".coverage.{pair.name}")}
    # Without its files, each of the processes that tests start compiles all that it imports.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with suite_at_work:
        began = time.monotonic()
        code = logged(pair, pair.interpreter, *coverage, *pytest, env=env)
        seconds = time.monotonic() - began
    said = pair.log.read_text(encoding="utf-8")
    closing = CLOSING.findall(said)
    if code:
        print(f"\n{pair.name}\n{said}")
    return Result(
        pair,
        "failed" if code else "passed",
        closing[-1] if closing else f"pytest ended with {code}",
        seconds,
    )


def try_pair(pair: Pair, pytest_args: list[str], *, measured: bool) -> Result:
    """Make the environment of one pair and run the suite in it."""
    pair.log.unlink(missing_ok=True)
    try:
        make_environment(pair)
    except Unavailable as why:
        result = Result(pair, "skipped", str(why), 0)
    except RuntimeError as why:
        print(f"\n{pair.name}\n{why}")
        result = Result(pair, "failed", "could not be installed", 0)
    else:
        result = run_suite(pair, pytest_args, measured=measured)
    print(result, flush=True)
    return result


def report_coverage(measured: set[Pair], results: list[Result]) -> int:
    """Combine what the measured pairs covered, print it, return coverage's exit code."""
    passed = [result.pair for result in results if result.outcome == "passed"]
    ran = [pair for pair in passed if pair in measured]
    if not ran:
        return 0
    env = {**os.environ, "COVERAGE_FILE": str(HOME / ".coverage")}
    coverage = [str(ran[0].interpreter), "-m", "coverage"]
    print(flush=True)
    subprocess.run([*coverage, "combine", "-q", str(HOME)], cwd=ROOT, env=env, check=True)
    return subprocess.run([*coverage, "report"], cwd=ROOT, env=env, check=False).returncode


def print_table(results: list[Result]) -> None:
    """Print a line for each pair and, last, how many tests passed and failed."""
    print("\nCPython  aiohttp   outcome     time  tests")
    print(*results, sep="\n")
    counts = [count for result in results for count in COUNT.findall(result.tests)]
    passed = sum(int(number) for number, what in counts if what == "passed")
    print(f"{passed} passed, {sum(int(number) for number, _ in counts) - passed} failed")


# Command line


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--aiohttp", nargs="+", default=AIOHTTP, metavar="VERSION")
    parser.add_argument("--python", nargs="+", default=CPYTHON, metavar="VERSION")
    parser.add_argument(
        "--pairs", nargs="+", metavar="AIOHTTP:PYTHON", help="just these, not every combination"
    )
    parser.add_argument("--no-skips", action="store_true", help="a skipped pair is a failure")
    parser.add_argument(
        "--check-coverage",
        action="store_true",
        help="measure the first and the last pair, and fail below coverage's fail_under",
    )
    parser.add_argument("pytest", nargs="*", metavar="-- PYTEST_ARGUMENT")
    return parser.parse_args(arguments)


def selected(options: argparse.Namespace) -> list[Pair]:
    """List the pairs that the command line asks for."""
    if options.pairs:
        return [Pair(*pair.split(":")) for pair in options.pairs]
    return list(itertools.starmap(Pair, itertools.product(options.aiohttp, options.python)))


def main() -> int:
    """Run the selected pairs and return the exit code."""
    options = parse(sys.argv[1:])
    pairs = selected(options)
    HOME.mkdir(exist_ok=True)
    for old in HOME.glob(".coverage*"):
        old.unlink()
    seed = random.randrange(2**32)  # noqa: S311 - shuffles tests
    print(f"{len(pairs)} pairs, --randomly-seed={seed}", flush=True)
    pytest_args = [f"--randomly-seed={seed}", *options.pytest]
    measured = {pairs[0], pairs[-1]} if options.check_coverage else set()

    def attempt(pair: Pair) -> Result:
        args = pytest_args if pair == pairs[0] else ["-m", "not once", *pytest_args]
        return try_pair(pair, args, measured=pair in measured)

    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(attempt, pairs))
    uncovered = report_coverage(measured, results)
    print_table(results)
    outcomes = [result.outcome for result in results]
    wrong = "failed" in outcomes or "passed" not in outcomes
    return int(bool(wrong or uncovered or (options.no_skips and "skipped" in outcomes)))


if __name__ == "__main__":
    sys.exit(main())
