"""Routes as scripts of steps: what each step does, how often, and in which order routes answer."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import inspect
import re
import threading
from unittest import mock

import aiohttp
import pytest
from aiohttp import test_utils, web

import aiostub
from aiostub import RouteError, UnmatchedRequest, UnsatisfiedStub, faults

URL = "http://api.test/items"

# The loop's clock runs without waiting. looptime needs CPython 3.11.
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
def lenient():
    """Give a stub that checks nothing at the end, for tests that leave something over."""
    with aiostub.Stub(strict=False) as stub:
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


async def texts(session, count, url=URL):
    """Send that many requests one after the other, and return the texts of the answers."""
    return [(await ask(session, url=url))[1] for _ in range(count)]


async def settled():
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)


class TestScripts:
    """How often a step is served, and which comes next."""

    async def test_a_step_is_served_once(self, lenient, session):
        """A second request finds nobody to answer it."""
        lenient.get(URL).reply(text="one")
        assert (200, "one") == await ask(session)
        with pytest.raises(UnmatchedRequest):
            await ask(session)

    async def test_a_step_is_served_n_times(self, lenient, session):
        """After `times(3)` the fourth request is unmatched."""
        lenient.get(URL).reply(text="again").times(3)
        assert ["again"] * 3 == await texts(session, 3)
        with pytest.raises(UnmatchedRequest):
            await ask(session)

    async def test_a_step_is_served_always(self, stub, session):
        """`always()` has no end."""
        stub.get(URL).reply(text="on and on").always()
        assert ["on and on"] * 20 == await texts(session, 20)

    async def test_steps_come_one_after_the_other(self, stub, session):
        """Each step is served as often as it says before the next one begins."""
        route = stub.get(URL)
        route.reply(text="a").times(2).then.reply(text="b").then.reply(text="c").always()
        assert ["a", "a", "b", "c", "c", "c"] == await texts(session, 6)

    async def test_steps_of_every_kind_mix(self, stub, session):
        """A script goes from a failure over a timer and a handler to a reply."""
        route = stub.get(URL).fail(ValueError("no")).then.timeout()
        route.then.handle(lambda request: 201).then.reply(204)
        with pytest.raises(ValueError, match=r"^no$"):
            await ask(session)
        with pytest.raises(asyncio.TimeoutError):
            await ask(session)
        assert [(201, ""), (204, "")] == [await ask(session), await ask(session)]

    async def test_a_step_added_later_revives_the_route(self, stub, session):
        """A route that was used up answers again once it is told how."""
        route = stub.get(URL).reply(text="a")
        assert ["a"] == await texts(session, 1)
        route.then.reply(text="b").times(2)
        assert ["b", "b"] == await texts(session, 2)

    async def test_counting_a_used_up_step_revives_the_route(self, stub, session):
        """`times` and `always` may come after the first request."""
        route = stub.get(URL).reply(text="a")
        assert ["a"] == await texts(session, 1)
        route.times(3)
        assert ["a", "a"] == await texts(session, 2)

    async def test_a_request_that_sees_a_used_up_route_does_not_bury_it(self, lenient, session):
        """Also where a request has been refused meanwhile."""
        route = lenient.get(URL).reply(text="a")
        await ask(session)
        with pytest.raises(UnmatchedRequest):
            await ask(session)
        route.then.reply(text="b")
        assert (200, "b") == await ask(session)

    @pytest.mark.parametrize(
        "link",
        [
            lambda route: route.reply(),
            lambda route: route.fail(OSError),
            lambda route: route.timeout(),
            lambda route: route.hang(),
            lambda route: route.handle(lambda request: None),
            lambda route: route.passthrough(),
            lambda route: route.optional(),
            lambda route: route.reply().times(2),
            lambda route: route.reply().always(),
            lambda route: route.reply().then,
            lambda route: route.reply().times(2).then.hang().optional().then.reply().always(),
        ],
    )
    def test_every_link_returns_the_same_route(self, link):
        """A chain may be cut and taken up anywhere."""
        route = aiostub.Stub().get(URL)
        assert route is link(route)
        assert isinstance(route, aiostub.Route)

    @pytest.mark.parametrize(
        "script",
        [
            lambda route: route.optional().reply(),
            lambda route: route.reply().optional(),
            lambda route: route.reply().optional().times(2),
            lambda route: route.reply().times(2).optional(),
            lambda route: route.reply().then.optional().reply(),
            lambda route: route.reply().always().optional(),
            lambda route: route.optional(),
        ],
    )
    def test_optional_stands_anywhere(self, script):
        """It exempts the whole route, wherever in the chain it is said."""
        with aiostub.Stub() as stub:
            script(stub.get(URL))

    async def test_routes_may_be_registered_while_a_request_is_in_flight(self, stub, session):
        """A handler registers the route for the next request."""

        def register(request):
            stub.get(f"{URL}/next").reply(text="registered in flight")
            return 202

        stub.get(URL).handle(register)
        assert (202, "") == await ask(session)
        assert (200, "registered in flight") == await ask(session, url=f"{URL}/next")

    async def test_routes_may_be_registered_before_and_between_runs(self, session):
        """A stub keeps its routes and their state while it is stopped."""
        stub = aiostub.Stub()
        stub.get(URL).reply(text="a").then.reply(text="b").optional()
        with stub:
            assert (200, "a") == await ask(session)
        stub.get(f"{URL}/2").reply(text="c")
        with stub:
            assert (200, "b") == await ask(session)
            assert (200, "c") == await ask(session, url=f"{URL}/2")


def counted(route, count):
    """Say twice how often the last step is served."""
    return count(route.reply())


# What is refused, and the text that says so.
REFUSED = {
    "a second step": (
        lambda r: r.reply(200).reply(201),
        (
            "a second step without .then: reply(200) stands before reply(201); "
            "write .then between them"
        ),
    ),
    "a second step of another kind": (
        lambda r: r.fail(OSError).hang(),
        "a second step without .then: fail(OSError) stands before hang(); write .then between them",
    ),
    "then without a step": (
        lambda r: r.then,
        "then: there is no step before it: reply(...).then.reply(...)",
    ),
    "then twice": (
        lambda r: r.reply().then.then,
        "then: there is no step before it: reply(...).then.reply(...)",
    ),
    "then after always": (
        lambda r: r.reply().always().then,
        "then: the step before it is always(), so none after it would be served",
    ),
    "times twice": (
        lambda r: r.reply().times(2).times(2),
        "times(2): the step reply(200) says already how often it is served",
    ),
    "always twice": (
        lambda r: r.reply().always().always(),
        "always(): the step reply(200) says already how often it is served",
    ),
    "times after always": (
        lambda r: r.reply().always().times(1),
        "times(1): the step reply(200) says already how often it is served",
    ),
    "times without a step": (
        lambda r: r.times(2),
        "times(2): there is no step to count: reply(...).times(2)",
    ),
    "times after then": (
        lambda r: r.reply().then.times(2),
        "times(2): there is no step to count: reply(...).times(2)",
    ),
    "always without a step": (
        lambda r: r.always(),
        "always(): there is no step to count: reply(...).always()",
    ),
    "no time": (lambda r: r.reply().times(0), "times: expected a whole number from 1, got 0"),
    "minus one time": (
        lambda r: r.reply().times(-1),
        "times: expected a whole number from 1, got -1",
    ),
    "half a time": (
        lambda r: r.reply().times(1.5),
        "times: expected a whole number from 1, got 1.5",
    ),
    "a true time": (
        lambda r: r.reply().times(True),
        "times: expected a whole number from 1, got True",
    ),
    "a status below": (lambda r: r.reply(199), "status: must be 200 to 599, got 199"),
    "a status above": (lambda r: r.reply(600), "status: must be 200 to 599, got 600"),
    "an upgrade": (
        lambda r: r.reply(101),
        "status: must be 200 to 599, got 101; 101 belongs to serve() and ws()",
    ),
    "a body with 204": (
        lambda r: r.reply(204, text=""),
        "text=: a 204 carries no body",
    ),
    "a body with 304": (
        lambda r: r.reply(304, json=None),
        "json=: a 304 carries no body",
    ),
    "two bodies": (
        lambda r: r.reply(json=1, text="1"),
        "json= and text=: a reply has one body at most",
    ),
    "a one-shot stream for two": (
        lambda r: r.reply(stream=iter([b"a"])).times(2),
        (
            "times(2): stream is a one-shot iterator, which cannot be served again; "
            "give a list or a callable that makes one"
        ),
    ),
    "a one-shot stream for ever": (
        lambda r: r.reply(stream=(b"a" for _ in ())).always(),
        (
            "always(): stream is a one-shot iterator, which cannot be served again; "
            "give a list or a callable that makes one"
        ),
    ),
    "an unknown timer": (
        lambda r: r.timeout("read"),
        "timeout: which must be one of total, connect, sock_connect, sock_read, got 'read'",
    ),
    "a timer that is no text": (
        lambda r: r.timeout(5),
        "timeout: which must be one of total, connect, sock_connect, sock_read, got 5",
    ),
    "a callback that is none": (
        lambda r: r.handle({"a": 1}),
        "handle: callback must be callable, got {'a': 1}",
    ),
    "a callback without arguments": (
        lambda r: r.handle(list_nothing),
        "handle: list_nothing must take the request as its first argument",
    ),
    "a negative delay": (
        lambda r: r.reply(delay=-1),
        "delay: must be a finite number of seconds, 0 or more, got -1",
    ),
    "an endless delay": (
        lambda r: r.fail(OSError, delay=float("inf")),
        "delay: must be a finite number of seconds, 0 or more, got inf",
    ),
    "two attempts": (
        lambda r: r.fail(OSError, attempts=2),
        "attempts: must be None or 1, got 2",
    ),
    "a failure that is none": (
        lambda r: r.fail("no"),
        "exc: must be a fault, or a class or instance of an exception, got 'no'",
    ),
    "a fault of which reply": (
        lambda r: r.fail(faults.reset(after=5)),
        (
            "exc: faults.reset(after=5) has no body to count in; "
            "use reply(..., fault=faults.reset(after=5))"
        ),
    ),
    "a fault of the connection in a reply": (
        lambda r: r.reply(text="a", fault=faults.refused()),
        "fault: faults.refused() leaves no reply to spoil; use fail(faults.refused())",
    ),
    "a fault of a body that is none": (
        lambda r: r.reply(fault=faults.reset()),
        "fault: faults.reset() spoils a body, and this reply has none",
    ),
}


def list_nothing():
    """Take no request."""
    return []


class TestRouteErrors:
    """What cannot be done is refused where it is written."""

    @pytest.mark.parametrize(("script", "text"), REFUSED.values(), ids=REFUSED)
    def test_it_is_refused_at_the_line_that_registers(self, script, text):
        """The error comes out of the very link, and names the argument."""
        with pytest.raises(RouteError) as caught:
            script(aiostub.Stub().get(URL))
        assert text == str(caught.value)

    def test_the_error_is_a_value_error_and_not_of_the_network(self):
        """No retry code takes it for a failure of the network."""
        with pytest.raises(RouteError) as caught:
            aiostub.Stub().get(URL).reply(99)
        assert isinstance(caught.value, (aiostub.AiostubError, ValueError))
        assert not isinstance(caught.value, (aiohttp.ClientError, OSError))

    @pytest.mark.parametrize("link", ["reply", "fail", "timeout", "hang", "handle", "times"])
    def test_an_unknown_keyword_is_a_type_error(self, link):
        """Python itself says so."""
        with pytest.raises(TypeError, match="bogus"):
            getattr(aiostub.Stub().get(URL), link)(bogus=1)

    @pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "head", "options"])
    def test_an_unknown_condition_is_a_type_error(self, verb):
        """The text names what there is, and no function of ours."""
        with pytest.raises(TypeError, match=r"^unexpected keyword argument 'bogus'; .* params, "):
            getattr(aiostub.Stub(), verb)(URL, bogus=1)

    async def test_a_refused_link_leaves_the_route_as_it_was(self, stub, session):
        """A test may go on after it."""
        route = stub.get(URL).reply(text="a")
        for wrong in (route.reply, lambda: route.times(0), lambda: route.timeout("x")):
            with pytest.raises(RouteError):
                wrong()
        assert ["a"] == await texts(session, 1)

    async def test_a_refused_registration_leaves_no_route(self, stub, session):
        """What could not be registered answers nothing and is not missed."""
        with pytest.raises(RouteError):
            stub.get(URL, params=3)
        stub.get(URL).reply()
        assert (200, "") == await ask(session)


class TestOrder:
    """In order of registration, the first that matches and has a step left."""

    async def test_equal_routes_are_a_queue(self, stub, session):
        """The same URL twice answers twice, in order."""
        for text in "abc":
            stub.get(URL).reply(text=text)
        assert ["a", "b", "c"] == await texts(session, 3)

    async def test_a_route_without_end_shadows_what_comes_after_it(self, lenient, session):
        """The later one is never asked."""
        lenient.get(URL).reply(text="a").always()
        later = lenient.get(URL).reply(text="b")
        assert ["a", "a"] == await texts(session, 2)
        assert not later.called

    async def test_a_long_queue_is_in_order(self, stub, session):
        """However many routes wait, the next one is the next registered."""
        expected = [str(number) for number in range(300)]
        for text in expected:
            stub.get(URL).reply(text=text)
        assert expected == await texts(session, 300)

    FORMS = (
        URL,
        "/items",
        "/{name}",
        re.compile("items"),
        aiostub.ANY,
        "http://{tenant}.test/items",
        "http://api.test/{rest:path}",
        "HTTP://API.test:80/items",
    )

    @pytest.mark.parametrize("number", range(len(FORMS)))
    async def test_only_the_order_counts_and_not_the_form_of_the_url(self, stub, session, number):
        """Exact URLs, paths, templates and patterns queue with each other."""
        forms = (*self.FORMS[number:], *self.FORMS[:number])
        for index, url in enumerate(forms):
            stub.get(url).reply(text=str(index))
        assert [str(n) for n in range(len(forms))] == await texts(session, len(forms))

    async def test_first_puts_a_route_in_front(self, stub, session):
        """It answers before all that were registered earlier."""
        stub.get(URL).reply(text="b")
        stub.get(URL, first=True).reply(text="a")
        stub.get(URL).reply(text="c")
        assert ["a", "b", "c"] == await texts(session, 3)

    async def test_the_latest_first_is_foremost(self, stub, session):
        """Each one goes in front of all, earlier `first=True` included."""
        stub.get(URL).reply(text="c")
        stub.get(re.compile("items"), first=True).reply(text="b")
        stub.get(URL, first=True).reply(text="a")
        assert ["a", "b", "c"] == await texts(session, 3)

    @pytest.mark.parametrize("verb", ["post", "put", "patch", "delete", "head", "options", "any"])
    async def test_every_verb_takes_first(self, stub, session, verb):
        """Not only `get`."""
        method = "GET" if verb == "any" else verb.upper()
        getattr(stub, verb)(URL).reply(201)
        getattr(stub, verb)(URL, first=True).reply(202)
        stub.request(method, URL, first=True).reply(203)
        assert [203, 202, 201] == [(await ask(session, method))[0] for _ in range(3)]

    async def test_first_in_front_of_a_queue_that_is_half_used(self, stub, session):
        """It is found although the routes before it are used up."""
        for text in "ac":
            stub.get(URL).reply(text=text)
        assert ["a"] == await texts(session, 1)
        stub.get(URL, first=True).reply(text="b")
        assert ["b", "c"] == await texts(session, 2)

    async def test_a_route_whose_conditions_differ_is_passed_over(self, stub, session):
        """The next one that matches answers."""
        stub.get(URL, headers={"X-Kind": "a"}).reply(text="a")
        stub.get(URL).reply(text="b")
        assert (200, "b") == await ask(session)
        assert (200, "a") == await ask(session, headers={"X-Kind": "a"})

    async def test_a_condition_on_the_body_keeps_its_place(self, stub, session):
        """A route that has to see the body first is not overtaken by one that needs not."""
        stub.post(URL, json={"n": 1}).reply(text="by its body")
        stub.post(URL).reply(text="any").times(2)
        expected = ["any", "by its body", "any"]
        actual = [(await ask(session, "POST", json={"n": n}))[1] for n in (2, 1, 1)]
        assert expected == actual

    async def test_each_method_has_routes_of_its_own(self, stub, session):
        """A route for every method queues with them."""
        stub.get(URL).reply(text="get")
        stub.post(URL).reply(text="post")
        stub.any(URL).reply(text="any").times(2)
        actual = [(await ask(session, method))[1] for method in ("POST", "PUT", "GET", "GET")]
        assert ["post", "any", "get", "any"] == actual

    @pytest.mark.parametrize("method", ["get", "Get", "PURGE", "x-odd"])
    async def test_a_method_may_be_any_in_either_case(self, stub, session, method):
        """aiohttp sends it in upper case."""
        stub.request(method, URL).reply(202)
        assert (202, "") == await ask(session, method)
        assert method.upper() == stub.calls.last.request.method


class CallableObject:
    """Answer as an object that can be called."""

    def __call__(self, request, item):
        """Answer with what the URL captured."""
        return f"object {item}"


class AsyncCallableObject:
    """Answer as an object whose call is awaited."""

    async def __call__(self, request, *, item):
        """Answer with what the URL captured."""
        await asyncio.sleep(0)
        return f"async object {item}"


class WithMethods:
    """Answer by methods."""

    def plain(self, request, item):
        """Answer with what the URL captured."""
        return f"method {item}"

    async def waiting(self, request, item):
        """Answer with what the URL captured."""
        return f"async method {item}"

    @classmethod
    def of_class(cls, request, item):
        """Answer with what the URL captured."""
        return f"classmethod {item}"

    @staticmethod
    def of_none(request, item):
        """Answer with what the URL captured."""
        return f"staticmethod {item}"


def by_position(request, item="not given"):
    """Answer with what the URL captured."""
    return f"positional {item}"


async def async_function(request, item):
    """Answer with what the URL captured."""
    return f"async {item}"


def with_prefix(prefix, request, item):
    """Answer with what the URL captured."""
    return f"{prefix} {item}"


def of_future(request):
    """Answer with something that can be awaited and is no coroutine."""
    future = asyncio.get_running_loop().create_future()
    future.set_result("future")
    return future


CALLBACKS = {
    "a function": (by_position, "positional 7"),
    "an async function": (async_function, "async 7"),
    "a lambda": (lambda request, item: f"lambda {item}", "lambda 7"),
    "an object": (CallableObject(), "object 7"),
    "an async object": (AsyncCallableObject(), "async object 7"),
    "a method": (WithMethods().plain, "method 7"),
    "an async method": (WithMethods().waiting, "async method 7"),
    "a class method": (WithMethods.of_class, "classmethod 7"),
    "a static method": (WithMethods.of_none, "staticmethod 7"),
    "a partial": (functools.partial(with_prefix, "partial"), "partial 7"),
    "an async partial": (functools.partial(async_function), "async 7"),
    "a mock": (mock.Mock(return_value="mock"), "mock"),
    "an async mock": (mock.AsyncMock(return_value="async mock"), "async mock"),
    "something to await": (of_future, "future"),
}


class TestHandlers:
    """A handler is asked for the answer when the whole request has arrived."""

    @pytest.mark.parametrize(("callback", "text"), CALLBACKS.values(), ids=CALLBACKS)
    async def test_it_may_be_anything_that_can_be_called(self, stub, session, callback, text):
        """Sync or async, bound or not."""
        stub.get("/items/{item}").handle(callback)
        assert (200, text) == await ask(session, url=f"{URL}/7")

    RETURNED = (
        (aiostub.Reply(201, text="made"), 201, "text/plain; charset=utf-8", "made"),
        (aiostub.Reply(204), 204, None, ""),
        (aiostub.Reply(text="é", headers={"X-A": "b"}), 200, "text/plain; charset=utf-8", "é"),
        ({"a": 1}, 200, "application/json", '{"a": 1}'),
        ({}, 200, "application/json", "{}"),
        ([1, None], 200, "application/json", "[1, null]"),
        ([], 200, "application/json", "[]"),
        ("text", 200, "text/plain; charset=utf-8", "text"),
        ("", 200, "text/plain; charset=utf-8", ""),
        (b"bytes", 200, "application/octet-stream", "bytes"),
        (b"", 200, "application/octet-stream", ""),
        (503, 503, None, ""),
        (web.HTTPNotFound.status_code, 404, None, ""),
    )

    @pytest.mark.parametrize(("returned", "status", "kind", "text"), RETURNED)
    @pytest.mark.parametrize("is_async", [False, True])
    async def test_what_it_returns_becomes_the_reply(
        self, stub, session, *, returned, status, kind, text, is_async
    ):
        """A Reply as it stands; plain values by their kind."""

        async def later(request):
            return returned

        stub.get(URL).handle(later if is_async else lambda request: returned)
        async with session.get(URL) as response:
            expected = (status, kind, text)
            assert expected == (
                response.status,
                response.headers.get("Content-Type"),
                await response.text(),
            )

    NO_ANSWERS = (
        (True, "True"),
        (1.5, "1.5"),
        ((200, "a"), "(200, 'a')"),
        ({1}, "{1}"),
        (object, "<class 'object'>"),
        (bytearray(b"a"), "bytearray(b'a')"),
    )

    @pytest.mark.parametrize(("returned", "shown"), NO_ANSWERS)
    async def test_anything_else_is_a_route_error_at_the_call(self, session, returned, shown):
        """It names the callback and what that returned, and comes again at exit."""

        def answer(request):
            return returned

        text = (
            f"handle: {answer.__qualname__} returned {shown}; "
            "return a Reply, a dict, list, str, bytes, an int status, or None"
        )
        stub = aiostub.Stub()
        stub.get(URL).handle(answer)
        stub.start()
        with pytest.raises(RouteError) as at_call:
            await ask(session)
        with pytest.raises(RouteError) as at_exit:
            stub.stop()
        assert [text, text] == [str(at_call.value), str(at_exit.value)]

    @pytest.mark.parametrize("returned", [99, 600, 101, 100, 0, -1])
    async def test_an_int_that_is_no_status_is_a_route_error(self, lenient, session, returned):
        """As it is in `reply`, and it names the callback."""
        lenient.get(URL).handle(lambda request: returned)
        text = f"lambda>: status: must be 200 to 599, got {returned}"
        with pytest.raises(RouteError, match=text):
            await ask(session)

    async def test_a_dict_that_cannot_be_serialised_is_a_route_error(self, lenient, session):
        """As it is in `reply`, and it names the callback."""
        lenient.get(URL).handle(lambda request: {"a": object()})
        with pytest.raises(RouteError, match=r"^handle: .*lambda>: json: cannot be serialised"):
            await ask(session)

    async def test_a_reply_may_stream_be_delayed_and_spoiled(self, stub, session):
        """What `reply` takes, `Reply` takes."""
        fault = faults.disconnect(after=2)
        route = stub.get(URL).handle(lambda request: aiostub.Reply(stream=[b"a", b"b"]))
        route.then.handle(lambda request: aiostub.Reply(text="c", delay=0.001))
        route.then.handle(lambda request: aiostub.Reply(text="spoiled", fault=fault))
        assert ["ab", "c"] == await texts(session, 2)
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(session)

    async def test_a_reply_with_a_one_shot_stream_is_served_once(self, session):
        """A handler that gives it twice has made the mistake that `times(2)` would be."""
        reply = aiostub.Reply(stream=iter([b"a"]))
        stub = aiostub.Stub()
        stub.get(URL).handle(lambda request: reply).times(2)
        stub.start()
        assert (200, "a") == await ask(session)
        with pytest.raises(RouteError, match="one-shot iterator"):
            await ask(session)
        with pytest.raises(RouteError, match="one-shot iterator"):
            stub.stop()

    def test_a_reply_refuses_what_reply_refuses(self):
        """In the handler, at the line that makes it."""
        with pytest.raises(RouteError, match="text=: a 204 carries no body"):
            aiostub.Reply(204, text="a")
        with pytest.raises(TypeError, match="early"):
            aiostub.Reply(early=True)

    async def test_it_gets_the_whole_request(self, stub, session):
        """Method, URL, headers as sent, and the body."""
        seen = []

        def answer(request):
            seen.append(request)
            return 200

        stub.post(f"{URL}?a=1").handle(answer)
        await ask(session, "POST", f"{URL}?a=1", json={"n": 1}, headers={"X-A": "b"})
        (request,) = seen
        assert "POST" == request.method
        assert f"{URL}?a=1" == str(request.url)
        assert {"n": 1} == request.json()
        assert ("b", "8", "api.test") == tuple(
            request.headers[name] for name in ("X-A", "Content-Length", "Host")
        )
        assert session is request.session

    async def test_a_body_sent_in_pieces_has_arrived(self, stub, session):
        """Also where the app generates it while it is sent."""

        async def pieces():
            for piece in (b"one ", b"two ", b"three"):
                await asyncio.sleep(0)
                yield piece

        stub.post(URL).handle(lambda request: request.body)
        assert (200, "one two three") == await ask(session, "POST", data=pieces())

    async def test_it_runs_in_the_loop_of_the_request(self, stub, session):
        """And in its thread."""
        where = []

        async def answer(request):
            where.append((asyncio.get_running_loop(), threading.current_thread()))
            return 200

        stub.get(URL).handle(answer)
        await ask(session)
        assert [(asyncio.get_running_loop(), threading.current_thread())] == where

    async def test_it_is_cancelled_with_its_request(self, stub, session):
        """When nobody waits for the answer, it need not be found."""
        began, ended = asyncio.Event(), asyncio.Event()

        async def answer(request):
            began.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        stub.get(URL).handle(answer)
        task = asyncio.ensure_future(ask(session))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settled()
        assert ended.is_set()

    async def test_it_may_use_the_session_itself(self, stub, session):
        """A handler that sends a request of its own is served too."""

        async def answer(request):
            return (await ask(session, url=f"{URL}/inner"))[1]

        stub.get(URL).handle(answer)
        stub.get(f"{URL}/inner").reply(text="from within")
        assert (200, "from within") == await ask(session)
        assert [URL, f"{URL}/inner"] == [str(call.request.url) for call in stub.calls]

    async def test_it_is_asked_for_each_use(self, stub, session):
        """A counter in the test counts the calls."""
        numbers = iter("abc")
        stub.get(URL).handle(lambda request: next(numbers)).times(3)
        assert ["a", "b", "c"] == await texts(session, 3)


def all_captured(request, **captured):
    """Answer with everything that the URL captured."""
    return captured


def one_named(request, name, **rest):
    """Answer with one by its name, and the rest."""
    return {"name": name, "rest": rest}


def keyword_only(request, *, name, item):
    """Answer with both."""
    return {"name": name, "item": item}


def not_named(request):
    """Answer with what stands in the request."""
    return dict(request.path_params)


def with_default(request, name, other="its default"):
    """Answer with both."""
    return {"name": name, "other": other}


def any_first_name(message, item):
    """Answer whatever the request is called here."""
    return {"item": item, "method": message.method}


class TestPathParameters:
    """Path parameters are passed by name where the callback names them."""

    GIVEN = (
        (all_captured, {"name": "Ada", "item": "7"}),
        (one_named, {"name": "Ada", "rest": {"item": "7"}}),
        (keyword_only, {"name": "Ada", "item": "7"}),
        (not_named, {"name": "Ada", "item": "7"}),
        (with_default, {"name": "Ada", "other": "its default"}),
        (any_first_name, {"item": "7", "method": "GET"}),
    )

    @pytest.mark.parametrize(("callback", "expected"), GIVEN)
    async def test_the_callback_gets_what_it_names(self, stub, session, callback, expected):
        """No more, or Python would complain."""
        stub.get("/{name}/items/{item}").handle(callback)
        async with session.get("http://api.test/Ada/items/7") as response:
            assert expected == await response.json()

    CAPTURED = (
        ("/files/{name}", "/files/a%20b%2Fc", {"name": "a b/c"}),
        ("/files/{rest:path}", "/files/a/b.txt", {"rest": "a/b.txt"}),
        ("http://{tenant}.test/files/x", "/files/x", {"tenant": "api"}),
        (re.compile(r"/files/(?P<name>\w+)\?v=(?P<v>\d)"), "/files/a?v=1", {"name": "a", "v": "1"}),
        (re.compile(r"/files/(?P<name>\w+)(?P<missing>!)?$"), "/files/a", {"name": "a"}),
    )

    @pytest.mark.parametrize(("url", "path", "expected"), CAPTURED)
    async def test_whatever_captures_them(self, stub, session, url, path, expected):
        """Templates and named groups, decoded."""
        stub.get(url).handle(all_captured)
        async with session.get(aiohttp.client.URL(f"http://api.test{path}", encoded=True)) as got:
            assert expected == await got.json()
        assert expected == stub.calls.last.request.path_params

    async def test_a_parameter_may_be_called_request(self, stub, session):
        """It stands in `request.path_params`; the first argument stays the request."""
        stub.get("/{request}").handle(
            lambda request, **rest: [request.path_params["request"], rest]
        )
        async with session.get("http://api.test/x") as response:
            assert ["x", {}] == await response.json()


class TestNone:
    """A handler that returns None does not answer."""

    async def test_the_next_route_is_asked(self, stub, session):
        """And it alone has the call in its log."""
        first = stub.get(URL).handle(lambda request: None).optional()
        second = stub.get(URL).reply(text="second")
        assert (200, "second") == await ask(session)
        assert (0, 1) == (first.call_count, second.call_count)
        assert [second] == [call.route for call in stub.calls]

    async def test_the_use_is_given_back(self, stub, session):
        """A later request may be answered by it."""
        answers = iter([None, "first"])
        stub.get(URL).handle(lambda request: next(answers))
        stub.get(URL).reply(text="second")
        assert ["second", "first"] == await texts(session, 2)

    async def test_the_use_is_given_back_in_the_midst_of_a_script(self, stub, session):
        """The step that declined is the next one to be asked, not the one behind it."""
        answers = iter([None, "handled"])
        stub.get(URL).reply(text="a").then.handle(lambda request: next(answers)).then.reply(
            text="c"
        )
        stub.get(URL).reply(text="b")
        assert ["a", "b", "handled", "c"] == await texts(session, 4)

    async def test_several_may_decline_in_turn(self, stub, session):
        """Until one answers; async or not."""
        asked = []

        async def later(request):
            asked.append("async")

        stub.get(URL).handle(lambda request: asked.append("sync")).optional()
        stub.get(URL).handle(later).optional()
        stub.get(URL).handle(lambda request: "third")
        assert (200, "third") == await ask(session)
        assert ["sync", "async"] == asked

    async def test_each_is_asked_once_for_one_request(self, lenient, session):
        """A route that declined is not asked again for it, however many uses it has."""
        callback = mock.Mock(return_value=None)
        lenient.get(URL).handle(callback).always()
        with pytest.raises(UnmatchedRequest):
            await ask(session)
        assert 1 == callback.call_count

    async def test_a_body_condition_behind_it_is_asked(self, stub, session):
        """The whole request is there for the routes behind."""
        stub.post(URL).handle(lambda request: None).optional()
        stub.post(URL, json={"n": 1}).reply(text="by its body")
        assert (200, "by its body") == await ask(session, "POST", json={"n": 1})

    async def test_a_failure_behind_it_is_met(self, stub, session):
        """Also one that otherwise would come before anything is sent."""
        stub.get(URL).handle(lambda request: None).optional()
        stub.get(URL).fail(faults.refused())
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(session)
        assert 1 == len(stub.calls)

    @pytest.mark.parametrize("which", ["connect", "sock_connect", "sock_read", "total"])
    async def test_a_timer_behind_it_fires(self, stub, session, which):
        """Also one that otherwise would fire before anything is sent."""
        stub.get(URL).handle(lambda request: None).optional()
        stub.get(URL).timeout(which)
        timeout = aiohttp.ClientTimeout(**{which: 60})
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, timeout=timeout)

    async def test_an_outer_stub_is_asked(self, session):
        """When the inner one has no other route."""
        with aiostub.Stub() as outer, aiostub.Stub() as inner:
            outer.get(URL).reply(text="outer")
            declined = inner.get(URL).handle(lambda request: None).optional()
            assert (200, "outer") == await ask(session)
            assert (1, 0) == (len(outer.calls), len(inner.calls))
            assert not declined.called

    async def test_when_nobody_answers_the_request_is_unmatched(self, session):
        """The route was never served, and is missed as well."""
        stub = aiostub.Stub()
        stub.get(URL).handle(lambda request: None)
        stub.start()
        with pytest.raises(UnmatchedRequest, match="the callback returned None"):
            await ask(session)
        with pytest.raises(UnsatisfiedStub, match="never served"):
            stub.stop()


class ClientSide(aiohttp.ClientError):
    """An error of the user's own that derives from aiohttp's."""


class Odd(BaseException):
    """An error that no `except Exception` catches."""


class TestRaising:
    """What a handler raises is what the app sees."""

    RAISED = (
        ValueError("no"),
        KeyError("a"),
        RuntimeError("no"),
        TimeoutError("late"),
        asyncio.TimeoutError("late"),
        aiohttp.ClientError("no"),
        aiohttp.ClientPayloadError("no"),
        aiohttp.ServerDisconnectedError("gone"),
        aiohttp.ClientOSError(104, "gone"),
        aiohttp.ServerTimeoutError("late"),
        aiohttp.InvalidURL("x"),
        ClientSide("no"),
        StopAsyncIteration("no"),
        RecursionError("no"),
        MemoryError("no"),
        EOFError(),
    )

    @pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
    @pytest.mark.parametrize("is_async", [False, True])
    async def test_the_class_and_its_arguments_arrive(self, stub, session, error, is_async):
        """As they were raised."""

        def refuse(request):
            raise error

        async def refuse_later(request):
            await asyncio.sleep(0)
            raise error

        stub.get(URL).handle(refuse_later if is_async else refuse)
        with pytest.raises(type(error)) as caught:
            await ask(session)
        assert type(error) is type(caught.value)
        assert error.args == caught.value.args

    @pytest.mark.parametrize("error", [OSError(5, "no"), ConnectionResetError(104, "gone")])
    async def test_an_os_error_is_what_aiohttp_makes_of_one(self, stub, session, error):
        """A ClientOSError with its arguments and the errno."""
        stub.get(URL).handle(mock.Mock(side_effect=error))
        with pytest.raises(aiohttp.ClientOSError) as caught:
            await ask(session)
        assert error.args == caught.value.args
        assert error.errno == caught.value.errno
        assert type(error) is type(caught.value.__cause__)
        assert 1 == len(stub.calls)

    @pytest.mark.parametrize(
        "callback", [mock.Mock(side_effect=[]), lambda request: next(iter(()))]
    )
    async def test_running_out_of_answers_is_a_runtime_error(self, stub, session, callback):
        """As Python makes one of every StopIteration that leaves a coroutine."""
        stub.get(URL).handle(callback)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await ask(session)

    async def test_a_cancellation_is_raised_too(self, stub, session):
        """As where the handler awaits a task that somebody has cancelled."""

        async def answer(request):
            raise asyncio.CancelledError

        stub.get(URL).handle(answer)
        task = asyncio.ensure_future(ask(session))
        await asyncio.wait({task}, timeout=1)
        assert task.cancelled()

    @pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
    async def test_a_resend_meets_the_same_without_asking_again(self, stub, session, method):
        """aiohttp sends idempotent requests once more by itself; the app sees one failure."""
        callback = mock.Mock(side_effect=aiohttp.ServerDisconnectedError)
        stub.request(method, URL).handle(callback)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(session, method)
        assert (1, 1) == (callback.call_count, len(stub.calls))

    async def test_a_retry_of_the_app_asks_again(self, stub, session):
        """It is a call of its own."""
        callback = mock.Mock(side_effect=[aiohttp.ServerDisconnectedError, "better"])
        stub.get(URL).handle(callback).times(2)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(session)
        assert (200, "better") == await ask(session)
        assert (2, 2) == (callback.call_count, len(stub.calls))

    FAULTS = (
        (faults.disconnect(), aiohttp.ServerDisconnectedError),
        (faults.reset(), aiohttp.ClientOSError),
        (faults.refused(), aiohttp.ClientConnectorError),
        (faults.unreachable(), aiohttp.ClientConnectorError),
        (faults.dns(), aiohttp.ClientConnectorError),
        (faults.garbage(), aiohttp.ClientResponseError),
        (faults.header_too_long(), aiohttp.ClientResponseError),
        (faults.truncated(), aiohttp.ClientPayloadError),
        (faults.bad_gzip(), aiohttp.ClientPayloadError),
    )

    @pytest.mark.parametrize(("fault", "error"), FAULTS, ids=lambda it: getattr(it, "name", ""))
    async def test_a_fault_strikes(self, stub, session, fault, error):
        """As in `fail`."""

        async def refuse(request):
            raise fault

        stub.get(URL).handle(refuse)
        with pytest.raises(error):
            await ask(session)
        assert 1 == len(stub.calls)

    async def test_a_fault_that_counts_in_a_body_is_a_route_error(self, lenient, session):
        """As in `fail`: there is no reply to count in."""

        def refuse(request):
            raise faults.reset(after=5)

        lenient.get(URL).handle(refuse)
        with pytest.raises(RouteError, match="has no body to count in"):
            await ask(session)

    @pytest.mark.parametrize(
        "error",
        [
            AssertionError("wrong"),
            RouteError("wrong"),
            pytest.fail.Exception("wrong"),
            Odd("wrong"),
        ],
    )
    async def test_what_fails_a_test_is_raised_again_at_exit(self, session, error):
        """Though the app swallows it."""

        def check(request):
            raise error

        stub = aiostub.Stub()
        stub.get(URL).handle(check)
        stub.start()
        with pytest.raises(type(error), match="wrong"):
            await ask(session)
        with pytest.raises(type(error), match="wrong"):
            stub.stop()

    async def test_the_traceback_leads_into_the_handler(self, stub, session):
        """Whoever reads it finds the line that raised."""

        def refuse(request):
            raise ValueError("no")

        stub.get(URL).handle(refuse)
        with pytest.raises(ValueError, match="no") as caught:
            await ask(session)
        assert any(entry.name == "refuse" for entry in caught.traceback)

    async def test_what_a_callback_is_not_given_is_its_own_type_error(self, stub, session):
        """A callback that names what the URL does not capture is called as it is written."""
        stub.get(URL).handle(lambda request, name: name)
        with pytest.raises(TypeError, match="name"):
            await ask(session)


class TestConcurrency:
    """A use is consumed before anything is awaited."""

    async def test_concurrent_requests_use_steps_of_their_own(self, stub, session):
        """No step is served twice, and none is left out."""
        gate = asyncio.Event()

        def waiting(text):
            async def answer(request):
                await gate.wait()
                return text

            return answer

        stub.get(URL).handle(waiting("a")).then.handle(waiting("b")).times(2).then.reply(text="c")
        tasks = [asyncio.ensure_future(ask(session)) for _ in range(4)]
        await settled()
        gate.set()
        assert ["a", "b", "b", "c"] == sorted(text for _, text in await asyncio.gather(*tasks))

    async def test_concurrent_requests_of_one_queue(self, stub, session):
        """A hundred at once find a hundred routes."""
        expected = [f"{number:03}" for number in range(100)]
        for text in expected:
            stub.get(URL).reply(text=text)
        answers = await asyncio.gather(*[ask(session) for _ in expected])
        assert expected == sorted(text for _, text in answers)

    async def test_one_too_many_is_unmatched_at_once(self, lenient, session):
        """Though the only use is still awaited."""
        gate = asyncio.Event()

        async def answer(request):
            await gate.wait()
            return "late"

        lenient.get(URL).handle(answer)
        first = asyncio.ensure_future(ask(session))
        await settled()
        with pytest.raises(UnmatchedRequest):
            await ask(session)
        gate.set()
        assert (200, "late") == await first

    async def test_threads_share_the_steps(self, stub):
        """Loops in several threads use up each step once."""
        for number in range(40):
            stub.get(URL).reply(text=str(number))
        found = []

        async def client():
            async with aiohttp.ClientSession() as session:
                found.extend(await texts(session, 10))

        await asyncio.gather(*[asyncio.to_thread(asyncio.run, client()) for _ in range(4)])
        assert sorted(map(str, range(40))) == sorted(found)


async def slow_body(gate):
    """Give a body of which the second half has to wait."""
    yield b"first half, "
    await gate.wait()
    yield b"second half"


class TestEarly:
    """`early=True` answers as soon as the head is there."""

    async def test_a_reply_comes_before_the_body(self, stub, session):
        """The app has its answer while it still sends."""
        gate = asyncio.Event()
        stub.post(URL).reply(413, text="too much", early=True)
        async with session.post(URL, data=slow_body(gate)) as response:
            assert (413, "too much") == (response.status, await response.text())

    async def test_without_it_a_reply_waits_for_the_body(self, stub, session):
        """As long as the app sends."""
        gate = asyncio.Event()
        stub.post(URL).reply(200, text="all there")
        task = asyncio.ensure_future(ask(session, "POST", data=slow_body(gate)))
        await settled()
        assert not task.done()
        gate.set()
        assert (200, "all there") == await task
        assert b"first half, second half" == stub.calls.last.request.body

    async def test_a_reply_to_a_request_without_a_body(self, stub, session):
        """There is nothing to be earlier than."""
        stub.get(URL).reply(200, text="early", early=True)
        assert (200, "early") == await ask(session)

    async def test_a_handler_sees_what_has_come_by_then(self, stub, session):
        """The head is whole; the body has not arrived."""
        gate = asyncio.Event()
        seen = []

        def answer(request):
            seen.append((request.headers["X-A"], request.complete, request.body))
            return 401

        stub.post(URL).handle(answer, early=True)
        async with session.post(URL, data=slow_body(gate), headers={"X-A": "b"}) as response:
            assert 401 == response.status
        ((header, complete, body),) = seen
        assert ("b", False) == (header, complete)
        assert b"first half, ".startswith(body)

    async def test_an_early_handler_may_wait(self, stub, session):
        """It is one handler, asked once, though the body arrives meanwhile."""
        seen = []

        async def answer(request):
            seen.append(request)
            await settled()
            return 202

        stub.post(URL).handle(answer, early=True)
        assert (202, "") == await ask(session, "POST", data=b"body")
        assert 1 == len(seen)

    async def test_the_log_holds_the_whole_body_of_what_was_answered_early(self, stub, session):
        """If the app sent it to the end."""
        stub.post(URL).reply(200, early=True).times(2)
        await ask(session, "POST", data=b"body")
        await ask(session, "POST", data=b"more")
        assert [b"body", b"more"] == [call.request.body for call in stub.calls]

    async def test_a_condition_on_the_body_still_waits_for_it(self, stub, session):
        """Nobody can know earlier who answers."""
        stub.post(URL, data=b"body").reply(201, early=True)
        assert (201, "") == await ask(session, "POST", data=b"body")

    async def test_a_handler_that_declines_early(self, stub, session):
        """The routes behind it wait for the body as ever."""
        gate = asyncio.Event()
        stub.post(URL).handle(lambda request: None, early=True).optional()
        stub.post(URL, data=b"first half, second half").reply(201)
        task = asyncio.ensure_future(ask(session, "POST", data=slow_body(gate)))
        await settled()
        assert not task.done()
        gate.set()
        assert (201, "") == await task

    async def test_a_reply_behind_a_handler_that_declines_early(self, stub, session):
        """It is sent when the whole request has arrived."""
        gate = asyncio.Event()
        stub.post(URL).handle(lambda request: None, early=True).optional()
        stub.post(URL).handle(lambda request: request.body)
        task = asyncio.ensure_future(ask(session, "POST", data=slow_body(gate)))
        await settled()
        assert not task.done()
        gate.set()
        assert (200, "first half, second half") == await task

    async def test_an_early_failure_of_a_handler(self, stub, session):
        """It comes out of the call while the app still sends."""
        gate = asyncio.Event()

        def refuse(request):
            raise ValueError("no")

        stub.post(URL).handle(refuse, early=True)
        with pytest.raises(ValueError, match="no"):
            await ask(session, "POST", data=slow_body(gate))


class TestExpect:
    """`Expect: 100-continue` is answered as a server does (RFC 9110, 10.1.1)."""

    async def test_the_body_comes_after_the_100(self, stub, session):
        """The app sends it only then."""
        stub.post(URL).handle(lambda request: request.body)
        assert (200, "body") == await ask(session, "POST", data=b"body", expect100=True)
        assert "100-continue" == stub.calls.last.request.headers["Expect"]

    async def test_a_condition_on_the_body_gets_it(self, stub, session):
        """The 100 goes out before it is known who answers."""
        stub.post(URL, data=b"body").reply(201)
        assert (201, "") == await ask(session, "POST", data=b"body", expect100=True)

    async def test_an_early_reply_sends_none(self, stub, session):
        """The app never sends the body."""
        sent = []

        async def body():
            sent.append(b"body")
            yield b"body"

        stub.post(URL).reply(417, early=True)
        async with session.post(URL, data=body(), expect100=True) as response:
            assert 417 == response.status
        assert [] == sent

    async def test_the_header_alone_is_enough(self, stub, session):
        """However it is written."""
        stub.post(URL).reply(201)
        headers = {"Expect": "100-Continue"}
        assert (201, "") == await ask(session, "POST", data=b"body", headers=headers)


@virtual_time
class TestTime:
    """Delays and timers run on the event loop's clock."""

    async def test_a_reply_is_delayed(self, stub, session):
        """By that many seconds, after the whole request has arrived."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        stub.get(URL).reply(text="late", delay=30)
        assert (200, "late") == await ask(session)
        assert 30 == pytest.approx(loop.time() - start)

    async def test_a_failure_is_delayed(self, stub, session):
        """An exception and a fault alike."""
        loop = asyncio.get_running_loop()
        for failure in (ValueError, faults.disconnect(), faults.garbage()):
            stub.post(URL).fail(failure, delay=7)
            start = loop.time()
            with pytest.raises((ValueError, aiohttp.ClientError)):
                await ask(session, "POST")
            assert 7 == pytest.approx(loop.time() - start), failure

    async def test_a_resend_is_not_delayed_again(self, stub, session):
        """One failure takes its time once."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        stub.get(URL).fail(aiohttp.ServerDisconnectedError, delay=7)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(session)
        assert 7 == pytest.approx(loop.time() - start)

    async def test_a_delay_is_cut_short_by_the_client(self, stub, session):
        """The app's own timer decides."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        stub.get(URL).reply(delay=30)
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, timeout=aiohttp.ClientTimeout(total=5))
        assert 5 == pytest.approx(loop.time() - start)

    TIMERS = (
        ("total", 5, asyncio.TimeoutError),
        ("sock_read", 7.5, aiohttp.ServerTimeoutError),
    )

    @pytest.mark.parametrize(("which", "seconds", "error"), TIMERS)
    async def test_hang_waits_for_the_timers_of_the_client(
        self, stub, session, which, seconds, error
    ):
        """Whichever it has."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        stub.get(URL).hang()
        timers = {"total": None, which: seconds}
        with pytest.raises(error):
            await ask(session, timeout=aiohttp.ClientTimeout(**timers))
        assert seconds == pytest.approx(loop.time() - start)

    async def test_hang_without_a_timer_waits_for_ever(self, stub, session):
        """Only the test itself gives up."""
        stub.get(URL).hang()
        timeout = aiohttp.ClientTimeout(total=None)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ask(session, timeout=timeout), 86400)
        assert isinstance(stub.calls.last.error, asyncio.CancelledError)

    async def test_a_connection_that_takes_too_long(self, stub, session):
        """A delay before a refused connection is cut by the connect timers."""
        loop = asyncio.get_running_loop()
        stub.get(URL).fail(faults.refused(), delay=60).times(2)
        for timers, seconds in (({"connect": 2}, 2), ({"sock_connect": 3}, 3)):
            start = loop.time()
            with pytest.raises(aiohttp.ServerTimeoutError):
                await ask(session, timeout=aiohttp.ClientTimeout(**timers))
            assert seconds == pytest.approx(loop.time() - start)


