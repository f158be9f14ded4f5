"""Draw ratios as horizontal bars, in SVG that needs nothing but itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 720
LEFT = 190  # where bars begin
LONGEST = 440
LINE = 24
HEAD = 40

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.bar { fill: #afb8c1 }
.ours { fill: #1f883d }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #57606a }
  .ours { fill: #3fb950 }
}
"""


def draw(groups: dict[str, dict[str, float]]) -> str:
    """Draw a group of bars for each title, the shortest first.

    Args:
        groups: by title and label, how many times the floor; all on one scale.
    """
    most = max(ratio for bars in groups.values() for ratio in bars.values())
    height = sum(HEAD + LINE * len(bars) for bars in groups.values()) + LINE
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>CPU time as a multiple of aiohttp's own client</title>",
            f"<style>{STYLE}</style>",
            *_groups(groups, LONGEST / most),
            "</svg>\n",
        ]
    )


def _groups(groups: dict[str, dict[str, float]], scale: float) -> Iterator[str]:
    top = 0
    for title, bars in groups.items():
        yield f'<text class="title" x="{LEFT}" y="{top + HEAD - 12}">{escape(title)}</text>'
        top += HEAD
        for label, ratio in sorted(bars.items(), key=lambda bar: bar[1]):
            yield from _bar(label, ratio, top, ratio * scale)
            top += LINE


def _bar(label: str, ratio: float, top: int, length: float) -> Iterator[str]:
    kind = "ours" if label == "aiostub" else "bar"
    middle = top + LINE - 9
    yield f'<text x="{LEFT - 10}" y="{middle}" text-anchor="end">{escape(label)}</text>'
    yield f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" width="{length:.1f}" height="16" rx="2"/>'
    yield f'<text x="{LEFT + length + 8:.1f}" y="{middle}">{ratio:.1f}</text>'
