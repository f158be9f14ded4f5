"""Applications of aiohttp.web that answer requests: started, asked, cleaned up.

Rules of the file:

- aiohttp's own `aiohttp.web.AppRunner` starts an application, and its own server protocol reads
  each request; there is no second server here.
- One `RunningApp` is one application of one stub in one event loop.
- What goes wrong in an application is answered as a real server answers it, and noted besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.log import access_logger
from aiohttp.web_log import AccessLogger

from aiostub._failure import Failure
from aiostub._frames import FrameLog
from aiostub._match import asks_for_websocket
from aiostub.faults import Fault

if TYPE_CHECKING:
    from aiostub._exchange import Exchange
    from aiostub._far_end import ServerSide
    from aiostub._registry import Registry
    from aiostub._steps import Serve

_silent = logging.getLogger("aiostub.access")
_silent.setLevel(logging.CRITICAL)

_serving: ContextVar[Exchange] = ContextVar("aiostub_serving")


def _application_of(answer: Callable[[Any, Any], Any]) -> web.Application:
    """Return an application of one function, for every path that it is asked for."""

    async def handle(request: web.Request) -> web.StreamResponse:
        exchange = _serving.get()
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
    if app is None:
        app = registry.apps[serve, loop] = RunningApp(serve, loop, registry.note)
    return app


class _End(AccessLogger):
    """Hear that a response is complete, which the access log is told."""

    enabled = True

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if self.logger.isEnabledFor(logging.INFO):
            super().log(request, response, time)
        side = cast("ServerSide | None", request.transport)
        if side is not None and response.keep_alive:
            side.exchange.answered()


def _runner(serve: Serve) -> web.AppRunner:
    if serve.answer is None:
        own, log = serve.application, access_logger
    else:
        own, log = _application_of(serve.answer), _silent
    return web.AppRunner(own, shutdown_timeout=0, access_log_class=_End, access_log=log)


class RunningApp:
    """One application, from its startup to its cleanup."""

    def __init__(
        self, serve: Serve, loop: asyncio.AbstractEventLoop, note: Callable[[BaseException], None]
    ) -> None:
        self.loop = loop
        self._said = str(serve)
        self._note = note
        self._runner = _runner(serve)
        self._answer: Callable[[Any], Awaitable[web.StreamResponse]] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._handlers: set[asyncio.Task[Any]] = set()

    @property
    def started(self) -> bool:
        """Tell whether it can be asked."""
        return self._answer is not None

    async def start(self) -> None:
        """Start the application, if nobody has yet.

        Raises:
            BaseException: what its startup raised.
        """
        if self._starting is None:
            self._starting = self.loop.create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._answer = server.request_handler
        server.request_handler = cast("Any", self._watched)

    def ask(self, exchange: Exchange) -> None:
        """Let the application answer a request."""
        server, far_end = self._runner.server, exchange.far_end
        if server is None or far_end is None:
            return
        frames = None
        if asks_for_websocket(exchange.request):
            frames = FrameLog(self.loop.time)
            exchange.call._frames = frames.frames
        far_end.serve(server(), frames, exchange)

    async def _watched(self, request: web.Request) -> web.StreamResponse:
        side, task = cast("ServerSide", request.transport), asyncio.current_task()
        exchange = side.exchange
        assert task is not None
        assert self._answer is not None
        self._handlers.add(task)
        _serving.set(exchange)
        try:
            return await self._answer(request)
        except Fault as fault:
            await _strike(exchange, fault, begun=side.wrote)
            raise asyncio.CancelledError from None
        except web.HTTPException:
            raise
        except Exception as error:
            exchange.judge(error)
            raise
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # pytest.fail() and its like
            self._note(error)
            raise web.HTTPInternalServerError from error
        finally:
            self._handlers.discard(task)

    # The end.

    async def clean_up(self) -> None:
        """Cancel the handlers that still run, and clean the application up.

        Raises:
            BaseException: what its cleanup raised.
        """
        for task in tuple(self._handlers):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if self._starting is not None and not self._starting.done():
                self._starting.cancel()
                await self._starting
        if self.started:
            await self._runner.cleanup()

    async def clean_up_and_note(self) -> None:
        """Clean up, and let the strict check raise what goes wrong."""
        try:
            await self.clean_up()
        except Exception as error:  # noqa: BLE001 - it is raised again by the check
            self._note(error)

    def cannot_clean_up(self) -> None:
        """Say that the application's cleanup did not run."""
        if self.started:
            message = (
                f"{self._said} was not cleaned up, because its event loop does not run any more; "
                "leave the stub with `async with`, in that loop"
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)


async def _strike(exchange: Exchange, fault: Fault, *, begun: bool) -> None:
    if begun:
        await exchange.player().strike(fault)
    else:
        await exchange.fail(Failure(fault))


_cleaning: set[asyncio.Task[None]] = set()


async def clean_up(registry: Registry) -> None:
    """Clean up what a stub has started, from inside an event loop."""
    here = asyncio.get_running_loop()
    apps, registry.apps = list(registry.apps.values()), {}
    for app in apps:
        if app.loop is here:
            await app.clean_up_and_note()
        else:
            _clean_up_elsewhere(app)


def clean_up_now(registry: Registry) -> None:
    """Clean up what a stub has started, as far as it can be done without waiting."""
    apps, registry.apps = list(registry.apps.values()), {}
    for app in apps:
        if _runs_here(app.loop):
            task = app.loop.create_task(app.clean_up())
            _cleaning.add(task)
            task.add_done_callback(_cleaning.discard)
        else:
            _clean_up_elsewhere(app)


def _clean_up_elsewhere(app: RunningApp) -> None:
    if app.loop.is_running():
        asyncio.run_coroutine_threadsafe(app.clean_up(), app.loop)
    elif app.loop.is_closed() or _some_loop_runs_here():
        app.cannot_clean_up()
    else:
        app.loop.run_until_complete(app.clean_up_and_note())


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    return _some_loop_runs_here() and asyncio.get_running_loop() is loop


def _some_loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
