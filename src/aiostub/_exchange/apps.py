"""Applications of aiohttp.web that answer requests: started, asked, cleaned up.

Rules of the file:

- aiohttp's own `aiohttp.web.AppRunner` starts an application, and its own server protocol reads
  each request; there is no second server here.
- One `RunningApp` is one application of one stub in one event loop.
- Startup and cleanup run in one task, as under ``web.run_app``: what a startup opens (a task
  group, a cancel scope, a context variable's token) may be closed by that very task only.
- Application and handlers run in the context in which they were registered, as behind a server
  that was started there: they do not see the context variables of the client.
- What goes wrong in an application is answered as a real server answers it, and noted besides.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import traceback
import warnings
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.log import access_logger
from aiohttp.web_log import AccessLogger

from aiostub._answers.failure import Failure
from aiostub._answers.steps import Fail
from aiostub._log.frames import FrameLog
from aiostub._matching.conditions import asks_for_websocket
from aiostub._routing.websocket import NO_VERDICT
from aiostub._wire.server_side import ServerSide
from aiostub.exceptions import RouteError, StubStateError
from aiostub.faults import Fault

if TYPE_CHECKING:
    from aiostub._answers.steps import Serve
    from aiostub._exchange.exchange import Exchange
    from aiostub._routing.registry import Registry
    from aiostub._wire.far_end import FarEnd

_silent = logging.getLogger("aiostub.access")
_silent.setLevel(logging.CRITICAL)
_logger = logging.getLogger("aiostub")

# aiohttp takes 0 for no limit. By then the handlers have had their time to end.
_SHUTDOWN = 0.01
_PATIENCE = 1.0  # seconds of the loop's clock that a cancelled handler has for its own cleanup
_OTHER_THREAD = 5.0  # seconds that the loop of another thread has for an application's cleanup


class _Turn:
    """One request that an application answers."""

    __slots__ = ("_hear", "exchange", "wrote")

    def __init__(self, exchange: Exchange, hear: Callable[[bytes], None] | None) -> None:
        self.exchange = exchange
        self.wrote = False  # the head of its answer, at least
        self._hear = hear

    def hear(self, data: bytes) -> None:
        """Learn what the server sends."""
        if not self.wrote:
            self.wrote = self.exchange.answer_began(data)
        if self._hear is not None:
            self._hear(data)


# The connection that a server, and each handler that it calls, belongs to.
_serving: ContextVar[ServerSide] = ContextVar("aiostub_serving")


def _application_of(answer: Callable[[Any, Any], Any]) -> web.Application:
    """Return an application of one function, for every path that it is asked for."""

    async def handle(request: web.Request) -> web.StreamResponse:
        exchange = _serving.get().turn.exchange
        request.match_info.clear()
        request.match_info.update(exchange.request.path_params)
        response: web.StreamResponse = await answer(request, exchange)
        return response

    application = web.Application(client_max_size=0)  # no limit: the test knows what it sends
    application.router.add_route("*", "/{path:.*}", handle)
    return application


def running_app(registry: Registry, serve: Serve) -> RunningApp:
    """Return the application of a step, which is started once for each stub and loop."""
    loop = asyncio.get_running_loop()
    app = registry.apps.get((serve, loop))
    if app is None or app.ended:
        app = registry.apps[serve, loop] = RunningApp(serve, loop, registry.note)
    return app


class _End(AccessLogger):
    """Hear that a response is complete, which the access log is told."""

    enabled = True

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if self.logger.isEnabledFor(logging.INFO):
            super().log(request, response, time)
        side = _serving.get()
        exchange = side.turn.exchange
        side.end_turn()
        if request.transport is not None and response.keep_alive:
            exchange.answered()


def _runner(serve: Serve) -> web.AppRunner:
    if serve.answer is None:
        own, log = serve.application, access_logger
    else:
        own, log = _application_of(serve.answer), _silent
    return web.AppRunner(own, shutdown_timeout=_SHUTDOWN, access_log_class=_End, access_log=log)


class RunningApp:
    """One application, from its startup to its cleanup."""

    def __init__(
        self, serve: Serve, loop: asyncio.AbstractEventLoop, note: Callable[[BaseException], None]
    ) -> None:
        self.loop = loop
        self._serve = serve
        self._note = note
        self._runner = _runner(serve)
        self.started = False  # and not cleaned up yet: it can be asked
        self._server: web.Server
        self._answer: Callable[[Any], Awaitable[web.StreamResponse]]
        self._handlers: set[asyncio.Task[Any]] = set()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._leave: asyncio.Future[None] = loop.create_future()
        self._life: asyncio.Task[None]
        self._life = serve.context.copy().run(loop.create_task, self._live())

    @property
    def ended(self) -> bool:
        """Tell whether it has been cleaned up: somebody cancels all tasks now and then."""
        return not self.started and self._ready.done() and self._ready.exception() is None

    async def start(self) -> None:
        """Wait until the application has started.

        Raises:
            BaseException: what its startup raised.
        """
        await asyncio.wait([self._ready])
        self._ready.result()

    async def _live(self) -> None:
        try:
            if await self._starts():
                await self._leave
        except asyncio.CancelledError:  # and not where a closed loop destroys the task
            await self._clean_up()
            raise
        await self._clean_up()

    async def _clean_up(self) -> None:
        self.started = False
        try:
            await self._end_in_order()
        except asyncio.CancelledError:  # once, by asyncio.run(): the stub was left just before
            await self._end_in_order()
            raise

    async def _end_in_order(self) -> None:
        await self._end_handlers()
        await self._runner.cleanup()

    async def _starts(self) -> bool:
        try:
            await self._set_up()
        except GeneratorExit:
            raise
        except BaseException as error:
            self._did_not_start(error)
            if isinstance(error, NO_VERDICT):
                raise
            return False
        server = self._server = cast("web.Server", self._runner.server)
        self._answer = server.request_handler
        server.request_handler = cast("Any", self._watched)
        self.started = True
        self._ready.set_result(None)
        return True

    async def _set_up(self) -> None:
        try:
            await self._runner.setup()
        except RuntimeError as error:
            if "different loop" not in str(error):
                raise
            message = (
                f"{self._serve}: aiohttp ties an application to the event loop in which it first "
                "ran; mount a new one in each test"
            )
            raise RouteError(message) from error

    def _did_not_start(self, error: BaseException) -> None:
        """Let those that wait for it meet the error, and the strict check raise it."""
        if isinstance(error, asyncio.CancelledError):
            error = StubStateError(f"{self._serve}: its startup was cancelled")
        else:
            self._note(error)
        self._ready.set_exception(error)
        self._ready.exception()  # it is seen: perhaps nobody waits any more

    # Requests.

    def ask(self, exchange: Exchange) -> None:
        """Let the application answer a request.

        Raises:
            StubStateError: it has been cleaned up meanwhile.
        """
        if not self.started:
            message = f"{self._serve} has been cleaned up"
            raise StubStateError(message)
        far_end = exchange.far_end
        assert far_end is not None
        if far_end.wire.is_closing():  # a server would lose it before it has begun
            return
        side = far_end.side_of(self)
        if side is None:
            side = self._connect(far_end)
        hear = hear_client = None
        if not far_end.is_plain and asks_for_websocket(exchange.request):
            frames = exchange.call._frames = FrameLog(self.loop.time)
            hear, hear_client = frames.received, frames.sent
        far_end.let_answer(side, _Turn(exchange, hear), hear_client)

    def _connect(self, far_end: FarEnd) -> ServerSide:
        """Let a new server have the connection."""
        side = ServerSide(far_end, self, self._server())
        context = self._serve.context.copy()
        context.run(_serving.set, side)
        context.run(far_end.admit, side)
        return side

    async def _watched(self, request: web.Request) -> web.StreamResponse:
        side = _serving.get()
        turn: _Turn = side.turn
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            response = await self._answer(request)
        except Fault as fault:
            side.detach()  # it is not the application that goes on
            _strike(turn.exchange, fault, begun=turn.wrote)
            raise asyncio.CancelledError from None
        except web.HTTPException:
            raise
        except Exception as error:
            if not (side.is_deserted and _comes_from_aiohttp(error)):
                turn.exchange.judge(error)
            raise
        except NO_VERDICT:
            raise
        except BaseException as error:  # pytest.fail() and its like
            self._note(error)
            raise RuntimeError(str(error)) from error
        else:
            if not hasattr(response, "prepare"):  # which is how aiohttp tells
                self._note_forgotten(response)
            return response
        finally:
            self._handlers.discard(task)

    def _note_forgotten(self, response: object) -> None:
        """Note a handler that forgot its response; aiohttp says so in its log alone."""
        message = f"{self._serve}: a handler must return a web.StreamResponse, got {response!r}"
        self._note(RouteError(message))

    # The end.

    def leave(self) -> None:
        """Begin to clean up; `left` waits for it."""
        _leaving.add(self._life)  # an event loop keeps no task alive
        self._life.add_done_callback(_leaving.discard)
        if not self._leave.done():
            self._leave.set_result(None)
        if not self._ready.done():
            self._life.cancel()

    async def left(self) -> None:
        """Clean up; what goes wrong then is noted."""
        self.leave()
        await asyncio.wait([self._life])
        self.note_end()

    def note_end(self) -> bool:
        """Note what went wrong if the application is cleaned up already, and tell whether it is."""
        if not self._life.done():
            return False
        error = None if self._life.cancelled() else self._life.exception()
        if error is not None:
            self._note(error)
        return True

    async def _end_handlers(self) -> None:
        """Cancel the handlers that still run, and let them end."""
        handlers = tuple(self._handlers)
        for task in handlers:
            task.cancel()
        if handlers:
            _, others = await asyncio.wait(handlers, timeout=_PATIENCE)
            if others:
                _logger.warning("%s: a handler goes on although it was cancelled", self._serve)

    def cannot_clean_up(self, reason: str) -> None:
        """Say that the application's cleanup did not run."""
        message = (
            f"{self._serve} was not cleaned up, because {reason}; "
            "leave the stub with `async with`, in the event loop of the requests"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=7)


