"""What a stub raises when it is left, and what it adds to a test that fails already."""

from __future__ import annotations

import asyncio
import logging
import sys
from unittest import mock

import aiohttp
import pytest

import aiostub
from aiostub import MissingTimeout, RouteError, UnmatchedRequest, UnsatisfiedStub, faults

URL = "http://api.test/items"


@pytest.fixture
async def session():
    """Give an ordinary session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(session, method="GET", url=URL, **kwargs):
    """Send a request, and return the status of the answer."""
    async with session.request(method, url, **kwargs) as response:
        await response.read()
        return response.status


async def swallow(session, method="GET", url=URL, **kwargs):
    """Send a request, and ignore whatever comes of it, as some SDKs do."""
    try:
        await ask(session, method, url, **kwargs)
    except BaseException as error:  # noqa: BLE001 - that is the point
        return error
    return None


def left(stub):
    """Stop a stub, and return what that raised."""
    try:
        stub.stop()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return error
    return None


async def test_what_to_type_is_what_the_request_was_told(session):
    """A handshake is answered by a WebSocket, and no route knows the port of a socket of ours."""
    stub = aiostub.Stub()
    stub.start()
    with pytest.raises(UnmatchedRequest, match=r'  stub\.ws\("http://api\.test/items"\)'):
        await session.ws_connect(URL)
    error = left(stub)
    assert '    stub.ws("http://api.test/items").' in str(error)

    stub = aiostub.Stub()
    with pytest.raises(UnsatisfiedStub, match=r'\n    stub\.get\("/items"\)\.reply\(200\)\n'):
        async with stub.serve() as url:
            await swallow(session, url=f"{url}/items")


def notes(error):
    """Return the notes of an exception."""
    return getattr(error, "__notes__", [])


@pytest.fixture
def stub():
    """Give a stub that is started; the test stops it, to see what that raises."""
    stub = aiostub.Stub()
    stub.start()
    yield stub
    if repr(stub).startswith("<Stub started"):
        left(stub)


class TestSteps:
    """Steps that were never served are left over."""

    # A script, how many requests are sent, and whether the stub is satisfied then.
    SCRIPTS = (
        (lambda r: r.reply(), 0, False),
        (lambda r: r.reply(), 1, True),
        (lambda r: r.reply().times(3), 2, False),
        (lambda r: r.reply().times(3), 3, True),
        (lambda r: r.reply().always(), 0, False),
        (lambda r: r.reply().always(), 1, True),
        (lambda r: r.reply().always(), 5, True),
        (lambda r: r.reply().then.reply(), 1, False),
        (lambda r: r.reply().then.reply(), 2, True),
        (lambda r: r.reply().then.reply().always(), 1, False),
        (lambda r: r.reply().then.reply().always(), 2, True),
        (lambda r: r.reply().optional(), 0, True),
        (lambda r: r.reply().times(3).optional(), 1, True),
        (lambda r: r.optional().reply().always(), 0, True),
        (lambda r: r.fail(ValueError), 0, False),
        (lambda r: r.fail(ValueError), 1, True),
        (lambda r: r.timeout(), 1, True),
        (lambda r: r.hang(), 0, False),
        (lambda r: r.handle(lambda request: 200), 0, False),
        (lambda r: r.handle(lambda request: 200), 1, True),
        (lambda r: r.passthrough(), 0, False),
    )

    @pytest.mark.parametrize(("script", "count", "satisfied"), SCRIPTS)
    async def test_every_use_must_be_served(self, stub, session, script, count, satisfied):
        """As often as the script says; `always()` at least once."""
        script(stub.get(URL))
        for _ in range(count):
            await swallow(session)
        assert (type(None) if satisfied else UnsatisfiedStub) is type(left(stub))

    async def test_a_route_that_was_never_told_what_to_do_is_not_missed(self, stub):
        """It has no step that could be left."""
        stub.get(URL)
        assert left(stub) is None

    async def test_all_that_is_left_is_said_at_once(self, stub, session):
        """Every route, and every request."""
        stub.get(URL).reply()
        stub.post(URL).reply().times(2)
        stub.put(URL).reply()
        await ask(session, "POST")
        await ask(session, "PUT")
        await swallow(session, "DELETE")
        await swallow(session, "DELETE")
        text = str(left(stub))
        for part in (
            "2 routes have steps that were never served, 2 requests were unmatched\n",
            f"  GET {URL}\n",
            "    reply(200) never served\n",
            f"  POST {URL}\n",
            "    reply(200) served 1 of 2\n",
            f"  DELETE {URL}  2 times\n",
        ):
            assert part in text
        assert "PUT" not in text

    async def test_a_request_in_flight_has_used_its_step(self, stub, session):
        """Though it was not answered yet."""
        stub.get(URL).hang()
        task = asyncio.ensure_future(swallow(session))
        for _ in range(50):
            await asyncio.sleep(0)
        assert 1 == len(stub.calls)
        assert left(stub) is None
        await task


class TestUnmatched:
    """A request that no route answers fails the test, whatever the app makes of it."""

    async def test_the_app_gets_an_error_that_it_does_not_retry(self, stub, session):
        """An AssertionError, and nothing of the network's."""
        error = await swallow(session)
        assert UnmatchedRequest is type(error)
        assert isinstance(error, AssertionError)
        assert not isinstance(error, (aiohttp.ClientError, OSError, asyncio.TimeoutError))

    async def test_an_app_that_swallows_it_fails_the_test_at_the_end(self, stub, session):
        """Though the test itself saw nothing."""
        await swallow(session)
        error = left(stub)
        assert UnsatisfiedStub is type(error)
        assert str(error).startswith("1 request was unmatched\n\nUnmatched:\n")

    async def test_a_background_task_that_dies_of_it_fails_the_test(self, stub, session):
        """Though nobody asked for its result."""
        task = asyncio.ensure_future(ask(session))
        await asyncio.wait([task])
        assert UnsatisfiedStub is type(left(stub))
        assert isinstance(task.exception(), UnmatchedRequest)

    @pytest.mark.parametrize("strict", [True, False])
    async def test_it_is_logged_at_once(self, session, caplog, strict):
        """With the whole text, for SDKs that catch everything and try for ever."""
        with caplog.at_level(logging.DEBUG, logger="aiostub"):
            stub = aiostub.Stub(strict=strict)
            stub.start()
            error = await swallow(session, "DELETE", f"{URL}?a=1")
        left(stub)
        ((name, level, text),) = caplog.record_tuples
        assert ("aiostub", logging.ERROR, str(error)) == (name, level, text)
        assert text.startswith(f"no route answers DELETE {URL}?a=1\n")

    async def test_what_is_answered_is_not_logged(self, session, caplog):
        """Nor what fails as it was told to."""
        with caplog.at_level(logging.DEBUG, logger="aiostub"), aiostub.Stub() as stub:
            stub.get(URL).reply().then.fail(faults.refused())
            await ask(session)
            await swallow(session)
        assert [] == caplog.record_tuples

    async def test_each_is_counted_once(self, stub, session):
        """Also where aiohttp could send it again."""
        for _ in range(3):
            await swallow(session)
        assert str(left(stub)).startswith("3 requests were unmatched\n")


