"""The plugin beside those that people have, each in a real process of its own."""

from __future__ import annotations

import re
import sys
from functools import partial
from textwrap import dedent

import pytest
from pytest_in_pytest import HEAD, NO_HYPOTHESIS, REAL_SERVER, SETTINGS, run_pytest


@pytest.fixture
def run(pytester):
    """Give a function that runs a test file in a process of its own."""

    def run(source, *options, ini="", mode="auto", conftest=""):
        pytester.makepyfile(HEAD + REAL_SERVER + dedent(source))
        pytester.makeconftest(dedent(conftest))
        pytester.makeini(SETTINGS.format(mode=mode) + dedent(ini))
        # looptime makes an event loop for sync tests that nobody closes.
        without = (*NO_HYPOTHESIS, "-p", "no:cacheprovider", "-p", "no:looptime_plugin")
        return pytester.runpytest_subprocess(*without, *options)

    return run


@pytest.fixture
def run_here(pytester):
    """Give a function that runs a test file in this process."""
    return partial(run_pytest, pytester)


# A bit of everything: one that passes, one whose step is left over, one whose request is unmatched.
EVERYTHING = """
    @pytest.mark.parametrize("n", range(6))
    async def test_passing(aiostub, n):
        aiostub.get(URL).reply(text=str(n))
        assert await ask() == str(n)

    async def test_left_over(aiostub):
        aiostub.get(URL).reply()

    async def test_unmatched(aiostub):
        with pytest.raises(UnmatchedRequest):
            await ask()

    def test_sync(aiostub):
        aiostub.get(URL).reply(text="a")
        assert run_in_loop(ask()) == "a"

    async def test_guarded():
        with pytest.raises(UnmatchedRequest, match="aiostub_guard = true"):
            await ask()

    class TestCase(unittest.IsolatedAsyncioTestCase):
        @pytest.fixture(autouse=True)
        def take_stub(self, aiostub):
            self.stub = aiostub

        async def test_passing(self):
            self.stub.get(URL).reply(text="a")
            self.assertEqual("a", await ask())

        async def test_left_over(self):
            self.stub.get(URL).reply()
"""


@pytest.mark.parametrize(
    "options",
    [
        "-p hypothesispytest",
        "-n 2 --dist loadfile",
        "-p no:randomly -p no:xdist -p no:aiohttp -p no:logging",
        "-s --tb=native --setup-show --junitxml=report.xml --import-mode=importlib",
    ],
)
def test_options(run, options):
    """Whatever pytest is told, the same tests pass and fail."""
    result = run(EVERYTHING, *options.split(), ini="aiostub_guard = true")
    result.assert_outcomes(passed=9, failed=3)


