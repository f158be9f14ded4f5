"""Who watches: a test runner that wants to know what happens while one of its tests runs.

Nobody does by default, and then the price is one look at `current`. A runner that watches only if a
stub is used at all leaves in `awaited` what the first one to start shall call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import BaseConnector

__all__ = ["Watch", "awaited", "current", "exchange"]


if TYPE_CHECKING:

    class Watch(Protocol):
        """Be told what a test does."""

        def stub_started(self, registry: Any) -> None:
            """Learn of a stub, by what it knows."""

        def sender(self) -> Any:
            """Return who makes the client call that begins now."""

        def connector_used(self, connector: BaseConnector) -> None:
            """Learn of a connector that meets a stub for the first time."""

        def connector_closed(self, connector: BaseConnector) -> None:
            """Learn that a connector is closed while a stub is started."""


current: Watch | None = None
awaited: Callable[[], None] | None = None


def exchange(watch: Watch | None) -> Watch | None:
    """Let another watch, or nobody, and return who did."""
    global current
    before, current = current, watch
    return before
