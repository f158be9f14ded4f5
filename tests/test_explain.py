"""The texts, whole, as the person reads them who gets them."""

from __future__ import annotations

import builtins
import re
from textwrap import dedent
from types import SimpleNamespace

import pytest
from yarl import URL

from aiostub import _explain
from aiostub._explain import Compared, Missed, Near, Row, Unused
from aiostub._secrets import mask_body, mask_value

USERS = "https://api.test/users"


def text(written):
    """Return a text as it stands in the test, without the test's own indentation."""
    return dedent(written).strip("\n")


def near(route, field="path", detail="expected '/a', got '/b'", used=None, *, rank=1, steps=1):
    """Describe a route that did not answer, registered in line 12."""
    return Near(route, "tests/test_x.py:12", field, detail, used, rank, steps)


PAGE_2 = near(f"GET {USERS}?page=2", "params", "page: expected '2', got '1'")


class Recorder:
    """Take down what pasted code does with its stub."""

    def __init__(self):
        self.done = []

    def __getattr__(self, verb):
        def link(*args, **kwargs):
            self.done.append((verb, args, kwargs))
            return self

        return link


def run(code, name="stub"):
    """Run pasted code and return what it did with the stub."""
    stub = Recorder()
    ours = SimpleNamespace(ANY="ANY", partial=lambda pairs: ("partial", pairs))

    def imported(module, *args, **kwargs):
        return ours if module == "aiostub" else __import__(module, *args, **kwargs)

    scope = {name: stub, "__builtins__": {**vars(builtins), "__import__": imported}}
    exec(compile(code, "pasted", "exec"), scope)
    return stub.done


def pasted_url(done):
    """Return the URL that a pasted route matches."""
    _, args, kwargs = done[0]
    url = URL(args[-1], encoded=True)
    return url.update_query(kwargs["params"]) if "params" in kwargs else url


