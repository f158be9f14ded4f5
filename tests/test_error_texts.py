"""The texts of errors, whole, as the person reads them whose test fails; and what they suggest."""

from __future__ import annotations

import asyncio
import inspect
import re
from textwrap import dedent

import aiohttp
import pytest
import yarl

import aiostub
from aiostub import ANY, MissingTimeout, RouteError, UnmatchedRequest, UnsatisfiedStub, partial

URL = "http://api.test/items"


def text(written):
    """Return a text as it stands in the test, without the test's own indentation."""
    return dedent(written).strip("\n")


def here():
    """Return the line that calls, as error texts show places."""
    return f"tests/test_error_texts.py:{inspect.currentframe().f_back.f_lineno}"


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


async def ask(session, method="GET", url=URL, **kwargs):
    """Send a request, and return the status of the answer."""
    async with session.request(method, url, **kwargs) as response:
        await response.read()
        return response.status


async def said(session, method="GET", url=URL, error=UnmatchedRequest, **kwargs):
    """Send a request, and return the text of the error that it raises."""
    with pytest.raises(error) as caught:
        await ask(session, method, url, **kwargs)
    return str(caught.value)


def at_exit(stub):
    """Stop a stub, and return the text of the error that this raises."""
    with pytest.raises(UnsatisfiedStub) as caught:
        stub.stop()
    return str(caught.value)


def pieces_of(error_text, heading):
    """Return the code under a heading of an error text, piece by piece, with what each is for."""
    _, _, rest = error_text.partition(heading)
    block = dedent(rest.partition("\n\n")[0].partition("\n")[2])
    pieces = re.split(r"^# (.*)\n", block, flags=re.MULTILINE)
    unlabelled, labelled = pieces[0], pieces[1:]
    found = list(zip(labelled[::2], labelled[1::2], strict=True))
    return [*([("", unlabelled)] if unlabelled else []), *found]


def paste(code, **names):
    """Run code from an error text, with the names that the test has."""
    exec(compile(code, "pasted", "exec"), dict(names))


