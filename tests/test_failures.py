"""Failures: what the app sees of them, how often, and what the log says."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import inspect
import pickle
import socket
import ssl

import aiohttp
import pytest
from aiohttp import client_exceptions

import aiostub
from aiostub import RouteError, faults

URL = "https://api.test/items"
PLAIN_URL = "http://api.test/items"
AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])

# From 3.10 on, aiohttp sends idempotent requests once more by itself after a dropped connection.
RESENDS = AIOHTTP >= (3, 10)
IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
METHODS = (*IDEMPOTENT, "POST", "PATCH")

DNS_ERROR = getattr(aiohttp, "ClientConnectorDNSError", aiohttp.ClientConnectorError)
READ_TIMEOUT = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)

# Seconds of the loop's clock, which only a stall lets pass.
PATIENT = aiohttp.ClientTimeout(total=120, sock_read=60)

needs_middlewares = pytest.mark.skipif(AIOHTTP < (3, 12), reason="aiohttp has no middlewares yet")
virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime")
    else pytest.mark.skip(reason="looptime is not installed")
)


@pytest.fixture
def stub():
    """Give a strict stub, started."""
    with aiostub.Stub() as stub:
        yield stub


@pytest.fixture
async def session():
    """Give an ordinary session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(session, method="GET", url=URL, **kwargs):
    """Send a request, and return status and text of the answer."""
    async with session.request(method, url, **kwargs) as response:
        return response.status, await response.text()


async def failure(session, method="GET", url=URL, **kwargs):
    """Send a request, and return what it raised."""
    with pytest.raises(BaseException) as caught:
        await ask(session, method, url, **kwargs)
    return caught.value


def is_aiohttps(thing):
    """Tell whether something is an exception class of aiohttp's."""
    return (
        inspect.isclass(thing)
        and issubclass(thing, BaseException)
        and (thing.__module__ == client_exceptions.__name__)
    )


ALL_OF_AIOHTTP = [
    thing for name, thing in sorted(vars(client_exceptions).items()) if is_aiohttps(thing)
]
AS_FAULTS = {
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectorError,
    DNS_ERROR,
}


# Classes as a user writes them: no argument of theirs is aiohttp's.


class OwnError(Exception):
    """An error of the user's own."""


class OwnBaseError(BaseException):
    """An error that no `except Exception` catches."""


class OwnClientError(aiohttp.ClientError):
    """An error that derives from aiohttp's."""


class OwnConnectionError(aiohttp.ClientConnectionError):
    """An error that derives from aiohttp's of connections."""


class OwnOSError(OSError):
    """An error that derives from the system's."""


class OwnClientOSError(aiohttp.ClientOSError):
    """An error that derives from aiohttp's of the system."""


class OwnDisconnect(aiohttp.ServerDisconnectedError):
    """An error that derives from aiohttp's of a dropped connection."""


class OwnConnectorError(aiohttp.ClientConnectorError):
    """An error that wants aiohttp's internals, as its parent does."""


class OwnResponseError(aiohttp.ClientResponseError):
    """An error that wants the real request's facts, as its parent does."""


class OwnTimeoutError(TimeoutError):
    """An error that derives from Python's timeout."""


class OwnAsyncioTimeout(asyncio.TimeoutError):
    """An error that derives from asyncio's timeout."""


class OwnServerTimeout(aiohttp.ServerTimeoutError):
    """An error that derives from aiohttp's timeout."""


class OwnWithoutArguments(aiohttp.ClientResponseError):
    """An error whose constructor wants nothing, though its parent's does."""

    def __init__(self):
        Exception.__init__(self, "my own words")

    def __str__(self):
        return "my own words"


OWN = (
    OwnError,
    OwnBaseError,
    OwnClientError,
    OwnConnectionError,
    OwnOSError,
    OwnClientOSError,
    OwnDisconnect,
    OwnConnectorError,
    OwnResponseError,
    OwnTimeoutError,
    OwnAsyncioTimeout,
    OwnServerTimeout,
    OwnWithoutArguments,
)
BUILT_IN = (ValueError, KeyError, RuntimeError, EOFError, TimeoutError, asyncio.TimeoutError)

# A route decides at once, or only when the whole request is there.
DECIDED = {"at once": {}, "by the whole request": {"where": lambda request: request.complete}}
decided = pytest.mark.parametrize("conditions", DECIDED.values(), ids=DECIDED)


