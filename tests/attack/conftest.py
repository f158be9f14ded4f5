"""What the attacks share: after each of them, nothing may be left."""

import asyncio
import gc
import traceback
import weakref

import aiohttp
import pytest

from aiostub._boundary import interception
from aiostub._wire import far_end as _far_end

OLD = aiohttp.__version__.startswith("3.9.")


def is_of_aiohttp(context):
    """Its upload of a body does not mind its own exception when the connection has gone.

    On aiohttp 3.9 all of it, later the end of the body alone.
    """
    error = context.get("exception")
    if "Cannot write to closing transport" not in str(error):
        return False
    places = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return OLD or {"write_bytes", "write_eof"} <= set(places)


@pytest.fixture
async def aftermath(monkeypatch):
    """Let a test leave no connection, no task, no patch, and no word in the loop's log."""
    ends, problems = [], []
    connect = _far_end.connect_in_memory

    def connect_and_note(loop, near, far, **kwargs):
        connect(loop, near, far, **kwargs)
        ends.extend([weakref.ref(near.transport), weakref.ref(far.transport)])

    monkeypatch.setattr(_far_end, "connect_in_memory", connect_and_note)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    yield problems
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    left = [end() for end in ends]
    assert [] == [e for e in left if e and not e.is_closing() and not e._loop.is_closed()]
    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert () == interception.started()
    assert [] == [context for context in problems if not is_of_aiohttp(context)]
