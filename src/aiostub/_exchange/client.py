"""A request of a session in this process: what the client is told, and what it makes of it.

Rules of the file:

- What several requests of one client call have in common is in their `ClientCall`.
- Whatever ends an exchange ends it once, in `ClientExchange.end`.

aiohttp's private names used here, and why:

- ``aiohttp.helpers.ceil_timeout``: how aiohttp's connectors time a connection.
- ``aiohttp.helpers.set_exception``: for futures that may be cancelled.
- ``ClientRequest._timer`` (``timeout``, ``_cancelled``): the total timer, to fire it, and to see
  that it has.
- ``ResponseHandler._on_read_timeout``: the ``sock_read`` timer, to fire it.
- ``ClientRequest._session``: what `Request.session` shows (public from 3.12 on only).
- ``BytesPayload._value``: the body of a request that was never sent.
- ``ClientResponse._body``: a long body, for the log to hold it once.
- ``ClientRequest.response``: the response of this request, also where only a middleware sees it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientTimeout,
)
from aiohttp.helpers import ceil_timeout, set_exception
from aiohttp.payload import BytesPayload, JsonPayload, StringPayload
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub import _explain
from aiostub._answers.steps import (
    TIMERS,
    Deliver,
    Fail,
    FireTimer,
    LetThrough,
    Send,
    TimerName,
)
from aiostub._exchange.client_call import Failed, client_call_of
from aiostub._exchange.exchange import Exchange
from aiostub._log.calls import Call
from aiostub._matching.request import Request
from aiostub._routing.registry import PassThrough, Registry, Unanswered, dispatch
from aiostub._routing.router import Taken
from aiostub.exceptions import MissingTimeout, RouteError, StubStateError

if TYPE_CHECKING:
    from aiohttp import BaseConnector
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from aiostub._answers.failure import Failure
    from aiostub._answers.reply import Reply
    from aiostub._wire.far_end import FarEnd

_logger = logging.getLogger("aiostub")

# Before aiohttp 3.11 a task of its own starts the read timer, a turn of the loop after the request
# was written. An answer that is there sooner would leave that timer behind.
_SEND_STARTS_TIMER = "start_timeout" in ClientRequest.send.__code__.co_names

_LET_GO = "Connection closed"  # what aiohttp lets a body say that was released unread
_CUT_OFF = (
    ClientConnectionError,
    ClientPayloadError,
    asyncio.TimeoutError,
    asyncio.CancelledError,
    StubStateError,
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_TIMERS = frozenset({"connect", "sock_connect"})
_VERBATIM = frozenset({BytesPayload, StringPayload, JsonPayload})  # write the bytes that they hold


class ClientExchange(Exchange):
    """A request that a connector of this process's was asked to carry."""

    __slots__ = (
        "_ambient",
        "_handed_over",
        "_previous",
        "_stale",
        "client_call",
        "client_request",
        "connector",
        "followed",
        "is_settled",
        "queues",
        "stopped",
        "timeout",
        "traces",
    )

    def __init__(
        self,
        registries: Sequence[Registry],
        connector: BaseConnector,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,
    ) -> None:
        super().__init__(registries)
        self.connector = connector
        self.client_request = req
        self.traces = traces
        self.timeout = timeout
        self._ambient = _handled()
        self._stale: ClientResponse | None = req.response
        self.queues = False  # for a connection
        self.is_settled = False  # it meets nothing before it is sent: see `settle`
        self.followed = False  # somebody will say when the client is done
        self._handed_over = False
        self.stopped: StubStateError | None = None  # its stub, while it was in flight
        self.request = Request(req.method, req.url, req.headers, timeout, req.proxy, req._session)
        client_call = self.client_call = client_call_of(req, traces)
        if client_call.failed is None or not self._take_up(client_call.failed):
            self.call = Call(self.request, client_call, self.loop.time())
        client_call.failed = None
        self.call._responding = self
        self._previous = client_call.last
        client_call.last = self.call
        self.registry.in_flight.add(self)

    def _take_up(self, before: Failed) -> bool:
        """Take up the call whose failure aiohttp's own re-send meets again, if this is one."""
        self._replays = before.request() is not self.client_request
        if self._replays:
            _, self.call, self.registry, self.decision, self.action = before
            self.call.begin_again()
        return self._replays

    @property
    def knows_body(self) -> bool:
        """Tell whether the request's body can be read without being sent."""
        return not self.client_request.body or isinstance(self.client_request.body, BytesPayload)

    def would_pass(self) -> bool:
        """Tell whether the request would go to the real network, as far as it shows."""
        _, decision = dispatch(self.registries, self.request, declined=self._declined, use=False)
        if isinstance(decision, Taken):
            return decision.step is not None and isinstance(decision.step.action, LetThrough)
        return isinstance(decision, PassThrough)

    def _let_resend_meet_it(self) -> None:
        self.client_call.failed = Failed(
            weakref.ref(self.client_request),
            self.call,
            self.registry,
            self.decision,
            self.action,
        )

    # At the boundary, before there is a connection.

    def arrive(self) -> None:
        """Note that the request has got its place on the network only now, after queueing."""
        self.call.arrive(self.loop.time())
        if self._log_of is not None:  # to its new place there
            self._log_of.discard(self.call)
            self._log_of.add(self.call)

    async def settle(self) -> None:
        """Let the request meet the network, now that it has a place there."""
        if self.queues:
            self.arrive()
        if self.decision is None:
            self.decide()
        await self.before_sending()

    @property
    def refuses_connection(self) -> bool:
        """Tell whether the client shall not get a connection at all."""
        action = self.action
        if isinstance(action, Fail):
            return action.failure.fault is not None and action.failure.fault.stage == "connection"
        return isinstance(action, FireTimer) and action.which in _CONNECT_TIMERS

    async def before_sending(self) -> None:
        """Raise what the call meets before a byte is sent.

        Raises:
            BaseException: the failure, or the error of a call that nobody can answer.
        """
        if self.stopped is not None:
            raise self.stopped
        if isinstance(self.decision, Unanswered):
            raise self._unmatched()
        if self.decision is not None and self.action is None:
            raise self._no_step()
        if isinstance(self.action, FireTimer) and self.action.which in _CONNECT_TIMERS:
            self._demand_timer(self.action.which)
            raise asyncio.TimeoutError  # aiohttp makes its own connection timeout of it
        if isinstance(self.action, Fail):
            await self._fail_before_sending(self.action.failure)

    async def _fail_before_sending(self, failure: Failure) -> None:
        if failure.fault is not None:
            if failure.fault.stage == "connection":
                await self._delay_connection(failure.delay)
                raise self._exception_of(failure)
            return
        error = self._exception_of(failure)
        # aiohttp would take a timeout out of connect() for one of its own.
        if isinstance(error, asyncio.TimeoutError):
            return
        await self._pause(failure.delay)
        raise error

    async def _delay_connection(self, delay: float) -> None:
        async with ceil_timeout(self.timeout.sock_connect, self.timeout.ceil_threshold):
            await self._pause(delay)

    def _exception_of(self, failure: Failure) -> BaseException:
        """Make the exception that a step says, or note why none can be made."""
        try:
            return failure.exception(self.client_request, self.connector)
        except RouteError as error:
            self.registry.note(error)
            raise

    def connected(self, far_end: FarEnd) -> None:
        """Begin to read the request at the far end of the client's connection."""
        self.far_end = far_end
        self.followed = True
        if self.decision is None:
            self._log(None)
        far_end.begin(self, self.client_request.method)

    # On the wire.

    def body_in(self, data: bytes, start: int) -> bytes:
        """Return the bytes from *start* on; the client's own body where it is the same."""
        # The log then needs no memory for it: a copy of a megabyte is 400 µs. To compare is 25, and
        # 50 more for what it drives out of the caches: a third of an upload.
        known = self._known_body
        may_be = isinstance(known, bytes) and len(data) - start == len(known)
        same = may_be and (self._goes_out_as_it_is or data.endswith(known))
        return bytes(known) if same else super().body_in(data, start)

    @property
    def _goes_out_as_it_is(self) -> bool:
        """Tell whether aiohttp alone, and none of the user's classes, writes the body."""
        req = self.client_request
        return type(req) is ClientRequest and type(req.body) in _VERBATIM and not req.compress

    def _dress(self, make: Callable[..., Any]) -> None:
        made: Any = partial(make, self.client_request.response_class)
        self.client_request.response_class = made

    def _deliver_soon(self, delivery: Deliver) -> None:
        if not _SEND_STARTS_TIMER:  # its writing task must have begun, or it would be cancelled
            self.loop.call_soon(self.loop.call_soon, self._answer)
        elif self.timeout.sock_read:  # its read timer would be left behind
            self.loop.call_soon(self._answer)
        else:
            self._deliver(delivery)

    def _expects_answer(self) -> bool:
        """Tell whether the read timer has been started, or will be before the answer is there."""
        body_follows = self.client_request.body and not self.request.body
        return _SEND_STARTS_TIMER and not body_follows

    def _fire(self, which: TimerName) -> None:
        self._demand_timer(which)
        assert self.far_end is not None
        if which == "total":
            self.client_request._timer.timeout()  # type: ignore[attr-defined]
        else:
            self.far_end.client._on_read_timeout()

    def _demand_timer(self, which: TimerName) -> None:
        timers = {name: getattr(self.timeout, name) for name in TIMERS}
        if not timers[which]:
            error = MissingTimeout(
                _explain.missing_timeout(
                    which,
                    timers,
                    self.request.method,
                    str(self.request.url),
                    where=None if self.call.route is None else str(self.call.route.place),
                )
            )
            self.registry.note(error)
            raise error

    async def _hand_over(self) -> None:
        """Put the real network in the far end's place, and repeat what was sent so far."""
        assert self.far_end is not None
        client = self.far_end.client
        try:
            real = await self.connector._create_connection(
                self.client_request, self.traces, self.timeout
            )
        except Exception as error:  # noqa: BLE001 - it is what the real network says
            self.fail_client(error)
            return
        transport = real.transport
        assert transport is not None
        self._handed_over = True
        client.force_close()  # a real connection must not wait among ours
        self.far_end.wire.peer.set_protocol(asyncio.Protocol())
        transport.set_protocol(client)
        client.transport = transport
        transport.write(b"".join(self.far_end.raw))

    def fail_client(self, error: BaseException) -> None:
        """Let the call raise an exception although its request has been sent."""
        assert self.far_end is not None
        self.far_end.client.set_exception(error)

    def _redirected_from(self) -> str | None:
        previous = self._previous
        if previous is None or previous.status not in _REDIRECTS:
            return None
        return str(previous.request.url)

    # The end.

    def follow(self, connection: Connection) -> None:
        """Learn when the client is done with a real connection."""
        self.followed = True
        connection.add_callback(self.released)

    def released(self) -> None:
        """Learn that the client is done with its connection."""
        error = _handled()
        raised = None if error is self._ambient else error
        response = self.response()
        if response is not None and response.status is not None:
            raised = self._what_cut_off(response, raised)
        self.end(raised)  # of no head yet, or of one with its whole body

    def _what_cut_off(
        self, response: ClientResponse, raised: BaseException | None
    ) -> BaseException | None:
        """Return the exception that the client met, unless the app itself let the response go."""
        if response.content.is_eof():
            return None
        if self.broken is not None:
            return self.broken
        if getattr(self.client_request._timer, "_cancelled", False):
            return asyncio.TimeoutError()
        return raised if isinstance(raised, _CUT_OFF) else None

    def end(self, error: BaseException | None) -> None:
        """Close the story, with the exception that the client met, if any."""
        if self._over:
            return
        call = self.call
        call._response, call._responding = self.response(), None
        if not call.request._sent:
            self._take_as_sent()
        self._close_call(error)
        action = self.action
        if isinstance(action, Send) and action.reply.is_long:
            self._hold_once(action.reply)
        if self.far_end is not None:
            self.far_end.finish(self)
            if not self.followed:  # the client gave up before it had its connection
                self.far_end.abort()

    def _hold_once(self, reply: Reply) -> None:
        """Let the log hold a long body once, behind the turn in which the client reads it."""
        if self._log_of is not None and not self.loop.is_closed():
            self.loop.call_soon(self._log_of.hold_once, self.call._response, reply.body)

    def response(self) -> ClientResponse | None:
        """Return aiohttp's response, whether its head is there or not."""
        response: ClientResponse | None = self.client_request.response
        # A middleware that retries sends the same request again: the last answer is still there.
        return None if response is self._stale else response

    @property
    def broken(self) -> BaseException | None:
        """Return the exception that the response's body ended with, if it did."""
        response = self.call.response
        broken = None if response is None else response.content.exception()
        return None if str(broken) == _LET_GO else broken

    def _take_as_sent(self) -> None:
        """Take a request that nobody here has read as it was sent, or would have been."""
        if not self._received:
            self.body_arrived(bytes(self._known_body))
        self._arrived(CIMultiDictProxy(CIMultiDict(self.client_request.headers)))
        self.request._complete = True
        self.call.request = self.request

    @property
    def _known_body(self) -> bytes | bytearray:
        """Return the body, if it can be read without being sent."""
        body = self.client_request.body
        known = body._value if isinstance(body, BytesPayload) else body
        return known if isinstance(known, (bytes, bytearray)) else b""

    def abandon(self) -> None:
        """End a request that is still in flight when its stub stops."""
        if self._over or self._handed_over:
            return
        if isinstance(self.action, Deliver) and self.call._served is not None:
            self.end(None)  # all that there is has been delivered
            return
        if self.broken is not None:
            self.end(self.broken)  # only the client has not let go of its response yet
            self._let_go()
            return
        error = self.stopped = StubStateError(
            _explain.abandoned(
                self.request.method,
                str(self.request.url),
                self.loop.time() - self.call.started,
                None if self.call.route is None else str(self.call.route.place),
            )
        )
        _logger.warning("%s", error)
        far_end, response = self.far_end, self.call.response
        if far_end is None:
            if self._waiting is not None:
                set_exception(self._waiting, error)
            return
        self._stop_tasks()
        if response is not None and not response.content.is_eof():
            response.content.set_exception(error)
        far_end.client.set_exception(error)
        far_end.close()
        self._let_go()

    def _let_go(self) -> None:
        """Release the connection, which whoever has the response may never do."""
        connection = None if self.call.response is None else self.call.response.connection
        if connection is not None:
            connection.close()


def _handled_before_3_11() -> BaseException | None:
    return sys.exc_info()[1]


_handled = getattr(sys, "exception", _handled_before_3_11)  # a sixth of the time
