"""What a route does: the actions, and the steps that say how often.

An action is a plain value. Who carries it out is the wire's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union

if TYPE_CHECKING:
    from aiostub._failure import Failure
    from aiostub._reply import Reply
    from aiostub._request import Request

TimerName = Literal["total", "connect", "sock_connect", "sock_read"]
TIMERS: tuple[TimerName, ...] = ("total", "connect", "sock_connect", "sock_read")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a reply; *early* waits neither for the request's body nor for leave to send it."""

    reply: Reply
    early: bool = False

    def __str__(self) -> str:
        return str(self.reply)


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give the client these bytes and the end of the connection, inside of its own write.

    For a dialect, whose users count on a reply that needs no turn of the event loop.
    """

    status: int
    data: bytes
    dress: Callable[[Callable[..., Any]], Callable[..., Any]]  # what makes the response
    early: bool = False  # wait for the head of the request only

    def __str__(self) -> str:
        return f"reply({self.status})"


@dataclass(frozen=True, slots=True)
class Fail:
    """Let the call fail."""

    failure: Failure

    def __str__(self) -> str:
        return str(self.failure)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the test's own function for the answer."""

    callback: Callable[..., Any]
    early: bool
    names: Container[str]  # of the path parameters that it takes

    def __str__(self) -> str:
        return f"handle({name_of(self.callback)})"

    def __call__(self, request: Request) -> Any:
        captured = request.path_params.items()
        return self.callback(request, **{name: v for name, v in captured if name in self.names})


@dataclass(frozen=True, slots=True)
class FireTimer:
    """Let one of the client's own timers fire at once."""

    which: TimerName

    def __str__(self) -> str:
        return "timeout()" if self.which == "total" else f"timeout({self.which!r})"


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""

    def __str__(self) -> str:
        return "hang()"


@dataclass(frozen=True, slots=True)
class LetThrough:
    """Let the call reach the real network."""

    def __str__(self) -> str:
        return "passthrough()"


Action = Union[Send, Deliver, Fail, Ask, FireTimer, Hang, LetThrough]  # noqa: UP007 - evaluated on 3.10


@dataclass(slots=True)
class Step:
    """One action, with how often it is served."""

    action: Action
    times: int | None = 1  # None: without end
    counted: bool = False  # the user has said how often
    served: int = 0

    @property
    def left(self) -> bool:
        """Tell whether the step has a use left."""
        return self.times is None or self.served < self.times

    @property
    def satisfied(self) -> bool:
        """Tell whether the strict check has nothing against the step."""
        return self.served > 0 if self.times is None else self.served >= self.times


def name_of(callback: object) -> str:
    """Return what a reader of an error text calls a function."""
    return getattr(callback, "__qualname__", None) or repr(callback)
