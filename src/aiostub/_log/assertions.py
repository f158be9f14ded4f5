"""The assertions that stubs and routes share: how often, and with what."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from aiostub import _explain
from aiostub._matching.pattern import Pattern, nearness
from aiostub._matching.url import canonical
from aiostub._matching.verdict import Mismatch

if TYPE_CHECKING:
    from aiostub._log.calls import Call, Calls


def described(pattern: Pattern) -> str:
    """Return a pattern as a text calls it."""
    verb = "any method" if pattern.verb == "any" else pattern.verb
    return " ".join(part for part in (verb, pattern.url_text, pattern.conditions_text) if part)


def named(call: Call) -> str:
    """Return a call as a text calls it."""
    return f"{call.request.method} {call.request.url}"


class CallAssertions(abc.ABC):
    """Assert on the calls of a stub or of a route."""

    @property
    @abc.abstractmethod
    def calls(self) -> Calls:
        """Return the calls to assert on."""

    def _name(self) -> str | None:
        """Return what a text calls the route; ``None`` for the whole stub."""
        return None

    def assert_called(self) -> None:
        """Assert that there was a call.

        Raises:
            AssertionError: there was none.
        """
        if not self.calls:
            raise AssertionError(_explain.call_count(1, (), of=self._name(), at_least=True))

    def assert_not_called(self) -> None:
        """Assert that there was no call.

        Raises:
            AssertionError: there was one; with the timeline.
        """
        self._assert_count(0)

    def assert_called_once(self) -> None:
        """Assert that there was one call, and one only.

        Raises:
            AssertionError: there were more or none; with the timeline.
        """
        self._assert_count(1)

    def _assert_count(self, expected: int) -> None:
        if len(self.calls) != expected:
            raise AssertionError(_explain.call_count(expected, self.calls.rows(), of=self._name()))

    def _assert_last(self, pattern: Pattern) -> None:
        self.assert_called()
        self._assert_is(pattern, self.calls[-1], "last")

    def _assert_only(self, pattern: Pattern) -> None:
        self._assert_count(1)
        self._assert_is(pattern, self.calls[0], "only")

    def _assert_any(self, pattern: Pattern) -> None:
        differences = [_difference(pattern, call) for call in self.calls]
        if None in differences:
            return
        nearest = max(
            (d for d in differences if d is not None), key=lambda found: found[0], default=None
        )
        compared = None if nearest is None else nearest[1]
        wanted = self._wanted(pattern)
        if self._name() is not None:
            wanted = f"one with {wanted}" if wanted else "there"
        raise AssertionError(_explain.no_such_call(wanted, compared, self.calls.rows()))

    def _assert_is(self, pattern: Pattern, call: Call, which: str) -> None:
        found = _difference(pattern, call)
        if found is not None:
            wanted = self._wanted(pattern)
            raise AssertionError(_explain.different_call(wanted, found[1], which=which))

    def _wanted(self, pattern: Pattern) -> str:
        """Return what a text asks for; a route's own method and URL are known."""
        return described(pattern) if self._name() is None else pattern.conditions_text


def _difference(pattern: Pattern, call: Call) -> tuple[float, _explain.Compared] | None:
    """Return the first thing in which a call differs from a pattern, and how near it came."""
    place = canonical(call.request.url)
    found = pattern.match(call.request, place)
    if not isinstance(found, Mismatch):
        return None
    rank = nearness(pattern, call.request, place, found)
    return rank, _explain.Compared(named(call), found.field, found.detail)