class TestUnmatched:
    """What the person reads whose request no route answers."""

    def test_a_query_that_differs(self):
        """The nearest route comes first, with ANY and partial to choose from."""
        post = Near(
            f"POST {USERS}", "tests/test_x.py:14", "method", "expected POST, got GET", "1/3", 0
        )
        nears = [post, near(f"GET {USERS}?page=2&sort=a", PAGE_2.field, PAGE_2.detail)]
        expected = """
            no route answers GET https://api.test/users?page=1&sort=a

            The routes, nearest first:
              GET https://api.test/users?page=2&sort=a
                tests/test_x.py:12  never matched
                params  page: expected '2', got '1'
              POST https://api.test/users
                tests/test_x.py:14  served 1 of 3
                method  expected POST, got GET

            To fix it, paste one of these, with the reply that you want:
                # one more route: this query
                stub.get("https://api.test/users", params={"page": "1", "sort": "a"}).reply(200)
                # in place of tests/test_x.py:12: any query
                from aiostub import ANY
                stub.get("https://api.test/users", params=ANY).reply(200)
                # in place of tests/test_x.py:12: any query that has this
                from aiostub import partial
                stub.get("https://api.test/users", params=partial({"sort": "a"})).reply(200)
        """
        assert text(expected) == _explain.unmatched("GET", f"{USERS}?page=1&sort=a", nears)

    def test_a_route_that_is_used_up(self):
        """It comes before every other, however near, and can be had again in three ways."""
        nears = [near("GET https://api.test/user", rank=99), near(f"GET {USERS}", "", "", "1/1")]
        expected = """
            no route answers GET https://api.test/users

            The routes, nearest first:
              GET https://api.test/users
                tests/test_x.py:12  used up 1/1
              GET https://api.test/user
                tests/test_x.py:12  never matched
                path  expected '/a', got '/b'

            To fix it, paste one of these, with the reply that you want:
                # one more route
                stub.get("https://api.test/users").reply(200)
                # in place of tests/test_x.py:12: served 2 times
                stub.get("https://api.test/users").reply(200).times(2)
                # in place of tests/test_x.py:12: served without end
                stub.get("https://api.test/users").reply(200).always()
        """
        assert text(expected) == _explain.unmatched("GET", USERS, nears)

    def test_a_method_that_differs(self):
        """The route with the same URL is named, to be replaced."""
        nears = [near(f"GET {USERS}", "method", "expected GET, got POST")]
        expected = """
            no route answers POST https://api.test/users

            The routes, nearest first:
              GET https://api.test/users
                tests/test_x.py:12  never matched
                method  expected GET, got POST

            To fix it, paste this, with the reply that you want:
                # in place of tests/test_x.py:12: POST
                stub.post("https://api.test/users").reply(200)
        """
        assert text(expected) == _explain.unmatched("POST", USERS, nears)

    def test_no_routes_on_a_loopback_host_after_a_redirect(self):
        """It says so, whence the redirect came, and how to reach the real server."""
        expected = """
            no route answers GET http://127.0.0.1:8080/x
            redirected from https://api.test/login

            No routes are registered.

            To fix it, paste one of these, with the reply that you want:
                stub.get("http://127.0.0.1:8080/x").reply(200)
                # or pass it through to the real server
                stub.passthrough("127.0.0.1:8080")
        """
        url, whence = "http://127.0.0.1:8080/x", "https://api.test/login"
        assert text(expected) == _explain.unmatched(
            "GET", url, [], redirected_from=whence, loopback=True
        )

    def test_more_than_five_routes(self):
        """Five are shown and the rest is counted."""
        nears = [near(f"GET https://api.test/{name}", rank=-n) for n, name in enumerate("bcdefgh")]
        expected = """
            no route answers GET https://api.test/a

            The routes, nearest first:
              GET https://api.test/b
                tests/test_x.py:12  never matched
                path  expected '/a', got '/b'
              GET https://api.test/c
                tests/test_x.py:12  never matched
                path  expected '/a', got '/b'
              GET https://api.test/d
                tests/test_x.py:12  never matched
                path  expected '/a', got '/b'
              GET https://api.test/e
                tests/test_x.py:12  never matched
                path  expected '/a', got '/b'
              GET https://api.test/f
                tests/test_x.py:12  never matched
                path  expected '/a', got '/b'
              and 3 more routes

            To fix it, paste this, with the reply that you want:
                aiostub.get("https://api.test/a").reply(200)
        """
        found = _explain.unmatched("GET", "https://api.test/a", nears, name="aiostub", more=1)
        assert text(expected) == found

    @pytest.mark.parametrize(
        ("number", "line"), [(1, "  and 1 more route\n"), (2, "  and 2 more routes\n")]
    )
    def test_the_rest_in_the_singular_and_the_plural(self, number, line):
        """One more route is no more routes."""
        assert line in _explain.unmatched("GET", USERS, [PAGE_2], more=number)

    def test_routes_that_were_only_counted(self):
        """Without any to show, their number stands."""
        assert "The routes, nearest first:\n  7 routes\n" in _explain.unmatched(
            "GET", USERS, [], more=7
        )

    @pytest.mark.parametrize(
        ("field", "used", "state"),
        [
            ("path", None, "never matched"),
            ("path", "0/2", "never matched"),
            ("path", "1/2", "served 1 of 2"),
            ("path", "1/always", "served once"),
            ("path", "4/always", "served 4 times"),
            ("path", "2/2", "used up 2/2"),
            ("", "2/2", "used up 2/2"),
            ("", None, "did not answer"),
            ("handle", None, "did not answer"),
            ("handle", "1/1", "did not answer"),
        ],
    )
    def test_what_became_of_a_route(self, field, used, state):
        """Used up is told from never matched, and a callback that declined from both."""
        found = _explain.unmatched("GET", USERS, [near(f"GET {USERS}", field, "", used)])
        assert f"    tests/test_x.py:12  {state}\n" in found

    def test_a_callback_that_did_not_answer(self):
        """What it returned stands where the difference stands."""
        found = _explain.unmatched(
            "GET", USERS, [near(f"GET {USERS}", "handle", "the callback returned None")]
        )
        assert "  did not answer\n    handle  the callback returned None\n" in found

    def test_a_long_route_and_a_long_difference(self):
        """They are cut in the middle; a difference of several lines stays indented."""
        route = near(f"GET {USERS}/{'x' * 200}/end", detail=f"one\n{'y' * 500}z")
        lines = _explain.unmatched("GET", USERS, [route]).splitlines()
        assert max(map(len, lines[:6])) <= 100
        assert lines[3].startswith("  GET https://api.test/users/xxx")
        assert lines[3].endswith("xxx/end")
        assert lines[5] == "    path  one"
        assert re.fullmatch(r"    y+\.\.\.y+z", lines[6])


