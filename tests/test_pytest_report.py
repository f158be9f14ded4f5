"""What the report of pytest says of a failing test, and what it does not show."""

from __future__ import annotations

import html
import json
import re
from functools import partial

import pytest
from pytest_in_pytest import NO_HYPOTHESIS, run_pytest

from aiostub._pytest.test_run import Run


@pytest.fixture
def run(pytester):
    """Give a function that runs a test file in a pytest of its own, in this process."""
    return partial(run_pytest, pytester)


# For a run in which a stub is something new; in a run in this process, it never is.
SUBPROCESS = (
    *NO_HYPOTHESIS,
    *("-p", "no:looptime_plugin"),  # its loops are closed by nobody
)
SWALLOW = """
async def swallow(method, url, **kwargs):
    async with aiohttp.ClientSession() as session:
        try:
            async with session.request(method, url, **kwargs) as response:
                await response.read()
        except BaseException:
            pass
"""


class TestTraceback:
    """It ends at the line of the user's that met the error."""

    def test_an_unmatched_request(self, run):
        """No line of aiohttp's, and none of ours."""
        result = run("async def test_it(aiostub): await ask()")
        result.stdout.fnmatch_lines(
            [
                ">           async with session.request(method, url) as response:",
                "E           aiostub.exceptions.UnmatchedRequest: no route answers GET http://api.*",
                "test_an_unmatched_request.py:*: UnmatchedRequest",
            ]
        )
        result.stdout.no_fnmatch_line("*aiohttp?client.py*")
        result.stdout.no_fnmatch_line("*def before_sending*")

    def test_a_library_between(self, run):
        """An error that another one came from ends there, too."""
        result = run(
            """
            async def test_it(aiostub):
                try:
                    await ask()
                except AssertionError as error:
                    raise KeyError("of the app") from error
            """
        )
        result.stdout.fnmatch_lines(["*UnmatchedRequest*", "*KeyError: 'of the app'"])
        result.stdout.no_fnmatch_line("*aiohttp?client.py*")

    def test_in_a_setup(self, run):
        """As anywhere."""
        result = run(
            """
            @pytest.fixture
            async def user(aiostub):
                return await ask()

            def test_it(user):
                pass
            """
        )
        result.assert_outcomes(errors=1)
        result.stdout.no_fnmatch_line("*aiohttp?client.py*")

    def test_a_handler_keeps_its_own(self, run):
        """The line of the assertion is what is wanted."""
        result = run(
            """
            def check(request):
                assert request.method == "PUT"

            async def test_it(aiostub):
                aiostub.get(URL).handle(check)
                with pytest.raises(AssertionError):
                    await ask()
            """
        )
        result.stdout.fnmatch_lines([">       assert request.method == *PUT*"])

    def test_what_is_left_over_is_shown_at_the_test(self, run):
        """Nobody's line is to blame."""
        result = run(
            '''
            def test_it(aiostub):
                """Do nothing."""
                aiostub.get(URL).reply()
            '''
        )
        result.stdout.fnmatch_lines(
            [
                ">   def test_it(aiostub):",
                "E   aiostub.exceptions.UnsatisfiedStub: 1 route has steps that were never served",
                "test_what_is_left_over_is_shown_at_the_test.py:*: UnsatisfiedStub",
            ]
        )
        result.stdout.no_fnmatch_line("*registry.py*")

    def test_what_is_left_over_without_the_fixture(self, run):
        """There too, since no line of the test is in the traceback, and none of ours is shown."""
        result = run(
            """
            import aiostub

            class TestIt(unittest.IsolatedAsyncioTestCase):
                def setUp(self):
                    self.stub = aiostub.Stub()
                    self.stub.start()
                    self.addCleanup(self.stub.stop)

                async def test_first(self):
                    self.stub.get(URL).reply()

                async def test_second(self):
                    self.stub.get(URL).reply()

            @aiostub.Stub()
            async def test_decorated(stub):
                stub.get(URL).reply()
            """,
            *SUBPROCESS,
            method="subprocess",
        )
        result.assert_outcomes(failed=3)
        for line in (
            "async def test_first(self):",
            "async def test_second(self):",
            "@aiostub.Stub()",
        ):
            result.stdout.fnmatch_lines(
                [f">   *{line}", "E   *UnsatisfiedStub: 1 route has steps *", "*: UnsatisfiedStub"]
            )
        for line in ("*def _report*", "*_callCleanup*", "All traceback entries are hidden*"):
            result.stdout.no_fnmatch_line(line)

    def test_what_is_left_over_of_an_example(self, run):
        """Hypothesis says that the test stands where its decorator does."""
        result = run(
            """
            from aiostub import Stub
            from hypothesis import given, settings, strategies

            @given(status=strategies.integers(200, 299))
            @settings(database=None)
            @Stub()
            def test_it(status, stub):
                stub.get(URL).reply(status)
            """
        )
        result.stdout.fnmatch_lines([">   @given(*", "E   *UnsatisfiedStub: 1 route has steps *"])

    def test_a_full_trace_of_what_is_left_over(self, run):
        """Whoever asks for it gets it."""
        result = run(
            """
            from aiostub import Stub

            @Stub()
            async def test_it(stub):
                stub.get(URL).reply()
            """,
            "--full-trace",
        )
        result.stdout.fnmatch_lines(["*def _report*"])

    def test_a_method_of_unittest(self, run):
        """What it fails with, pytest keeps for the report."""
        result = run(
            """
            class TestIt(unittest.IsolatedAsyncioTestCase):
                @pytest.fixture(autouse=True)
                def stub(self, aiostub):
                    pass

                async def test_it(self):
                    await ask()
            """
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [">           async with *", "E   *UnmatchedRequest: no route *"]
        )
        result.stdout.no_fnmatch_line("*aiohttp?client.py*")

    def test_a_full_trace(self, run):
        """Whoever asks for it gets it."""
        result = run("async def test_it(aiostub): await ask()", "--full-trace")
        result.stdout.fnmatch_lines(["*aiohttp?client.py:*"])


