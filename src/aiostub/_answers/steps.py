"""What a route does: the actions, and the steps that say how often.

An action is a plain value. Who carries it out is the wire's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiostub._value import Individual, NamedTuple, Value

if TYPE_CHECKING:
    from aiostub._answers.failure import Failure
    from aiostub._answers.reply import Reply
    from aiostub._matching.request import Request

TimerName = Literal["total", "connect", "sock_connect", "sock_read"]
TIMERS: tuple[TimerName, ...] = ("total", "connect", "sock_connect", "sock_read")


class Send(Value):
    """Send a reply; *early* waits neither for the request's body nor for leave to send it."""

    reply: Reply
    early: bool = False

    def __str__(self) -> str:
        return str(self.reply)


class Deliver(NamedTuple):
    """Give the client these bytes inside of its own write, whether it reads or not.

    For a dialect, whose users count on a reply that needs no turn of the event loop. If these
    bytes do not say where they end, the connection ends with them.
    """

    status: int
    data: bytes
    make: Callable[..., Any]  # the response, of the class that it gets first
    early: bool = False  # wait for the head of the request only

    def __str__(self) -> str:
        return f"reply({self.status})"


class Fail(Value):
    """Let the call fail."""

    failure: Failure

    def __str__(self) -> str:
        return str(self.failure)


class Ask(Value):
    """Ask the test's own function for the answer."""

    callback: Callable[..., Any]
    early: bool
    names: Container[str]  # of the path parameters that it takes
    make: Callable[..., Any] | None = None  # as that of what it delivers, if it does

    def __str__(self) -> str:
        return f"handle({name_of(self.callback)})"

    def __call__(self, request: Request) -> Any:
        captured = request.path_params.items()
        return self.callback(request, **{name: v for name, v in captured if name in self.names})


class FireTimer(Value):
    """Let one of the client's own timers fire at once."""

    which: TimerName

    def __str__(self) -> str:
        return "timeout()" if self.which == "total" else f"timeout({self.which!r})"


class Hang(Value):
    """Never answer."""

    def __str__(self) -> str:
        return "hang()"


class LetThrough(Value):
    """Let the call reach the real network."""

    def __str__(self) -> str:
        return "passthrough()"


class Serve(Individual):
    """Let a web server answer: with a whole application, or with one function.

    The function gets the `aiohttp.web.Request` and the exchange that it belongs to.
    """

    said: str  # what a text calls it
    application: Any
    answer: Callable[[Any, Any], Any] | None
    context: Context  # in which it was registered

    def __init__(
        self,
        said: str,
        application: Any = None,
        answer: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        context = copy_context()
        self._fill(said, application, answer, context)

    def __str__(self) -> str:
        return self.said


Action: TypeAlias = "Send | Deliver | Fail | Ask | FireTimer | Hang | LetThrough | Serve"


class Step:
    """One action, with how often it is served.

    Args:
        action: what is done.
        times: how often; ``None`` is without end.
        counted: whether the user has said how often.
    """

    __slots__ = ("action", "counted", "served", "times")

    def __init__(self, action: Action, times: int | None = 1, *, counted: bool = False) -> None:
        self.action = action
        self.times = times
        self.counted = counted
        self.served = 0

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