class TestFixes:
    """Each piece of code, pasted alone, answers the request."""

    @pytest.mark.parametrize(
        ("method", "url", "code"),
        [
            ("GET", USERS, 'stub.get("https://api.test/users")'),
            ("PROPFIND", USERS, 'stub.request("PROPFIND", "https://api.test/users")'),
            ("OPTIONS", "http://[::1]:8080/", 'stub.options("http://[::1]:8080/")'),
            ("GET", f"{USERS}?a=1", 'stub.get("https://api.test/users", params={"a": "1"})'),
            ("GET", f"{USERS}?a", 'stub.get("https://api.test/users", params={"a": ""})'),
            ("GET", f"{USERS}?a=1+%26", 'stub.get("https://api.test/users", params={"a": "1 &"})'),
            (
                "GET",
                "https://a.test/?a=1&a=2",
                'stub.get("https://a.test/", params=[("a", "1"), ("a", "2")])',
            ),
            (
                "GET",
                f'{USERS}?a="%5C',
                'stub.get("https://api.test/users", params={"a": "\\"\\\\"})',
            ),
            ("GET", f"{USERS}?a=%0A", 'stub.get("https://api.test/users", params={"a": \'\\n\'})'),
            ("GET", f"{USERS}?a=%FF", 'stub.get("https://api.test/users?a=%FF")'),
            ("GET", "https://u:p@api.test/users#here", 'stub.get("https://api.test/users")'),
            ("GET", "https://:p@api.test/users", 'stub.get("https://api.test/users")'),
            ("GET", "https://api.test/{id}", 'stub.get("https://api.test/%7Bid%7D")'),
            ("GET", "https://api.test/a%2Fb%20c", 'stub.get("https://api.test/a%2Fb%20c")'),
        ],
    )
    def test_a_route_for_the_request(self, method, url, code):
        """The query stands apart where it survives that; no URL is taken for a template."""
        (fix,) = _explain.fixes(method, url, [])
        assert fix.code == f"{code}.reply(200)"
        sent = URL(url, encoded=True).with_fragment(None).with_user(None)
        assert list(URL(str(sent)).query.items()) == list(pasted_url(run(fix.code)).query.items())

    def test_a_route_that_is_long(self):
        """It is written over several lines, which is one piece of Python still."""
        url = "https://api.test/organisations/acme/repositories?filter=active&direction=descending"
        (fix,) = _explain.fixes("GET", url, [])
        assert fix.code == text("""
            stub.get(
                "https://api.test/organisations/acme/repositories",
                params={"filter": "active", "direction": "descending"},
            ).reply(200)
        """)
        assert URL(url) == pasted_url(run(fix.code))

    @pytest.mark.parametrize(
        ("base", "url", "code"),
        [
            ("https://api.test", USERS, 'stub.get("/users")'),
            ("https://api.test/", "https://api.test/", 'stub.get("/")'),
            (
                "https://api.test/v1/",
                "https://api.test/v1/a?b=1",
                'stub.get("a", params={"b": "1"})',
            ),
            ("https://api.test/v1/", USERS, 'stub.get("/users")'),
            ("https://api.test/v1/", "https://api.test/v1/a:b", 'stub.get("/v1/a:b")'),
            (
                "https://api.test",
                "https://other.test/users",
                'stub.get("https://other.test/users")',
            ),
            ("https://api.test", "https://api.test//x", 'stub.get("https://api.test//x")'),
        ],
    )
    def test_a_route_relative_to_the_base_url(self, base, url, code):
        """Code is as short as it can be, and joined to the base it is the request's URL."""
        (fix,) = _explain.fixes("GET", url, [], base=base)
        assert fix.code == f"{code}.reply(200)"
        path = URL(run(fix.code)[0][1][0], encoded=True)
        assert URL(base).join(path) == URL(url, encoded=True).with_query(None)

    @pytest.mark.parametrize(
        ("url", "websocket"), [("wss://feed.test/v1", False), ("https://feed.test/v1", True)]
    )
    def test_a_websocket(self, url, websocket):
        """A handshake is answered with somebody to talk to."""
        (fix,) = _explain.fixes("GET", url, [], websocket=websocket)
        assert fix.code == text(f"""
            async def talk(ws):
                await ws.send_str("hello")

            stub.ws("{url}").handle(talk)
        """)
        assert [verb for verb, _, _ in run(fix.code)] == ["ws", "handle"]

    def test_a_websocket_route_that_is_used_up(self):
        """The steps of a WebSocket are not written again; what to add to them is said."""
        url = "wss://feed.test/v1"
        (fix,) = _explain.fixes("GET", url, [near(f"GET {url}", "", "", "1/1")])
        assert fix.why == "one more route (or add .times(2) or .always() at tests/test_x.py:12)"

    @pytest.mark.parametrize(
        ("route", "call"),
        [
            (f"GET {USERS}", 'stub.get("https://api.test/users")'),
            (f"any method {USERS}", 'stub.any("https://api.test/users")'),
            ("GET /users/{id}", 'stub.get("/users/{id}")'),
            ("M-SEARCH ssdp://host/", 'stub.request("M-SEARCH", "ssdp://host/")'),
            (
                f"GET {USERS} params={{'a': '1'}}",
                "stub.get(\"https://api.test/users\", params={'a': '1'})",
            ),
            (
                "GET /a headers={'x': 'y'}, json=None",
                "stub.get(\"/a\", headers={'x': 'y'}, json=None)",
            ),
        ],
    )
    def test_a_used_up_route_is_written_again_as_it_was(self, route, call):
        """Whatever else it answers, it goes on answering."""
        once, times, always = _explain.fixes("GET", USERS, [near(route, "", "", "2/2")])
        assert once.code == 'stub.get("https://api.test/users").reply(200)'
        assert times.code == f"{call}.reply(200).times(3)"
        assert always.code == f"{call}.reply(200).always()"
        assert [verb for verb, _, _ in run(times.code)][1:] == ["reply", "times"]

    @pytest.mark.parametrize(
        "route",
        [
            "GET re.compile('https://.*')",
            "GET ANY",
            r"GET https://api\.test/",
            f"GET {USERS} params=partial({{'a': '1'}})",
            f"GET {USERS} params={{'a': '1…",
            f"GET {USERS} params={{[]: '1'}}",
            f"GET {USERS} data='a'), print('b'",
            f"GET {USERS} data=(1), 2",
            f"GET {USERS} data='a')(data='b'",
        ],
    )
    def test_a_used_up_route_that_cannot_be_written_again(self, route):
        """Its line is named, with what to add there."""
        (fix,) = _explain.fixes("GET", USERS, [near(route, "", "", "1/1")])
        assert fix.why == "one more route (or add .times(2) or .always() at tests/test_x.py:12)"
        assert fix.code == 'stub.get("https://api.test/users").reply(200)'

    def test_a_script_that_is_used_up(self):
        """Of a script of steps, another step is what is missing."""
        (fix,) = _explain.fixes("GET", USERS, [near(f"GET {USERS}", "", "", "2/2", steps=2)])
        assert fix.why == (
            "one more route (or add .then.reply(200) or .always() at tests/test_x.py:12)"
        )

    def test_a_query_without_anything_in_common(self):
        """There is no part to ask for."""
        one, free = _explain.fixes("GET", f"{USERS}?page=1", [PAGE_2])
        assert run(one.code)[0] == ("get", (USERS,), {"params": {"page": "1"}})
        assert run(free.code)[0] == ("get", (USERS,), {"params": "ANY"})

    def test_several_keys_that_differ(self):
        """None of those that are named, and no key that comes twice, is asked for."""
        differs = near(
            f"GET {USERS}", "params", "page: expected '2', got '1'; x: unexpected, got '1'"
        )
        url = f"{USERS}?page=1&x=1&sort=a&b=1&b=2"
        _, _, some = _explain.fixes("GET", url, [differs])
        assert run(some.code)[0] == ("get", (USERS,), {"params": ("partial", {"sort": "a"})})

    @pytest.mark.parametrize(
        ("route", "base", "named"),
        [
            (f"GET {USERS}", None, True),
            ("GET /users", None, True),
            ("GET users", "https://api.test/", False),
            ("GET /users", "https://api.test/v1/", True),
            ("GET https://api.test/user", None, False),
            ("GET https://{name}.test/users", None, False),
            ("GET https://[", None, False),
            ("GET re.compile('users')", None, False),
        ],
    )
    def test_only_the_method_differs(self, route, base, named):
        """A route with the same URL is offered for replacement, another is not."""
        differs = near(route, "method", "expected GET, got POST")
        (fix,) = _explain.fixes("POST", USERS, [differs], base=base)
        assert fix.why == ("in place of tests/test_x.py:12: POST" if named else "")
        assert run(fix.code)[0][0] == "post"

    @pytest.mark.parametrize(
        ("url", "rule"),
        [
            ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
            ("http://localhost/x", "localhost"),
            ("http://[::1]:80/x", "[::1]:80"),
            ("http://[::1]/x", "[::1]"),
            ("unix:///x", ""),
        ],
    )
    def test_passing_through_on_a_loopback_host(self, url, rule):
        """The rule is the host, with the port where the URL has one."""
        *_, last = _explain.fixes("GET", url, [], loopback=True)
        assert run(last.code) == [("passthrough", (rule,), {})]

    def test_the_stub_by_another_name(self):
        """Code uses the name that the test uses."""
        found = _explain.fixes(
            "GET", f"{USERS}?page=1&a=1", [PAGE_2], loopback=True, name="aiostub"
        )
        assert [run(fix.code, "aiostub")[0][0] for fix in found] == [
            "get",
            "get",
            "get",
            "passthrough",
        ]

    def test_a_whole_text_can_be_pasted_as_one_block(self):
        """What stands between the pieces of code are comments."""
        whole = _explain.unmatched("GET", f"{USERS}?page=1&a=1", [PAGE_2], loopback=True)
        block = dedent(whole.partition("you want:\n")[2])
        assert [verb for verb, _, _ in run(block)] == ["get", "reply"] * 3 + ["passthrough"]