class TestOtherPlugins:
    """Each does its own work, and the plugin its."""

    def test_rerunfailures(self, run):
        """Each run has a stub of its own, and is judged by itself."""
        pytest.importorskip("pytest_rerunfailures")
        run(
            """
            runs = []

            async def test_it(aiostub):
                runs.append(1)
                assert not aiostub.calls
                aiostub.get(URL).reply()
                if len(runs) == 3:
                    await ask()

            @pytest.fixture
            def unsteady():
                runs.append(1)
                assert len(runs) > 4

            def test_whose_setup_fails_at_first(unsteady, aiostub):
                pass
            """,
            "--reruns=2",
            "-p",
            "no:randomly",
        ).stdout.fnmatch_lines(["*2 passed, 3 rerun*"])

    def test_socket(self, run):
        """Nothing of ours opens a socket."""
        pytest.importorskip("pytest_socket")
        result = run(
            EVERYTHING, "--disable-socket", "--allow-unix-socket", ini="aiostub_guard = true"
        )
        result.assert_outcomes(passed=9, failed=3)

    def test_socket_stops_what_the_guard_lets_through(self, run):
        """Each has its own rules."""
        pytest.importorskip("pytest_socket")
        result = run(
            """
            import pytest_socket

            async def test_it():
                with pytest.warns(UserWarning, match="tried to use socket"):
                    with pytest.raises((aiohttp.ClientError, pytest_socket.SocketBlockedError)):
                        await ask("http://127.0.0.1:9/")
            """,
            "--disable-socket",
            "--allow-unix-socket",
            ini="aiostub_guard = true\naiostub_passthrough = 127.0.0.1",
        )
        result.assert_outcomes(passed=1)

    def test_timeout(self, run):
        """A test that hangs is explained, too."""
        pytest.importorskip("pytest_timeout")
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL).hang()
                await ask()
            """,
            "--timeout=0.5",
            "--timeout-method=signal",
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*Timeout*", "*- aiostub calls -*", "*GET  http://api.test/*"])

    def test_subtests(self, run):
        """A subtest that fails is explained; the check is made when the test is over."""
        try:
            from pytest import Subtests as _  # noqa: F401, PT013
        except ImportError:
            pytest.importorskip("pytest_subtests")
        result = run(
            """
            async def test_it(aiostub, subtests):
                aiostub.get(URL).reply(text="a").times(2)
                with subtests.test("one"):
                    assert await ask() == "b"
                with subtests.test("two"):
                    assert await ask() == "a"

            def test_left_over(aiostub, subtests):
                aiostub.get(URL).reply()
                with subtests.test("one"):
                    pass

            @pytest.mark.usefixtures("aiostub")
            class TestCase(unittest.TestCase):
                def test_it(self):
                    with self.subTest("one"):
                        run_in_loop(ask())
                    with self.subTest("two"):
                        pass
            """,
            "-p",
            "no:randomly",
        )
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        out = result.stdout.str()
        assert "assert 'a' == 'b'" in out
        assert "1 call in" in out
        assert "UnsatisfiedStub: 1 route has steps that were never served" in out
        assert "no route answers GET http://api.test/items" in out
        assert "INTERNALERROR" not in out

    def test_anyio(self, run):
        """Its runner runs the test; what is left over fails it."""
        result = run(
            """
            pytestmark = pytest.mark.anyio

            @pytest.fixture(scope="module")
            def anyio_backend():
                return "asyncio"

            @pytest.fixture(scope="module")
            async def session(anyio_backend):
                async with aiohttp.ClientSession() as session:
                    yield session

            @pytest.mark.parametrize("n", range(2))
            async def test_it(session, aiostub, n):
                aiostub.get(URL).reply(text="a")
                async with session.get(URL) as response:
                    assert await response.text() == "a"

            async def test_left_over(aiostub):
                aiostub.get(URL).reply()

            async def test_unmatched(aiostub):
                await ask()
            """,
            mode="strict",
        )
        result.assert_outcomes(passed=2, failed=2)

    def test_aiohttp(self, run):
        """The app under test is real, its upstreams are stubs, with the guard, too."""
        run(
            """
            async def proxied(request):
                return web.Response(text="app got " + await ask())

            @pytest.fixture
            async def client(aiohttp_client):
                app = web.Application()
                app.router.add_get("/", proxied)
                return await aiohttp_client(app)

            @pytest.fixture
            async def raw(aiohttp_server):
                app = web.Application()
                app.router.add_get("/", proxied)
                return await aiohttp_server(app)

            async def test_it(client, aiostub):
                aiostub.get(URL).reply(text="a")
                async with client.get("/") as response:
                    assert await response.text() == "app got a"

            async def test_the_other_way_round(aiostub, client):
                aiostub.get(URL).reply(text="a")
                async with client.get("/") as response:
                    assert await response.text() == "app got a"

            async def test_a_server(raw, aiostub):
                aiostub.get(URL).reply(text="a")
                assert await ask(raw.make_url("/")) == "app got a"

            async def test_an_upstream_that_is_unmatched(client, aiostub):
                async with client.get("/") as response:
                    assert response.status == 500

            async def test_guarded(client):
                async with client.get("/") as response:
                    assert response.status == 500
            """,
            ini="aiostub_guard = true",
        ).assert_outcomes(passed=4, failed=1)


class TestFixtures:
    """Who asks for whom, in which scope and order."""

    def test_a_stub_of_the_whole_run_with_overlays(self, run_here):
        """The fixture's routes are asked first; what it does not know, the other answers."""
        run_here(
            """
            @pytest.fixture(scope="session", autouse=True)
            def everywhere():
                from aiostub import Stub
                with Stub() as stub:
                    stub.get(URL).reply(text="everywhere").always()
                    yield stub

            async def test_without():
                assert await ask() == "everywhere"

            async def test_overlay(aiostub, everywhere):
                aiostub.get(URL).reply(text="overlay")
                assert await ask() == "overlay"
                assert len(everywhere.calls.filter("GET", URL)) >= 0
                assert len(aiostub.calls) == 1

            async def test_what_it_does_not_know(aiostub):
                assert await ask() == "everywhere"
                assert not aiostub.calls

            async def test_used_up(aiostub):
                aiostub.get(URL).reply(text="overlay")
                assert await ask() == "overlay"
                assert await ask() == "everywhere"
            """
        ).assert_outcomes(passed=4)

    def test_classes_modules_and_parameters(self, run_here):
        """Fixtures of any scope stand beside it; those of a test may ask for it."""
        run_here(
            """
            import pytest_asyncio

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            @pytest.fixture(params=[503, 200])
            def api(request, aiostub):
                aiostub.get(URL).reply(request.param)
                return aiostub

            @pytest.fixture
            def closed_after(aiostub):
                yield
                assert repr(aiostub).startswith("<Stub started")

            @pytest.fixture
            def closed_before():
                from aiostub._boundary.interception import started
                yield
                assert not started()

            @pytest.mark.asyncio(loop_scope="module")
            class TestClass:
                @pytest.fixture(scope="class", autouse=True)
                @classmethod
                def of_class(cls):
                    yield

                async def test_it(self, closed_before, session, api, closed_after, request):
                    async with session.get(URL) as response:
                        assert response.status in (200, 503)
                    assert request.getfixturevalue("aiostub") is api

            async def test_asked_for_late(request):
                stub = request.getfixturevalue("aiostub")
                stub.get(URL).reply(text="late")
                assert await ask() == "late"

            async def test_asked_for_late_and_left_over(request):
                request.getfixturevalue("aiostub").get(URL).reply()
            """
        ).assert_outcomes(passed=3, failed=1)

    def test_a_wider_fixture_cannot_ask_for_it(self, run_here):
        """pytest says so."""
        result = run_here(
            """
            @pytest.fixture(scope="module")
            def wide(aiostub):
                pass

            def test_it(wide):
                pass
            """
        )
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*ScopeMismatch*"])

    def test_one_of_the_same_name_nearer_by(self, run_here):
        """A suite may wrap it."""
        run_here(
            """
            @pytest.fixture
            def aiostub(aiostub):
                aiostub.get(URL).reply(text="wrapped").optional()
                return aiostub

            async def test_it(aiostub):
                assert await ask() == "wrapped"

            async def test_left_over(aiostub):
                aiostub.post(URL).reply()
            """
        ).assert_outcomes(passed=1, failed=1)

    def test_outcomes_inside_of_a_test(self, run_here):
        """What ends a test early is no failure of ours."""
        result = run_here(
            """
            def test_skip(aiostub):
                aiostub.get(URL).reply()
                pytest.skip()

            def test_imperative_xfail(aiostub):
                aiostub.get(URL).reply()
                pytest.xfail()

            @pytest.mark.xfail(raises=ValueError, strict=True)
            def test_another_error_than_expected(aiostub):
                aiostub.get(URL).reply()

            @pytest.mark.xfail(strict=True)
            def test_xfail(aiostub):
                aiostub.get(URL).reply()

            @pytest.mark.xfail(strict=True)
            def test_xpass(aiostub):
                pass
            """,
            "-rA",
        )
        result.assert_outcomes(skipped=1, xfailed=2, failed=2)

    def test_an_exit_in_the_middle(self, run):
        """The run ends as it was told to."""
        result = run(
            """
            def test_it(aiostub):
                aiostub.get(URL).reply()
                pytest.exit("enough", returncode=7)
            """
        )
        assert 7 == result.ret
        assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()

    def test_an_interrupt(self, run):
        """The same."""
        result = run("def test_it(aiostub): raise KeyboardInterrupt")
        assert pytest.ExitCode.INTERRUPTED == result.ret
        assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


