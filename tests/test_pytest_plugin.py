"""The pytest plugin: fixture, marker, ini options, guard and report, in a pytest of its own."""

from __future__ import annotations

import sys
from functools import partial
from textwrap import dedent

import aiohttp
import pytest
from pytest_in_pytest import HEAD, NO_HYPOTHESIS, SETTINGS, run_pytest


@pytest.fixture
def run(pytester):
    """Give a function that runs a test file in a pytest of its own, in this process."""
    return partial(run_pytest, pytester)


class TestFixture:
    """The fixture `aiostub` is a stub, started for the test."""

    def test_sync_and_async_tests(self, run):
        """Whoever runs the loop."""
        run(
            """
            import aiostub as library

            def test_sync(aiostub):
                aiostub.get(URL).reply(text="a")
                assert isinstance(aiostub, library.Stub)
                assert run_in_loop(ask()) == "a"

            async def test_async(aiostub):
                aiostub.get(URL).reply(text="a")
                assert await ask() == "a"
                aiostub.assert_called_once_with("GET", URL)
            """
        ).assert_outcomes(passed=2)

    def test_each_test_has_its_own(self, run):
        """Nothing is carried over."""
        run(
            """
            @pytest.mark.parametrize("n", range(3))
            async def test_it(aiostub, n):
                assert not aiostub.calls
                aiostub.get(URL).reply(text=str(n))
                assert await ask() == str(n)
                with pytest.raises(UnmatchedRequest):
                    await ask(URL, "POST")
                aiostub.post(URL).reply()
                await ask(URL, "POST")
                aiostub.reset()
            """,
            ini="aiostub_strict = false",
        ).assert_outcomes(passed=3)

    def test_the_patch_is_gone_afterwards(self, run):
        """Also when the test failed."""
        run(
            """
            original = aiohttp.ClientSession._request

            def test_failing(aiostub):
                assert aiohttp.ClientSession._request is not original
                raise ValueError

            def test_without():
                assert aiohttp.ClientSession._request is original
            """
        ).assert_outcomes(failed=1, passed=1)

    def test_other_fixtures_may_ask_for_it(self, run):
        """It is the same one, and they may use it in their teardown."""
        run(
            """
            @pytest.fixture
            def users(aiostub):
                return aiostub.get(URL).reply(text="users")

            @pytest.fixture
            async def client(aiostub):
                async with aiohttp.ClientSession() as session:
                    yield session
                    aiostub.delete(URL).reply()
                    async with session.delete(URL):
                        pass

            async def test_it(client, users, aiostub):
                async with client.get(URL) as response:
                    assert await response.text() == "users"
                assert users.calls == aiostub.calls
            """
        ).assert_outcomes(passed=1)

    def test_it_is_listed(self, run):
        """With its marker, for --strict-markers."""
        result = run("def test_it(aiostub): pass", "--fixtures")
        result.stdout.fnmatch_lines(["aiostub -- *", "    Start a stub for the test*"])
        result = run("def test_it(aiostub): pass", "--markers")
        result.stdout.fnmatch_lines(["@pytest.mark.aiostub(base_url=None, *, strict=True, *"])


