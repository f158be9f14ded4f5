"""Scripts that run under aioresponses and under what stands in for it, and what they write down.

The scripts are in the files ``scripts_*.py``. What aioresponses makes of each of them is in
``aioresponses.json``, recorded by ``record.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

RECORDED = Path(__file__).with_name("aioresponses.json")
PLACE = "http://x.test"


class Script(NamedTuple):
    """One script; *ours* is what we write down where we differ on purpose, and *why*."""

    name: str
    run: Any
    args: tuple[Any, ...]
    why: str | None
    ours: list[str] | None
    since: tuple[int, ...] = ()  # the first aiohttp that takes what the script does

    @property
    def runs_here(self) -> bool:
        """Tell whether the installed aiohttp takes it."""
        return tuple(int(part) for part in aiohttp.__version__.split(".")[:2]) >= self.since


SCRIPTS: dict[str, Script] = {}


def script(*args, name=None, why=None, ours=None, since=()):
    """Register a function as a script; *args* are handed to it behind the `Teller`."""

    def register(function):
        full = function.__name__ if name is None else f"{function.__name__}[{name}]"
        assert full not in SCRIPTS, full
        SCRIPTS[full] = Script(full, function, args, why, ours, since)
        return function

    return register


def scripts(*, since=(), **cases):
    """Register a function once for each case; a `Differs` holds the reason and our transcript."""

    def register(function):
        for name, given in cases.items():
            if isinstance(given, Differs):
                script(*given.args, name=name, why=given.why, ours=given.ours, since=since)(
                    function
                )
            else:
                args = given if isinstance(given, tuple) else (given,)
                script(*args, name=name, since=since)(function)
        return function

    return register


class Differs:
    """Mark a case in which we differ from aioresponses on purpose."""

    def __init__(self, *args, why, ours):
        self.args = args
        self.why = why
        self.ours = ours


class Teller:
    """What a script has at hand, and what it has said so far."""

    def __init__(self, package):
        self.package = import_module(package)
        self.core = import_module(f"{package}.core")
        self.compat = import_module(f"{package}.compat")
        self.aioresponses = self.package.aioresponses
        self.CallbackResult = self.package.CallbackResult
        self.said = []

    def say(self, *what):
        """Write a line down."""
        # Not str(): of an IntEnum, CPython 3.10 writes the name.
        self.said.append(" ".join(f"{part}" for part in what))

    def error(self, error):
        """Write an exception down, with its text unless that is aiohttp's."""
        if isinstance(error, aiohttp.ClientResponseError):
            self.say("raised", type(error).__name__, error.status, error.message)
        else:
            self.say("raised", type(error).__name__, str(error))

    @contextlib.contextmanager
    def errors(self, *, text=True):
        """Write down what is raised inside, without its text if that is not the mock's."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            if text:
                self.error(error)
            else:
                self.say("raised", type(error).__name__)
        else:
            self.say("raised nothing")

    async def show(self, call, *, method=False):
        """Write down what a client call comes to, its body included."""
        try:
            response = await call
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.error(error)
            return None
        body = await response.read()
        if len(body) > 200:
            body = f"{len(body)} bytes, sum {sum(body)}"
        self.say(response.status, response.reason, response.url, body)
        self.say("  headers", _lines(response.headers))
        if response.history:
            self.say("  history", [(hop.status, str(hop.url)) for hop in response.history])
        if response.cookies:
            self.say("  cookies", sorted((c.key, c.value) for c in response.cookies.values()))
        if method:
            self.say("  method", response.method)
        return response

    async def get(self, url=PLACE, **kwargs):
        """Get a URL in a session of its own, and write down what comes of it."""
        async with aiohttp.ClientSession() as session:
            return await self.show(session.get(url, **kwargs))

    def requests(self, mock):
        """Write down what a mock has recorded."""
        for (method, url), calls in mock.requests.items():
            for call in calls:
                shown = {name: _plain(value) for name, value in sorted(call.kwargs.items())}
                self.say("request", method, url, call.args, shown)


def _lines(headers):
    # How a later spelling of a name is kept differs between versions of multidict.
    return [(name.lower(), value) for name, value in headers.items()]


def _plain(value):
    if isinstance(value, (str, bytes, int, float, bool, type(None))):
        return value
    if hasattr(value, "items") and not isinstance(value, dict):
        return f"{type(value).__name__}{list(value.items())}"
    if isinstance(value, (dict, list, tuple)):
        return value
    return type(value).__name__


def transcript(one: Script, package: str) -> list[str]:
    """Run a script with the package of that name, and return what it has said."""
    teller = Teller(package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            done = one.run(teller, *one.args)
            if inspect.iscoroutine(done):
                asyncio.run(asyncio.wait_for(done, 20))
        except Exception as error:  # noqa: BLE001 - whatever it is
            teller.say("stopped by", type(error).__name__)
    return teller.said


def recorded() -> dict[str, Any]:
    """Return the transcripts of aioresponses itself, by the names of the scripts."""
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def load() -> dict[str, Script]:
    """Import every file of scripts, and return them all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a later aiohttp says of arguments that suites give
        for path in sorted(Path(__file__).parent.glob("scripts_*.py")):
            import_module(path.stem)
    return SCRIPTS