class TestGuarded:
    """What the person reads whose request the guard stopped."""

    def test_the_whole_text(self):
        """It names the ini option, the fixture and the rule."""
        expected = """
            no stub is started to answer GET https://api.test:8443/users?x=1
            and the ini option aiostub_guard = true lets nothing pass through
            during tests/test_x.py::test_it (call)
            sent at app.py:12

            To fix it, answer it in a test with the fixture aiostub:
                aiostub.get("https://api.test:8443/users", params={"x": "1"}).reply(200)

            or let it pass through, by the ini file:
                aiostub_passthrough = api.test:8443
        """
        assert text(expected) == _explain.guarded(
            "GET",
            "https://api.test:8443/users?x=1",
            during="tests/test_x.py::test_it (call)",
            where="app.py:12",
        )

    def test_outside_of_a_test(self):
        """As while a module is imported."""
        lines = _explain.guarded("GET", "https://api.test/").splitlines()
        assert "while no test was running" == lines[2]
        assert "" == lines[3]


class TestUnsatisfied:
    """What the person reads when something is left over at the end."""

    def test_routes_and_requests(self):
        """Both are told apart, and what to type for each."""
        unused = Unused(
            f"POST {USERS}",
            "tests/test_x.py:14",
            ["reply(503) served 1 of 2", "reply(200) never served"],
            "POST https://api.test/user",
            "path",
            "expected '/users', got '/user'",
        )
        near = Near(f"POST {USERS}", "tests/test_x.py:14", "method", "expected POST", None, 1)
        missed = [
            Missed("GET https://api.test/a"),
            Missed(f"GET {USERS}?b=1", near),
            Missed("GET https://api.test/a"),
        ]
        expected = """
            1 route has steps that were never served, 3 requests were unmatched

            Never served:
              POST https://api.test/users
                tests/test_x.py:14
                reply(503) served 1 of 2
                reply(200) never served
                nearest call  POST https://api.test/user
                  path  expected '/users', got '/user'

            Unmatched:
              GET https://api.test/a  2 times
              GET https://api.test/users?b=1
                nearest route  POST https://api.test/users
                  tests/test_x.py:14  never matched
                  method  expected POST

            To fix it, remove the route at tests/test_x.py:14, or, if it need not be called, add:
                .optional()

            To answer what was unmatched, with the reply that you want:
                stub.get("https://api.test/a").reply(200)
                stub.get("https://api.test/users", params={"b": "1"}).reply(200)

            To check nothing at the end:
                stub = Stub(strict=False)
        """
        assert text(expected) == _explain.unsatisfied([unused], missed)

    def test_routes_alone(self):
        """Of several routes none is singled out."""
        unused = [
            Unused(f"GET {USERS}/{n}", f"tests/test_x.py:{n}", ["reply(200) never served"])
            for n in (1, 2)
        ]
        expected = """
            2 routes have steps that were never served

            Never served:
              GET https://api.test/users/1
                tests/test_x.py:1
                reply(200) never served
              GET https://api.test/users/2
                tests/test_x.py:2
                reply(200) never served

            To fix it, remove a route, or, if it need not be called, add:
                .optional()

            To check nothing at the end:
                stub = Stub(strict=False)
        """
        assert text(expected) == _explain.unsatisfied(unused, [])

    def test_requests_alone_under_pytest(self):
        """The fixture is configured by its marker."""
        expected = """
            1 request was unmatched

            Unmatched:
              GET https://api.test/users

            To answer what was unmatched, with the reply that you want:
                aiostub.get("https://api.test/users").reply(200)

            To check nothing at the end:
                @pytest.mark.aiostub(strict=False)
        """
        found = _explain.unsatisfied([], [Missed(f"GET {USERS}")], name="aiostub", fixture=True)
        assert text(expected) == found

    def test_very_many(self):
        """Ten are listed, five are written out, the rest is counted."""
        found = _explain.unsatisfied([], [Missed(f"GET {USERS}/{n}") for n in range(12)])
        assert f"  GET {USERS}/9\n  and 2 more\n\n" in found
        assert found.count(".reply(200)") == 5


