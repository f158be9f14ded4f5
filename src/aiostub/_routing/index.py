"""Which routes may answer: found by look-up, so that the number of the others does not count.

Rules of the file:

- The index leaves out no route that matches; what it finds may still not match. Order, steps and
  conditions are the router's affair.
- Each route stands in one bucket, and which one that is, its `Pattern` says: a whole URL, a place
  (a URL without its query), a template, or a piece of text that a regex cannot do without.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar

from aiostub._matching.url import Canonical, Rest, as_sent

if TYPE_CHECKING:
    from yarl import URL

    from aiostub._matching.pattern import Pattern, Place
    from aiostub._matching.request import Request
    from aiostub._matching.url import Segment
    from aiostub._routing.route import Route

by_order = attrgetter("order")
_Origin = tuple[str | None, str | None, int | None]
_MANY = 256  # URLs of a stub whose buckets are remembered


class Bucket:
    """Routes in order, and from where on it is worth looking."""

    __slots__ = ("routes", "start")

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.start = 0

    def insert(self, route: Route) -> None:
        """Put a route where its order says."""
        if not self.routes or self.routes[-1].order < route.order:
            self.routes.append(route)
        else:
            insort(self.routes, route, key=by_order)
            self.start = 0

    def skip_exhausted(self) -> None:
        """Let `live` begin behind the routes that are used up: a long queue is walked once."""
        while self.start < len(self.routes) and self.routes[self.start].exhausted:
            self.start += 1

    def live(self) -> Iterable[Route]:
        """Return the routes that may have a step left."""
        if not self.start:
            return self.routes
        return self._behind_the_exhausted()

    def _behind_the_exhausted(self) -> Iterator[Route]:
        index = self.start
        while index < len(self.routes):  # the list may grow meanwhile
            yield self.routes[index]
            index += 1


class Index:
    """Find the buckets of the routes that may match a URL."""

    def __init__(self) -> None:
        self._exact: dict[Canonical, Bucket] = {}
        self._places: dict[Place, Bucket] = {}
        self._paths: dict[Place, Bucket] = {}  # places on any host
        self._templates: dict[_Origin, _Tree] = {}
        self._needles: Needles[Bucket] | None = None
        self._others: Bucket | None = None
        self._all_exact = True
        self._found: dict[URL, list[Bucket]] = {}  # what was looked up since the last route came

    def insert(self, route: Route) -> None:
        """Put a route into its bucket."""
        self.bucket_of(route.pattern).insert(route)
        self._found = {}  # a new one: another thread may be about to add to the old one

    def bucket_of(self, pattern: Pattern) -> Bucket:
        """Return the bucket in which the routes with such a pattern stand."""
        if pattern.exact is not None:
            return _bucket_in(self._exact, pattern.exact)
        self._all_exact = False
        if pattern.place is not None:
            places = self._paths if pattern.place[0] is None else self._places
            return _bucket_in(places, pattern.place)
        if pattern.template is not None:
            scheme, host, port, segments = pattern.template
            return self._tree_of((scheme, host, port)).bucket_of(segments)
        if pattern.needle:
            self._needles = self._needles or Needles(Bucket)
            return self._needles.bucket_of(pattern.needle)
        self._others = self._others or Bucket()
        return self._others

    def _tree_of(self, origin: _Origin) -> _Tree:
        return self._templates.setdefault(origin, _Tree())

    def live(self, canonical: Canonical, request: Request) -> Iterable[Route]:
        """Return the routes that may match a request and have a step left, in order."""
        if self._all_exact:
            bucket = self._exact.get(canonical)
            if bucket is None:
                return ()
            return bucket.live() if bucket.start else bucket.routes
        found = self._find(canonical, request.url)
        if len(found) == 1:
            return found[0].live()
        return _merged(bucket.live() for bucket in found)

    def all(self, canonical: Canonical, request: Request) -> Iterable[Route]:
        """Return the routes that may match a request, used up or not, in order."""
        buckets = self._find(canonical, request.url)
        return _merged(tuple(bucket.routes) for bucket in buckets)

    def _find(self, canonical: Canonical, url: URL) -> list[Bucket]:
        """Return the buckets in which all routes stand that match a URL, and few others."""
        known = self._found
        found = known.get(url)  # a client asks for the same few URLs over and over
        if found is None:
            found = self._look_up(canonical, url)
            if len(known) >= _MANY:
                known.clear()
            known[url] = found
        return found

    def _look_up(self, canonical: Canonical, url: URL) -> list[Bucket]:
        exact = self._exact.get(canonical)
        found = [] if exact is None else [exact]
        if self._places and (bucket := self._places.get(canonical[:4])):
            found.append(bucket)
        if self._paths and (bucket := self._paths.get((None, None, None, canonical.path))):
            found.append(bucket)
        if self._templates:
            found += self._templates_for(canonical)
        if self._needles is not None:
            found += self._needles.found_in(as_sent(url))
        if self._others is not None:
            found.append(self._others)
        return found

    def _templates_for(self, canonical: Canonical) -> Iterator[Bucket]:
        scheme, host, port, path, _ = canonical
        segments = path.split("/")
        for origin in ((scheme, host, port), (scheme, None, port), (None, None, None)):
            tree = self._templates.get(origin)
            if tree is not None:
                yield from tree.found_along(segments)


def _merged(routes: Iterable[Iterable[Route]]) -> Iterable[Route]:
    several = list(routes)
    return several[0] if len(several) == 1 else heapq.merge(*several, key=by_order)


_Key = TypeVar("_Key")


def _bucket_in(buckets: dict[_Key, Bucket], key: _Key) -> Bucket:
    bucket = buckets.get(key)
    if bucket is None:
        bucket = buckets[key] = Bucket()
    return bucket


class _Tree:
    """Templates by the segments of their paths; each branch is one segment."""

    __slots__ = ("any", "ends_here", "literal", "rest")

    def __init__(self) -> None:
        self.literal: dict[str, _Tree] = {}
        self.any: _Tree | None = None  # behind a segment with a placeholder
        self.rest: Bucket | None = None  # one for the rest of the path
        self.ends_here: Bucket | None = None

    def bucket_of(self, segments: tuple[Segment, ...]) -> Bucket:
        """Return the bucket of the templates with these segments."""
        node = self
        for segment in segments:
            if isinstance(segment, Rest):
                node.rest = node.rest or Bucket()
                return node.rest
            node = node.branch(segment)
        node.ends_here = node.ends_here or Bucket()
        return node.ends_here

    def branch(self, segment: str | None) -> _Tree:
        """Return what is behind a segment; ``None`` is one with a placeholder."""
        if segment is not None:
            return self.literal.setdefault(segment, _Tree())
        self.any = self.any or _Tree()
        return self.any

    def found_along(self, segments: list[str]) -> Iterator[Bucket]:
        """Give the buckets of the templates that a path of these segments may match."""
        nodes = [self]
        for segment in segments:
            onward = []
            for node in nodes:
                if node.rest is not None:
                    yield node.rest
                if segment in node.literal:
                    onward.append(node.literal[segment])
                if node.any is not None:
                    onward.append(node.any)
            nodes = onward
        for node in nodes:
            if node.ends_here is not None:
                yield node.ends_here


_Found = TypeVar("_Found")


class Needles(Generic[_Found]):
    """Regexes by a piece of text without which they are not found in a URL.

    Args:
        make: makes an empty bucket for those with the same piece.
    """

    def __init__(self, make: Callable[[], _Found]) -> None:
        self._make = make
        self._buckets: dict[str, _Found] = {}
        self._lengths: dict[str, tuple[int, ...]] = {}  # of the pieces, by how they begin

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def bucket_of(self, needle: str) -> _Found:
        """Return the bucket of the regexes with this piece."""
        bucket = self._buckets.get(needle)
        if bucket is None:
            bucket = self._buckets[needle] = self._make()
            # A new tuple each time: another thread may be going through the old one.
            known = self._lengths.get(needle[0], ())
            self._lengths[needle[0]] = (*{*known, len(needle)},)
        return bucket

    def found_in(self, text: str) -> list[_Found]:
        """Return the buckets whose pieces stand somewhere in a text."""
        pieces = {
            text[start : start + length]
            for start, begin in enumerate(text)
            for length in self._lengths.get(begin, ())
        }
        return [self._buckets[piece] for piece in pieces if piece in self._buckets]
