"""Measure what the plugin costs a run of pytest that does not use it.

The same run with the plugin, without, and without once more, one after the other in each round, by
CPU time of the process: of one test, where importing counts, and of a thousand, where hooks do.
What the third differs from the second by is noise; so is what the first does, if it is no more.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

VARIANTS = {"with": ("-p", "aiostub.pytest_plugin"), "without": (), "again": ()}
SIZES = {"one test": 1, "1,000 tests": 1000}


class Price(NamedTuple):
    """Hold the seconds of each round, by variant."""

    row: str
    seconds: dict[str, list[float]]

    def more(self, variant: str) -> float:
        """Return the seconds that a variant takes more than a run without the plugin."""
        pairs = zip(self.seconds[variant], self.seconds["without"], strict=True)
        return median(a - b for a, b in pairs)

    def __str__(self) -> str:
        without = median(self.seconds["without"]) * 1e3
        more, noise = self.more("with") * 1e3, self.more("again") * 1e3
        return f"{self.row:20}  {without:6.0f} ms  {more:+7.1f} ms  {noise:+7.1f} ms"


def prices(interpreter: Path, source: Path, rounds: int) -> list[Price]:
    """Measure each size in turn.

    Args:
        interpreter: of an environment with pytest and aiohttp.
        source: the directory that the package is in.
        rounds: how often; one more is not counted, since it writes caches.
    """
    with tempfile.TemporaryDirectory() as home:
        env = {
            **os.environ,
            "PYTHONPATH": str(source),
            "PYTHONPYCACHEPREFIX": home,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # without caches, compiling is what is measured
        return [
            Price(f"pytest, {row}", _rounds(_command(interpreter, Path(home), size), env, rounds))
            for row, size in SIZES.items()
        ]


def _command(interpreter: Path, home: Path, size: int) -> list[str]:
    file = home / f"test_{size}.py"
    tests = "\n\n".join(f"def test_{n}():\n    pass" for n in range(size))
    file.write_text(f"{tests}\n", encoding="utf-8")
    return [str(interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]


def _rounds(command: list[str], env: dict[str, str], rounds: int) -> dict[str, list[float]]:
    names = list(VARIANTS)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(_seconds([*command, *VARIANTS[name]], env))
    return {name: seconds[1:] for name, seconds in found.items()}


def _seconds(command: list[str], env: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def print_prices(measured: list[Price]) -> None:
    """Print a line for each size."""
    print(f"\n{'the plugin, unused':20}  {'without':>9}  {'more':>10}  {'noise':>10}")
    for price in measured:
        print(price)


if __name__ == "__main__":
    print_prices(prices(Path(sys.executable), Path(__file__).parent.parent / "src", 15))
