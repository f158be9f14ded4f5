"""A suite written for aioresponses runs unchanged, or with one import changed."""

import sys
from pathlib import Path

import pytest
from pytest_in_pytest import NO_HYPOTHESIS

SUITE = Path(__file__).with_name("users_suite.py").read_text(encoding="utf-8")
TESTS = 18
INI = """
    [pytest]
    asyncio_mode = auto
    asyncio_default_fixture_loop_scope = function
    filterwarnings = error
    # On CPython 3.12 it asks for a loop in sync tests, too, and is warned.
    addopts = -p no:looptime_plugin"""
ON = "aiostub: compat is on; `import aioresponses` imports aiostub.compat.aioresponses"


@pytest.fixture
def suite(pytester):
    """Lay the suite out, in a folder of its own."""
    pytester.makeini(INI)
    pytester.makepyfile(test_users=SUITE)
    return pytester


def in_process_of_its_own(suite, *args):
    """Run the suite where nothing was imported before."""
    return suite.run(sys.executable, "-W", "error", *args, *NO_HYPOTHESIS, "-p", "no:randomly")


def test_one_import_changed(suite):
    """The only line that changes is the one that names the package."""
    suite.makepyfile(
        test_users=SUITE.replace("from aioresponses", "from aiostub.compat.aioresponses")
    )
    result = in_process_of_its_own(suite, "-m", "pytest")
    result.assert_outcomes(passed=TESTS)
    result.stdout.no_fnmatch_line(ON)


@pytest.mark.parametrize("words", [("-m", "pytest"), ("pytest",)], ids=" ".join)
def test_run_by_the_module(suite, words):
    """``python -m aiostub.compat`` answers for the name before anything is imported."""
    result = in_process_of_its_own(suite, "-m", "aiostub.compat", *words)
    result.assert_outcomes(passed=TESTS)
    result.stdout.fnmatch_lines([ON])


@pytest.mark.parametrize("option", [("--aiostub-compat",), ("-o", "aiostub_compat=true")], ids=str)
def test_run_with_the_option(suite, option):
    """The option and the ini line answer for the name before the conftest files."""
    suite.makeconftest("from aioresponses import aioresponses")
    result = in_process_of_its_own(suite, "-m", "pytest", *option)
    result.assert_outcomes(passed=TESTS)
    result.stdout.fnmatch_lines([ON])


def test_off_by_default(suite):
    """Nobody is given our module who has not asked for it."""
    result = in_process_of_its_own(suite, "-m", "pytest")
    result.stdout.no_fnmatch_line(ON)
    result.stdout.fnmatch_lines(["*No module named 'aioresponses'*"])


EARLY = """
from aioresponses import aioresponses
from aioresponses.core import CallbackResult
print("early", aioresponses.__module__)
"""


@pytest.mark.parametrize("words", [("-m", "aiostub.compat"), ()], ids=str)
def test_processes_that_the_run_starts(suite, words):
    """The workers of pytest-xdist find the name, and their plugins before ours is loaded."""
    suite.makepyfile(plugin_of_somebody=EARLY)
    suite.makeini(f"{INI} -p plugin_of_somebody\n    aiostub_compat = true")
    if not words:  # the plugin must be able to import something before the ini file is read
        suite.makeini(f"{INI}\n    aiostub_compat = true")
    result = in_process_of_its_own(suite, *words, "-m", "pytest", "-n", "1")
    result.assert_outcomes(passed=TESTS)


def test_a_process_that_a_test_starts(suite):
    """Whatever Python runs in a test finds the name, if that does not clear the environment."""
    suite.makepyfile(
        test_users=f"""
        import subprocess, sys
        def test_it():
            code = {EARLY!r}
            said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert said.stdout == "early aiostub.compat.aioresponses.core\\n", said.stderr
        """
    )
    in_process_of_its_own(suite, "-m", "pytest", "--aiostub-compat").assert_outcomes(passed=1)


THEIRS = {
    "aioresponses/__init__.py": "from aioresponses.core import aioresponses, CallbackResult",
    "aioresponses/core.py": (
        "class aioresponses: pass\nclass CallbackResult: pass\nclass RequestCall: pass"
    ),
    "plugin_of_somebody.py": (
        "import aioresponses, pytest\n"
        "from aioresponses import aioresponses as mocked\n"
        "@pytest.fixture\n"
        "def responses():\n"
        "    with mocked() as m:\n"
        "        yield m\n"
    ),
}


def test_a_plugin_that_was_there_first(suite):
    """What a plugin has taken from the other package before is ours afterwards."""
    for name, text in THEIRS.items():
        path = suite.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    suite.makepyfile(test_users="def test_it(responses):\n    responses.assert_not_called()\n")
    result = suite.run(
        *(sys.executable, "-m", "pytest", *NO_HYPOTHESIS),
        *("-p", "plugin_of_somebody", "--aiostub-compat"),
    )
    result.assert_outcomes(passed=1)


def test_a_script(pytester):
    """A file can be run, with arguments of its own."""
    script = pytester.makepyfile(
        "import sys, aioresponses; print(aioresponses.__name__, sys.argv[1:])"
    )
    result = pytester.run(sys.executable, "-m", "aiostub.compat", script, "-x", "y")
    result.stdout.fnmatch_lines(["aiostub.compat.aioresponses *'-x', 'y'*"])


@pytest.mark.parametrize("words", [(), ("-m",), ("-x",)], ids=str)
def test_usage(pytester, words):
    """Without a program it says how it is used."""
    result = pytester.run(sys.executable, "-m", "aiostub.compat", *words)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["usage: python -m aiostub.compat *"])


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(pytester, word):
    """Who asks for it has made no mistake."""
    result = pytester.run(sys.executable, "-m", "aiostub.compat", word)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["usage: python -m aiostub.compat *"])


@pytest.mark.parametrize(
    "name", ["aioresponses.core.ClientResponse", "aioresponses.compat.normalize_url"]
)
def test_what_suites_patch_by_name(pytester, name):
    """Names can be patched under the other package's path."""
    script = pytester.makepyfile(
        f"from unittest.mock import patch\nwith patch({name!r}) as double:\n"
        f"    from {name.rpartition('.')[0]} import {name.rpartition('.')[2]} as found\n"
        "    print(found is double)\n"
    )
    result = pytester.run(sys.executable, "-m", "aiostub.compat", script)
    result.stdout.fnmatch_lines(["True"])


def test_the_switch_imports_no_aiohttp(pytester):
    """Answering for the name costs nothing until somebody imports it."""
    script = pytester.makepyfile("import sys; print('aiohttp' in sys.modules)")
    result = pytester.run(sys.executable, "-m", "aiostub.compat", script)
    result.stdout.fnmatch_lines(["False"])
