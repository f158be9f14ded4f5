"""`@aiostub.Stub()` on functions, methods and classes: each run has a fresh stub."""

from __future__ import annotations

import asyncio
import functools
import inspect
import unittest
from unittest import mock

import aiohttp
import pytest

import aiostub
from aiostub import Route, RouteError, Stub, UnmatchedRequest, UnsatisfiedStub

URL = "http://api.test/items"


async def ask(url=URL, method="GET"):
    """Send a request with a session of its own, and return the text of the answer."""
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return await response.text()


def run_in_loop(coroutine):
    """Run a coroutine in a loop of its own, and leave alone what pytest's plugins have set."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def is_patched():
    """Tell whether a stub is started."""
    return aiohttp.ClientSession._request is not ORIGINAL


ORIGINAL = aiohttp.ClientSession._request


class TestFunctions:
    """A function of any kind stays one of its kind."""

    def test_def(self):
        """A stub around the call, and the result."""

        @aiostub.Stub()
        def run(stub):
            """Say what is to be done."""
            stub.get(URL).reply(text="a")
            return run_in_loop(ask())

        assert "a" == run()
        assert ("run", "Say what is to be done.") == (run.__name__, run.__doc__)
        assert not inspect.iscoroutinefunction(run)
        assert not is_patched()

    async def test_async_def(self):
        """A stub around the await, and the result."""

        @aiostub.Stub()
        async def run(stub):
            stub.get(URL).reply(text="a")
            return await ask()

        assert inspect.iscoroutinefunction(run)
        assert "a" == await run()
        assert not is_patched()

    def test_a_generator(self):
        """As a fixture is one; what it is sent and returns goes through."""

        @aiostub.Stub()
        def run(stub):
            got = yield stub.get(URL).reply(text="a")
            got.append((yield run_in_loop(ask())))
            return "returned"

        assert inspect.isgeneratorfunction(run)
        generator, got = run(), []
        assert not is_patched()
        assert isinstance(next(generator), Route)
        assert is_patched()
        assert "a" == generator.send(got)
        with pytest.raises(StopIteration, match="returned"):
            generator.send("sent")
        assert ["sent"] == got
        assert not is_patched()

    async def test_an_async_generator(self):
        """Likewise."""

        @aiostub.Stub()
        async def run(stub):
            stub.get(URL).reply(text="a")
            try:
                yield await ask()
            finally:
                seen.append(is_patched())

        seen = []
        assert inspect.isasyncgenfunction(run)
        assert ["a"] == [text async for text in run()]
        assert [True] == seen
        assert not is_patched()

    async def test_an_async_generator_is_sent_values(self):
        """As a plain one is."""

        @aiostub.Stub()
        async def run(stub):
            got.append((yield 1))

        got = []
        generator = run()
        assert 1 == await generator.__anext__()
        with pytest.raises(StopAsyncIteration):
            await generator.asend("sent")
        assert ["sent"] == got

    async def test_an_async_generator_is_closed_with_its_wrapper(self):
        """At once, inside the stub, and not when the garbage collector comes."""

        @aiostub.Stub()
        async def run(stub):
            try:
                yield 1
            finally:
                seen.append(is_patched())

        seen = []
        generator = run()
        await generator.__anext__()
        await generator.aclose()
        assert [True] == seen
        assert not is_patched()

    async def test_an_async_generator_is_thrown_exceptions(self):
        """They come out where it waits."""

        @aiostub.Stub()
        async def run(stub):
            try:
                yield 1
            except KeyError as error:
                seen.append(error)
                yield 2

        seen = []
        generator = run()
        await generator.__anext__()
        error = KeyError("thrown")
        assert 2 == await generator.athrow(error)
        assert [error] == seen
        await generator.aclose()

    async def test_a_callable_object(self):
        """A partial, for example."""

        async def run(prefix, stub):
            stub.get(URL).reply(text="a")
            return prefix + await ask()

        decorated = aiostub.Stub()(functools.partial(run, "b"))
        assert "ba" == await decorated()

    async def test_arguments_go_through(self):
        """By position and by name."""

        @aiostub.Stub()
        async def run(a, *rest, b, stub, **more):
            return a, rest, b, more, isinstance(stub, Stub)

        assert (1, (2, 3), 4, {"c": 5}, True) == await run(1, 2, 3, b=4, c=5)

    async def test_what_it_raises_comes_out(self):
        """And what is left over is added as a note."""

        @aiostub.Stub()
        async def run(stub):
            stub.get(URL).reply()
            raise KeyError("of the test")

        with pytest.raises(KeyError) as caught:
            await run()
        assert ["UnsatisfiedStub"] == [n.partition(":")[0] for n in caught.value.__notes__]
        assert not is_patched()

    @pytest.mark.parametrize("is_async", [False, True])
    def test_what_is_left_over_is_raised(self, is_async):
        """When the function is done."""

        @aiostub.Stub()
        async def run_async(stub):
            stub.get(URL).reply()

        @aiostub.Stub()
        def run(stub):
            stub.get(URL).reply()

        with pytest.raises(UnsatisfiedStub):
            run_in_loop(run_async()) if is_async else run()

    def test_it_stacks_with_other_decorators(self):
        """mock.patch, inside and outside."""

        @mock.patch("os.getcwd", return_value="there")
        @aiostub.Stub()
        @mock.patch("os.getpid", return_value=7)
        def run(getpid, getcwd, stub):
            return getpid(), getcwd(), isinstance(stub, Stub)

        assert (7, "there", True) == run()

    def test_two_stubs(self):
        """Each under its own name; the one written nearest is the innermost."""

        @aiostub.Stub(param="outer")
        @aiostub.Stub(param="inner")
        def run(outer, inner):
            outer.get(URL).reply(text="outer")
            inner.get(URL).reply(text="inner")
            return [run_in_loop(ask()), run_in_loop(ask())]

        assert ["inner", "outer"] == run()

    async def test_runs_at_the_same_time_have_stubs_of_their_own(self):
        """A function that is called while it runs."""

        @aiostub.Stub(strict=False)
        async def run(depth, stub):
            stubs.append(stub)
            if depth:
                await run(depth - 1)

        stubs = []
        await run(2)
        assert 3 == len(set(map(id, stubs)))


class TestParameter:
    """The stub is passed by keyword."""

    async def test_its_name_is_stub(self):
        """Unless told otherwise."""

        @aiostub.Stub()
        async def run(*, stub):
            return stub

        assert isinstance(await run(), Stub)

    async def test_another_name(self):
        """By `param=`."""

        @aiostub.Stub(param="web")
        async def run(web):
            return web

        assert isinstance(await run(), Stub)

    async def test_a_function_that_does_not_name_it(self):
        """It is not passed, but started."""

        @aiostub.Stub()
        async def run():
            return is_patched()

        assert await run()

    async def test_a_function_that_takes_everything(self):
        """It is passed there."""

        @aiostub.Stub()
        async def run(**kwargs):
            return kwargs

        assert ["stub"] == list(await run())

    def test_it_is_hidden_from_the_signature(self):
        """So that pytest seeks no fixture of that name."""

        @aiostub.Stub()
        def run(self, tmp_path, stub, other=1, *, more):
            """Do nothing."""

        assert ["self", "tmp_path", "other", "more"] == list(inspect.signature(run).parameters)

    def test_the_wrapped_function_can_be_had(self):
        """Tools that unwrap find it."""

        def run(stub):
            """Do nothing."""

        assert run is aiostub.Stub()(run).__wrapped__

    @pytest.mark.parametrize("param", ["", "no name", "1", None, 5])
    def test_what_is_no_name_is_refused(self, param):
        """At the line that makes the stub."""
        with pytest.raises(RouteError, match=r"^param: "):
            aiostub.Stub(param=param)

    @pytest.mark.parametrize("target", [print, unittest.TestCase])
    def test_without_brackets_the_text_says_so(self, target):
        """What it decorates would be its base URL."""
        with pytest.raises(RouteError, match=r"^base_url: .*; as a decorator, write @Stub\(\)$"):
            Stub(target)


class TestFreshStub:
    """Each run has a stub like the decorating one, with copies of its routes."""

    async def test_routes_of_the_decorating_stub_are_copied(self):
        """Each run finds them unused."""
        decorating = aiostub.Stub()
        route = decorating.get(URL).reply(text="a").then.reply(text="b")

        @decorating
        async def run(stub):
            assert stub is not decorating
            return [await ask(), await ask()]

        assert ["a", "b"] == await run()
        assert ["a", "b"] == await run()
        assert not route.called
        assert 0 == len(decorating.calls)

    async def test_what_a_copy_leaves_over_is_raised(self):
        """It is a route like any other; its place is where the original was registered."""
        decorating = aiostub.Stub()
        decorating.get(URL).reply()
        line = inspect.currentframe().f_lineno - 1

        @decorating
        async def run(stub):
            """Send nothing."""

        with pytest.raises(UnsatisfiedStub, match=f"test_decorator.py:{line}"):
            await run()

    async def test_order_optional_and_conditions_are_copied(self):
        """All that a route is."""
        decorating = aiostub.Stub()
        decorating.get(URL).reply(text="second").always()
        decorating.get(URL, first=True).reply(text="first")
        decorating.get(URL, params={"a": "1"}).reply(text="with a query").optional()

        @decorating
        async def run():
            return [await ask(), await ask(), await ask()]

        assert ["first", "second", "second"] == await run()

    async def test_routes_of_the_run_stand_behind_the_copies_or_in_front_of_them(self):
        """As if all had been registered with one stub."""
        decorating = aiostub.Stub()
        for text in "bcd":
            decorating.get(URL).reply(text=text)
        decorating.get(URL, first=True).reply(text="a")

        @decorating
        async def run(stub):
            stub.get(URL).reply(text="last")
            stub.get("/items").reply(text="very last")
            stub.get(URL, first=True).reply(text="first")
            stub.get("/items", first=True).reply(text="very first")
            return [await ask() for _ in range(8)]

        expected = ["very first", "first", "a", "b", "c", "d", "last", "very last"]
        assert expected == await run()

    async def test_a_copy_can_be_gone_on_with(self):
        """A chain that is open stays open; steps added to a copy stay with it."""
        decorating = aiostub.Stub()
        route = decorating.get(URL).reply(text="a").then
        assert not route.called

        @decorating
        async def run(stub):
            stub.get(URL).reply(text="of the run")
            return [await ask(), await ask()]

        assert ["a", "of the run"] == await run()
        assert ["a", "of the run"] == await run()

    async def test_routes_registered_after_decorating_are_copied(self):
        """What counts is what is there when the run begins."""
        decorating = aiostub.Stub()

        @decorating
        async def run():
            return await ask()

        decorating.get(URL).reply(text="later")
        assert "later" == await run()

    async def test_steps_used_by_the_decorating_stub_are_fresh_in_the_copy(self):
        """It may have been started itself before."""
        decorating = aiostub.Stub()
        decorating.get(URL).reply(text="a")
        with decorating:
            assert "a" == await ask()

        @decorating
        async def run():
            return await ask()

        assert "a" == await run()

    async def test_a_stream_that_can_be_read_once_is_refused_in_a_second_run(self):
        """It would give nothing there, as on a step that is served twice."""
        decorating = Stub()
        decorating.get(URL).reply(stream=iter([b"a"]))

        @decorating
        async def run():
            assert "a" == await ask()

        await run()
        with pytest.raises(RouteError, match=r"a second run with GET .*: stream is a one-shot"):
            await run()

    async def test_settings_are_those_of_the_decorating_stub(self, unused_tcp_port):
        """Base URL, strictness, pass-through rules."""
        url = f"http://127.0.0.1:{unused_tcp_port}/"

        @aiostub.Stub("http://api.test/v1/", strict=False, passthrough=["127.0.0.1"])
        async def run(stub):
            stub.get("never").reply()
            stub.get("users").reply(text="users")
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask(url)
            return await ask("http://api.test/v1/users")

        assert "users" == await run()

    async def test_unmatched_is_passed_on(self, unused_tcp_port):
        """As well."""

        @aiostub.Stub(unmatched="passthrough")
        async def run():
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask(f"http://127.0.0.1:{unused_tcp_port}/")

        await run()

    async def test_rules_added_to_the_decorating_stub_are_copied(self, unused_tcp_port):
        """Those of a run stay with it."""
        decorating = aiostub.Stub(strict=False)
        decorating.passthrough("127.0.0.1")
        url = f"http://127.0.0.1:{unused_tcp_port}/"

        @decorating
        async def run(stub):
            stub.passthrough("localhost")
            with pytest.raises(aiohttp.ClientConnectorError):
                await ask(url)

        await run()
        with decorating, pytest.raises(UnmatchedRequest):
            await ask(f"http://localhost:{unused_tcp_port}/")


class TestMethods:
    """Methods of every kind."""

    async def test_each_kind(self):
        """Plain, class and static methods; the stub comes behind `self`."""

        class Some:
            @aiostub.Stub()
            async def plain(self, stub):
                return self, stub

            @classmethod
            @aiostub.Stub()
            async def of_class(cls, stub):
                return cls, stub

            @staticmethod
            @aiostub.Stub()
            async def of_none(stub):
                return stub

            @aiostub.Stub()
            @classmethod
            async def of_class_inside(cls, stub):
                return cls, stub

            @aiostub.Stub()
            @staticmethod
            async def of_none_inside(stub):
                return stub

        some = Some()
        assert (some, Stub) == tuple(
            type(it) if isinstance(it, Stub) else it for it in await some.plain()
        )
        assert Some is (await some.of_class())[0]
        assert isinstance(await Some.of_none(), Stub)
        assert Some is (await some.of_class_inside())[0]
        assert isinstance(await some.of_none_inside(), Stub)


def run_case(case):
    """Run a unittest case, and return its result."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