CONNECT_TIMEOUT = getattr(aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError)
READ_TIMEOUT = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)


FIRED = {
    "total": asyncio.TimeoutError,
    "connect": CONNECT_TIMEOUT,
    "sock_connect": CONNECT_TIMEOUT,
    "sock_read": READ_TIMEOUT,
}


class TestTimers:
    """`timeout(which)` lets that timer of the client fire at once."""

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("which", FIRED)
    async def test_the_app_sees_what_that_timer_raises(self, stub, session, method, which):
        """aiohttp's own exception, in one call, without waiting."""
        stub.request(method, URL).timeout(which)
        timers = {"total": None, "sock_connect": None, which: 3600}
        start = asyncio.get_running_loop().time()
        with pytest.raises(FIRED[which]) as caught:
            await ask(session, method, timeout=aiohttp.ClientTimeout(**timers))
        assert FIRED[which] is type(caught.value)
        assert asyncio.get_running_loop().time() - start < 60
        assert 1 == len(stub.calls)

    async def test_total_is_the_default(self, stub, session):
        """Which every session has unless told otherwise."""
        stub.get(URL).timeout()
        with pytest.raises(asyncio.TimeoutError) as caught:
            await ask(session)
        assert asyncio.TimeoutError is type(caught.value)

    @pytest.mark.parametrize("which", FIRED)
    async def test_a_timer_of_the_session_will_do(self, stub, which):
        """It need not be the request's own."""
        timers = {"total": None, which: 3600}
        stub.get(URL).timeout(which)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(**timers)) as session:
            with pytest.raises(FIRED[which]):
                await ask(session)

    @pytest.mark.parametrize("which", FIRED)
    async def test_the_request_body_has_been_sent_where_the_timer_runs_afterwards(
        self, stub, session, which
    ):
        """A server would have got it, except where the connection never came about."""
        stub.post(URL).timeout(which)
        timeout = aiohttp.ClientTimeout(**{which: 3600})
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, "POST", data=b"body", timeout=timeout)
        assert b"body" == stub.calls.last.request.body

    async def test_two_timers_in_turn(self, stub, session):
        """A session that met one goes on."""
        stub.get(URL).timeout().times(2).then.timeout("sock_read").then.reply(text="up")
        timeout = aiohttp.ClientTimeout(total=60, sock_read=60)
        for expected in (asyncio.TimeoutError, asyncio.TimeoutError, READ_TIMEOUT):
            with pytest.raises(expected):
                await ask(session, timeout=timeout)
        assert (200, "up") == await ask(session, timeout=timeout)

    MISSING = (
        ("total", {"total": None, "sock_read": 5}),
        ("total", {"total": 0}),
        ("connect", {"total": 5}),
        ("sock_connect", {"total": 5, "sock_connect": None}),
        ("sock_read", {"total": 5, "connect": 3}),
    )

    @pytest.mark.parametrize(("which", "timers"), MISSING)
    async def test_a_client_without_the_timer_is_told_so(self, session, which, timers):
        """At the call and again at exit; the text names the timers that it has."""
        stub = aiostub.Stub()
        stub.get(URL).timeout(which)
        stub.start()
        with pytest.raises(aiostub.MissingTimeout) as caught:
            await ask(session, timeout=aiohttp.ClientTimeout(**timers))
        with pytest.raises(aiostub.MissingTimeout):
            stub.stop()
        text = str(caught.value)
        assert f'timeout("{which}") cannot fire for GET {URL}' in text
        assert f"the client has no {which} timer" in text
        for name in [name for name, seconds in timers.items() if seconds]:
            assert f"{name} ({timers[name]} s)" in text


