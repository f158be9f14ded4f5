"""Draw figures as horizontal bars, in SVG that needs nothing but itself.

It has a ground of its own, in a light and a dark dress: the page that shows it may be of either
kind, whatever the reader's system says.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from names import COMPAT, FLOOR, OURS, SERVER, is_everywhere, label
from report import amount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Measured

WIDTH = 720
LEFT = 190  # where bars begin
LONGEST = 450
LINE = 24
HEAD = 44

STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.note { fill: #59636e }
.ground { fill: #ffffff }
.bar { fill: #afb8c1 }
.ours { fill: #1f883d }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .note { fill: #9198a1 }
  .ground { fill: #0d1117 }
  .bar { fill: #59636e }
  .ours { fill: #3fb950 }
}
"""


class Bar(NamedTuple):
    """One bar: whose, how long, and what stands behind it."""

    label: str
    length: float
    text: str
    ours: bool


class Group(NamedTuple):
    """Bars that are compared, under a title."""

    title: str
    note: str
    bars: list[Bar]
    longest: float


def draw(measured: list[Measured]) -> str:
    """Draw the chart: groups of bars, the shortest first."""
    groups = list(grouped(measured))
    height = sum(HEAD + LINE * len(group.bars) for group in groups) + LINE // 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>What a stub costs</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
            *drawn(groups),
            "</svg>\n",
        ]
    )


def grouped(measured: list[Measured]) -> Iterator[Group]:
    """Give the groups: two on one scale, and the retries on their own."""
    one, test = bars(measured, "one request"), bars(measured, "whole test")
    longest = max(bar.length for bar in (*one, *test))
    yield Group("One request", "CPU time; aiohttp's own client alone is 1", one, longest)
    yield Group("A whole test", "start, three requests, stop", test, longest)
    slept = measured[0].rows["retry test, real sleeps"].figures[SERVER].value
    asleep = Bar("anybody, in real time", slept, amount(slept, "wall"), ours=False)
    retries = [*bars(measured, "retry test, virtual time"), asleep]
    yield Group("A test of retries", "after 1 s and 2 s, in virtual time", retries, slept)


def bars(measured: list[Measured], title: str) -> list[Bar]:
    """Return the bars of a row; of an older aiohttp, only its peers."""
    found = []
    for each in measured:
        for name, figure in each.rows[title].figures.items():
            if name != FLOOR and (each is measured[0] or not is_everywhere(name)):
                length = figure.value if figure.ratio is None else figure.ratio
                text = amount(length, "wall") if figure.ratio is None else f"{length:.1f}"
                found.append(Bar(label(name, each.versions), length, text, name in {OURS, COMPAT}))
    return sorted(found, key=lambda bar: bar.length)


def drawn(groups: list[Group]) -> Iterator[str]:
    """Give the elements of all groups, from the top down."""
    top = 0
    for group in groups:
        yield (
            f'<text x="{LEFT}" y="{top + HEAD - 12}">'
            f'<tspan class="title">{escape(group.title)}</tspan>'
            f'<tspan class="note" dx="8">{escape(group.note)}</tspan></text>'
        )
        top += HEAD
        for bar in group.bars:
            yield from drawn_bar(bar, top, LONGEST * bar.length / group.longest)
            top += LINE


def drawn_bar(bar: Bar, top: int, length: float) -> Iterator[str]:
    """Give the elements of one bar."""
    middle = top + LINE - 9
    kind = "ours" if bar.ours else "bar"
    shown = max(length, 1)
    yield f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>'
    yield f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" width="{shown:.1f}" height="16" rx="2"/>'
    yield f'<text x="{LEFT + shown + 8:.1f}" y="{middle}">{escape(bar.text)}</text>'
