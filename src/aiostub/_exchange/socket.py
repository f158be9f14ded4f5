"""A request that came over a socket, from whatever client.

Rules of the file:

- What can only happen inside an aiohttp client becomes the nearest thing on the wire: a timer of
  the client's is silence, a failure of its connection a reset (TCP RST), and what nobody answers
  a 501 with the text.
- The call's error is what the client was made to meet; what it makes of that, nobody here sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientResponseError

from aiostub import _explain
from aiostub._answers.reply import Reply
from aiostub._exchange.exchange import Exchange
from aiostub._log.calls import Call, Origin
from aiostub._matching.request import Request
from aiostub._wire.play import Player, send
from aiostub.exceptions import AiostubError, RouteError, StubStateError

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage
    from yarl import URL

    from aiostub._answers.failure import Failure
    from aiostub._answers.steps import TimerName
    from aiostub._routing.registry import Registry
    from aiostub._wire.far_end import FarEnd
    from aiostub.faults import Fault

_SAID = range(400, 600)  # a status with which an answer can stand for an exception
_ONLY_SLOW = frozenset({"drip", "stall"})  # the client need not take them for an error


class SocketExchange(Exchange):
    """A request of a client that is no session of this process's."""

    __slots__ = ()

    def __init__(
        self,
        registries: Sequence[Registry],
        far_end: FarEnd,
        message: RawRequestMessage,
        url: URL,
    ) -> None:
        super().__init__(registries)
        self.has_arrived = True
        self.far_end = far_end
        self.request = Request(message.method, url, message.headers, sent=True)
        self.call = Call(self.request, Origin(message.method, url), self.loop.time())
        self.registry.in_flight.add(self)
        self._log(None)

    # The nearest thing on the wire.

    def fail_client(self, error: BaseException) -> None:
        """Let the client meet what comes nearest to an exception."""
        assert self.far_end is not None
        self.call._error = error
        if isinstance(error, AiostubError):
            self._say(501, str(error))
        elif isinstance(error, asyncio.TimeoutError):
            self._served_nothing()
        elif isinstance(error, ClientResponseError) and error.status in _SAID:
            self._say(error.status, error.message)
        elif isinstance(error, (OSError, ClientError)):
            self._served_nothing()
            self.far_end.reset()
            self.end(error)
        else:
            self._say(500, f"{type(error).__name__}: {error}")

    def _say(self, status: int, text: str) -> None:
        assert self.far_end is not None
        self._served(status)
        send(self.far_end, Reply(status, text=text))
        self.answered()

    def _served_nothing(self) -> None:
        self.call.elapsed = self.loop.time() - self.call.started

    def _exception_of(self, failure: Failure) -> BaseException:
        if failure.fault is not None:
            return ConnectionResetError(str(failure.fault))
        if isinstance(failure.exc, ClientResponseError) and failure.exc.status in _SAID:
            return failure.exc
        kind = failure.exc if isinstance(failure.exc, type) else type(failure.exc)
        if issubclass(kind, asyncio.TimeoutError):
            return asyncio.TimeoutError()
        return ConnectionResetError(f"in place of {kind.__name__}")

    def player(self) -> Player:
        """Return what plays replies and faults to the client."""
        assert self.far_end is not None
        return _Witness(self.far_end, self._met)

    def _met(self, fault: Fault) -> None:
        """Remember the fault that the client meets, if it is one that ends the answer."""
        if fault.name not in _ONLY_SLOW:
            kind = ConnectionResetError if fault.name == "reset" else ConnectionError
            self.call._error = kind(str(fault))

    def _fire(self, which: TimerName) -> None:
        """Say nothing: it is for the client to know how long it waits."""

    async def _hand_over(self) -> None:
        error = RouteError(_explain.no_way_through(self.request.method, str(self.request.url)))
        self.registry.note(error)
        self.fail_client(error)

    def _let_resend_meet_it(self) -> None:
        """Keep nothing: who sends again is a new client to us."""

    # The end.

    def answered(self) -> None:
        """Learn that all of a response has been sent."""
        self.end(None)

    def client_left(self) -> None:
        """Learn that the client has closed the connection: nobody waits for an answer."""
        self.end(None if self.call.status else ConnectionResetError("the client has left"))

    def end(self, error: BaseException | None) -> None:
        """Close the story, and let the connection serve the next one."""
        if self._over:
            return
        self._close_call(error)
        assert self.far_end is not None
        self.far_end.finish(self)

    def abandon(self) -> None:
        """End a request that is still in flight when its stub stops, or its socket closes."""
        if self._over:
            return
        assert self.far_end is not None
        what = "stub was stopped" if self.registry.stopped else "socket was closed"
        request = f"{self.request.method} {self.request.url}"
        far_end = self.far_end
        self.end(StubStateError(f"the {what} while {request} was in flight"))
        far_end.abort()


class _Witness(Player):
    """Tell of each fault that is played."""

    def __init__(self, far_end: FarEnd, tell: Callable[[Fault], None]) -> None:
        super().__init__(far_end)
        self._tell = tell

    async def fail(self, fault: Fault) -> None:
        self._tell(fault)
        await super().fail(fault)

    async def strike(self, fault: Fault) -> None:
        self._tell(fault)
        await super().strike(fault)

    async def _spoil(self, reply: Reply, fault: Fault) -> None:
        self._tell(fault)
        await super()._spoil(reply, fault)
