"""Measure contestants in this process, in interleaved rounds, and print the seconds as JSON.

Run by run.py with the interpreter of one environment. A sample is the fastest of many short
passes; a round takes one sample of each contestant, in random order, so that a slow minute of the
machine hits all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import platform
import random
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from time import process_time
from typing import TYPE_CHECKING

from contestants import CONTESTANTS, Contestant, Kind, Route, Site

if TYPE_CHECKING:
    from aiohttp import ClientSession

PASS = 0.002  # seconds; less than the turn that a scheduler gives
PASSES = 0.06  # seconds that the passes of one sample take in all
LAP = 8  # requests in a row, spread over the routes
BURST = 2000

Sample = Callable[[Contestant, Site], Awaitable[float]]


async def ask(session: ClientSession, site: Site, url: str) -> None:
    """Send one request, and read its answer."""
    async with session.request(site.method, url, data=site.sent or None) as response:
        assert len(await response.read()) == len(site.answer)


async def fastest(work: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds that a piece of work takes, once it is warm."""
    count, spent, passes = 1, 0.0, []
    await timed(work, 1)
    count = max(1, int(PASS / await timed(work, 1)))
    while spent < PASSES:
        took = await timed(work, count)
        passes.append(took / count)
        spent += took
    return min(passes)


async def timed(work: Callable[[], Awaitable[None]], count: int) -> float:
    """Return the seconds that a piece of work takes so many times."""
    began = process_time()
    for _ in range(count):
        await work()
    return process_time() - began


# Samples


async def one_after_another(contestant: Contestant, site: Site) -> float:
    """Return the seconds of one request."""
    step = max(1, len(site.routes) // (LAP - 1))
    spread = [site.routes[min(i * step, len(site.routes) - 1)] for i in range(LAP)]
    async with contestant.serve(site) as access, access.session() as session:
        urls = [access.origin + route.path for route in spread]

        async def lap() -> None:
            for url in urls:
                await ask(session, site, url)

        return await fastest(lap) / LAP


async def all_at_once(contestant: Contestant, site: Site) -> float:
    """Return the seconds of one request of many at once."""
    async with contestant.serve(site) as access, access.session() as session:
        url = access.origin + site.routes[0].path

        async def burst() -> None:
            await asyncio.gather(*(ask(session, site, url) for _ in range(BURST)))

        return await fastest(burst) / BURST


async def whole_test(contestant: Contestant, site: Site) -> float:
    """Return the seconds of a test: start, one route, a session, three requests, stop."""

    async def test() -> None:
        async with contestant.serve(site) as access, access.session() as session:
            for _ in range(3):
                await ask(session, site, access.origin + site.routes[0].path)

    return await fastest(test)


async def first_import(contestant: Contestant, _site: Site) -> float:
    """Return the seconds until a new process has imported aiohttp and the contestant."""
    clock = "from time import process_time as now; began = now(); "
    code = f"{clock}import aiohttp; import {contestant.imports}; print(now() - began)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    said, _ = await process.communicate()
    return float(said)


# Rows


@dataclass(frozen=True)
class Row:
    """Say what is sampled, of which site, and in how many rounds for each round of the others."""

    sample: Sample
    site: Site
    share: float = 1.0


def routes(count: int, kind: Kind = "exact") -> tuple[Route, ...]:
    """Make so many routes."""
    return tuple(Route(f"users-{number}", kind) for number in range(count))


MEGABYTE = bytes(10**6)

ROWS = {
    "one request": Row(one_after_another, Site()),
    "whole test": Row(whole_test, Site()),
    "2,000 at once": Row(all_at_once, Site(), 1 / 3),
    "100 exact routes": Row(one_after_another, Site(routes(100))),
    "10,000 exact routes": Row(one_after_another, Site(routes(10_000)), 1 / 3),
    "10,000 templates": Row(one_after_another, Site(routes(10_000, "template")), 1 / 3),
    "10,000 regexes": Row(one_after_another, Site(routes(10_000, "regex")), 1 / 3),
    "1 MB down": Row(one_after_another, Site(answer=MEGABYTE)),
    "1 MB up": Row(one_after_another, Site(method="POST", sent=MEGABYTE)),
    "import": Row(first_import, Site(), 1 / 3),
}


async def measure(row: Row, names: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the samples of each contestant that knows the row's routes, round by round."""
    kind = row.site.routes[0].kind
    taking_part = [name for name in names if kind in CONTESTANTS[name].kinds]
    samples: dict[str, list[float]] = {name: [] for name in taking_part}
    for _ in range(max(3, round(rounds * row.share))):
        for name in random.sample(taking_part, len(taking_part)):
            gc.collect()
            samples[name].append(await row.sample(CONTESTANTS[name], row.site))
    return samples


async def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contestants", nargs="+", required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS))
    parser.add_argument("--rounds", type=int, required=True)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # aiohttp.web would write its access log
    gc.freeze()
    seconds = {}
    for title in options.rows:
        seconds[title] = await measure(ROWS[title], options.contestants, options.rounds)
        print(title, file=sys.stderr)
    result = {
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "seconds": seconds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
