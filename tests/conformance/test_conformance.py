"""Whether an app can tell a stub from a server."""

from __future__ import annotations

import pytest

from . import (
    far,
    scenarios_connections,
    scenarios_failures,
    scenarios_far,
    scenarios_redirects,
    scenarios_replies,
    scenarios_requests,
    scenarios_sessions,
    scenarios_web,
)
from .harness import Scenario, differences

THEMES = (
    scenarios_replies,
    scenarios_requests,
    scenarios_redirects,
    scenarios_sessions,
    scenarios_connections,
    scenarios_failures,
    scenarios_web,
)
SCENARIOS = [scenario for theme in THEMES for scenario in theme.SCENARIOS]


@pytest.mark.parametrize("scenario", [pytest.param(s, id=s.name) for s in SCENARIOS if s.exists])
def test_a_stub_is_what_a_server_is(scenario: Scenario) -> None:
    """The transcript of a client is the same against a real server and against a stub."""
    if found := differences(scenario):
        pytest.fail(f"{scenario.name}\n\n{found}", pytrace=False)


FAR = scenarios_far.SCENARIOS


@pytest.mark.parametrize("scenario", [pytest.param(s, id=s.name) for s in FAR if s.exists])
def test_a_mounted_application_is_one_behind_a_socket(scenario: far.Far | far.Talk) -> None:
    """Client and application see the same, whether a socket is between them or a stub."""
    if found := far.differences(scenario):
        pytest.fail(f"{scenario.name}\n\n{found}", pytrace=False)


def test_each_scenario_has_a_name_of_its_own() -> None:
    """No two scenarios share a name."""
    names = [scenario.name for scenario in (*SCENARIOS, *FAR)]

    assert sorted(set(names)) == sorted(names)
