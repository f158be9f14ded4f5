"""Rewritten tests mean what they meant: they pass where they passed, and notice what they noticed.

That each file of the corpus passes as it is written, and notices a broken client, is proved with
aioresponses itself by ``make originals``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from breaking import CORPUS, HERE, broken_names, write_all
from pytest_in_pytest import NO_HYPOTHESIS

pytest.importorskip("libcst")

from aiostub.migrate._files import parsed
from aiostub.migrate._module import Module
from aiostub.migrate._translate import translate

each_file = pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])


def rewritten(path: Path, source: str) -> tuple[str, list[str]]:
    """Translate a source by itself."""
    module = Module(path, parsed(source.encode()), chosen=True)
    results, notes = translate([module])
    return results[0].text, [f"{note.line}: {note.reason}" for note in notes]


@pytest.mark.once
@each_file
def test_a_file_becomes_what_stands_beside_it(path):
    """The whole text, comments and layout included, is as it was reviewed; nothing is left."""
    expected = HERE / "expected" / path.name
    text, notes = rewritten(path, path.read_text(encoding="utf-8"))
    assert (expected.read_text(encoding="utf-8"), []) == (text, notes)


@pytest.mark.once
@each_file
def test_a_second_run_changes_nothing(path):
    """What is rewritten is left alone by the next run, without a word."""
    expected = (HERE / "expected" / path.name).read_text(encoding="utf-8")
    assert (expected, []) == rewritten(path, expected)


@pytest.mark.once
@each_file
def test_line_ends_of_windows_are_kept(path):
    """A file with CRLF is rewritten to the same lines, each ending so."""
    source = path.read_text(encoding="utf-8").replace("\n", "\r\n")
    expected = (HERE / "expected" / path.name).read_text(encoding="utf-8")
    assert (expected.replace("\n", "\r\n"), []) == rewritten(path, source)


def outcomes(pytester: pytest.Pytester, sources: Mapping[str, str], *, broken: bool) -> set[str]:
    """Run tests natively, and return the names of the files in which all passed."""
    for name in write_all(pytester.path, sources, broken=broken):
        assert "aioresponses" not in (pytester.path / name).read_text(encoding="utf-8")
    source = Path(__file__).resolve().parents[2] / "src"
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(source), os.environ.get("PYTHONPATH")])
    )
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto")
    pytester.runpytest_subprocess(*NO_HYPOTHESIS, *plain, "-q", "--junitxml=report.xml")
    cases = list(ET.parse(pytester.path / "report.xml").getroot().iter("testcase"))
    files = {case.attrib["classname"].split(".")[0] for case in cases}
    failed = {case.attrib["classname"].split(".")[0] for case in cases if list(case)}
    assert len(files) >= len(sources)
    return files - failed


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give the rewritten files of the corpus by name."""
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    return {
        path.stem: (HERE / "expected" / path.name).read_text(encoding="utf-8") for path in CORPUS
    }


def test_rewritten_tests_pass(pytester, sources):
    """Each rewritten file passes on this aiohttp, without aioresponses."""
    passed = outcomes(pytester, sources, broken=False)
    assert {f"test_{name}" for name in sources} == passed


def test_rewritten_tests_notice_a_broken_client(pytester, sources):
    """Each way to break its client fails a rewritten file, as it fails the original."""
    passed = outcomes(pytester, sources, broken=True)
    assert set() == passed


def test_the_corpus_is_large_enough():
    """Forty files at least, each with a client that can be broken."""
    names = [name for path in CORPUS for name in broken_names(path)]
    assert len(CORPUS) >= 40
    assert len(names) >= len(CORPUS)
