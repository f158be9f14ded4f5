"""One run of one test, as the report of a test runner sees it: its stubs, its calls, its leaks.

Nothing in here knows pytest.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from aiostub import _explain, _watch
from aiostub._boundary import interception
from aiostub._log.calls import Call, Calls, moment
from aiostub._matching.request import decoded_body
from aiostub._pytest.leaks import Leak, Requests, Sender, Sessions
from aiostub._pytest.waterfall import Detail, page
from aiostub._routing.route import Place, owner_of
from aiostub._secrets import mask_header, mask_url
from aiostub.exceptions import AiostubError

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp import BaseConnector, ClientResponse

    from aiostub._routing.registry import Registry
    from aiostub._stub import Stub

__all__ = ["Run", "Section", "is_met_by_user", "point_at_user"]

Section = tuple[str, str]

_SHOWN = 5

# The run whose test has begun a task, so that no fixture can be held to it.
_body: ContextVar[Run | None] = ContextVar("aiostub_test_body", default=None)


class Run:
    """Follow one run of one test; a `aiostub._watch.Watch`.

    Args:
        name: what the report calls the test.
        sessions: where they are made and closed; ``None`` to look for no leaks.
    """

    def __init__(self, name: str, sessions: Sessions | None) -> None:
        self.failed = False
        self.explained = False  # some report of it has its sections already
        self.stub: Stub | None = None  # the fixture's
        self._began = moment()
        # Weakly: a stub that the test has dropped is gone, unless its failure holds on to it.
        self._registries = [*map(weakref.ref, interception.started()), *_watch.unstarted]
        # But the last, which the test may have used in a function, or given no name.
        self._last: Registry | None = None
        self._sessions = sessions
        self._requests = Requests()
        if sessions is not None:
            sessions.begin(name)

    # What it is told.

    def stub_used(self, registry: Registry) -> None:
        """Learn of a stub that answers from now on, by what it knows."""
        self._registries.append(weakref.ref(registry))
        self._last = registry
        if self._sessions is not None:
            self._sessions.look_again()

    def sender(self) -> Sender | None:
        """Return who makes the client call that begins now."""
        if self._sessions is None:
            return None
        task = asyncio.current_task()
        return Sender(
            Place.of_user(sys._getframe(2)),
            None if task is None else weakref.ref(task),
            of_test=_body.get() is self,
        )

    def connector_used(self, connector: BaseConnector) -> None:
        """Learn of a connector that meets a stub for the first time."""
        if self._sessions is not None:
            self._sessions.used(connector)

    def connector_closed(self, connector: BaseConnector) -> None:
        """Learn that a connector is closed while a stub is started."""
        if self._sessions is not None:
            self._sessions.closed(connector)

    @contextmanager
    def body(self) -> Iterator[None]:
        """Let the test itself run, and see what it leaves in flight."""
        token = _body.set(self)
        try:
            yield
        finally:
            _body.reset(token)
            if self.stub is not None:
                self._requests.look_at(self.stub._registry)

    def passed(self) -> None:
        """Let go of what only a report would show."""
        self._last = None

    def fixture_ended(self) -> None:
        """Look at what is in flight, since some fixture has been torn down."""
        self._requests.look_again()

    def stub_stops(self) -> None:
        """Look at what is in flight, since the fixture's stub stops now."""
        if self.stub is not None:
            self._requests.stub_stops(self.stub._registry)

    # The check of the fixture's stub.

    def check(self, error: BaseException | None) -> None:
        """Raise what was left over, or add it to what the test fails with already."""
        if self.stub is not None:
            self.stub._registry.check(error)

    def check_troubles(self, error: BaseException) -> None:
        """Add what went wrong to what the setup failed with: what is left over is no wonder."""
        if self.stub is not None:
            self.stub._registry.check_troubles(error)

    # The leaks.

    def leaks(self) -> list[Leak]:
        """End the watch, and return what nobody closed; a test that fails has none to show."""
        if self._sessions is None:
            return []
        if self.failed:
            self._sessions.forget()
        left = list(self._sessions.end())
        return [] if self.failed else [*self._requests.end(), *left]

    # The report.

    @property
    def calls(self) -> Calls:
        """Return the calls of this run, whichever stub answered them, in order of arrival."""
        registries = (registry() for registry in self._registries)
        found = (call for registry in registries if registry is not None for call in registry.log)
        mine = {call for call in found if call._began > self._began}
        return Calls(sorted(mine, key=attrgetter("_began")))

    def sections(self) -> Iterator[Section]:
        """Yield title and text of what explains a failure."""
        calls = self.calls
        if calls or self.stub is not None:
            yield "aiostub calls", calls.timeline(masked=True)
        unmatched = [call for call in calls if call.outcome == "unmatched"]
        if unmatched:
            yield "aiostub unmatched requests", _as_sent(unmatched)
        left_over = self._left_over()
        if left_over:
            yield "aiostub left over", left_over

    def html(self) -> str:
        """Return the calls as a picture, with what each of them sent and got; nothing if none."""
        calls = self.calls
        return page(calls.rows(), [_detail(call) for call in calls]) if calls else ""

    def _left_over(self) -> str:
        """Return what a stub would say if it were strict; one that is has said it already."""
        registry = None if self.stub is None else self.stub._registry
        return "" if registry is None or registry.strict else registry.left_over()


def _as_sent(calls: list[Call]) -> str:
    rest = len(calls) - _SHOWN
    shown = [as_sent(call) for call in calls[:_SHOWN]]
    return "\n\n".join([*shown, *([f"and {rest} more"] if rest > 0 else [])])


def as_sent(call: Call) -> str:
    """Return the request of a call, without its secrets."""
    request = call.request
    parts = request.parts
    return _explain.as_sent(
        f"{request.method} {request.url}",
        list(request.headers.items()),
        decoded_body(request),
        request.headers.get("Content-Type", ""),
        fields=[(part.name or "", _content(part)) for part in parts],
    )


def _detail(call: Call) -> Detail:
    request = call.request
    title = f"{request.method} {mask_url(str(request.url))}  {call.outcome}"
    got = "" if call.response is None else _got(call.response)
    return Detail(title, "\n\n".join(part for part in (as_sent(call), got) if part))


def _got(response: ClientResponse) -> str:
    lines = [f"{name}: {mask_header(name, value)}" for name, value in response.headers.items()]
    return "\n".join([f"{response.status} {response.reason}", *lines])


def _content(part: Any) -> str:
    excerpt = _explain.body_excerpt(part.body, part.content_type)
    return excerpt if part.filename is None else f"{part.filename}: {excerpt}"


def is_met_by_user(error: BaseException) -> bool:
    """Tell whether an error has come through a line of the user's."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__))
    return any(owner_of(frame.f_code.co_filename) == "user" for frame in frames)


def point_at_user(error: BaseException | None) -> None:
    """Let the traceback of an error of ours end at the line of the user's that met it.

    Args:
        error: what a test fails with; the errors that it came from are seen to, as well.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, AiostubError):
            _cut_behind_user(error.__traceback__)
        error = error.__cause__ or error.__context__


def _cut_behind_user(traceback: TracebackType | None) -> None:
    last = None
    while traceback is not None:
        if owner_of(traceback.tb_frame.f_code.co_filename) != "client":
            last = traceback
        traceback = traceback.tb_next
    if last is not None:
        last.tb_next = None