class TestNoStep:
    """What the person reads who registered a route and never said what it does."""

    @pytest.mark.parametrize(
        ("route", "code"),
        [
            (f"GET {USERS}", 'stub.get("https://api.test/users").reply(200)'),
            ("GET re.compile('users')", ".reply(200)"),
        ],
    )
    def test_the_whole_text(self, route, code):
        """It names the line and shows a step."""
        expected = f"""
            a route without a step was asked to answer: {route}
              tests/test_x.py:14

            To fix it, give it a step at tests/test_x.py:14, for example:
                {code}
        """
        assert text(expected) == _explain.no_step(route, "tests/test_x.py:14")


ROWS = [
    Row(0, "GET", f"{USERS}?page=1", "503", 0.0123, f"GET {USERS}?page=1"),
    Row(1.0134, "GET", f"{USERS}?page=1", "TimeoutError", 0.0004, "GET /users", 2),
    Row(3.5, "POST", USERS, "unmatched"),
]


class TestTimeline:
    """A test's calls at a glance."""

    def test_no_calls(self):
        """It says so."""
        assert _explain.timeline([]) == "no calls"

    def test_one_call(self):
        """Everything stands in one line below the number and the span."""
        expected = """
            1 call in 12.3 ms
              +0 ms  GET  https://api.test/users  200  12.3 ms  GET https://api.test/users
        """
        rows = [Row(0, "GET", USERS, "200", 0.0123, f"GET {USERS}")]
        assert text(expected) == _explain.timeline(rows)

    def test_columns_are_aligned(self):
        """Times are flush right, words are flush left."""
        rows = [
            Row(0, "GET", USERS, "200", 0.0123, "x.py:3"),
            Row(0.5, "DELETE", USERS, "pending"),
            Row(75, "GET", f"{USERS}/1", "passed through 200", 120),
        ]
        expected = """
            3 calls in 3 min 15 s
                    +0 ms  GET     https://api.test/users    200                 12.3 ms  x.py:3
                  +500 ms  DELETE  https://api.test/users    pending
              +1 min 15 s  GET     https://api.test/users/1  passed through 200    2 min
        """
        assert text(expected) == _explain.timeline(rows)

    def test_lines_that_would_be_too_long(self):
        """The origin of all is said once."""
        expected = """
            3 calls in 3.5 s, all to https://api.test
                +0 ms  GET   /users?page=1  503           12.3 ms              /users?page=1
              +1.01 s  GET   /users?page=1  TimeoutError   0.4 ms  2 attempts  /users
               +3.5 s  POST  /users         unmatched
        """
        assert text(expected) == _explain.timeline(ROWS)

    def test_lines_that_would_still_be_too_long(self):
        """A route that only repeats its call falls away."""
        expected = """
            3 calls in 3.5 s, all to https://api.test
                +0 ms  GET   /users?page=1  503           12.3 ms
              +1.01 s  GET   /users?page=1  TimeoutError   0.4 ms  2 attempts  /users
               +3.5 s  POST  /users         unmatched
        """
        assert text(expected) == _explain.timeline(ROWS, width=75)

    def test_long_urls_are_cut_in_the_middle(self):
        """With secrets masked before they are cut."""
        other = "https://other.test/" + "a" * 200 + "?token=abc"
        rows = [*ROWS, Row(4, "GET", other, "200", 0.1, f"GET {other}")]
        expected = """
            4 calls in 4.1 s
                +0 ms  GET   https:/...page=1  503           12.3 ms
              +1.01 s  GET   https:/...page=1  TimeoutError   0.4 ms  2 attempts  GET /users
               +3.5 s  POST  https:/.../users  unmatched
                 +4 s  GET   https:/...en=***  200            100 ms
        """
        assert text(expected) == _explain.timeline(rows, masked=True, width=80)

    @pytest.mark.parametrize("width", [80, 100, 120])
    def test_lines_keep_to_the_width(self, width):
        """Whatever the URLs are."""
        rows = [
            Row(n, "GET", f"https://{n}.test/{'x' * 40 * n}", "200", n / 9, "GET /" + "y" * 30 * n)
            for n in range(5)
        ]
        assert max(map(len, _explain.timeline(rows, width=width).splitlines())) <= width

    def test_an_origin_is_only_taken_off_at_its_end(self):
        """A route of a host whose name begins alike keeps its host."""
        rows = [
            Row(
                0, "GET", USERS, "200", 0.1, "any method https://api.testing/{rest:path}" + "x" * 30
            )
        ]
        assert "  /users  200  100 ms  any method https://api.testing/" in _explain.timeline(rows)

    def test_a_url_without_a_path_has_no_origin_to_take_off(self):
        """Then nothing is left out."""
        rows = [Row(0, "GET", "https://api.test", "200", 0.1, "GET " + "x" * 90)]
        assert _explain.timeline(rows).splitlines()[0] == "1 call in 100 ms"

    @pytest.mark.parametrize(
        ("seconds", "written"),
        [
            (0, "0 ms"),
            (0.00004, "0 ms"),
            (0.00012, "0.12 ms"),
            (0.0123, "12.3 ms"),
            (0.9994, "999 ms"),
            (0.9996, "1 s"),
            (1.5, "1.5 s"),
            (59.94, "59.9 s"),
            (59.96, "1 min"),
            (90, "1 min 30 s"),
            (7200, "120 min"),
        ],
    )
    def test_durations_in_human_units(self, seconds, written):
        """Three digits, and never 1000 ms or 60 s."""
        rows = [Row(0, "GET", USERS, "200", seconds)]
        assert _explain.timeline(rows).splitlines()[0] == f"1 call in {written}"