class TestUnittest:
    """unittest.TestCase and IsolatedAsyncioTestCase."""

    def test_a_method_of_a_test_case(self):
        """In a loop of its own."""

        class Case(unittest.TestCase):
            @aiostub.Stub()
            def test_it(self, stub):
                stub.get(URL).reply(text="a")
                assert "a" == run_in_loop(ask())

        assert run_case(Case).wasSuccessful()

    def test_a_method_of_an_isolated_asyncio_test_case(self):
        """In the loop of the case."""

        class Case(unittest.IsolatedAsyncioTestCase):
            @aiostub.Stub()
            async def test_it(self, stub):
                stub.get(URL).reply(text="a")
                assert "a" == await ask()

        assert run_case(Case).wasSuccessful()

    @pytest.mark.parametrize("base", [unittest.TestCase, unittest.IsolatedAsyncioTestCase])
    def test_what_is_left_over_fails_the_test(self, base):
        """A failure, not an error."""

        @aiostub.Stub()
        class Case(base):
            def test_it(self, stub):
                stub.get(URL).reply()

        result = run_case(Case)
        assert (1, 0) == (len(result.failures), len(result.errors))
        assert "UnsatisfiedStub" in result.failures[0][1]

    def test_a_whole_class(self):
        """Each of its tests, sync and async."""
        stubs = []

        @aiostub.Stub()
        class Case(unittest.IsolatedAsyncioTestCase):
            def setUp(self):
                assert not is_patched()

            async def test_async(self, stub):
                stubs.append(stub)
                stub.get(URL).reply(text="a")
                assert "a" == await ask()

            def test_sync(self, stub):
                stubs.append(stub)
                assert is_patched()

            def test_without(self):
                assert is_patched()

            def helper(self):
                """Be no test."""

        result = run_case(Case)
        assert (True, 3) == (result.wasSuccessful(), result.testsRun)
        assert 2 == len(set(map(id, stubs)))

    def test_a_skipped_test(self):
        """It stays skipped."""

        @aiostub.Stub()
        class Case(unittest.TestCase):
            @unittest.skip("not now")
            def test_it(self, stub):
                raise AssertionError

        assert 1 == len(run_case(Case).skipped)