class TestUnmatched:
    """What the person reads whose request no route answers."""

    async def test_without_routes(self, stub, session):
        """The route to register, ready to paste."""
        assert text(
            """
            no route answers GET http://api.test/items

            No routes are registered.

            To fix it, paste this, with the reply that you want:
                stub.get("http://api.test/items").reply(200)
            """
        ) == await said(session)

    async def test_a_query_that_differs(self, stub, session):
        """The first difference, and ANY and partial to choose from."""
        _, place = stub.get(f"{URL}?page=2&sort=a").reply(), here()
        assert text(
            f"""
            no route answers GET http://api.test/items?page=1&sort=a

            The routes, nearest first:
              GET http://api.test/items?page=2&sort=a
                {place}  never matched
                params  page: expected '2', got '1'

            To fix it, paste one of these, with the reply that you want:
                # one more route: this query
                stub.get("http://api.test/items", params={{"page": "1", "sort": "a"}}).reply(200)
                # in place of {place}: any query
                from aiostub import ANY
                stub.get("http://api.test/items", params=ANY).reply(200)
                # in place of {place}: any query that has this
                from aiostub import partial
                stub.get("http://api.test/items", params=partial({{"sort": "a"}})).reply(200)
            """
        ) == await said(session, url=f"{URL}?page=1&sort=a")

    async def test_a_route_that_is_used_up(self, stub, session):
        """Told apart from one that never matched."""
        _, place = stub.get(URL).reply(), here()
        _, other = stub.get(f"{URL}/7").reply(), here()
        await ask(session)
        assert text(
            f"""
            no route answers GET http://api.test/items

            The routes, nearest first:
              GET http://api.test/items
                {place}  used up 1/1
              GET http://api.test/items/7
                {other}  never matched
                path  expected '/items/7', got '/items'

            To fix it, paste one of these, with the reply that you want:
                # one more route
                stub.get("http://api.test/items").reply(200)
                # in place of {place}: served 2 times
                stub.get("http://api.test/items").reply(200).times(2)
                # in place of {place}: served without end
                stub.get("http://api.test/items").reply(200).always()
            """
        ) == await said(session)

    async def test_a_script_that_is_used_up(self, stub, session):
        """All its uses are counted."""
        _, place = stub.get(URL).reply(503).times(2).then.reply(), here()
        for _ in range(3):
            await ask(session)
        assert text(
            f"""
            no route answers GET http://api.test/items

            The routes, nearest first:
              GET http://api.test/items
                {place}  used up 3/3

            To fix it, paste this, with the reply that you want:
                # one more route (or add .then.reply(200) or .always() at {place})
                stub.get("http://api.test/items").reply(200)
            """
        ) == await said(session)

    async def test_a_script_that_is_half_used(self, stub, session):
        """Served, though not by this request."""
        _, place = stub.get(URL).reply().times(3), here()
        _, endless = stub.put(URL).reply().always(), here()
        await ask(session)
        await ask(session, "PUT")
        assert text(
            f"""
            no route answers POST http://api.test/items

            The routes, nearest first:
              GET http://api.test/items
                {place}  served 1 of 3
                method  expected GET, got POST
              PUT http://api.test/items
                {endless}  served once
                method  expected PUT, got POST

            To fix it, paste this, with the reply that you want:
                # in place of {place}: POST
                stub.post("http://api.test/items").reply(200)
            """
        ) == await said(session, "POST")

    # The conditions of a route, what is sent, and the difference as the text says it.
    DIFFERENCES = (
        ({"json": {"n": 1, "m": [1]}}, {"json": {"n": 2, "m": [1]}}, "json  n: expected 1, got 2"),
        ({"json": {"n": 1}}, {"json": {}}, "json  n: missing, expected 1"),
        ({"json": partial({"n": 1})}, {"json": {"n": 2}}, "json  n: expected 1, got 2"),
        ({"json": {"n": 1}}, {"data": b"text"}, "json  the body is no JSON: b'text'"),
        ({"data": b"a"}, {"data": b"b"}, "data  expected b'a', got b'b'"),
        ({"data": {"a": "1"}}, {"data": {"a": "2"}}, "data  a: expected '1', got '2'"),
        (
            {"headers": {"X-A": "1"}},
            {"headers": {"X-A": "2"}},
            "headers  X-A: expected '1', got '2'",
        ),
        ({"headers": {"X-A": "1"}}, {}, "headers  X-A: missing, expected '1'"),
        ({"cookies": {"c": "1"}}, {"cookies": {"c": "2"}}, "cookies  c: expected '1', got '***'"),
        ({"cookies": {"c": "1"}}, {}, "cookies  c: missing, expected '1'"),
        ({"params": {"a": "1"}}, {"params": {"a": "2"}}, "params  a: expected '1', got '2'"),
        ({"params": {"a": "1"}}, {}, "params  a: missing, expected '1'"),
        ({}, {"params": {"a": "1"}}, "params  a: unexpected, got '1'"),
        (
            {"params": {"a": ["1", "2"]}},
            {"params": [("a", "2"), ("a", "1")]},
            ("params  a: expected ['1', '2'], got ['2', '1']"),
        ),
    )

    @pytest.mark.parametrize(("conditions", "sent", "difference"), DIFFERENCES)
    @pytest.mark.parametrize("used", [False, True])
    async def test_the_first_difference(self, stub, session, *, conditions, sent, difference, used):
        """In the words of its field; also of a route that is used up besides."""
        stub.post(URL, **conditions).reply()
        if used:
            await ask(session, "POST", **plain(conditions))
        lines = (await said(session, "POST", **sent)).splitlines()
        assert f"    {difference}" in lines

    # What is registered (with what the text calls it), what is sent, and the first difference.
    ONE_ROUTE = (
        (
            lambda stub: stub.post(URL, headers={"X-Version": "2"}).reply(),
            "POST http://api.test/items headers={'X-Version': '2'}",
            {"headers": {"X-Version": "1"}},
            "headers  X-Version: expected '2', got '1'",
        ),
        (
            lambda stub: stub.post(URL, headers={"Authorization": "Bearer a"}).reply(),
            "POST http://api.test/items headers={'Authorization': 'Bearer a'}",
            {"headers": {"Authorization": "Bearer hush"}},
            "headers  Authorization: expected 'Bearer a', got 'Bearer ***'",
        ),
        (
            lambda stub: stub.post(URL, json={"user": {"name": "Ada", "tags": [1, 2]}}).reply(),
            "POST http://api.test/items json={'user': {'name': 'Ada', 'tags': [1, 2]}}",
            {"json": {"user": {"name": "ada", "tags": [1, 2]}}},
            "json  user.name: expected 'Ada', got 'ada'",
        ),
        (
            lambda stub: stub.post(URL, json={"user": {"name": "Ada", "tags": [1, 2]}}).reply(),
            "POST http://api.test/items json={'user': {'name': 'Ada', 'tags': [1, 2]}}",
            {"json": {"user": {"name": "Ada", "tags": [1, 3]}}},
            "json  user.tags[1]: expected 2, got 3",
        ),
        (
            lambda stub: stub.post(URL, json={"user": {"password": "a"}}).reply(),
            "POST http://api.test/items json={'user': {'password': 'a'}}",
            {"json": {"user": {"password": "hush"}}},
            "json  user.password: expected 'a', got '***'",
        ),
        (
            lambda stub: stub.post(f"{URL}/").reply(),
            "POST http://api.test/items/",
            {},
            "path  expected '/items/', got '/items' (trailing slash)",
        ),
        (
            lambda stub: stub.post("https://api.test/items").reply(),
            "POST https://api.test/items",
            {},
            "scheme  expected https, got http",
        ),
        (
            lambda stub: stub.post("http://api.test:8080/items").reply(),
            "POST http://api.test:8080/items",
            {},
            "port  expected 8080, got 80",
        ),
        (
            lambda stub: stub.post("http://api.example.com/items").reply(),
            "POST http://api.example.com/items",
            {},
            "host  expected 'api.example.com', got 'api.test'",
        ),
    )

    @pytest.mark.parametrize(("register", "route", "sent", "difference"), ONE_ROUTE)
    async def test_one_route(self, stub, session, *, register, route, sent, difference):
        """The whole text, which ends with what can be pasted."""
        register(stub)
        place = stub._registry.router.routes[0].place
        error_text = await said(session, "POST", **sent)
        assert (
            text(
                f"""
                no route answers POST http://api.test/items

                The routes, nearest first:
                  {route}
                    {place}  never matched
                    {difference}

                To fix it, paste this, with the reply that you want:
                    stub.post("http://api.test/items").reply(200)
                """
            )
            == error_text
        )
        ((_, code),) = pieces_of(error_text, "To fix it")
        paste(code, stub=stub)
        assert 200 == await ask(session, "POST", **sent)

    async def test_another_method(self, stub, session):
        """The route that is there can be changed."""
        _, place = stub.get(URL).reply(), here()
        assert text(
            f"""
            no route answers POST http://api.test/items

            The routes, nearest first:
              GET http://api.test/items
                {place}  never matched
                method  expected GET, got POST

            To fix it, paste this, with the reply that you want:
                # in place of {place}: POST
                stub.post("http://api.test/items").reply(200)
            """
        ) == await said(session, "POST")

    async def test_twenty_routes(self, stub, session):
        """The nearest five, the rest counted."""
        for number in range(19):
            stub.get(f"http://other-{number}.test/").reply()
        _, place = stub.get(URL).reply(), here()
        lines = (await said(session, "POST")).splitlines()
        others = [line for line in lines if line.startswith("  GET http://other-")]
        assert 4 == len(others)
        assert [
            "no route answers POST http://api.test/items",
            "",
            "The routes, nearest first:",
            "  GET http://api.test/items",
            f"    {place}  never matched",
            "    method  expected GET, got POST",
        ] == lines[:6]
        assert [
            "  and 15 more routes",
            "",
            "To fix it, paste this, with the reply that you want:",
            f"    # in place of {place}: POST",
            '    stub.post("http://api.test/items").reply(200)',
        ] == lines[-5:]

    async def test_a_secret_in_the_query(self, stub, session):
        """It is not shown, and what is to be pasted does without."""
        _, place = stub.get(URL, params={"token": "a", "page": "2"}).reply(), here()
        assert text(
            f"""
            no route answers GET http://api.test/items?token=***&page=1

            The routes, nearest first:
              GET http://api.test/items params={{'token': 'a', 'page': '2'}}
                {place}  never matched
                params  token: expected 'a', got '***'; page: expected '2', got '1'

            To fix it, paste one of these, with the reply that you want:
                # one more route: this query
                from aiostub import ANY
                stub.get("http://api.test/items", params={{"token": ANY, "page": "1"}}).reply(200)
                # in place of {place}: any query
                from aiostub import ANY
                stub.get("http://api.test/items", params=ANY).reply(200)
            """
        ) == await said(session, params={"token": "hush", "page": "1"})

    async def test_a_request_that_the_app_swallowed(self, session):
        """At exit, the route that came nearest to it is named again."""
        stub = aiostub.Stub()
        stub.start()
        _, place = stub.post(URL, json={"n": 1}).reply().optional(), here()
        await said(session, "POST", url=f"{URL}?token=hush", json={"n": 2})
        assert text(
            f"""
            1 request was unmatched

            Unmatched:
              POST http://api.test/items?token=***
                nearest route  POST http://api.test/items json={{'n': 1}}
                  {place}  never matched
                  params  token: unexpected, got '***'

            To answer what was unmatched, with the reply that you want:
                from aiostub import ANY
                stub.post("http://api.test/items", params={{"token": ANY}}).reply(200)

            To check nothing at the end:
                stub = Stub(strict=False)
            """
        ) == at_exit(stub)

    async def test_five_routes_are_shown_and_the_rest_counted(self, stub, session):
        """The nearest first, whatever their order."""
        for number in (3, 1, 4, 15, 9, 26, 5):
            stub.get(f"http://api.test/{'x' * number}").reply()
        stub.get("http://api.test/item").reply()
        shown = re.findall(r"^  GET (\S+)$", await said(session), re.MULTILINE)
        assert 5 == len(shown)
        assert "http://api.test/item" == shown[0]
        assert "\n  and 3 more routes\n" in await said(session)

    async def test_a_hop_after_a_redirect(self, stub, session):
        """Where it came from."""
        _, place = stub.get(URL).reply(302, headers={"Location": "/login?next=%2Fitems"}), here()
        assert text(
            f"""
            no route answers GET http://api.test/login?next=/items
            redirected from http://api.test/items

            The routes, nearest first:
              GET http://api.test/items
                {place}  used up 1/1
                path  expected '/items', got '/login'

            To fix it, paste this, with the reply that you want:
                stub.get("http://api.test/login", params={{"next": "/items"}}).reply(200)
            """
        ) == await said(session)

    async def test_a_loopback_host(self, stub, session, unused_tcp_port):
        """Perhaps it shall pass through."""
        url = f"http://127.0.0.1:{unused_tcp_port}/items"
        assert text(
            f"""
            no route answers GET {url}

            No routes are registered.

            To fix it, paste one of these, with the reply that you want:
                stub.get("{url}").reply(200)
                # or pass it through to the real server
                stub.passthrough("127.0.0.1:{unused_tcp_port}")
            """
        ) == await said(session, url=url)

    async def test_a_handler_that_did_not_answer(self, stub, session):
        """It is told apart from a route that does not match."""
        _, place = stub.get(URL).handle(lambda request: None), here()
        lines = (await said(session)).splitlines()
        assert f"    {place}  did not answer" in lines
        assert "    handle  the callback returned None" in lines

    async def test_a_base_url(self, session):
        """The route is written as one would write it there."""
        with aiostub.Stub("http://api.test/v1/", strict=False):
            fixes = pieces_of(await said(session, url="http://api.test/v1/users"), "To fix it")
        assert [("", 'stub.get("users").reply(200)')] == fixes

    async def test_the_name_of_the_stub(self, session):
        """As the decorator passes it."""

        @aiostub.Stub(strict=False, param="web")
        async def run(web):
            assert 'web.get("http://api.test/items").reply(200)' in await said(session)

        await run()

    async def test_routes_of_outer_stubs_are_candidates(self, session):
        """They were asked, too."""
        with aiostub.Stub(strict=False) as outer, aiostub.Stub(strict=False):
            outer.post(URL).reply()
            assert f"  POST {URL}\n" in await said(session)

    async def test_what_is_raised_is_what_is_logged(self, stub, session, caplog):
        """One text."""
        assert await said(session) == caplog.records[-1].getMessage()


