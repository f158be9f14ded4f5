"""The story of one request: a decision about it, what it is answered, and the end.

Rules of the file:

- An `Exchange` is one request. A redirect, an authentication round trip and a middleware's retry
  are requests of their own.
- A decision is made once, as early as it can be: at the boundary, when the head has arrived, or
  when the body has. Whoever makes it uses up a step.
- Who the client is, an aiohttp session in this process or anybody on a socket, is the affair of
  the classes derived from it.

aiohttp's private names used here, and why:

- ``aiohttp.helpers.set_result``: for futures that may be cancelled.
"""

from __future__ import annotations

import abc
import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp.helpers import set_result

from aiostub._answers.failure import Failure
from aiostub._answers.reply import Reply
from aiostub._answers.steps import (
    Action,
    Ask,
    Deliver,
    Fail,
    FireTimer,
    Hang,
    LetThrough,
    Send,
    Serve,
    TimerName,
    name_of,
)
from aiostub._matching.verdict import Undecided
from aiostub._routing.registry import (
    Decision,
    PassThrough,
    Registry,
    Unanswered,
    dispatch,
    no_step_error,
    unmatched_error,
)
from aiostub._routing.router import Taken
from aiostub._wire.play import SPOILED, Player, send
from aiostub.exceptions import RouteError
from aiostub.faults import Fault

if TYPE_CHECKING:
    from aiohttp.http_exceptions import HttpProcessingError

    from aiostub._exchange.apps import RunningApp
    from aiostub._log.calls import Call, Log
    from aiostub._matching.request import Headers, Request
    from aiostub._routing.route import Route
    from aiostub._wire.far_end import FarEnd, Head

_logger = logging.getLogger("aiostub")

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # RFC 9110, 10.1.1
_GO_ON = b"100"
_HTTP_1 = (b"HTTP/1.1 ", b"HTTP/1.0 ")


