"""What a test suite pays before its first test: what importing the package loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

WHOLE_TEST = """
import asyncio

async def test():
    with Stub() as stub:
        stub.get("https://api.example.com/users/7").reply(json={"name": "Ada"})
        async with aiohttp.ClientSession() as session:
            async with session.get("https://api.example.com/users/7") as response:
                assert {"name": "Ada"} == await response.json()

asyncio.run(test())
"""
# Loaded by whoever wants what they are for.
LATER = {
    "aiostub._boundary.injected",
    "aiostub._decorator",
    "aiostub._exchange.apps",
    "aiostub._exchange.socket",
    "aiostub._explain.texts",
    "aiostub._log.frames",
    "aiostub._matching.needle",
    "aiostub._matching.rules",
    "aiostub._routing.mount",
    "aiostub._routing.test_servers",
    "aiostub._routing.websocket",
    "aiostub._sockets.site",
    "aiostub.script",
    "aiostub.strategies",
    "aiostub.typing",
}


def run(code: str) -> set[str]:
    """Return the words that a new interpreter prints when it runs some code."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def loaded_beside_aiohttp(*, code: str = "", before: str = "") -> set[str]:
    """Return the modules that only this package has loaded."""
    return run(
        f"import sys, aiohttp{before}; known = set(sys.modules)\n"
        f"from aiostub import Stub\n{code}\n"
        "print(*(sys.modules.keys() - known))"
    )


@pytest.mark.parametrize("code", ["", WHOLE_TEST], ids=["import", "whole test"])
def test_the_import_loads_what_a_plain_test_needs(code):
    """What only some tests want, they load."""
    assert set() == LATER & loaded_beside_aiohttp(code=code)


def test_the_import_loads_nothing_of_the_standard_library_that_aiohttp_has_not():
    """Each module is a file to find and to run."""
    loaded = loaded_beside_aiohttp()
    assert set() == {name for name in loaded if name.partition(".")[0] != "aiostub"}


def test_what_is_loaded_later_is_what_there_is():
    """A name in the list above that no module has would be no promise."""
    assert LATER == LATER & run(
        "import pkgutil, aiostub\n"
        "print(*(m.name for m in pkgutil.walk_packages(aiostub.__path__, 'aiostub.')))"
    )


def test_the_import_compiles_only_what_each_request_needs():
    """To compile a regex takes as long as to match a request."""
    compiling = run(
        "import re, sys, aiohttp\n"
        "real = re.compile\n"
        "def noted(*args):\n"
        "    print(sys._getframe(1).f_globals['__name__'])\n"
        "    return real(*args)\n"
        "re.compile = noted\n"
        "from aiostub import Stub"
    )
    ours = {name for name in compiling if name.startswith("aiostub.")}
    assert (
        {
            "aiostub._matching.url",
            "aiostub._wire.far_end",
        }
        >= ours
        > set()
    )
