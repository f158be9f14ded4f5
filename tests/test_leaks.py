"""Leaks: what a test opens and nobody closes is named; what somebody closes is not."""

from __future__ import annotations

import gc
import sys
import time
import weakref

import aiohttp
import pytest
from pytest_in_pytest import NO_HYPOTHESIS, collect, run_pytest

import aiostub
from aiostub import _watch
from aiostub._pytest import leaks as _leaks
from aiostub._pytest.leaks import Sessions
from aiostub._routing.route import Place

# What aiohttp itself says of them is not the subject.
WARN = (
    "-Wdefault::aiostub.LeakWarning",
    "-Wignore::ResourceWarning",
    "-Wignore::pytest.PytestUnraisableExceptionWarning",
)
HEAD = """
async def poll(session, url=URL):
    async with session.get(url) as response:
        await response.read()
"""


@pytest.fixture
def run(pytester):
    """Give a function that runs a test file in a pytest of its own, where leaks are warnings."""

    def run(source, *options, **settings):
        result = run_pytest(pytester, source, *WARN, *options, **settings)
        collect()
        return result

    return run


def leaks(result):
    """Return the text of the leaks that a run has warned of, from below their heading on."""
    lines = result.stdout.str().splitlines()
    starts = [n for n, line in enumerate(lines) if "LeakWarning: " in line]
    found = []
    for start in starts:
        rest = lines[start + 1 :]
        end = next(n for n, line in enumerate(rest) if not line.startswith("    "))
        found.append([line[4:] for line in rest[: end - 1]])  # the last is the source
    return [line for text in found for line in text if not line.startswith("  ")]


def opened_at(result):
    """Return the source of the lines that the leaks were opened at."""
    lines = result.stdout.str().splitlines()
    places = [line.split(" at ")[1] for line in lines if line.startswith("      made at ")]
    places += [line.split(" at ")[1] for line in lines if line.startswith("      sent at ")]
    source = next(iter(result.stdout.str().split("rootdir: ")[1].splitlines()))
    sources = []
    for place in places:
        file, _, line = place.partition(":")
        with open(f"{source}/{file}", encoding="utf-8") as text:  # noqa: PTH123 - of the inner run
            sources.append(text.read().splitlines()[int(line) - 1].strip())
    return sources


class TestSessions:
    """A session that was used under the stub, and that nobody can close any more."""

    def test_one_that_the_test_forgets(self, run):
        """With the line that made it."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL).reply()
                session = aiohttp.ClientSession()
                await session.get(URL)
            """
        )
        result.assert_outcomes(passed=1, warnings=1)
        assert ["ClientSession was never closed"] == leaks(result)
        assert ["session = aiohttp.ClientSession()"] == opened_at(result)

    def test_one_that_was_collected_before_the_test_was_over(self, run):
        """It has got no response, so nothing keeps it alive."""
        result = run(
            """
            async def forget():
                session = aiohttp.ClientSession()
                with pytest.raises(aiohttp.ClientError):
                    await session.get(URL)

            async def test_it(aiostub):
                aiostub.get(URL).fail(aiohttp.ClientConnectorError)
                await forget()
            """
        )
        assert ["ClientSession was never closed"] == leaks(result)
        assert ["session = aiohttp.ClientSession()"] == opened_at(result)

    def test_a_connector(self, run):
        """It is what would have had to be closed."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL).reply()
                connector = aiohttp.TCPConnector()
                session = aiohttp.ClientSession(connector=connector)
                await session.get(URL)
            """
        )
        assert ["TCPConnector was never closed"] == leaks(result)
        assert ["connector = aiohttp.TCPConnector()"] == opened_at(result)

    def test_one_that_a_fixture_forgets(self, run):
        """A fixture belongs to the test."""
        result = run(
            """
            @pytest.fixture
            async def session():
                return aiohttp.ClientSession()

            async def test_it(session, aiostub):
                aiostub.get(URL).reply()
                await session.get(URL)
            """
        )
        assert ["ClientSession was never closed"] == leaks(result)
        assert ["return aiohttp.ClientSession()"] == opened_at(result)

    def test_one_of_a_sync_test(self, run):
        """Its loop is closed with the session open."""
        result = run(
            """
            async def forget():
                session = aiohttp.ClientSession()
                await session.get(URL)

            def test_it(aiostub):
                aiostub.get(URL).reply()
                run_in_loop(forget())
            """
        )
        assert ["ClientSession was never closed"] == leaks(result)

    def test_one_that_the_loop_outlives_is_reported_when_it_is_over(self, run):
        """By the name of the test that made it; until then somebody may close it."""
        result = run(
            """
            KEPT = []

            @pytest.mark.asyncio(loop_scope="class")
            class TestClass:
                async def test_one(self, aiostub):
                    aiostub.get(URL).reply()
                    KEPT.append(aiohttp.ClientSession())
                    await KEPT[0].get(URL)

                async def test_two(self, aiostub):
                    pass
            """
        )
        result.assert_outcomes(passed=2, warnings=1)
        result.stdout.fnmatch_lines(
            [
                "*.py::TestClass::test_two",
                "*LeakWarning: *::test_two has leaked:",
                "    ClientSession was never closed",
                "      made at *.py:*, by *::test_one",
            ]
        )

    def test_one_that_nobody_closes_in_the_whole_run(self, run):
        """Its loop was never closed either."""
        result = run(
            """
            KEPT = []

            async def keep():
                KEPT.append(aiohttp.ClientSession())
                await KEPT[0].get(URL)

            def test_it(aiostub):
                aiostub.get(URL).reply()
                KEPT.append(asyncio.new_event_loop())
                loop = KEPT.pop()
                loop.run_until_complete(keep())
                KEPT.append(loop)

            def test_with_nothing(aiostub):
                pass
            """,
            *NO_HYPOTHESIS,
            *("-p", "no:looptime_plugin"),  # which on CPython 3.12 asks for a loop, and is warned
            method="subprocess",  # here, somebody would have to close it
        )
        result.stdout.fnmatch_lines(
            ["*LeakWarning: the run has leaked:", "    ClientSession was never closed"]
        )


