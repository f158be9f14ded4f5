"""The classes of aioresponses, over a stub of ours.

Rules of the file:

- Names, arguments, messages and the order of what happens are those of aioresponses 0.7.9, since
  suites depend on each of them. Docs: "Coming from aioresponses".
- What is asked is decided when the client call begins, as there: a call is recorded, a callback
  awaited and a failure raised before aiohttp has looked at the arguments. Only a reply goes the
  whole way through aiohttp's client, and each redirect of it is asked for at the boundary.
- The body of a call is sent only where a middleware or a trace may look at it.
- A call whose arguments, session or connector aiohttp refuses is answered all the same, over a
  session of our own that stands in for the app's.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import (
    ClientConnectionError,
    ClientResponse,
    ClientSession,
    RequestInfo,
    hdrs,
    http,
    typedefs,
)
from aiohttp.helpers import TimerNoop
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from aiostub._answers.steps import Action, Ask, Deliver, Hang, Step
from aiostub._boundary import interception
from aiostub._matching.needle import needle_of
from aiostub._matching.pattern import Pattern as _Pattern
from aiostub._matching.verdict import Match
from aiostub._routing.route import Place
from aiostub._routing.router import Choice, NoAnswer, Taken
from aiostub._stub import Stub
from aiostub.compat.aioresponses._answer import Answer, Telling, body_of, phrase
from aiostub.compat.aioresponses._decorator import decorate, decorate_class
from aiostub.compat.aioresponses._matches import Containing, Exact, Findable, Matches
from aiostub.compat.aioresponses._stand_in import is_no_way, is_plain, is_refusal, stand_in
from aiostub.compat.aioresponses.compat import (
    AIOHTTP_VERSION,
    URL,
    Pattern,
    merge_params,
    normalize_url,
    stream_reader_factory,
)
from aiostub.matchers import ANY

if TYPE_CHECKING:
    from typing_extensions import Self

    from aiostub._matching.request import Request
    from aiostub._routing.registry import Way

# Suites patch some of these where aioresponses has them; here they only have to exist.
__all__ = [
    "AIOHTTP_VERSION",
    "URL",
    "CIMultiDict",
    "CIMultiDictProxy",
    "CallbackResult",
    "ClientConnectionError",
    "ClientResponse",
    "ClientSession",
    "MultiDict",
    "MultiDictProxy",
    "Pattern",
    "RequestCall",
    "RequestInfo",
    "RequestMatch",
    "TimerNoop",
    "aioresponses",
    "asyncio",
    "copy",
    "hdrs",
    "http",
    "inspect",
    "merge_params",
    "normalize_url",
    "stream_reader_factory",
    "typedefs",
]

_NO_MATCH = Match({})
_ATOMS = frozenset({bool, bytes, float, int, str, type(None)})
_NEVER_SENT = frozenset({"params"})  # they are in the URL
# The body of a call, unless somebody looks at it on its way: it is left for the test to see.
_NOT_SEEN = _NEVER_SENT | {"data", "json", "compress", "chunked", "expect100"}
# What stands in the log of the stub; the answers themselves are not its routes.
_EVERYTHING = _Pattern.build(None, ANY)
_HERE = Place(__file__, 1)


class CallbackResult:
    """Say what a callback answers."""

    def __init__(
        self,
        method: str = hdrs.METH_GET,
        status: int = 200,
        body: str | bytes = "",
        content_type: str = "application/json",
        payload: Any = None,
        headers: Any = None,
        response_class: type[ClientResponse] | None = None,
        reason: str | None = None,
    ) -> None:
        self.method = method
        self.status = status
        self.body = body
        self.content_type = content_type
        self.payload = payload
        self.headers = headers
        self.response_class = response_class
        self.reason = reason


class RequestMatch(Findable):
    """Hold what was registered: which requests, and the answer."""

    url_or_pattern: Any = None

    def __init__(
        self,
        url: URL | str | Pattern[str],
        method: str = hdrs.METH_GET,
        status: int = 200,
        body: str | bytes = "",
        payload: Any = None,
        exception: BaseException | type[BaseException] | None = None,
        headers: Any = None,
        content_type: str = "application/json",
        response_class: type[ClientResponse] | None = None,
        timeout: bool = False,
        repeat: bool | int = False,
        reason: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        self.match_func: Callable[[URL], bool]
        if isinstance(url, Pattern):
            self.url_or_pattern = url
            self.match_func = self.match_regexp
        else:
            self.url_or_pattern = normalize_url(url)
            self.match_func = self.match_str
        self.method = method.lower()
        self.status = status
        self.body = body
        self.payload = payload
        self.exception = exception
        if timeout:
            self.exception = asyncio.TimeoutError("Connection timeout test")
        self.headers = _headers(headers)
        self.content_type = content_type
        self.response_class = response_class
        self.repeat = repeat
        self.reason = phrase(status) if reason is None else reason
        self.callback = callback
        self.pending = 0  # uses that a callback is still deciding about
        self._answered: tuple[Any, Answer] | None = None

    def __repr__(self) -> str:
        return f"RequestMatch('{self.url_or_pattern}')"

    def match_str(self, url: URL) -> bool:
        """Tell whether this is the URL."""
        own = self.url_or_pattern  # which yarl keeps: most times it is the same object
        return own is url or bool(own == url)

    def match_regexp(self, url: URL) -> bool:
        """Tell whether the pattern matches from the beginning of the URL."""
        return bool(self.url_or_pattern.match(str(url)))

    def match(self, method: str, url: URL) -> bool:
        """Tell whether this answers a request."""
        return self.method == method.lower() and self.match_func(url)

    @property
    def place(self) -> Exact | Containing | None:
        """Say which requests it may answer, as long as nobody has changed how it decides."""
        decides = getattr(self.match_func, "__func__", None)
        if type(self) is not RequestMatch or self.is_overridden:
            return None
        if decides is _MATCH_STR and isinstance(self.url_or_pattern, URL):
            return Exact(self.method, self.url_or_pattern)
        if decides is _MATCH_REGEXP and isinstance(self.url_or_pattern.pattern, str):
            piece = needle_of(self.url_or_pattern)
            return Containing(self.method, piece) if piece else None
        return None

    @property
    def is_spoken_for(self) -> bool:
        """Tell whether every use that is left is being decided about."""
        if not self.pending or self.repeat is True:
            return False
        left = int(self.repeat) or isinstance(self.repeat, bool)
        return 0 < left <= self.pending

    @property
    def is_plain(self) -> bool:
        """Tell whether nobody need be asked for the answer, and it is no exception."""
        return self.exception is None and not callable(self.callback)

    def answer(self) -> Answer:
        """Return the answer as it is registered now; as long as that is the same, it is, too."""
        body = body_of(self)
        if type(self.headers) is not CIMultiDict:
            return Answer.with_body(self, body)
        says = (
            self.method,
            self.status,
            self.reason,
            self.content_type,
            body,
            self.response_class,
            tuple(self.headers.items()),
        )
        if self._answered is None or self._answered[0] != says:
            self._answered = says, Answer.with_body(self, body)
        return self._answered[1]

    async def ask(self, url: URL, **kwargs: Any) -> Any:
        """Return what the callback says, or the exception, or this itself as it was registered."""
        result = None
        if callable(self.callback):
            result = self.callback(url, **kwargs)
            if inspect.isawaitable(result):
                result = await result
        if self.exception is not None:
            return self.exception
        return self if result is None else result

    async def build_response(self, url: URL, **kwargs: Any) -> Any:
        """Return the response to a request, or the exception that it meets."""
        result = await self.ask(url, **kwargs)
        if aioresponses.is_exception(result):
            return result
        return await aioresponses()._stand_in(Answer.of(result), url, kwargs)

    def _build_response(self, *_: Any, **__: Any) -> ClientResponse:
        """Be there for suites that wrap it to limp past a newer aiohttp; nothing here calls it."""
        raise NotImplementedError("aiohttp makes the responses: await build_response(url) instead")


class _Asked(NamedTuple):
    """What has to be asked for the answer to a request."""

    key: str
    matcher: RequestMatch


_MATCH = RequestMatch.match
_MATCH_STR = RequestMatch.match_str
_MATCH_REGEXP = RequestMatch.match_regexp


def _headers(given: Any) -> Any:
    if given is None:
        return CIMultiDict()
    return CIMultiDict(given) if isinstance(given, dict) else given


def refused(method: str, url: URL | None) -> ClientConnectionError:
    """Return the error of a request that nothing answers."""
    return ClientConnectionError(f"Connection refused: {method} {url}")


class RequestCall(NamedTuple):
    """One recorded call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Call:
    """One client call that is being answered."""

    __slots__ = (
        "asked",
        "failure",
        "kwargs",
        "methods",
        "mock",
        "passes",
        "prepared",
        "session",
        "url",
        "way",
    )

    def __init__(self, session: Any, way: Way | None) -> None:
        self.session = session
        self.way = way
        self.mock: aioresponses | None = None  # whose answer is under way
        self.prepared: Deliver | None = None  # what the first request of the call gets
        self.url: URL | None = None
        self.kwargs: dict[str, Any] = {}
        self.passes = False  # a request of it, to what is outside of the mock
        self.asked = 0  # how many requests have come to the boundary
        self.failure: BaseException | None = None  # what one of them met there
        self.methods: list[str] = []  # what each response says of its request

    def told(self, response: ClientResponse) -> ClientResponse:
        """Let the last response, and those before it, say the methods that were registered."""
        response.method = self.methods.pop()
        for hop, told in zip(reversed(response.history), reversed(self.methods), strict=False):
            hop.method = told
        return response

    def raise_failure(self, error: BaseException) -> None:
        """Raise what was registered, if aiohttp has made another exception of it."""
        failure = self.failure
        if failure is not None and (error is failure or error.__cause__ is failure):
            raise failure from None