class TestClasses:
    """`fail(SomeError)` makes a new instance for each request."""

    @decided
    @pytest.mark.parametrize("cls", [*ALL_OF_AIOHTTP, *BUILT_IN, *OWN], ids=lambda c: c.__name__)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_the_app_sees_the_class_given(self, stub, session, method, cls, conditions):
        """Once, as one call, whatever the constructor wants."""
        stub.request(method, URL, **conditions).fail(cls)
        error = await failure(session, method)
        assert cls is type(error)
        assert 1 == len(stub.calls)
        assert error is stub.calls.last.error

    @pytest.mark.parametrize("cls", ALL_OF_AIOHTTP, ids=lambda cls: cls.__name__)
    async def test_what_aiohttp_raises_can_be_shown(self, stub, session, cls):
        """As text, as repr, and with the facts of the real request."""
        stub.get(URL).fail(cls)
        error = await failure(session)
        assert isinstance(str(error), str)
        assert isinstance(repr(error), str)
        facts = {
            "host": "api.test",
            "port": 443,
            "request_info": stub.calls.last.request.url,
            "url": stub.calls.last.request.url,
        }
        for name, expected in facts.items():
            actual = getattr(error, name, expected)
            assert expected == getattr(actual, "url", actual), name

    CONNECTOR_ERRORS = (
        aiohttp.ClientConnectorError,
        DNS_ERROR,
        aiohttp.ClientProxyConnectionError,
        aiohttp.ClientConnectorSSLError,
        aiohttp.ClientSSLError,
        OwnConnectorError,
    )

    @pytest.mark.parametrize("cls", CONNECTOR_ERRORS, ids=lambda cls: cls.__name__)
    async def test_a_connector_error_has_its_facts(self, stub, session, cls):
        """Host, port, and the error of the system beneath."""
        stub.get("http://api.test:8080/").fail(cls)
        error = await failure(session, url="http://api.test:8080/")
        assert ("api.test", 8080) == (error.host, error.port)
        assert isinstance(error.os_error, OSError)
        assert error.errno == error.os_error.errno
        assert str(error).startswith("Cannot connect to host api.test:8080 ssl:")

    @pytest.mark.parametrize("cls", [aiohttp.ClientResponseError, OwnResponseError])
    async def test_a_response_error_has_its_facts(self, stub, session, cls):
        """The request that it is about."""
        stub.post(URL).fail(cls)
        error = await failure(session, "POST", headers={"X-A": "b"})
        assert ("POST", URL) == (error.request_info.method, str(error.request_info.url))
        assert "b" == error.request_info.headers["X-A"]
        assert () == error.history
        assert isinstance(error.status, int)

    @pytest.mark.parametrize("cls", [ValueError, aiohttp.ClientPayloadError, OwnConnectorError])
    async def test_each_request_has_an_instance_of_its_own(self, stub, session, cls):
        """No traceback grows from one to the next."""
        stub.get(URL).fail(cls).times(2)
        first, second = await failure(session), await failure(session)
        assert cls is type(first) is type(second)
        assert first is not second

    async def test_a_class_whose_constructor_wants_more_is_refused(self, stub):
        """With the advice to pass an instance."""

        class WantingError(Exception):
            def __init__(self, code, reason):
                super().__init__(code, reason)

        route = stub.get(URL)
        with pytest.raises(RouteError, match=r"WantingError cannot be made here .*pass an inst"):
            route.fail(WantingError)

    NO_EXCEPTIONS = (None, "ValueError", 5, object, int, faults.Fault, [ValueError])

    @pytest.mark.parametrize("exc", NO_EXCEPTIONS)
    def test_what_is_no_exception_is_refused(self, exc):
        """At the line that registers it."""
        with pytest.raises(RouteError, match=r"^exc: must be a fault, or a class or instance"):
            aiostub.Stub().get(URL).fail(exc)


def instance_with_notes():
    """Make an exception with an attribute and a note of the test's own."""
    error = OwnError("words", 5)
    error.code = 42
    if hasattr(error, "add_note"):
        error.add_note("a note")
    return error


class TestInstances:
    """`fail(SomeError(...))` raises a copy for each request."""

    INSTANCES = (
        ValueError("no"),
        OwnBaseError("no"),
        OwnOSError(errno.EIO, "no"),
        OwnClientOSError(errno.EPIPE, "no"),
        OwnDisconnect("gone"),
        OwnTimeoutError("late"),
        aiohttp.ServerDisconnectedError("gone"),
        aiohttp.ClientOSError(errno.EPIPE, "broken"),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.ServerTimeoutError("late"),
        aiohttp.InvalidURL("http://x"),
        asyncio.TimeoutError("late"),
        TimeoutError("late"),
        TimeoutError(errno.ETIMEDOUT, "late"),
        asyncio.IncompleteReadError(b"ab", 3),
        KeyError("a"),
    )

    @decided
    @pytest.mark.parametrize("error", INSTANCES, ids=lambda error: type(error).__name__)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_class_and_arguments_are_those_given(
        self, stub, session, method, error, conditions
    ):
        """Whatever the class is; nothing is sent for it, so none is a fault."""
        stub.request(method, URL, **conditions).fail(error)
        raised = await failure(session, method)
        assert type(error) is type(raised)
        assert error.args == raised.args
        assert str(error) == str(raised)
        assert 1 == len(stub.calls)

    async def test_it_is_a_copy(self, stub, session):
        """With what was set on it, and without a traceback from the last time."""
        error = instance_with_notes()
        stub.get(URL).fail(error).times(2)
        first, second = await failure(session), await failure(session)
        assert 3 == len({id(error), id(first), id(second)})
        assert [42, 42] == [first.code, second.code]
        assert getattr(error, "__notes__", None) == getattr(second, "__notes__", None)
        assert error.__traceback__ is None

    async def test_it_is_the_instance_itself_where_it_cannot_be_copied(self, stub, session):
        """Better that than another exception."""

        class UncopyableError(Exception):
            def __init__(self, *, code):
                super().__init__("made with", code)
                self.code = code

        error = UncopyableError(code=42)
        stub.get(URL).fail(error).times(2)
        assert error is await failure(session)
        assert error is await failure(session)

    async def test_its_cause_does_not_come_with_it(self, stub, session):
        """An instance that was raised before is as good as new."""
        error = ValueError("no")
        error.__cause__ = KeyError("a")
        stub.get(URL).fail(error)
        assert (await failure(session)).__cause__ is None


