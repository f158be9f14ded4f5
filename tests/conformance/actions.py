"""What a far end may do with one request.

A scenario declares its far end with these, once; ``loopback.py`` plays them on a real
socket and ``harness.py`` turns them into the steps of a route. Names and arguments are
those of a route: ``reply``, ``fail``, ``timeout``, ``hang``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Faults that strike before a byte of the request could be written.
OBSTACLES = {"refused", "unreachable", "dns", "tls", "certificate", "proxy"}


@dataclass(frozen=True)
class Fault:
    """Name a fault of ``aiostub.faults`` and its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """Answer; ``arguments`` are those of ``Route.reply`` that make head and body."""

    arguments: Mapping[str, Any]
    times: int = 1
    delay: float = 0
    early: bool = False
    fault: Fault | None = None
    web: Any = None  # a handler of aiohttp.web that the real side answers with instead


@dataclass(frozen=True)
class Fail:
    """Break off; ``raises`` is what the route is told to fail with (by default the fault).

    A re-send of aiohttp's own meets the same failure again, unless ``attempts=1``.
    ``met`` says how many connections meet it on the real side, where a middleware's
    retry cannot be told from a re-send.
    """

    fault: Fault
    raises: Any = None
    times: int = 1
    attempts: int | None = None
    met: int | None = None


@dataclass(frozen=True)
class Timeout:
    """Keep the client waiting until the timer called ``which`` fires."""

    which: str
    times: int = 1


@dataclass(frozen=True)
class Hang:
    """Never answer."""

    times: int = 1


Action = Reply | Fail | Timeout | Hang


def fault(name: str, **arguments: Any) -> Fault:
    """Name a fault."""
    return Fault(name, arguments)


def reply(
    status: int = 200,
    *,
    times: int = 1,
    delay: float = 0,
    early: bool = False,
    fault: Fault | None = None,
    web: Any = None,
    **arguments: Any,
) -> Reply:
    """Answer with what ``Route.reply(status, **arguments)`` describes."""
    return Reply({"status": status, **arguments}, times, delay, early, fault, web)


def fail(
    what: str | Fault,
    *,
    raises: Any = None,
    times: int = 1,
    attempts: int | None = None,
    met: int | None = None,
) -> Fail:
    """Break off as the fault says."""
    named = Fault(what) if isinstance(what, str) else what
    return Fail(named, raises, times, attempts, met)


def timeout(which: str = "total", *, times: int = 1) -> Timeout:
    """Let the client's timer called ``which`` fire."""
    return Timeout(which, times)


def hang(*, times: int = 1) -> Hang:
    """Never answer."""
    return Hang(times)


def is_obstacle(action: Action | None) -> bool:
    """Tell whether the action keeps the request from being written at all."""
    if isinstance(action, Fail):
        return action.fault.name in OBSTACLES
    return isinstance(action, Timeout) and action.which in {"connect", "sock_connect"}