def plain(conditions):
    """Turn the conditions of a route into the keywords of a request that meets them."""
    return {
        name: value.expected if isinstance(value, type(partial({}))) else value
        for name, value in conditions.items()
    }


def nothing(stub):
    """Register no route."""


def a_typo(stub):
    """Register a path that differs by a letter."""
    stub.get("http://api.test/item").reply()


def another_method(stub):
    """Register the URL for another method."""
    stub.put(URL).reply()


def another_query(stub):
    """Register another query."""
    stub.get(f"{URL}?page=2&sort=a").reply()


def any_other_query(stub):
    """Register a query with matchers."""
    stub.get(URL, params={"page": re.compile("[5-9]"), "sort": ANY}).reply()


def no_query(stub):
    """Register a URL without the query that it is sent with."""
    stub.get(f"{URL}/7").reply()


def a_header(stub):
    """Register a header that no request has."""
    stub.any(URL, params=ANY, headers={"X-Missing": "x"}).reply()


def a_body(stub):
    """Register a body that no request has."""
    stub.any(URL, params=ANY, json={"another": "body"}).reply()


def a_template(stub):
    """Register a template that does not match."""
    stub.get("http://api.test/users/{id}").reply()


def a_pattern(stub):
    """Register a pattern that is not found."""
    stub.get(re.compile("users")).reply()


