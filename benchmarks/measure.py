"""Measure contestants in this process, in interleaved rounds, and print the samples as JSON.

Run by run.py with the interpreter of one environment. Without ``--rounds``, it is the quick run.
A round takes one sample of each contestant, in random order, so that a slow minute of the machine
hits all of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import platform
import random
import sys
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING

from contestants import CONTESTANTS
from rows import ROWS
from samples import whole_test
from sites import Site

if TYPE_CHECKING:
    from rows import Row


def measure(row: Row, rounds: int) -> dict[str, list[float]]:
    """Return the samples of each contestant that takes part, round by round."""
    contestants = row.contestants()
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name in random.sample(list(contestants), len(contestants)):
            gc.collect()
            samples[name].append(row.sample(contestants[name], row.site))
    return samples


def warm_up() -> None:
    """Let everybody load what is loaded once in a process."""
    for contestant in CONTESTANTS.values():
        if contestant.is_there:
            whole_test(contestant, Site())


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="instead of those of the quick run")
    parser.add_argument("--rows", nargs="*", metavar="TITLE", help="only these")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # aiohttp.web would write its access log
    # aiohttp warns of large bodies in one piece; here they are wanted.
    warnings.filterwarnings("ignore", "Sending a large body", ResourceWarning)
    warm_up()
    measured = []
    for row in ROWS:
        rounds = min(options.rounds, row.rounds) if options.rounds else row.smoke
        if rounds and (not options.rows or row.title in options.rows):
            samples = measure(row, rounds)
            measured.append(
                {"title": row.title, "unit": row.unit, "base": row.base, "samples": samples}
            )
            print(row.title, file=sys.stderr)
    there = {name: each.version for name, each in CONTESTANTS.items() if each.is_there}
    result = {
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "versions": there,
        "rows": measured,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
