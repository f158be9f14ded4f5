"""Hypothesis strategies: failures in any order, then an answer.

::

    from hypothesis import given

    from aiostub import Reply, Stub
    from aiostub.strategies import scripts


    @given(script=scripts(failures=3, then=Reply(200, json={"name": "Ada"})))
    async def test_any_three_failures_are_survived(script):
        with Stub() as stub:
            script.apply(stub.get(URL))
            ...

The rules of this file: a script is a value, which is played as often as Hypothesis likes, and the
text of a script is the code that registers it. Nobody else imports it, so that only who uses it
needs Hypothesis (the extra ``hypothesis``).
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias, Union

from hypothesis import strategies as st

from aiostub import faults
from aiostub._answers.failure import Failure
from aiostub._answers.reply import Reply
from aiostub._answers.steps import TIMERS, TimerName
from aiostub.exceptions import RouteError
from aiostub.faults import Fault

if TYPE_CHECKING:
    from aiostub._routing.route import Route

__all__ = ["FAILURES", "Failing", "Script", "scripts", "spoiled"]

Failing: TypeAlias = Union[  # noqa: UP007 - evaluated on 3.10
    int, Reply, TimerName, BaseException, type[BaseException]
]
"""One failure: a status or a reply, a timer of the client's, a fault or an exception."""

FAILURES: Final[tuple[Failing, ...]] = (
    503,
    500,
    502,
    504,
    faults.disconnect(),
    faults.reset(),
    faults.refused(),
    faults.dns(),
    "total",
)
"""What may fail unless told otherwise, the plainest first: what is found shrinks towards it."""

_OK: Final = Reply(200)
_UP_TO_THREE: Final = st.integers(0, 3)


# ------------------------------------------------------------------------------- values as code


def _code(value: object) -> str:
    """Write a value down, an exception by the name under which it is imported."""
    if isinstance(value, type):
        return _name(value)
    if isinstance(value, BaseException) and not isinstance(value, Fault):
        return f"{_name(type(value))}({', '.join(map(_code, value.args))})"
    return repr(value)


def _name(cls: type) -> str:
    if cls.__module__ == "builtins":
        return cls.__qualname__
    package = cls.__module__.partition(".")[0]
    exported = getattr(sys.modules.get(package), cls.__qualname__, None) is cls
    return f"{package if exported else cls.__module__}.{cls.__qualname__}"


class _Link(NamedTuple):
    """One link of the chain that a route is told: a method and its arguments."""

    method: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]

    def add_to(self, route: Route) -> None:
        """Tell a route."""
        getattr(route, self.method)(*self.args, **self.kwargs)

    def __str__(self) -> str:
        args = [*map(_code, self.args), *(f"{k}={_code(v)}" for k, v in self.kwargs.items())]
        return f".{self.method}({', '.join(args)})"


def _link(failing: Failing) -> _Link:
    """Say how a route is told to fail in this way.

    Raises:
        RouteError: It cannot.

    """
    if isinstance(failing, Reply):
        return _Link("reply", (failing.status,), _arguments(failing))
    if isinstance(failing, str):
        if failing not in TIMERS:
            raise RouteError(f"of: a timer is one of {', '.join(TIMERS)}, got {failing!r}")
        return _Link("timeout", () if failing == "total" else (failing,), {})
    if isinstance(failing, int):
        return _Link("reply", (Reply(failing).status,), {})
    Failure(failing)
    return _Link("fail", (failing,), {})


# ------------------------------------------------------------------------------- replies as code


def _arguments(reply: Reply) -> dict[str, Any]:
    """Find the keywords that make such a reply, besides its status, the plainest that do.

    Raises:
        RouteError: It is streamed.

    """
    if reply.stream is not None:
        raise RouteError("a stream cannot be written down as code; give the whole as body=")
    shown = next(each for each in _guesses(reply) if _makes(each, reply))
    if reply.reason != Reply(reply.status).reason:
        shown["reason"] = reply.reason
    if reply.delay:
        shown["delay"] = reply.delay
    if reply.fault is not None:
        shown["fault"] = reply.fault
    return shown


def _guesses(reply: Reply) -> Iterator[dict[str, Any]]:
    """Give keywords that may make such a reply; the very last ones do."""
    bodies = list(_bodies(reply.body))
    yield from bodies
    yield from ({**body, "headers": _lines_missing(body, reply)} for body in bodies)
    yield from ({**body, "headers": list(reply.headers)} for body in bodies)