def dividing(request):
    """Be a matcher with a bug."""
    return 1 / 0


class Picky:
    """Compare, with a bug."""

    def __eq__(self, other):
        raise LookupError("what is this?")

    __hash__ = None


class TestMatchers:
    """A matcher that raises is a bug in the test: it never means no match."""

    BUGS = (
        ({"where": dividing}, {}, ZeroDivisionError),
        ({"headers": {"X-A": Picky()}}, {"headers": {"X-A": "b"}}, LookupError),
        ({"params": {"a": Picky()}}, {"params": {"a": "1"}}, LookupError),
        ({"cookies": {"a": Picky()}}, {"cookies": {"a": "1"}}, LookupError),
        ({"json": {"a": Picky()}}, {"json": {"a": 1}}, LookupError),
        ({"data": {"a": Picky()}}, {"data": {"a": "1"}}, LookupError),
    )

    @pytest.mark.parametrize(("conditions", "sent", "error"), BUGS)
    async def test_what_it_raises_comes_out_of_the_call_and_again_at_exit(
        self, stub, session, conditions, sent, error
    ):
        """The very exception, once."""
        stub.post(URL, **conditions).reply().optional()
        stub.post(URL).reply().optional()
        at_call = await swallow(session, "POST", **sent)
        assert error is type(at_call)
        assert at_call is left(stub)

    async def test_a_rule_that_raises(self, session):
        """Likewise."""
        stub = aiostub.Stub(passthrough=[dividing])
        stub.start()
        assert ZeroDivisionError is type(await swallow(session))
        assert ZeroDivisionError is type(left(stub))

    async def test_a_matcher_of_a_used_up_route_that_raises(self, stub, session):
        """Asking why nobody answers is asking, too."""
        stub.get(URL, where=mock.Mock(side_effect=[True, LookupError])).reply()
        await ask(session)
        assert LookupError is type(await swallow(session))
        assert LookupError is type(left(stub))