def a_predicate(stub):
    """Register a predicate that says no."""
    stub.any(ANY, where=lambda request: False).reply()


def a_handler(stub):
    """Register a handler that does not answer."""
    stub.any(ANY).handle(lambda request: None)


def many(stub):
    """Register more routes than are shown."""
    for number in range(9):
        stub.get(f"{URL}/{number}").reply()


REGISTERED = (
    nothing,
    a_typo,
    another_method,
    another_query,
    any_other_query,
    no_query,
    a_header,
    a_body,
    a_template,
    a_pattern,
    a_predicate,
    a_handler,
    many,
)
SENT = (
    ("GET", URL, {}),
    ("POST", URL, {"json": {"n": 1}}),
    ("HEAD", URL, {}),
    ("PURGE", URL, {}),
    ("GET", f"{URL}?page=1", {}),
    ("GET", f"{URL}?page=1&sort=a", {}),
    ("GET", f"{URL}?sort=a&page=2&more=1", {}),
    ("GET", f"{URL}/7?page=1&sort=a", {}),
    ("GET", f"{URL}?a=1&a=2&b=", {}),
    ("GET", f"{URL}?a", {}),
    ("GET", f"{URL}?access_token=hush&page=1", {}),
    ("GET", f"{URL}?token=a%FF&page=1", {}),
    ("POST", f"{URL}?to=http%3A%2F%2Fa.test%2F%3Fsig%3D1&to=2", {"data": b"x"}),
    ("GET", URL, {"params": {"q": "a b+c&d=é\"'\\{}%"}}),
    ("GET", f"{URL}#fragment", {}),
    ("GET", "http://user:secret@api.test/items", {}),
    ("GET", "http://api.test", {}),
    ("GET", "http://api.test:8080/items/", {}),
    ("GET", "https://API.test/Items", {}),
    ("GET", "http://münchen.test/straße/ä", {}),
    ("GET", "http://api.test/a%20b/{id}/c;d=1/'\"", {}),
    ("GET", yarl.URL("http://api.test/a%2Fb%25?x=%2F%26%3D", encoded=True), {}),
    ("GET", "http://[::1]:8080/items", {}),
    ("GET", "http://localhost/items?a=1", {}),
    ("GET", f"{URL}/{'long/' * 60}?{'key=value&' * 20}end=1", {}),
)