OS_ERRORS = (
    OSError,
    ConnectionRefusedError,
    ConnectionResetError,
    BrokenPipeError,
    ConnectionAbortedError,
    FileNotFoundError,
    PermissionError,
    socket.gaierror,
    ssl.SSLError,
    OSError("words"),
    OSError(errno.EIO, "Input/output error"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ssl.SSLError(1, "certificate"),
)


class TestOSErrors:
    """A bare OSError is what this aiohttp makes of one."""

    @pytest.mark.parametrize("error", OS_ERRORS, ids=repr)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_the_app_sees_one_error_with_its_arguments(self, stub, session, method, error):
        """A ClientOSError from 3.12 on, the bare error before."""
        given = error() if inspect.isclass(error) else error
        stub.request(method, URL).fail(error)
        raised = await failure(session, method)
        assert (aiohttp.ClientOSError if AIOHTTP >= (3, 12) else type(given)) is type(raised)
        assert given.args == raised.args
        assert given.errno == raised.errno
        assert 1 == len(stub.calls)
        assert raised is stub.calls.last.error

    @pytest.mark.parametrize("error", OS_ERRORS, ids=repr)
    async def test_what_comes_after_sending_is_always_a_client_os_error(self, stub, session, error):
        """There every aiohttp makes one of it."""
        given = error() if inspect.isclass(error) else error
        stub.post(URL, data=b"body").fail(error)
        raised = await failure(session, "POST", data=b"body")
        assert aiohttp.ClientOSError is type(raised)
        assert given.args == raised.args
        assert 1 == len(stub.calls)


TIMEOUTS = (
    TimeoutError,
    asyncio.TimeoutError,
    socket.timeout,
    aiohttp.ServerTimeoutError,
    READ_TIMEOUT,
    getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError),
    OwnTimeoutError,
    OwnAsyncioTimeout,
    OwnServerTimeout,
    TimeoutError("late"),
    asyncio.TimeoutError("late"),
    aiohttp.ServerTimeoutError("late"),
    OwnTimeoutError("late"),
    OSError(errno.ETIMEDOUT, "late"),
)


class TestTimeoutErrors:
    """A timeout is the class given: aiohttp does not take it for one of its own."""

    @decided
    @pytest.mark.parametrize("error", TIMEOUTS, ids=repr)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_class_and_arguments_arrive(self, stub, session, method, error, conditions):
        """Not translated into a connection timeout."""
        cls = error if inspect.isclass(error) else type(error)
        stub.request(method, URL, **conditions).fail(error)
        raised = await failure(session, method)
        assert cls is type(raised)
        if not inspect.isclass(error):
            assert error.args == raised.args
        assert 1 == len(stub.calls)

    @pytest.mark.parametrize("error", [TimeoutError, asyncio.TimeoutError, OwnTimeoutError])
    async def test_it_comes_whatever_timers_the_client_has(self, stub, error):
        """It is a failure of the test's own, not a timer."""
        stub.get(URL).fail(error)
        timeout = aiohttp.ClientTimeout(total=None, connect=None)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            assert error is type(await failure(session))


class TestFourClasses:
    """Four classes come about as their fault does, through aiohttp's own code."""

    SAME = (
        (aiohttp.ServerDisconnectedError, faults.disconnect()),
        (aiohttp.ClientOSError, faults.reset()),
        (aiohttp.ClientConnectorError, faults.refused()),
        (DNS_ERROR, faults.dns()),
    )
    if DNS_ERROR is aiohttp.ClientConnectorError:
        SAME = SAME[:-1]

    @pytest.mark.parametrize(("cls", "fault"), SAME)
    @pytest.mark.parametrize("method", METHODS)
    async def test_class_and_fault_give_the_same(self, stub, session, method, cls, fault):
        """Class, arguments, cause, and what the log says."""
        seen = []
        for exc in (cls, fault):
            stub.request(method, URL).fail(exc)
            raised = await failure(session, method)
            call = stub.calls.last
            seen.append((type(raised), str(raised), type(raised.__cause__), call.attempts))
        assert seen[0] == seen[1]
        assert 2 == len(stub.calls)

    async def test_the_request_was_sent_before_the_connection_dropped(self, stub, session):
        """So that a server would have got it."""
        stub.post(URL).fail(aiohttp.ServerDisconnectedError)
        await failure(session, "POST", data=b"body")
        request = stub.calls.last.request
        assert (b"body", "4") == (request.body, request.headers["Content-Length"])

    async def test_an_instance_of_theirs_is_none(self, stub, session):
        """It is raised as it stands, with nothing sent."""
        stub.post(URL).fail(aiohttp.ServerDisconnectedError("my words"))
        assert ("my words",) == (await failure(session, "POST")).args

    async def test_a_subclass_of_theirs_is_none(self, stub, session):
        """It is raised as it stands, with nothing sent."""
        sent = []

        async def body():
            sent.append(b"body")
            yield b"body"

        stub.post(URL).fail(OwnDisconnect)
        assert OwnDisconnect is type(await failure(session, "POST", data=body()))
        assert [] == sent


