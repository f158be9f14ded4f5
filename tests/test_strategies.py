"""Hypothesis strategies: scripts of failures, the code that they are, and what they find."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import string
from typing import NamedTuple

import aiohttp
import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aiostub
from aiostub import Reply, RouteError, Stub, faults
from aiostub.strategies import FAILURES, Script, scripts, spoiled

URL = "https://api.test/users/7"
ADA = Reply(200, json={"name": "Ada"})
READ_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError)

virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime")
    else pytest.mark.skip(reason="looptime needs CPython 3.11 and is not installed")
)


def pasted(code):
    """Run the code of a script, and return the route that it registers."""
    names = {"stub": Stub(), "url": URL, "faults": faults, "aiohttp": aiohttp, "asyncio": asyncio}
    return eval(code, names)


def actions(route):
    """Say what a route does, as exactly as it shows."""
    return [_exact(step.action) for step in route.steps]


def _exact(action):
    reply = getattr(action, "reply", None)
    if reply is None:
        return str(action)
    versions = [(method, version) for method in ("GET", "HEAD") for version in ((1, 0), (1, 1))]
    return [reply.delay, reply.fault, *(reply.encode(*each) for each in versions)]


class OwnError(aiohttp.ClientError):
    """An error of a test's own."""


# The code


class Written(NamedTuple):
    """A script and the code that it is."""

    script: Script
    code: str


WRITTEN = [
    Written(Script(()), ".reply(200)"),
    Written(Script((503,)), ".reply(503).then.reply(200)"),
    Written(
        Script([503, faults.reset(), "total"], Reply(200, json={"id": 7})),
        ".reply(503).then.fail(faults.reset()).then.timeout().then.reply(200, json={'id': 7})",
    ),
    Written(Script(("sock_read",)), ".timeout('sock_read').then.reply(200)"),
    Written(
        Script((aiohttp.ServerDisconnectedError,)),
        ".fail(aiohttp.ServerDisconnectedError).then.reply(200)",
    ),
    Written(
        Script((aiohttp.ClientPayloadError("cut"), OSError(5, "no"))),
        ".fail(aiohttp.ClientPayloadError('cut')).then.fail(OSError(5, 'no')).then.reply(200)",
    ),
    Written(
        Script((Reply(429, headers={"Retry-After": "7"}, delay=2),)),
        ".reply(429, headers=[('Retry-After', '7')], delay=2).then.reply(200)",
    ),
    Written(
        Script((Reply(200, text="late", fault=faults.stall(after=2)),)),
        ".reply(200, text='late', fault=faults.stall(after=2)).then.reply(200)",
    ),
    Written(Script((), Reply(200, text="123")), ".reply(200, text='123')"),
    Written(Script((), Reply(200, text="")), ".reply(200, text='')"),
    Written(
        Script((), Reply(200, json=float("nan"))),
        ".reply(200, text='NaN', headers=[('Content-Type', 'application/json')])",
    ),
    Written(Script((), Reply(200, body=b"\xff")), ".reply(200, body=b'\\xff')"),
    Written(Script((), Reply(299, reason="Fine")), ".reply(299, reason='Fine')"),
]


@pytest.mark.parametrize(("script", "code"), WRITTEN, ids=[each.code for each in WRITTEN])
def test_the_text_of_a_script_is_its_code(script, code):
    """With what is plain written plainly."""
    assert f"stub.get(url){code}" == repr(script)


@pytest.mark.parametrize("script", [each.script for each in WRITTEN], ids=repr)
def test_the_code_does_what_the_script_does(script):
    """Pasted, it registers the same steps."""
    assert actions(script.apply(Stub().get(URL))) == actions(pasted(repr(script)))


def test_an_error_of_ones_own_is_written_with_its_module():
    """Import that, and the code runs."""
    assert f".fail({__name__}.OwnError).then" in repr(Script((OwnError,)))


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)
LINES = st.text(string.ascii_letters + string.digits + " ;=", max_size=5).map(str.strip)
HEADERS = st.lists(st.tuples(st.sampled_from(["X-A", "x-a", "Content-Type", "Vary"]), LINES))
BODIES = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"json": JSON}),
    st.fixed_dictionaries({"text": st.text(st.characters(exclude_categories=["Cs"]))}),
    st.fixed_dictionaries({"body": st.binary()}),
    st.fixed_dictionaries({"text": st.text(string.printable), "compress": st.just("gzip")}),
)
HEADS = st.fixed_dictionaries(
    {},
    optional={
        "headers": HEADERS,
        "cookies": st.just({"a": "1"}),
        "content_type": st.sampled_from(["text/html", "application/json"]),
        "reason": st.sampled_from(["", "Fine"]),
        "delay": st.floats(0, 9),
    },
)
REPLIES = st.builds(
    lambda status, body, head: Reply(status, **body, **head), st.integers(200, 203), BODIES, HEADS
)