class TestSuggestions:
    """Each piece of code in a text can be pasted as it stands, and alone puts the matter right."""

    @pytest.mark.parametrize("register", REGISTERED)
    @pytest.mark.parametrize(("method", "url", "kwargs"), SENT)
    async def test_an_unmatched_request_is_answered(self, session, register, method, url, kwargs):
        """With what was registered before, or in its place where it says so."""
        with aiostub.Stub(strict=False) as stub:
            register(stub)
            pieces = pieces_of(await said(session, method, url, **kwargs), "To fix it")
        assert pieces
        for why, code in pieces:
            with aiostub.Stub(strict=False) as stub:
                if not why.startswith("in place of"):
                    register(stub)
                paste(code, stub=stub)
                if "passthrough" in code:
                    with pytest.raises(aiohttp.ClientConnectorError):
                        await ask(session, method, url, **kwargs)
                else:
                    assert 200 == await ask(session, method, url, **kwargs), code

    SCRIPTS = (
        lambda stub: stub.get(URL).reply(),
        lambda stub: stub.get(URL).reply().times(2),
        lambda stub: stub.any(URL, params={}).reply(),
        lambda stub: stub.get("/items").reply(),
        lambda stub: stub.get("/{name}").reply(),
        lambda stub: stub.get(re.compile("items")).reply(),
        lambda stub: stub.get(ANY).reply(),
        lambda stub: stub.get(URL, headers={"Accept": "*/*"}).reply(),
        lambda stub: stub.get(URL, where=lambda request: True).reply(),
        lambda stub: stub.get(URL).reply().then.reply(201),
        lambda stub: stub.request("GET", yarl.URL(URL)).reply(),
    )

    @pytest.mark.parametrize("script", SCRIPTS)
    async def test_a_used_up_route_answers_once_more(self, session, script):
        """By each of the suggestions."""
        with aiostub.Stub(strict=False) as stub:
            script(stub)
            with pytest.raises(UnmatchedRequest) as caught:
                for _ in range(9):
                    await ask(session)
            error_text, served = str(caught.value), len(stub.calls) - 1
        for why, code in pieces_of(error_text, "To fix it"):
            with aiostub.Stub(strict=False) as stub:
                if not why.startswith("in place of"):
                    script(stub)
                paste(code, stub=stub)
                for _ in range(served + 1):
                    assert await ask(session) in {200, 201}, code

    @pytest.mark.parametrize(("method", "url", "kwargs"), SENT)
    async def test_what_was_unmatched_is_answered(self, session, method, url, kwargs):
        """By what the text at exit suggests."""
        stub = aiostub.Stub()
        stub.start()
        await said(session, method, url, **kwargs)
        ((_, code),) = pieces_of(at_exit(stub), "To answer what was unmatched")
        with aiostub.Stub() as again:
            paste(code, stub=again)
            assert 200 == await ask(session, method, url, **kwargs)

    STEPLESS = (
        lambda stub: stub.get(URL),
        lambda stub: stub.get("/items"),
        lambda stub: stub.get("/{name}"),
        lambda stub: stub.any(URL),
        lambda stub: stub.get(URL, headers={"Accept": "*/*"}),
        lambda stub: stub.get(yarl.URL(URL)),
    )

    @pytest.mark.parametrize("script", STEPLESS)
    async def test_a_route_without_a_step_is_given_one(self, session, script):
        """The text repeats the route."""
        with aiostub.Stub(strict=False) as stub:
            script(stub)
            error_text = await said(session, error=RouteError)
        ((_, code),) = pieces_of(error_text, "To fix it")
        with aiostub.Stub() as stub:
            paste(code, stub=stub)
            assert 200 == await ask(session)

    TIMERS = (
        ("connect", {"total": 5}),
        ("sock_read", {"total": 300, "connect": 2.5}),
        ("total", {"total": None, "sock_read": 7}),
        ("sock_connect", {"total": None, "sock_connect": None}),
    )

    @pytest.mark.parametrize(("which", "timers"), TIMERS)
    async def test_a_missing_timer_is_given(self, session, which, timers):
        """By a timeout that has it, besides those that were there."""
        with aiostub.Stub(strict=False) as stub:
            stub.get(URL).timeout(which)
            timeout = aiohttp.ClientTimeout(**timers)
            error_text = await said(session, error=MissingTimeout, timeout=timeout)
        ((_, code),) = pieces_of(error_text, "To fix it")
        given = {}
        exec(code, {"aiohttp": aiohttp}, given)
        for name, seconds in timers.items():
            assert seconds is None or seconds == getattr(given["timeout"], name)
        with aiostub.Stub() as stub:
            stub.get(URL).timeout(which)
            with pytest.raises(asyncio.TimeoutError):
                await ask(session, **given)

    async def test_a_step_that_fires_a_timer_that_is_there(self, session):
        """The other way to put it right."""
        with aiostub.Stub(strict=False) as stub:
            stub.get(URL).timeout("sock_read")
            timeout = aiohttp.ClientTimeout(total=5, connect=3)
            error_text = await said(session, error=MissingTimeout, timeout=timeout)
        ((_, code),) = pieces_of(error_text, "or let the step fire one")
        steps = code.splitlines()
        assert ['.timeout("total")', '.timeout("connect")'] == steps
        for step in steps:
            with aiostub.Stub() as stub:
                paste(f"stub.get(url){step}", stub=stub, url=URL)
                with pytest.raises(asyncio.TimeoutError):
                    await ask(session, timeout=timeout)