class TestSections:
    """The calls, what was sent in vain, and what is left over."""

    def test_of_every_stub(self, run):
        """The fixture's, one of the whole run, one in the test; one line of time."""
        result = run(
            """
            from aiostub import Stub

            @pytest.fixture(scope="session", autouse=True)
            def everywhere():
                with Stub(strict=False) as stub:
                    stub.get(URL + "/everywhere").reply().always()
                    yield stub

            async def test_before():
                await ask(URL + "/everywhere")

            async def test_it(aiostub):
                aiostub.get(URL + "/fixture").reply()
                with Stub() as stub:
                    stub.get(URL + "/with").reply()
                    await ask(URL + "/fixture")
                    await ask(URL + "/with")
                    await ask(URL + "/everywhere")
                assert False

            async def test_without_the_fixture():
                await ask(URL + "/everywhere")
                assert False
            """
        )
        result.assert_outcomes(passed=1, failed=2)
        result.stdout.fnmatch_lines(
            [
                "3 calls in *",
                "  *GET  /items/fixture  *",
                "  *GET  /items/with  *",
                "  *GET  /items/everywhere  *",
                "*- aiostub calls -*",
                "1 call in *",
                "  *GET  http://api.test/items/everywhere  *",
            ]
        )

    def test_a_request_that_was_unmatched_as_it_was_sent(self, run):
        """With headers and body; secrets are masked, in headers, cookies, JSON and the query."""
        result = run(
            SWALLOW
            + """
async def test_it(aiostub):
    aiostub.post(URL, json={"name": "Ada", "password": "other"}).reply().optional()
    token = "hu" + "sh"
    await swallow(
        "POST",
        URL + f"?access_token={token}&page=1",
        json={"name": "Bob", "password": token, "inner": [{"api_key": token}]},
        headers={
            "Authorization": f"Bearer {token}",
            "Proxy-Authorization": f"Basic {token}",
            "X-Api-Key": token,
            "Cookie": f"a={token}",
        },
    )
    assert False
"""
        )
        result.stdout.fnmatch_lines(
            [
                "*- aiostub unmatched requests -*",
                "POST http://api.test/items?access_token=[*][*][*]&page=1",
                "Host: api.test",
                "Authorization: Bearer [*][*][*]",
                "Proxy-Authorization: Basic [*][*][*]",
                "X-Api-Key: [*][*][*]",
                "Cookie: a=[*][*][*]",
                '{"name": "Bob", "password": "[*][*][*]", "inner": ?{"api_key": "[*][*][*]"}?}',
            ]
        )
        assert "hush" not in result.stdout.str().partition("--- aiostub")[2]
        said = re.sub(r"hu\" \+ \"sh|\{token\}", "", result.stdout.str())
        assert "hush" not in said

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            ("b'x' * 2000", "x" * 500 + "... (2000 bytes in all)"),
            ("bytes(range(256))", "256 bytes of application/octet-stream: 00 01 02 *"),
            ("{'user': 'ada', 'pwd': 'hu' + 'sh'}", "user=ada&pwd=[*][*][*]"),
        ],
    )
    def test_a_body(self, run, body, shown):
        """A long one is cut, a binary one shown as such, a form has its secrets masked."""
        result = run(
            SWALLOW
            + f"""
async def test_it(aiostub):
    aiostub.post(URL, data=b"another").reply().optional()
    await swallow("POST", URL, data={body})
    assert False
"""
        )
        result.stdout.fnmatch_lines(["*- aiostub unmatched requests -*", shown])

    def test_a_multipart_form(self, run):
        """Field by field."""
        result = run(
            SWALLOW
            + """
async def test_it(aiostub):
    aiostub.post(URL, data=b"another").reply().optional()
    form = aiohttp.FormData()
    form.add_field("password", "hu" + "sh")
    form.add_field("file", b"a,b", filename="a.csv", content_type="text/csv")
    await swallow("POST", URL, data=form)
    assert False
"""
        )
        result.stdout.fnmatch_lines(["password = [*][*][*]", "file = a.csv: a,b"])

    def test_a_body_that_was_never_sent(self, run):
        """The call has failed before."""
        result = run(
            SWALLOW
            + """
async def test_it(aiostub):
    form = aiohttp.FormData()
    form.add_field("file", b"a,b", filename="a.csv")
    await swallow("POST", URL, data=form)
    assert False
"""
        )
        result.stdout.fnmatch_lines(["the call ended before the body was sent"])

    def test_many_unmatched_requests(self, run):
        """Five are shown, the rest is counted."""
        result = run(
            SWALLOW
            + """
async def test_it(aiostub):
    for n in range(7):
        await swallow("GET", f"{URL}/{n}")
    assert False
"""
        )
        section = result.stdout.str().partition("aiostub unmatched requests")[2]
        assert ["0", "1", "2", "3", "4"] == re.findall(r"^GET \S+/(\d)$", section, re.MULTILINE)
        assert "\nand 2 more\n" in section

    def test_what_is_left_over_of_a_lenient_stub(self, run):
        """It may be why the test fails; a strict one has said so already."""
        source = """
            {mark}
            def test_it(aiostub):
                aiostub.get(URL).reply(503).times(2)
                assert False
        """
        result = run(source.format(mark="@pytest.mark.aiostub(strict=False)"))
        result.stdout.fnmatch_lines(
            [
                "*- aiostub left over -*",
                "Never served:",
                "  GET http://api.test/items",
                "    test_what_is_left_over_of_a_lenient_stub.py:*",
                "    reply(503) never served",
            ]
        )
        result = run(source.format(mark=""))
        result.stdout.no_fnmatch_line("*aiostub left over*")

    @pytest.mark.parametrize("place", ["test", "setup", "teardown"])
    def test_of_the_first_stub_of_all(self, run, place):
        """Nothing told of it when the tests were collected."""
        result = run(
            f"""
            import aiostub

            async def use():
                with aiostub.Stub(strict=False) as stub:
                    await ask()

            @pytest.fixture
            async def user():
                if {place == "setup"}:
                    await use()
                yield
                if {place == "teardown"}:
                    await use()

            def test_before():
                pass

            async def test_it(user):
                if {place == "test"}:
                    await use()

            async def test_behind():
                await use()

            def test_without():
                assert False
            """,
            *SUBPROCESS,
            method="subprocess",
        )
        out = result.stdout.str()
        assert 2 == out.count("- aiostub calls -") == out.count("\n1 call in ")
        last_line = r" async with session.request\(method, url\) as response:\n( +\^+\n)?E  "
        assert 2 == len(re.findall(last_line, out))
        result.stdout.no_fnmatch_line("*aiohttp?client.py*")

    def test_of_a_stub_that_is_never_started(self, run):
        """Not even the first of the run, nor after the test whose fixture made the connector."""
        result = run(
            """
            import aiostub, pytest_asyncio

            @pytest_asyncio.fixture(scope="module", loop_scope="module")
            async def stub():
                stub = aiostub.Stub(strict=False)
                stub.get(URL).reply(503).always()
                async with aiohttp.ClientSession(connector=stub.connector()) as session:
                    yield session

            @pytest.mark.asyncio(loop_scope="module")
            @pytest.mark.parametrize("n", range(2))
            async def test_connector(stub, n):
                assert 200 == (await stub.get(URL)).status

            async def test_socket():
                stub = aiostub.Stub()
                async with stub.serve() as url:
                    await ask(url)
            """,
            *SUBPROCESS,
            method="subprocess",
        )
        result.assert_outcomes(failed=3)
        out = result.stdout.str()
        assert 3 == out.count("- aiostub calls -") == out.count("\n1 call in ")

    def test_of_a_stub_that_is_gone(self, run):
        """Dropped by a function of the test's, or never given a name."""
        result = run(
            """
            from aiostub import Stub

            async def fetch():
                with Stub() as stub:
                    stub.get(URL).reply(503)
                    return await ask()

            async def test_function():
                assert "up" == await fetch()

            async def test_nameless():
                with Stub():
                    await ask()
            """
        )
        result.assert_outcomes(failed=2)
        assert 2 == result.stdout.str().count("\n1 call in ")

    def test_a_stub_of_a_test_that_passes_is_gone(self, run):
        """When its fixtures are torn down, nothing holds on to it but the test."""
        run(
            """
            import gc, weakref
            from aiostub import Stub

            @pytest.fixture
            def stubs():
                stubs = []
                yield stubs
                gc.collect()
                assert [None] == [stub() for stub in stubs]

            async def test_it(stubs):
                with Stub() as stub:
                    stub.get(URL).reply()
                    stubs.append(weakref.ref(stub._registry))
                    await ask()
            """
        ).assert_outcomes(passed=1)

    def test_a_setup_that_fails(self, run):
        """Once: neither its teardown nor what is left over says it again."""
        result = run(
            """
            @pytest.fixture
            async def user(aiostub):
                aiostub.post(URL).reply()
                try:
                    await ask()
                except AssertionError:
                    raise KeyError("of the fixture") from None

            def test_it(user):
                pass
            """
        )
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*KeyError: 'of the fixture'*"])
        result.stdout.fnmatch_lines(["*UnsatisfiedStub: 1 request was unmatched*"])
        result.stdout.fnmatch_lines(["*- aiostub calls -*", "1 call in *"])
        result.stdout.no_fnmatch_line("*never served*")

    def test_a_teardown_that_fails(self, run):
        """There the calls are shown, unless the test has failed before."""
        source = """
            @pytest.fixture
            def user(aiostub):
                yield
                raise KeyError

            async def test_it(user, aiostub):
                aiostub.get(URL).reply()
                await ask()
                {end}
        """
        result = run(source.format(end="pass"))
        result.assert_outcomes(passed=1, errors=1)
        assert 1 == result.stdout.str().count("- aiostub calls -")
        result = run(source.format(end="assert False"))
        result.assert_outcomes(failed=1, errors=1)
        assert 1 == result.stdout.str().count("- aiostub calls -")

    def test_calls_are_not_kept_for_the_whole_run(self, run):
        """A stub goes with its test."""
        run(
            """
            import gc, weakref
            STUBS = []

            @pytest.mark.parametrize("n", range(3))
            async def test_it(aiostub, n):
                gc.collect()
                assert [None] * n == [stub() for stub in STUBS]
                STUBS.append(weakref.ref(aiostub))
                aiostub.get(URL).reply()
                await ask()
            """
        ).assert_outcomes(passed=3)

    def test_an_error_in_the_report_hides_nothing(self, run, monkeypatch):
        """The user's failure is what counts."""

        def broken(_):
            message = "of the report"
            raise ValueError(message)

        monkeypatch.setattr(Run, "sections", broken)
        result = run("def test_it(aiostub): assert 1 == 2")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            ["*assert 1 == 2", "*the report cannot be made: ValueError: of *"]
        )

    def test_an_error_in_the_traceback_hides_nothing(self, run, monkeypatch):
        """Then it is shown as it is."""

        def broken(_):
            raise ValueError

        monkeypatch.setattr("aiostub._pytest.hooks.point_at_user", broken)
        result = run("async def test_it(aiostub): await ask()")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*UnmatchedRequest: no route answers GET http://api.test/*"])