class TestAttempts:
    """One failure that the app can see is one exception and one call, for every method."""

    DROPPED = (
        aiohttp.ServerDisconnectedError,
        aiohttp.ClientOSError,
        faults.disconnect(),
        faults.reset(),
    )

    @decided
    @pytest.mark.parametrize("exc", DROPPED, ids=repr)
    @pytest.mark.parametrize("method", METHODS)
    async def test_a_resend_meets_the_same_failure(self, stub, session, method, exc, conditions):
        """It consumes nothing, and is counted in the attempts of the call."""
        stub.request(method, URL, **conditions).fail(exc).then.reply(204)
        assert isinstance(await failure(session, method), aiohttp.ClientConnectionError)
        (call,) = stub.calls
        assert (2 if RESENDS and method in IDEMPOTENT else 1) == call.attempts
        assert (204, "") == await ask(session, method)
        assert [1] == [call.attempts for call in stub.calls[1:]]

    @pytest.mark.parametrize("exc", [faults.refused(), faults.dns(), faults.unreachable()])
    async def test_what_never_connected_is_not_sent_again(self, stub, session, exc):
        """aiohttp gives up at once."""
        stub.get(URL).fail(exc)
        await failure(session)
        assert [1] == [call.attempts for call in stub.calls]

    async def test_a_plain_call_is_one_attempt(self, stub, session):
        """The first one answers."""
        stub.get(URL).reply()
        await ask(session)
        assert 1 == stub.calls.last.attempts

    @pytest.mark.parametrize("exc", [*DROPPED, OwnDisconnect, OwnClientOSError(5, "no")], ids=repr)
    async def test_several_uses_are_several_failures(self, stub, session, exc):
        """Each client call meets one."""
        stub.get(URL).fail(exc).times(3).then.reply(text="up")
        for number in range(1, 4):
            await failure(session)
            assert number == len(stub.calls)
        assert (200, "up") == await ask(session)

    async def test_concurrent_calls_meet_one_each(self, stub, session):
        """A re-send of one never takes the failure of another."""
        stub.get(URL).fail(faults.disconnect()).times(5).then.reply(text="up").times(5)
        tasks = [failure(session) for _ in range(5)]
        errors = await asyncio.gather(*tasks)
        assert [aiohttp.ServerDisconnectedError] * 5 == [type(error) for error in errors]
        assert [(200, "up")] * 5 == await asyncio.gather(*[ask(session) for _ in range(5)])
        assert 10 == len(stub.calls)

    async def test_a_kept_alive_connection_that_drops(self, stub, session):
        """It fails as a fresh one does."""
        stub.get(URL).reply(text="a").then.fail(faults.disconnect()).then.reply(text="b")
        assert (200, "a") == await ask(session)
        assert aiohttp.ServerDisconnectedError is type(await failure(session))
        assert (200, "b") == await ask(session)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("exc", DROPPED, ids=repr)
    async def test_attempts_1_lets_the_resend_go_on(self, stub, session, method, exc):
        """The stale connection that the app never notices; what is not re-sent fails."""
        stub.request(method, URL).fail(exc, attempts=1).then.reply(204)
        if RESENDS and method in IDEMPOTENT:
            assert (204, "") == await ask(session, method)
        else:
            assert isinstance(await failure(session, method), aiohttp.ClientConnectionError)
            assert (204, "") == await ask(session, method)
        assert [1, 1] == [call.attempts for call in stub.calls]
        assert [None, 204] == [call.status for call in stub.calls]

    @pytest.mark.skipif(not RESENDS, reason="this aiohttp re-sends nothing")
    async def test_attempts_1_goes_on_to_the_next_use(self, stub, session):
        """Two uses are two attempts of one client call, and two calls in the log."""
        stub.get(URL).fail(faults.disconnect(), attempts=1).times(2)
        assert aiohttp.ServerDisconnectedError is type(await failure(session))
        assert [1, 1] == [call.attempts for call in stub.calls]
        assert stub.calls[0].origin is stub.calls[1].origin

    @pytest.mark.skipif(not RESENDS, reason="this aiohttp re-sends nothing")
    async def test_attempts_1_goes_on_to_the_next_route(self, stub, session):
        """As any further request would."""
        stub.get(URL).fail(faults.disconnect(), attempts=1)
        stub.get(URL).reply(text="other route")
        assert (200, "other route") == await ask(session)

    async def test_attempts_1_of_an_exception_of_the_users(self, stub, session):
        """What aiohttp does not re-send fails as ever."""
        stub.get(URL).fail(OwnError, attempts=1)
        assert OwnError is type(await failure(session))
        assert 1 == len(stub.calls)

    @pytest.mark.parametrize("attempts", [0, 2, -1, 1.5, True, "1"])
    def test_attempts_is_none_or_1(self, attempts):
        """Anything else is refused where it is written."""
        with pytest.raises(RouteError, match=r"^attempts: must be None or 1"):
            aiostub.Stub().get(URL).fail(ValueError, attempts=attempts)

    async def test_a_failure_in_the_midst_of_redirects(self, stub, session):
        """A hop of its own that fails is a call of its own."""
        stub.get(URL).reply(302, headers={"Location": "/next"})
        stub.get("https://api.test/next").fail(faults.disconnect())
        assert aiohttp.ServerDisconnectedError is type(await failure(session))
        assert [302, None] == [call.status for call in stub.calls]

    @pytest.mark.skipif(not RESENDS, reason="this aiohttp re-sends nothing")
    async def test_a_resend_after_a_redirect_goes_to_the_same_place(self, stub, session):
        """And still consumes nothing."""
        stub.get(URL).reply(302, headers={"Location": "/next"})
        stub.get("https://api.test/next").fail(faults.disconnect(), attempts=1).then.reply(text="b")
        assert (200, "b") == await ask(session)
        assert [302, None, 200] == [call.status for call in stub.calls]


def retrying(times, seen):
    """Make a middleware that tries that many times, and notes what it saw."""

    async def middleware(request, handler):
        for attempt in range(times):
            try:
                response = await handler(request)
            except aiohttp.ClientError as error:
                seen.append(type(error))
                if attempt == times - 1:
                    raise
                continue
            seen.append(response.status)
            if response.status < 500 or attempt == times - 1:
                return response
            response.release()
        raise AssertionError

    return middleware


