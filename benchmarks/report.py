"""Show figures: as a table in a terminal, and as the one in the README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from names import COMPAT, FLOOR, OURS, SERVER, is_everywhere, label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Measured, RowFigures

HEADING = """\
Of the CPU time: how many times the base's, which is the floor unless another one is named; ±: half
the distance between the quartiles. Of the wall clock and of memory: as it is."""


def amount(value: float, unit: str) -> str:
    """Write seconds or bytes, to three digits at the most."""
    if unit == "bytes":
        return f"{value:,.0f} B"
    for size, name in ((1, "s"), (1e-3, "ms")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


# In a terminal


def table(measured: Measured) -> Iterator[str]:
    """Give the lines of one environment: rows by contestants."""
    names = [FLOOR, *(name for name in measured.versions if name != FLOOR)]
    titles = [label(name, measured.versions) for name in names]
    lines = [[f"aiohttp {measured.aiohttp}", *titles, "rounds"]]
    lines += [
        [row.title, *(cell(row, name) for name in names), str(row.rounds)]
        for row in measured.rows.values()
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *rest in lines:
        columns = (text.rjust(width) for text, width in zip(rest, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *columns])


def cell(row: RowFigures, name: str) -> str:
    """Say how a contestant did in a row."""
    figure = row.figures.get(name)
    if figure is None:
        return "-"
    if name == row.base:
        return amount(figure.value, row.unit)
    if figure.ratio is None:
        return amount(figure.value, row.unit) + spread(row, amount(figure.spread, row.unit))
    return f"{figure.ratio:.2f}" + spread(row, f"{figure.spread:.2f}")


def spread(row: RowFigures, text: str) -> str:
    """Return how much a figure varied, if there is more than one round."""
    return f" ±{text}" if row.rounds > 1 else ""


# In the README

BEGIN = "<!-- made by `make figures`, not by hand -->"
END = "<!-- up to here -->"
SHOWN = {
    "one request": "one request",
    "whole test": "a whole test of three requests",
    "10,000 exact routes": "one request among 10,000 routes",
    "1 MB down": "a body of 1 MB",
    "2,000 at once": "one request of 2,000 at once",
    "mounted app": "one request to an application",
    "WebSocket message and back": "a WebSocket message and its echo, to a real server's",
    "retry test, real sleeps": "a test of retries after 1 s and 2 s",
    "retry test, virtual time": "the same in virtual time",
}

Column = tuple["Measured", str]


def readme_block(measured: list[Measured], chart: str) -> str:
    """Return what stands in the README from one mark to the other.

    Args:
        measured: the newest aiohttp first.
        chart: the path of the picture.
    """
    newest, *older = measured
    columns = [*columns_of(newest), *(column for each in older for column in peers_of(each))]
    titles = [label(name, each.versions) for each, name in columns]
    lines = [
        BEGIN,
        f"![What one request and a whole test cost]({chart})",
        "",
        "CPU time as a multiple of aiohttp's own client over a bare transport in memory, and wall",
        f"time of the retries (aiohttp {newest.aiohttp}, CPython {newest.python}; medians of",
        "interleaved rounds in one process; [how each is made](benchmarks/README.md)):",
        "",
        markdown(["", *titles]),
        markdown(["---"] * (1 + len(columns))),
        *(
            markdown([shown, *(short(each, title, name) for each, name in columns)])
            for title, shown in SHOWN.items()
            if title in newest.rows
        ),
        "",
        *map(elsewhere, older),
        END,
    ]
    return "\n".join(lines)


def columns_of(measured: Measured) -> list[Column]:
    """Return who has a column: ours, a real server, and the peers."""
    first = [name for name in (OURS, COMPAT, SERVER) if name in measured.versions]
    return [*((measured, name) for name in first), *peers_of(measured)]


def peers_of(measured: Measured) -> list[Column]:
    """Return the peers that are measured with this aiohttp."""
    return [(measured, name) for name in measured.versions if not is_everywhere(name)]


def elsewhere(measured: Measured) -> str:
    """Say where the peers with another aiohttp stand."""
    peers = ", ".join(label(name, measured.versions) for _, name in peers_of(measured))
    ours = [f"{measured.ratio(row, OURS) or 0:.1f}" for row in ("one request", "whole test")]
    return (
        f"{peers}: on aiohttp {measured.aiohttp}, where aiostub takes {ours[0]} for one request and"
        f" {ours[1]}\nfor a whole test."
    )


def short(measured: Measured, title: str, name: str) -> str:
    """Say in few digits how a contestant did."""
    row = measured.rows.get(title)
    figure = row.figures.get(name) if row else None
    if row is None or figure is None:
        return "-"
    return amount(figure.value, row.unit) if figure.ratio is None else f"{figure.ratio:.1f}"


def markdown(cells: list[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")