_call: ContextVar[_Call | None] = ContextVar("aiostub_compat_call", default=None)


class _Patcher:
    """What suites ask of the patch: aiohttp's own function, and whether it is on."""

    def __init__(self, mock: aioresponses) -> None:
        self._mock = mock

    @property
    def temp_original(self) -> Any:
        """Return aiohttp's own ``ClientSession._request``."""
        return _original()

    def start(self) -> None:
        """Start the mock."""
        self._mock.start()

    def stop(self) -> None:
        """Stop the mock."""
        self._mock.stop()


def _original() -> Any:
    return inspect.unwrap(ClientSession._request)


_NAMES_TAKEN = frozenset(inspect.signature(_original()).parameters)


class aioresponses:  # noqa: N801 - its users know it by this name
    """Answer the requests of every `aiohttp.ClientSession` while it is started.

    Args:
        param: the keyword by which a decorator passes it.
        passthrough: URL prefixes of what goes to the real network.
        passthrough_unmatched: whether what nothing answers goes there too.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._param = kwargs.pop("param", None)
        self._passthrough = _prefixes(kwargs.pop("passthrough", []))
        self.passthrough_unmatched = kwargs.pop("passthrough_unmatched", False)
        self.patcher = _Patcher(self)
        self.requests: dict[tuple[str, URL], list[RequestCall]] = {}
        self._matches: dict[str, RequestMatch] = Matches()
        self._responses: list[ClientResponse] = []
        self._depth = 0
        self._count = 0
        self._lock = threading.RLock()
        self._stub = Stub(strict=False)
        registry = self._stub._registry
        registry.dialect = _Dialect(self)
        self._route = registry.router.add(_EVERYTHING, _HERE)

    # Switching it on.

    def start(self) -> None:
        """Begin to answer requests."""
        self._depth += 1
        if self._depth == 1:
            self._responses = []
            self._stub.start()

    def stop(self) -> None:
        """Stop answering requests, and forget the routes."""
        if self._depth == 1:
            self._stub.stop()
            self.clear()
        self._depth = max(self._depth - 1, 0)

    def clear(self) -> None:
        """Forget routes and responses; `requests` stay."""
        self._responses.clear()
        with self._lock:
            self._matches.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def __call__(self, f: Any) -> Any:
        """Decorate a function, or the ``test*`` methods of a class."""
        if isinstance(f, type):
            return decorate_class(f, self)
        return decorate(f, self, self._param)

    # Routes.

    def head(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to HEAD; arguments as for `add`."""
        self.add(url, method=hdrs.METH_HEAD, **kwargs)

    def get(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to GET; arguments as for `add`."""
        self.add(url, method=hdrs.METH_GET, **kwargs)

    def post(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to POST; arguments as for `add`."""
        self.add(url, method=hdrs.METH_POST, **kwargs)

    def put(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to PUT; arguments as for `add`."""
        self.add(url, method=hdrs.METH_PUT, **kwargs)

    def patch(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to PATCH; arguments as for `add`."""
        self.add(url, method=hdrs.METH_PATCH, **kwargs)

    def delete(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to DELETE; arguments as for `add`."""
        self.add(url, method=hdrs.METH_DELETE, **kwargs)

    def options(self, url: Any, **kwargs: Any) -> None:
        """Register an answer to OPTIONS; arguments as for `add`."""
        self.add(url, method=hdrs.METH_OPTIONS, **kwargs)

    def add(
        self,
        url: Any,
        method: str = hdrs.METH_GET,
        status: int = 200,
        body: str | bytes = "",
        exception: BaseException | type[BaseException] | None = None,
        content_type: str = "application/json",
        payload: Any = None,
        headers: Any = None,
        response_class: type[ClientResponse] | None = None,
        repeat: bool | int = False,
        timeout: bool = False,
        reason: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Register an answer.

        Args:
            url: exact, its query in any order, or a pattern that matches from the beginning.
            method: of the request, in either case.
            status: of the response.
            body: of the response; text is sent in UTF-8.
            exception: what the call raises instead.
            content_type: of the response.
            payload: a body in JSON, unless it is ``None``.
            headers: of the response.
            response_class: instead of aiohttp's.
            repeat: once; ``True`` for ever; or how often, 0 and less being for ever.
            timeout: raise `asyncio.TimeoutError` instead.
            reason: instead of the status's own phrase.
            callback: ``callback(url, **kwargs)``, which may return a `CallbackResult`.
        """
        matcher = RequestMatch(
            url,
            method=method,
            status=status,
            content_type=content_type,
            body=body,
            exception=exception,
            payload=payload,
            headers=headers,
            response_class=response_class,
            repeat=repeat,
            timeout=timeout,
            reason=reason,
            callback=callback,
        )
        with self._lock:
            self._count += 1
            self._matches[str(self._count)] = matcher

    # Assertions.

    def _format_call_signature(self, *args: Any, **kwargs: Any) -> str:
        said = [repr(arg) for arg in args] + [f"{key}={value!r}" for key, value in kwargs.items()]
        return f"{type(self).__name__}({', '.join(said)})"

    def assert_not_called(self) -> None:
        """Assert that there was no call."""
        if self.requests:
            raise AssertionError(
                f"Expected '{type(self).__name__}' to not have been called. "
                f"Called {len(self._responses)} times."
            )

    def assert_called(self) -> None:
        """Assert that there was a call."""
        if not self.requests:
            raise AssertionError(f"Expected '{type(self).__name__}' to have been called.")

    def assert_called_once(self) -> None:
        """Assert that there was one call."""
        calls = list(self.requests.values())
        count = len(calls[0]) if len(calls) == 1 else len(calls)
        if count != 1:
            raise AssertionError(
                f"Expected '{type(self).__name__}' to have been called once. Called {count} times."
            )

    def assert_called_with(
        self,
        url: Any,
        method: str = hdrs.METH_GET,
        args_to_match: Sequence[str] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Assert what the last call of a URL was.

        Args:
            url: the whole URL; *params* are added to it.
            method: of the call.
            args_to_match: the only arguments that are compared.
            *args: further positional arguments of the call.
            **kwargs: the arguments of the call.
        """
        calls = self._calls_of(url, method, args, kwargs)
        actual = calls[-1]
        expected = self._build_request_call(method.upper(), *args, **kwargs)
        if args_to_match is None:
            differs = actual != expected
        else:
            differs = any(
                name not in actual.kwargs or actual.kwargs[name] != expected.kwargs.get(name)
                for name in args_to_match
            )
        if differs:
            said = self._format_call_signature
            raise AssertionError(f"{said(actual)} != {said(expected)}")

    def assert_any_call(
        self, url: Any, method: str = hdrs.METH_GET, *args: Any, **kwargs: Any
    ) -> None:
        """Assert that there was a call of a URL, whatever its other arguments were."""
        self._calls_of(url, method, args, kwargs)

    def assert_called_once_with(self, *args: Any, **kwargs: Any) -> None:
        """Assert that there was one call, and what it was; arguments as `assert_called_with`."""
        self.assert_called_once()
        self.assert_called_with(*args, **kwargs)

    def _calls_of(
        self, url: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[RequestCall]:
        url = normalize_url(merge_params(url, kwargs.get("params")))
        method = method.upper()
        calls = self.requests.get((method, url)) or [
            call
            for (other, where), recorded in self.requests.items()
            if where == url and other.upper() == method
            for call in recorded
        ]
        if not calls:
            wanted = self._format_call_signature(url, *args, method=method, **kwargs)
            raise AssertionError(f"{wanted} call not found")
        return calls

    @staticmethod
    def is_exception(resp_or_exc: Any) -> bool:
        """Tell whether this is an exception, or a class of them."""
        if isinstance(resp_or_exc, type):
            return issubclass(resp_or_exc, BaseException)
        return isinstance(resp_or_exc, BaseException)

    # Answering.

    async def _request_mock(
        self, orig_self: Any, method: str, url: Any, *args: Any, **kwargs: Any
    ) -> ClientResponse:
        """Do what ``ClientSession._request`` does."""
        data = kwargs.get("data")
        if data is not None and hasattr(data, "__aiter__"):
            kwargs["data"] = b"".join([chunk async for chunk in data])
        if orig_self.closed:
            raise RuntimeError("Session is closed")
        asked = interception.address_of(orig_self, url)
        if orig_self.headers:
            kwargs["headers"] = interception.headers_of(orig_self, kwargs.get("headers"))
        params = kwargs.get("params")
        url = merge_params(asked, params) if params else asked
        if url.raw_query_string:
            url = normalize_url(url)
        if self._passthrough and self._passes(url):
            return await self._pass_through(orig_self, method, str(asked), kwargs)
        self._record(method, url, args, kwargs)
        response = await self.match(method, url, **kwargs)
        if response is None:
            return await self._unmatched(orig_self, method, url, str(asked), kwargs)
        self._responses.append(response)
        wanted = kwargs.get("raise_for_status")
        if wanted is None:
            wanted = interception.raises_for_status(orig_self)
        if callable(wanted):
            await wanted(response)
        elif wanted:
            response.raise_for_status()
        return response

    def _passes(self, url: URL) -> bool:
        return str(url).startswith(tuple(self._passthrough))

    def _record(self, method: str, url: URL, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = self._build_request_call(method, *args, **kwargs)
        self.requests.setdefault((method, url), []).append(call)

    def _build_request_call(
        self,
        method: str = hdrs.METH_GET,
        *args: Any,
        allow_redirects: bool = True,
        **kwargs: Any,
    ) -> RequestCall:
        kwargs.setdefault("allow_redirects", allow_redirects)
        if method == "POST":
            kwargs.setdefault("data", None)
        if _ATOMS.issuperset(map(type, kwargs.values())):  # which would be the same in a copy
            return RequestCall(args, kwargs)
        try:
            return RequestCall(args, copy.deepcopy(kwargs))
        except Exception:  # noqa: BLE001 - not everything can be copied, and says so in its own way
            return RequestCall(args, kwargs)

    async def match(
        self, method: str, url: URL, allow_redirects: bool = True, **kwargs: Any
    ) -> ClientResponse | None:
        """Return the response to a call, or ``None`` if nothing answers it.

        Raises:
            BaseException: what was registered as *exception*.
        """
        taken = self._take(method, url)
        if taken is None:
            return None
        kwargs = {"allow_redirects": allow_redirects, **kwargs}
        answer = taken if isinstance(taken, Answer) else await self._ask(taken, url, kwargs)
        call = _call.get() or _Call(None, None)
        call.kwargs = kwargs
        call.url = url
        return await self._answer(call, answer, method)

    def _take(self, method: str, url: URL) -> Answer | _Asked | None:
        """Use up what answers a request, or reserve one use of what has to be asked."""
        with self._lock:
            for key in self._those_for(method, url):
                matcher = self._matches[key]
                if not matcher.match(method, url) or matcher.is_spoken_for:
                    continue
                if not matcher.is_plain:
                    matcher.pending += 1
                    return _Asked(key, matcher)
                answer = matcher.answer()
                self._use(key, matcher)
                return answer
        return None

    def _those_for(self, method: str, url: URL) -> Iterable[str]:
        """Return the keys of what may answer a request: all, where a suite has ways of its own."""
        matches = self._matches
        if type(matches) is Matches and RequestMatch.match is _MATCH:
            return matches.found(method, url)
        return matches

    async def _ask(self, asked: _Asked, url: URL, kwargs: dict[str, Any]) -> Answer:
        """Ask what was registered for the answer; a callback that raises is not used up."""
        key, matcher = asked
        try:
            result = await matcher.ask(url, **kwargs)
            failed = self.is_exception(result)
            answer = None if failed else Answer.of(result)
            with self._lock:
                self._use(key, matcher)
        finally:
            matcher.pending -= 1
        if answer is None:
            raise result
        return answer

    def _use(self, key: str, matcher: RequestMatch) -> None:
        if matcher.repeat is True:
            return
        if not isinstance(matcher.repeat, bool):
            matcher.repeat -= 1
            if matcher.repeat != 0:
                return
        self._matches.pop(key, None)

    async def _answer(self, call: _Call, answer: Answer, method: str) -> ClientResponse:
        """Let an answer go through aiohttp's client."""
        response: ClientResponse | None = None
        url: Any = call.url
        if answer.fits(method.upper()) and interception.is_at_home(call.session, url):
            assert call.way is not None
            call.mock, call.prepared = self, self._deliver(call, answer, method, url)
            try:
                kwargs = self._for_aiohttp(call, answer)
                response = await call.way.onwards(call.session, method, url, **kwargs)
            except BaseException as error:
                call.raise_failure(error)
                if answer.redirects and call.asked and is_no_way(error):
                    raise refused(method, url) from error
                if call.asked > 1 or not is_refusal(error):
                    raise
        if response is None:
            return await self._stand_in(answer, url, call.kwargs)
        return call.told(response)

    def _for_aiohttp(self, call: _Call, answer: Answer) -> dict[str, Any]:
        """Return the arguments with which a call goes on through aiohttp's client."""
        seen = interception.is_watched(call.session, call.kwargs)
        left_out = _NEVER_SENT if seen and is_plain(call.kwargs.get("data")) else _NOT_SEEN
        kwargs = {name: value for name, value in call.kwargs.items() if name not in left_out}
        kwargs["raise_for_status"] = False
        if answer.redirects and hdrs.LOCATION not in answer.headers:
            kwargs["allow_redirects"] = False
        return kwargs

    async def _stand_in(self, answer: Answer, url: URL, kwargs: dict[str, Any]) -> ClientResponse:
        call = _Call(None, None)
        call.mock, call.url, call.kwargs = self, url, kwargs
        call.prepared = self._deliver(call, answer, hdrs.METH_GET, url)
        token = _call.set(call)
        try:
            response = await stand_in(self._stub, url, kwargs, original=_original())
        except BaseException as error:
            call.raise_failure(error)
            raise
        finally:
            _call.reset(token)
        return call.told(response)

    async def _unmatched(
        self, session: Any, method: str, url: URL, asked: str, kwargs: dict[str, Any]
    ) -> ClientResponse:
        call = _call.get()
        way = None if call is None else call.way
        if self.passthrough_unmatched or (way is not None and interception.outwards(way)):
            return await self._pass_through(session, method, asked, kwargs)
        if call is None or way is None or way.is_innermost:
            raise refused(method, url)
        call.mock, call.url, call.kwargs = self, url, kwargs
        try:  # a stub that was started later may answer
            return await way.onwards(session, method, asked, **kwargs)
        except ClientConnectionError as error:
            call.raise_failure(error)
            raise

    async def _pass_through(
        self, session: Any, method: str, url: str, kwargs: dict[str, Any]
    ) -> ClientResponse:
        call = _call.get()
        assert call is not None
        assert call.way is not None
        call.mock = self
        further = interception.outwards(call.way) or call.way.onwards
        return await further(session, method, url, **kwargs)

    # At the network boundary.

    def _choose(self, request: Request, *, use: bool) -> Choice:
        call = _call.get()
        if call is None or call.mock is not self:
            return NoAnswer(None)
        if not use:
            return self._taken(Hang()) if call.url is not None else NoAnswer(None)
        call.asked += 1
        if call.url is None:
            return NoAnswer(None)
        if call.prepared is not None:
            prepared, call.prepared = call.prepared, None
            return self._taken(prepared)
        action = self._next(call, request)
        call.passes = action is None
        return NoAnswer(None) if action is None else self._taken(action)

    def _lets_through(self) -> bool:
        call = _call.get()
        return call is not None and call.mock is self and (call.url is None or call.passes)

    def _taken(self, action: Action) -> Taken:
        return Taken(self._route, Step(action), _NO_MATCH)

    def _next(self, call: _Call, request: Request) -> Action | None:
        """Say what the next request of a call gets: a redirect, or one that is sent again.

        ``None`` is what a stub outside has for it, or the real network.
        """
        taken = next(
            (
                taken
                for url in (request.url, normalize_url(request.url))
                for method in (request.method, "get")
                if (taken := self._take(method, url)) is not None
            ),
            None,
        )
        if taken is None and (self.passthrough_unmatched or self._passes(request.url)):
            return None
        if isinstance(taken, Answer):
            return self._deliver(call, taken, request.method, request.url)

        telling = Telling(request.url, request.method, call.kwargs.get("headers"))

        async def ask(_: Request) -> Deliver:
            try:
                if taken is None:
                    raise refused(request.method, call.url)  # noqa: TRY301
                answer = await self._ask(taken, request.url, call.kwargs)
            except BaseException as error:
                call.failure = error
                raise
            call.methods.append(answer.method)
            return telling.deliver(answer, request.method)

        return Ask(ask, early=False, names=(), make=telling.make)

    def _deliver(self, call: _Call, answer: Answer, method: str, url: URL) -> Deliver:
        call.methods.append(answer.method)
        telling = Telling(url, answer.method, call.kwargs.get("headers"))
        return telling.deliver(answer, method.upper())


class _Dialect:
    """Speak aioresponses' words over its stub."""

    def __init__(self, mock: aioresponses) -> None:
        self._mock = mock

    async def call(
        self, session: ClientSession, method: str, url: Any, kwargs: dict[str, Any], way: Way
    ) -> ClientResponse:
        if not _NAMES_TAKEN.issuperset(kwargs):
            name = next(name for name in kwargs if name not in _NAMES_TAKEN)
            raise TypeError(f"got an unexpected keyword argument {name!r}")
        token = _call.set(_Call(session, way))
        try:
            return await self._mock._request_mock(session, method, url, **kwargs)
        finally:
            _call.reset(token)

    def choose(self, request: Request, *, use: bool) -> Choice:
        return self._mock._choose(request, use=use)

    def lets_through(self) -> bool:
        return self._mock._lets_through()


def _prefixes(given: Any) -> Any:
    return [given] if isinstance(given, str) else given