GUARD = "aiostub_guard = true\n"


class TestGuard:
    """Nothing leaves the process, wherever it comes from."""

    TEXT = (
        "*no stub is started to answer GET http://api.test/items",
        "*and the ini option aiostub_guard = true lets nothing pass through",
    )

    def test_it_names_the_test_and_the_line(self, run_here):
        """And what to type."""
        result = run_here("async def test_it(): await ask()", ini=GUARD)
        result.stdout.fnmatch_lines(
            [
                *self.TEXT,
                "*during test_it_names_the_test_and_the_line.py::test_it (call)",
                "*sent at test_it_names_the_test_and_the_line.py:10",
                '*    aiostub.get("http://api.test/items").reply(200)',
                "*    aiostub_passthrough = api.test",
            ]
        )

    def test_the_import_of_a_conftest(self, run, monkeypatch):
        """Before anything else."""
        monkeypatch.delenv("PYTEST_CURRENT_TEST")  # ours
        result = run(
            "def test_it(): pass",
            ini=GUARD,
            conftest="""
            import asyncio, aiohttp

            async def ask():
                async with aiohttp.ClientSession() as session:
                    await session.get("http://api.test/items")

            asyncio.run(ask())
            """,
        )
        said = result.stdout.str() + result.stderr.str()
        assert "no stub is started to answer GET http://api.test/items" in said
        assert "while no test was running" in said
        assert re.search(r"sent at conftest\.py:\d", said)

    def test_the_import_of_a_module(self, run, monkeypatch):
        """Its collection fails."""
        monkeypatch.delenv("PYTEST_CURRENT_TEST")  # ours
        result = run("run_in_loop(ask())\ndef test_it(): pass", ini=GUARD)
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([*self.TEXT, "*while no test was running"])

    def test_a_fixture_of_the_whole_run(self, run_here):
        """With the phase in which it was."""
        result = run_here(
            """
            @pytest.fixture(scope="session", autouse=True)
            def fetched():
                yield run_in_loop(ask())

            def test_it():
                pass
            """,
            ini=GUARD,
        )
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines([*self.TEXT, "*::test_it (setup)"])

    def test_a_background_task_and_a_thread(self, run_here):
        """Whoever sends."""
        result = run_here(
            """
            import threading

            async def test_task():
                await asyncio.gather(asyncio.create_task(ask()))

            def test_thread():
                errors = []

                def work():
                    try:
                        run_in_loop(ask())
                    except BaseException as error:
                        errors.append(error)

                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
                raise errors[0]
            """,
            ini=GUARD,
        )
        result.assert_outcomes(failed=2)
        assert "test_task (call)" in result.stdout.str()
        assert "test_thread (call)" in result.stdout.str()

    @pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
    def test_any_connector(self, run_here):
        """Of aiohttp's, and of the user's."""
        run_here(
            """
            class Own(aiohttp.TCPConnector):
                async def _create_connection(self, *args, **kwargs):
                    raise AssertionError("it left the process")

            class Custom(aiohttp.BaseConnector):
                async def _create_connection(self, *args, **kwargs):
                    raise AssertionError("it left the process")

            class Overriding(aiohttp.BaseConnector):
                async def connect(self, req, traces, timeout):
                    return await super().connect(req, traces, timeout)

            def make(kind):
                return aiohttp.UnixConnector("/nowhere") if kind == "unix" else kind()

            @pytest.mark.parametrize(
                "kind", [Own, Custom, Overriding, aiohttp.TCPConnector, "unix"]
            )
            async def test_it(kind):
                async with aiohttp.ClientSession(connector=make(kind)) as session:
                    with pytest.raises(UnmatchedRequest, match="aiostub_guard"):
                        await session.get(URL)
                    with pytest.raises(UnmatchedRequest, match="aiostub_guard"):
                        await session.ws_connect(URL)
            """,
            ini=GUARD,
        ).assert_outcomes(passed=5)

    def test_in_every_worker(self, run):
        """Under xdist."""
        run("async def test_it(): await ask()", "-n", "1", ini=GUARD).assert_outcomes(failed=1)

    def test_on_the_command_line(self, run_here):
        """As any option."""
        run_here("async def test_it(): await ask()", "-o", "aiostub_guard=true").assert_outcomes(
            failed=1
        )

    def test_a_rule_that_is_none(self, run):
        """The run does not start."""
        result = run("def test_it(): pass", ini=GUARD + "aiostub_passthrough = http://[\n")
        assert pytest.ExitCode.USAGE_ERROR == result.ret
        result.stderr.fnmatch_lines(["*aiostub_passthrough: *"])

    def test_a_stub_without_the_fixture(self, run_here):
        """It answers as ever, and what it does not know is its affair."""
        run_here(
            """
            from aiostub import Stub

            async def test_it():
                with Stub(strict=False) as stub:
                    stub.get(URL).reply(text="a")
                    assert await ask() == "a"
                    with pytest.raises(UnmatchedRequest, match="no route answers"):
                        await ask(method="POST")
            """,
            ini=GUARD,
        ).assert_outcomes(passed=1)