class TestRaisedAgain:
    """What went wrong in a call is raised again at exit, though the app swallowed it."""

    async def test_a_route_without_a_step(self, stub, session):
        """A RouteError at the call and at exit."""
        stub.get(URL)
        at_call = await swallow(session)
        assert RouteError is type(at_call)
        assert at_call is left(stub)

    async def test_a_route_without_a_step_that_matches_by_the_body(self, stub, session):
        """The same after the request was sent."""
        stub.post(URL, data=b"body")
        at_call = await swallow(session, "POST", data=b"body")
        assert RouteError is type(at_call)
        assert at_call is left(stub)

    async def test_a_fault_that_the_request_cannot_meet(self, stub, session):
        """A RouteError."""
        stub.get(URL).fail(faults.tls())
        at_call = await swallow(session)
        assert RouteError is type(at_call)
        assert at_call is left(stub)

    @pytest.mark.parametrize("which", ["connect", "sock_read"])
    async def test_a_timer_that_the_client_has_not(self, stub, session, which):
        """A MissingTimeout."""
        stub.get(URL).timeout(which)
        at_call = await swallow(session, timeout=aiohttp.ClientTimeout(total=5))
        assert MissingTimeout is type(at_call)
        assert at_call is left(stub)

    ERRORS = (AssertionError("wrong"), RouteError("wrong"), MissingTimeout("wrong"))

    @pytest.mark.parametrize("error", ERRORS, ids=repr)
    async def test_an_assertion_in_a_handler(self, stub, session, error):
        """Whatever kind of AssertionError or RouteError it is."""

        def check(request):
            raise error

        stub.get(URL).handle(check)
        assert type(error) is type(await swallow(session))
        assert type(error) is type(left(stub))

    async def test_an_assertion_out_of_fail(self, stub, session):
        """A failure that the test asked for is no surprise, even if it is an AssertionError."""
        stub.get(URL).fail(AssertionError("asked for"))
        assert AssertionError is type(await swallow(session))
        assert left(stub) is None

    @pytest.mark.parametrize("error", [ValueError("no"), aiohttp.ClientError("no"), OSError("no")])
    async def test_any_other_exception_of_a_handler_is_meant(self, stub, session, error):
        """It is what the app shall see."""

        def refuse(request):
            raise error

        stub.get(URL).handle(refuse)
        assert await swallow(session) is not None
        assert left(stub) is None

    async def test_a_stream_that_breaks(self, stub, session):
        """Its exception, which the app never sees."""

        def chunks():
            yield b"chunk"
            raise ValueError("broken")

        stub.get(URL).reply(stream=chunks)
        assert aiohttp.ClientPayloadError is type(await swallow(session))
        error = left(stub)
        assert (ValueError, "broken") == (type(error), str(error))

    async def test_a_fault_in_a_stream_is_meant(self, stub, session):
        """It is what the app shall meet."""

        def chunks():
            yield b"chunk"
            raise faults.reset()

        stub.get(URL).reply(stream=chunks)
        assert aiohttp.ClientPayloadError is type(await swallow(session))
        assert left(stub) is None


