"""What matching says: yes, no and why, or not yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from aiostub._value import Value


class Undecided(Value):
    """Tell "not yet known" from yes and no."""

    def __repr__(self) -> str:
        return "UNDECIDED"


UNDECIDED: Final = Undecided()


class Match(Value):
    """Say that a request matches, and what its URL captured."""

    path_params: Mapping[str, str]


class Mismatch(Value):
    """Say the first thing that differs.

    Attributes:
        field: what differs: ``"method"``, ``"url"``, ``"scheme"``, ``"host"``, ``"port"``,
            ``"path"``, ``"params"``, ``"headers"``, ``"cookies"``, ``"json"``, ``"data"``
            or ``"where"``.
    """

    field: str
    _detail: str | Callable[[], str]

    def __repr__(self) -> str:
        return f"Mismatch({self.field!r}, {self.detail!r})"

    @property
    def detail(self) -> str:
        """The difference in words, ``page: expected '2', got '1'``."""
        # Most mismatches are only passed over on the way to the route that matches.
        return self._detail if isinstance(self._detail, str) else self._detail()


NOTHING_CAPTURED: Final[Mapping[str, str]] = MappingProxyType({})
PLAIN_MATCH: Final = Match(NOTHING_CAPTURED)