@needs_middlewares
class TestMiddlewares:
    """A retry by a middleware is a new call."""

    @pytest.mark.parametrize("exc", [faults.disconnect(), faults.reset(), faults.refused()])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_each_try_uses_a_step(self, stub, method, exc):
        """Until one succeeds."""
        seen = []
        stub.request(method, URL).fail(exc).times(2).then.reply(201)
        async with aiohttp.ClientSession(middlewares=(retrying(5, seen),)) as session:
            assert (201, "") == await ask(session, method)
        assert 3 == len(stub.calls)
        assert [1, 1, 1] == [call.attempts for call in stub.calls]
        assert [201] == seen[2:]
        assert all(issubclass(cls, aiohttp.ClientConnectionError) for cls in seen[:2])

    async def test_a_status_is_retried(self, stub):
        """As much as a failure."""
        seen = []
        stub.get(URL).reply(503).times(2).then.reply(text="up")
        async with aiohttp.ClientSession(middlewares=(retrying(3, seen),)) as session:
            assert (200, "up") == await ask(session)
        assert [503, 503, 200] == seen == [call.status for call in stub.calls]

    async def test_a_middleware_sees_the_class_given(self, stub):
        """Of the user's own, too."""
        for cls in (OwnClientError, OwnClientOSError, OwnDisconnect, OwnServerTimeout):
            seen = []
            stub.post(URL).fail(cls).then.reply(201)
            async with aiohttp.ClientSession(middlewares=(retrying(2, seen),)) as session:
                assert (201, "") == await ask(session, "POST")
            assert [cls, 201] == seen

    async def test_an_os_error_of_the_users_is_seen_as_given(self, stub):
        """Not as what aiohttp makes of the built-in ones."""
        seen = []

        async def middleware(request, handler):
            try:
                return await handler(request)
            except Exception as error:
                seen.append(type(error))
                raise

        stub.get(URL).fail(OwnOSError)
        async with aiohttp.ClientSession(middlewares=(middleware,)) as session:
            assert OwnOSError is type(await failure(session))
        assert OwnOSError is seen[0]

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_middleware_that_only_looks_on(self, stub, method):
        """aiohttp's own re-send comes through it a second time, and is no call of its own."""
        seen = []
        stub.request(method, URL).fail(faults.disconnect())
        async with aiohttp.ClientSession(middlewares=(retrying(1, seen),)) as session:
            assert aiohttp.ServerDisconnectedError is type(await failure(session, method))
        times = 2 if method == "GET" else 1
        assert [aiohttp.ServerDisconnectedError] * times == seen
        assert [times] == [call.attempts for call in stub.calls]

    async def test_a_middleware_that_gives_up(self, stub):
        """A POST is not re-sent: as many uses as tries."""
        seen = []
        stub.post(URL).fail(faults.disconnect()).times(3)
        async with aiohttp.ClientSession(middlewares=(retrying(3, seen),)) as session:
            assert aiohttp.ServerDisconnectedError is type(await failure(session, "POST"))
        assert 3 == len(stub.calls) == len(seen)

    async def test_a_middleware_that_gives_up_gets_a_second_round(self, stub):
        """aiohttp re-sends a GET through it: the last failure again, then retries of its own."""
        seen = []
        stub.get(URL).fail(faults.disconnect()).times(3).then.reply(text="up")
        async with aiohttp.ClientSession(middlewares=(retrying(3, seen),)) as session:
            assert (200, "up") == await ask(session)
        assert [*[aiohttp.ServerDisconnectedError] * 4, 200] == seen
        assert [1, 1, 2, 1] == [call.attempts for call in stub.calls]

    async def test_a_failure_for_ever_ends_when_the_middleware_does(self, stub):
        """aiohttp's re-send goes through the middleware once more."""
        seen = []
        stub.get(URL).fail(faults.disconnect()).always()
        async with aiohttp.ClientSession(middlewares=(retrying(2, seen),)) as session:
            assert aiohttp.ServerDisconnectedError is type(await failure(session))
        assert {aiohttp.ServerDisconnectedError} == set(seen)

    async def test_a_middleware_that_answers_by_itself(self, stub):
        """A failure that it swallows is still in the log."""
        stub.get(URL).fail(faults.refused())
        stub.get("https://api.test/fallback").reply(text="fallback")

        async def middleware(request, handler):
            try:
                return await handler(request)
            except aiohttp.ClientConnectorError:
                request.url = request.url.with_path("/fallback")
                return await handler(request)

        async with aiohttp.ClientSession(middlewares=(middleware,)) as session:
            assert (200, "fallback") == await ask(session)
        assert [None, 200] == [call.status for call in stub.calls]
        assert [URL, "https://api.test/fallback"] == [str(c.request.url) for c in stub.calls]


