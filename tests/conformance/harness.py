"""One client, two far ends, one transcript.

A ``Scenario`` is a far end (a list of actions, see ``actions.py``) and a client (an async
function that gets an ``App``). ``differences`` runs the client against a real server
on 127.0.0.1 and then, with the very same URLs, against stubs, in memory and over a socket
of ``stub.serve``, and tells what the app or the far end saw otherwise.

To add one, write a line in the ``SCENARIOS`` of the file with the fitting theme::

    Scenario(
        "a redirect with 307 keeps method and body",
        [reply(307, headers={"Location": "/there"}), reply(text="done")],
        post("/here", data=b"kept"),
    )

- Each action answers one request, in the order of arrival. A mapping of targets to lists
  of actions answers by target instead.
- ``get``, ``post``, ``ask`` make a client of one request; their keywords are those of
  ``session.request``, and of the session (``session=``), its connector (``connector=``)
  and what to do with the response (``read=``). An object that is used up or wants a
  running loop is wrapped: ``data=New(make_form)``.
- A client of more than one request is an ``async def`` above the table; ``App.ask`` makes
  a request and notes all that an app can see of it, ``App.note`` anything else.
- ``since`` and ``until`` say for which aiohttp a scenario exists, ``ways`` on which kinds
  of stub it makes sense, ``tidy`` what is random in it.
- Time is that of ``clock.py``: it stands still while there is something to do, so a timer
  may be as long as reads well and never fires too early. Only the keep-alive of a pool
  looks at the clock on the wall.

What cannot be the same is listed in ``NOT_IDENTICAL``, and what a socket cannot play in
``NOT_ON_A_SOCKET``.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import enum
import errno
import functools
import importlib.util
import io
import re
import socket
import warnings
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import MultiMapping
from yarl import URL

import aiostub

from .actions import Action, Fail, Fault, Reply, Timeout, is_obstacle
from .clock import run_idle
from .loopback import Loopback, Network, Script, WebLoopback

Version = tuple[int, int]
Client = Callable[["App"], Awaitable[None]]
Reader = Callable[[aiohttp.ClientResponse], Awaitable[object]]
Transcript = dict[str, Any]

_major, _minor = aiohttp.__version__.split(".")[:2]
AIOHTTP: Version = int(_major), int(_minor)

NOT_IDENTICAL = {
    "trace events of name resolution": "a stub resolves no names",
    "addresses in the texts of connector errors": "a stub has no peer",
    "the headers Date and Server": "a reply has those that the test gives it",
    "the texts of OpenSSL": "they differ from one OpenSSL to the next",
    "the line of code that a warning of aiohttp names": "a started stub stands in between",
    "requests that break before they are written": "a stub has answered them by then",
    "requests that never get a connection": "they are in the log, yet no server sees them",
    "the log of what passes through": "aiohttp's own connection carries the bytes, unseen",
}
"""What a stub in memory cannot show as a real server does, or does not mean to, and why.

