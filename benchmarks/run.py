"""Compare aiostub with its peers, a real server, and the floor: aiohttp's own client on nothing.

Peers need different versions of aiohttp, so each version has an environment of its own under
``.bench/``, made once. Its peers, its aiostub and its floor are measured in one process, in the
same rounds; only such numbers are compared. Times are CPU time of the whole process, threads
included, so that a busy machine changes them little; what is idle waiting costs nothing.

Needs CPython 3.11 or later and pip's index::

    python benchmarks/run.py
    python benchmarks/run.py --rounds 31 --json numbers.json --svg chart.svg
    python benchmarks/run.py --smoke        # quick; fails where a ratio is far off
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from chart import draw

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"
BIN = "Scripts" if os.name == "nt" else "bin"
SERVER = "aiohttp.web"  # on a loopback socket


@dataclass(frozen=True, slots=True)
class Environment:
    """Name one version of aiohttp, and the peers that are measured with it."""

    aiohttp: str
    peers: dict[str, str]

    @property
    def home(self) -> Path:
        """Point at its directory."""
        return HOME / "-".join([f"aiohttp-{self.aiohttp}", *self.peers])

    @property
    def interpreter(self) -> Path:
        """Point at its interpreter."""
        return self.home / BIN / "python"

    @property
    def contestants(self) -> list[str]:
        """Name who is measured in it."""
        return ["floor", "aiostub", *self.peers, SERVER]

    def make(self) -> None:
        """Install aiohttp and the peers, unless that is done."""
        peers = [f"{name}=={version}" for name, version in self.peers.items()]
        wanted = [f"aiohttp=={self.aiohttp}", *peers]
        made_from = "\n".join([sys.version, *wanted])
        stamp = self.home / "made-from"
        if stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
            return
        print(f"installing {', '.join(wanted)}", file=sys.stderr)
        run(sys.executable, "-m", "venv", "--clear", self.home)
        run(self.interpreter, "-m", "pip", "install", "-qq", *wanted)
        stamp.write_text(made_from, encoding="utf-8")

    def measure(self, rounds: int, *more: str) -> Measured:
        """Measure everybody in one process."""
        worker = ROOT / "benchmarks" / "measure.py"
        said = run(
            self.interpreter,
            worker,
            "--rounds",
            str(rounds),
            "--contestants",
            *self.contestants,
            *more,
        )
        return Measured(self, **json.loads(said))


def run(*command: str | Path) -> str:
    """Run a command with this tree's package on its path, and return what it prints."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 - commands of our own


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold the seconds of every row, contestant and round of one environment."""

    environment: Environment
    python: str
    aiohttp: str
    seconds: dict[str, dict[str, list[float]]]

    def microseconds(self, row: str, name: str) -> float:
        """Return the median over the rounds."""
        return median(self.seconds[row][name]) * 1e6

    def ratio(self, row: str, name: str, base: str = "floor") -> float | None:
        """Return how many times a contestant takes what another takes: the median of the rounds.

        Args:
            row: what was measured.
            name: the contestant; ``None`` is returned if it does not take part in the row.
            base: the one whom it is compared with.
        """
        samples = self.seconds[row]
        if name not in samples:
            return None
        return median(a / b for a, b in zip(samples[name], samples[base], strict=True))

    def as_json(self) -> dict[str, Any]:
        """Return the ratios, and the samples that they come from."""
        return {
            "aiohttp": self.aiohttp,
            "python": self.python,
            "peers": self.environment.peers,
            "ratios": {
                row: {name: self.ratio(row, name) for name in samples}
                for row, samples in self.seconds.items()
            },
            "seconds": self.seconds,
        }


# The table


def print_table(measured: list[Measured]) -> None:
    """Print a band for each environment: rows by contestants."""
    print("CPU time as a multiple of the floor; in brackets, how many times faster aiostub is.")
    for each in measured:
        print_band(each)


def print_band(measured: Measured) -> None:
    """Print what was measured in one environment."""
    others = measured.environment.contestants[2:]
    titles = [f"{name} {measured.environment.peers.get(name, '')}".rstrip() for name in others]
    widths = [max(len(title), 14) for title in titles]
    columns = "  ".join(t.rjust(w) for t, w in zip(titles, widths, strict=True))
    print(f"\naiohttp {measured.aiohttp:14}    floor  aiostub  {columns}    rounds")
    for row, samples in measured.seconds.items():
        cells = [cell(measured, row, name) for name in others]
        columns = "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True))
        floor = f"{measured.microseconds(row, 'floor'):,.0f} µs"
        ours = f"{measured.ratio(row, 'aiostub'):.2f}"
        print(f"{row:20}  {floor:>9}  {ours:>7}  {columns}  {len(samples['floor']):8}")


def cell(measured: Measured, row: str, name: str) -> str:
    """Say how a contestant did in a row."""
    over_floor = measured.ratio(row, name)
    if over_floor is None:
        return "-"
    return f"{over_floor:.2f} ({measured.ratio(row, name, 'aiostub'):.1f}x)"


# The quick run


class Limit(NamedTuple):
    """Bound a ratio, with room for a bad day of the machine."""

    what: str
    most: float
    ratio: Callable[[Measured], float | None]


LIMITS = (
    Limit("one request, to the floor", 2.5, lambda m: m.ratio("one request", "aiostub")),
    Limit("a whole test, to the floor", 3.0, lambda m: m.ratio("whole test", "aiostub")),
    Limit("a whole test, to a server", 0.9, lambda m: m.ratio("whole test", "aiostub", SERVER)),
    Limit("10,000 exact routes, to one", 1.8, lambda m: growth(m, "10,000 exact routes")),
)
SMOKE_ROWS = ("one request", "whole test", "10,000 exact routes")


def growth(measured: Measured, row: str) -> float:
    """Return how many times a request with many routes takes what it takes with one."""
    return measured.microseconds(row, "aiostub") / measured.microseconds("one request", "aiostub")


def check(measured: Measured) -> bool:
    """Print each limit and whether it is kept, and tell whether all are."""
    kept = True
    for what, most, ratio in LIMITS:
        found = ratio(measured) or 0.0
        kept &= found <= most
        print(f"{'ok' if found <= most else 'BROKEN':6}  {what}: {found:.2f}, at most {most}")
    return kept


# Command line


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="check a few ratios, quickly")
    parser.add_argument("--rounds", type=int, default=15, help="a third of it for long rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the two main rows")
    return parser.parse_args()


def main() -> int:
    """Measure, report, and return the exit code."""
    options = parse()
    environments = SMOKE_ENVIRONMENTS if options.smoke else ENVIRONMENTS
    only = ("--rows", *SMOKE_ROWS) if options.smoke else ()
    for environment in environments:
        environment.make()
    rounds = 5 if options.smoke else options.rounds
    measured = [environment.measure(rounds, *only) for environment in environments]
    print_table(measured)
    if options.json:
        numbers = json.dumps([each.as_json() for each in measured], indent=1)
        options.json.write_text(numbers + "\n", encoding="utf-8")
    if options.svg:
        options.svg.write_text(draw(bars(measured)), encoding="utf-8")
    return 0 if not options.smoke or check(measured[0]) else 1


def bars(measured: list[Measured]) -> dict[str, dict[str, float]]:
    """Return what the chart shows: by row and contestant, the ratio to the floor."""
    return {
        row: {
            label: ratio
            for each in measured
            for name, label in labels(each, newest=each is measured[0]).items()
            if (ratio := each.ratio(row, name)) is not None
        }
        for row in ("one request", "whole test")
    }


def labels(measured: Measured, *, newest: bool) -> dict[str, str]:
    """Name the bars of an environment; aiostub and the server have one of the newest only."""
    peers = {name: f"{name} {version}" for name, version in measured.environment.peers.items()}
    return {"aiostub": "aiostub", **peers, SERVER: "a loopback server"} if newest else peers


# The newest first. aioresponses cannot answer a request on aiohttp 3.14; its fork can.
ENVIRONMENTS = (
    Environment(
        "3.14.5", {"aioresponses-ng": "0.8.2", "aiointercept": "1.0.0", "aresponses": "3.0.0"}
    ),
    Environment("3.13.5", {"aioresponses": "0.7.9"}),
)
SMOKE_ENVIRONMENTS = (Environment("3.14.5", {}),)

if __name__ == "__main__":
    sys.exit(main())