class TestAssertions:
    """What the person reads whose assertion about calls fails."""

    def test_too_many_calls(self):
        """The calls follow."""
        expected = """
            expected 1 call of GET https://api.test/users, got 2:
              2 calls in 1 s
                +0 ms  GET  https://api.test/users  200  12 ms
                 +1 s  GET  https://api.test/users  503   5 ms
        """
        rows = [Row(0, "GET", USERS, "200", 0.012), Row(1, "GET", USERS, "503", 0.005)]
        found = _explain.call_count(1, rows, of=f"GET {USERS}")
        assert text(expected) == found

    @pytest.mark.parametrize(
        ("found", "line"),
        [
            (_explain.call_count(0, ROWS[:1]), "expected no calls, got 1:"),
            (_explain.call_count(2, ROWS[:1]), "expected 2 calls, got 1:"),
            (_explain.call_count(1, [], at_least=True), "expected at least 1 call, got none"),
            (
                _explain.call_count(2, ROWS, of="GET /", at_least=True, within=5),
                "expected at least 2 calls of GET / within 5 s, got 3:",
            ),
        ],
    )
    def test_what_was_expected(self, found, line):
        """In words, in the first line."""
        assert found.splitlines()[0] == line

    def test_no_calls_of_a_route_but_others(self):
        """They may be what was meant."""
        expected = """
            expected 1 call of GET https://api.test/a, got none

            There were others:
              1 call in 12.3 ms
                +0 ms  GET  https://api.test/users  200  12.3 ms
        """
        others = [Row(0, "GET", USERS, "200", 0.0123)]
        found = _explain.call_count(1, [], of="GET https://api.test/a", others=others)
        assert text(expected) == found

    def test_a_call_that_differs(self):
        """Both calls stand one below the other."""
        expected = """
            the last call differs in json
              expected  POST https://api.test/users json={'name': 'Ada'}
              got       POST https://api.test/users
              json  name: expected 'Ada', got 'Eve'
        """
        got = Compared(f"POST {USERS}", "json", "name: expected 'Ada', got 'Eve'")
        found = _explain.different_call(f"POST {USERS} json={{'name': 'Ada'}}", got)
        assert text(expected) == found

    def test_no_such_call(self):
        """The nearest is told, then all."""
        expected = """
            no call is POST https://api.test/users json={'name': 'Ada'}

            The nearest call: POST https://api.test/users
              json  name: expected 'Ada', got 'Eve'

            1 call in 0 ms
              +0 ms  POST  https://api.test/users  unmatched
        """
        got = Compared(f"POST {USERS}", "json", "name: expected 'Ada', got 'Eve'")
        rows = [Row(0, "POST", USERS, "unmatched")]
        found = _explain.no_such_call(f"POST {USERS} json={{'name': 'Ada'}}", got, rows)
        assert text(expected) == found

    def test_no_call_at_all(self):
        """Then nothing is near."""
        assert _explain.no_such_call(f"GET {USERS}", None, []) == (
            "no call is GET https://api.test/users\n\nno calls"
        )

    def test_routes_that_were_never_called(self):
        """Each with the line that registered it."""
        expected = """
            2 routes were never called:
              GET https://api.test/a
                tests/test_x.py:3
              GET https://api.test/b
                tests/test_x.py:4

            no calls
        """
        routes = [
            ("GET https://api.test/a", "tests/test_x.py:3"),
            ("GET https://api.test/b", "tests/test_x.py:4"),
        ]
        assert text(expected) == _explain.never_called(routes, [])

    def test_one_route_that_was_never_called(self):
        """In the singular."""
        found = _explain.never_called([("GET /a", "tests/test_x.py:3")], [])
        assert found.startswith("1 route was never called:\n")

    @pytest.mark.parametrize(
        ("found", "line"),
        [
            (0, "GET https://api.test/a was not called"),
            (1, "POST https://api.test/b was not called after GET https://api.test/a"),
        ],
    )
    def test_calls_in_another_order(self, found, line):
        """The first that was not called in its turn is told."""
        expected = f"""
            {line}

            Expected order:
              1. GET https://api.test/a
              2. POST https://api.test/b

            no calls
        """
        routes = ["GET https://api.test/a", "POST https://api.test/b"]
        assert text(expected) == _explain.wrong_order(routes, found, [])


