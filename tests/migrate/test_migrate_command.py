"""The command line: which files are read and written, what is said, and the exit code."""

from __future__ import annotations

import importlib.util
import textwrap

import pytest

from aiostub.migrate.__main__ import main

needs_libcst = pytest.mark.skipif(
    importlib.util.find_spec("libcst") is None, reason="LibCST is not installed"
)

BEFORE = """\
from aioresponses import aioresponses


def test_it():
    with aioresponses() as m:
        m.get("http://x.test/", payload={})
"""
AFTER = """\
from aiostub import Stub


def test_it():
    with Stub(strict=False) as m:
        m.get("http://x.test/").reply(json={})
"""
LEFT = BEFORE.replace("payload={}", "**arguments")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Go into an empty project, and return what writes files in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path

    return write


@needs_libcst
def test_files_and_directories_are_rewritten(project, capsys):
    """What is named is rewritten, directories to their depth; exit code 0 says all is done."""
    root = project(a=BEFORE, tests__b=BEFORE, tests__deep__c=BEFORE, other=BEFORE)
    assert main(["a.py", "tests"]) == 0
    assert AFTER == (root / "a.py").read_text()
    assert AFTER == (root / "tests/b.py").read_text()
    assert AFTER == (root / "tests/deep/c.py").read_text()
    assert BEFORE == (root / "other.py").read_text()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "3 pieces in 3 files rewritten, 0 left alone\n"


@needs_libcst
def test_what_is_left_is_listed(project, capsys):
    """Each line names file, line and reason; exit code 1."""
    root = project(a=LEFT)
    assert main(["."]) == 1
    assert LEFT == (root / "a.py").read_text()
    expected = "a.py:6: arguments are unpacked, so it does not show what they are\n"
    assert expected == capsys.readouterr().out


@needs_libcst
def test_a_diff_changes_no_file(project, capsys):
    """--diff prints what would be done, what is left on the other stream, and writes nothing."""
    root = project(a=BEFORE, b=LEFT)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.glob("*.py")}
    assert main(["--diff", "."]) == 1
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.glob("*.py")}
    assert before == after
    out, err = capsys.readouterr()
    assert out.startswith("--- a/a.py\n+++ b/a.py\n@@ -1,6 +1,6 @@\n-from aioresponses import")
    assert '+        m.get("http://x.test/").reply(json={})\n' in out
    assert "b.py:6: arguments are unpacked" in err
    assert "1 piece in 1 file to rewrite, 1 left alone" in err


@needs_libcst
def test_check_writes_nothing_either(project):
    """--check ends with 3 where there is something to rewrite, with 0 where all is done."""
    root = project(a=BEFORE)
    assert main(["--check", "a.py"]) == 3
    assert BEFORE == (root / "a.py").read_text()
    assert main(["a.py"]) == 0
    assert main(["--check", "a.py"]) == 0


@needs_libcst
def test_strict_stubs(project):
    """--strict leaves out strict=False."""
    root = project(a=BEFORE)
    assert main(["--strict", "a.py"]) == 0
    assert "with Stub() as m:" in (root / "a.py").read_text()


def test_a_path_that_is_not_there(project, capsys):
    """A name that is no file ends the run before anything is done."""
    if importlib.util.find_spec("libcst") is None:
        pytest.skip("LibCST is not installed")
    project(a=BEFORE)
    assert main(["a.py", "nowhere"]) == 2
    assert "there is nothing at nowhere\n" == capsys.readouterr().err


def test_without_libcst_one_line_says_what_to_install(project, capsys, monkeypatch):
    """No traceback: a line, and exit code 2."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "libcst" else found(name)
    )
    project(a=BEFORE)
    assert main(["a.py"]) == 2
    expected = "aiostub.migrate needs LibCST: pip install 'aiostub[migrate]'\n"
    assert ("", expected) == capsys.readouterr()


# -- bytes


@needs_libcst
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            b"from aioresponses import aioresponses\ndef f(:\n",
            "a.py:2: the file has a syntax error",
        ),
        (b"import aioresponses\nx = '\xff'\n", "a.py:1: the file cannot be decoded"),
        (b"# -*- coding: nope -*-\nimport aioresponses\n", "a.py:1: the file cannot be decoded"),
    ],
)
def test_what_cannot_be_read_is_reported(project, capsys, data, said):
    """A syntax error, bytes in no encoding, an unknown encoding: left, and said."""
    root = project()
    (root / "a.py").write_bytes(data)
    assert main(["a.py"]) == 1
    assert said in capsys.readouterr().out
    assert data == (root / "a.py").read_bytes()


@needs_libcst
def test_a_broken_file_without_the_name_is_none_of_ours(project, capsys):
    """Only files that mention aioresponses are reported."""
    root = project(a=BEFORE)
    (root / "b.py").write_bytes(b"def f(:\n")
    assert main(["."]) == 0
    assert capsys.readouterr().out == ""


@needs_libcst
@pytest.mark.parametrize(
    ("encoding", "head"),
    [("latin-1", "# -*- coding: latin-1 -*-\n"), ("utf-8-sig", ""), ("utf-8", "")],
)
def test_the_encoding_is_kept(project, encoding, head):
    """A declared encoding and a byte order mark survive."""
    root = project()
    (root / "a.py").write_bytes((head + BEFORE + "# \xe9\n").encode(encoding))
    assert main(["a.py"]) == 0
    assert (head + AFTER + "# \xe9\n").encode(encoding) == (root / "a.py").read_bytes()


@needs_libcst
def test_no_line_end_at_the_end(project):
    """A file without a last line end gets none."""
    root = project()
    (root / "a.py").write_bytes(BEFORE.rstrip().replace("\n", "\r\n").encode())
    assert main(["a.py"]) == 0
    assert AFTER.rstrip().replace("\n", "\r\n").encode() == (root / "a.py").read_bytes()


# -- several files

CONFTEST = """\
import pytest
from aioresponses import aioresponses


