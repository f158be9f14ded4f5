"""Timers: in virtual time with looptime, and fired at once by `timeout()`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web
from pytest_in_pytest import NO_HYPOTHESIS
from real_server import real_server

import aiostub
from aiostub import MissingTimeout, Reply, faults

URL = "http://api.test/items"

# Nothing else has to be done for a clock that does not wait; looptime needs CPython 3.11.
virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime")
    else pytest.mark.skip(reason="looptime needs CPython 3.11 and is not installed")
)

CONNECT_TIMEOUT = getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError)
READ_TIMEOUT = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)

HOUR = 3600


@pytest.fixture
def stub():
    """Give a strict stub, started."""
    with aiostub.Stub() as stub:
        yield stub


@pytest.fixture
def lenient():
    """Give a stub that checks nothing at the end, for tests that leave something over."""
    with aiostub.Stub(strict=False) as stub:
        yield stub


def now():
    """Read the clock of the loop."""
    return asyncio.get_running_loop().time()


@contextlib.contextmanager
def lasting(seconds):
    """Hold a block to a time on the loop's clock, more exactly than anything that really waits."""
    began = now()
    yield
    assert seconds == pytest.approx(now() - began, abs=1e-4)


def client(limit=100, **timers):
    """Make a session that has these timers and no others."""
    only = aiohttp.ClientTimeout(**{"total": None, "sock_connect": None, **timers})
    return aiohttp.ClientSession(timeout=only, connector=aiohttp.TCPConnector(limit=limit))


async def read(session, url=URL, **kwargs):
    """Send a GET and read the body of the answer."""
    async with session.get(url, **kwargs) as response:
        return await response.read()


async def slow_chunks(count=4, pause=2):
    """Give chunks, each after a pause."""
    for _ in range(count):
        await asyncio.sleep(pause)
        yield b"chunk"


async def first_then_silence():
    """Give a chunk, and none for an hour."""
    yield b"chunk"
    await asyncio.sleep(HOUR)


async def answer_in_an_hour(request):
    """Take an hour to answer."""
    await asyncio.sleep(HOUR)


# Ways of a server to keep a client waiting.
SILENCES = {
    "hang": lambda route: route.hang(),
    "delay": lambda route: route.reply(text="late", delay=HOUR),
    "a delayed failure": lambda route: route.fail(faults.garbage(), delay=HOUR),
    "a delayed exception": lambda route: route.fail(asyncio.TimeoutError, delay=HOUR),
    "a handler": lambda route: route.handle(answer_in_an_hour),
    "stall": lambda route: route.fail(faults.stall()),
    "stall(after=n)": lambda route: route.reply(text="0123456789", fault=faults.stall(after=5)),
    "a stream": lambda route: route.reply(stream=first_then_silence),
}


