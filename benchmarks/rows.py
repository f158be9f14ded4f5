"""What is measured: one list of rows. A new one is added here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import samples
from contestants import CONTESTANTS, Contestant
from names import COMPAT, FLOOR, OURS, SERVER
from sites import Kind, Route, Site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samples import Sample

Unit = Literal["CPU", "wall", "bytes"]
ALL = tuple(CONTESTANTS)
PLAIN = Site()


@dataclass(frozen=True)
class Row:
    """Say what is sampled, and of whom.

    Args:
        title: what stands in the table.
        sample: takes one sample.
        site: what is served.
        unit: of a sample: seconds of CPU, seconds by the wall clock, or bytes.
        base: whom the others are compared with; None: the numbers speak for themselves.
        rounds: how many at the most, for rows that take long; 0: the quick run alone has it.
        among: who may take part; those take part who can serve the site.
        smoke: how many rounds it has in the quick run.
    """

    title: str
    sample: Sample
    site: Site = PLAIN
    unit: Unit = "CPU"
    base: str | None = FLOOR
    rounds: int = 1000
    among: Iterable[str] = ALL
    smoke: int = 0

    def contestants(self) -> dict[str, Contestant]:
        """Return who takes part."""
        invited = {name: CONTESTANTS[name] for name in self.among}
        return {
            name: each for name, each in invited.items() if each.is_there and each.can(self.site)
        }


def routes(count: int, *kinds: Kind) -> tuple[Route, ...]:
    """Make so many routes, of these kinds in turn."""
    return tuple(Route(f"users-{number}", kinds[number % len(kinds)]) for number in range(count))


MIXED: tuple[Kind, ...] = ("exact", "template", "regex", "condition")
SORTS: dict[str, tuple[Kind, ...]] = {
    "mixed routes": MIXED,
    "exact routes": ("exact",),
    "templates": ("template",),
    "regexes": ("regex",),
    "conditions": ("condition",),
}
LOG = 100_000

KILOBYTE = bytes(10**3)
MEGABYTE = bytes(10**6)
HUGE = bytes(10**8)

FLAKY = Site(statuses=(503, 503, 200))
STREAM = Site(answer=MEGABYTE, chunks=1000)
APP = Site(way="app")
SOCKET = Site(way="socket")
ECHO = Site(way="echo")

IN_MEMORY = (FLOOR, OURS, COMPAT, "aioresponses", "aioresponses-ng")
WITH_PLUGIN = [FLOOR, *(name for name, each in CONTESTANTS.items() if each.plugin)]

ROWS = (
    Row("one request", samples.one_request, smoke=5),
    Row("whole test", samples.whole_test, smoke=5),
    Row("whole test, 100 exact routes", samples.whole_test, Site(routes(100, "exact"))),
    Row("whole test, 100 mixed routes", samples.whole_test, Site(routes(100, *MIXED))),
    # Routes
    *(
        Row(f"100 {name}", samples.one_request, Site(routes(100, *kinds)))
        for name, kinds in SORTS.items()
    ),
    *(
        Row(f"10,000 {name}", samples.one_request, Site(routes(10_000, *kinds)), rounds=5)
        for name, kinds in SORTS.items()
    ),
    *(
        Row(f"1,000 {name}", samples.one_request, Site(routes(1000, *kinds)), rounds=0, smoke=3)
        for name, kinds in SORTS.items()
    ),
    # Bodies
    Row("1 kB down", samples.one_request, Site(answer=KILOBYTE)),
    Row("1 kB up", samples.one_request, Site(method="POST", sent=KILOBYTE), smoke=5),
    Row("1 MB down", samples.one_request, Site(answer=MEGABYTE), smoke=5),
    Row("1 MB up", samples.one_request, Site(method="POST", sent=MEGABYTE), smoke=5),
    Row("100 MB down", samples.one_long_request, Site(answer=HUGE), rounds=5),
    Row("100 MB up", samples.one_long_request, Site(method="POST", sent=HUGE), rounds=5),
    Row("1,000 chunks of 1 kB", samples.one_request, STREAM),
    # Many
    Row("2,000 at once", samples.at_once(2000), rounds=5),
    Row("10,000 at once", samples.at_once(10_000), rounds=3),
    Row("100,000 in a row", samples.in_a_row(LOG), rounds=1),
    Row("a call in a log of 10,000", samples.bytes_kept(10_000), unit="bytes", base=None, rounds=1),
    Row(
        "a call in a log of 100,000",
        samples.bytes_kept(LOG),
        unit="bytes",
        base=None,
        rounds=1,
        among=(OURS,),
    ),
    # Far ends
    Row("mounted app", samples.one_request, APP),
    Row("mounted app, whole test", samples.whole_test, APP),
    Row("stub.serve, one request", samples.one_request, SOCKET),
    Row("WebSocket message and back", samples.one_message, ECHO, base=SERVER),
    Row("WebSocket, whole test", samples.whole_websocket_test, ECHO, base=SERVER),
    # What a user waits for
    Row(
        "retry test, real sleeps",
        samples.retry_in_real_time,
        FLAKY,
        unit="wall",
        base=None,
        rounds=3,
    ),
    Row(
        "retry test, sleeps mocked",
        samples.retry_without_sleeping,
        FLAKY,
        unit="wall",
        base=None,
    ),
    Row(
        "retry test, virtual time",
        samples.retry_in_virtual_time,
        FLAKY,
        unit="wall",
        base=None,
        among=IN_MEMORY,
    ),
    Row("import", samples.first_import, rounds=9),
    Row("pytest, one empty test", samples.pytest_run(1), rounds=9, among=WITH_PLUGIN),
    Row("pytest, 1,000 empty tests", samples.pytest_run(1000), rounds=9, among=WITH_PLUGIN),
)
