"""Every text of more than a line.

The rules of this file: plain data comes in, a ``str`` goes out, and nothing here
looks at a stub, a route or a session. A text says what happened, then what came
near and why it was not that, then what to type. Code in a text can be pasted as
it stands: it is Python, and each piece alone puts the matter right.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from yarl import URL

from aiostub._secrets import is_secret_pair, mask_body, mask_header, mask_url, mask_value
from aiostub._value import Value

__all__ = [
    "Compared",
    "Fix",
    "FrameRow",
    "Missed",
    "Near",
    "Row",
    "Unused",
    "abandoned",
    "as_sent",
    "body_excerpt",
    "call_count",
    "different_call",
    "fixes",
    "guarded",
    "human",
    "in_flight",
    "leaks",
    "mask_header",
    "mask_url",
    "missing_timeout",
    "nearest_first",
    "never_called",
    "never_closed",
    "never_served",
    "no_step",
    "no_such_call",
    "timeline",
    "unmatched",
    "unsatisfied",
    "wrong_order",
]

Pairs = Sequence[tuple[str, str]]

WIDTH: Final = 100
_SHOWN: Final = 5
_LISTED: Final = 10
_DETAIL: Final = 400
_MASK: Final = "***"
_DOTS: Final = "..."
_CODE_INDENT: Final = "    "
_CODE_WIDTH: Final = 72
# From here on a duration rounds to the next unit.
_TENTH_OF_MS: Final = 0.0001
_WHOLE_S: Final = 0.9995
_WHOLE_MIN: Final = 59.95
_COMMA_LINE: Final = ",\n    "

# --- what comes in ---------------------------------------------------------------


class Near(Value):
    """Describe a route that did not answer a request, and why not.

    Args:
        route: The route as text: method, URL, conditions.
        where: File and line of its registration.
        field: The first thing that differs, e.g. ``"params"``; ``"handle"`` for a callback
            that returned ``None``; ``""`` where nothing differs.
        detail: What differs in that field, e.g. ``"page: expected '2', got '1'"``.
        used: Uses out of all uses, e.g. ``"1/1"``, ``"1/3"``, ``"4/always"``; ``None`` for none.
        rank: How near the route came; larger is nearer.
        steps: How many steps the route has.
    """

    route: str
    where: str
    field: str
    detail: str
    used: str | None
    rank: float
    steps: int = 1


class Unused(Value):
    """Describe a route with steps that were never served.

    Args:
        route: The route as text: method, URL, conditions.
        where: File and line of its registration.
        steps: The steps that were left, e.g. ``"reply(503) served 1 of 2"``.
        nearest: The call that came nearest, e.g. ``"GET https://api.test/user"``, if any.
        field: The first thing in which that call differs.
        detail: What differs in that field.
    """

    route: str
    where: str
    steps: Sequence[str]
    nearest: str | None = None
    field: str = ""
    detail: str = ""


class Missed(Value):
    """Describe a request that nobody answered.

    Args:
        request: The request as text, e.g. ``"GET https://api.test/users"``.
        nearest: The route that came nearest, if any.
        base: What the code that answers it is written relative to, if anything.
        websocket: Whether it is a WebSocket handshake.
    """

    request: str
    nearest: Near | None = None
    base: str | None = None
    websocket: bool = False


class FrameRow(Value):
    """Describe one frame of a WebSocket for a timeline.

    Args:
        offset: Seconds from the first call of the timeline to it.
        sent: Whether the client sent it.
        kind: Its type, e.g. ``"TEXT"``.
        data: Its text or bytes; of a close, the code.
        extra: The reason of a close.
    """

    offset: float
    sent: bool
    kind: str
    data: str | bytes | int
    extra: str = ""


class Row(Value):
    """Describe one call for a timeline.

    Args:
        offset: Seconds since the first call.
        method: The method as sent.
        url: The full URL as sent.
        outcome: A status, the name of an error, ``"pending"``, ``"cancelled"``, ``"unmatched"``
            or ``"passed through 200"``.
        duration: Seconds until the head or the error, ``None`` while there is neither.
        route: The route that answered, as text, if any.
        attempts: How often aiohttp sent it.
        frames: What went over it, if it is a WebSocket.
    """

    offset: float
    method: str
    url: str
    outcome: str
    duration: float | None = None
    route: str | None = None
    attempts: int = 1
    frames: Sequence[FrameRow] = ()


class Compared(Value):
    """Describe a call that was compared with what an assertion expected.

    Args:
        call: The call as text, e.g. ``"GET https://api.test/users"``.
        field: The first thing that differs.
        detail: What differs in that field.
    """

    call: str
    field: str
    detail: str


class Fix(Value):
    """Hold one thing to type: what it does, where that needs words, and the Python to paste."""

    why: str
    code: str


# --- unmatched requests ----------------------------------------------------------


def unmatched(
    method: str,
    url: str,
    nears: Sequence[Near],
    *,
    redirected_from: str | None = None,
    base: str | None = None,
    loopback: bool = False,
    websocket: bool = False,
    name: str = "stub",
    more: int = 0,
) -> str:
    """Say that no route answers a request, which came near, and what to type.

    Args:
        method: The method as sent.
        url: The full URL as sent.
        nears: The routes that were asked; they are sorted here, the first five are shown.
        redirected_from: The URL that redirected here, for a hop after a redirect.
        base: The stub's ``base_url``; code is then written relative to it where it can be.
        loopback: Whether the host is this machine.
        websocket: Whether the request is a WebSocket handshake.
        name: What the test calls the stub.
        more: Registered routes that are not in ``nears``.
    """
    wanted = fixes(method, url, nears, base=base, loopback=loopback, websocket=websocket, name=name)
    return _paragraphs(
        _unanswered(method, url, redirected_from), _candidates(nears, more), _to_paste(wanted)
    )


def fixes(
    method: str,
    url: str,
    nears: Sequence[Near],
    *,
    base: str | None = None,
    loopback: bool = False,
    websocket: bool = False,
    name: str = "stub",
) -> tuple[Fix, ...]:
    """Return what to type so that a request is answered, the likeliest first.

    The arguments are those of `unmatched`. Each piece of code is a whole: it imports what it
    needs from aiostub, and knows only the stub by its name.
    """
    request = _Sent.read(method, url, base=base, websocket=websocket, name=name)
    found = _route_fixes(request, nearest_first(nears)[:_SHOWN])
    return (*found, _passthrough_fix(request)) if loopback else tuple(found)


def guarded(method: str, url: str, *, during: str | None = None, where: str | None = None) -> str:
    """Say that ``aiostub_guard`` kept a request from the real network, and what to type.

    Args:
        method: The method as sent.
        url: The full URL as sent.
        during: The test, and its phase, that was running.
        where: File and line of the request.
    """
    request = _Sent.read(method, url, base=None, websocket=False, name="aiostub")
    rule = f"aiostub_passthrough = {_authority(request.whole)}"
    happened = [
        f"no stub is started to answer {method} {mask_url(url)}",
        "and the ini option aiostub_guard = true lets nothing pass through",
        f"during {during}" if during else "while no test was running",
    ]
    if where is not None:
        happened.append(f"sent at {where}")
    return _paragraphs(
        "\n".join(happened),
        _heading("To fix it, answer it in a test with the fixture aiostub:", [request.route()]),
        _heading("or let it pass through, by the ini file:", [rule]),
    )


def _unanswered(method: str, url: str, redirected_from: str | None) -> str:
    happened = f"no route answers {method} {mask_url(url)}"
    if redirected_from is None:
        return happened
    return f"{happened}\nredirected from {mask_url(redirected_from)}"


def _candidates(nears: Sequence[Near], more: int) -> str:
    total = len(nears) + more
    if not total:
        return "No routes are registered."
    shown = nearest_first(nears)[:_SHOWN]
    lines = [_candidate(near) for near in shown]
    rest = total - len(shown)
    if rest:
        lines.append(f"and {_counted(rest, 'more route')}" if shown else _counted(rest, "route"))
    return _heading("The routes, nearest first:", lines, indent="  ")


def _candidate(near: Near) -> str:
    lines = [_cut(near.route, WIDTH - 2), f"  {near.where}  {_state(near)}"]
    if near.field:
        lines.append(_indented(_difference(near.field, near.detail), "  "))
    return "\n".join(lines)


def _state(near: Near) -> str:
    if _used_up(near) and near.field != "handle":
        return f"used up {near.used}"
    if near.field in {"", "handle"}:
        return "did not answer"
    served, _, uses = (near.used or "0/1").partition("/")
    if served == "0":
        return "never matched"
    return f"served {served} of {uses}" if uses.isdigit() else _times("served", int(served))


def _used_up(near: Near) -> bool:
    served, _, uses = (near.used or "").partition("/")
    return bool(served) and served == uses


def _would_answer(near: Near) -> bool:
    return _used_up(near) and not near.field


def nearest_first(nears: Iterable[Near]) -> list[Near]:
    """Sort routes: one that would answer if it were not used up, then by how near they came."""
    return sorted(nears, key=lambda near: (not _would_answer(near), -near.rank))


def _difference(field: str, detail: str) -> str:
    return f"{field}  {_cut(detail, _DETAIL)}".rstrip()


def _to_paste(wanted: Sequence[Fix]) -> str:
    which = "this" if len(wanted) == 1 else "one of these"
    blocks = [f"# {fix.why}\n{fix.code}" if fix.why else fix.code for fix in wanted]
    return _heading(f"To fix it, paste {which}, with the reply that you want:", blocks)


# --- the code to paste -----------------------------------------------------------


class _Sent(Value):
    """Hold a request in the shape in which code for it is written."""

    method: str
    whole: URL
    base: URL | None
    websocket: bool
    name: str

    @classmethod
    def read(cls, method: str, url: str, *, base: str | None, websocket: bool, name: str) -> _Sent:
        """Take a request apart; what matching ignores (fragment, userinfo) falls away."""
        whole = URL(url, encoded=True).with_fragment(None)
        whole = whole.with_user(None) if whole.raw_user or whole.raw_password else whole
        upgrade = websocket or whole.scheme in {"ws", "wss"}
        return cls(method, whole, None if base is None else URL(base), upgrade, name)

    @property
    def pairs(self) -> Pairs:
        """Return the decoded query, or nothing if encoding it again gives another one."""
        pairs = tuple(self.whole.query.items())
        again = self.whole.with_query(pairs)
        return pairs if _query_bytes(self.whole) == _query_bytes(again) else ()

    def route(self) -> str:
        """Write a route for this request alone; a secret in its query may be any."""
        if self.pairs:
            return self.route_with(_literal_pairs(self.pairs))
        if mask_url(str(self.whole)) != str(self.whole):
            return self.route_with("ANY")
        return self.answered(self._registered(self.whole, ""))

    def route_with(self, params: str) -> str:
        """Write a route for this request with another condition on the query."""
        code = self.answered(self._registered(self.whole.with_query(None), f"params={params}"))
        names = [
            name for name in ("ANY", "partial") if re.search(rf"(?<!\")\b{name}\b(?!\")", params)
        ]
        return f"from aiostub import {', '.join(names)}\n{code}" if names else code

    def answered(self, call: str, uses: str = "") -> str:
        """Add a step to a registered route."""
        if not self.websocket:
            return f"{call}.reply(200){uses}"
        return f'async def talk(ws):\n    await ws.send_str("hello")\n\n{call}.handle(talk){uses}'

    def _registered(self, url: URL, conditions: str) -> str:
        verb = "ws" if self.websocket else self.method
        return _registered(self.name, verb, _no_template(_relative(url, self.base)), conditions)


def _route_fixes(request: _Sent, nears: Sequence[Near]) -> tuple[Fix, ...]:
    if nears and _would_answer(nears[0]):
        return _used_up_fixes(request, nears[0])
    if nears and nears[0].field == "params":
        return _query_fixes(request, nears[0])
    other = next((near for near in nears if _other_method_only(request, near)), None)
    why = "" if other is None else f"in place of {other.where}: {request.method}"
    return (Fix(why, request.route()),)


def _used_up_fixes(request: _Sent, near: Near) -> tuple[Fix, ...]:
    uses = int((near.used or "").partition("/")[0]) + 1
    call = _registered_again(near, request.name)
    if call is None or near.steps > 1 or request.websocket:
        other = f".times({uses})" if near.steps == 1 else ".then.reply(200)"
        why = f"one more route (or add {other} or .always() at {near.where})"
        return (Fix(why, request.route()),)
    return (
        Fix("one more route", request.route()),
        Fix(
            f"in place of {near.where}: {_times('served', uses)}",
            request.answered(call, f".times({uses})"),
        ),
        Fix(f"in place of {near.where}: served without end", request.answered(call, ".always()")),
    )


def _query_fixes(request: _Sent, near: Near) -> tuple[Fix, ...]:
    same = _same_pairs(request.pairs, near.detail)
    place = f"in place of {near.where}"
    this = Fix("one more route: this query", request.route())
    free = Fix(f"{place}: any query", request.route_with("ANY"))
    if not same:
        return this, free
    subset = request.route_with(f"partial({_literal_pairs(same)})")
    return this, free, Fix(f"{place}: any query that has this", subset)


def _same_pairs(pairs: Pairs, detail: str) -> Pairs:
    """Return what of the query does not differ, as far as the detail names what does."""
    differing = {part.partition(":")[0] for part in detail.split("; ")}
    keys = [key for key, _ in pairs]
    return [(key, value) for key, value in pairs if key not in differing and keys.count(key) == 1]


def _passthrough_fix(request: _Sent) -> Fix:
    rule = _literal(_authority(request.whole))
    return Fix("or pass it through to the real server", f"{request.name}.passthrough({rule})")


def _authority(url: URL) -> str:
    host = url.host or ""
    host = f"[{host}]" if ":" in host else host
    return host if url.explicit_port is None else f"{host}:{url.explicit_port}"


def _other_method_only(request: _Sent, near: Near) -> bool:
    read = _read_route(near.route)
    return near.field == "method" and read is not None and _same_url(request, read[1])


def _same_url(request: _Sent, text: str) -> bool:
    sent = URL(str(request.whole))
    try:
        url = URL(text).with_fragment(None)
    except ValueError:  # a template need not be a URL: "https://{name}.test/"
        return False
    return sent in {sent.join(url), (request.base or sent).join(url)}


# A route as text, with a URL that was written as text: method, URL, conditions.
_ROUTE_TEXT: Final = re.compile(
    r"(any|ws|[A-Z-]+)(?: method)? ((?:[A-Za-z][\w+.-]*:/)?/[^\s\\]*)(?:,? (\w+=.*))?", re.DOTALL
)


def _read_route(text: str) -> tuple[str, str, str] | None:
    """Return method, URL and conditions of a route whose text is enough to write it again."""
    found = _ROUTE_TEXT.fullmatch(text)
    if found is None or not _are_literal(found[3] or ""):
        return None
    return found[1], found[2], found[3] or ""


def _are_literal(arguments: str) -> bool:
    """Tell whether keyword arguments can be written again as they stand."""
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return False
        for keyword in call.keywords:
            ast.literal_eval(keyword.value)
    except (SyntaxError, TypeError, ValueError):
        return False
    return True


def _registered_again(near: Near, name: str) -> str | None:
    read = _read_route(near.route)
    return None if read is None else _registered(name, *read)


_VERBS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "any", "ws"})


def _registered(name: str, method: str, url: str, conditions: str) -> str:
    """Write the registration of a route, over several lines where one is too long."""
    plain = method in _VERBS
    call = f"{name}.{method.lower() if plain else 'request'}"
    arguments = [_literal(url)] if plain else [_literal(method), _literal(url)]
    arguments += [conditions] if conditions else []
    line = f"{call}({', '.join(arguments)})"
    return line if len(line) <= _CODE_WIDTH else f"{call}(\n    {_COMMA_LINE.join(arguments)},\n)"


def _relative(url: URL, base: URL | None) -> str:
    """Return the URL as one would write it with that ``base_url``."""
    if base is None:
        return str(url)
    inside = url.raw_path_qs.removeprefix(base.raw_path) if len(base.raw_path) > 1 else ""
    texts = [text for text in (inside, url.raw_path_qs) if text]
    return next((text for text in texts if base.join(URL(text, encoded=True)) == url), str(url))


def _no_template(url: str) -> str:
    return url.replace("{", "%7B").replace("}", "%7D")


def _query_bytes(url: URL) -> list[tuple[bytes, bytes]]:
    parts = [part.partition("=") for part in url.raw_query_string.replace("+", " ").split("&")]
    return [(unquote_to_bytes(key), unquote_to_bytes(value)) for key, _, value in parts]


def _literal_pairs(pairs: Pairs) -> str:
    if len(dict(pairs)) == len(pairs):
        items = [f"{_literal(key)}: {_value(key, value)}" for key, value in pairs]
        return "{" + ", ".join(items) + "}"
    return "[" + ", ".join(f"({_literal(key)}, {_value(key, value)})" for key, value in pairs) + "]"


def _value(key: str, value: str) -> str:
    return "ANY" if is_secret_pair(key, value) else _literal(value)


def _literal(text: str) -> str:
    """Write a Python literal, in double quotes where that is safe."""
    if not text.isprintable():
        return repr(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# --- what was left over ----------------------------------------------------------


def unsatisfied(
    unused: Sequence[Unused],
    missed: Sequence[Missed],
    *,
    name: str = "stub",
    fixture: bool = False,
) -> str:
    """Say what was left over at the end, and what to type.

    Args:
        unused: The routes with steps that were never served.
        missed: The requests that were unmatched.
        name: What the test calls the stub.
        fixture: Whether the stub is the pytest fixture, which a marker configures.
    """
    strict = "@pytest.mark.aiostub(strict=False)" if fixture else f"{name} = Stub(strict=False)"
    answer = "To answer what was unmatched, with the reply that you want:"
    return _paragraphs(
        _left_over(len(unused), len(missed)),
        _listed("Never served:", [_unused_route(route) for route in unused]),
        _listed("Unmatched:", _repeated(_missed_request(each, unused) for each in missed)),
        _unused_fix(unused),
        _heading(answer, _answers(missed, name)),
        _heading("To check nothing at the end:", [strict]),
    )


def never_served(unused: Sequence[Unused]) -> str:
    """Say which steps were never served, where nobody has to do anything about it.

    Args:
        unused: The routes with such steps.
    """
    return _listed("Never served:", [_unused_route(route) for route in unused])


def no_step(route: str, where: str, *, name: str = "stub") -> str:
    """Say that a route without a step was asked to answer, and what to type.

    Args:
        route: The route as text: method, URL, conditions.
        where: File and line of its registration.
        name: What the test calls the stub.
    """
    read = _read_route(route)
    code = ".reply(200)" if read is None else f"{_registered(name, *read)}.reply(200)"
    return _paragraphs(
        f"a route without a step was asked to answer: {_cut(route, _DETAIL)}\n  {where}",
        _heading(f"To fix it, give it a step at {where}, for example:", [code]),
    )


def _left_over(routes: int, requests: int) -> str:
    have = "has" if routes == 1 else "have"
    was = "was" if requests == 1 else "were"
    left = f"{_counted(routes, 'route')} {have} steps that were never served" if routes else ""
    missed = f"{_counted(requests, 'request')} {was} unmatched" if requests else ""
    return ", ".join(part for part in (left, missed) if part)


def _unused_route(unused: Unused) -> str:
    lines = [_cut(unused.route, WIDTH - 2), f"  {unused.where}"]
    lines += [f"  {step}" for step in unused.steps]
    if unused.nearest is not None:
        lines.append(f"  nearest call  {_cut(mask_url(unused.nearest), WIDTH - 18)}")
        lines.append(_indented(_difference(unused.field, unused.detail), "    "))
    return "\n".join(lines)


def _missed_request(missed: Missed, unused: Sequence[Unused]) -> tuple[str, str]:
    """Return a request, and which route was nearest unless that one says so itself."""
    near = missed.nearest
    told = (
        any(each.nearest == missed.request and each.where == near.where for each in unused)
        if (near)
        else True
    )
    request = mask_url(missed.request)
    return request, "" if near is None or told else _indented(_nearest_route(near), "  ")


def _nearest_route(near: Near) -> str:
    return f"nearest route  {_candidate(near.but(route=_cut(near.route, WIDTH - 19)))}"


def _repeated(requests: Iterable[tuple[str, str]]) -> list[str]:
    counts = Counter(requests)
    return [
        "\n".join(part for part in (text if n == 1 else f"{text}  {n} times", more) if part)
        for (text, more), n in counts.items()
    ]


def _answers(missed: Sequence[Missed], name: str) -> list[str]:
    requests = list({each.request: each for each in missed}.values())[:_SHOWN]
    return [
        _Sent.read(
            *each.request.split(" ", 1), base=each.base, websocket=each.websocket, name=name
        ).route()
        for each in requests
    ]


def _unused_fix(unused: Sequence[Unused]) -> str:
    if not unused:
        return ""
    places = [unused_route.where for unused_route in unused]
    at = f"the route at {places[0]}" if len(places) == 1 else "a route"
    return _heading(f"To fix it, remove {at}, or, if it need not be called, add:", [".optional()"])


# --- assertions ------------------------------------------------------------------


def call_count(
    expected: int,
    rows: Sequence[Row],
    *,
    of: str | None = None,
    at_least: bool = False,
    within: float | None = None,
    others: Sequence[Row] = (),
) -> str:
    """Say that there were more or fewer calls than expected, and which.

    Args:
        expected: How many calls were expected.
        rows: The calls that there were.
        of: The route that was asked, as text; ``None`` for all calls of the stub.
        at_least: Whether more would have been right as well.
        within: The seconds that were waited for them.
        others: All calls of the stub, shown where ``rows`` is empty.
    """
    wanted = f"expected {'at least ' if at_least else ''}{_calls(expected)}"
    whose = f" of {_cut(of, WIDTH)}" if of else ""
    time = "" if within is None else f" within {human(within)}"
    happened = f"{wanted}{whose}{time}, got {len(rows) or 'none'}"
    if rows:
        return f"{happened}:\n{_indented(_masked_timeline(rows), '  ')}"
    return _paragraphs(
        happened, _listed("There were others:", [_masked_timeline(others)] if others else [])
    )


def _calls(number: int) -> str:
    return _counted(number, "call") if number else "no calls"


def different_call(expected: str, got: Compared, *, which: str = "last") -> str:
    """Say how a call differs from the one that was expected.

    Args:
        expected: The expected call as text.
        got: The call that was compared, and its first difference.
        which: Which of the calls that is: ``"last"``, ``"only"`` or ``"nearest"``.
    """
    return (
        f"the {which} call differs in {got.field}\n"
        f"  expected  {_cut(expected, WIDTH - 12)}\n"
        f"  got       {_cut(mask_url(got.call), WIDTH - 12)}\n"
        f"{_indented(_difference(got.field, got.detail), '  ')}"
    )


def no_such_call(expected: str, nearest: Compared | None, rows: Sequence[Row]) -> str:
    """Say that none of the calls was the expected one, and which came nearest.

    Args:
        expected: The expected call as text.
        nearest: The call that came nearest, if there was any.
        rows: All calls.
    """
    happened = f"no call is {_cut(expected, WIDTH)}"
    return _paragraphs(happened, _nearest_call(nearest), _masked_timeline(rows))


def never_called(routes: Sequence[tuple[str, str]], rows: Sequence[Row]) -> str:
    """Say which routes were never called.

    Args:
        routes: Each route as text, and the file and line of its registration.
        rows: All calls.
    """
    were = "was" if len(routes) == 1 else "were"
    lines = [f"{_cut(route, WIDTH - 2)}\n  {where}" for route, where in routes]
    happened = f"{_counted(len(routes), 'route')} {were} never called"
    return _paragraphs(_listed(f"{happened}:", lines), _masked_timeline(rows))


def wrong_order(expected: Sequence[str], found: int, rows: Sequence[Row]) -> str:
    """Say which route was not called in its turn.

    Args:
        expected: The routes in the order that was expected, as text.
        found: How many of them, from the first, were called in that order.
        rows: All calls.
    """
    after = f" after {_cut(expected[found - 1], WIDTH)}" if found else ""
    happened = f"{_cut(expected[found], WIDTH)} was not called{after}"
    order = [f"{number}. {_cut(route, WIDTH)}" for number, route in enumerate(expected, 1)]
    listed = _heading("Expected order:", order, indent="  ")
    return _paragraphs(happened, listed, _masked_timeline(rows))


def _nearest_call(nearest: Compared | None) -> str:
    if nearest is None:
        return ""
    difference = _indented(_difference(nearest.field, nearest.detail), "  ")
    return f"The nearest call: {_cut(mask_url(nearest.call), _DETAIL)}\n{difference}"


def _masked_timeline(rows: Sequence[Row]) -> str:
    return timeline(rows, masked=True)


# --- timers ----------------------------------------------------------------------


def missing_timeout(
    which: str,
    timers: Mapping[Any, float | None],
    method: str,
    url: str,
    *,
    where: str | None = None,
) -> str:
    """Say that the client has not the timer that should fire, which it has, and what to type.

    Args:
        which: The timer that should fire, e.g. ``"sock_read"``.
        timers: The client's timers by name, in seconds; ``None`` and 0 mean that it is off.
        method: The method as sent.
        url: The full URL as sent.
        where: File and line of the route's registration.
    """
    has = {timer: seconds for timer, seconds in timers.items() if seconds}
    listed = ", ".join(f"{timer} ({human(seconds)})" for timer, seconds in has.items())
    lines = [
        f"timeout({_literal(which)}) cannot fire for {method} {mask_url(url)}",
        f"the client has no {which} timer{f'; it has {listed}' if has else ', nor any other'}",
    ]
    if where is not None:
        lines.append(f"the route is registered at {where}")
    return _paragraphs("\n".join(lines), _new_timer(which, has), _other_timer(has))


def _new_timer(which: str, has: Mapping[str, float]) -> str:
    # A ClientTimeout replaces the session's as a whole: what it has must be said again.
    settings = ", ".join(f"{timer}={seconds:g}" for timer, seconds in {**has, which: 5}.items())
    code = f"timeout=aiohttp.ClientTimeout({settings})"
    return _heading("To fix it, give the session or the request that timer:", [code])


def _other_timer(has: Mapping[str, float]) -> str:
    steps = [f".timeout({_literal(timer)})" for timer in has]
    return _heading("or let the step fire one that the client has:", steps)


def no_way_through(method: str, url: str) -> str:
    """Say that a request over a socket cannot pass through.

    Args:
        method: The method as sent.
        url: The URL that it was matched as.
    """
    return (
        f"{method} {url} came over a socket of stub.serve(), behind which there is no real network "
        "to pass through to; give its route a reply"
    )


def abandoned(method: str, url: str, age: float, where: str | None) -> str:
    """Say that a request was still in flight when its stub was stopped.

    Args:
        method: The method as sent.
        url: The full URL as sent.
        age: Seconds since it reached the network boundary.
        where: File and line of the route that was to answer it, if any.
    """
    answers = "" if where is None else f", to be answered by the route at {where}"
    request = f"{method} {mask_url(url)}"
    return f"the stub was stopped while {request} was in flight, for {human(age)}{answers}"


# --- leaks -----------------------------------------------------------------------


def leaks(test: str, found: Sequence[str]) -> str:
    """Say what a test has left open.

    Args:
        test: The name of the test.
        found: Each leak as text.
    """
    have = "has leaked" if len(found) == 1 else f"has {len(found)} leaks"
    return _listed(f"{test} {have}:", found)


def never_closed(name: str, where: str | None, *, of: str | None = None) -> str:
    """Say that a session was never closed.

    Args:
        name: What was made: ``"ClientSession"``, or the class of a connector.
        where: File and line that made it.
        of: The name of the test that made it, if it is another one than is reported.
    """
    owner = "" if of is None else f", by {of}"
    lines = [f"{name} was never closed", *([] if where is None else [f"  made at {where}{owner}"])]
    how = "async with aiohttp.ClientSession() as session:"
    lines.append(f"  to close it, write    {how}")
    return "\n".join(lines)


def in_flight(
    method: str,
    url: str,
    *,
    status: int | None,
    websocket: bool,
    handler: str | None,
    asked_at: str | None,
    where: str | None,
) -> str:
    """Say that a request was not over when its test was.

    Args:
        method: The method as sent.
        url: The full URL as sent.
        status: The status of its response, if the head of one is there.
        websocket: Whether it is a WebSocket.
        handler: The step whose callback is still running, as text, if it is that.
        asked_at: File and line of the test or the app that sent it.
        where: File and line of the route that answers it, if any.
    """
    request = f"{method} {mask_url(url)}"
    if websocket:
        happened = f"a WebSocket was never closed: {request}"
    elif status is not None:
        happened = f"a response was neither read to its end nor released: {request}  {status}"
    elif handler is not None:
        happened = f"{handler} is still running, for {request}"
    else:
        happened = f"a request is still waiting for its response: {request}"
    sent = [] if asked_at is None else [f"  sent at {asked_at}"]
    route = [] if where is None else [f"  the route is registered at {where}"]
    return "\n".join([happened, *sent, *route])


# --- the timeline ----------------------------------------------------------------


def timeline(rows: Sequence[Row], *, width: int = WIDTH, masked: bool = False) -> str:
    """Return calls as aligned lines: offset, method, URL, outcome, duration, route.

    Below a WebSocket stand its frames: offset, direction, type, data; ten at most, the first and
    the last of them.

    Args:
        rows: The calls in order of arrival.
        width: The columns to keep to, 80 or more. In lines that are longer, the origin that all
            URLs share moves to the first line, a route that only repeats its call falls away,
            and URLs are cut in the middle, in this order.
        masked: Whether secrets in URLs and frames are replaced, for reports that others read.
    """
    if not rows:
        return "no calls"
    title = f"{_counted(len(rows), 'call')}{_span(rows)}"
    layouts = list(_layouts([_masked_row(row) for row in rows] if masked else rows))
    origin, cells = next((layout for layout in layouts if _fits(layout[1], width)), layouts[-1])
    title = f"{title}, all to {origin}" if origin else title
    lines = [title]
    for row, line in zip(rows, _aligned(_cut_to(cells, width)), strict=True):
        lines += [line, *_frame_lines(row.frames, width, masked=masked)]
    return "\n".join(lines)


_FRAMES_AT_EITHER_END: Final = 5
_FRAME_INDENT: Final = 6 * " "


def _frame_lines(frames: Sequence[FrameRow], width: int, *, masked: bool) -> list[str]:
    """Write the frames of a WebSocket, those in the middle only counted."""
    rest = len(frames) - 2 * _FRAMES_AT_EITHER_END
    if rest <= 1:
        first, last = frames, frames[:0]
    else:
        first, last = frames[:_FRAMES_AT_EITHER_END], frames[-_FRAMES_AT_EITHER_END:]
    cells = [_frame_cells(frame, masked=masked) for frame in (*first, *last)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_frame_line(row, widths, width) for row in cells]
    more = [f"{_FRAME_INDENT}... {rest} more"] if last else []
    return [*lines[: len(first)], *more, *lines[len(first) :]]


def _frame_cells(frame: FrameRow, *, masked: bool) -> tuple[str, str, str]:
    arrow = "->" if frame.sent else "<-"
    return f"+{human(frame.offset)}", f"{arrow} {frame.kind}", _frame_data(frame, masked=masked)


def _frame_line(cells: tuple[str, str, str], widths: Sequence[int], width: int) -> str:
    offset, kind, data = cells
    start = f"{_FRAME_INDENT}{offset.rjust(widths[0])}{_GAP}{kind.ljust(widths[1])}{_GAP}"
    return f"{start}{_cut(data, width - len(start))}".rstrip()


def _frame_data(frame: FrameRow, *, masked: bool) -> str:
    data = frame.data
    if isinstance(data, bytes):
        return body_excerpt(data) if data else ""
    said = frame.extra if isinstance(data, int) else data
    said = repr(mask_body(said) if masked else said)
    if not isinstance(data, int):
        return said
    code = str(data) if data else "without a code"
    return f"{code} {said}" if frame.extra else code


def _layouts(rows: Sequence[Row]) -> Iterator[tuple[str, list[_Cells]]]:
    """Yield the origin that is said once, and the lines, from the fullest to the shortest."""
    yield "", [_cells(row) for row in rows]
    origin = _shared_origin(rows)
    yield origin, [_cells(row, origin) for row in rows]
    yield origin, [_cells(_without_same_route(row), origin) for row in rows]


# offset, method, URL, outcome, duration, attempts, route
_Cells = tuple[str, str, str, str, str, str, str]
_URL, _ROUTE = 2, 6
_LEAST: Final = 16
_RIGHT: Final = frozenset({0, 4})
_GAP: Final = "  "


def _cells(row: Row, origin: str = "") -> _Cells:
    route = row.route or ""
    return (
        f"+{human(row.offset)}",
        row.method,
        _path(row.url, origin),
        row.outcome,
        "" if row.duration is None else human(row.duration),
        f"{row.attempts} attempts" if row.attempts > 1 else "",
        _path(route.removeprefix(f"{row.method} "), origin) if origin else route,
    )


def _shared_origin(rows: Sequence[Row]) -> str:
    first, *others = {_origin(row.url) for row in rows}
    return "" if others else first


def _without_same_route(row: Row) -> Row:
    return row.but(route=None) if row.route == f"{row.method} {row.url}" else row


def _origin(url: str) -> str:
    found = re.match(r"[A-Za-z][\w+.-]*://[^/?#]+(?=/)", url)
    return found[0] if found else ""


def _path(text: str, origin: str) -> str:
    return text[len(origin) :] if origin and text.startswith(f"{origin}/") else text


def _cut_to(cells: Sequence[_Cells], width: int) -> list[_Cells]:
    """Cut URLs and routes in the middle until the lines keep to the width."""
    widths = _widths(cells)
    free = width - _line_width(widths) + widths[_URL] + widths[_ROUTE]
    route = min(widths[_ROUTE], max(free - widths[_URL], free * 2 // 5, _LEAST))
    url = max(free - route, _LEAST)
    return [(*row[:2], _cut(row[2], url), *row[3:6], _cut(row[6], route)) for row in cells]


def _aligned(cells: Sequence[_Cells]) -> list[str]:
    widths = _widths(cells)
    return [_aligned_line(row, widths) for row in cells]


def _aligned_line(row: _Cells, widths: Sequence[int]) -> str:
    columns = [
        cell.rjust(width) if number in _RIGHT else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        if width
    ]
    return (_GAP + _GAP.join(columns)).rstrip()


def _widths(cells: Sequence[_Cells]) -> list[int]:
    return [max(map(len, column)) for column in zip(*cells, strict=True)]


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * sum(1 for width in widths if width)


def _fits(cells: Sequence[_Cells], width: int) -> bool:
    return _line_width(_widths(cells)) <= width


def _span(rows: Sequence[Row]) -> str:
    offsets = [row.offset for row in rows]
    if offsets != sorted(offsets):  # calls of several event loops, whose clocks differ
        return ""
    end = max(row.offset + (row.duration or 0) for row in rows)
    return f" in {human(end - offsets[0])}"


def _masked_row(row: Row) -> Row:
    route = None if row.route is None else mask_url(row.route)
    return row.but(url=mask_url(row.url), route=route)


# --- bodies ----------------------------------------------------------------------

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HEX: Final = 16
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


def body_excerpt(body: bytes, content_type: str = "", *, limit: int = 500) -> str:
    """Return the beginning of a body without its secrets; of a binary one, what it is.

    Args:
        body: The body, content coding undone.
        content_type: The value of its Content-Type header.
        limit: The most characters to show.
    """
    if not body:
        return "no body"
    text = _decoded(body, content_type)
    if text is None:
        return _binary(body, content_type)
    text = mask_body(text)
    return text if len(text) <= limit else f"{text[:limit]}... ({_bytes(body)} in all)"


def _decoded(body: bytes, content_type: str) -> str | None:
    charset = _CHARSET.search(content_type)
    try:
        text = body.decode(charset[1] if charset else "utf-8")
    except (LookupError, ValueError):
        return None
    return None if _CONTROL.search(text) else text


def as_sent(
    request: str, headers: Pairs, body: bytes, content_type: str, fields: Pairs | None = None
) -> str:
    """Return a request as it was sent, without its secrets.

    Args:
        request: Method and URL.
        headers: The header lines.
        body: The body, content coding undone.
        content_type: The value of its Content-Type header.
        fields: The fields of a multipart form, which are shown in place of its body.
    """
    lines = [f"{name}: {_cut(mask_header(name, value), WIDTH)}" for name, value in headers]
    shown = [f"{name} = {_cut(mask_value(name, value), WIDTH)}" for name, value in fields or ()]
    announced = {name.lower(): value for name, value in headers}.get("content-length", "0")
    if not body and announced != "0":
        excerpt = "the call ended before the body was sent"
    else:
        excerpt = "\n".join(shown) if shown else body_excerpt(body, content_type)
    return _paragraphs("\n".join([mask_url(request), *lines]), excerpt)


def _binary(body: bytes, content_type: str) -> str:
    kind = content_type.partition(";")[0].strip()
    rest = " ..." if len(body) > _HEX else ""
    what = f"{_bytes(body)} of {kind}" if kind else f"{_bytes(body)}, binary"
    return f"{what}: {body[:_HEX].hex(' ')}{rest}"


def _bytes(body: bytes) -> str:
    return _counted(len(body), "byte")


# --- shapes of text --------------------------------------------------------------


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _heading(title: str, blocks: Sequence[str], *, indent: str = _CODE_INDENT) -> str:
    """Put blocks under a title; no title without blocks."""
    return "\n".join([title, *(_indented(block, indent) for block in blocks)]) if blocks else ""


def _listed(title: str, blocks: Sequence[str]) -> str:
    """Put blocks under a title, the first ten of them and the rest counted."""
    rest = len(blocks) - _LISTED
    counted = [f"and {rest} more"] if rest > 0 else []
    return _heading(title, [*blocks[:_LISTED], *counted], indent="  ")


def _indented(text: str, indent: str) -> str:
    return textwrap.indent(text, indent)


def _times(verb: str, number: int) -> str:
    return f"{verb} once" if number == 1 else f"{verb} {number} times"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(text: str, width: int) -> str:
    """Cut a text in the middle if it is longer than that."""
    if len(text) <= width:
        return text
    head = (width - len(_DOTS) + 1) // 2
    tail = width - len(_DOTS) - head
    return f"{text[:head]}{_DOTS}{text[len(text) - tail :]}"


def human(seconds: float) -> str:
    """Write a duration in ms, s or min, with three digits."""
    if seconds < _TENTH_OF_MS:
        return "0 ms"
    if seconds < _WHOLE_S:
        return f"{seconds * 1000:.3g} ms"
    if seconds < _WHOLE_MIN:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