@virtual_time
class TestTimers:
    """The timers of the client rule, and none of their seconds is waited for."""

    @pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
    @pytest.mark.parametrize(
        ("which", "error"), [("total", asyncio.TimeoutError), ("sock_read", READ_TIMEOUT)]
    )
    async def test_a_silent_server(self, stub, which, error, silence):
        """Whatever it is that does not come, the timer fires to the second."""
        silence(stub.get(URL))
        async with client(**{which: 3}) as session:
            with lasting(3), pytest.raises(error) as caught:
                await read(session)
        assert error is type(caught.value) is type(stub.calls.last.error)

    @pytest.mark.parametrize(
        ("which", "error"),
        [
            ("connect", CONNECT_TIMEOUT),
            ("sock_connect", CONNECT_TIMEOUT),
            ("total", asyncio.TimeoutError),
        ],
    )
    async def test_a_connection_that_does_not_come_about(self, stub, which, error):
        """A host that refuses only after a minute lets the connect timers fire."""
        stub.get(URL).fail(faults.refused(), delay=60)
        async with client(**{which: 3}) as session:
            with lasting(3), pytest.raises(error) as caught:
                await read(session)
        assert error is type(caught.value) is type(stub.calls.last.error)

    async def test_a_connection_that_is_refused_in_time(self, stub):
        """The delay is then all that passes."""
        stub.get(URL).fail(faults.refused(), delay=3)
        async with client(total=60, connect=60, sock_connect=60) as session:
            with lasting(3), pytest.raises(aiohttp.ClientConnectorError):
                await read(session)

    async def test_a_slow_body(self, stub):
        """A drip takes its time; each piece of it restarts the read timer, but not the total."""
        drip = {"body": b"0123456789" * 10, "fault": faults.drip(10)}
        stub.get(URL).reply(**drip).times(2)
        async with client(sock_read=1) as session:
            with lasting(10):
                assert b"0123456789" * 10 == await read(session)
        async with client(total=3) as session:
            got = b""
            with lasting(3), pytest.raises(asyncio.TimeoutError):
                async with session.get(URL) as response:
                    async for piece in response.content.iter_any():
                        got += piece
        assert 29 <= len(got) <= 30

    async def test_a_stream_that_sleeps_between_its_chunks(self, stub):
        """The read timer measures each pause, the total timer their sum."""
        stub.get(URL).reply(stream=slow_chunks).times(3)
        async with client(sock_read=3) as session:
            with lasting(8):
                assert b"chunk" * 4 == await read(session)
        async with client(sock_read=1.5) as session:
            with lasting(1.5), pytest.raises(READ_TIMEOUT):
                await read(session)
        async with client(total=4) as session:
            with lasting(4), pytest.raises(asyncio.TimeoutError):
                await read(session)

    async def test_the_total_timer_runs_through_redirects(self, stub):
        """Two seconds at each of two hops are more than three."""
        stub.get(URL).reply(302, headers={"Location": "/next"}, delay=2)
        stub.get("http://api.test/next").reply(delay=2)
        async with client(total=3) as session:
            with lasting(3), pytest.raises(asyncio.TimeoutError):
                await read(session)

    async def test_the_read_timer_starts_anew_at_each_hop(self, stub):
        """Two seconds at each of two hops are less than three."""
        stub.get(URL).reply(302, headers={"Location": "/next"}, delay=2)
        stub.get("http://api.test/next").reply(delay=2)
        async with client(sock_read=3) as session:
            with lasting(4):
                await read(session)

    @pytest.mark.parametrize("which", ["total", "sock_read"])
    async def test_a_connection_kept_alive_keeps_no_timer(self, stub, which):
        """An answered request leaves none that would strike the next one, or an idle hour."""
        stub.get(URL).reply(text="up", delay=2).times(3)
        async with client(**{which: 3}) as session:
            with lasting(6 + 10):
                for pause in (0, 10, 0):
                    assert b"up" == await read(session)
                    await asyncio.sleep(pause)

    @pytest.mark.parametrize(
        ("which", "fires_after"),
        [("total", 8), ("connect", 8), ("sock_connect", 8), ("sock_read", 7.5)],
    )
    async def test_aiohttp_rounds_timers_of_more_than_five_seconds(self, stub, which, fires_after):
        """Up to a whole second of the clock, but for the read timer: here as in production."""
        if which in ("connect", "sock_connect"):
            stub.get(URL).fail(faults.refused(), delay=HOUR)
        else:
            stub.get(URL).hang()
        await asyncio.sleep(1 - now() % 1)
        async with client(**{which: 7.5}) as session:
            with lasting(fires_after), pytest.raises(asyncio.TimeoutError):
                await read(session)