@pytest.fixture
def api():
    with aioresponses() as m:
        yield m
"""
USER = """\
def test_it(api):
    api.get("http://x.test/", payload={})
"""


@needs_libcst
def test_a_fixture_of_conftest_and_its_users(project):
    """A file that only asks for the fixture is rewritten with it, and gets no import."""
    root = project(tests__conftest=CONFTEST, tests__unit__test_a=USER)
    assert main(["tests"]) == 0
    expected = 'def test_it(api):\n    api.get("http://x.test/").reply(json={})\n'
    assert expected == (root / "tests/unit/test_a.py").read_text()
    assert "with Stub(strict=False) as m:" in (root / "tests/conftest.py").read_text()


@needs_libcst
@pytest.mark.parametrize("named", ["tests/conftest.py", "tests/test_a.py"])
def test_a_fixture_and_its_users_are_not_parted(project, capsys, named):
    """If only some of the files are named, all of them stay, and the others are asked for."""
    root = project(tests__conftest=CONFTEST, tests__test_a=USER)
    assert main([named]) == 1
    assert CONFTEST == (root / "tests/conftest.py").read_text()
    assert USER == (root / "tests/test_a.py").read_text()
    assert "shares its mock with what is left at" in capsys.readouterr().out


@needs_libcst
def test_the_nearest_fixture_counts(project):
    """A conftest.py further down, or the file itself, may have another fixture of that name."""
    other = "import pytest\n\n\n@pytest.fixture\ndef api():\n    return Other()\n"
    using = "\n\ndef test_it(api):\n    api.get(1)\n"
    root = project(
        conftest=CONFTEST,
        test_a=USER,
        test_b=other + using,
        deep__conftest=other,
        deep__test_c=using.lstrip(),
    )
    assert main(["."]) == 0
    assert "reply" in (root / "test_a.py").read_text()
    assert other + using == (root / "test_b.py").read_text()
    assert using.lstrip() == (root / "deep/test_c.py").read_text()


@needs_libcst
def test_helpers_and_bases_of_other_files(project):
    """A mock is followed into functions and out of classes that are imported."""
    root = project(
        tests____init__="",
        tests__base="""\
            import unittest

            from aioresponses import aioresponses


            class Base(unittest.TestCase):
                def setUp(self):
                    self.api = aioresponses()
                    self.api.start()
                    self.addCleanup(self.api.stop)
            """,
        tests__helpers="""\
            def add_users(mock, *, status=200):
                mock.get("http://x.test/users", status=status, payload=[])
            """,
        tests__test_a="""\
            from tests.base import Base

            from .helpers import add_users


            class TestIt(Base):
                def test_it(self):
                    add_users(self.api, status=203)
                    self.api.get("http://x.test/", payload={})
            """,
    )
    assert main(["tests"]) == 0
    assert "self.api = Stub(strict=False)" in (root / "tests/base.py").read_text()
    helpers = (root / "tests/helpers.py").read_text()
    assert 'mock.get("http://x.test/users").reply(status, json=[])' in helpers
    test = (root / "tests/test_a.py").read_text()
    assert 'self.api.get("http://x.test/").reply(json={})' in test
    assert "import Stub" not in test


@needs_libcst
def test_constants_of_other_files(project):
    """What is imported from beside is looked up: here, that a body is text."""
    root = project(
        tests__const='BODY = "hello"\n',
        tests__common="def load(name) -> bytes:\n    return b''\n",
        tests__test_a="""\
            from aioresponses import aioresponses

            from .common import load
            from .const import BODY


            def test_it():
                with aioresponses() as m:
                    m.get("http://x.test/", body=BODY)
                    m.get("http://x.test/", body=load("a"))
            """,
    )
    assert main(["tests/test_a.py"]) == 0
    text = (root / "tests/test_a.py").read_text()
    assert "reply(text=BODY, " in text
    assert 'reply(body=load("a"), ' in text
