"""What the pytest plugin does around each test, in runs that use aiostub at all.

Rules of the file:

- Nothing in here breaks a run: what goes wrong in the report is said in the report.
- A test that fails keeps the exception that it fails with.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import warnings
from collections.abc import Generator, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from aiostub import _explain, _watch
from aiostub._pytest.leaks import Sessions
from aiostub._pytest.test_run import Run, is_met_by_user, point_at_user
from aiostub.exceptions import LeakWarning, UnsatisfiedStub

if TYPE_CHECKING:
    from aiostub._pytest.leaks import Leak
    from aiostub._pytest.test_run import Section
    from aiostub._stub import Stub

__all__ = ["Hooks"]

_run_key: pytest.StashKey[Run] = pytest.StashKey()


class Hooks:
    """A plugin of its own, registered as soon as a test may use a stub.

    Args:
        leaks: what becomes of leaks; the value of the ini option.
        whole_tracebacks: whether the user wants to see our lines, too.
    """

    def __init__(self, leaks: str, *, whole_tracebacks: bool) -> None:
        self._leaks_are_errors = leaks == "error"
        self._sessions = None if leaks == "ignore" else Sessions()
        self._whole_tracebacks = whole_tracebacks
        self._outer_watch = _watch.current  # of a run of pytest in which this one runs
        self._joined: Run | None = None

    def join(self) -> None:
        """Watch from now on: the test under way starts the first stub, and nobody watches it."""
        if self._joined is None:
            self._joined = Run("", None)
        _watch.exchange(self._joined)

    @contextlib.contextmanager
    def running(self, item: pytest.Item, stub: Stub) -> Iterator[Stub]:
        """Let the fixture's stub run, and have a look at it when it stops."""
        run = self._run_of(item)
        run.stub = stub
        with stub._until_torn_down(run.stub_stops):
            yield stub

    def _run_of(self, item: pytest.Item) -> Run:
        """Return the run of a test; if this plugin came after its setup began, begin it now."""
        run = item.stash.get(_run_key, None)
        return self._begin(item) if run is None else run

    def _begin(self, item: pytest.Item) -> Run:
        uses_fixture = "aiostub" in getattr(item, "fixturenames", ())
        run = self._joined or Run(item.nodeid, self._sessions if uses_fixture else None)
        self._joined, item.stash[_run_key] = None, run
        _watch.exchange(run)
        return run

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Begin to watch, and tell a setup that fails what went wrong besides."""
        __tracebackhide__ = True
        run = self._begin(item)
        try:
            return (yield)
        except BaseException as error:
            run.failed = True
            run.check_troubles(error)
            self._shorten(error)
            raise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Check the stub of a test in its call phase: it fails the test and not its teardown."""
        __tracebackhide__ = True
        run = self._run_of(item)
        try:
            with run.body():
                result = yield
        except BaseException as error:
            run.failed = True
            run.check(error)
            if self._is_nowhere(error):
                _raise_in_test(item, error)
            self._shorten(error)
            raise
        self._check(item, run)
        return result

    def _check(self, item: pytest.Item, run: Run) -> None:
        __tracebackhide__ = True
        errors = _unittest_errors(item)
        error = errors[0].value if errors else None
        run.failed = True
        try:
            run.check(error)
        except UnsatisfiedStub as left_over:
            _raise_in_test(item, left_over)
        except BaseException as finding:
            self._shorten(finding)
            raise
        run.failed = error is not None
        self._point_collected(item)
        if error is None:
            run.passed()

    def pytest_fixture_post_finalizer(self, request: pytest.FixtureRequest) -> None:
        """See what each fixture ends by being torn down."""
        run = request.node.stash.get(_run_key, None)
        if run is not None:
            run.fixture_ended()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Look for leaks when all fixtures of the test are torn down."""
        __tracebackhide__ = True
        run = self._run_of(item)
        try:
            result = yield
        except BaseException as error:
            run.failed = True
            self._shorten(error)
            raise
        finally:
            _watch.exchange(self._outer_watch)
            leaks = run.leaks()
        if leaks:
            self._report_leaks(item, leaks)
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report what no fixture has closed either, now that all are torn down."""
        left = [] if self._sessions is None else list(self._sessions.finish())
        if left:
            _warn(_explain.leaks("the run", [leak.text for leak in left]), left, str(session.path))

    def _report_leaks(self, item: pytest.Item, leaks: list[Leak]) -> None:
        __tracebackhide__ = True
        text = _explain.leaks(item.nodeid, [leak.text for leak in leaks])
        if self._leaks_are_errors:
            _raise_in_test(item, LeakWarning(text))
        _warn(text, leaks, str(item.path))

    def _shorten(self, error: BaseException) -> None:
        if not self._whole_tracebacks:
            with contextlib.suppress(Exception):
                point_at_user(error)

    def _is_nowhere(self, error: BaseException) -> bool:
        """Tell whether it is of the end of a test, with no line of the user's in its traceback."""
        nowhere = isinstance(error, UnsatisfiedStub) and not is_met_by_user(error)
        return nowhere and not self._whole_tracebacks

    def _pointed(
        self, item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]
    ) -> pytest.ExceptionInfo[BaseException]:
        """Let what was raised already be shown at the line of the user's that met it."""
        try:
            if self._is_nowhere(raised.value):
                _raise_in_test(item, raised.value)
        except UnsatisfiedStub:
            return pytest.ExceptionInfo.from_current()
        self._shorten(raised.value)
        return raised

    def _point_collected(self, item: pytest.Item) -> None:
        """Let the same be so for what pytest has kept of a unittest test."""
        errors = _unittest_errors(item)
        errors[:] = [self._pointed(item, each) for each in errors]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Explain a failing test."""
        if self._joined is not None:
            self._begin(item)
            if call.excinfo is not None:
                call.excinfo = self._pointed(item, call.excinfo)
            self._point_collected(item)
        report = yield
        run = item.stash.get(_run_key, None)
        if run is not None and report.failed and (report.when != "teardown" or not run.explained):
            run.explained = True
            report.sections.extend(_sections(run, call))
            with contextlib.suppress(Exception):  # the sections are there already
                _add_to_html(item.config, report, run)
        if report.when == "teardown" and run is not None:
            del item.stash[_run_key]  # the calls of a test are not kept for the whole run
            _watch.exchange(self._outer_watch)
        return report


def _raise_in_test(item: pytest.Item, error: BaseException) -> NoReturn:
    """Raise what the test as a whole is to blame for, so that its source is what is shown."""
    __tracebackhide__ = True
    tree, line = ast.parse("def raise_(): raise error"), _line_of(item)
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = -1  # no part of the line is meant
    module = compile(tree, str(item.path), "exec")
    code = next(each for each in module.co_consts if isinstance(each, CodeType))
    name = getattr(item, "originalname", None) or item.name
    FunctionType(code.replace(co_name=name), {"error": error.with_traceback(None)})()
    raise AssertionError  # pragma: no cover - it has raised


def _line_of(item: pytest.Item) -> int:
    """Return the line where a test begins, counted from 1."""
    file, line, _ = item.reportinfo()
    if Path(file) != item.path:  # for Hypothesis, that of the wrapper which a decorator made
        wrapper = getattr(
            getattr(getattr(item, "obj", None), "hypothesis", None), "inner_test", None
        )
        code = getattr(wrapper and inspect.unwrap(wrapper), "__code__", None)
        line = code and code.co_firstlineno - 1
    return 1 + (line or 0)


def _sections(run: Run, call: pytest.CallInfo[None]) -> list[Section]:
    try:
        return [*_notes(call), *run.sections()]
    except Exception as error:  # noqa: BLE001 - the user's failure is what counts
        return [("aiostub", f"the report cannot be made: {type(error).__name__}: {error}")]


def _add_to_html(config: pytest.Config, report: pytest.TestReport, run: Run) -> None:
    """Give the report of pytest-html a picture of the calls, if that plugin writes one."""
    if config.getoption("htmlpath", default=None):
        pytest_html = import_module("pytest_html")
        # Its version 4 has renamed the attribute, and warns of the old name.
        name = "extra" if pytest_html.__version__.startswith("3.") else "extras"
        picture = run.html()
        extras = [pytest_html.extras.html(picture)] if picture else []
        setattr(report, name, [*getattr(report, name, []), *extras])


def _notes(call: pytest.CallInfo[None]) -> Iterable[Section]:
    """Return the notes of an exception on CPython 3.10, which does not show them."""
    if call.excinfo is None or hasattr(call.excinfo.value, "add_note"):
        return ()
    return (("aiostub", note) for note in getattr(call.excinfo.value, "__notes__", ()))


def _warn(text: str, leaks: list[Leak], file: str) -> None:
    """Warn at the line that opened the first of them."""
    __tracebackhide__ = True
    place = next((leak.place for leak in leaks if leak.place is not None), None)
    where, line = (file, 1) if place is None else place
    warnings.warn_explicit(LeakWarning(text), LeakWarning, where, line)


def _unittest_errors(item: pytest.Item) -> list[pytest.ExceptionInfo[BaseException]]:
    """Return what a unittest test failed with, in the list where pytest keeps it for the report."""
    return getattr(item, "_excinfo", None) or []