class TestUnsatisfied:
    """What the person reads who leaves a stub with something left over."""

    async def test_a_route_that_was_never_called(self):
        """With the call that came nearest to it, if there was one."""
        stub = aiostub.Stub()
        _, place = stub.get(URL).reply(503), here()
        stub.start()
        assert text(
            f"""
            1 route has steps that were never served

            Never served:
              GET http://api.test/items
                {place}
                reply(503) never served

            To fix it, remove the route at {place}, or, if it need not be called, add:
                .optional()

            To check nothing at the end:
                stub = Stub(strict=False)
            """
        ) == at_exit(stub)

    async def test_a_request_and_the_route_that_it_missed(self, session):
        """Two sides of one mistake."""
        stub = aiostub.Stub()
        stub.start()
        _, place = stub.post(URL, json={"n": 1}).reply(201), here()
        await said(session, "POST", json={"n": 2})
        assert text(
            f"""
            1 route has steps that were never served, 1 request was unmatched

            Never served:
              POST http://api.test/items json={{'n': 1}}
                {place}
                reply(201) never served
                nearest call  POST http://api.test/items
                  json  n: expected 1, got 2

            Unmatched:
              POST http://api.test/items

            To fix it, remove the route at {place}, or, if it need not be called, add:
                .optional()

            To answer what was unmatched, with the reply that you want:
                stub.post("http://api.test/items").reply(200)

            To check nothing at the end:
                stub = Stub(strict=False)
            """
        ) == at_exit(stub)

    async def test_a_script_of_which_steps_are_left(self, session):
        """Each with how often it was served."""
        stub = aiostub.Stub()
        stub.start()
        route, place = stub.get(URL), here()
        route.reply(503).times(3).then.fail(ValueError("no")).then.handle(text).times(2)
        route.then.timeout("sock_read").then.hang().then.passthrough().then.reply(json={"a": 1})
        await ask(session)
        lines = at_exit(stub).splitlines()
        assert [
            f"    {place}",
            "    reply(503) served 1 of 3",
            "    fail(ValueError('no')) never served",
            "    handle(text) never served",
            "    timeout('sock_read') never served",
            "    hang() never served",
            "    passthrough() never served",
            "    reply(200, json={'a': 1}) never served",
        ] == lines[4:12]

    async def test_requests_that_come_again_are_counted(self, session):
        """Once, with the number."""
        stub = aiostub.Stub()
        stub.start()
        for url in (URL, f"{URL}/7", URL):
            await said(session, url=url)
        lines = at_exit(stub).splitlines()
        assert [
            "3 requests were unmatched",
            "",
            "Unmatched:",
            "  GET http://api.test/items  2 times",
            "  GET http://api.test/items/7",
        ] == lines[:5]

    async def test_a_call_that_answered_is_no_nearest_call(self, session):
        """What another route answered was meant for that one."""
        stub = aiostub.Stub()
        stub.start()
        stub.get(f"{URL}/7").reply()
        stub.get(f"{URL}/8").reply()
        await ask(session, url=f"{URL}/7")
        assert "nearest call" not in at_exit(stub)