def wrong(text):
    """Make a handler that fails an assertion."""

    def check(request):
        raise AssertionError(text)

    return check


class TestOrder:
    """What happened first is raised, the rest are its notes."""

    async def test_a_handler_before_an_unmatched_request(self, stub, session):
        """The handler's assertion is raised."""
        stub.get(URL).handle(wrong("first"))
        await swallow(session)
        await swallow(session, "POST")
        error = left(stub)
        assert (AssertionError, "first") == (type(error), str(error))
        (note,) = notes(error)
        assert note.startswith("UnsatisfiedStub: 1 request was unmatched\n")

    async def test_an_unmatched_request_before_a_handler(self, stub, session):
        """The stub's complaint is raised."""
        stub.get(URL).handle(wrong("second"))
        await swallow(session, "POST")
        await swallow(session)
        error = left(stub)
        assert UnsatisfiedStub is type(error)
        assert ["AssertionError: second"] == notes(error)

    async def test_what_is_left_over_comes_last(self, stub, session):
        """That a step was never served is only known at the end."""
        stub.put(URL).reply()
        stub.get(URL).handle(wrong("first")).then.handle(wrong("second"))
        await swallow(session)
        await swallow(session)
        error = left(stub)
        assert (AssertionError, "first") == (type(error), str(error))
        second, unused = notes(error)
        assert "AssertionError: second" == second
        assert unused.startswith("UnsatisfiedStub: 1 route has steps that were never served\n")

    async def test_unmatched_requests_and_what_is_left_over_are_one_finding(self, stub, session):
        """They often are two sides of one mistake."""
        stub.put(URL).reply()
        await swallow(session)
        error = left(stub)
        assert UnsatisfiedStub is type(error)
        assert (
            "1 route has steps that were never served, 1 request was unmatched"
            == (str(error).partition("\n")[0])
        )
        assert [] == notes(error)

    async def test_the_same_exception_is_said_once(self, stub, session):
        """Though it was raised for several requests."""
        error = AssertionError("shared")

        def check(request):
            raise error

        stub.post(URL, where=check).reply().optional()
        await swallow(session, "POST")
        await swallow(session, "POST")
        at_exit = left(stub)
        assert error is at_exit
        assert [] == notes(at_exit)

    async def test_what_was_said_is_not_said_again(self, stub, session):
        """A second run starts afresh."""
        await swallow(session)
        assert UnsatisfiedStub is type(left(stub))
        stub.start()
        assert left(stub) is None


