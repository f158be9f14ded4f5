"""Assertions on the calls of a stub and of a route: when they hold, and what they say if not."""

from __future__ import annotations

import importlib.util
import inspect
import re
from textwrap import dedent

import aiohttp
import pytest

import aiostub
from aiostub import ANY, RouteError, partial

URL = "http://api.test/items"

# The loop's clock stands still, so that durations are nought. looptime needs CPython 3.11.
virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime")
    else pytest.mark.skip(reason="looptime is not installed")
)


def text(written):
    """Return a text as it stands in the test, without the test's own indentation."""
    return dedent(written).strip("\n")


def here():
    """Return the line that calls, as error texts show places."""
    return f"tests/test_assertions.py:{inspect.currentframe().f_back.f_lineno}"


@pytest.fixture
def stub():
    """Give a stub, started, that checks nothing at the end."""
    with aiostub.Stub(strict=False) as stub:
        yield stub


@pytest.fixture
async def session():
    """Give an ordinary session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def send(session, *requests):
    """Send requests one after the other, each ``(method, url)`` or with keywords."""
    for method, url, *rest in requests:
        async with session.request(method, url, **(rest[0] if rest else {})) as response:
            await response.read()


def complaint(assertion, *args, **kwargs):
    """Return what an assertion says; ``None`` if it holds."""
    try:
        assertion(*args, **kwargs)
    except AssertionError as error:
        return str(error)
    return None


class TestHowOften:
    """`assert_called`, `assert_not_called` and `assert_called_once`."""

    # The number of calls, and which assertions hold.
    HOLD = (
        (0, (False, True, False)),
        (1, (True, False, True)),
        (2, (True, False, False)),
        (7, (True, False, False)),
    )
    NAMES = ("assert_called", "assert_not_called", "assert_called_once")

    @pytest.mark.parametrize(("count", "hold"), HOLD)
    async def test_on_a_stub(self, stub, session, count, hold):
        """They count all calls."""
        stub.any(ANY).reply().always()
        await send(session, *[("GET", f"{URL}/{number}") for number in range(count)])
        assert hold == tuple(complaint(getattr(stub, name)) is None for name in self.NAMES)

    @pytest.mark.parametrize(("count", "hold"), HOLD)
    async def test_on_a_route(self, stub, session, count, hold):
        """They count the calls that it answered."""
        route = stub.get(URL).reply().always()
        stub.any(ANY).reply().always()
        await send(session, *[("GET", URL)] * count, ("POST", URL), ("GET", f"{URL}/other"))
        assert hold == tuple(complaint(getattr(route, name)) is None for name in self.NAMES)

    async def test_an_unmatched_request_is_a_call_of_the_stub(self, stub, session):
        """It reached the boundary."""
        with pytest.raises(aiostub.UnmatchedRequest):
            await send(session, ("GET", URL))
        assert complaint(stub.assert_called_once) is None

    async def test_after_the_stub_has_stopped(self, session):
        """The log stays readable."""
        with aiostub.Stub() as stub:
            route = stub.get(URL).reply()
            await send(session, ("GET", URL))
        stub.assert_called_once()
        route.assert_called_once()

    def test_the_texts_where_there_is_no_call(self, stub):
        """They say whose."""
        route = stub.get(URL).reply()
        assert "expected at least 1 call, got none" == complaint(stub.assert_called)
        assert "expected 1 call, got none" == complaint(stub.assert_called_once)
        assert f"expected at least 1 call of GET {URL}, got none" == complaint(route.assert_called)
        assert f"expected 1 call of GET {URL}, got none" == complaint(route.assert_called_once)

    @virtual_time
    async def test_the_texts_where_there_are_calls(self, stub, session):
        """They show them."""
        route = stub.get(URL).reply(204).times(2)
        await send(session, ("GET", URL), ("GET", URL))
        timeline = """\
              2 calls in 0 ms
                +0 ms  GET  http://api.test/items  204  0 ms  GET http://api.test/items
                +0 ms  GET  http://api.test/items  204  0 ms  GET http://api.test/items
        """
        for whose, asked in (("", stub), (f" of GET {URL}", route)):
            for expected, assertion in (
                ("no calls", asked.assert_not_called),
                ("1 call", asked.assert_called_once),
            ):
                said = text(f"            expected {expected}{whose}, got 2:\n{timeline}")
                assert said == complaint(assertion)


# Arguments as for a route, and whether the call that was made is one of these.
CALL = ("POST", f"{URL}?page=1&sort=a", {"json": {"n": 1, "m": [2]}, "headers": {"X-A": "b"}})
ARGUMENTS = (
    (("POST", f"{URL}?sort=a&page=1"), {}, True),
    (("post", f"{URL}?sort=a&page=1"), {}, True),
    (("POST", URL), {"params": {"page": 1, "sort": "a"}}, True),
    (("POST", URL), {"params": partial({"page": "1"})}, True),
    (("POST", URL), {"params": ANY}, True),
    (("POST", "/items"), {"params": ANY}, True),
    (("POST", "/{kind}"), {"params": ANY}, True),
    (("POST", re.compile("items")), {}, True),
    (("POST", ANY), {}, True),
    (("POST", ANY), {"json": {"n": 1, "m": [2]}}, True),
    (("POST", ANY), {"json": partial({"n": 1})}, True),
    (("POST", ANY), {"headers": {"x-a": "b"}}, True),
    (("POST", ANY), {"where": lambda request: request.json()["n"] == 1}, True),
    (("POST", URL), {}, False),
    (("POST", "/{kind}"), {}, False),
    (("GET", ANY), {}, False),
    (("POST", "http://other.test/items"), {"params": ANY}, False),
    (("POST", ANY), {"json": {"n": 1}}, False),
    (("POST", ANY), {"headers": {"x-a": "c"}}, False),
    (("POST", ANY), {"cookies": {"a": "b"}}, False),
    (("POST", ANY), {"where": lambda request: False}, False),
)
# The same for a route, which has method and URL already.
CONDITIONS = [(kwargs, holds) for (_, url), kwargs, holds in ARGUMENTS if url is ANY and kwargs]


class TestWithWhat:
    """`assert_called_with`, `assert_called_once_with` and `assert_any_call`."""

    @pytest.fixture
    async def called(self, stub, session):
        """Give a stub that was called once."""
        stub.post(ANY).reply()
        await send(session, CALL)
        return stub

    NAMES = ("assert_called_with", "assert_called_once_with", "assert_any_call")

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("args", "kwargs", "holds"), ARGUMENTS)
    async def test_arguments_on_a_stub_are_those_of_a_route(
        self, called, name, args, kwargs, holds
    ):
        """Method and URL first."""
        assert holds is (complaint(getattr(called, name), *args, **kwargs) is None)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("kwargs", "holds"), CONDITIONS)
    async def test_arguments_on_a_route_are_its_conditions(self, called, name, kwargs, holds):
        """Without method and URL, which it has already."""
        route = called.calls.last.route
        assert holds is (complaint(getattr(route, name), **kwargs) is None)

    @pytest.mark.parametrize("name", NAMES)
    async def test_params_on_a_route_are_the_whole_query(self, called, name):
        """As in a route."""
        route = called.calls.last.route
        assert complaint(getattr(route, name), params={"page": "1", "sort": "a"}) is None
        assert complaint(getattr(route, name), params=partial({"page": "1"})) is None
        assert complaint(getattr(route, name), params={"page": "1"}) is not None

    @pytest.mark.parametrize("name", NAMES)
    async def test_without_arguments_any_call_of_the_route_will_do(self, called, name):
        """Nothing is compared."""
        assert complaint(getattr(called.calls.last.route, name)) is None

    # Which of the calls a, b, a is asked about, and whether that holds.
    WHICH = (
        ("assert_called_with", "a", True),
        ("assert_called_with", "b", False),
        ("assert_any_call", "a", True),
        ("assert_any_call", "b", True),
        ("assert_any_call", "c", False),
        ("assert_called_once_with", "a", False),
        ("assert_called_once_with", "b", False),
    )

    @pytest.mark.parametrize(("name", "which", "holds"), WHICH)
    async def test_which_of_several_calls(self, stub, session, name, which, holds):
        """The last, any, or the only one."""
        route = stub.get("/{name}").reply().times(3)
        await send(session, *[("GET", f"http://api.test/{name}") for name in "aba"])
        where = {"where": lambda request: request.path_params["name"] == which}
        assert holds is (complaint(getattr(stub, name), "GET", f"http://api.test/{which}") is None)
        assert holds is (complaint(getattr(route, name), **where) is None)

    @pytest.mark.parametrize("name", NAMES)
    async def test_a_base_url_holds_here_too(self, session, name):
        """As it does for routes."""
        with aiostub.Stub("http://api.test/v1/") as stub:
            stub.get("users").reply()
            await send(session, ("GET", "http://api.test/v1/users"))
            assert complaint(getattr(stub, name), "GET", "users") is None
            assert complaint(getattr(stub, name), "GET", "/users") is not None

    WRONG = ({"params": 3}, {"headers": 3}, {"json": 1, "data": b"1"}, {"where": 3})

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("kwargs", WRONG, ids=str)
    async def test_wrong_arguments_are_route_errors(self, called, name, kwargs):
        """They never mean that an assertion fails."""
        with pytest.raises(RouteError):
            getattr(called, name)("GET", URL, **kwargs)
        with pytest.raises(RouteError):
            getattr(called.calls.last.route, name)(**kwargs)

    @pytest.mark.parametrize("name", NAMES)
    async def test_an_unknown_keyword_is_a_type_error(self, called, name):
        """Python itself says so."""
        with pytest.raises(TypeError, match="bogus"):
            getattr(called, name)("GET", URL, bogus=1)
        with pytest.raises(TypeError, match="bogus"):
            getattr(called.calls.last.route, name)(bogus=1)

    @pytest.mark.parametrize("name", NAMES)
    async def test_a_matcher_that_raises_comes_through(self, called, name):
        """It never means that the call differs."""
        with pytest.raises(ZeroDivisionError):
            getattr(called, name)("POST", ANY, where=lambda request: 1 / 0)

    @pytest.mark.parametrize("name", NAMES)
    def test_without_a_call(self, stub, name):
        """None of them holds."""
        route = stub.get(URL).reply()
        assert complaint(getattr(stub, name), "GET", URL) is not None
        assert complaint(getattr(route, name)) is not None

    # What was expected instead of CALL, and the difference as the text says it.
    DIFFERENCES = (
        (("GET", ANY), {}, "method  expected GET, got POST"),
        (("POST", URL), {}, "params  page: unexpected, got '1'; sort: unexpected, got 'a'"),
        (("POST", ANY), {"json": {"n": 2, "m": [2]}}, "json  n: expected 2, got 1"),
        (("POST", ANY), {"json": partial({"m": [2, 3]})}, "json  m: expected 2 items, got 1"),
        (("POST", ANY), {"headers": {"X-A": "c"}}, "headers  X-A: expected 'c', got 'b'"),
        (("POST", ANY), {"cookies": {"c": "1"}}, "cookies  c: missing, expected '1'"),
    )

    @pytest.mark.parametrize(("args", "kwargs", "difference"), DIFFERENCES)
    async def test_the_text_has_the_first_difference(self, called, args, kwargs, difference):
        """Expected, got, and where they part."""
        said = complaint(called.assert_called_with, *args, **kwargs).splitlines()
        assert f"the last call differs in {difference.split()[0]}" == said[0]
        assert f"  got       POST {URL}?page=1&sort=a" == said[2]
        assert [f"  {difference}"] == said[3:]

    async def test_the_whole_text_of_each(self, called):
        """Last, only, nearest."""
        route = called.calls.last.route
        assert text(
            """
            the last call differs in params
              expected  POST http://api.test/items?page=2&sort=a
              got       POST http://api.test/items?page=1&sort=a
              params  page: expected '2', got '1'
            """
        ) == complaint(called.assert_called_with, "POST", f"{URL}?page=2&sort=a")
        assert text(
            """
            the only call differs in json
              expected  json={'n': 1}
              got       POST http://api.test/items?page=1&sort=a
              json  m: unexpected, got [2]
            """
        ) == complaint(route.assert_called_once_with, json={"n": 1})

    @virtual_time
    async def test_the_text_of_any_call_has_the_nearest_and_all(self, stub, session):
        """With the timeline."""
        stub.any(ANY).reply().always()
        await send(session, ("GET", URL), ("POST", f"{URL}?page=1"), ("POST", "http://b.test/"))
        assert text(
            """
            no call is POST http://api.test/items?page=2

            The nearest call: POST http://api.test/items?page=1
              params  page: expected '2', got '1'

            3 calls in 0 ms
              +0 ms  GET   http://api.test/items         200  0 ms  any ANY
              +0 ms  POST  http://api.test/items?page=1  200  0 ms  any ANY
              +0 ms  POST  http://b.test/                200  0 ms  any ANY
            """
        ) == complaint(stub.assert_any_call, "POST", f"{URL}?page=2")

    @virtual_time
    async def test_a_stub_that_is_asked_for_every_method_names_the_url(self, stub, session):
        """It is not known which was meant."""
        stub.post(URL).reply()
        await send(session, ("POST", URL))
        for asked in (stub.assert_called_with, stub.assert_any_call):
            assert "any method http://api.test/other" in complaint(
                asked, None, "http://api.test/other"
            )

    @virtual_time
    async def test_the_text_of_any_call_of_a_route_asks_for_the_rest_alone(self, stub, session):
        """Its method and URL are known."""
        route = stub.post(URL).reply()
        await send(session, ("POST", URL))
        said = complaint(route.assert_any_call, json={"n": 1})
        assert said.startswith("no call is one with json={'n': 1}\n\nThe nearest call: POST ")

    def test_the_text_of_any_call_without_a_call(self, stub):
        """It says so."""
        assert f"no call is GET {URL}\n\nno calls" == complaint(stub.assert_any_call, "GET", URL)

    @virtual_time
    async def test_the_text_of_the_only_call_where_there_are_two(self, stub, session):
        """The number comes before the difference."""
        stub.get(URL).reply().times(2)
        await send(session, ("GET", URL), ("GET", URL))
        said = complaint(stub.assert_called_once_with, "POST", URL)
        assert said.startswith("expected 1 call, got 2:\n  2 calls in 0 ms\n")


class TestAllCalled:
    """`assert_all_called` asks for every route that is not optional."""

    async def test_it_holds_when_each_was_called_once(self, stub, session):
        """Steps may be left; that is the strict check's affair."""
        stub.get(URL).reply().times(3)
        stub.post(URL).reply().then.reply()
        await send(session, ("GET", URL), ("POST", URL))
        stub.assert_all_called()

    async def test_an_optional_route_need_not_be_called(self, stub):
        """It is exempt here as well."""
        stub.get(URL).reply().optional()
        stub.assert_all_called()

    def test_without_routes(self, stub):
        """There is none that was not called."""
        stub.assert_all_called()

    @virtual_time
    async def test_the_text_names_those_that_were_not(self, stub, session):
        """With their places and the timeline."""
        stub.get(URL).reply()
        first, place_1 = stub.post(URL, json={"n": 1}).reply(), here()
        second, place_2 = stub.put("/items/{id}").reply(), here()
        await send(session, ("GET", URL))
        assert not first.called
        assert not second.called
        assert text(
            f"""
            2 routes were never called:
              POST http://api.test/items json={{'n': 1}}
                {place_1}
              PUT /items/{{id}}
                {place_2}

            1 call in 0 ms
              +0 ms  GET  http://api.test/items  200  0 ms  GET http://api.test/items
            """
        ) == complaint(stub.assert_all_called)

    def test_the_text_for_one(self, stub):
        """In the singular, and without calls."""
        stub.get(URL).reply()
        place = f"tests/test_assertions.py:{inspect.currentframe().f_lineno - 1}"
        assert text(
            f"""
            1 route was never called:
              GET http://api.test/items
                {place}

            no calls
            """
        ) == complaint(stub.assert_all_called)