class TestUnsatisfied:
    """What is left over fails the test itself, not its teardown."""

    def test_a_step_that_was_never_served(self, run):
        """The text suggests what one types under pytest."""
        result = run("def test_it(aiostub): aiostub.get(URL).reply()")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*UnsatisfiedStub: 1 route has steps that were never served",
                "*  GET http://api.test/items",
                "*    test_a_step_that_was_never_served.py:*",
                "*    @pytest.mark.aiostub(strict=[F]alse)",
            ]
        )

    def test_an_unmatched_request(self, run):
        """Though the app swallowed it; the suggestion uses the name of the fixture."""
        result = run(
            """
            async def test_it(aiostub):
                with pytest.raises(UnmatchedRequest):
                    await ask()
            """
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*UnsatisfiedStub: 1 request was unmatched",
                '*    aiostub.get("http://api.test/items").reply(200)',
            ]
        )

    def test_an_assertion_in_a_handler(self, run):
        """As any finding at exit."""
        result = run(
            """
            async def test_it(aiostub):
                def check(request):
                    assert request.method == "PUT"
                aiostub.get(URL).handle(check)
                with pytest.raises(AssertionError):
                    await ask()
            """
        )
        result.assert_outcomes(failed=1)

    def test_a_test_that_fails_already_gets_a_note(self, run):
        """On CPython 3.10 a section of the report."""
        result = run(
            """
            def test_it(aiostub):
                aiostub.get(URL).reply()
                raise KeyError("of the test")
            """
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*KeyError: 'of the test'"])
        result.stdout.fnmatch_lines(["*UnsatisfiedStub: 1 route has steps that were never served*"])
        if sys.version_info < (3, 11):
            result.stdout.fnmatch_lines(["*- aiostub -*"])

    def test_a_test_that_fails_by_an_unmatched_request(self, run):
        """It is said once."""
        result = run("async def test_it(aiostub): await ask()")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*UnmatchedRequest: no route answers GET http://api.test/*"])
        result.stdout.no_fnmatch_line("*UnsatisfiedStub*")

    def test_skipped_and_expected_failures_stay_what_they_are(self, run):
        """What is left over makes no failure of them."""
        run(
            """
            def test_skipped(aiostub):
                aiostub.get(URL).reply()
                pytest.skip("not now")

            @pytest.mark.xfail(reason="not yet", strict=True)
            def test_expected(aiostub):
                aiostub.get(URL).reply()
                raise ValueError

            @pytest.mark.xfail(reason="never served", strict=True)
            def test_expected_to_be_left_over(aiostub):
                aiostub.get(URL).reply()
            """
        ).assert_outcomes(skipped=1, xfailed=2)

    def test_what_goes_wrong_in_the_teardown_is_an_error_of_the_teardown(self, run):
        """There the test is over already."""
        result = run(
            """
            @pytest.fixture
            async def client(aiostub):
                yield
                with pytest.raises(UnmatchedRequest):
                    await ask()

            async def test_it(client):
                pass
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*UnsatisfiedStub: 1 request was unmatched"])

    def test_a_test_that_is_run_again(self, run, pytester):
        """As flaky ones are: the second run knows nothing of the first."""
        pytester.makeconftest(
            """
            from _pytest.runner import runtestprotocol

            def pytest_runtest_protocol(item, nextitem):
                runtestprotocol(item, nextitem=nextitem, log=False)
                item._initrequest()
                runtestprotocol(item, nextitem=nextitem, log=True)
                return True
            """
        )
        run(
            """
            runs = []

            async def test_it(aiostub):
                runs.append(1)
                aiostub.get(URL).reply()
                if len(runs) > 1:
                    await ask()
            """
        ).assert_outcomes(passed=1)


class TestReport:
    """The report of a failing test has the timeline of its calls."""

    def test_the_calls_are_shown(self, run):
        """In a section of their own."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL).reply(503)
                await ask()
                raise ValueError
            """
        )
        result.stdout.fnmatch_lines(
            [
                "*- aiostub calls -*",
                "1 call in *",
                "  +0 ms  GET  http://api.test/items  503  *  GET http://api.test/items",
            ]
        )

    def test_also_where_the_stub_itself_fails_the_test(self, run):
        """There they are wanted most."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL).reply().times(2)
                await ask()
            """
        )
        result.stdout.fnmatch_lines(["*- aiostub calls -*", "1 call in *"])

    def test_secrets_are_masked(self, run):
        """A report is read by others."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL + "?api_key=hush&page=1").reply()
                await ask(URL + "?api_key=hush&page=1")
                raise ValueError
            """,
            "--tb=short",
        )
        result.stdout.fnmatch_lines(["  +0 ms  GET  *api_key=[*][*][*]&page=1*"])
        assert "hush" not in result.stdout.str().partition("aiostub calls")[2]

    @pytest.mark.parametrize("body", ["pass", "pytest.skip()", "assert not aiostub.calls"])
    def test_a_test_that_does_not_fail_has_none(self, run, body):
        """There is nothing to explain."""
        result = run(f"def test_it(aiostub): {body}", "-rA")
        result.stdout.no_fnmatch_line("*aiostub calls*")

    def test_a_test_without_the_fixture_has_none(self, run):
        """It has no calls to show."""
        result = run("def test_it(): raise ValueError")
        result.stdout.no_fnmatch_line("*aiostub calls*")


class TestMarker:
    """`@pytest.mark.aiostub(...)` configures the fixture; the nearest wins, by argument."""

    def test_each_argument(self, run):
        """Those of a stub."""
        run(
            """
            @pytest.mark.aiostub(strict=False)
            def test_strict(aiostub):
                aiostub.get(URL).reply()

            @pytest.mark.aiostub("http://api.test/v1/")
            async def test_base_url_by_position(aiostub):
                aiostub.get("users").reply(text="users")
                assert await ask("http://api.test/v1/users") == "users"

            @pytest.mark.aiostub(base_url="http://api.test/v1/")
            async def test_base_url_by_name(aiostub):
                aiostub.get("users").reply(text="users")
                assert await ask("http://api.test/v1/users") == "users"

            @pytest.mark.aiostub(passthrough=["127.0.0.1"])
            async def test_passthrough(aiostub):
                assert await with_real_server(ask) == "real"

            @pytest.mark.aiostub(passthrough="127.0.0.1")
            async def test_one_rule(aiostub):
                assert await with_real_server(ask) == "real"

            @pytest.mark.aiostub(unmatched="passthrough")
            async def test_unmatched(aiostub):
                assert await with_real_server(ask) == "real"
            """
        ).assert_outcomes(passed=6)

    def test_function_class_and_module(self, run):
        """What the nearest does not say, the next one does."""
        run(
            """
            pytestmark = pytest.mark.aiostub(strict=False, passthrough=["127.0.0.1"])

            async def test_of_the_module(aiostub):
                aiostub.get(URL).reply()
                assert await with_real_server(ask) == "real"

            @pytest.mark.aiostub(passthrough=[])
            class TestClass:
                async def test_of_the_class(self, aiostub):
                    aiostub.get(URL).reply()
                    with pytest.raises(UnmatchedRequest):
                        await with_real_server(ask)

                @pytest.mark.aiostub(passthrough=["127.0.0.1"])
                async def test_of_the_function(self, aiostub):
                    aiostub.get(URL).reply()
                    assert await with_real_server(ask) == "real"

                @pytest.mark.aiostub(strict=True)
                async def test_strict_again(self, aiostub):
                    aiostub.get(URL).reply()

            @pytest.mark.aiostub(passthrough=[])
            @pytest.mark.aiostub("http://api.test/v1/", passthrough=["127.0.0.1"])
            async def test_two_on_one_function(aiostub):
                aiostub.get("users").reply()
                await ask("http://api.test/v1/users")
                assert await with_real_server(ask) == "real"
            """
        ).assert_outcomes(passed=4, failed=1)

    def test_a_parameter_set_may_be_marked(self, run):
        """It alone."""
        run(
            """
            @pytest.mark.parametrize(
                "n", [1, pytest.param(2, marks=pytest.mark.aiostub(strict=False))]
            )
            def test_it(aiostub, n):
                aiostub.get(URL).reply()
            """
        ).assert_outcomes(passed=1, failed=1)

    WRONG = (
        ("strickt=False", "*pytest.mark.aiostub does not take 'strickt'; it is aiostub(base_url=*"),
        ("'http://a.test/', 5", "*pytest.mark.aiostub does not take 5; it is aiostub(base_url=*"),
        ("param='web'", "*pytest.mark.aiostub does not take 'param'; it is aiostub(base_url=*"),
        ("unmatched='maybe'", "*unmatched: expected 'error' or 'passthrough', got 'maybe'"),
        ("'/relative'", "*base_url: expected an absolute URL, got '/relative'"),
        ("False", "*base_url: expected a str or a yarl.URL, got False"),
    )

    @pytest.mark.parametrize(("arguments", "text"), WRONG)
    def test_wrong_arguments(self, run, arguments, text):
        """An error of the setup that names them."""
        result = run(f"@pytest.mark.aiostub({arguments})\ndef test_it(aiostub): pass")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([text])


class TestIni:
    """`aiostub_strict` and `aiostub_passthrough` hold for the whole run."""

    def test_strict(self, run):
        """A marker is nearer."""
        run(
            """
            def test_lenient(aiostub):
                aiostub.get(URL).reply()

            @pytest.mark.aiostub(strict=True)
            def test_strict(aiostub):
                aiostub.get(URL).reply()
            """,
            ini="aiostub_strict = false",
        ).assert_outcomes(passed=1, failed=1)

    def test_rules_that_let_through(self, run):
        """One rule a line."""
        run(
            """
            async def test_it(aiostub):
                assert await with_real_server(ask) == "real"

            @pytest.mark.aiostub(passthrough=["other.test"], strict=False)
            async def test_a_marker_is_nearer(aiostub):
                with pytest.raises(UnmatchedRequest):
                    await with_real_server(ask)
            """,
            ini="aiostub_passthrough =\n    https://*.internal:8443/health\n    127.0.0.1\n",
        ).assert_outcomes(passed=2)

    def test_a_rule_that_is_none(self, run):
        """An error of each test that asks for the fixture."""
        result = run("def test_it(aiostub): pass", ini="aiostub_passthrough = http://[")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*RouteError: *"])


class TestGuard:
    """With `aiostub_guard`, nothing leaves the process unless something says so."""

    def test_a_request_without_a_stub(self, run):
        """An UnmatchedRequest that names the ini option."""
        result = run("async def test_it(): await ask()", ini="aiostub_guard = true")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*UnmatchedRequest: no stub is started to answer GET http://api.test/items",
                "*and the ini option aiostub_guard = true lets nothing pass through",
                "*To fix it, answer it in a test with the fixture aiostub:",
                '*    aiostub.get("http://api.test/items").reply(200)',
                "*or let it pass through, by the ini file:",
                "*    aiostub_passthrough = api.test",
            ]
        )

    def test_without_it_requests_go_their_way(self, run):
        """To the real server."""
        run("async def test_it(): assert await with_real_server(ask) == 'real'").assert_outcomes(
            passed=1
        )

    def test_what_may_pass(self, run):
        """By the ini option, by a stub, or because it is a test server."""
        source = """
            async def test_by_the_option():
                assert await with_real_server(ask) == "real"

            async def test_by_a_stub(aiostub):
                aiostub.get(URL).reply(text="stub")
                assert await ask() == "stub"

            async def test_by_a_rule_of_a_stub(aiostub):
                aiostub.passthrough("127.0.0.1")
                assert await with_real_server(ask) == "real"

            async def test_because_it_is_a_test_server():
                async def answer(request):
                    return web.Response(text="test server")
                app = web.Application()
                app.router.add_get("/", answer)
                async with test_utils.TestServer(app) as server:
                    assert await ask(server.make_url("/")) == "test server"
        """
        ini = "aiostub_guard = true\n"
        run(source, ini=f"{ini}aiostub_passthrough = 127.0.0.1").assert_outcomes(passed=4)
        run(source, ini=ini).assert_outcomes(passed=3, failed=1)

    def test_a_swallowed_request_of_a_test_without_a_stub(self, run):
        """Nobody is there to raise it again."""
        run(
            """
            async def test_it():
                with pytest.raises(UnmatchedRequest):
                    await ask()
            """,
            ini="aiostub_guard = true",
        ).assert_outcomes(passed=1)

    def test_what_a_fixture_leaves_unmatched_counts_against_it(self, run):
        """The text is that of the stub, not of the guard."""
        result = run("async def test_it(aiostub): await ask()", ini="aiostub_guard = true")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*UnmatchedRequest: no route answers GET http://api.test/*"])

    def test_it_stands_while_modules_are_imported(self, run):
        """The whole run."""
        result = run(
            """
            run_in_loop(ask())

            def test_it():
                pass
            """,
            ini="aiostub_guard = true",
        )
        result.stdout.fnmatch_lines(["*UnmatchedRequest: no stub is started to answer GET *"])

    def test_it_keeps_nothing_of_what_passes(self, run):
        """A long run would pile it up, and nobody reads it."""
        run(
            """
            import gc, weakref

            async def send(url):
                async with aiohttp.ClientSession() as session, session.get(url) as response:
                    assert await response.text() == "real"
                    return weakref.ref(response)

            async def test_it():
                response = await with_real_server(send)
                gc.collect()
                assert response() is None
            """,
            ini="aiostub_guard = true\naiostub_passthrough = 127.0.0.1",
        ).assert_outcomes(passed=1)

    def test_it_is_taken_down_after_the_run(self, run):
        """What pytest was started from finds aiohttp as it was."""
        before = aiohttp.ClientSession._request
        run("def test_it(): pass", ini="aiostub_guard = true").assert_outcomes(passed=1)
        assert before is aiohttp.ClientSession._request


class TestUnittest:
    """unittest classes under pytest."""

    def test_by_an_autouse_fixture(self, run):
        """Sync and async cases."""
        run(
            """
            class Stubbed:
                @pytest.fixture(autouse=True)
                def take_stub(self, aiostub):
                    self.stub = aiostub

            class TestSync(Stubbed, unittest.TestCase):
                def test_it(self):
                    self.stub.get(URL).reply(text="a")
                    self.assertEqual("a", run_in_loop(ask()))

            class TestAsync(Stubbed, unittest.IsolatedAsyncioTestCase):
                async def test_it(self):
                    self.stub.get(URL).reply(text="a")
                    self.assertEqual("a", await ask())
            """
        ).assert_outcomes(passed=2)

    def test_what_is_left_over_fails_the_test(self, run):
        """It alone, and in its call phase; one that fails already keeps its exception."""
        result = run(
            """
            class TestCase(unittest.TestCase):
                @pytest.fixture(autouse=True)
                def take_stub(self, aiostub):
                    self.stub = aiostub

                def test_left_over(self):
                    self.stub.get(URL).reply()

                def test_failing(self):
                    self.stub.get(URL).reply()
                    self.fail("of the test")

                def test_satisfied(self):
                    pass

                def test_skipped(self):
                    self.stub.get(URL).reply()
                    self.skipTest("not now")
            """
        )
        result.assert_outcomes(passed=1, failed=2, skipped=1)
        result.stdout.fnmatch_lines(["*AssertionError: of the test"])

    def test_the_marker_on_a_case(self, run):
        """As on any class."""
        run(
            """
            @pytest.mark.aiostub(strict=False)
            @pytest.mark.usefixtures("aiostub")
            class TestCase(unittest.IsolatedAsyncioTestCase):
                async def test_it(self):
                    with self.assertRaises(UnmatchedRequest):
                        await ask()
            """
        ).assert_outcomes(passed=1)


class TestRunners:
    """It needs no event loop, so it works with all that bring one."""

    SCOPED = """
        @pytest.mark.asyncio(loop_scope="{scope}")
        class TestClass:
            session = None

            async def test_one(self, aiostub):
                type(self).session = aiohttp.ClientSession()
                aiostub.get(URL).reply(text="one")
                async with self.session.get(URL) as response:
                    assert await response.text() == "one"
                if "{scope}" == "function":
                    await self.session.close()

            async def test_two(self, aiostub):
                if "{scope}" == "function":
                    type(self).session = aiohttp.ClientSession()
                aiostub.get(URL).reply(text="two")
                async with self.session.get(URL) as response:
                    assert await response.text() == "two"
                await self.session.close()
    """

    @pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
    @pytest.mark.parametrize("mode", ["auto", "strict"])
    def test_pytest_asyncio(self, run, pytester, mode, scope):
        """In every mode and loop scope; a session may live on from test to test."""
        (pytester.path / "__init__.py").touch()
        run(self.SCOPED.format(scope=scope), mode=mode).assert_outcomes(passed=2)

    def test_pytest_asyncio_strict_with_async_fixtures(self, run):
        """A session of a wider scope than the stub."""
        run(
            """
            import pytest_asyncio

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            @pytest.mark.asyncio(loop_scope="module")
            @pytest.mark.parametrize("n", range(3))
            async def test_it(aiostub, session, n):
                aiostub.get(URL).reply(text=str(n))
                async with session.get(URL) as response:
                    assert await response.text() == str(n)
            """,
            mode="strict",
        ).assert_outcomes(passed=3)

    def test_anyio(self, run):
        """Its asyncio backend."""
        run(
            """
            pytestmark = pytest.mark.anyio

            @pytest.fixture
            def anyio_backend():
                return "asyncio"

            @pytest.fixture
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            async def test_it(aiostub, session):
                aiostub.get(URL).reply(text="a")
                async with session.get(URL) as response:
                    assert await response.text() == "a"

            async def test_left_over(aiostub):
                aiostub.get(URL).reply()
            """,
            mode="strict",
        ).assert_outcomes(passed=1, failed=1)

    def test_pytest_aiohttp(self, run):
        """Its client reaches its server; what the app asks for is stubbed."""
        run(
            """
            async def proxied(request):
                return web.Response(text="app got " + await ask())

            async def test_it(aiostub, aiohttp_client):
                app = web.Application()
                app.router.add_get("/", proxied)
                client = await aiohttp_client(app)
                aiostub.get(URL).reply(text="a")
                async with client.get("/") as response:
                    assert await response.text() == "app got a"
                assert [True, False] == [call.passed_through for call in aiostub.calls]
            """
        ).assert_outcomes(passed=1)

    def test_xdist(self, pytester):
        """In its workers, with guard and report."""
        pytester.makeini(SETTINGS.format(mode="auto") + "aiostub_guard = true\n")
        pytester.makepyfile(
            HEAD
            + dedent(
                """
                @pytest.mark.parametrize("n", range(4))
                async def test_it(aiostub, n):
                    aiostub.get(URL).reply(text="a")
                    assert await ask() == "a"

                async def test_left_over(aiostub):
                    aiostub.get(URL).reply(503).times(2)
                    await ask()

                async def test_guarded():
                    await ask()
                """
            )
        )
        result = pytester.runpytest_subprocess(*NO_HYPOTHESIS, "-n", "1", "-p", "no:randomly")
        result.assert_outcomes(passed=4, failed=2)
        result.stdout.fnmatch_lines(["*- aiostub calls -*"])


class TestLoading:
    """Every run of pytest pays for the plugin."""

    @pytest.mark.parametrize("ini", ["", "aiostub_strict = false\naiostub_passthrough = a.test"])
    def test_it_does_not_import_aiohttp(self, pytester, monkeypatch, ini):
        """Nor the rest of this package, until a test asks for the fixture or starts a stub."""
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makeini(f"[pytest]\n{ini}")
        pytester.makepyfile(
            """
            import sys

            def test_without():
                assert "aiohttp" not in sys.modules
                loaded = [name for name in sys.modules if name.startswith("aiostub._")]
                assert ["aiostub._kept", "aiostub._watch"] == loaded  # where it waits for a stub

            def test_no_hook_runs_with_a_test(request):
                assert not request.config.pluginmanager.hasplugin("aiostub-hooks")

            def test_with(aiostub):
                assert "aiohttp" in sys.modules
            """
        )
        options = ("-p", "aiostub.pytest_plugin", "-k")
        pytester.runpytest_subprocess(*options, "not test_with or test_without").assert_outcomes(
            passed=2, deselected=1
        )
        pytester.runpytest_subprocess(*options, "test_with and not test_without").assert_outcomes(
            passed=1, deselected=2
        )

    def test_it_is_found_by_pytest(self, pytester):
        """Installing the package is all."""
        pytester.makeini(SETTINGS.format(mode="auto"))
        pytester.makepyfile("def test_it(aiostub): pass")
        pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)

    def test_it_can_be_left_out(self, pytester):
        """By its name."""
        pytester.makeini(SETTINGS.format(mode="auto"))
        pytester.makepyfile("def test_it(aiostub): pass")
        result = pytester.runpytest_subprocess(*NO_HYPOTHESIS, "-p", "no:aiostub")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*fixture 'aiostub' not found"])
