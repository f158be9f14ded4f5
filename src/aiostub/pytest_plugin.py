"""The pytest plugin: fixture, marker, ini options, report. The work is done elsewhere.

Rules of the file: loading it imports neither aiohttp nor the rest of this package, since every
run of pytest pays for that; only a test that asks for the fixture, or the guard, does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiostub._stub import Stub

_stub_key: pytest.StashKey[Stub] = pytest.StashKey()
_guard_key: pytest.StashKey[Stub] = pytest.StashKey()

_MARKER = (
    "aiostub(base_url=None, *, strict=True, passthrough=(), unmatched='error'): "
    "configure the fixture aiostub; the nearest marker wins, argument by argument."
)
_ARGUMENTS = frozenset({"base_url", "strict", "passthrough", "unmatched"})


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the ini options, and let the compat layer declare its own."""
    with suppress(ImportError):
        pluginmanager.register(import_module("aiostub.compat.pytest_plugin"), "aiostub_compat")
    parser.addini("aiostub_strict", "Whether the fixture aiostub is strict.", "bool", default=True)
    parser.addini(
        "aiostub_passthrough",
        "Rules for requests that go to the real network, one a line.",
        "linelist",
        default=[],
    )
    parser.addini(
        "aiostub_guard",
        "Let no aiohttp request of the run leave the process unless something says so.",
        "bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and put up the guard."""
    config.addinivalue_line("markers", _MARKER)
    if config.getini("aiostub_guard"):
        from aiostub._stub import Stub

        guard = Stub(strict=False, passthrough=config.getini("aiostub_passthrough"))
        guard._registry.is_guard = True
        guard.start()
        config.stash[_guard_key] = guard


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the guard down."""
    guard = config.stash.get(_guard_key, None)
    if guard is not None:
        guard.stop()


@pytest.fixture(name="aiostub")
def aiostub_fixture(request: pytest.FixtureRequest) -> Iterator[Stub]:
    """Start a stub for the test, and check it when the test is over."""
    from aiostub._stub import Stub

    stub = Stub(**_arguments(request), param="aiostub")
    stub._registry.is_fixture = True
    request.node.stash[_stub_key] = stub
    with stub._until_torn_down():
        yield stub


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Merge the ini options and the markers, the nearest last."""
    arguments: dict[str, Any] = {
        "strict": request.config.getini("aiostub_strict"),
        "passthrough": request.config.getini("aiostub_passthrough"),
    }
    for marker in reversed(list(request.node.iter_markers("aiostub"))):
        arguments.update(_given(*marker.args, **marker.kwargs))
    return arguments


def _given(*base_url: Any, **arguments: Any) -> dict[str, Any]:
    """Return the arguments of one marker by name."""
    given = {**dict(zip(("base_url",), base_url, strict=False)), **arguments}
    unknown = [repr(name) for name in given if name not in _ARGUMENTS]
    unknown += [repr(value) for value in base_url[1:]]
    if unknown:
        message = f"@pytest.mark.aiostub does not take {', '.join(unknown)}; it is {_MARKER}"
        raise pytest.UsageError(message)
    return given


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Check the stubs of a test in its call phase, so that they fail it and not its teardown."""
    try:
        result = yield
    except BaseException as error:
        _check(item, error)
        raise
    _check(item, _unittest_error(item))
    return result


def _check(item: pytest.Item, error: BaseException | None) -> None:
    stub = item.stash.get(_stub_key, None)
    if stub is not None:
        stub._registry.check(error)


def _unittest_error(item: pytest.Item) -> BaseException | None:
    """Return what a unittest test failed with, which pytest keeps for the report only."""
    collected = getattr(item, "_excinfo", None)
    return collected[0].value if collected else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the calls of a failing test."""
    report = yield
    if report.when == "call" and report.failed:
        stub = item.stash.get(_stub_key, None)
        if stub is not None:
            report.sections.append(("aiostub calls", stub.calls.timeline(masked=True)))
        if call.excinfo is not None and not hasattr(call.excinfo.value, "add_note"):
            notes = getattr(call.excinfo.value, "__notes__", [])
            report.sections.extend(("aiostub", note) for note in notes)
    return report