class TestRetryLibraries:
    """A retry by a library is a new call."""

    @pytest.mark.parametrize("exc", [faults.disconnect(), OwnClientError, faults.refused()])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_plain_loop(self, stub, session, method, exc):
        """As many failures as uses."""
        stub.request(method, URL).fail(exc).times(3).then.reply(201)
        for _ in range(5):
            with contextlib.suppress(aiohttp.ClientError):
                answer = await ask(session, method)
                break
        assert ((201, ""), 4) == (answer, len(stub.calls))

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_tenacity(self, stub, session, method):
        """Its attempts are calls."""
        tenacity = pytest.importorskip("tenacity")
        stub.request(method, URL).fail(faults.disconnect()).times(2).then.reply(201)
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(3),
            retry=tenacity.retry_if_exception_type(aiohttp.ClientError),
        )
        assert (201, "") == await retrying(ask, session, method)
        assert 3 == len(stub.calls)

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_tenacity_that_gives_up(self, stub, session, method):
        """What it raises is the last failure."""
        tenacity = pytest.importorskip("tenacity")
        stub.request(method, URL).fail(OwnClientError).times(3)
        retrying = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3), reraise=True)
        with pytest.raises(OwnClientError):
            await retrying(ask, session, method)
        assert 3 == len(stub.calls)

    @pytest.mark.parametrize("exc", [faults.disconnect(), faults.refused(), OwnClientError])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_aiohttp_retry(self, stub, session, method, exc):
        """Its attempts are calls, of failures and of statuses alike."""
        aiohttp_retry = pytest.importorskip("aiohttp_retry")
        stub.request(method, URL).fail(exc).then.reply(503).then.reply(201)
        options = aiohttp_retry.ExponentialRetry(
            attempts=3, start_timeout=0, methods={method}, exceptions={aiohttp.ClientError}
        )
        client = aiohttp_retry.RetryClient(session, retry_options=options)
        async with client.request(method, URL) as response:
            assert 201 == response.status
        assert [None, 503, 201] == [call.status for call in stub.calls]


