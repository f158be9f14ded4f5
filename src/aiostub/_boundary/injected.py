"""The connector that a stub hands out, for sessions that shall be stubbed without any patch."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

from aiohttp import ClientRequest, ClientTimeout, TCPConnector

from aiostub._boundary import interception
from aiostub._boundary.connector import MemoryConnector

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from aiostub._routing.registry import Registry

_Closed = Callable[["InjectedConnector", "BaseException | None"], Awaitable[None]]


class InjectedConnector(TCPConnector):
    """Ask a stub first, and be a real connector for what its rules let through.

    Made by ``stub.connector()``. Takes the keywords of `aiohttp.TCPConnector`.
    """

    def __init__(self, registry: Registry, on_close: _Closed, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._registry = registry
        self._on_close = on_close

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        """Do what ``BaseConnector.connect`` does, for a request that stubs may answer."""
        stack = interception.started()
        if self._registry not in stack:
            stack = (self._registry, *stack)
        return await interception.boundary.connect(
            MemoryConnector.connect, stack, self, req, traces, timeout
        )

    def close(self, **kwargs: Any) -> _Closing:  # type: ignore[override]
        """Close the connector; the last one of a stub that was never started checks it."""
        first = not self.closed
        interception.boundary.closed(self)
        failing = sys.exc_info()[1]
        done = super().close(**kwargs)
        return _Closing(done, (lambda: self._on_close(self, failing)) if first else None)


class _Closing:
    """Wait for a connector to close, then let its stub look at what was left over."""

    def __init__(self, done: Awaitable[None], then: Callable[[], Awaitable[None]] | None) -> None:
        self._done = done
        self._then = then

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._done.__await__()
        if self._then is not None:
            yield from self._then().__await__()
