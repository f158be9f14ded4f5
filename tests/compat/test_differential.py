"""What aioresponses makes of a script, we make of it too, or say why not."""

from pathlib import Path

import pytest
from differential import SCRIPTS, load, recorded, transcript

OURS = "aiostub.compat.aioresponses"
MIGRATING = Path(__file__).resolve().parents[2] / "docs" / "migrating.md"
RECORDED = recorded()

HERE = [script for script in load().values() if script.runs_here]

each_script = pytest.mark.parametrize("script", HERE, ids=[script.name for script in HERE])
each_difference = pytest.mark.parametrize(
    "script",
    [s for s in SCRIPTS.values() if s.why],
    ids=[s.name for s in SCRIPTS.values() if s.why],
)


@each_script
def test_a_transcript_is_the_one_that_is_expected(script):
    """The same calls come to the same, line by line."""
    expected = RECORDED[script.name] if script.ours is None else script.ours
    assert expected == transcript(script, OURS)


def test_each_recorded_transcript_has_its_script():
    """A script that was renamed or dropped leaves no transcript behind."""
    assert sorted(SCRIPTS) == sorted(RECORDED)


@each_difference
def test_a_difference_is_one_and_is_documented(script):
    """Where we differ on purpose, we do differ, and the docs name the reason."""
    assert RECORDED[script.name] != script.ours
    assert script.why.lower() in MIGRATING.read_text(encoding="utf-8").replace("\n", " ").lower()