class TestFaults:
    """Each fault by its name, and what the client meets."""

    # Class, errno, class of the cause.
    CONNECTION = (
        (
            faults.refused(),
            aiohttp.ClientConnectorError,
            errno.ECONNREFUSED,
            ConnectionRefusedError,
        ),
        (faults.unreachable(), aiohttp.ClientConnectorError, errno.ENETUNREACH, OSError),
        (faults.dns(), DNS_ERROR, socket.EAI_NONAME, socket.gaierror),
        (faults.tls(), aiohttp.ClientConnectorSSLError, 1, ssl.SSLError),
    )

    @pytest.mark.parametrize(("fault", "cls", "number", "cause"), CONNECTION)
    @pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
    async def test_a_connection_that_does_not_come_about(
        self, stub, session, *, method, fault, cls, number, cause
    ):
        """The connector error, with what the system said beneath."""
        stub.request(method, URL).fail(fault)
        error = await failure(session, method)
        assert (cls, number, cause) == (type(error), error.errno, type(error.__cause__))
        assert ("api.test", 443) == (error.host, error.port)
        assert error.os_error is error.__cause__
        assert 1 == len(stub.calls)
        assert stub.calls.last.status is None

    async def test_a_certificate_that_is_not_trusted(self, stub, session):
        """aiohttp's own class for it, with the certificate error beneath."""
        stub.get(URL).fail(faults.certificate())
        error = await failure(session)
        assert aiohttp.ClientConnectorCertificateError is type(error)
        assert isinstance(error.certificate_error, ssl.SSLCertVerificationError)
        assert ("api.test", 443) == (error.host, error.port)

    async def test_a_proxy_that_refuses(self, stub, session):
        """It is the proxy's address that could not be reached."""
        stub.get(PLAIN_URL).fail(faults.proxy())
        error = await failure(session, url=PLAIN_URL, proxy="http://proxy.test:3128")
        assert aiohttp.ClientProxyConnectionError is type(error)
        assert ("proxy.test", 3128) == (error.host, error.port)

    WITHOUT = (
        (faults.tls(), f"faults.tls(): the request to {PLAIN_URL} does not use TLS"),
        (
            faults.certificate(),
            f"faults.certificate(): the request to {PLAIN_URL} does not use TLS",
        ),
        (faults.proxy(), f"faults.proxy(): the request to {PLAIN_URL} does not use a proxy"),
    )

    @decided
    @pytest.mark.parametrize(("fault", "text"), WITHOUT)
    async def test_what_the_request_has_not_cannot_fail(self, session, fault, text, conditions):
        """A RouteError at the call, and again at exit."""
        stub = aiostub.Stub()
        stub.get(PLAIN_URL, **conditions).fail(fault)
        stub.start()
        error = await failure(session, url=PLAIN_URL)
        assert (RouteError, text) == (type(error), str(error))
        with pytest.raises(RouteError) as at_exit:
            stub.stop()
        assert text == str(at_exit.value)

    HEAD = (
        (faults.disconnect(), aiohttp.ServerDisconnectedError),
        (faults.reset(), aiohttp.ClientOSError),
        (faults.garbage(), aiohttp.ClientResponseError),
        (faults.header_too_long(), aiohttp.ClientResponseError),
        (faults.bad_chunk(), aiohttp.ClientResponseError),
    )

    @pytest.mark.parametrize(("fault", "cls"), HEAD)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_an_answer_without_a_head(self, stub, session, method, fault, cls):
        """The app has no response."""
        stub.request(method, URL).fail(fault)
        error = await failure(session, method)
        assert cls is type(error)
        if cls is aiohttp.ClientResponseError:
            assert (400 if AIOHTTP >= (3, 10) else 0) == error.status
            assert URL == str(error.request_info.url)
        assert 1 == len(stub.calls)

    BODY = (
        (faults.truncated(), aiohttp.ClientPayloadError),
        (faults.bad_gzip(), aiohttp.ClientPayloadError),
        pytest.param(faults.stall(), READ_TIMEOUT, marks=virtual_time),
    )

    @pytest.mark.parametrize(("fault", "cls"), BODY)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_body_that_breaks(self, stub, session, method, fault, cls):
        """The head says 200; reading fails."""
        stub.request(method, URL).fail(fault)
        async with session.request(method, URL, timeout=PATIENT) as response:
            assert 200 == response.status
            with pytest.raises(cls):
                await response.read()
        (call,) = stub.calls
        assert (200, cls, 1) == (call.status, type(call.error), call.attempts)

    # What arrives of ten bytes before it breaks.
    SPOILED = (
        (faults.disconnect(), 0, aiohttp.ClientPayloadError),
        (faults.disconnect(after=3), 3, aiohttp.ClientPayloadError),
        (faults.disconnect(after=9), 9, aiohttp.ClientPayloadError),
        (faults.reset(), 0, aiohttp.ClientPayloadError),
        (faults.reset(after=3), 3, aiohttp.ClientPayloadError),
        pytest.param(faults.stall(), 0, READ_TIMEOUT, marks=virtual_time),
        pytest.param(faults.stall(after=3), 3, READ_TIMEOUT, marks=virtual_time),
        (faults.truncated(), 5, aiohttp.ClientPayloadError),
        (faults.bad_gzip(), 0, aiohttp.ClientPayloadError),
    )
    OF_A_BODY = (
        faults.disconnect(),
        faults.reset(after=3),
        faults.stall(),
        faults.truncated(),
        faults.bad_gzip(),
        faults.bad_chunk(),
        faults.bad_chunk(late=True),
        faults.drip(5),
    )
    KINDS = (
        {"body": b"0123456789"},
        {"text": "0123456789"},
        {"stream": [b"01", b"", b"2345", b"6789"]},
    )

    @pytest.mark.parametrize(("fault", "count", "cls"), SPOILED)
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: next(iter(kind)))
    async def test_a_reply_is_spoiled(self, stub, session, *, kind, fault, count, cls):
        """Head, status and the first bytes arrive; reading on fails."""
        if fault.name == "truncated" and "stream" in kind:
            count = 10  # a stream has no length to be shorter than: only its end is missing
        stub.get(URL).reply(201, headers={"X-A": "b"}, fault=fault, **kind)
        got = b""
        async with session.get(URL, timeout=PATIENT) as response:
            assert (201, "b") == (response.status, response.headers["X-A"])
            with pytest.raises(cls):
                async for chunk in response.content.iter_any():
                    got += chunk
        assert b"0123456789"[:count] == got
        (call,) = stub.calls
        assert (201, cls) == (call.status, type(call.error))

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: next(iter(kind)))
    async def test_a_bad_chunk_with_the_head(self, stub, session, kind):
        """The app never has a response."""
        stub.get(URL).reply(201, fault=faults.bad_chunk(), **kind)
        assert aiohttp.ClientResponseError is type(await failure(session))

    @virtual_time
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: next(iter(kind)))
    async def test_a_late_bad_chunk_comes_behind_the_body(self, stub, session, kind):
        """What was sent before it has arrived; then the client's timers decide."""
        stub.get(URL).reply(201, fault=faults.bad_chunk(late=True), **kind)
        got = b""
        async with session.get(URL, timeout=PATIENT) as response:
            with pytest.raises(asyncio.TimeoutError):
                async for chunk in response.content.iter_any():
                    got += chunk
        assert b"0123456789" == got

    @pytest.mark.parametrize("fault", [faults.disconnect(after=11), faults.stall(after=99)])
    def test_a_fault_behind_the_end_of_the_body_is_refused(self, fault):
        """It would never come."""
        with pytest.raises(RouteError, match="never comes, the body has 10 bytes"):
            aiostub.Stub().get(URL).reply(body=b"0123456789", fault=fault)

    async def test_a_fault_at_the_very_end(self, stub, session):
        """All of the body is there, so nothing fails but the connection."""
        stub.get(URL).reply(body=b"0123456789", fault=faults.disconnect(after=10)).times(2)
        assert [(200, "0123456789")] * 2 == [await ask(session), await ask(session)]

    @pytest.mark.parametrize("fault", OF_A_BODY, ids=repr)
    async def test_a_reply_to_head_has_no_body_to_spoil(self, stub, session, fault):
        """The head is as good as any."""
        stub.head(URL).reply(201, body=b"0123456789", fault=fault)
        assert (201, "") == await ask(session, "HEAD")

    EVERY = (
        *(fault for fault, *_ in CONNECTION),
        faults.certificate(),
        *(fault for fault, *_ in HEAD),
        faults.truncated(),
        faults.bad_gzip(),
        pytest.param(faults.stall(), marks=virtual_time),
    )

    @pytest.mark.parametrize("fault", EVERY, ids=repr)
    async def test_the_session_goes_on_after_it(self, stub, session, fault):
        """A connection that failed is never used again."""
        stub.get(URL).reply(text="a").then.fail(fault).then.reply(text="b")
        assert (200, "a") == await ask(session)
        await failure(session, timeout=PATIENT)
        assert (200, "b") == await ask(session)

    @pytest.mark.parametrize("fault", EVERY, ids=repr)
    async def test_it_may_be_met_again_and_again(self, stub, session, fault):
        """Each time anew."""
        stub.post(URL).fail(fault).times(2)
        first, second = [await failure(session, "POST", timeout=PATIENT) for _ in range(2)]
        assert type(first) is type(second)
        assert first is not second
        assert 2 == len(stub.calls)

    @virtual_time
    async def test_a_slow_body(self, stub, session):
        """Ten pieces a second, at the pace given."""
        loop = asyncio.get_running_loop()
        stub.get(URL).reply(body=b"x" * 50, fault=faults.drip(20))
        start = loop.time()
        async with session.get(URL) as response:
            pieces = [
                (len(chunk), round(loop.time() - start, 6))
                async for chunk in response.content.iter_any()
            ]
        assert [(2, round(0.1 * n, 6)) for n in range(1, 26)] == pieces

    @virtual_time
    async def test_a_slow_body_by_itself(self, stub, session):
        """A bare `fail(drip(...))` spoils a 200 with a small body."""
        loop = asyncio.get_running_loop()
        stub.get(URL).fail(faults.drip(10))
        start = loop.time()
        status, text = await ask(session)
        assert 200 == status
        assert len(text) / 10 == pytest.approx(loop.time() - start, abs=0.11)

    @virtual_time
    @pytest.mark.parametrize("pace", [3, 0.5, 7.5])
    async def test_a_pace_that_is_no_multiple_of_ten(self, stub, session, pace):
        """The whole takes as long as it should."""
        loop = asyncio.get_running_loop()
        stub.get(URL).reply(body=b"x" * 12, fault=faults.drip(pace))
        start = loop.time()
        async with session.get(URL) as response:
            assert b"x" * 12 == await response.read()
        assert 12 / pace == pytest.approx(loop.time() - start, abs=0.11)

    @virtual_time
    async def test_a_slow_body_is_cut_short_by_the_client(self, stub, session):
        """A total timer does; a read timer doesn't, while bytes keep coming."""
        stub.get(URL).reply(body=b"x" * 100, fault=faults.drip(10)).times(2)
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, timeout=aiohttp.ClientTimeout(total=5))
        status, text = await ask(session, timeout=aiohttp.ClientTimeout(sock_read=1, total=None))
        assert (200, 100) == (status, len(text))

    IN_REPLIES = (
        faults.refused(),
        faults.unreachable(),
        faults.dns(),
        faults.tls(),
        faults.certificate(),
        faults.proxy(),
        faults.garbage(),
        faults.header_too_long(),
    )

    @pytest.mark.parametrize("fault", IN_REPLIES, ids=repr)
    def test_a_fault_without_a_reply_spoils_none(self, fault):
        """The text says where it belongs."""
        with pytest.raises(RouteError) as caught:
            aiostub.Stub().get(URL).reply(text="a", fault=fault)
        assert f"fault: {fault!r} leaves no reply to spoil; use fail({fault!r})" == str(
            caught.value
        )

    @pytest.mark.parametrize("fault", OF_A_BODY, ids=repr)
    @pytest.mark.parametrize("reply", [{"status": 200}, {"status": 204}, {"status": 304}])
    def test_a_reply_without_a_body_cannot_be_spoiled(self, fault, reply):
        """At registration."""
        with pytest.raises(RouteError, match="spoils a body, and this reply has none"):
            aiostub.Stub().get(URL).reply(**reply, fault=fault)

    @pytest.mark.parametrize("fault", [ConnectionResetError(), aiohttp.ClientError, "reset"])
    def test_only_a_fault_spoils_a_reply(self, fault):
        """An exception belongs into `fail`."""
        with pytest.raises(RouteError, match=r"^fault: must be a fault"):
            aiostub.Stub().get(URL).reply(text="a", fault=fault)

    COUNTED = (faults.disconnect(after=1), faults.reset(after=5), faults.stall(after=2))

    @pytest.mark.parametrize("fault", COUNTED, ids=repr)
    def test_a_bare_failure_has_no_body_to_count_in(self, fault):
        """Of which reply?"""
        with pytest.raises(RouteError, match="has no body to count in"):
            aiostub.Stub().get(URL).fail(fault)

    @pytest.mark.parametrize("fault", [*IN_REPLIES, *OF_A_BODY, *COUNTED], ids=repr)
    def test_a_fault_is_a_value_and_an_exception(self, fault):
        """It survives pickling, and can be told by its name."""
        assert fault == pickle.loads(pickle.dumps(fault))
        assert isinstance(fault, Exception)
        assert getattr(faults, fault.name) is not None


