"""The network failures that have a name.

Each function gives a :class:`Fault`: a value, to hand to ``route.fail(...)`` or
``reply(fault=...)``, and an exception, to raise out of a handler, a stream or a WebSocket function.

The rules of this file: a fault says *what* goes wrong and never *how* it is produced, and whatever
can be known to be wrong about its arguments is a :class:`~aiostub.exceptions.RouteError` here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Fault",
    "Stage",
    "bad_chunk",
    "bad_gzip",
    "certificate",
    "disconnect",
    "dns",
    "drip",
    "garbage",
    "header_too_long",
    "proxy",
    "refused",
    "reset",
    "stall",
    "tls",
    "truncated",
    "unreachable",
]

Stage = Literal["connection", "head", "body"]
"""Where in the life of a request a fault strikes."""

_STAGES: Final[Mapping[str, Stage]] = {
    "refused": "connection",
    "unreachable": "connection",
    "dns": "connection",
    "tls": "connection",
    "certificate": "connection",
    "proxy": "connection",
    "garbage": "head",
    "header_too_long": "head",
    "disconnect": "body",
    "reset": "body",
    "stall": "body",
    "drip": "body",
    "truncated": "body",
    "bad_chunk": "body",
    "bad_gzip": "body",
}

# What the interpreter itself writes on an exception when it is raised, chained or annotated.
_WRITTEN_BY_RAISING: Final = frozenset(
    {"__cause__", "__context__", "__notes__", "__suppress_context__", "__traceback__"}
)


class Fault(Exception):  # noqa: N818 - the name is the contract
    """Name one network failure.

    Made by the functions of this module, not by hand. Immutable, compared by value, and as often
    raised, copied and pickled as you like.

    Attributes:
        name: The name of the function that made it.
        stage: ``"connection"`` (nothing is sent), ``"head"`` (no readable head) or ``"body"``.
        after: Bytes of the body that arrive before it, 0 or more.
        bytes_per_second: The pace of ``drip``, 0 for the others.
        late: Whether ``bad_chunk`` strikes in a later segment than the head.

    """

    name: str
    stage: Stage
    after: int
    bytes_per_second: float
    late: bool

    def __init__(
        self, name: str, *, after: int = 0, bytes_per_second: float = 0, late: bool = False
    ) -> None:
        super().__init__(name)
        self.__dict__.update(
            name=name,
            stage=_STAGES[name],
            after=after,
            bytes_per_second=bytes_per_second,
            late=late,
        )

    def _arguments(self) -> dict[str, Any]:
        given = {
            "after": self.after,
            "bytes_per_second": self.bytes_per_second,
            "late": self.late,
        }
        return {name: value for name, value in given.items() if value}

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _WRITTEN_BY_RAISING:
            self._refuse(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name not in _WRITTEN_BY_RAISING:
            self._refuse(name)
        super().__delattr__(name)

    def _refuse(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} is immutable, so {name!r} stays as it is")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fault):
            return NotImplemented
        return (self.name, self._arguments()) == (other.name, other._arguments())

    def __hash__(self) -> int:
        return hash((self.name, *self._arguments().values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self.name, self._arguments())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._arguments().items())
        return f"faults.{self.name}({arguments})"

    __str__ = __repr__


def _make(name: str, arguments: dict[str, Any]) -> Fault:
    return Fault(name, **arguments)


def refused() -> Fault:
    """Refuse the connection, as a port does that nobody listens on."""
    return Fault("refused")


def unreachable() -> Fault:
    """Have no way to the host's network."""
    return Fault("unreachable")


def dns() -> Fault:
    """Find no address for the host's name."""
    return Fault("dns")


def tls() -> Fault:
    """Fail the TLS handshake, as with a server that does not talk TLS.

    A request without TLS cannot meet it: ``RouteError`` at the call.
    """
    return Fault("tls")


def certificate() -> Fault:
    """Show a certificate that the client does not trust.

    A request without TLS cannot meet it: ``RouteError`` at the call.
    """
    return Fault("certificate")


def proxy() -> Fault:
    """Refuse the connection to the proxy.

    A request without a proxy cannot meet it: ``RouteError`` at the call.
    """
    return Fault("proxy")


def disconnect(after: int = 0) -> Fault:
    """Close the connection properly (FIN), too early.

    Args:
        after: Bytes of the body that arrive before, 0 or more. In a bare ``fail`` only 0: there
            it comes before the status line.

    Raises:
        RouteError: ``after`` is not an ``int`` of 0 or more.

    """
    return Fault("disconnect", after=_check_after(after))


def reset(after: int = 0) -> Fault:
    """Break the connection off (RST).

    Args:
        after: Bytes of the body that arrive before, 0 or more. In a bare ``fail`` only 0: there
            it comes before the status line.

    Raises:
        RouteError: ``after`` is not an ``int`` of 0 or more.

    """
    return Fault("reset", after=_check_after(after))


def stall(after: int = 0) -> Fault:
    """Fall silent in the body, with the connection open.

    Args:
        after: Bytes of the body that arrive before, 0 or more.

    Raises:
        RouteError: ``after`` is not an ``int`` of 0 or more.

    """
    return Fault("stall", after=_check_after(after))


def drip(bytes_per_second: float) -> Fault:
    """Send the body slowly, in ten pieces a second.

    Args:
        bytes_per_second: The pace, more than 0 and finite.

    Raises:
        RouteError: ``bytes_per_second`` is no such number.

    """
    return Fault("drip", bytes_per_second=_check_pace(bytes_per_second))


def truncated() -> Fault:
    """Send less of a body than its ``Content-Length`` says."""
    return Fault("truncated")


def garbage() -> Fault:
    """Answer with something that is not HTTP."""
    return Fault("garbage")


def header_too_long() -> Fault:
    """Answer with a header longer than the client takes."""
    return Fault("header_too_long")


def bad_chunk(late: bool = False) -> Fault:  # noqa: FBT001, FBT002 - the contract's spelling
    """Break the chunked coding of the body.

    Args:
        late: Break it in a later segment than the head's. aiohttp's parser never fails the body
            then, and the client's timers decide.

    Raises:
        RouteError: ``late`` is not a ``bool``.

    """
    return Fault("bad_chunk", late=_check_late(late))


def bad_gzip() -> Fault:
    """Send a body that says it is gzip and cannot be unpacked."""
    return Fault("bad_gzip")


def _check_after(after: object) -> int:
    if not isinstance(after, int) or isinstance(after, bool) or after < 0:
        raise RouteError(f"after: must be an int of 0 or more (bytes of the body), got {after!r}")
    return after


def _check_pace(pace: object) -> float:
    if isinstance(pace, bool) or not isinstance(pace, (int, float)) or not 0 < pace < math.inf:
        raise RouteError(f"bytes_per_second: must be a finite number above 0, got {pace!r}")
    return pace


def _check_late(late: object) -> bool:
    if not isinstance(late, bool):
        raise RouteError(f"late: must be a bool, got {late!r}")
    return late
