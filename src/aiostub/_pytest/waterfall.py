"""The calls of a test as a picture: HTML with an SVG in it, for a report that is read in a browser.

The rules of this file: plain data comes in, HTML goes out, all text in it is escaped, and secrets
have been taken out before. Text has the colour of the page around it, so that it can be read in
light and dark ones; bars have colours that stand out from both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from aiostub._explain import Row, human
from aiostub._secrets import mask_url

__all__ = ["Detail", "page"]

_WIDTH: Final = 960
_LABELS: Final = 340
_LETTER: Final = 7.4  # the width of one, at most
_LINE: Final = 22
_BAR: Final = 12
_HEAD: Final = 26
_LETTERS: Final = 46  # of a label
_MOST: Final = 100
_LEAST_BAR: Final = 2
_TICKS: Final = 4

_GREEN, _BLUE, _AMBER, _RED, _GREY = "#2da44e", "#0969da", "#bf8700", "#cf222e", "#8c959f"
_BY_CLASS: Final = {"2": _GREEN, "3": _BLUE, "4": _AMBER, "5": _AMBER, "1": _BLUE}
_UNDECIDED: Final = frozenset({"pending", "cancelled"})


class Detail(NamedTuple):
    """What can be unfolded below the picture."""

    title: str
    text: str


def page(rows: Sequence[Row], details: Sequence[Detail]) -> str:
    """Return the waterfall of some calls, and each in detail, as a piece of HTML.

    Args:
        rows: The calls in order of arrival.
        details: What else there is to say, in the same order.
    """
    return (
        '<div class="aiostub">'
        f"{waterfall(rows)}"
        f"{''.join(_folded(detail) for detail in details[:_MOST])}"
        "</div>"
    )


def _folded(detail: Detail) -> str:
    title, text = escape(detail.title), escape(detail.text)
    return (
        f"<details><summary><code>{title}</code></summary>"
        f'<pre style="white-space:pre-wrap;overflow-wrap:anywhere">{text}</pre></details>'
    )


def waterfall(rows: Sequence[Row]) -> str:
    """Return the calls as bars along the time that passed, as an SVG.

    Args:
        rows: The calls in order of arrival; the first hundred are drawn.
    """
    shown = rows[:_MOST]
    scale = _Scale.of(shown)
    rest = len(rows) - len(shown)
    height = _HEAD + _LINE * (len(shown) + bool(rest))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" role="img" style="max-width:100%;height:auto" '
            f'font-family="ui-monospace,monospace" font-size="12" fill="currentColor">'
        ),
        f"<title>{_plural(len(rows), 'call')}</title>",
        *_axis(scale, _HEAD + _LINE * len(shown)),
        *(_bar(row, scale, _HEAD + number * _LINE) for number, row in enumerate(shown)),
    ]
    if rest:
        parts.append(f'<text x="0" y="{height - 7}">and {rest} more</text>')
    return "".join([*parts, "</svg>"])


class _Scale(NamedTuple):
    """Turn seconds into places."""

    start: float
    seconds: float
    right: float  # where the longest bar ends

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Scale:
        starts = [row.offset for row in rows] or [0.0]
        ends = [row.offset + (row.duration or 0) for row in rows] or [0.0]
        # Calls of several event loops have clocks of their own: some may be before the first.
        notes = max((len(_said(row)) for row in rows), default=0)
        right = _WIDTH - 10 - notes * _LETTER
        return cls(min(starts), max(max(ends) - min(starts), 1e-6), right)

    def x(self, seconds: float) -> float:
        share = (seconds - self.start) / self.seconds
        return _LABELS + share * (self.right - _LABELS)


def _axis(scale: _Scale, bottom: int) -> Iterator[str]:
    step = _round_step(scale.seconds / _TICKS)
    for number in range(math.floor(scale.seconds / step + 1e-9) + 1):
        seconds = number * step
        x = scale.x(scale.start + seconds)
        yield (
            f'<line x1="{x:.1f}" y1="18" x2="{x:.1f}" y2="{bottom}" '
            'stroke="currentColor" stroke-opacity="0.2"/>'
            f'<text x="{x:.1f}" y="13" text-anchor="middle" fill-opacity="0.7">'
            f"{escape(human(seconds))}</text>"
        )


def _round_step(seconds: float) -> float:
    """Return the next larger of 1, 2 and 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(seconds))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= seconds * (1 - 1e-9))


def _bar(row: Row, scale: _Scale, top: int) -> str:
    x = scale.x(row.offset)
    end = scale.x(row.offset + (row.duration or 0))
    if row.duration is None:  # it is not over: to the end of the picture
        end = scale.right
    width = max(end - x, _LEAST_BAR)
    middle = top + _LINE // 2
    open_end = ' fill-opacity="0.35" stroke-dasharray="3 2"' if row.duration is None else ""
    colour = _colour(row.outcome)
    label = f"{row.method} {_path(row.url)}"
    return (
        f"<g><title>{escape(_told(row))}</title>"
        f'<text x="0" y="{middle + 4}">{escape(_cut(label))}</text>'
        f'<rect x="{x:.1f}" y="{middle - _BAR // 2}" width="{width:.1f}" height="{_BAR}" rx="2" '
        f'fill="{colour}" stroke="{colour}"{open_end}/>'
        f'<text x="{x + width + 6:.1f}" y="{middle + 4}">{escape(_said(row))}</text></g>'
    )


def _said(row: Row) -> str:
    return row.outcome if row.duration is None else f"{row.outcome}  {human(row.duration)}"


def _colour(outcome: str) -> str:
    outcome = outcome.removeprefix("passed through ")
    if outcome in _UNDECIDED:
        return _GREY
    return _BY_CLASS.get(outcome[:1], _RED) if outcome.isdigit() else _RED


def _told(row: Row) -> str:
    route = f"\nroute: {mask_url(row.route)}" if row.route else ""
    attempts = f"\n{row.attempts} attempts" if row.attempts > 1 else ""
    return (
        f"{row.method} {mask_url(row.url)}\n{row.outcome}, at +{human(row.offset)}{route}{attempts}"
    )


def _path(url: str) -> str:
    """Return a URL without its scheme: the host is worth the room, the rest is in the tooltip."""
    return mask_url(url).partition("://")[2] or mask_url(url)


def _cut(text: str) -> str:
    if len(text) <= _LETTERS:
        return text
    half = (_LETTERS - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