class Exchange(abc.ABC):
    """One request, the decision about it, and what it meets."""

    __slots__ = (
        "_answering",
        "_declined",
        "_log_of",
        "_over",
        "_received",
        "_received_size",
        "_replays",
        "_tasks",
        "_tasks_stopped",
        "_waiting",
        "action",
        "call",
        "decision",
        "far_end",
        "has_arrived",
        "loop",
        "registries",
        "registry",
        "request",
    )

    call: Call
    request: Request

    def __init__(self, registries: Sequence[Registry]) -> None:
        self.registries = registries
        self.registry = registries[0]
        self.loop = asyncio.get_running_loop()
        self.far_end: FarEnd | None = None
        self.has_arrived = False  # at a server of its own, the one that its URL names
        self.decision: Decision | None = None
        self.action: Action | None = None
        self._declined: tuple[Route, ...] = ()
        self._tasks: set[asyncio.Task[None]] | None = None
        self._tasks_stopped = False
        self._received: list[bytes] = []
        self._received_size = 0  # of all that came, kept or not
        self._answering = False
        self._over = False
        self._replays = False  # it meets again what the call before it met
        self._log_of: Log | None = None
        self._waiting: asyncio.Future[None] | None = None

    # What depends on who the client is.

    @abc.abstractmethod
    def fail_client(self, error: BaseException) -> None:
        """Let the client meet an exception although its request has been sent."""

    @abc.abstractmethod
    def _exception_of(self, failure: Failure) -> BaseException:
        """Make the exception that a step says, or note why none can be made."""

    @abc.abstractmethod
    def _fire(self, which: TimerName) -> None:
        """Let one of the client's timers fire."""

    @abc.abstractmethod
    async def _hand_over(self) -> None:
        """Put the real network in the far end's place, and repeat what was sent so far."""

    @abc.abstractmethod
    def _let_resend_meet_it(self) -> None:
        """Keep what the call meets for a client that sends the request once more by itself."""

    def _redirected_from(self) -> str | None:
        """Return the URL whose answer sent the client here."""
        return None

    @abc.abstractmethod
    def abandon(self) -> None:
        """End a request that is still in flight when its stub stops."""

    def stub_stopped(self, registry: Registry) -> None:
        """Learn that a stub has stopped; what another answers, or may answer yet, goes on."""
        if self.registry is not registry:
            return  # it has been decided while another thread stopped the stub
        left = [each for each in self.registries if not each.stopped]
        if self.decision is None and left:
            self.registry = left[0]
            self.registry.in_flight.add(self)
        else:
            self.abandon()

    def answered(self) -> None:  # noqa: B027 - who is told by the client needs no second word
        """Learn that all of a response has been sent."""

    def _expects_answer(self) -> bool:
        """Tell whether an answer may be sent this very moment."""
        return True

    # Deciding.

    def decide(self) -> None:
        """Ask the stubs who answers, with what has arrived so far.

        Raises:
            BaseException: what a matcher of the user's raised.
        """
        if self.registry.stopped or len(self.registries) > 1:
            left = [registry for registry in self.registries if not registry.stopped]
            self.registries = left or self.registries[:1]
        registry, decision = dispatch(
            self.registries,
            self.request,
            declined=self._declined,
            has_arrived=self.has_arrived,
        )
        if not isinstance(decision, Undecided):
            self._settle(registry, decision)

    def _settle(self, registry: Registry, decision: Decision) -> None:
        self.decision = decision
        if registry is not self.registry:
            self.registry.in_flight.discard(self)
            self.registry = registry
            self.registry.in_flight.add(self)
        route = None
        if isinstance(decision, Taken):
            route, step = decision.route, decision.step
            if step is not None:
                self.action = step.action
            self.request._path_params = decision.match.path_params
        elif isinstance(decision, PassThrough):
            self.action = LetThrough()
        if not isinstance(self.action, Send):
            self._prepare(self.action)
        self._log(route)

    def _prepare(self, action: Action | None) -> None:
        """Do what an action wants done before the request is sent."""
        if isinstance(action, LetThrough):
            self.call.passed_through = True
        elif isinstance(action, Fail) and action.failure.attempts != 1:
            self._let_resend_meet_it()
        elif isinstance(action, (Deliver, Ask)) and action.make is not None:
            self._dress(action.make)

    def _dress(self, _: Callable[..., Any]) -> None:  # noqa: B027 - who is on a socket sees bytes alone
        """Let the client see a response of the kind that a dialect promises."""

    def _log(self, route: Route | None) -> None:
        """Log the call with the stub that answers; until one does, with the innermost."""
        call, log = self.call, self.registry.log
        call.route = route
        if route is not None:
            route.remember(call)
        if self._log_of is not log and not self.registry.is_guard:
            if self._log_of is not None:
                self._log_of.discard(call)
            self._log_of = log
            log.add(call)
        if log.watchers:
            log.wake()

    # What the far end tells.

    def head_arrived(self, message: Head) -> None:
        """Take the head of the request as it is on the wire."""
        self._arrived(message.headers)
        self._go_on()

    def body_in(self, data: bytes, start: int) -> bytes:
        """Return the body that begins in the midst of what came."""
        return data[start:]

    def body_arrived(self, data: bytes) -> None:
        """Take a piece of the body."""
        limit, wanted = self.registry.log_bodies, self._wants_body()
        if limit is None or wanted:
            self._received.append(data)
        elif self._received_size < limit:
            self._received.append(data[: limit - self._received_size])
        if not wanted and self.far_end is not None and not isinstance(self.action, LetThrough):
            self.far_end.raw.clear()  # nobody will want it repeated
        self._received_size += len(data)

    def _wants_body(self) -> bool:
        """Tell whether somebody may still ask for all of the body, besides the log."""
        return self.decision is None or isinstance(self.action, (Ask, Serve))

    def request_arrived(self, message: Head, data: bytes) -> None:
        """Learn that the request is complete: it can be answered now."""
        if data:
            self.body_arrived(data)
        self._arrived(message.headers)
        self.request._complete = True
        if self.decision is not None or self._try(self.decide):
            self._answer_soon()

    def request_refused(self, error: HttpProcessingError) -> None:
        """Answer as aiohttp's server does what it cannot parse."""
        if self.decision is None:
            self._settle(self.registry, Unanswered())
        if not isinstance(self.action, Deliver):  # which is whatever the request was
            self.action = Send(Reply(400, text=f"Bad Request: {error.message}"))
        self._answer_soon()

    def client_left(self) -> None:
        """Learn that the client has closed the connection: nobody waits for an answer."""
        self._stop_tasks()

    def _arrived(self, headers: Headers) -> None:
        self.request._arrived(headers, b"".join(self._received), self._received_size)

    def _go_on(self) -> None:
        """Answer as soon as what has arrived allows it."""
        if self.decision is None and not self._try(self.decide):
            return
        if self.request.complete or self._needs_no_body():
            self._answer_soon()
        elif self._asks_for_leave():
            assert self.far_end is not None
            self.far_end.write(_CONTINUE)

    def _asks_for_leave(self) -> bool:
        """Tell whether the client waits with the body until it is told to send it."""
        return self.request.headers.get("Expect", "").lower() == "100-continue"

    def _needs_no_body(self) -> bool:
        """Tell whether the answer may begin before the request is complete."""
        action = self.action
        may_be_early = isinstance(action, (Send, Deliver, Ask)) and action.early
        return isinstance(action, Serve) or may_be_early

    def _try(self, act: Any, *args: Any) -> bool:
        """Do what may raise an error of the user's, which then is the answer."""
        try:
            act(*args)
        except BaseException as error:
            if self._is_for_nobody(error):
                raise
            self.fail_client(error)
            return False
        return True

    # Answering.

    def _answer_soon(self) -> None:
        if self._answering:
            return
        self._answering = True
        action = self.action
        if isinstance(action, Send) and not action.reply.takes_time and self._expects_answer():
            self._send(action.reply)  # the wire hands it on in a turn of the loop of its own
        elif isinstance(action, Deliver):
            self._deliver_soon(action)
        elif isinstance(action, Serve):
            self._serve_soon(action)
        else:
            self.loop.call_soon(self._answer)

    def _serve_soon(self, serve: Serve) -> None:
        assert self.far_end is not None
        if self.request.complete and self._expects_answer():
            self._try(self._serve, serve)  # it reads the request in a turn of its own
            return
        if not self.request.complete:
            self.far_end.hold()
        self.loop.call_soon(self._answer)

    def _deliver_soon(self, _: Deliver) -> None:
        self.loop.call_soon(self._answer)

    def _answer(self) -> None:
        if self._over or self._tasks_stopped or self.far_end is None:
            return
        if isinstance(self.decision, Unanswered) and self.action is None:
            self._try(lambda: self.fail_client(self._unmatched()))
            return
        self._carry_out(self.action)

    def _carry_out(self, action: Action | None) -> None:
        match action:
            case None:
                self.fail_client(self._no_step())
            case Send(reply):
                self._reply(reply)
            case Deliver() as delivery:
                self._deliver(delivery)
            case Fail(failure):
                self._spawn(self.fail, failure)
            case Ask() as ask:
                self._spawn(self._ask, ask)
            case FireTimer(which):
                self._try(lambda: self._fire(which))
            case Hang():
                pass
            case LetThrough():
                self._spawn(self._hand_over)
            case Serve() as serve:
                self._try(self._serve, serve)

    def _reply(self, reply: Reply) -> None:
        if reply.takes_time:
            self._spawn(self._perform, reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        assert self.far_end is not None
        self._served(reply.status)
        send(self.far_end, reply)
        self.answered()

    def _deliver(self, delivery: Deliver) -> None:
        assert self.far_end is not None
        self._served(delivery.status)
        self.far_end.answer_at_once(delivery.data, keep=self.request.complete)

    async def _perform(self, reply: Reply) -> None:
        await self._pause(reply.delay)
        self._served(reply.status)
        player = self.player()
        try:
            await player.perform(reply)
            self.answered()
        except Fault as fault:
            await player.strike(fault)
        except BaseException as error:
            if self._is_for_nobody(error):
                raise
            if self._tasks_stopped:  # it went on writing to a client that has left
                return
            self.registry.note(error)
            await player.strike(Fault("disconnect"))

    def answer_began(self, data: bytes) -> bool:
        """Learn what a web server has sent first; tell whether it is the head of its answer."""
        status = data[9:12] if data.startswith(_HTTP_1) else b""
        if status == _GO_ON:
            return False
        self._served(int(status) if status.isdigit() else 0)
        return True

    def _serve(self, serve: Serve) -> None:
        app: RunningApp | None = self.registry.apps.get((serve, self.loop))
        if app is not None and app.started:
            app.ask(self)
        else:
            self._spawn(self._start_and_ask, serve)

    async def _start_and_ask(self, serve: Serve) -> None:
        from aiostub._exchange.apps import running_app  # noqa: PLC0415 - a web server, for those who want one

        app = running_app(self.registry, serve)
        await app.start()
        app.ask(self)

    async def fail(self, failure: Failure) -> None:
        """Let the client meet a failure, now that its request has come."""
        await self._pause(failure.delay)
        if failure.fault is None or failure.fault.stage == "connection":
            self._try(lambda: self.fail_client(self._exception_of(failure)))
            return
        if failure.fault.stage == "body" and failure.fault.name not in ("disconnect", "reset"):
            self._served(SPOILED.status)
        await self.player().fail(failure.fault)
        self.answered()

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
        try:
            if answer is None or isinstance(answer, Reply):
                return answer
            if isinstance(answer, (dict, list)):
                return Reply(json=answer)
            if isinstance(answer, str):
                return Reply(text=answer)
            if isinstance(answer, bytes):
                return Reply(body=answer)
            if isinstance(answer, int) and not isinstance(answer, bool):
                return Reply(answer)
        except RouteError as error:
            raise RouteError(f"handle: {name_of(ask.callback)}: {error}") from None
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
            self.registry.streamed.append(reply)
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
            self._spawn(self.fail, self.action.failure)
        else:
            self.fail_client(error)

    def judge(self, error: BaseException) -> None:
        """Note what a served handler should not have raised.

        Raises:
            Fault: it raised one, for the client to meet.
        """
        if isinstance(error, Fault):
            raise error
        gone = self.far_end is None or self.far_end.is_deserted
        if not (gone and isinstance(error, ConnectionError)):
            self.registry.note(error)

    def _ask_the_next(self) -> None:
        """Give the use back, and let the next route answer."""
        taken = self.decision
        assert isinstance(taken, Taken)
        self._declined = (*self._declined, taken.route)
        if taken.step is not None:
            self.registry.router.give_back(taken.route, taken.step)
        taken.route.forget(self.call)
        if self._log_of is not None:
            self._log_of.discard(self.call)
            self._log_of = None
        self.call.route = self.decision = self.action = None
        self._answering = False
        self._go_on()

    def player(self) -> Player:
        """Return what plays replies and faults to the client."""
        assert self.far_end is not None
        return Player(self.far_end)

    def _served(self, status: int) -> None:
        self.call._served = status
        self.call.elapsed = self.loop.time() - self.call.started

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

    # Errors of nobody answering.

    def _unmatched(self) -> BaseException:
        self.call._unmatched = True
        error = unmatched_error(
            self.registries,
            self.request,
            declined=self._declined,
            redirected_from=self._redirected_from(),
            has_arrived=self.has_arrived,
        )
        _logger.error("%s", error)
        return error

    def _no_step(self) -> BaseException:
        assert isinstance(self.decision, Taken)
        return no_step_error(self.registry, self.decision.route)

    # Tasks.

    def _spawn(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        task = self.loop.create_task(self._never_silent(work, *args))
        self._tasks = self._tasks or set()
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
            self.fail_client(error)

    def _is_for_nobody(self, error: BaseException) -> bool:
        """Tell whether an exception is to end our task, or the event loop, and not the call."""
        ours = isinstance(error, asyncio.CancelledError) and self._tasks_stopped
        return ours or isinstance(error, (KeyboardInterrupt, SystemExit))

    def _close_call(self, error: BaseException | None) -> None:
        """Note in the log that the call is over, with the exception that the client met, if any."""
        self._over = True
        call = self.call
        if self.registry.log_bodies is not None:
            call.request = call.request.cut(self.registry.log_bodies)
        if error is not None:
            call._error = error
        if call.elapsed is None:
            call.elapsed = self.loop.time() - call.started
        if self.decision is None:
            self._log(None)  # it never came far enough to be answered
        call.end()
        if self._tasks:
            self._stop_tasks()
        self.registry.in_flight.discard(self)

    def _stop_tasks(self) -> None:
        self._tasks_stopped = True
        for task in tuple(self._tasks or ()):
            task.cancel()


def _as_runtime_error(error: StopIteration) -> RuntimeError:
    replacement = RuntimeError("the callback raised StopIteration")
    replacement.__cause__ = error
    return replacement