class TestMissingTimeout:
    """What the person reads whose client has not the timer that should fire."""

    def test_a_client_with_other_timers(self):
        """They are told, and kept in the code to paste."""
        expected = """
            timeout("sock_read") cannot fire for GET https://api.test/users
            the client has no sock_read timer; it has total (5 min), sock_connect (2.5 s)
            the route is registered at tests/test_x.py:3

            To fix it, give the session or the request that timer:
                timeout=aiohttp.ClientTimeout(total=300, sock_connect=2.5, sock_read=5)

            or let the step fire one that the client has:
                .timeout("total")
                .timeout("sock_connect")
        """
        timers = {"total": 300, "connect": None, "sock_connect": 2.5, "sock_read": 0}
        where = "tests/test_x.py:3"
        assert text(expected) == _explain.missing_timeout(
            "sock_read", timers, "GET", USERS, where=where
        )

    def test_a_client_without_any(self):
        """There is none to fire in its place."""
        expected = """
            timeout("total") cannot fire for GET https://api.test/users
            the client has no total timer, nor any other

            To fix it, give the session or the request that timer:
                timeout=aiohttp.ClientTimeout(total=5)
        """
        assert text(expected) == _explain.missing_timeout("total", {"total": None}, "GET", USERS)


class TestSecrets:
    """What a report that others read must not show."""

    @pytest.mark.parametrize(
        ("url", "masked"),
        [
            (f"{USERS}?page=1&sort_key=a&monkey=b#top", f"{USERS}?page=1&sort_key=a&monkey=b#top"),
            (f"{USERS}?api_key=1&page=2", f"{USERS}?api_key=***&page=2"),
            (f"{USERS}?apiKey=1", f"{USERS}?apiKey=***"),
            (f"{USERS}?key=1", f"{USERS}?key=***"),
            (f"{USERS}?token=a=b", f"{USERS}?token=***"),
            (f"{USERS}?ACCESS_TOKEN=", f"{USERS}?ACCESS_TOKEN=***"),
            (f"{USERS}?access%5Ftoken=1", f"{USERS}?access%5Ftoken=***"),
            (f"{USERS}?signature=1&sig=2", f"{USERS}?signature=***&sig=***"),
            (f"{USERS}?password=1&client_secret=2", f"{USERS}?password=***&client_secret=***"),
            (f"{USERS}?auth[password]=1", f"{USERS}?auth[password]=***"),
            (f"{USERS}?X-Amz-Signature=1", f"{USERS}?X-Amz-Signature=***"),
            (f"{USERS}?X-Amz-Credential=1", f"{USERS}?X-Amz-Credential=***"),
            (f"{USERS}?AWSAccessKeyId=1", f"{USERS}?AWSAccessKeyId=***"),
            (f"{USERS}?a=1;token=2", f"{USERS}?a=***"),
            (f"{USERS}#access_token=1", f"{USERS}#access_token=***"),
            (f"{USERS}?to=https%3A%2F%2Fa.test%2F%3Ftoken%3D1", f"{USERS}?to=***"),
            (f"{USERS}?to=https%3A%2F%2Fa.test%2F%3Fpage%3D1", None),
            ("https://ada:pw@api.test/a@b", "https://***@api.test/a@b"),
            ("https://ada:p@w@api.test/", "https://***@api.test/"),
            ("GET /users?token=1 json={'a': 1}", "GET /users?token=*** json={'a': 1}"),
        ],
    )
    def test_a_url(self, url, masked):
        """Userinfo and secret arguments are masked, and not a letter else."""
        assert (url if masked is None else masked) == _explain.mask_url(url)

    @pytest.mark.parametrize(
        ("name", "value", "masked"),
        [
            ("Authorization", "Bearer abc", "Bearer ***"),
            ("authorization", "abc def", "***"),
            ("Authorization", "basic", "***"),
            ("Proxy-Authorization", "Basic YTpi", "Basic ***"),
            ("Cookie", "a=1; b=2;c", "a=***; b=***; ***"),
            ("Set-Cookie", "a=1; Path=/; HttpOnly", "a=***; Path=/; HttpOnly"),
            ("Set-Cookie", "a", "***"),
            ("X-Api-Key", "1", "***"),
            ("X-Auth-Token", "1", "***"),
            ("Location", "https://a.test/?token=1", "https://a.test/?token=***"),
            ("Idempotency-Key", "1", "1"),
            ("Accept", "text/html;token=1", "text/html;token=1"),
        ],
    )
    def test_a_header(self, name, value, masked):
        """Schemes and the names of cookies stay."""
        assert masked == _explain.mask_header(name, value)

    @pytest.mark.parametrize(
        ("body", "masked"),
        [
            ('{"a": 1}', '{"a": 1}'),
            ('{"password": "1", "a":  2}', '{"password": "***", "a": 2}'),
            ('[{"inner": {"accessToken": "1"}}]', '[{"inner": {"accessToken": "***"}}]'),
            ('{"key": "1", "api_key": null}', '{"key": "1", "api_key": null}'),
            ('{"next_page_token": "1"}', '{"next_page_token": "1"}'),
            ('{"secret": {"a": 1}}', '{"secret": "***"}'),
            ('{"url": "https://ada:pw@a.test/?sig=1"}', '{"url": "https://***@a.test/?sig=***"}'),
            ('{"token": "1"}\n{"token": 2}', '{"token": "***"}\n{"token": "***"}'),
            ('{"token": "cut of', '{"token": "***"'),
            ("user=ada&password=1", "user=ada&password=***"),
            ("password=a+b%20c", "password=***"),
            ("see https://a.test/?token=1 there", "see https://a.test/?token=*** there"),
            ("password is 1", "password is 1"),
        ],
    )
    def test_a_body(self, body, masked):
        """JSON, also lines of it and what is cut; forms; URLs in text."""
        assert masked == mask_body(body)

    @pytest.mark.parametrize(
        ("name", "is_secret"),
        [("token", True), ("pageToken", False), ("next_token", False), ("sync-token", False)],
    )
    def test_a_place_in_a_listing_is_no_secret(self, name, is_secret):
        """It is what one looks for when a page is missing."""
        assert ("***" if is_secret else "1") == mask_value(name, "1")