@virtual_time
class TestQueueing:
    """A connector that has no connection left lets requests wait, on the same clock."""

    async def test_the_connect_timer_counts_the_wait_for_a_connection(self, lenient):
        """Those that get one in time are answered, the others are not sent at all."""
        lenient.get(URL).reply(delay=2).always()
        async with client(limit=1, connect=3) as session:
            with lasting(4):
                asked = [read(session) for _ in range(4)]
                outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [bytes, bytes, CONNECT_TIMEOUT, CONNECT_TIMEOUT] == [type(each) for each in outcomes]
        assert [2, 2] == [pytest.approx(c.elapsed) for c in lenient.calls if c.status == 200]

    async def test_the_socket_timers_do_not(self, stub):
        """To wait for a connection is neither to connect nor to read."""
        stub.get(URL).reply(delay=2).times(4)
        async with client(limit=1, sock_connect=3, sock_read=3) as session:
            with lasting(8):
                await asyncio.gather(*[read(session) for _ in range(4)])
        assert [2, 2, 2] == pytest.approx(stub.calls.gaps)

    async def test_the_total_timer_counts_all_of_it(self, lenient):
        """The second request has waited two of its three seconds before it is sent."""
        lenient.get(URL).reply(delay=2).always()
        async with client(limit=1, total=3) as session:
            with lasting(3):
                asked = [read(session) for _ in range(3)]
                outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [bytes, asyncio.TimeoutError, asyncio.TimeoutError] == [type(o) for o in outcomes]

    async def test_a_limit_spreads_requests_over_time(self, stub):
        """Two hundred requests of a second each, ten at a time, are twenty seconds."""
        stub.get(URL).reply(delay=1).times(200)
        async with client(limit=10) as session:
            with lasting(20):
                await asyncio.gather(*[read(session) for _ in range(200)])
        assert 10 == stub.calls.concurrency


@virtual_time
class TestTheAppsOwnTimers:
    """What the app itself puts around a call."""

    @pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
    async def test_wait_for(self, stub, silence):
        """The call is cancelled, and its log says so."""
        silence(stub.get(URL))
        async with client() as session:
            with lasting(3), pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(read(session), 3)
        assert isinstance(stub.calls.last.error, asyncio.CancelledError)

    @pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
    async def test_timeout(self, stub, silence):
        """The same with the context manager, and the session goes on."""
        silence(stub.get(URL)).then.reply(text="up")
        async with client() as session:
            with lasting(3), pytest.raises(asyncio.TimeoutError):
                async with asyncio.timeout(3):
                    await read(session)
            assert b"up" == await read(session)

    async def test_a_timer_of_the_app_before_one_of_the_client(self, stub):
        """The shorter one decides, and the other is gone."""
        stub.get(URL).hang().then.reply(delay=2)
        async with client(total=3, sock_read=3) as session:
            with lasting(1 + 2):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(read(session), 1)
                await read(session)

    async def test_wait_called_waits_on_the_same_clock(self, stub):
        """It is there when the call is, and gives up when its own time is over."""
        route = stub.get(URL).reply().optional()
        async with client() as session:

            async def later():
                await asyncio.sleep(100)
                await read(session)

            asked = asyncio.create_task(later())
            with lasting(60), pytest.raises(AssertionError):
                await route.wait_called(timeout=60)
            with lasting(40):
                await route.wait_called(timeout=60)
            await asked


@virtual_time
class TestManyAtOnce:
    """Time goes from one event to the next, however many wait."""

    async def test_hundreds_of_requests_with_different_delays(self, stub):
        """They come back in the order of their delays, each at its own time."""
        delays = [(n * 37 % 300) / 10 for n in range(300)]
        for delay in delays:
            stub.get(f"{URL}/{delay}").reply(delay=delay)
        came = []

        async def ask(session, delay):
            began = now()
            await read(session, f"{URL}/{delay}")
            came.append((delay, now() - began))

        async with client(limit=0) as session:
            with lasting(29.9):
                await asyncio.gather(*[ask(session, delay) for delay in delays])
        assert sorted(delays) == [delay for delay, _ in came]
        assert sorted(delays) == pytest.approx([elapsed for _, elapsed in came])
        assert 300 == stub.calls.concurrency

    async def test_hundreds_of_timers(self, stub):
        """Each fires for its own request."""
        stub.get(URL).hang().times(300)
        async with client(limit=0) as session:

            async def give_up(seconds):
                began = now()
                with pytest.raises(asyncio.TimeoutError):
                    await read(session, timeout=aiohttp.ClientTimeout(total=seconds))
                return now() - began

            seconds = [n / 100 for n in range(1, 301)]
            with lasting(3):
                taken = await asyncio.gather(*map(give_up, seconds))
        assert seconds == pytest.approx(taken)
        assert seconds == pytest.approx([call.elapsed for call in stub.calls])