class TestRequests:
    """A request that was begun, and that nobody ends."""

    def test_a_response_that_is_neither_read_nor_released(self, run):
        """A token in its URL is masked."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL + "?token=hush").reply(stream=[b"a", b"b" * 1_000_000])
                async with aiohttp.ClientSession() as session:
                    await session.get(URL + "?token=hush")
            """
        )
        text = "a response was neither read to its end nor released"
        assert [f"{text}: GET http://api.test/items?token=***  200"] == leaks(result)
        assert ['await session.get(URL + "?token=hush")'] == opened_at(result)

    def test_one_whose_session_stays_open(self, run):
        """It is closed by a fixture, after the stub has stopped."""
        result = run(
            """
            @pytest.fixture
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            async def test_it(session, aiostub):
                aiostub.get(URL + "?token=hush").reply(stream=[b"a", b"b" * 1_000_000])
                await session.get(URL + "?token=hush")
            """
        )
        result.assert_outcomes(passed=1, warnings=1)
        text = "a response was neither read to its end nor released"
        assert [f"{text}: GET http://api.test/items?token=***  200"] == leaks(result)
        assert ['await session.get(URL + "?token=hush")'] == opened_at(result)

    def test_a_request_that_still_waits(self, run):
        """With the line that waits, and the route that does not answer."""
        result = run(
            HEAD
            + """
            @pytest.fixture
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            async def test_it(session, aiostub):
                route = aiostub.get(URL).hang()
                aiostub.tasks = asyncio.create_task(poll(session))
                await route.wait_called()
            """.replace("\n            ", "\n")
        )
        result.assert_outcomes(passed=1, warnings=1)
        assert ["a request is still waiting for its response: GET http://api.test/items"] == leaks(
            result
        )
        assert ["async with session.get(url) as response:"] == opened_at(result)
        result.stdout.fnmatch_lines(["      the route is registered at *.py:*"])

    def test_a_handler_that_still_runs(self, run):
        """It is named."""
        result = run(
            HEAD
            + """
            @pytest.fixture
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            async def slow(request):
                await asyncio.sleep(1000)

            async def test_it(session, aiostub):
                route = aiostub.get(URL).handle(slow)
                aiostub.tasks = asyncio.create_task(poll(session))
                await route.wait_called()
            """.replace("\n            ", "\n")
        )
        assert ["handle(slow) is still running, for GET http://api.test/items"] == leaks(result)

    def test_a_task_on_a_loop_that_goes_on(self, run):
        """It was begun by the test itself, so no wider fixture ends it."""
        result = run(
            HEAD
            + """
            import pytest_asyncio
            TASKS = []

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session
                    for task in TASKS:
                        task.cancel()

            @pytest.mark.asyncio(loop_scope="module")
            async def test_it(session, aiostub):
                route = aiostub.get(URL).hang()
                TASKS.append(asyncio.create_task(poll(session)))
                await route.wait_called()

            @pytest.mark.asyncio(loop_scope="module")
            async def test_another():
                pass
            """.replace("\n            ", "\n")
        )
        result.assert_outcomes(passed=2, warnings=1)
        assert ["a request is still waiting for its response: GET http://api.test/items"] == leaks(
            result
        )


