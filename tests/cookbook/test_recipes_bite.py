"""The recipes are worth something: put a mistake into the client of one, and its tests fail."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import inspect
import re
import types
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from hypothesis import Phase

import aiostub

HERE = Path(__file__).parent
HOURS = 5 * 60 * 60


class Mistake(NamedTuple):
    """What is wrong, what is put in place of what, and which tests find it."""

    what: str
    old: str
    new: str
    found_by: frozenset[str]


def mistake(what, old, new, *found_by):
    """Name a mistake and who finds it."""
    return Mistake(what, old, new, frozenset(f"test_{name}" for name in found_by))


ROUNDS = """\
numbers, files = list(numbers), []
    while numbers:
        files += await asyncio.gather(*map(fetch, numbers[:limit]))
        del numbers[:limit]
    return files"""
BEGIN_ANEW = """\
try:
            page, url = await fetch_page(session, url, 1)
        except aiohttp.ClientError:
            url, seen = URL, set()
            continue"""

MISTAKES = {
    "any_failures": [
        mistake(
            "it tries once",
            "pauses=(1, 2, 4)",
            "pauses=()",
            "any_three_failures_are_survived",
            "four_are_too_many",
        ),
        mistake(
            "a timeout is the end",
            "except (aiohttp.ClientError, asyncio.TimeoutError):",
            "except aiohttp.ClientError:",
            "any_three_failures_are_survived",
        ),
        mistake(
            "a broken body is the end",
            "except (aiohttp.ClientError,",
            "except (aiohttp.ClientConnectionError, aiohttp.ClientResponseError,",
            "any_three_failures_are_survived",
        ),
    ],
    "retry_by_hand": [
        mistake(
            "it tries once",
            "pauses=(1, 2, 4)",
            "pauses=()",
            "pauses_grow",
            "the_fourth_failure_is_the_last",
            "a_body_that_breaks_off_is_fetched_again",
            "a_silent_server_costs_the_timeout_and_the_pause",
        ),
        mistake(
            "it never gives up",
            "next(left, None)",
            "next(left, 8)",
            "the_fourth_failure_is_the_last",
        ),
        mistake("pauses do not grow", "(1, 2, 4)", "(1, 1, 1)", "pauses_grow"),
        mistake("it does not pause", "await asyncio.sleep(pause)", "pass", "pauses_grow"),
        mistake(
            "it tries again what is hopeless",
            "error.status < 500",
            "error.status < 400",
            "what_is_hopeless_is_not_tried_again",
        ),
        mistake(
            "a timeout is the end",
            ", asyncio.TimeoutError)",
            ",)",
            "pauses_grow",
            "a_silent_server_costs_the_timeout_and_the_pause",
        ),
        mistake(
            "a broken body is the end",
            "(aiohttp.ClientError,",
            "(aiohttp.ClientConnectionError,",
            "a_body_that_breaks_off_is_fetched_again",
        ),
    ],
    "retry_after": [
        mistake(
            "it does not listen",
            'response.headers.get("Retry-After", "1")',
            '"1"',
            "the_server_says_when",
            "it_may_say_it_as_a_date",
            "tomorrow_is_too_late",
            "it_does_not_come_back_for_ever",
        ),
        mistake(
            "it does not know dates",
            "parsedate_to_datetime(retry_after) - datetime.now(timezone.utc)",
            "timedelta(seconds=1)",
            "it_may_say_it_as_a_date",
        ),
        mistake("it does not pause", '"1"', '"0"', "it_may_say_nothing"),
        mistake("it waits for ever", " or pause > patience", "", "tomorrow_is_too_late"),
        mistake("it tries for ever", "attempts -= 1", "pass", "it_does_not_come_back_for_ever"),
    ],
    "circuit_breaker": [
        mistake(
            "it never opens",
            "self.failures += 1",
            "pass",
            "three_failures_open_it",
            "after_a_minute_it_is_tried_and_closes",
            "a_trial_that_fails_is_worth_another_minute",
            "one_request_tries_for_all",
        ),
        mistake(
            "it never closes",
            "clock() < self.closed_until",
            "True",
            "after_a_minute_it_is_tried_and_closes",
            "a_trial_that_fails_is_worth_another_minute",
            "one_request_tries_for_all",
        ),
        mistake(
            "it does not stay open",
            "clock() < self.closed_until",
            "False",
            "three_failures_open_it",
            "after_a_minute_it_is_tried_and_closes",
        ),
        mistake(
            "it counts all failures",
            "self.failures = 0\n        return",
            "return",
            "only_failures_in_a_row_count",
        ),
        mistake(
            "everybody tries",
            "self.closed_until = clock() + self.rest  # for",
            "pass  # for",
            "one_request_tries_for_all",
        ),
    ],
    "rate_limiter": [
        mistake(
            "it goes twice as fast",
            "1 / per_second",
            "0.5 / per_second",
            "requests_are_evenly_spaced",
            "a_pause_saves_no_turns_up",
        ),
        mistake(
            "it saves turns up",
            "max(self.next, clock())",
            "self.next",
            "a_pause_saves_no_turns_up",
        ),
        mistake(
            "it holds nobody back",
            "max(self.next, asyncio.get_running_loop().time() + seconds)",
            "self.next",
            "one_refusal_holds_back_everybody",
        ),
    ],
    "concurrency_limit": [
        mistake(
            "there is none",
            "Semaphore(limit)",
            "Semaphore(1000)",
            "no_more_than_five_at_once",
            "a_body_counts_until_it_has_been_read",
        ),
        mistake(
            "it is one at a time",
            "Semaphore(limit)",
            "Semaphore(1)",
            "no_more_than_five_at_once",
            "one_slow_file_does_not_stop_the_others",
        ),
        mistake(
            "it goes in rounds",
            "return await asyncio.gather(*map(fetch, numbers))",
            ROUNDS,
            "one_slow_file_does_not_stop_the_others",
        ),
        mistake(
            "it counts heads",
            "            return await response.text()",
            "            pass\n        return await response.text()",
            "a_body_counts_until_it_has_been_read",
        ),
    ],
    "hedging": [
        mistake(
            "it has no patience",
            "patience=0.5",
            "patience=0",
            "a_quick_answer_is_enough",
            "a_slow_mirror_is_overtaken",
        ),
        mistake(
            "it asks one mirror after the other",
            "patience=0.5",
            "patience=100",
            "a_slow_mirror_is_overtaken",
            "a_slow_mirror_may_still_win",
        ),
        mistake(
            "it takes a failure for an answer",
            "if task.exception() is None:",
            "if True:",
            "a_failure_is_no_answer",
            "there_is_something_to_fall_back_on",
        ),
        mistake("it leaves requests behind", "task.cancel()", "pass", "a_slow_mirror_is_overtaken"),
        mistake(
            "it has nothing to fall back on",
            "return await fetch(session, CACHE)",
            "raise",
            "there_is_something_to_fall_back_on",
        ),
    ],
    "deadline": [
        mistake(
            "there is none",
            "asyncio.timeout(deadline)",
            "asyncio.timeout(None)",
            "the_deadline_cuts_a_request_short",
            "the_deadline_cuts_a_pause_short",
            "the_timeline_tells_it_all",
        ),
        mistake(
            "each request has its own",
            "async with asyncio.timeout(deadline):\n        while True:",
            "while True:\n        async with asyncio.timeout(deadline):",
            "the_deadline_cuts_a_request_short",
            "the_deadline_cuts_a_pause_short",
        ),
        mistake(
            "it tries once",
            "suppress(aiohttp.ClientError)",
            "suppress()",
            "it_tries_as_long_as_there_is_time",
        ),
    ],
    "pagination": [
        mistake(
            "it reads one page",
            "while url and url not in seen:",
            "if url:",
            "every_page_is_fetched_once",
        ),
        mistake(
            "it does not try again",
            "attempts=3",
            "attempts=1",
            "a_page_that_fails_is_fetched_again",
        ),
        mistake(
            "it begins anew after a failure",
            "page, url = await fetch_page(session, url)",
            BEGIN_ANEW,
            "a_page_that_fails_is_fetched_again",
        ),
        mistake(
            "it fetches ahead",
            "for user in page:",
            "ahead = url and await fetch_page(session, url)\n        for user in page:",
            "pages_are_fetched_when_they_are_needed",
        ),
        mistake(
            "it goes round in circles",
            "url and url not in seen",
            "url",
            "pages_in_a_circle_have_an_end",
        ),
    ],
    "token_refresh": [
        mistake(
            "it does not refresh",
            "if status == 401:",
            "if False:",
            "a_request_that_is_refused_is_sent_again_with_a_new_token",
            "ten_requests_at_once_get_one_token",
        ),
        mistake(
            "it asks with the old token again",
            "await self.ask(path, self.token)",
            "await self.ask(path, token)",
            "a_request_that_is_refused_is_sent_again_with_a_new_token",
        ),
        mistake(
            "everybody refreshes",
            "if self.token == expired:",
            "if True:",
            "ten_requests_at_once_get_one_token",
        ),
        mistake(
            "it refreshes for ever",
            "if status == 401:",
            "while status == 401:",
            "a_new_token_that_is_refused_is_the_end",
        ),
        mistake(
            "it takes an error for a token",
            "response.raise_for_status()",
            "pass",
            "without_a_new_token_nothing_is_sent_again",
        ),
    ],
    "polling": [
        mistake(
            "it polls too often",
            "every=30",
            "every=20",
            "it_polls_every_half_a_minute",
            "a_failure_does_not_end_it",
        ),
        mistake(
            "it polls once",
            "await asyncio.sleep(every)",
            "return",
            "it_polls_every_half_a_minute",
        ),
        mistake("a failure ends it", "aiohttp.ClientError, ", "", "a_failure_does_not_end_it"),
        mistake("a timeout ends it", ", asyncio.TimeoutError)", ")", "a_failure_does_not_end_it"),
        mistake(
            "nothing ends it",
            "asyncio.TimeoutError)",
            "asyncio.TimeoutError, asyncio.CancelledError)",
            "it_ends_in_the_midst_of_a_request",
        ),
    ],
    "resumed_download": [
        mistake(
            "it tries once",
            "attempts=5",
            "attempts=1",
            "it_asks_for_the_rest",
            "a_server_that_knows_no_ranges_starts_over",
            "a_server_that_falls_silent_is_asked_again",
            "it_does_not_go_on_for_ever",
        ),
        mistake("it tries for ever", "attempts -= 1", "pass", "it_does_not_go_on_for_ever"),
        mistake(
            "it asks for all of it", "if got else {}", "if not got else {}", "it_asks_for_the_rest"
        ),
        mistake(
            "it is off by one",
            "bytes={len(got)}-",
            "bytes={len(got) + 1}-",
            "it_asks_for_the_rest",
            "a_server_that_falls_silent_is_asked_again",
        ),
        mistake(
            "it takes all of it for the rest",
            "got.clear()",
            "pass",
            "a_server_that_knows_no_ranges_starts_over",
        ),
        mistake(
            "silence is the end",
            "(aiohttp.ClientConnectionError,",
            "(aiohttp.ClientConnectorError,",
            "a_server_that_falls_silent_is_asked_again",
        ),
    ],
    "retry_middleware": [
        mistake(
            "it tries once",
            "self.pauses = pauses",
            "self.pauses = ()",
            "the_app_sees_the_last_answer_only",
            "a_body_is_sent_again",
            "the_last_failure_is_the_apps",
        ),
        mistake(
            "it repeats anything",
            "if request.method in self.METHODS",
            "if True",
            "what_must_not_be_repeated_is_not",
        ),
        mistake(
            "a dropped connection is the end",
            "except aiohttp.ClientConnectionError:",
            "except KeyError:",
            "the_app_sees_the_last_answer_only",
        ),
        mistake(
            "an error is an answer",
            "response.status < 500",
            "True",
            "the_app_sees_the_last_answer_only",
            "a_body_is_sent_again",
        ),
        mistake(
            "pauses do not grow",
            "asyncio.sleep(pause)",
            "asyncio.sleep(1)",
            "the_app_sees_the_last_answer_only",
        ),
    ],
    "retry_with_tenacity": [
        mistake(
            "it tries once",
            "stop_after_attempt(5)",
            "stop_after_attempt(1)",
            "pauses_grow",
            "the_server_may_say_when",
            "five_attempts_are_enough",
            "two_minutes_are_enough",
        ),
        mistake(
            "it tries as long as there is time",
            "stop_after_attempt(5)",
            "stop_after_attempt(6)",
            "five_attempts_are_enough",
        ),
        mistake(
            "it has all the time of the world",
            " | tenacity.stop_after_delay(120)",
            "",
            "two_minutes_are_enough",
        ),
        mistake(
            "it does not listen", '"Retry-After" in headers', "False", "the_server_may_say_when"
        ),
        mistake(
            "it tries again what is hopeless",
            "return error.status in {429, 500, 502, 503, 504}",
            "return True",
            "what_is_hopeless_is_not_tried_again",
        ),
        mistake(
            "pauses do not grow",
            "wait_exponential(multiplier=1, max=30)",
            "wait_fixed(1)",
            "pauses_grow",
            "the_server_may_say_when",
        ),
        mistake(
            "it wraps the failure", "reraise=True", "reraise=False", "five_attempts_are_enough"
        ),
        mistake("a timeout is the end", ", asyncio.TimeoutError", "", "pauses_grow"),
    ],
    "retry_with_stamina": [
        mistake(
            "it tries once",
            "attempts=4",
            "attempts=1",
            "pauses_grow",
            "the_server_may_say_when",
            "four_attempts_are_enough",
        ),
        mistake("it tries five times", "attempts=4", "attempts=5", "four_attempts_are_enough"),
        mistake(
            "it does not listen",
            '"Retry-After" in (error.headers or {})',
            "False",
            "the_server_may_say_when",
        ),
        mistake(
            "it tries again what is hopeless",
            "error.status >= 500",
            "True",
            "what_is_hopeless_is_not_tried_again",
        ),
        mistake(
            "pauses do not grow", "wait_jitter=0", "wait_jitter=0, wait_exp_base=1", "pauses_grow"
        ),
    ],
    "retry_with_backoff": [
        mistake(
            "it tries once",
            "max_tries=4",
            "max_tries=1",
            "pauses_grow",
            "four_attempts_are_enough",
        ),
        mistake("it tries five times", "max_tries=4", "max_tries=5", "four_attempts_are_enough"),
        mistake(
            "it tries again what is hopeless",
            "giveup=is_hopeless",
            "giveup=lambda error: False",
            "what_is_hopeless_is_not_tried_again",
        ),
        mistake("pauses do not grow", "backoff.expo,", "backoff.constant,", "pauses_grow"),
        mistake(
            "it asks for the job once",
            "max_tries=10",
            "max_tries=1",
            "a_job_is_asked_for_until_it_is_done",
        ),
        mistake(
            "it does not listen",
            'float(response.headers["Retry-After"])',
            "60",
            "a_job_is_asked_for_until_it_is_done",
        ),
    ],
    "retry_with_aiohttp_retry": [
        mistake(
            "it tries once",
            '"attempts": 4',
            '"attempts": 1',
            "pauses_grow",
            "pauses_may_be_random",
            "four_attempts_are_enough",
        ),
        mistake(
            "it tries five times", '"attempts": 4', '"attempts": 5', "four_attempts_are_enough"
        ),
        mistake(
            "an exception is the end",
            "{aiohttp.ClientConnectionError, asyncio.TimeoutError}",
            "set()",
            "pauses_grow",
        ),
        mistake(
            "it repeats anything",
            '{"GET", "PUT", "DELETE"}',
            "None",
            "what_must_not_be_repeated_is_not",
        ),
        mistake(
            "pauses are too short", '"start_timeout": 0.5', '"start_timeout": 0.1', "pauses_grow"
        ),
        mistake(
            "429 is an answer", '"statuses": {429}', '"statuses": None', "pauses_may_be_random"
        ),
    ],
    "websocket_reconnects": [
        mistake(
            "it begins anew",
            'last, pause = item["id"], 1',
            "pause = 1",
            "it_goes_on_behind_what_it_has_seen",
            "a_silent_feed_is_left",
        ),
        mistake(
            "pauses stay long",
            'last, pause = item["id"], 1',
            'last = item["id"]',
            "it_goes_on_behind_what_it_has_seen",
            "pauses_double_until_something_comes",
        ),
        mistake("pauses have no end", "min(2 * pause, longest)", "2 * pause", "a_pause_has_an_end"),
        mistake(
            "it has no heartbeat",
            "heartbeat=heartbeat",
            "heartbeat=None",
            "a_silent_feed_is_left",
            "a_quiet_feed_is_not_left",
        ),
        mistake(
            "it is patient for a minute only",
            "session.ws_connect(URL, heartbeat=heartbeat)",
            "session.ws_connect(URL, timeout=aiohttp.ClientWSTimeout(ws_receive=60))",
            "a_quiet_feed_is_not_left",
        ),
        mistake(
            "it comes back unwanted",
            "if ws.close_code in UNWANTED:",
            "if False:",
            "it_does_not_come_back_unwanted",
        ),
        mistake(
            "it tries again what is hopeless",
            "error.status < 500",
            "error.status < 400",
            "a_handshake_that_is_refused_is_the_end",
        ),
    ],
    "websocket_subscriptions": [
        mistake(
            "it mixes answers up",
            'self.answers[data["id"]]',
            "next(iter(self.answers.values()))",
            "answers_may_come_in_any_order",
        ),
        mistake(
            "it subscribes too late to hear the first price",
            """queue = self.readers[channel] = asyncio.Queue()
        try:
            await self.ask("subscribe", channel)""",
            """await self.ask("subscribe", channel)
        queue = self.readers[channel] = asyncio.Queue()
        try:""",
            "prices_find_their_readers",
        ),
        mistake(
            "it never unsubscribes",
            'await self.ask("unsubscribe", channel)',
            "pass",
            "prices_find_their_readers",
        ),
        mistake(
            "it waits for ever",
            "asyncio.wait_for(answer, self.patience)",
            "asyncio.wait_for(answer, None)",
            "an_answer_that_does_not_come_is_not_waited_for",
        ),
        mistake(
            "it forgets who waits",
            "for answer in self.answers.values():",
            "for answer in ():",
            "a_socket_that_is_closed_answers_everybody",
        ),
    ],
    "whole_upstream": [
        mistake(
            "it does not wait",
            '!= "packed"',
            "is None",
            "an_order_is_packed",
            "a_token_that_the_shop_forgot_is_renewed",
        ),
        mistake(
            "it does not renew a token",
            "if answer.status != 401:",
            "if answer.status != 401 or self.token:",
            "a_token_that_the_shop_forgot_is_renewed",
        ),
        mistake(
            "it takes a refusal for an answer",
            "if answer.status == 403:",
            "if False:",
            "a_wrong_secret_is_the_end",
        ),
        mistake(
            "it tries once",
            "pauses=(1, 2)",
            "pauses=()",
            "an_answer_that_is_lost_is_no_second_order",
            "two_failures_are_survived",
        ),
        mistake(
            "it never gives up",
            "next(left, None)",
            "next(left, 4)",
            "three_failures_are_too_many",
        ),
    ],
}


def named_in(recipe):
    """Name the tests of a recipe."""
    source = (HERE / f"test_{recipe}.py").read_text(encoding="utf-8")
    return set(re.findall(r"^async def (test_\w+)", source, re.MULTILINE))


def mistaken(recipe, mistake):
    """Load a recipe with a mistake in it."""
    path = HERE / f"test_{recipe}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mistake.old) == 1
    source = source.replace(mistake.old, mistake.new)
    source = source.replace("max_examples=30", "max_examples=30, **ONCE")
    module = types.ModuleType(path.stem)
    # Hypothesis shall draw the same in every run, and the first that fails will do.
    vars(module)["ONCE"] = {"derandomize": True, "database": None, "phases": [Phase.generate]}
    exec(compile(source, path, "exec"), vars(module))
    return module


def run(test):
    """Run a test as pytest does with looptime, and raise what fails it."""
    import looptime

    # What waits for ever is cut short; no recipe has hours to wait.
    loops = functools.partial(looptime.new_event_loop, end=HOURS)
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        asyncio.Runner(loop_factory=loops) as runner,
        aiostub.Stub(param="aiostub") as stub,
    ):
        fixtures = {"aiostub": stub, "monkeypatch": monkeypatch}
        if hasattr(test, "hypothesis"):
            draw_and_run(test, runner)
        else:
            wanted = inspect.signature(test).parameters
            runner.run(test(**{name: fixtures[name] for name in wanted}))


def draw_and_run(test, runner):
    """Run a test of Hypothesis, as pytest-asyncio does."""
    drawn = test.hypothesis.inner_test
    test.hypothesis.inner_test = lambda **values: runner.run(drawn(**values))
    test()


@pytest.mark.skipif(
    importlib.util.find_spec("looptime") is None,
    reason="looptime needs CPython 3.11 and is not installed",
)
@pytest.mark.parametrize(
    ("recipe", "mistake"),
    [
        pytest.param(recipe, mistake, id=f"{recipe}: {mistake.what}")
        for recipe, mistakes in MISTAKES.items()
        for mistake in mistakes
    ],
)
def test_a_mistake_is_found(recipe, mistake):
    """Each of the tests that should find it fails, and not because the recipe is no Python."""
    if recipe == "retry_middleware" and not hasattr(aiohttp, "ClientHandlerType"):
        pytest.skip("client middlewares need aiohttp 3.12")
    recipe = mistaken(recipe, mistake)
    for test in mistake.found_by:
        with pytest.raises((Exception, pytest.fail.Exception)) as caught:
            run(getattr(recipe, test))
        assert not isinstance(caught.value, (NameError, SyntaxError, TypeError)), test


@pytest.mark.parametrize("recipe", MISTAKES)
def test_every_test_of_a_recipe_finds_a_mistake(recipe):
    """None of them passes whatever the client does."""
    assert named_in(recipe) == {name for each in MISTAKES[recipe] for name in each.found_by}


def test_every_recipe_has_mistakes():
    """But for that of the clock, which has no client."""
    ours = {"test_clock", "test_pages", "test_recipes_bite"}
    recipes = {path.stem for path in HERE.glob("test_*.py")} - ours
    assert recipes == {f"test_{recipe}" for recipe in MISTAKES}