class TestOrder:
    """`assert_call_order` asks for a subsequence of the calls."""

    # The order that is expected of the calls a, b, a, c.
    ORDERS = (
        ("", True),
        ("a", True),
        ("abac", True),
        ("ab", True),
        ("ac", True),
        ("aa", True),
        ("bc", True),
        ("aac", True),
        ("bac", True),
        ("ca", False),
        ("bab", False),
        ("aaa", False),
        ("abacc", False),
        ("d", False),
        ("ad", False),
    )

    @pytest.mark.parametrize(("order", "holds"), ORDERS)
    async def test_others_may_come_between(self, stub, session, order, holds):
        """But the order is kept, and each call counts once."""
        routes = {name: stub.get(f"/{name}").reply().always() for name in "abcd"}
        await send(session, *[("GET", f"http://api.test/{name}") for name in "abac"])
        expected = [routes[name] for name in order]
        assert holds is (complaint(stub.assert_call_order, *expected) is None)

    @virtual_time
    async def test_the_text_says_which_was_not_called_in_its_turn(self, stub, session):
        """With the order that was expected, and the timeline."""
        login = stub.post("http://api.test/login").reply(201)
        items = stub.get(URL).reply()
        await send(session, ("GET", URL), ("POST", "http://api.test/login"))
        assert text(
            """
            GET http://api.test/items was not called after POST http://api.test/login

            Expected order:
              1. POST http://api.test/login
              2. GET http://api.test/items

            2 calls in 0 ms
              +0 ms  GET   http://api.test/items  200  0 ms  GET http://api.test/items
              +0 ms  POST  http://api.test/login  201  0 ms  POST http://api.test/login
            """
        ) == complaint(stub.assert_call_order, login, items)

    def test_the_text_where_not_even_the_first_was_called(self, stub):
        """There is nothing before it."""
        route = stub.get(URL).reply()
        assert text(
            """
            GET http://api.test/items was not called

            Expected order:
              1. GET http://api.test/items

            no calls
            """
        ) == complaint(stub.assert_call_order, route)
