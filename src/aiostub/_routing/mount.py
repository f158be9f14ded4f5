"""A route that is a whole application."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from aiostub._answers.steps import Serve, Step
from aiostub._routing.route import Route
from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    from aiohttp import web

    from aiostub._answers.steps import Action
    from aiostub._matching.pattern import Pattern
    from aiostub._routing.route import Place
    from aiostub._routing.router import Router


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
    def then(self) -> NoReturn:
        """Refuse another step: the application answers every request.

        Raises:
            RouteError: always.
        """
        self._refuse(".then")

    def _add(self, action: Action) -> NoReturn:
        self._refuse(str(action))

    def _count(self, n: int | None, said: str) -> NoReturn:  # noqa: ARG002 - as of any route
        self._refuse(said)

    def _refuse(self, said: str) -> NoReturn:
        message = (
            f"{said}: mount({self.pattern.url_text}) takes no steps, because the application "
            "answers every request; register a route before it for the exceptions"
        )
        raise RouteError(message)

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