class TestHtml:
    """The report of pytest-html has a picture of the calls."""

    @pytest.fixture
    def extras(self, pytester):
        """Give a function that runs a test file, and returns what the HTML report shows of it."""
        plugin = pytest.importorskip("pytest_html")

        def run(source, *options):
            run_pytest(pytester, source, "--html=report.html", *options)
            text = (pytester.path / "report.html").read_text(encoding="utf-8")
            if plugin.__version__.startswith("3."):
                return re.findall(r'<div class="aiostub">.*?</svg>', text, re.DOTALL)
            blob = re.search(r'data-jsonblob="([^"]*)"', text)[1]
            tests = json.loads(html.unescape(blob))["tests"]
            contents = [e["content"] for test in tests.values() for t in test for e in t["extras"]]
            return [content for content in contents if content.startswith('<div class="aiostub">')]

        return run

    FAILING = """
        async def test_it(aiostub):
            aiostub.get(URL + "?token=hush").reply(text="a")
            await ask(URL + "?token=hush")
            assert False
    """

    def test_a_failing_test(self, extras):
        """Bars for its calls; secrets are masked."""
        (extra,) = extras(self.FAILING)
        assert "<rect" in extra
        assert "api.test/items?token=***" in extra
        assert "hush" not in extra

    def test_in_a_worker(self, extras):
        """It is sent to the one that writes the report."""
        assert 1 == len(extras(self.FAILING, *NO_HYPOTHESIS, "-n", "1"))

    def test_a_test_that_passes(self, extras):
        """There is nothing to explain."""
        assert [] == extras("async def test_it(aiostub): pass")

    def test_a_failing_test_without_calls(self, extras):
        """There is nothing to draw."""
        assert [] == extras("async def test_it(aiostub): assert False")

    def test_an_error_in_the_picture_hides_nothing(self, extras, monkeypatch):
        """The sections are there already."""

        def broken(_):
            raise ValueError

        monkeypatch.setattr(Run, "html", broken)
        assert [] == extras(self.FAILING)
