"""What a test suite pays before its first test: what importing the package loads."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

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


IN_PARTS = """
import asyncio, sys
import aiohttp, aiostub
from aiostub import _watch  # as in a run of pytest

first = aiohttp
URL = "https://api.example.com/users/7"
SOCKET = "wss://feed.example.com/"

async def use(kept=None):
    import aiohttp
    Stub = kept or aiostub.Stub
    with Stub() as stub, Stub() as inner:
        stub.get(URL).fail(aiostub.faults.reset()).then.reply(200)
        inner.get(URL).handle(lambda request: aiostub.Reply(204))
        stub.ws(SOCKET).script(aiostub.script.send("hello")).optional()
        async with aiohttp.ClientSession() as session:
            print((await session.get(URL)).status)
            try:
                await session.get(URL)
            except aiohttp.ClientOSError:
                print((await session.get(URL)).status)
            if aiohttp is first:  # the C code of another one would know the first one's types
                async with session.ws_connect(SOCKET) as ws:
                    await ws.receive_str(timeout=2)
    try:
        stub.get("/users").reply(99)
    except aiostub.RouteError:
        print("refused")

def forget(before):
    for name in sys.modules.keys() - before:
        del sys.modules[name]
"""


@pytest.mark.parametrize(
    "rest",
    [
        """
        before = set(sys.modules)
        asyncio.run(use())
        forget(before)  # as mock.patch.dict(sys.modules) does
        from aiostub._stub import Stub
        assert Stub is aiostub.Stub
        asyncio.run(use())
        """,
        """
        before = set(sys.modules)
        kept = aiostub.Stub
        asyncio.run(use(kept))
        forget(before)
        asyncio.run(use(kept))
        """,
        """
        before = {name for name in sys.modules if not name.startswith("aiohttp")}
        for _ in range(2):
            asyncio.run(use())
            forget(before)  # as a run of pytest in this process does
        """,
    ],
    ids=["the package", "all but a class", "aiohttp as well"],
)
def test_what_is_dropped_meanwhile_is_no_second_copy_of_a_part(rest):
    """Whatever was loaded for the first time, all of it goes on with one and the same aiohttp."""
    command = [sys.executable, "-c", f"{IN_PARTS}{dedent(rest)}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout.split(), done.stderr) == (["204", "200", "refused"] * 2, "")