class TestOthers:
    """The texts of errors at the call."""

    async def test_a_route_without_a_step(self, stub, session):
        """Where it was registered, and a step for it."""
        _, place = stub.get(URL, headers={"Accept": "*/*"}), here()
        assert text(
            f"""
            a route without a step was asked to answer: \
GET http://api.test/items headers={{'Accept': '*/*'}}
              {place}

            To fix it, give it a step at {place}, for example:
                stub.get("http://api.test/items", headers={{'Accept': '*/*'}}).reply(200)
            """
        ) == await said(session, error=RouteError)

    async def test_a_missing_timer(self, stub, session):
        """The timers that the client has, and where the step stands."""
        _, place = stub.get(URL).timeout("sock_read"), here()
        assert text(
            f"""
            timeout("sock_read") cannot fire for GET http://api.test/items
            the client has no sock_read timer; it has total (5 s), connect (2.5 s)
            the route is registered at {place}

            To fix it, give the session or the request that timer:
                timeout=aiohttp.ClientTimeout(total=5, connect=2.5, sock_read=5)

            or let the step fire one that the client has:
                .timeout("total")
                .timeout("connect")
            """
        ) == await said(
            session, error=MissingTimeout, timeout=aiohttp.ClientTimeout(total=5, connect=2.5)
        )

    async def test_a_client_without_timers(self, stub, session):
        """It is told so."""
        stub.get(URL).timeout()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=None)
        lines = (await said(session, error=MissingTimeout, timeout=timeout)).splitlines()
        assert "the client has no total timer, nor any other" == lines[1]