class TestFailingAlready:
    """A test that fails already keeps its exception, and gets the rest as notes."""

    async def test_what_is_left_over_is_a_note(self):
        """The exception itself is not replaced."""
        error = KeyError("of the test")
        with pytest.raises(KeyError) as caught, aiostub.Stub() as stub:
            stub.get(URL).reply()
            raise error
        assert error is caught.value
        (note,) = notes(error)
        assert note.startswith("UnsatisfiedStub: 1 route has steps that were never served\n")

    async def test_async_with_does_the_same(self, session):
        """For what was unmatched, too."""
        error = KeyError("of the test")
        with pytest.raises(KeyError) as caught:
            async with aiostub.Stub():
                await swallow(session)
                raise error
        assert error is caught.value
        (note,) = notes(error)
        assert note.startswith("UnsatisfiedStub: 1 request was unmatched\n")

    async def test_a_satisfied_stub_adds_nothing(self, session):
        """There is nothing to add."""
        error = KeyError("of the test")
        with pytest.raises(KeyError), aiostub.Stub() as stub:
            stub.get(URL).reply()
            await ask(session)
            raise error
        assert [] == notes(error)

    async def test_an_unmatched_request_that_fails_the_test_is_no_note_of_itself(self, session):
        """It is said once."""
        with pytest.raises(UnmatchedRequest) as caught, aiostub.Stub():
            await ask(session)
        assert [] == notes(caught.value)

    async def test_other_unmatched_requests_are(self, session):
        """They were swallowed."""
        with pytest.raises(UnmatchedRequest) as caught, aiostub.Stub():
            await swallow(session, "POST")
            await ask(session)
        (note,) = notes(caught.value)
        assert note.startswith("UnsatisfiedStub: 1 request was unmatched\n")
        assert f"POST {URL}" in note

    async def test_a_handler_that_fails_the_test_is_no_note_of_itself(self, session):
        """It is said once, though the app's exception is a copy."""
        with pytest.raises(AssertionError, match=r"^wrong$") as caught, aiostub.Stub() as stub:
            stub.get(URL).handle(wrong("wrong"))
            await ask(session)
        assert [] == notes(caught.value)

    async def test_a_matcher_that_fails_the_test_is_no_note_of_itself(self, session):
        """It is said once."""
        with pytest.raises(ZeroDivisionError) as caught, aiostub.Stub() as stub:
            stub.get(URL, where=dividing).reply().optional()
            await ask(session)
        assert [] == notes(caught.value)

    async def test_a_missing_timer_that_fails_the_test_is_no_note_of_itself(self, session):
        """It is said once."""
        with pytest.raises(MissingTimeout) as caught, aiostub.Stub() as stub:
            stub.get(URL).timeout("sock_read")
            await ask(session)
        assert [] == notes(caught.value)

    async def test_findings_are_notes_in_the_order_in_which_they_happened(self, session):
        """All of them."""
        error = KeyError("of the test")
        with pytest.raises(KeyError), aiostub.Stub() as stub:
            stub.get(URL).handle(wrong("first")).then.handle(wrong("second")).then.reply()
            await swallow(session)
            await swallow(session, "PUT")
            await swallow(session)
            raise error
        first, unsatisfied, second = notes(error)
        assert ["AssertionError: first", "AssertionError: second"] == [first, second]
        assert unsatisfied.startswith("UnsatisfiedStub: 1 route has steps")

    @pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError(), GeneratorExit()]
    )
    def test_what_is_no_exception_of_the_test_goes_its_way(self, error):
        """An interrupted test is not held up by what it left over."""
        with pytest.raises(type(error)) as caught, aiostub.Stub() as stub:
            stub.get(URL).reply()
            raise error
        assert error is caught.value

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with CPython 3.11")
    def test_notes_of_the_test_itself_stay(self):
        """The findings come behind them."""
        error = KeyError("of the test")
        error.add_note("a note of the test")
        with pytest.raises(KeyError), aiostub.Stub() as stub:
            stub.get(URL).reply()
            raise error
        assert "a note of the test" == notes(error)[0]
        assert 2 == len(notes(error))

    def test_nested_stubs_add_their_notes_each(self):
        """From the inside outwards."""
        error = KeyError("of the test")
        with pytest.raises(KeyError), aiostub.Stub() as outer, aiostub.Stub() as inner:
            outer.get("http://outer.test/").reply()
            inner.get("http://inner.test/").reply()
            raise error
        first, second = notes(error)
        assert "inner.test" in first
        assert "outer.test" in second

    def test_what_the_inner_stub_raises_is_failing_already_for_the_outer(self):
        """One exception, with a note."""
        with pytest.raises(UnsatisfiedStub) as caught, aiostub.Stub() as outer:
            outer.get("http://outer.test/").reply()
            with aiostub.Stub() as inner:
                inner.get("http://inner.test/").reply()
        assert "inner.test" in str(caught.value)
        (note,) = notes(caught.value)
        assert "outer.test" in note


async def never_served(stub, session):
    """Leave a step over."""
    stub.get(URL).reply()


async def unmatched(stub, session):
    """Swallow an unmatched request."""
    await swallow(session)


async def failing_handler(stub, session):
    """Swallow an assertion of a handler."""
    stub.get(URL).handle(wrong("wrong"))
    await swallow(session)


