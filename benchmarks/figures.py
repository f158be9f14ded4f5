"""Figures: what many samples come down to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """Sum up the samples of one contestant in one row.

    Args:
        value: the median: seconds or bytes.
        ratio: to the base of the row, the median over the rounds; None without a base.
        spread: half the distance between the quartiles of the ratio, or else of the value.
    """

    value: float
    ratio: float | None
    spread: float

    @classmethod
    def of(cls, samples: Sequence[float], base: Sequence[float] | None) -> Figure:
        """Sum up samples, and their ratios to those of the base in the same rounds."""
        if base is None:
            return cls(_short(median(samples)), None, _short(_spread(samples)))
        ratios = [a / b for a, b in zip(samples, base, strict=True)]
        return cls(_short(median(samples)), _short(median(ratios)), _short(_spread(ratios)))


def _spread(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, _, high = quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def _short(value: float) -> float:
    """Keep the digits that a measurement can have."""
    return float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class RowFigures:
    """Hold the figures of one row, by contestant."""

    title: str
    unit: str
    base: str | None
    rounds: int
    figures: dict[str, Figure]

    @classmethod
    def from_samples(
        cls, title: str, unit: str, base: str | None, samples: dict[str, list[float]]
    ) -> RowFigures:
        """Sum up what a row has measured."""
        of_base = samples[base] if base else None
        figures = {name: Figure.of(taken, of_base) for name, taken in samples.items()}
        return cls(title, unit, base, max(map(len, samples.values())), figures)


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold the figures of one environment, by row, and the versions of who is in it."""

    aiohttp: str
    python: str
    versions: dict[str, str | None]
    rows: dict[str, RowFigures]

    @classmethod
    def from_samples(cls, said: dict[str, Any]) -> Measured:
        """Sum up what measure.py has said."""
        rows = {row["title"]: RowFigures.from_samples(**row) for row in said["rows"]}
        return cls(said["aiohttp"], said["python"], said["versions"], rows)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Measured:
        """Read what was written."""
        rows = {title: _row(row) for title, row in data["rows"].items()}
        return cls(data["aiohttp"], data["python"], data["versions"], rows)

    def ratio(self, title: str, name: str) -> float | None:
        """Return a ratio to the base of the row, if both took part."""
        row = self.rows.get(title)
        figure = row.figures.get(name) if row else None
        return figure.ratio if figure else None


def _row(data: dict[str, Any]) -> RowFigures:
    figures = {name: Figure(**figure) for name, figure in data["figures"].items()}
    return RowFigures(**{**data, "figures": figures})


def read(path: Path) -> list[Measured]:
    """Read the figures of several environments."""
    return [Measured.from_json(data) for data in json.loads(path.read_text(encoding="utf-8"))]


def write(measured: list[Measured], path: Path) -> None:
    """Write the figures of several environments."""
    text = json.dumps([asdict(each) for each in measured], indent=1)
    path.write_text(text + "\n", encoding="utf-8")
