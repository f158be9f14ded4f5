"""The errors of aiostub.

::

    AiostubError(Exception)
     ├─ RouteError(ValueError)            a route that cannot do what it was told
     ├─ StubStateError(RuntimeError)      started twice, stopped twice
     ├─ MissingTimeout(AssertionError)    the client has not the timer that should fire
     ├─ UnmatchedRequest(AssertionError)  no route answers
     └─ UnsatisfiedStub(AssertionError)   routes or requests left over at the end

    LeakWarning(UserWarning)              a test has left something open; under pytest

None of them is an ``aiohttp.ClientError``, an ``OSError`` or a ``TimeoutError``:
retry code and ``except aiohttp.ClientError`` do not swallow them.
"""

from __future__ import annotations

__all__ = [
    "AiostubError",
    "LeakWarning",
    "MissingTimeout",
    "RouteError",
    "StubStateError",
    "UnmatchedRequest",
    "UnsatisfiedStub",
]


class AiostubError(Exception):
    """Catch every error that aiostub raises of its own."""


class RouteError(AiostubError, ValueError):
    """Say that a route cannot do what it was told.

    Raised at the line that registers the route where the fault shows there,
    otherwise at the call that the route should have answered.
    """


class StubStateError(AiostubError, RuntimeError):
    """Say that a stub was started twice, stopped twice, or stopped too early."""


class MissingTimeout(AiostubError, AssertionError):  # noqa: N818 - the name is the contract
    """Say that the client has not the timer that a ``timeout()`` step should fire."""


class UnmatchedRequest(AiostubError, AssertionError):  # noqa: N818 - the name is the contract
    """Say that no route answers a request, and which came nearest."""


class UnsatisfiedStub(AiostubError, AssertionError):  # noqa: N818 - the name is the contract
    """Say at the end what was left over: steps never served, requests never answered."""


class LeakWarning(UserWarning):
    """Warn of what a test has opened and nobody has closed.

    Under pytest; the ini option ``aiostub_leaks`` says whether it is a warning or an error.
    """
