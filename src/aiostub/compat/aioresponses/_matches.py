"""What is registered: a dict that finds what may answer by look-up, as if it had asked in order.

Rules of the file:

- What is found leaves out nothing that matches, in the order of the dict; it may still not match.
- A matcher says itself where it is found. One that says nothing is found for every request.
- Suites look into the dict and change it, and what is in it. A change that cannot be followed
  lets the index be made anew.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from aiostub._routing.index import Needles

if TYPE_CHECKING:
    from yarl import URL

_MADE_WITH = frozenset({"url_or_pattern", "match_func", "method"})
_METHODS = frozenset({"match", "match_regexp", "match_str"})
_FEW = 64  # that are gone are no reason to make an index anew

_Bucket = dict[int, str]  # keys of the dict by their order
_NOTHING: _Bucket = {}


class Exact(NamedTuple):
    """The place of a matcher that answers one method at one URL, and nothing else."""

    method: str
    url: URL


class Containing(NamedTuple):
    """The place of one that answers one method, at URLs in which a piece of text stands."""

    method: str
    piece: str


class Findable:
    """Something to be found, which notices when it is changed behind the back of an index."""

    changes = 0  # of all that there are; one of them is reason enough to look again

    @property
    def place(self) -> Exact | Containing | None:
        """Say which requests it may answer; ``None``: any."""
        return None

    @property
    def is_overridden(self) -> bool:
        """Tell whether a method of this very object has been replaced."""
        return not _METHODS.isdisjoint(vars(self))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _METHODS or (name in _MADE_WITH and name in vars(self)):
            Findable.changes += 1
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        Findable.changes += 1
        super().__delattr__(name)


class Matches(dict[str, Any]):
    """Hold matchers by key."""

    _index: _Index | None = None

    def found(self, method: str, url: URL) -> Iterable[str]:
        """Return the keys of what may answer a request, in order."""
        if not self:
            return ()
        index = self._index
        if index is None or index.is_stale:
            index = self._index = _Index(self)
        return index.find(method, url)

    def __setitem__(self, key: str, matcher: Any) -> None:
        if key in self:  # whose place it takes
            self._index = None
        super().__setitem__(key, matcher)
        if self._index is not None:
            self._index.add(key, matcher)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        if self._index is not None:
            self._index.discard(key)

    def pop(self, key: str, *default: Any) -> Any:
        if self._index is not None:
            self._index.discard(key)
        return super().pop(key, *default)

    # What nobody does often enough for the index to follow.

    def clear(self) -> None:
        self._index = None
        super().clear()

    def popitem(self) -> tuple[str, Any]:
        self._index = None
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._index = None
        return super().setdefault(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._index = None
        super().update(*args, **kwargs)

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc] # not of dict's overloads
        self._index = None
        return super().__ior__(other)


class _Index:
    """Find keys by what their matchers say."""

    def __init__(self, matches: Matches) -> None:
        self._changes = Findable.changes
        self._orders = itertools.count()
        self._exact: dict[tuple[str, URL], _Bucket] = {}
        self._needles: dict[str, Needles[_Bucket]] = {}  # by method
        self._others: _Bucket = {}
        self._known: dict[str, tuple[int, _Bucket]] = {}
        self._gone = 0
        for key, matcher in matches.items():
            self.add(key, matcher)

    @property
    def is_stale(self) -> bool:
        """Tell whether a matcher was changed, or most of them are gone."""
        return self._changes != Findable.changes or self._gone > len(self._known) + _FEW

    def add(self, key: str, matcher: Any) -> None:
        """Learn of a matcher behind all the others."""
        order = next(self._orders)
        bucket = self._bucket_at(getattr(matcher, "place", None))
        bucket[order] = key
        self._known[key] = order, bucket

    def _bucket_at(self, place: Any) -> _Bucket:
        if isinstance(place, Exact):
            return self._exact.setdefault(place, {})
        if isinstance(place, Containing):
            needles = self._needles.setdefault(place.method, Needles(dict))
            return needles.bucket_of(place.piece)
        return self._others

    def discard(self, key: str) -> None:
        """Forget a matcher."""
        known = self._known.pop(key, None)
        if known is not None:
            order, bucket = known
            del bucket[order]
            self._gone += 1

    def find(self, method: str, url: URL) -> Iterable[str]:
        """Return the keys of all matchers that answer a request, and few others, in order."""
        method = method.lower()
        exact = self._exact.get((method, url), _NOTHING)  # an Exact, which would take time to make
        if not self._others and not self._needles:
            return exact.values()
        found = [exact, self._others]
        if method in self._needles:
            found += self._needles[method].found_in(str(url))
        buckets = [bucket for bucket in found if bucket] or [_NOTHING]
        if len(buckets) == 1:
            return buckets[0].values()
        return (key for _, key in heapq.merge(*(bucket.items() for bucket in buckets)))