async def failing_matcher(stub, session):
    """Swallow a bug of a matcher."""
    stub.get(URL, where=dividing).reply()
    await swallow(session)


async def no_step(stub, session):
    """Swallow the error of a route without a step."""
    stub.get(URL)
    await swallow(session)


async def no_timer(stub, session):
    """Swallow the error of a timer that is none."""
    stub.get(URL).timeout("sock_read")
    await swallow(session)


async def broken_stream(stub, session):
    """Swallow the error of a body that ends too early."""
    stub.get(URL).reply(stream=lambda: (1 / 0 for _ in range(1)))
    await swallow(session)


EVERYTHING = (
    never_served,
    unmatched,
    failing_handler,
    failing_matcher,
    no_step,
    no_timer,
    broken_stream,
)


class TestLenient:
    """`strict=False` turns all of it off."""

    @pytest.mark.parametrize("mistake", EVERYTHING)
    async def test_nothing_is_raised_at_exit(self, session, mistake):
        """Only at the call."""
        with aiostub.Stub(strict=False) as stub:
            await mistake(stub, session)

    @pytest.mark.parametrize("mistake", EVERYTHING)
    async def test_a_strict_stub_raises_it(self, session, mistake):
        """Each of them."""
        stub = aiostub.Stub()
        stub.start()
        await mistake(stub, session)
        assert left(stub) is not None

    async def test_nothing_is_noted(self, session):
        """On a test that fails already."""
        error = KeyError("of the test")
        with pytest.raises(KeyError), aiostub.Stub(strict=False) as stub:
            for mistake in EVERYTHING:
                await mistake(stub, session)
            raise error
        assert [] == notes(error)

    async def test_the_call_raises_as_ever(self, session):
        """A request that nobody answers still is one."""
        with aiostub.Stub(strict=False):
            assert UnmatchedRequest is type(await swallow(session))


class TestLeaving:
    """`stop()` restores first, then checks."""

    def test_the_patch_is_gone_when_it_raises(self):
        """The next test finds aiohttp as it was."""
        before = aiohttp.ClientSession._request, aiohttp.BaseConnector.connect
        stub = aiostub.Stub()
        stub.get(URL).reply()
        stub.start()
        assert before[0] is not aiohttp.ClientSession._request
        assert UnsatisfiedStub is type(left(stub))
        assert before == (aiohttp.ClientSession._request, aiohttp.BaseConnector.connect)

    def test_starting_and_stopping_twice(self):
        """A StubStateError each."""
        stub = aiostub.Stub()
        with pytest.raises(aiostub.StubStateError):
            stub.stop()
        stub.start()
        with pytest.raises(aiostub.StubStateError):
            stub.start()
        stub.stop()
        with pytest.raises(aiostub.StubStateError):
            stub.stop()

    async def test_a_connector_alone_checks_when_the_last_one_closes(self):
        """If the stub was never started."""
        stub = aiostub.Stub()
        stub.get(URL).reply()
        first, second = stub.connector(), stub.connector()
        await first.close()
        with pytest.raises(UnsatisfiedStub):
            await second.close()

    async def test_a_session_with_a_connector_checks_when_it_closes(self):
        """And says what was unmatched."""
        stub = aiostub.Stub()
        with pytest.raises(UnsatisfiedStub, match="1 request was unmatched"):
            async with aiohttp.ClientSession(connector=stub.connector()) as session:
                await swallow(session)

    async def test_a_session_that_closes_because_the_test_fails(self):
        """It keeps the test's exception."""
        stub = aiostub.Stub()
        error = KeyError("of the test")
        with pytest.raises(KeyError):
            async with aiohttp.ClientSession(connector=stub.connector()) as session:
                await swallow(session)
                raise error
        (note,) = notes(error)
        assert note.startswith("UnsatisfiedStub: 1 request was unmatched\n")

    async def test_a_started_stub_checks_when_it_stops(self):
        """Not when its connectors close."""
        stub = aiostub.Stub()
        stub.get(URL).reply()
        stub.start()
        await stub.connector().close()
        assert UnsatisfiedStub is type(left(stub))
