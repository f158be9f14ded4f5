"""The story of one request: from the boundary, through a decision, to the end of its response.

Rules of the file:

- An `Exchange` is one request. A redirect, an authentication round trip and a middleware's retry
  are requests of their own; what they have in common is in their `ClientCall`.
- A decision is made once, as early as it can be: at the boundary, when the head has arrived, or
  when the body has. Whoever makes it uses up a step.
- Whatever ends an exchange ends it once, in `Exchange.end`.

aiohttp's private names used here, and why:

- ``aiohttp.helpers.ceil_timeout``: how aiohttp's connectors time a connection.
- ``aiohttp.helpers.set_result`` and ``set_exception``: for futures that may be cancelled.
- ``ClientRequest._timer`` (``timeout``, ``_cancelled``): the total timer, to fire it, and to see
  that it has.
- ``ResponseHandler._on_read_timeout``: the ``sock_read`` timer, to fire it.
- ``ClientRequest._session``: what `Request.session` shows (public from 3.12 on only).
- ``BytesPayload._value``: the body of a request that was never sent.
- ``ClientRequest.response``: the response of this request, also where only a middleware sees it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientTimeout,
)
from aiohttp.helpers import ceil_timeout, set_exception, set_result
from aiohttp.payload import BytesPayload
from multidict import CIMultiDict, CIMultiDictProxy

from aiostub import _explain
from aiostub._calls import Call
from aiostub._client_call import Failed, client_call_of
from aiostub._failure import Failure, connection_error
from aiostub._match import Undecided
from aiostub._play import SPOILED, Player, send
from aiostub._registry import (
    Answer,
    Decision,
    PassThrough,
    Registry,
    Unanswered,
    dispatch,
    no_step_error,
    unmatched_error,
)
from aiostub._reply import Reply
from aiostub._request import Request
from aiostub._steps import (
    TIMERS,
    Action,
    Ask,
    Deliver,
    Fail,
    FireTimer,
    Hang,
    LetThrough,
    Send,
    TimerName,
    name_of,
)
from aiostub.exceptions import MissingTimeout, RouteError, StubStateError
from aiostub.faults import Fault

if TYPE_CHECKING:
    from aiohttp import BaseConnector
    from aiohttp.connector import Connection
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.tracing import Trace

    from aiostub._calls import Log
    from aiostub._far_end import FarEnd, Head
    from aiostub._request import Headers
    from aiostub._route import Route

_logger = logging.getLogger("aiostub")

# Before aiohttp 3.11 a task of its own starts the read timer, a turn of the loop after the request
# was written. An answer that is there sooner would leave that timer behind.
_SEND_STARTS_TIMER = "start_timeout" in ClientRequest.send.__code__.co_names

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # RFC 9110, 10.1.1
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


class Exchange:
    """One request, the decision about it, and what it meets."""

    __slots__ = (
        "_ambient",
        "_answering",
        "_declined",
        "_handed_over",
        "_log_of",
        "_over",
        "_previous",
        "_received",
        "_replays",
        "_stale",
        "_tasks",
        "_tasks_stopped",
        "_waiting",
        "_waits_for_leave",
        "action",
        "call",
        "client_call",
        "client_request",
        "connector",
        "decision",
        "far_end",
        "followed",
        "loop",
        "registries",
        "registry",
        "request",
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
        self.registries = registries
        self.registry = registries[0]
        self.connector = connector
        self.client_request = req
        self.traces = traces
        self.timeout = timeout
        self.loop = asyncio.get_running_loop()
        self.far_end: FarEnd | None = None
        self.decision: Decision | None = None
        self.action: Action | None = None
        self._declined: set[Route] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tasks_stopped = False
        self._ambient = sys.exc_info()[1]
        self._received: list[bytes] = []
        self._answering = False
        self._over = False
        self._log_of: Log | None = None
        self._stale: ClientResponse | None = req.response
        self.followed = False  # somebody will say when the client is done
        self._handed_over = False
        self._waits_for_leave = req.headers.get("Expect", "").lower() == "100-continue"
        self.stopped: StubStateError | None = None  # its stub, while it was in flight
        self._waiting: asyncio.Future[None] | None = None
        self.call: Call
        self.request = Request(
            req.method,
            req.url,
            CIMultiDictProxy(req.headers),
            timeout=timeout,
            proxy=req.proxy,
            session=req._session,
        )
        self.client_call = client_call_of(req, traces)
        self._begin()

    def _begin(self) -> None:
        """Open the call, or take up the one whose failure aiohttp's own re-send meets again."""
        before = self.client_call.failed
        self.client_call.failed = None
        self._replays = before is not None and before.request() is not self.client_request
        if before is not None and self._replays:
            _, self.call, self.registry, self.decision, self.action = before
            self.call.begin_again()
        else:
            self.call = Call(self.request, self.client_call.origin, self.loop.time())
        self.call._responding = self
        self._previous = self.client_call.last
        self.client_call.last = self.call
        self.registry.in_flight.add(self)

    # Deciding.

    @property
    def decided(self) -> bool:
        """Tell whether it is settled who answers."""
        return self.decision is not None

    @property
    def lets_through(self) -> bool:
        """Tell whether the request goes to the real network."""
        return isinstance(self.decision, PassThrough)

    @property
    def knows_body(self) -> bool:
        """Tell whether the request's body can be read without being sent."""
        return not self.client_request.body or isinstance(self.client_request.body, BytesPayload)

    def would_pass(self) -> bool:
        """Tell whether the request would go to the real network, as far as it shows."""
        decision = dispatch(self.registries, self.request, declined=self._declined, use=False)
        return isinstance(decision, PassThrough)

    def decide(self) -> None:
        """Ask the stubs who answers, with what has arrived so far.

        Raises:
            BaseException: what a matcher of the user's raised.
        """
        if any(registry.stopped for registry in self.registries):
            left = [registry for registry in self.registries if not registry.stopped]
            self.registries = left or self.registries[:1]
        decision = dispatch(self.registries, self.request, declined=self._declined)
        if not isinstance(decision, Undecided):
            self._settle(decision)

    def _settle(self, decision: Decision) -> None:
        assert not isinstance(decision, Undecided)
        self.decision = decision
        if decision.registry is not self.registry:
            self.registry.in_flight.discard(self)
            self.registry = decision.registry
            self.registry.in_flight.add(self)
        taken = None if isinstance(decision, Unanswered) else decision.taken
        if taken is not None and taken.step is not None:
            self.action = taken.step.action
        if taken is not None and taken.match.path_params:
            self.request = self.request.with_path_params(taken.match.path_params)
        if isinstance(decision, PassThrough):
            self.action = LetThrough()
            self.call.passed_through = True
        self._log(None if taken is None else taken.route)
        if isinstance(self.action, Fail) and self.action.failure.attempts != 1:
            self._let_resend_meet_it()
        if isinstance(self.action, Deliver):
            dressed: Any = self.action.dress(self.client_request.response_class)
            self.client_request.response_class = dressed

    def _log(self, route: Route | None) -> None:
        """Log the call with the stub that answers; until one does, with the innermost."""
        self.call.request = self.request
        self.call.route = route
        if route is not None:
            route.remember(self.call)
        if self._log_of is not self.registry.log and not self.registry.is_guard:
            self._move_to(self.registry.log)
        self.registry.log.wake()

    def _move_to(self, log: Log) -> None:
        if self._log_of is not None:
            self._log_of.discard(self.call)
        self._log_of = log
        log.add(self.call)

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
        if self._log_of is not None:
            self._move_to(self._log_of)  # to its new place there

    @property
    def just_replies(self) -> bool:
        """Tell whether nothing can happen before the request is sent."""
        return isinstance(self.action, (Send, Deliver)) and self.stopped is None

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
        if self.decided and self.action is None:
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

    async def _pause(self, delay: float) -> None:
        """Wait as long as a step says, unless its stub is stopped."""
        if not delay or self._replays:
            return
        self._waiting = self.loop.create_future()
        handle = self.loop.call_later(delay, set_result, self._waiting, None)
        try:
            await self._waiting
        finally:
            handle.cancel()
            self._waiting = None

    def _exception_of(self, failure: Failure) -> BaseException:
        """Make the exception that a step says, or note why none can be made."""
        try:
            if failure.fault is not None:
                return connection_error(failure.fault, self.client_request)
            return failure.exception(self.client_request)
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

    # What the far end tells.

    def head_arrived(self, message: Head) -> None:
        """Take the head of the request as it is on the wire."""
        self._arrived(message.headers)
        self._go_on()

    def body_arrived(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._received.append(data)

    def request_arrived(self, message: Head, data: bytes) -> None:
        """Learn that the request is complete: it can be answered now."""
        if data:
            self._received.append(data)
        self._arrived(message.headers, complete=True)
        self._go_on()

    def request_refused(self, error: HttpProcessingError) -> None:
        """Answer as aiohttp's server does what it cannot parse."""
        if not self.decided:
            self._settle(Unanswered(self.registry))
        if not isinstance(self.action, Deliver):  # which is whatever the request was
            self.action = Send(Reply(400, text=f"Bad Request: {error.message}"))
        self._answer_soon()

    def client_left(self) -> None:
        """Learn that the client has closed the connection: nobody waits for an answer."""
        self._stop_tasks()

    def _arrived(self, headers: Headers, *, complete: bool = False) -> None:
        self.request = self._with(headers, b"".join(self._received), complete=complete)
        if not self._replays:  # a body that can be sent only once is missing from a re-send
            self.call.request = self.request

    def _go_on(self) -> None:
        """Answer as soon as what has arrived allows it."""
        if self.decision is None and not self._try(self.decide):
            return
        may_be_early = isinstance(self.action, (Send, Deliver, Ask)) and self.action.early
        if self.request.complete or may_be_early:
            self._answer_soon()
        elif self._waits_for_leave:
            self._waits_for_leave = False
            assert self.far_end is not None
            self.far_end.write(_CONTINUE)

    def _try(self, act: Any) -> bool:
        """Do what may raise an error of the user's, which then is the answer."""
        try:
            act()
        except BaseException as error:
            if self._is_for_nobody(error):
                raise
            self._raise_in_client(error)
            return False
        return True

    # Answering.

    def _answer_soon(self) -> None:
        if self._answering:
            return
        self._answering = True
        action = self.action
        if isinstance(action, Deliver):
            self._deliver_soon(action)
        elif (
            isinstance(action, Send) and not action.reply.takes_time and self._client_has_gone_on()
        ):
            self._send(action.reply)  # the wire hands it on in a turn of the loop of its own
        else:
            self.loop.call_soon(self._answer)

    def _deliver_soon(self, delivery: Deliver) -> None:
        if not _SEND_STARTS_TIMER:  # its writing task must have begun, or it would be cancelled
            self.loop.call_soon(self.loop.call_soon, self._answer)
        elif self.timeout.sock_read:  # its read timer would be left behind
            self.loop.call_soon(self._answer)
        else:
            self._deliver(delivery)

    def _client_has_gone_on(self) -> bool:
        """Tell whether the read timer has been started, or will be before the answer is there."""
        body_follows = self.client_request.body and not self.request.body
        return _SEND_STARTS_TIMER and not body_follows

    def _answer(self) -> None:
        if self._over or self.far_end is None:
            return
        if isinstance(self.decision, Unanswered) and self.action is None:
            self._try(lambda: self._raise_in_client(self._unmatched()))
            return
        self._act()

    def _act(self) -> None:
        match self.action:
            case None:
                self._raise_in_client(self._no_step())
            case Send(reply):
                self._reply(reply)
            case Deliver() as delivery:
                self._deliver(delivery)
            case Fail(failure):
                self._spawn(self._fail, failure)
            case Ask() as ask:
                self._spawn(self._ask, ask)
            case FireTimer(which):
                self._try(lambda: self._fire(which))
            case Hang():
                pass
            case LetThrough():
                self._spawn(self._hand_over)

    def _reply(self, reply: Reply) -> None:
        if reply.takes_time:
            self._spawn(self._perform, reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        assert self.far_end is not None
        self._served(reply.status)
        send(self.far_end, self.request.method, reply)

    def _deliver(self, delivery: Deliver) -> None:
        assert self.far_end is not None
        self._served(delivery.status)
        self.far_end.finish_with(delivery.data)

    async def _perform(self, reply: Reply) -> None:
        await self._pause(reply.delay)
        self._served(reply.status)
        player = self._player()
        try:
            await player.perform(reply)
        except Fault as fault:
            await player.strike(fault)
        except BaseException as error:
            if self._is_for_nobody(error):
                raise
            if self._tasks_stopped:  # it went on writing to a client that has left
                return
            self.registry.note(error)
            await player.strike(Fault("disconnect"))

    async def _fail(self, failure: Failure) -> None:
        await self._pause(failure.delay)
        if failure.fault is None or failure.fault.stage == "connection":
            self._try(lambda: self._raise_in_client(self._exception_of(failure)))
            return
        if failure.fault.stage == "body" and failure.fault.name not in ("disconnect", "reset"):
            self._served(SPOILED.status)
        await self._player().fail(failure.fault)

    async def _ask(self, ask: Ask) -> None:
        if not self.request.complete:
            self._arrived(self.request.headers)
        try:
            answer = ask(self.request)
            if inspect.isawaitable(answer):
                answer = await answer
            if isinstance(answer, Deliver):
                self._deliver(answer)
                return
            reply = self._only_once(self._reply_of(answer, ask), ask)
        except BaseException as error:
            if self._is_for_nobody(error):
                raise
            self._fail_as_handler(error)
            return
        if reply is None:
            self._ask_the_next()
        else:
            self._reply(reply)

    def _reply_of(self, answer: object, ask: Ask) -> Reply | None:
        if isinstance(answer, bool):
            pass
        elif answer is None or isinstance(answer, Reply):
            return answer
        elif isinstance(answer, (dict, list)):
            return Reply(json=answer)
        elif isinstance(answer, str):
            return Reply(text=answer)
        elif isinstance(answer, bytes):
            return Reply(body=answer)
        elif isinstance(answer, int):
            return Reply(answer)
        message = (
            f"handle: {name_of(ask.callback)} returned {answer!r}; "
            "return a Reply, a dict, list, str, bytes, an int status, or None"
        )
        raise RouteError(message)

    def _only_once(self, reply: Reply | None, ask: Ask) -> Reply | None:
        if reply is not None and reply.one_shot:
            if reply in self.registry.streamed:
                message = (
                    f"handle: {name_of(ask.callback)} returned a Reply again whose stream is a "
                    "one-shot iterator; give a list or a callable that makes one"
                )
                raise RouteError(message)
            self.registry.streamed.add(reply)
        return reply

    def _fail_as_handler(self, error: BaseException) -> None:
        # pytest.fail() and its like are assertions, though they are no Exception.
        harmless = isinstance(error, (Exception, asyncio.CancelledError))
        if isinstance(error, (RouteError, AssertionError)) or not harmless:
            self.registry.note(error)
        if isinstance(error, StopIteration):  # which no coroutine can raise (PEP 479)
            error = _as_runtime_error(error)
        self.action = Fail(Failure(error))
        self._let_resend_meet_it()
        if isinstance(error, Fault):
            self._spawn(self._fail, self.action.failure)
        else:
            self._raise_in_client(error)

    def _ask_the_next(self) -> None:
        """Give the use back, and let the next route answer."""
        assert isinstance(self.decision, Answer)
        taken = self.decision.taken
        self._declined.add(taken.route)
        if taken.step is not None:
            self.registry.router.give_back(taken.route, taken.step)
        taken.route.forget(self.call)
        if self._log_of is not None:
            self._log_of.discard(self.call)
            self._log_of = None
        self.call.route = self.decision = self.action = None
        self._answering = False
        self._go_on()

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
            self._raise_in_client(error)
            return
        transport = real.transport
        assert transport is not None
        self._handed_over = True
        client.force_close()  # a real connection must not wait among ours
        self.far_end.wire.peer.set_protocol(asyncio.Protocol())
        transport.set_protocol(client)
        client.transport = transport
        transport.write(b"".join(self.far_end.raw))

    def _player(self) -> Player:
        assert self.far_end is not None
        return Player(self.far_end, self.request.method)

    def _served(self, status: int) -> None:
        self.call._served = status
        self.call.elapsed = self.loop.time() - self.call.started

    def _raise_in_client(self, error: BaseException) -> None:
        """Let the call raise an exception although its request has been sent."""
        assert self.far_end is not None
        self.far_end.client.set_exception(error)

    # Errors of nobody answering.

    def _unmatched(self) -> BaseException:
        self.call._unmatched = True
        error = unmatched_error(
            self.registries,
            self.request,
            declined=self._declined,
            redirected_from=self._redirected_from(),
        )
        _logger.error("%s", error)
        return error

    def _redirected_from(self) -> str | None:
        previous = self._previous
        if previous is None or previous.status not in _REDIRECTS:
            return None
        return str(previous.request.url)

    def _no_step(self) -> BaseException:
        assert isinstance(self.decision, Answer)
        return no_step_error(self.registry, self.decision.taken.route)

    # The end.

    def follow(self, connection: Connection) -> None:
        """Learn when the client is done with a real connection."""
        self.followed = True
        connection.add_callback(self.released)

    def released(self) -> None:
        """Learn that the client is done with its connection."""
        error = sys.exc_info()[1]
        raised = None if error is self._ambient else error
        response = self.response
        if response is None or response.status is None:  # no head, or one with its whole body
            self.end(raised)
        else:
            self.end(self._what_cut_off(response, raised))

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
        self._over = True
        call = self.call
        call._response, call._responding = self.response, None
        if error is not None:
            call._error = error
        if call.elapsed is None:
            call.elapsed = self.loop.time() - call.started
        if self.decision is None:
            self._log(None)  # it never came far enough to be answered
        if not call.request.sent:
            call.request = self._as_if_sent()
        call.end()
        if self._tasks:
            self._stop_tasks()
        self.registry.in_flight.discard(self)
        if self.far_end is not None:
            self.far_end.finish(self)
            if not self.followed:  # the client gave up before it had its connection
                self.far_end.abort()

    @property
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

    def _as_if_sent(self) -> Request:
        """Return a request that nobody here has read, as it was sent or would have been."""
        headers = CIMultiDictProxy(CIMultiDict(self.client_request.headers))
        if self._received:
            return self._with(headers, b"".join(self._received), complete=True)
        body = self.client_request.body
        known = body._value if isinstance(body, BytesPayload) else body
        whole = bytes(known) if isinstance(known, (bytes, bytearray)) else b""
        return self._with(headers, whole, complete=True)

    def _with(self, headers: Headers, body: bytes, *, complete: bool) -> Request:
        """Return the request as it is on the wire."""
        req = self.client_request
        return Request(
            req.method,
            req.url,
            headers,
            body=body,
            complete=complete,
            sent=True,
            path_params=self.request.path_params,
            timeout=self.timeout,
            proxy=req.proxy,
            session=req._session,
        )

    def abandon(self) -> None:
        """End a request that is still in flight when its stub stops."""
        if self._over or self._handed_over:
            return
        if isinstance(self.action, Deliver) and self.call._served is not None:
            self.end(None)  # all that there is has been delivered
            return
        if self.broken is not None:
            self.end(self.broken)  # only the client has not let go of its response yet
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

    def _spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        task = self.loop.create_task(self._never_silent(work, *args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _never_silent(
        self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any
    ) -> None:
        """Let the client see an error that nobody else does, instead of waiting for ever."""
        try:
            await work(*args)
        except BaseException as error:
            if self._is_for_nobody(error):
                raise
            self.registry.note(error)
            self._raise_in_client(error)

    def _is_for_nobody(self, error: BaseException) -> bool:
        """Tell whether an exception is to end our task, or the event loop, and not the call."""
        ours = isinstance(error, asyncio.CancelledError) and self._tasks_stopped
        return ours or isinstance(error, (KeyboardInterrupt, SystemExit))

    def _stop_tasks(self) -> None:
        self._tasks_stopped = True
        for task in tuple(self._tasks):
            task.cancel()


def _as_runtime_error(error: StopIteration) -> RuntimeError:
    replacement = RuntimeError("the callback raised StopIteration")
    replacement.__cause__ = error
    return replacement