class TestBodyExcerpt:
    """As much of a body as a text can bear."""

    @pytest.mark.parametrize(
        ("body", "content_type", "expected"),
        [
            (b"", "", "no body"),
            (b'{"a": 1}', "application/json", '{"a": 1}'),
            (b"a\r\n\tb", "", "a\r\n\tb"),
            ("é".encode(), "text/plain", "é"),
            (b"\xe9", "text/plain; charset=latin-1", "é"),
            (b"\xe9", 'text/plain; CHARSET="ISO-8859-1"', "é"),
            (b"\xe9", "text/plain", "1 byte of text/plain: e9"),
            (b"a", "text/plain; charset=none-such", "1 byte of text/plain: 61"),
            (b"\xff\xfe", "", "2 bytes, binary: ff fe"),
            (b"\x1b[31m", "", "5 bytes, binary: 1b 5b 33 31 6d"),
            (bytes(17), "image/png", f"17 bytes of image/png: {'00 ' * 16}..."),
            (b"x" * 500, "", "x" * 500),
            (b"x" * 501, "", "x" * 500 + "... (501 bytes in all)"),
        ],
    )
    def test_what_is_shown(self, body, content_type, expected):
        """Text as it is, long text cut, binary as such."""
        assert expected == _explain.body_excerpt(body, content_type)

    def test_another_limit(self):
        """Counted in characters; the size is in bytes."""
        assert _explain.body_excerpt("éé".encode(), limit=1) == "é... (4 bytes in all)"