@given(reply=REPLIES)
@settings(max_examples=50)
def test_any_reply_can_be_written_down(reply):
    """Pasted, it sends the same bytes."""
    script = Script((), reply)
    assert actions(pasted(repr(script))) == actions(script.apply(Stub().get(URL)))
    assert [_exact(aiostub._answers.steps.Send(reply))] == actions(pasted(repr(script)))


def test_a_script_can_be_played_again_and_behind_other_steps():
    """It is a value, and knows nothing of a route."""
    script = Script((503,), ADA)
    first, second = Stub().get(URL), Stub().get(URL).reply(204)
    assert first is script.apply(first)
    script.apply(second.then)
    assert actions(second)[1:] == actions(first)
    assert Script([503]) == Script((503,))


# The strategies


@given(script=scripts())
def test_up_to_three_failures_then_a_200(script):
    """Unless told otherwise."""
    assert 0 <= len(script.failures) <= 3
    assert set(script.failures) <= set(FAILURES)
    assert repr(script).endswith(".reply(200)")


@given(script=scripts(2, then=ADA))
def test_an_answer_with_a_body_may_break_off(script):
    """As often as it is told to fail, and never so late that it would be whole."""
    assert 2 == len(script.failures)
    for failing in script.failures:
        if isinstance(failing, Reply):
            assert failing.body == ADA.body
            assert failing.fault.after < len(ADA.body)
        else:
            assert failing in FAILURES


@given(script=scripts(st.just(1), of=[418, "connect"]))
def test_what_may_fail_can_be_said(script):
    """As a sequence."""
    assert script.failures[0] in (418, "connect")


@given(script=scripts(1, of=st.builds(Reply, st.integers(500, 599))))
def test_what_may_fail_can_be_drawn(script):
    """By a strategy of the user's."""
    assert 500 <= script.failures[0].status <= 599


ONCE = settings(derandomize=True, database=None)


def test_every_kind_of_failure_has_its_chance():
    """None is so rare that a run does not meet it, nor is a body that breaks off."""
    met = []

    @ONCE
    @given(script=scripts(then=ADA))
    def draw(script):
        met.extend(script.failures)

    draw()
    assert [] == [failing for failing in FAILURES if failing not in met]
    assert any(isinstance(failing, Reply) for failing in met)


FOUND = [
    (lambda script: True, Script(())),
    (lambda script: script.failures, Script((503,))),
    (lambda script: len(script.failures) == 3, Script((503, 503, 503))),
    (lambda script: "total" in script.failures, Script(("total",))),
    (
        lambda script: {faults.dns(), 504} <= set(script.failures),
        Script((504, faults.dns())),
    ),
]


@pytest.mark.parametrize(("breaks", "shortest"), FOUND, ids=[repr(script) for _, script in FOUND])
def test_what_is_found_shrinks_to_the_shortest_script(breaks, shortest):
    """To the fewest failures, and to the plainest."""
    found = hypothesis.find(scripts(), breaks, settings=ONCE)
    assert sorted(map(repr, shortest.failures)) == sorted(map(repr, found.failures))


async def meet(reply):
    """Let a client without retries meet a reply, and return what it raised."""
    with Stub() as stub:
        stub.get(URL).reply(reply.status, body=reply.body, fault=reply.fault)
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(URL) as response:
                    return await response.read()
            except aiohttp.ClientError as error:
                return error


@given(reply=spoiled(Reply(200, body=b"0123456789")))
@settings(max_examples=30)
async def test_a_spoiled_reply_never_arrives(reply):
    """Wherever it breaks off."""
    assert isinstance(await meet(reply), aiohttp.ClientPayloadError)


WRONG = [
    (lambda: scripts(of=[600]), "status: must be 200 to 599, got 600"),
    (lambda: scripts(of=[True]), "status: must be an int, got True"),
    (lambda: scripts(of=["read"]), "of: a timer is one of total, connect, sock_connect, sock_read"),
    (lambda: scripts(of=[faults.reset(after=3)]), "has no body to count in"),
    (lambda: scripts(of=[int]), "exc: must be a fault, or a class or instance of an exception"),
    (lambda: scripts(then=Reply(stream=[b"a"])), "a stream cannot be written down as code"),
    (lambda: Script((Reply(stream=[b"a"]),)), "a stream cannot be written down as code"),
    (lambda: Script((None,)), "exc: must be a fault"),
    (lambda: spoiled(Reply(204)), "has no body that could break off"),
    (lambda: spoiled(Reply(200, text="")), "has no body that could break off"),
]


