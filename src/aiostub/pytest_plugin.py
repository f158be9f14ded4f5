"""The pytest plugin: fixture, marker, ini options, guard. The work is done elsewhere.

Rules of the file: loading it imports neither aiohttp nor the rest of this package, and it has no
hook that runs with every test, since every run of pytest pays for that. The hooks that do come when
a test may use a stub: with its fixture, with the guard, or with the first stub that starts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiostub._pytest.hooks import Hooks
    from aiostub._stub import Stub

_hooks_key: pytest.StashKey[Hooks] = pytest.StashKey()
_guard_key: pytest.StashKey[Stub] = pytest.StashKey()

_MARKER = (
    "aiostub(base_url=None, *, strict=True, passthrough=(), unmatched='error'): "
    "configure the fixture aiostub; the nearest marker wins, argument by argument."
)
_LEAK_MODES = frozenset({"warn", "error", "ignore"})
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
    parser.addini(
        "aiostub_leaks",
        "What becomes of sessions, responses and requests that a test leaves open: "
        "warn, error or ignore.",
        default="warn",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Put up the guard before the first conftest.py is imported."""
    _put_up_guard(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; put up the guard where a conftest.py has loaded this plugin."""
    config.addinivalue_line("markers", _MARKER)
    leaks = config.getini("aiostub_leaks")
    if leaks not in _LEAK_MODES:
        message = f"aiostub_leaks: expected warn, error or ignore, got {leaks!r}"
        raise pytest.UsageError(message)
    _put_up_guard(config)


def _put_up_guard(config: pytest.Config) -> None:
    if config.getini("aiostub_guard") and _guard_key not in config.stash:
        from aiostub._stub import Stub
        from aiostub.exceptions import RouteError

        try:
            guard = Stub(strict=False, passthrough=config.getini("aiostub_passthrough"))
        except RouteError as error:
            message = f"aiostub_passthrough: {error}"
            raise pytest.UsageError(message) from None
        guard._registry.is_guard = True
        guard.start()
        config.stash[_guard_key] = guard
        config.add_cleanup(guard.stop)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look closer at each test, if any may use a stub."""
    uses_fixture = any("aiostub" in getattr(item, "fixturenames", ()) for item in session.items)
    if uses_fixture or "aiostub._stub" in sys.modules:
        _hooks(session.config)
    else:  # a test may start a stub yet
        from aiostub import _watch

        _watch.awaited, outer = lambda: _hooks(session.config).join(), _watch.awaited
        session.config.add_cleanup(partial(setattr, _watch, "awaited", outer))


def _hooks(config: pytest.Config) -> Hooks:
    hooks = config.stash.get(_hooks_key, None)
    if hooks is None:
        from aiostub._pytest.hooks import Hooks

        hooks = config.stash[_hooks_key] = Hooks(
            config.getini("aiostub_leaks"),
            whole_tracebacks=config.getoption("fulltrace", default=False),
        )
        config.pluginmanager.register(hooks, "aiostub-hooks")
    return hooks


@pytest.fixture(name="aiostub")
def aiostub_fixture(request: pytest.FixtureRequest) -> Iterator[Stub]:
    """Start a stub for the test, and check it when the test is over."""
    __tracebackhide__ = True
    from aiostub._stub import Stub

    stub = Stub(**_arguments(request), param="aiostub")
    stub._registry.is_fixture = True
    with _hooks(request.config).running(request.node, stub):
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