class TestClasses:
    """On a class: each test* method, inherited ones too."""

    def test_it_returns_the_class(self):
        """The very one."""

        class Case:
            """Hold no test."""

        assert Case is aiostub.Stub()(Case)

    async def test_only_tests_are_decorated(self):
        """Helpers, attributes and nested classes are left alone."""

        @aiostub.Stub()
        class Case:
            test_data = (1, 2)

            class TestNested:
                def test_it(self):
                    return is_patched()

            def helper(self):
                return is_patched()

            @property
            def test_property(self):
                return is_patched()

            def test_it(self, stub):
                return stub, self.helper()

        case = Case()
        assert (1, 2) == case.test_data
        assert not case.helper()
        assert not case.test_property
        assert not Case.TestNested().test_it()
        stub, patched = case.test_it()
        assert patched
        assert isinstance(stub, Stub)

    def test_inherited_tests_are_decorated_in_the_class_alone(self):
        """The parent's own runs stay without."""

        class Parent:
            def test_it(self):
                return is_patched()

        @aiostub.Stub()
        class Child(Parent):
            """Inherit."""

        assert Child().test_it()
        assert not Parent().test_it()

    def test_static_and_class_methods(self):
        """They stay what they are."""

        @aiostub.Stub()
        class Case:
            @staticmethod
            def test_static(stub):
                return is_patched(), stub

            @classmethod
            def test_class(cls, stub):
                return cls, stub

        assert Case.test_static()[0]
        assert Case is Case.test_class()[0]
        assert Case is Case().test_class()[0]

    def test_a_subclass_of_a_decorated_class(self):
        """Its own tests are its own affair; overriding one takes the decorator off."""

        @aiostub.Stub()
        class Parent:
            def test_it(self):
                return is_patched()

        class Child(Parent):
            def test_more(self):
                return is_patched()

        assert Child().test_it()
        assert not Child().test_more()

    def test_a_method_that_is_decorated_already(self):
        """The class's stub is around the method's own."""

        @aiostub.Stub(param="outer")
        class Case:
            @aiostub.Stub(param="inner")
            def test_it(self, outer, inner):
                outer.get(URL).reply(text="outer")
                inner.get(URL).reply(text="inner")
                return [run_in_loop(ask()), run_in_loop(ask())]

        assert ["inner", "outer"] == Case().test_it()

    async def test_coroutines_stay_coroutines(self):
        """So that test runners know them."""

        @aiostub.Stub()
        class Case:
            async def test_it(self, stub):
                stub.get(URL).reply(text="a")
                return await ask()

        assert inspect.iscoroutinefunction(Case.test_it)
        assert "a" == await Case().test_it()


