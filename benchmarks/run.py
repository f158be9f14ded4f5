"""Compare aiostub with its peers, a real server, and the floor: aiohttp's own client on nothing.

Needs CPython 3.11 or later and pip's index. How each figure is made: README.md in this directory.

::

    python benchmarks/run.py                # everything; about an hour
    python benchmarks/run.py --rounds 5 --rows "one request" "whole test"
    python benchmarks/run.py --publish      # everything, and what the README shows of it
    python benchmarks/run.py --smoke        # quick; fails where a ratio is far off
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ceilings import broken
from chart import draw
from environments import ENVIRONMENTS, HERE, HOME, ROOT, SMOKE_ENVIRONMENT
from figures import read, write
from pytest_run import prices, print_prices
from report import BEGIN, END, HEADING, readme_block, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Measured

README = ROOT / "README.md"
FIGURES = HERE / "figures.json"
CHART = HERE / "figures.svg"
LATEST = HOME / "figures.json"

ROUNDS = 15


def main() -> int:
    """Do what the command line asks for, and return the exit code."""
    options = parse()
    if options.smoke:
        return smoke()
    if options.render:
        publish(read(FIGURES))
        return 0
    measured = list(measure(options.rounds, options.rows))
    if not options.rows:
        print_prices(prices(ENVIRONMENTS[0].interpreter, ROOT / "src", options.rounds))
    write(measured, options.json)
    if options.publish:
        write(measured, FIGURES)
        publish(measured)
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--smoke", action="store_true", help="check a few ratios, quickly")
    what.add_argument("--publish", action="store_true", help="rewrite what the README shows")
    what.add_argument("--render", action="store_true", help="the same, from figures.json")
    what.add_argument("--rows", nargs="+", metavar="TITLE", default=[], help="only these")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fewer for long rows")
    parser.add_argument("--json", type=Path, default=LATEST, metavar="FILE", help="of all figures")
    return parser.parse_args()


def measure(rounds: int, rows: list[str]) -> Iterator[Measured]:
    """Measure everything, and print it environment by environment."""
    for environment in ENVIRONMENTS:
        environment.make()
    print(HEADING)
    for environment in ENVIRONMENTS:
        measured = environment.measure(rounds, rows)
        print("", *table(measured), sep="\n", flush=True)
        yield measured


# The quick run


def smoke() -> int:
    """Check ratios against their ceilings, and what the README shows against its source."""
    SMOKE_ENVIRONMENT.make()
    measured = SMOKE_ENVIRONMENT.measure(None)
    print(*table(measured), "", sep="\n")
    suspects = broken(measured)
    if suspects:
        print("\nonce more, and longer:")
        again = SMOKE_ENVIRONMENT.measure(ROUNDS, suspects)
        suspects = broken(again)
    return int(bool(suspects) | differs())


def differs() -> bool:
    """Say what differs from the figures in the tree, and tell whether anything does."""
    measured = read(FIGURES)
    wrong = [path for path, text in shown(measured).items() if text != path.read_text("utf-8")]
    for path in wrong:
        print(f"BROKEN  {path.relative_to(ROOT)} is not what {FIGURES.relative_to(ROOT)} gives:")
        print("        python benchmarks/run.py --render")
    return bool(wrong)


# What is shown


def publish(measured: list[Measured]) -> None:
    """Rewrite the chart, and the block of the README between its marks."""
    for path, text in shown(measured).items():
        path.write_text(text, encoding="utf-8")


def shown(measured: list[Measured]) -> dict[Path, str]:
    """Return what figures make of each file that shows them."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    block = readme_block(measured, CHART.relative_to(ROOT).as_posix())
    return {README: before + block + after, CHART: draw(measured)}


if __name__ == "__main__":
    sys.exit(main())