class TestFalseAlarms:
    """What somebody closes, or may close later, is no leak."""

    @pytest.mark.parametrize("mode", ["auto", "strict"])
    def test_what_fixtures_close(self, run, mode):
        """Whether they are torn down before the stub stops, or after it."""
        result = run(
            HEAD
            + """
            import pytest_asyncio

            @pytest_asyncio.fixture
            async def before():
                session = aiohttp.ClientSession()
                yield session
                await session.close()

            @pytest_asyncio.fixture
            async def after(aiostub):
                async with aiohttp.ClientSession() as session:
                    yield session

            @pytest_asyncio.fixture
            async def ender():
                tasks = []
                yield tasks
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            @pytest.mark.asyncio
            async def test_sessions(before, aiostub, after):
                aiostub.get(URL).reply().always()
                await poll(before)
                await poll(after)

            @pytest.mark.asyncio
            async def test_tasks(before, ender, aiostub):
                route = aiostub.get(URL).hang()
                ender.append(asyncio.create_task(poll(before)))
                await route.wait_called()

            @pytest.mark.asyncio
            async def test_tasks_ended_before_the_stub_stops(before, aiostub, ender):
                route = aiostub.get(URL).hang()
                ender.append(asyncio.create_task(poll(before)))
                await route.wait_called()

            @pytest_asyncio.fixture
            async def response(aiostub, before):
                aiostub.get(URL).reply(stream=[b"a", b"b" * 1_000_000])
                response = await before.get(URL)
                yield response
                response.close()

            @pytest.mark.asyncio
            async def test_responses(response):
                assert response.status == 200

            @pytest_asyncio.fixture
            async def poller():
                async with aiohttp.ClientSession() as session:
                    ready = asyncio.Event()

                    async def go_on():
                        await ready.wait()
                        await poll(session)

                    task = asyncio.create_task(go_on())
                    yield ready
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

            @pytest.mark.asyncio
            async def test_a_poller_that_knows_nothing_of_the_stub(poller, aiostub):
                route = aiostub.get(URL).hang()
                poller.set()
                await route.wait_called()
            """.replace("\n            ", "\n"),
            mode=mode,
        )
        result.assert_outcomes(passed=5)
        assert [] == leaks(result)

    def test_sessions_of_a_wider_scope(self, run):
        """Made by the setup of the first test, used by all, closed by the last."""
        result = run(
            """
            import pytest_asyncio

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def session():
                async with aiohttp.ClientSession() as session:
                    yield session

            @pytest.fixture
            def asked(request, aiostub):
                return request.getfixturevalue("session")

            @pytest.mark.asyncio(loop_scope="module")
            @pytest.mark.parametrize("n", range(3))
            async def test_it(asked, aiostub, n):
                aiostub.get(URL).reply()
                async with asked.get(URL):
                    pass
            """
        )
        result.assert_outcomes(passed=3)
        assert [] == leaks(result)

    def test_one_that_the_next_test_closes(self, run):
        """They share it."""
        result = run(
            """
            @pytest.mark.asyncio(loop_scope="class")
            class TestClass:
                session = None

                async def test_one(self, aiostub):
                    type(self).session = aiohttp.ClientSession()
                    aiostub.get(URL).reply()
                    async with self.session.get(URL):
                        pass

                async def test_two(self):
                    await self.session.close()

                async def test_three(self, aiostub):
                    type(self).session = None
            """
        )
        result.assert_outcomes(passed=3)
        assert [] == leaks(result)

    def test_unittest(self, run):
        """Its own cleanups are part of the test."""
        result = run(
            """
            @pytest.mark.usefixtures("aiostub")
            class TestCase(unittest.IsolatedAsyncioTestCase):
                async def asyncSetUp(self):
                    self.session = aiohttp.ClientSession()
                    self.addAsyncCleanup(self.session.close)

                @pytest.mark.aiostub(strict=False)
                async def test_it(self):
                    with self.assertRaises(UnmatchedRequest):
                        await self.session.get(URL)
            """
        )
        result.assert_outcomes(passed=1)
        assert [] == leaks(result)

    def test_a_response_with_its_whole_body(self, run):
        """aiohttp has released its connection by itself."""
        result = run(
            """
            async def test_it(aiostub):
                aiostub.get(URL).reply(text="small")
                async with aiohttp.ClientSession() as session:
                    response = await session.get(URL)
                    assert response.status == 200
            """
        )
        assert [] == leaks(result)

    def test_a_session_without_a_request(self, run):
        """The stub has nothing to do with it."""
        result = run(
            """
            async def test_it(aiostub):
                session = aiohttp.ClientSession()
            """
        )
        assert [] == leaks(result)

    @pytest.mark.parametrize("failure", ["assert False", "pytest.fail()", "pytest.skip()"])
    def test_a_test_that_ends_early(self, run, failure):
        """It has not come so far as to close anything."""
        result = run(
            f"""
            async def test_it(aiostub):
                aiostub.get(URL).reply()
                session = aiohttp.ClientSession()
                await session.get(URL)
                {failure}
                await session.close()
            """
        )
        assert [] == leaks(result)