class TestStreamsThatRaise:
    """What a stream raises in the midst of a body."""

    async def test_a_fault_strikes_where_the_stream_has_come_to(self, stub, session):
        """After what was given before it."""

        async def chunks():
            yield b"0123"
            raise faults.reset()

        stub.get(URL).reply(stream=chunks)
        got = b""
        async with session.get(URL) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                async for chunk in response.content.iter_any():
                    got += chunk
        assert b"0123" == got

    @virtual_time
    async def test_a_stall_is_for_the_timers(self, stub, session):
        """The connection stays open, and silent."""

        def chunks():
            yield b"0123"
            raise faults.stall()

        stub.get(URL).reply(stream=chunks)
        async with session.get(URL, timeout=PATIENT) as response:
            with pytest.raises(READ_TIMEOUT):
                await response.read()

    @pytest.mark.parametrize(
        "error", [ValueError("no"), AssertionError("no"), OwnBaseError("no")], ids=repr
    )
    async def test_any_other_exception_breaks_the_body_and_comes_again_at_exit(
        self, session, error
    ):
        """The app sees a body that ends too early; the test sees why."""

        async def chunks():
            yield b"0123"
            raise error

        stub = aiostub.Stub()
        stub.get(URL).reply(stream=chunks)
        stub.start()
        async with session.get(URL) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        with pytest.raises(type(error), match="no"):
            stub.stop()

    async def test_what_is_no_bytes_is_a_route_error(self, session):
        """At exit; the app sees a body that ends too early."""
        stub = aiostub.Stub()
        stub.get(URL).reply(stream=lambda: ["text"])
        stub.start()
        async with session.get(URL) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        with pytest.raises(RouteError, match="must give bytes, gave 'text'"):
            stub.stop()