@pytest.mark.parametrize(("make", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_no_route_can_do_is_a_route_error(make, said):
    """Where it is written, not where it is drawn."""
    with pytest.raises(RouteError, match=re.escape(said)):
        make()


# What they are for


async def fetch_name(session, pauses=(1, 2, 4), retried=READ_ERRORS):
    """Fetch a name with three more attempts."""
    left = iter(pauses)
    while True:
        try:
            async with session.get(URL, raise_for_status=True) as response:
                return (await response.json())["name"]
        except retried:
            pause = next(left, None)
            if pause is None:
                raise
        await asyncio.sleep(pause)


@virtual_time
@given(script=scripts(3, then=ADA))
async def test_any_three_failures_are_survived(script):
    """In four calls, and in seven seconds of the loop's clock."""
    with Stub() as stub:
        script.apply(stub.get(URL))
        async with aiohttp.ClientSession() as session:
            assert "Ada" == await fetch_name(session)
    assert 4 == len(stub.calls)
    assert 7 == pytest.approx(stub.calls.last.started - stub.calls.first.started)


BROKEN = {
    "retries nothing": ({"pauses": ()}, ".reply(503)"),
    "gives up too early": ({"pauses": (0, 0)}, ".reply(503).then.reply(503).then.reply(503)"),
    "knows no timeouts": (
        {"pauses": (0, 0, 0), "retried": (aiohttp.ClientError,)},
        ".timeout()",
    ),
    "knows no bodies that break off": (
        {
            "pauses": (0, 0, 0),
            "retried": (
                aiohttp.ClientResponseError,
                aiohttp.ClientConnectionError,
                asyncio.TimeoutError,
            ),
        },
        ".reply(200, json={'name': 'Ada'}, fault=faults.disconnect())",
    ),
    "retries no refused connections": (
        {
            "pauses": (0, 0, 0),
            "retried": (
                aiohttp.ClientResponseError,
                aiohttp.ServerConnectionError,
                aiohttp.ClientPayloadError,
                asyncio.TimeoutError,
            ),
        },
        ".fail(faults.reset())",
    ),
}


@pytest.mark.parametrize(("client", "shortest"), BROKEN.values(), ids=BROKEN)
def test_the_bug_of_a_broken_client_is_found(client, shortest):
    """As the shortest script that breaks it."""
    loop = asyncio.new_event_loop()

    async def survives(script):
        with Stub(strict=False) as stub:
            script.apply(stub.get(URL))
            async with aiohttp.ClientSession() as session:
                try:
                    return "Ada" == await fetch_name(session, **client)
                except READ_ERRORS:
                    return False

    found = hypothesis.find(
        scripts(then=ADA),
        lambda script: not loop.run_until_complete(survives(script)),
        settings=ONCE,
    )
    loop.close()
    assert f"stub.get(url){shortest}.then.reply(200, json={{'name': 'Ada'}})" == repr(found)


CLIENT = """
import aiohttp, asyncio, pytest
from hypothesis import Phase, given, settings

import aiostub
from aiostub import Reply, faults
from aiostub.strategies import scripts

url = "https://api.test/users/7"


async def fetch_name(session):
    for attempt in range(4):
        try:
            async with session.get(url, raise_for_status=True) as response:
                return (await response.json())["name"]
        except RETRIED:
            continue
"""
DRAWN = """
@settings(derandomize=True, database=None, phases=[Phase.generate, Phase.shrink])
@given(script=scripts(then=Reply(200, json={"name": "Ada"})))
async def test_any_failures_are_survived(script):
    with aiostub.Stub() as stub:
        script.apply(stub.get(url))
        async with aiohttp.ClientSession() as session:
            assert await fetch_name(session) == "Ada"
"""
PASTED = """
async def test_pasted():
    with aiostub.Stub() as stub:
        CODE
        async with aiohttp.ClientSession() as session:
            assert await fetch_name(session) == "Ada"
"""


@pytest.fixture
def run(pytester):
    """Run a project of its own."""
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")

    def run(retried, test, code=""):
        source = CLIENT.replace("RETRIED", retried) + test.replace("CODE", code)
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider")

    return run


def test_a_falsifying_example_can_be_pasted(run):
    """pytest shows it; as a test of its own it fails until the client is mended."""
    result = run("aiohttp.ClientError", DRAWN)
    result.assert_outcomes(failed=1)
    (code,) = set(
        re.findall(r"script=(stub\.get\(url\).*\)),?$", result.stdout.str(), re.MULTILINE)
    )
    assert "stub.get(url).timeout().then.reply(200, json={'name': 'Ada'})" == code

    run("aiohttp.ClientError", PASTED, code).assert_outcomes(failed=1)
    mended = "(aiohttp.ClientError, asyncio.TimeoutError)"
    run(mended, PASTED, code).assert_outcomes(passed=1)
    run(mended, DRAWN).assert_outcomes(passed=1)