def _lines_missing(arguments: dict[str, Any], reply: Reply) -> list[tuple[str, str]]:
    made = Reply(reply.status, **arguments).headers
    return [line for line in reply.headers if line not in made]


def _bodies(body: bytes | None) -> Iterator[dict[str, Any]]:
    if body is None:
        yield {}
        return
    for kind, read in _READERS.items():
        with contextlib.suppress(ValueError, RecursionError):
            yield {kind: read(body)}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no Python


_READERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "json": partial(json.loads, parse_constant=_refuse_constant),
    "text": bytes.decode,
    "body": bytes,
}


def _makes(arguments: dict[str, Any], reply: Reply) -> bool:
    made = Reply(reply.status, **arguments)
    return (made.headers, made.body) == (reply.headers, reply.body)


# ------------------------------------------------------------------------------- the script


@dataclass(frozen=True, slots=True, repr=False)
class Script:
    """Fail a few times, then answer.

    Its ``repr`` is the code that does it, as shown by a falsifying example of Hypothesis: paste it
    into a test that has a ``stub`` and a ``url``.

    Args:
        failures: What goes wrong, in this order.
        then: What is answered afterwards; not a streamed reply.

    Raises:
        RouteError: A route cannot do one of them.

    """

    failures: tuple[Failing, ...]
    then: Reply = _OK

    def __post_init__(self) -> None:
        object.__setattr__(self, "failures", tuple(self.failures))
        self._links()

    def apply(self, route: Route) -> Route:
        """Tell a route this script, and return the route.

        Args:
            route: A route without a step, or one whose last link was ``then``.

        """
        for number, link in enumerate(self._links()):
            link.add_to(route.then if number else route)
        return route

    def _links(self) -> list[_Link]:
        return [_link(each) for each in (*self.failures, self.then)]

    def __repr__(self) -> str:
        return "stub.get(url)" + ".then".join(map(str, self._links()))

    def _repr_pretty_(self, printer: Any, _cycle: object) -> None:
        """Let Hypothesis show the code too, and not how the object was made."""
        printer.text(repr(self))


# ------------------------------------------------------------------------------- the strategies


def scripts(
    failures: int | st.SearchStrategy[int] = _UP_TO_THREE,
    *,
    then: Reply = _OK,
    of: Sequence[Failing] | st.SearchStrategy[Failing] | None = None,
) -> st.SearchStrategy[Script]:
    """Draw scripts: failures of any kind in any order, then an answer.

    What breaks a client shrinks to the fewest failures, and to the plainest ones.

    Args:
        failures: How many failures, 0 or more, or a strategy that says so.
        then: The answer behind them; not a streamed reply.
        of: What may fail: statuses (``503``), replies, names of the client's timers
            (``"total"``), faults, and classes or instances of exceptions, the plainest first; or a
            strategy that draws them. By default ``FAILURES`` and, where ``then`` has a body,
            ``spoiled(then)``.

    Raises:
        RouteError: A route cannot do one of them.

    """
    count = st.just(failures) if isinstance(failures, int) else failures
    chosen = _chosen(of, then)
    Script((), then)
    drawn = count.flatmap(lambda n: st.lists(chosen, min_size=n, max_size=n))
    return drawn.map(lambda failing: Script(tuple(failing), then))


def _chosen(
    of: Sequence[Failing] | st.SearchStrategy[Failing] | None, then: Reply
) -> st.SearchStrategy[Failing]:
    if isinstance(of, st.SearchStrategy):
        return of
    if of is None:
        # One branch for each, so that all have the same chance.
        plain = [st.just(each) for each in FAILURES]
        return st.one_of(*plain, spoiled(then)) if then.body else st.one_of(*plain)
    for each in of:
        _link(each)
    return st.sampled_from(tuple(of))


def spoiled(reply: Reply) -> st.SearchStrategy[Reply]:
    """Draw replies that begin like this one and break off before their end.

    Args:
        reply: One with a body of a byte at least; not a streamed one.

    Raises:
        RouteError: There is nothing that could break off.

    """
    arguments = _arguments(reply)
    if not reply.body:
        raise RouteError(f"spoiled: {reply!r} has no body that could break off")
    return st.builds(
        lambda fault, after: Reply(reply.status, **{**arguments, "fault": fault(after)}),
        st.sampled_from((faults.disconnect, faults.reset)),
        st.integers(0, len(reply.body) - 1),
    )