SAMPLES = Path(__file__).parent / "cookbook"
PYTEST = ("-p", "no:randomly", "-p", "no:cacheprovider", "-W", "error")


ENDS = {
    "a task that nobody awaits": "pass",
    "a task that is cancelled": "task.cancel()",
    "a session that is closed": "await session.close()",
    "both": "task.cancel(); await session.close()",
}


@virtual_time
class TestInAProject:
    """What a project that uses it sees."""

    @pytest.fixture
    def run(self, pytester):
        """Run the tests of a project of its own, in which a warning is an error."""
        pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")

        def run(source, *args):
            pytester.makepyfile(source)
            return pytester.runpytest_inprocess(*PYTEST, *args)

        return run

    def test_one_marker_is_all(self, run):
        """No setting, no fixture and no argument besides."""
        result = run(
            """
            import aiohttp, asyncio, pytest

            @pytest.mark.asyncio
            @pytest.mark.looptime
            async def test_an_hour(aiostub):
                aiostub.get("http://a.test/").reply(delay=3600)
                start = asyncio.get_running_loop().time()
                timeout = aiohttp.ClientTimeout(total=None)
                async with aiohttp.ClientSession(timeout=timeout) as session:
                    await session.get("http://a.test/")
                assert asyncio.get_running_loop().time() - start == pytest.approx(3600)
            """
        )
        result.assert_outcomes(passed=1)
        assert result.duration < 60

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_a_test_may_end_while_requests_hang(self, run, end):
        """It passes, nothing waits for them, nothing is reported, and the next test is clean."""
        result = run(
            f"""
            import aiohttp, asyncio, pytest

            pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

            @pytest.mark.parametrize("delay", [None, 3600])
            async def test_hangs(aiostub, delay):
                route = aiostub.get("http://a.test/")
                route.hang() if delay is None else route.reply(delay=delay)
                async with aiohttp.ClientSession() as session:
                    task = asyncio.create_task(session.get("http://a.test/").__aenter__())
                    await route.wait_called()
                    {end}

            async def test_next(aiostub):
                aiostub.get("http://a.test/").reply(delay=3600)
                async with aiohttp.ClientSession() as session:
                    with pytest.raises(asyncio.TimeoutError):
                        await session.get("http://a.test/")
            """
        )
        result.assert_outcomes(passed=3)
        assert result.duration < 60

    def test_without_the_marker_time_is_real(self, run):
        """A test that wants to know how long something really takes still can."""
        result = run(
            """
            import asyncio, pytest, time

            @pytest.mark.asyncio
            async def test_real(aiostub):
                start = time.perf_counter()
                await asyncio.sleep(0.002)
                assert time.perf_counter() - start > 0.001
            """
        )
        result.assert_outcomes(passed=1)


# Whoever runs a test without pytest-asyncio; looptime's plugin does not work without that one.
ALONE = ("asyncio", "aiohttp", "looptime_plugin", "looptime_timeproxies", "looptime_chronometers")


@virtual_time
class TestSamples:
    """The files that the pages show for other ways of running tests."""

    @pytest.mark.parametrize("sample", ["runner", "anyio", "unittest"])
    def test_without_pytest_asyncio(self, pytester, sample):
        """A loop of looptime's is all that it takes."""
        if sample == "unittest" and sys.version_info < (3, 13):
            pytest.skip("unittest takes a loop factory from CPython 3.13 on")
        source = (SAMPLES / f"clock_with_{sample}.py").read_text(encoding="utf-8")
        pytester.makepyfile(source)
        without = [argument for plugin in ALONE for argument in ("-p", f"no:{plugin}")]
        result = pytester.runpytest_inprocess(*PYTEST, *without)
        result.assert_outcomes(passed=1)
        assert result.duration < 60

    def test_sync_tests_that_take_warnings_for_errors(self, pytester):
        """They need a line in conftest.py, since looptime asks for a loop around them."""
        pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
        pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
        pytester.makeconftest((SAMPLES / "clock_conftest.py").read_text(encoding="utf-8"))
        pytester.runpytest_subprocess(*PYTEST, *NO_HYPOTHESIS).assert_outcomes(passed=2)