Nothing else is left out of a transcript; what is random in one scenario alone is tidied
there, in its ``tidy``.
"""

NOT_ON_A_SOCKET: dict[str, Callable[[Scenario], bool]] = {
    "a connection that does not come about: a socket listens": lambda s: any(
        is_obstacle(a) for a in s.actions
    ),
    "an exception of the client's own: a socket has bytes": lambda s: any(
        isinstance(a, Fail) and a.raises and a.raises not in SAME_ON_A_SOCKET for a in s.actions
    ),
    "a re-send of aiohttp's own: over a socket it is a request like any other": lambda s: (
        any(
            isinstance(a, Fail) and a.attempts is None and a.fault.name in {"disconnect", "reset"}
            for a in s.actions
        )
        and AIOHTTP >= (3, 10)
    ),
    "TLS needs the trustme package": lambda s: (
        s.scheme == "https" and importlib.util.find_spec("trustme") is None
    ),
    "nothing arrives": lambda s: not s.written,
}
"""Which scenarios a socket of ``stub.serve`` cannot play, and why."""

SAME_ON_A_SOCKET = {aiohttp.ServerDisconnectedError, aiohttp.ClientOSError}

LEFT_OUT = {"date", "server"}
TIDY = {
    r"Connect call failed \('[^']+', \d+\)": "Connect call failed (peer)",
    r"\[SSL: (\w+)\][^'\]]*": r"[SSL: \1 ...]",
}


# --- Declaring -------------------------------------------------------------------------


class Way(enum.Enum):
    """Name the ways in which a stub comes to answer a session."""

    PATCHED = "a started stub"
    INJECTED = "the stub's own connector"
    WAITING = "a stub whose route asks for the body"
    HANDLING = "a stub with a handler"
    PASSING = "a stub that lets it pass"
    SERVING = "a stub that serves a socket"


AT_ONCE = (Way.PATCHED, Way.INJECTED, Way.PASSING, Way.SERVING)
EVERY_WAY = tuple(Way)

Server = Sequence[Action] | Mapping[str, Sequence[Action]]


@dataclass(frozen=True)
class Scenario:
    """Declare a far end and a client of it."""

    name: str
    server: Server
    client: Client
    since: Version = field(default=(3, 9), kw_only=True)
    until: Version = field(default=(99, 0), kw_only=True)
    ways: Sequence[Way] = field(default=(), kw_only=True)
    tidy: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    scheme: str = field(default="http", kw_only=True)
    host: str = field(default="api.test", kw_only=True)
    log: bool = field(default=True, kw_only=True)  # False: what arrives is a matter of luck
    written: bool = field(default=True, kw_only=True)  # False: nothing arrives (then log=False)

    @property
    def exists(self) -> bool:
        """Say whether this aiohttp has what the scenario is about."""
        return self.since <= AIOHTTP <= self.until

    def base(self, port: int) -> str:
        """Give the URL of the far end."""
        return f"{self.scheme}://{self.host}:{port}"

    @property
    def plays(self) -> dict[str | None, Sequence[Action]]:
        """Give the actions by target, ``None`` being any."""
        if isinstance(self.server, Mapping):
            return dict(self.server.items())
        return {None: self.server}

    @property
    def actions(self) -> list[Action]:
        """List every action as often as it happens."""
        return [a for actions in self.plays.values() for a in actions for _ in range(a.times)]

    @property
    def stub_ways(self) -> Sequence[Way]:
        """Choose the kinds of stub: what happens before the body leaves no time to ask for it."""
        early = any(is_obstacle(a) or (isinstance(a, Reply) and a.early) for a in self.actions)
        ways = self.ways or (AT_ONCE if early or not self.written else EVERY_WAY)
        impossible = any(is_met(self) for is_met in NOT_ON_A_SOCKET.values())
        return [way for way in ways if not (way is Way.SERVING and impossible)]


class New:
    """Make an argument anew for each run, within the loop of the run."""

    def __init__(self, make: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.make = functools.partial(make, *args, **kwargs)


def fresh(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Make what is wrapped in ``New``."""
    return {k: v.make() if isinstance(v, New) else v for k, v in arguments.items()}


# --- The client's side -----------------------------------------------------------------


async def whole(response: aiohttp.ClientResponse) -> object:
    """Read the body at once."""
    return await response.read()