class TestUnderPytest:
    """pytest runs what was decorated as it runs any test."""

    def run(self, pytester, source):
        """Run a test file in a pytest of its own."""
        pytester.makepyfile(f"import aiohttp, aiostub, pytest, unittest\nURL = {URL!r}\n{source}")
        pytester.makeini(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        )
        return pytester.runpytest_inprocess("-q", "-p", "no:randomly", "-p", "no:cacheprovider")

    def test_fixtures_come_along(self, pytester):
        """By their names, as ever; the stub is no fixture."""
        result = self.run(
            pytester,
            """
@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session

@aiostub.Stub()
async def test_async(session, stub, tmp_path):
    stub.get(URL).reply(text="a")
    async with session.get(URL) as response:
        assert await response.text() == "a"

@pytest.mark.parametrize("n", [1, 2])
@aiostub.Stub()
def test_sync(stub, n):
    assert n and not stub.calls

@aiostub.Stub()
class TestClass:
    async def test_it(self, session, stub):
        stub.get(URL).reply(text="a")
        async with session.get(URL) as response:
            assert await response.text() == "a"

@aiostub.Stub()
class TestCase(unittest.IsolatedAsyncioTestCase):
    async def test_it(self, stub):
        assert not stub.calls
""",
        )
        result.assert_outcomes(passed=5)

    def test_what_is_left_over_fails_the_test(self, pytester):
        """In its call phase."""
        result = self.run(
            pytester,
            """
@aiostub.Stub()
async def test_it(stub):
    stub.get(URL).reply()
""",
        )
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*UnsatisfiedStub: 1 route has steps that were never served"])

    def test_a_fixture_may_be_decorated(self, pytester):
        """Its stub lasts as long as it does."""
        result = self.run(
            pytester,
            """
@pytest.fixture
@aiostub.Stub(strict=False)
def stubbed(stub):
    stub.get(URL).reply(text="a")
    yield stub

@pytest.fixture
@aiostub.Stub(strict=False)
async def stubbed_async(stub):
    stub.get(URL).reply(text="a")
    yield stub

async def ask():
    async with aiohttp.ClientSession() as session, session.get(URL) as response:
        return await response.text()

async def test_sync(stubbed):
    assert await ask() == "a"
    assert stubbed.calls

async def test_async(stubbed_async):
    assert await ask() == "a"
    assert stubbed_async.calls
""",
        )
        result.assert_outcomes(passed=2)