@virtual_time
class TestOtherClocks:
    """Only the loop's clock runs ahead; code that reads another one can be given the loop's."""

    async def test_time_monotonic_stands_still(self, stub):
        """As far as it can."""
        stub.get(URL).reply(delay=HOUR)
        began = time.monotonic()
        async with client() as session:
            with lasting(HOUR):
                await read(session)
        assert time.monotonic() - began < HOUR / 2

    async def test_time_monotonic_may_be_the_loops_clock(self, stub, monkeypatch):
        """For as long as the test runs, and not a moment longer."""
        stub.get(URL).reply(delay=HOUR)
        async with client() as session:
            with monkeypatch.context() as patch:
                patch.setattr(time, "monotonic", asyncio.get_running_loop().time)
                began = time.monotonic()
                await read(session)
                assert HOUR == pytest.approx(time.monotonic() - began)


# Fired at once


class Raised(NamedTuple):
    """What an app can tell of an exception."""

    type: type[BaseException]
    text: str
    args: tuple[object, ...]
    cause: type[BaseException]

    @classmethod
    def of(cls, error):
        """Look at an exception."""
        return cls(type(error), str(error), error.args, type(error.__cause__))


class Site(NamedTuple):
    """Where a client goes."""

    ready: str
    start: str
    silent: str


@contextlib.asynccontextmanager
async def mute():
    """Listen on a free port, take connections, and never say a word."""
    taken = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], taken
    finally:
        for writer in taken:
            writer.transport.abort()
        server.close()


@contextlib.asynccontextmanager
async def real_site(which):
    """Serve a site for real, the last stop of which answers nothing, or not even a handshake."""

    async def serve(request):
        if request.path == "/start":
            return web.Response(status=302, headers={"Location": site.silent})
        if request.path == "/silent":
            await asyncio.sleep(HOUR)
        return web.Response(text="up")

    async with real_server(serve) as server, mute() as (port, taken):
        silent = server.url / "silent"
        if which in ("connect", "sock_connect"):
            silent = silent.with_scheme("https").with_port(port)
        site = Site(str(server.url / "ready"), str(server.url / "start"), str(silent))

        def reached():
            return bool(taken) or "GET /silent" in server.lines

        yield site, reached


async def visit(site, way, timeout):
    """Go to the silent place on one of several ways, and return what is raised there."""
    session = aiohttp.ClientSession(timeout=timeout)
    async with session:
        if way == "on a connection kept alive":
            await read(session, site.ready, timeout=aiohttp.ClientTimeout())
        with pytest.raises(asyncio.TimeoutError) as caught:
            await read(session, site.start if way == "after a redirect" else site.silent)
    return Raised.of(caught.value)


WAYS = ("at once", "after a redirect", "on a connection kept alive")
TIMERS = {
    "total": asyncio.TimeoutError,
    "connect": CONNECT_TIMEOUT,
    "sock_connect": CONNECT_TIMEOUT,
    "sock_read": READ_TIMEOUT,
}
each_timer = pytest.mark.parametrize("which", TIMERS)
each_way = pytest.mark.parametrize("way", WAYS)


def only(which, seconds):
    """Give a client one timer and no other."""
    return aiohttp.ClientTimeout(**{"total": None, "sock_connect": None, which: seconds})


async def really(which, way):
    """Let a client wait for a real server until its timer fires."""
    async with real_site(which) as (site, reached):
        # On a busy machine a timer of some milliseconds may fire too early, on the way there.
        for seconds in (0.005, 0.05, 0.5, 5):
            raised = await visit(site, way, only(which, seconds))
            if reached():
                return site, raised
    raise AssertionError(f"{site.silent} was not reached")


