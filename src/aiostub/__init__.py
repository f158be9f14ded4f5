"""Test code that talks HTTP through aiohttp, without a network.

::

    import aiostub

    with aiostub.Stub() as stub:
        stub.get("https://api.example.com/users/7").reply(json={"name": "Ada"})
        ...

Names are loaded when they are first used, so that pytest can load the plugin of this package
without importing aiohttp.

PYTEST_DONT_REWRITE: there is no assertion of a test in here, and pytest, which runs with warnings
as errors, shall not warn that ``python -m aiostub.compat`` has imported the package before it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiostub import faults as faults
    from aiostub import script as script
    from aiostub._answers.reply import Reply as Reply
    from aiostub._answers.reply import sse as sse
    from aiostub._log.calls import Call as Call
    from aiostub._log.calls import Calls as Calls
    from aiostub._matching.request import Part as Part
    from aiostub._matching.request import Request as Request
    from aiostub._routing.route import Route as Route
    from aiostub._stub import Stub as Stub
    from aiostub.exceptions import AiostubError as AiostubError
    from aiostub.exceptions import LeakWarning as LeakWarning
    from aiostub.exceptions import MissingTimeout as MissingTimeout
    from aiostub.exceptions import RouteError as RouteError
    from aiostub.exceptions import StubStateError as StubStateError
    from aiostub.exceptions import UnmatchedRequest as UnmatchedRequest
    from aiostub.exceptions import UnsatisfiedStub as UnsatisfiedStub
    from aiostub.matchers import ANY as ANY
    from aiostub.matchers import partial as partial

_HOMES = {
    "ANY": "matchers",
    "AiostubError": "exceptions",
    "Call": "_log.calls",
    "Calls": "_log.calls",
    "LeakWarning": "exceptions",
    "MissingTimeout": "exceptions",
    "Part": "_matching.request",
    "Reply": "_answers.reply",
    "Request": "_matching.request",
    "Route": "_routing.route",
    "RouteError": "exceptions",
    "Stub": "_stub",
    "StubStateError": "exceptions",
    "UnmatchedRequest": "exceptions",
    "UnsatisfiedStub": "exceptions",
    "partial": "matchers",
    "sse": "_answers.reply",
}

__all__ = [
    "ANY",
    "AiostubError",
    "Call",
    "Calls",
    "LeakWarning",
    "MissingTimeout",
    "Part",
    "Reply",
    "Request",
    "Route",
    "RouteError",
    "Stub",
    "StubStateError",
    "UnmatchedRequest",
    "UnsatisfiedStub",
    "faults",
    "partial",
    "script",
    "sse",
]


def __getattr__(name: str) -> Any:
    if name in {"faults", "script"}:
        return import_module(f"aiostub.{name}")
    if name == "__version__":
        return import_module("importlib.metadata").version("aiostub")
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    # It is not kept here: see _kept.py for those who load the package a second time.
    return getattr(import_module(f"aiostub.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
