"""A loop whose clock runs only while there is nothing to do.

Server, client and stub of a scenario share one loop, so whatever is going to happen before a
timer fires is on its way already when the loop falls idle. On this clock no timer overtakes
it, however busy the machine is, and nobody waits for the whole of a timeout.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

GRACE = 0.02  # real seconds that a socket has to say something before the clock moves on
NEAR = 1.0  # seconds; a timer farther away is waited for in real time (a thread may be working)


class IdleLoop(asyncio.SelectorEventLoop):
    """Count the time of timers only, and none for work."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the seconds that this loop was idle."""
        return self.now


class _Selector(selectors.DefaultSelector):
    """Move the clock of the loop on when it has nothing left to do."""

    def __init__(self, loop: IdleLoop) -> None:
        super().__init__()
        self._of = loop

    def select(self, timeout: float | None = None) -> Any:
        """Wait no longer than the grace, then be at the next timer."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        events = super().select(self._patience(timeout))
        if not events:
            self._of.now += timeout
        return events

    def _patience(self, timeout: float) -> float:
        """Return for how many real seconds something may be on its way from elsewhere."""
        if len(self.get_map()) == 1 and self._of._default_executor is None:
            return 0  # no socket but that by which threads wake the loop, and no thread
        return min(timeout, GRACE) if timeout <= NEAR else timeout


def run_idle(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as ``asyncio.run`` does, on this clock."""
    loop = IdleLoop()
    try:
        result = loop.run_until_complete(work)
        loop.run_until_complete(_cancel_others())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        return result
    finally:
        loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
