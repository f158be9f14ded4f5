"""What a ratio may be in the quick run: one table.

``most`` is what was seen lately with room for a bad day of the machine; a ceiling is lowered when
its row has become faster. Only ratios are judged, never seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from names import COMPAT, FLOOR, OURS, SERVER

if TYPE_CHECKING:
    from figures import Measured


class Ceiling(NamedTuple):
    """Bound how many times the time of another a contestant may take in a row.

    Args:
        row: where both are measured.
        who: is judged.
        to: with whom it is compared.
        seen: the ratio when the ceiling was set.
        most: the ceiling.
    """

    row: str
    who: str
    to: str
    seen: float
    most: float

    def found(self, measured: Measured) -> float | None:
        """Return the ratio, or None where one of the two was not measured."""
        ours = measured.ratio(self.row, self.who)
        theirs = measured.ratio(self.row, self.to)
        return ours / theirs if ours and theirs else None


CEILINGS = (
    Ceiling("one request", OURS, FLOOR, 1.5, 2.1),
    Ceiling("one request", OURS, SERVER, 0.7, 1.0),
    Ceiling("one request", COMPAT, OURS, 1.15, 1.6),
    Ceiling("whole test", OURS, FLOOR, 1.8, 2.6),
    Ceiling("whole test", OURS, SERVER, 0.5, 0.9),
    Ceiling("whole test", COMPAT, OURS, 1.1, 1.5),
    Ceiling("1,000 mixed routes", OURS, FLOOR, 2.0, 3.0),
    Ceiling("1,000 exact routes", OURS, FLOOR, 1.6, 2.4),
    Ceiling("1,000 exact routes", COMPAT, OURS, 1.2, 1.7),
    Ceiling("1,000 templates", OURS, FLOOR, 2.0, 3.0),
    Ceiling("1,000 regexes", OURS, FLOOR, 2.0, 3.0),
    Ceiling("1,000 regexes", COMPAT, OURS, 1.2, 1.7),
    Ceiling("1,000 conditions", OURS, FLOOR, 2.0, 3.0),
    Ceiling("1 kB up", OURS, FLOOR, 1.8, 2.7),
    Ceiling("1 kB up", COMPAT, OURS, 0.9, 1.4),
    Ceiling("1 MB down", OURS, FLOOR, 1.5, 2.2),
    Ceiling("1 MB down", COMPAT, OURS, 0.8, 1.3),
    Ceiling("1 MB up", OURS, FLOOR, 1.5, 2.3),
)


def broken(measured: Measured) -> list[str]:
    """Print of each ceiling whether it is kept, and return the rows of those that are not."""
    rows = {}
    for ceiling in CEILINGS:
        found = ceiling.found(measured)
        if found is None:
            continue
        kept = found <= ceiling.most
        print(
            f"{'ok' if kept else 'BROKEN':6}  {ceiling.row}: {ceiling.who} takes {found:.2f} times"
            f" what {ceiling.to} takes (seen: {ceiling.seen}), at most {ceiling.most}"
        )
        if not kept:
            rows[ceiling.row] = True
    return list(rows)