_leaving: set[asyncio.Task[None]] = set()


def _comes_from_aiohttp(error: BaseException) -> bool:
    """Tell whether aiohttp itself stumbled: its WebSockets assert that there is a client."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("aiohttp.")


def _strike(exchange: Exchange, fault: Fault, *, begun: bool) -> None:
    assert exchange.far_end is not None
    if exchange.far_end.wire.is_closing():  # there is nobody left to meet it
        return
    if begun:
        exchange._spawn(exchange.player().strike, fault)
        return
    try:
        failure = Failure(fault)
    except RouteError as error:
        exchange.registry.note(error)
        exchange.fail_client(error)
        return
    exchange.action = Fail(failure)
    exchange._let_resend_meet_it()
    exchange._spawn(exchange.fail, failure)


async def clean_up(registry: Registry) -> None:
    """Clean up what a stub has started, from inside an event loop."""
    here = asyncio.get_running_loop()
    apps, registry.apps = list(registry.apps.values()), {}
    for app in apps:
        if app.loop is here:
            await app.left()
        elif app.loop.is_running():
            await _clean_up_in_other_thread(app)
        else:
            _clean_up_at_rest(app)


def clean_up_now(registry: Registry) -> None:
    """Clean up what a stub has started, as far as it can be done without an event loop."""
    apps, registry.apps = list(registry.apps.values()), {}
    for app in apps:
        if app.loop is asyncio._get_running_loop():
            app.leave()
        elif app.loop.is_running():
            _wait_for_other_thread(app)
        else:
            _clean_up_at_rest(app)


async def _clean_up_in_other_thread(app: RunningApp) -> None:
    done = asyncio.run_coroutine_threadsafe(app.left(), app.loop)
    try:
        await asyncio.wait_for(asyncio.wrap_future(done), _OTHER_THREAD)
    except asyncio.TimeoutError:
        app.cannot_clean_up("its event loop, in another thread, has something else to do")


def _wait_for_other_thread(app: RunningApp) -> None:
    done = asyncio.run_coroutine_threadsafe(app.left(), app.loop)
    try:
        done.result(_OTHER_THREAD)
    except concurrent.futures.TimeoutError:
        app.cannot_clean_up("its event loop, in another thread, has something else to do")


def _clean_up_at_rest(app: RunningApp) -> None:
    if app.note_end():  # its loop was run by asyncio.run(), which ended it
        return
    if app.loop.is_closed():
        app.cannot_clean_up("its event loop is closed")
    elif asyncio._get_running_loop() is not None:
        app.cannot_clean_up("its event loop does not run any more")
    else:
        app.loop.run_until_complete(app.left())