@pytest.fixture
async def server():
    """Give a real server on the loopback interface that no stub knows."""

    async def echo(request):
        body = (await request.read()).decode()
        return web.Response(text=f"real {request.method} {request.path_qs} {body}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    async with test_utils.TestServer(app) as server:
        yield server


class TestPassthrough:
    """`passthrough()` lets the call reach the real network."""

    async def test_the_real_server_answers(self, stub, session, server):
        """And the log knows that it did."""
        url = server.make_url("/a?b=1")
        route = stub.get(url).passthrough()
        assert (200, "real GET /a?b=1 ") == await ask(session, url=url)
        call = stub.calls.last
        assert (True, 200, route) == (call.passed_through, call.status, call.route)

    async def test_it_is_a_step_like_any_other(self, stub, session, server):
        """Served once, or as often as it says."""
        url = server.make_url("/a")
        stub.get(url).reply(text="stub").then.passthrough().times(2).then.reply(text="stub again")
        expected = ["stub", "real GET /a ", "real GET /a ", "stub again"]
        assert expected == await texts(session, 4, url)

    async def test_a_route_decided_by_its_body(self, stub, session, server):
        """What has been sent by then is sent again to the real server."""
        url = server.make_url("/a")
        stub.post(url, json={"n": 1}).reply(text="stub")
        stub.post(url, json={"n": 2}).passthrough()
        assert (200, 'real POST /a {"n": 2}') == await ask(session, "POST", url, json={"n": 2})
        assert (200, "stub") == await ask(session, "POST", url, json={"n": 1})

    async def test_a_handler_that_declines_before_it(self, stub, session, server):
        """The request goes to the real server after all."""
        url = server.make_url("/a")
        stub.post(url).handle(lambda request: None).optional()
        stub.post(url).passthrough()
        assert (200, "real POST /a body") == await ask(session, "POST", url, data=b"body")

    async def test_what_a_used_up_route_would_have_answered_does_not_pass(
        self, lenient, session, server
    ):
        """It is unmatched, not silently real; not even to a test server."""
        url = server.make_url("/a")
        lenient.get(url).reply(text="stub")
        assert (200, "stub") == await ask(session, url=url)
        with pytest.raises(UnmatchedRequest):
            await ask(session, url=url)

    async def test_a_route_that_lets_through_without_end(self, stub, session, server):
        """One call satisfies it."""
        url = server.make_url("/a")
        stub.get(url).passthrough().always()
        assert ["real GET /a "] * 3 == await texts(session, 3, url)

    async def test_a_route_that_nobody_needed_is_missed(self, server):
        """A step is a step, real network or not."""
        stub = aiostub.Stub()
        stub.get(server.make_url("/a")).passthrough()
        stub.start()
        with pytest.raises(UnsatisfiedStub, match="passthrough"):
            stub.stop()


class TestIntrospection:
    """What a route shows of itself."""

    def test_its_repr_says_what_it_matches_and_where_it_was_registered(self):
        """For whoever meets it in a debugger."""
        line = inspect.currentframe().f_lineno + 1
        route = aiostub.Stub().get(URL)
        assert f"<Route GET {URL} at tests/test_steps.py:{line}>" == repr(route)

    async def test_called_and_call_count(self, stub, session):
        """They count what it answered."""
        route = stub.get(URL).reply().times(2)
        assert (False, 0) == (route.called, route.call_count)
        await ask(session)
        await ask(session)
        assert (True, 2) == (route.called, route.call_count)
