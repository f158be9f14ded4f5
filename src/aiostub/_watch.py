"""Who watches: a test runner that wants to know what happens while one of its tests runs.

Nobody does by default, and then the price is one look at `current`. A runner that watches only if a
stub is used at all leaves in `awaited` what the first one shall call.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Protocol

from aiostub import _kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import BaseConnector

__all__ = ["Watch", "awaited", "current", "exchange", "tell", "tell_unstarted", "unstarted"]


if TYPE_CHECKING:

    class Watch(Protocol):
        """Be told what a test does."""

        def stub_used(self, registry: Any) -> None:
            """Learn of a stub that answers from now on, by what it knows."""

        def sender(self) -> Any:
            """Return who makes the client call that begins now."""

        def connector_used(self, connector: BaseConnector) -> None:
            """Learn of a connector that meets a stub for the first time."""

        def connector_closed(self, connector: BaseConnector) -> None:
            """Learn that a connector is closed while a stub is started."""


_kept.install()  # here, because a test runner has this module loaded before the tests begin

current: Watch | None = None
awaited: Callable[[], None] | None = None
unstarted: list[weakref.ref[Any]] = []  # what stubs know whose connectors or sockets need no start


def exchange(watch: Watch | None) -> Watch | None:
    """Let another watch, or nobody, and return who did."""
    global current
    before, current = current, watch
    return before


def tell(registry: Any) -> None:
    """Tell who watches of a stub that answers from now on, by what it knows."""
    if current is None and awaited is not None:
        awaited()
    if current is not None:
        current.stub_used(registry)


def tell_unstarted(registry: Any) -> None:
    """Tell of a stub that answers without being started, now and whenever a watch begins."""
    known = weakref.ref(registry, unstarted.remove)
    if known not in unstarted:
        unstarted.append(known)
    tell(registry)