def ask(
    method: str,
    path: str | URL = "/",
    *,
    read: Reader = whole,
    session: Mapping[str, Any] | None = None,
    connector: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Client:
    """Make a client of one request."""

    async def client(app: App) -> None:
        async with app.session(connector=connector, **(session or {})) as opened:
            await app.ask(opened, method, path, read=read, **kwargs)

    return client


get = functools.partial(ask, "GET")
post = functools.partial(ask, "POST")
put = functools.partial(ask, "PUT")


FILES: list[io.IOBase] = []  # to be closed when no thread reads them any more; aiohttp may not

TRACED = {
    "on_request_start": ("method", "url", "headers"),
    "on_request_headers_sent": ("method", "url", "headers"),
    "on_request_chunk_sent": ("method", "url", "chunk"),
    "on_request_redirect": ("method", "url", "headers", "response"),
    "on_request_exception": ("method", "url", "headers", "exception"),
    "on_request_end": ("method", "url", "headers", "response"),
    "on_response_chunk_received": ("method", "url", "chunk"),
    "on_connection_queued_start": (),
    "on_connection_queued_end": (),
    "on_connection_create_start": (),
    "on_connection_create_end": (),
    "on_connection_reuseconn": (),
}


class App:
    """Be what the client of a scenario works with: sessions, URLs and a notebook."""

    def __init__(
        self,
        base: str,
        connector: Callable[..., aiohttp.BaseConnector],
        requests: Callable[[], int],
    ) -> None:
        self.base = base
        self._requests = requests
        self.notes: list[Any] = []
        self.traces: list[list[Any]] = []  # one list for each call of the client
        self._connector = connector

    def url(self, path: str | URL = "/", *, host: str | None = None) -> str | URL:
        """Complete a path; what is a URL already stays as it is."""
        if isinstance(path, URL) or not path.startswith("/"):
            return path
        port = self.base.rpartition(":")[2]
        return (f"http://{host}:{port}" if host else self.base) + path

    def connector(self, **kwargs: Any) -> aiohttp.BaseConnector:
        """Make a connector that leads to the far end."""
        return self._connector(**kwargs)

    @contextlib.asynccontextmanager
    async def session(self, *, connector: Any = None, trace: bool = True, **kwargs: Any) -> Any:
        """Open a traced session, and note its cookies when it is closed."""
        traces = [self._trace_config()] if trace else []
        made = fresh(kwargs)
        if isinstance(made.get("base_url"), str):
            made["base_url"] = self.url(made["base_url"])
        session = aiohttp.ClientSession(
            connector=self.connector(**(connector or {})), trace_configs=traces, **made
        )
        async with session:
            yield session
        self.note("jar", sorted(cookie.OutputString() for cookie in session.cookie_jar))

    def note(self, label: str, value: object) -> None:
        """Write something down."""
        self.notes.append({label: plain(value)})

    async def arrival(self, count: int = 1) -> None:
        """Wait until so many requests have reached the far end."""
        while self._requests() < count:  # noqa: ASYNC110 - neither side has an event for it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.005)  # a real one may still be reading

    async def attempt(self, label: str, awaitable: Awaitable[object]) -> None:
        """Await something and note what it gives or raises."""
        try:
            self.note(label, await awaitable)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            self.note(label, error)

    async def ask(
        self,
        session: aiohttp.ClientSession,
        method: str = "GET",
        path: str | URL = "/",
        *,
        read: Reader = whole,
        bare: bool = False,
        **kwargs: Any,
    ) -> None:
        """Make a request and note what an app can see of it; ``bare`` leaves the URL alone."""
        url = path if bare else self.url(path)
        response, made = None, fresh(kwargs)
        try:
            async with session.request(method, url, **made) as response:
                self.note("head", head(response))
                self.note("read", await read(response))
                self.note("when read", state(response))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            self.note("error", error)
        if response is not None:
            self.note("when released", state(response))
        if isinstance(file := made.get("data"), io.IOBase):
            FILES.append(file)

    def _trace_config(self) -> aiohttp.TraceConfig:
        def context(**_: object) -> list[Any]:
            self.traces.append([])
            return self.traces[-1]

        config = aiohttp.TraceConfig(trace_config_ctx_factory=context)  # type: ignore[arg-type]
        for signal, names in TRACED.items():
            getattr(config, signal).append(functools.partial(_record, signal, names))
        return config


async def _record(
    signal: str, names: Sequence[str], _: object, context: list[Any], params: Any
) -> None:
    values = {name: getattr(params, name) for name in names}
    context.append({signal.removeprefix("on_"): plain(values)})


def head(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """List what an app can see of a response before it reads the body."""
    disposition = response.content_disposition
    return {
        "status": response.status,
        "reason": response.reason,
        "ok": response.ok,
        "version": response.version and f"{response.version.major}.{response.version.minor}",
        "headers": response.headers,
        "raw_headers": [b": ".join(pair) for pair in response.raw_headers],
        "content_type": response.content_type,
        "charset": response.charset,
        "content_length": response.content_length,
        "disposition": disposition and [disposition.type, disposition.filename],
        "cookies": [cookie.OutputString() for cookie in response.cookies.values()],
        "links": [[key, str(link.get("url"))] for key, link in response.links.items()],
        "method": response.method,
        "url": response.url,
        "real_url": response.real_url,
        "host": response.host,
        "history": response.history,
        "request": response.request_info,
        **state(response),
    }


def state(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Tell how far a response has got."""
    return {
        "closed": response.closed,
        "connection": "held" if response.connection else "gone",
        "at_eof": response.content.at_eof(),
    }


# --- Plain data ------------------------------------------------------------------------

SHOWN_OF_ERRORS = (
    *("errno", "strerror", "status", "message", "host", "port", "headers"),
    *("os_error", "request_info", "history", "url"),
)
LONG = 600  # bytes of a body that a transcript shows


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """Turn what a scenario notes into data that can be compared and printed."""
    if isinstance(value, bytes) and len(value) > LONG:
        return f"{len(value)} bytes, crc32 {zlib.crc32(value)}, begins {value[:20]!r}"
    if isinstance(value, (type(None), bool, int, float, str, bytes)):
        return value
    if isinstance(value, BaseException):
        return describe(value)
    if isinstance(value, aiohttp.ClientResponse):
        return f"<{value.status} {value.method} {value.url}>"
    if isinstance(value, aiohttp.RequestInfo):
        return {"line": f"{value.method} {value.url} {value.real_url}", **plain_headers(value)}
    if isinstance(value, MultiMapping):
        return [f"{k}: {v}" for k, v in value.items() if k.lower() not in LEFT_OUT]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value if not is_left_out(item)]
    return str(value)


def plain_headers(info: aiohttp.RequestInfo) -> dict[str, Any]:
    """Show the headers that a response says its request had."""
    return {"headers": plain(info.headers)}


def is_left_out(item: object) -> bool:
    """Recognise a raw header that no transcript holds."""
    return isinstance(item, bytes) and item.startswith((b"Date: ", b"Server: "))


def describe(error: BaseException) -> dict[str, Any]:
    """Show of an exception what an app can tell it by."""
    shown = {name: getattr(error, name, None) for name in SHOWN_OF_ERRORS}
    return {
        "type": type(error).__name__,
        "text": str(error),
        **{name: plain(value) for name, value in shown.items() if value is not None},
        "cause": error.__cause__ and type(error.__cause__).__name__,
    }


def tidied(value: Any, tidy: Mapping[str, str]) -> Any:
    """Replace in every text what cannot be the same twice."""
    if isinstance(value, str):
        for pattern, replacement in tidy.items():
            value = re.sub(pattern, replacement, value)
        return value
    if isinstance(value, bytes):
        return tidied(value.decode("latin-1"), tidy).encode("latin-1")
    if isinstance(value, list):
        return [tidied(item, tidy) for item in value]
    if isinstance(value, dict):
        return {key: tidied(item, tidy) for key, item in value.items()}
    return value


# --- Running ---------------------------------------------------------------------------

PATIENCE = 5  # seconds until a run is given up
TICKS = 20  # turns of the loop until whatever was closed is gone


async def run(scenario: Scenario, app: App) -> Transcript:
    """Let the client work, and collect what it noted and what it left lying about."""
    loop, complaints = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    ended = "well"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            await asyncio.wait_for(scenario.client(app), PATIENCE)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
            ended = f"{type(error).__name__}: {error}"
        for _ in range(TICKS):
            await asyncio.sleep(0)
    return {
        "app": app.notes,
        "trace": app.traces,
        "ended": ended,
        "warnings": [
            f"{w.category.__name__}: {w.message}"
            for w in warned
            if not issubclass(w.category, ResourceWarning)  # the loop complains of its own
        ],
        "complaints of the loop": complaints,
    }


async def run_for_real(scenario: Scenario, port: int = 0) -> tuple[Transcript, int]:
    """Run against the server on 127.0.0.1; also give the port on which it stood."""
    app: App
    script = Script(scenario.plays, lambda: len(app.traces))
    server = make_server(scenario, script, port)
    network = Network(script, server)

    def connector(**kwargs: Any) -> aiohttp.BaseConnector:
        return aiohttp.TCPConnector(resolver=network, **kwargs)

    app = App(scenario.base(server.port), connector, lambda: len(script.arrivals))
    with network.on(asyncio.get_running_loop()):
        transcript = await run(scenario, app)
        await server.close()
    transcript["tasks left"] = len(asyncio.all_tasks()) - 1
    if script.mistakes or bool(script.leftovers()) is scenario.written:
        raise AssertionError(f"{script.mistakes}, never asked for: {script.leftovers()}")
    if scenario.log:
        transcript["requests"] = [arrival and received(arrival) for arrival in script.arrivals]
    return transcript, server.port


def make_server(scenario: Scenario, script: Script, port: int) -> Loopback:
    """Choose the server that can play the scenario."""
    faults = {action.fault.name for action in scenario.actions if isinstance(action, Fail)}
    by_web = any(isinstance(action, Reply) and action.web for action in scenario.actions)
    tls = scenario.scheme == "https" and "tls" not in faults
    return (WebLoopback if by_web else Loopback)(script, tls=tls, port=port)


def received(arrival: Any) -> Any:
    """Show a request as the server got it."""
    target = re.sub(r"^http://[^/]+", "", arrival.target)
    return plain(
        {
            "line": f"{arrival.method} {target}",
            "proxied": target != arrival.target,
            "headers": [f"{name}: {value}" for name, value in arrival.headers],
            "body": arrival.body,
            "attempts": arrival.attempts,
            "status": arrival.status,
        }
    )


async def run_on_stub(scenario: Scenario, way: Way, port: int) -> Transcript:
    """Run against a stub."""
    stub, base = aiostub.Stub(), scenario.base(port)
    for target, actions in scenario.plays.items():
        register(stub, base + target if target else aiostub.ANY, actions, way)
    started = way is not Way.INJECTED
    make: Any = aiohttp.TCPConnector if started else stub.connector
    app = App(base, functools.partial(make, resolver=NoResolver()), lambda: len(stub.calls))
    last = contextlib.nullcontext() if started else stub.connector()  # the strict check waits
    try:
        async with last:
            with stub if started else contextlib.nullcontext():
                transcript = await run(scenario, app)
    except aiostub.UnsatisfiedStub as error:
        transcript["ended"] += f", at exit {type(error).__name__}: {error}"
    transcript["tasks left"] = len(asyncio.all_tasks()) - 1
    if scenario.log:
        transcript["requests"] = log_of(stub, scenario)
    return transcript


async def run_past_stub(scenario: Scenario, port: int) -> Transcript:
    """Run against the server once more, with a stub that has nothing to say."""
    with aiostub.Stub(unmatched="passthrough"):
        transcript, _ = await run_for_real(scenario, port)
    return transcript


async def run_on_socket(scenario: Scenario, port: int) -> Transcript:
    """Run against a socket that a stub serves, where the client believes the server to be."""
    stub, base = aiostub.Stub(), scenario.base(port)
    for target, actions in scenario.plays.items():
        register(stub, base + target if target else aiostub.ANY, actions, Way.SERVING)
    app = App(
        base, functools.partial(aiohttp.TCPConnector, resolver=Local()), lambda: len(stub.calls)
    )
    complaint = ""
    try:
        async with stub.serve(origin=base, tls=scenario.scheme == "https") as url:
            with all_lead_to(URL(url)):
                transcript = await run(scenario, app)
    except aiostub.UnsatisfiedStub as error:
        complaint = f", at exit {type(error).__name__}: {error}"
    transcript["ended"] += complaint
    transcript["tasks left"] = len(asyncio.all_tasks()) - 1
    if scenario.log:
        transcript["requests"] = log_of(stub, scenario)
    return transcript


class Local(aiohttp.abc.AbstractResolver):
    """Find every host on this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> Any:
        """Answer as a resolver of aiohttp does."""
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "proto": 0}
        return [{**found, "family": socket.AF_INET, "flags": socket.AI_NUMERICHOST}]

    async def close(self) -> None:
        """Have nothing to close."""


@contextlib.contextmanager
def all_lead_to(url: URL) -> Iterator[None]:
    """Connect to one port, whatever was asked for."""
    loop: Any = asyncio.get_running_loop()
    connect = loop.sock_connect
    loop.sock_connect = lambda sock, _: connect(sock, (url.host, url.port))
    try:
        yield
    finally:
        del loop.sock_connect


def log_of(stub: aiostub.Stub, scenario: Scenario) -> list[Any]:
    """Show the log as what a server would have got."""
    calls = [call for call in stub.calls if call.route is not None]
    steps = [*scenario.actions, *[None] * len(calls)]
    pairs = zip(steps, calls, strict=False)
    return [None if is_obstacle(step) else logged(call, scenario) for step, call in pairs]


class NoResolver(aiohttp.abc.AbstractResolver):
    """Say so if a stub asks for an address."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> Any:
        """Refuse to."""
        raise AssertionError(f"the stub resolved {host}")

    async def close(self) -> None:
        """Have nothing to close."""


def register(stub: aiostub.Stub, url: Any, actions: Sequence[Action], way: Way) -> None:
    """Turn actions into the steps of a route."""
    conditions: Any = {"where": lambda _: True} if way is Way.WAITING else {}
    route = stub.any(url, **conditions)
    for index, action in enumerate(actions):
        step: Any = route.then if index else route
        if way is Way.HANDLING and (handler := handler_of(action)):
            step.handle(handler)
        else:
            add_step(step, action)
        if action.times > 1:
            step.times(action.times)


def add_step(route: Any, action: Action) -> None:
    """Tell the route what to do."""
    if isinstance(action, Reply):
        spoilt = {"fault": make_fault(action.fault)} if action.fault else {}
        route.reply(**action.arguments, delay=action.delay, early=action.early, **spoilt)
    elif isinstance(action, Fail):
        route.fail(action.raises or make_fault(action.fault), attempts=action.attempts)
    elif isinstance(action, Timeout):
        route.timeout(action.which)
    else:
        route.hang()


def handler_of(action: Action) -> Callable[..., Any] | None:
    """Make a handler that does the same, where one can."""

    async def handler(_: aiostub.Request) -> aiostub.Reply:
        if isinstance(action, Fail):
            raise make_fault(action.fault)
        assert isinstance(action, Reply)
        spoilt = {"fault": make_fault(action.fault)} if action.fault else {}
        return aiostub.Reply(**action.arguments, delay=action.delay, **spoilt)

    if isinstance(action, Fail):
        return None if is_obstacle(action) or action.attempts or action.raises else handler
    return handler if isinstance(action, Reply) and not action.early else None


def make_fault(fault: Fault) -> Any:
    """Make the stub's fault of this name."""
    return getattr(aiostub.faults, fault.name)(**fault.arguments)


def logged(call: aiostub.Call, scenario: Scenario) -> Any:
    """Show a call of the log as the server would have got it."""
    request = call.request
    over_socket = request.session is None
    to_proxy = (
        request.url.host != scenario.host.lower() if over_socket else request.proxy is not None
    )
    proxied = to_proxy and request.url.scheme == "http"
    return plain(
        {
            "line": f"{request.method} {request.url.raw_path_qs}",
            "proxied": proxied,
            "headers": [f"{name}: {value}" for name, value in request.headers.items()],
            "body": request.body,
            "attempts": call.attempts,
            "status": call.status,
        }
    )


# --- Comparing -------------------------------------------------------------------------


def differences(scenario: Scenario) -> str:
    """Run a scenario everywhere and tell what was otherwise than on the real server.

    Stubs that differ in the same way are named together.
    """
    real, *stubbed = run_idle(transcripts(scenario))
    while FILES:
        FILES.pop().close()
    found: dict[str, list[str]] = {}
    for way, transcript in zip(scenario.stub_ways, stubbed, strict=True):
        found.setdefault(difference(real, transcript), []).append(way.value)
    return "\n\n".join(
        f"--- a real server\n+++ {', '.join(ways)}\n{lines}"
        for lines, ways in found.items()
        if lines
    )


async def transcripts(scenario: Scenario) -> list[Transcript]:
    """Give the transcript of the real run first, then those of the stubs."""
    real, port = await run_for_real(scenario)
    try:
        stubbed = [await run_in(way, scenario, port) for way in scenario.stub_ways]
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return await transcripts(scenario)  # another process has got the port in between
    return [tidied(transcript, {**TIDY, **scenario.tidy}) for transcript in (real, *stubbed)]


def run_in(way: Way, scenario: Scenario, port: int) -> Awaitable[Transcript]:
    """Choose how to run."""
    if way is Way.PASSING:
        return run_past_stub(scenario, port)
    if way is Way.SERVING:
        return run_on_socket(scenario, port)
    return run_on_stub(scenario, way, port)


def difference(expected: Transcript, actual: Transcript) -> str:
    """Show where two transcripts part; empty if they don't."""
    if expected == actual:
        return ""
    lines = difflib.unified_diff(list(render(expected)), list(render(actual)), lineterm="", n=2)
    return "\n".join(list(lines)[2:])


def render(value: Any, indent: str = "") -> Iterator[str]:
    """Write plain data as lines, one for each leaf."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = (("-", item) for item in value)
    for key, item in items:
        if isinstance(item, (dict, list)) and item:
            yield f"{indent}{key}"
            yield from render(item, indent + "  ")
        else:
            yield f"{indent}{key} {item!r}"
