"""A run of pytest inside of a test, with what its test files begin with."""

from __future__ import annotations

import gc
import warnings
from textwrap import dedent

import aiohttp
from aiohttp.connector import Connection

import aiostub

# A run in this process forgets what it imports, and two copies of the package do not mix.
LOADED = (aiostub.Stub, aiostub.Calls)

# At the end of any run it imports all of Hypothesis: half of what a small run in a process costs.
# One of test_pytest_combinations.py has it none the less, and so has this suite itself.
NO_HYPOTHESIS = ("-p", "no:hypothesispytest")

HEAD = """
import asyncio, unittest
import aiohttp, pytest
from aiohttp import test_utils, web
from aiostub import UnmatchedRequest

URL = "http://api.test/items"

async def ask(url=URL, method="GET"):
    async with aiohttp.ClientSession() as session:
        async with session.request(method, url) as response:
            return await response.text()

def run_in_loop(coroutine):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()
"""
# A server that lives in this process, but not as one of aiohttp's test servers.
REAL_SERVER = """
async def with_real_server(act):
    async def answer(request):
        return web.Response(text="real")
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    try:
        return await act(f"http://127.0.0.1:{port}/")
    finally:
        await runner.cleanup()
"""


SETTINGS = """[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def run_pytest(pytester, source, *options, ini="", mode="auto", method="inprocess"):
    """Run a test file in a pytest of its own, in this process or in another."""
    pytester.makepyfile(HEAD + REAL_SERVER + dedent(source))
    settings = SETTINGS.format(mode=mode) + dedent(ini)
    pytester.makeini(settings)
    run = getattr(pytester, f"runpytest_{method}")
    return run("-p", "no:randomly", "-p", "no:cacheprovider", *options)


def collect():
    """End what a run has leaked: in the run around it, that is nobody's.

    Whoever holds a session or a connection yet, a log record or a traceback, would let it warn a
    later test.
    """
    for thing in gc.get_objects():
        if issubclass(type(thing), aiohttp.ClientSession) and not thing.closed:
            thing.detach()
        if issubclass(type(thing), Connection):
            thing.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
