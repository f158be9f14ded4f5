"""A route that is a whole application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiostub._route import Route
from aiostub._steps import Serve, Step
from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    from aiohttp import web

    from aiostub._match import Pattern
    from aiostub._route import Place
    from aiostub._router import Router


class Mount(Route):
    """Answer every request to an origin. Made by ``stub.mount(origin, app)``."""

    is_mount = True

    def __init__(
        self, pattern: Pattern, router: Router, order: int, place: Place, app: web.Application
    ) -> None:
        super().__init__(pattern, router, order, place)
        self._app = app
        self._open = False
        serve = Serve(f"mount({pattern.url_text})", application=app)
        self._steps = [Step(serve, times=None, counted=True)]

    def _copied_for(self, router: Router) -> Route:
        return Mount(self.pattern, router, self.order, self.place, self._app)

    @property
    def satisfied(self) -> bool:
        """Say that nobody need ask an application."""
        return True


def check_application(app: object) -> None:
    """Refuse what cannot be mounted.

    Raises:
        RouteError: *app* is no `aiohttp.web.Application`.
    """
    from aiohttp.web import Application  # noqa: PLC0415 - for those who want a web server

    if not isinstance(app, Application):
        message = f"mount: app must be an aiohttp.web.Application, got {app!r}"
        raise RouteError(message)