class TestFired:
    """`timeout(which)` is what a client that waits for a real server meets, without the wait."""

    @each_timer
    @each_way
    async def test_it_is_the_exception_of_a_real_wait(self, which, way):
        """Class, text, arguments and cause."""
        site, expected = await really(which, way)
        with aiostub.Stub(strict=False) as stub:
            stub.get(site.ready).reply(text="up")
            stub.get(site.start).reply(302, headers={"Location": site.silent})
            stub.get(site.silent).timeout(which)
            assert expected == await visit(site, way, only(which, HOUR))
            assert site.silent == str(stub.calls.last.request.url)
        assert expected.type is TIMERS[which]

    @virtual_time
    @each_timer
    async def test_it_is_the_exception_of_a_wait_in_virtual_time(self, stub, which):
        """Firing a timer and letting it run out are the same to the app, but for the clock."""
        route = stub.get(URL).timeout(which)
        if which in ("connect", "sock_connect"):
            route.then.fail(faults.refused(), delay=HOUR)
        else:
            route.then.hang()
        async with client(**{which: 3}) as session:
            raised = []
            for seconds in (0, 3):
                with lasting(seconds), pytest.raises(TIMERS[which]) as caught:
                    await read(session)
                raised.append(Raised.of(caught.value))
        assert raised[0] == raised[1]
        assert stub.calls[0].outcome == stub.calls[1].outcome

    @each_timer
    async def test_the_session_goes_on(self, stub, which):
        """A client that tries again gets its answer, whatever became of the connection."""
        stub.get(URL).reply(text="before").then.timeout(which).times(2).then.reply(text="after")
        async with client(**{which: HOUR}) as session:
            assert b"before" == await read(session)
            for _ in range(2):
                with pytest.raises(TIMERS[which]):
                    await read(session)
            assert b"after" == await read(session)
        assert 4 == len(stub.calls)

    @each_timer
    @each_way
    async def test_a_client_without_that_timer(self, which, way):
        """Is told so on every way, and the stub says it again."""
        others = {name: HOUR for name in TIMERS if name != which}
        timeout = aiohttp.ClientTimeout(**{which: None, **others})
        site = Site(URL, "http://api.test/start", "https://api.test/silent")
        stub = aiostub.Stub()
        stub.get(site.silent).timeout(which)
        stub.get(site.start).reply(302, headers={"Location": site.silent}).optional()
        stub.get(site.ready).reply().optional()
        stub.start()
        with pytest.raises(MissingTimeout, match=f"the client has no {which} timer"):
            await visit(site, way, timeout)
        with pytest.raises(MissingTimeout):
            stub.stop()

    @each_timer
    async def test_a_session_has_the_timers_that_this_aiohttp_gives_it(self, lenient, which):
        """A new session has a total timer and, on newer versions, one for connecting."""
        lenient.get(URL).timeout(which)
        default = getattr(aiohttp.client.DEFAULT_TIMEOUT, which)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TIMERS[which] if default else MissingTimeout):
                await read(session)

    async def test_the_timer_of_the_request_wins(self, lenient):
        """Given for one request, timers replace all of the session's."""
        lenient.get(URL).timeout("sock_read").always()
        async with client(sock_read=HOUR) as session:
            with pytest.raises(MissingTimeout):
                await read(session, timeout=aiohttp.ClientTimeout(total=HOUR))
            with pytest.raises(READ_TIMEOUT):
                await read(session, timeout=aiohttp.ClientTimeout(sock_read=HOUR))
            with pytest.raises(READ_TIMEOUT):
                await read(session)

    async def test_a_handler_fires_none(self, stub):
        """It raises, and that is what the app sees."""

        def too_late(request):
            raise asyncio.TimeoutError

        stub.get(URL).handle(too_late).then.handle(lambda request: Reply(text="up"))
        async with client() as session:
            with pytest.raises(asyncio.TimeoutError):
                await read(session)
            assert b"up" == await read(session)