class TestIni:
    """`aiostub_leaks` says what becomes of them."""

    LEAK = """
        async def test_it(aiostub):
            aiostub.get(URL).reply()
            session = aiohttp.ClientSession()
            await session.get(URL)
    """

    def test_error(self, run):
        """Of the teardown, where it is found out."""
        result = run(self.LEAK, ini="aiostub_leaks = error")
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(
            [
                "*LeakWarning: test_error.py::test_it has leaked:",
                "E     ClientSession was never closed",
                "E       made at test_error.py:*",
            ]
        )

    def test_ignore(self, run):
        """Then nothing is looked at."""
        result = run(self.LEAK, ini="aiostub_leaks = ignore")
        result.assert_outcomes(passed=1)

    def test_a_filter_of_warnings(self, run):
        """It is a warning like any other."""
        result = run(self.LEAK, "-W", "error::aiostub.LeakWarning")
        result.assert_outcomes(passed=1, errors=1)
        result = run(self.LEAK, "-W", "ignore::aiostub.LeakWarning")
        result.assert_outcomes(passed=1)

    def test_another_word(self, run):
        """An error before any test runs, whether or not one of them would be watched."""
        ini = "aiostub_leaks = perhaps"
        result = run("def test_it(): pass", ini=ini, method="subprocess")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            ["*aiostub_leaks: expected warn, error or ignore, got 'perhaps'"]
        )


class TestPrice:
    """It is paid under pytest alone, and keeps nothing alive."""

    async def test_nobody_watches_without_the_plugin(self):
        """A client call does not look where it comes from."""
        before = _watch.exchange(None)
        try:
            with aiostub.Stub() as stub:
                stub.get("http://api.test/").reply()
                init = aiohttp.BaseConnector.__init__
                async with aiohttp.ClientSession() as session:
                    await session.get("http://api.test/")
        finally:
            _watch.exchange(before)
        assert "aiohttp" in init.__code__.co_filename

    def test_aiohttp_is_put_back(self, run):
        """After each test."""
        before = aiohttp.BaseConnector.__init__
        run("async def test_it(aiostub): pass").assert_outcomes(passed=1)
        assert before is aiohttp.BaseConnector.__init__

    async def test_sessions_are_held_weakly(self):
        """One that is collected while it is watched goes, and is known to have leaked."""
        sessions = Sessions()
        sessions.begin("a test")
        with aiostub.Stub():
            connector = aiohttp.TCPConnector()
            sessions.used(connector)
            gone = weakref.ref(connector)
            del connector
            gc.collect()
            assert gone() is None
        texts = [leak.text.splitlines()[0] for leak in sessions.end()]
        assert ["TCPConnector was never closed"] == texts

    async def test_one_that_is_closed_before_it_is_collected(self):
        """Has not leaked, though nobody can look at it any more."""
        sessions = Sessions()
        sessions.begin("a test")
        with aiostub.Stub():
            connector = aiohttp.TCPConnector()
            sessions.used(connector)
            sessions.closed(connector)
            await connector.close()
            del connector
            gc.collect()
        assert [] == list(sessions.end())

    def test_the_line_is_found_quickly(self):
        """Below a deep stack, too, since the nearest line is the one."""

        def deep(n):
            return deep(n - 1) if n else measured()

        def measured():
            began = time.perf_counter()
            for _ in range(1000):
                Place.of_user(sys._getframe(0))
            return (time.perf_counter() - began) / 1000

        assert deep(500) < 0.0001


def test_the_module_says_what_it_exports():
    """Nothing else is used from outside."""
    assert {"Leak", "Requests", "Sender", "Sessions"} == set(_leaks.__all__)
