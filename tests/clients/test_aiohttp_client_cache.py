"""aiohttp-client-cache meets a stub as it meets a server."""

import importlib
import sys

import pytest
from aiohttp_client_cache import CachedSession, SQLiteBackend

from aiostub import Stub

URL = "https://api.example.com/notes"


@pytest.fixture
async def session():
    """Make a session that keeps answers in memory."""
    async with CachedSession() as session:
        yield session


async def test_the_second_answer_comes_from_the_cache(session, aiostub):
    """A stub that answers once is asked once."""
    aiostub.get(URL).reply(json={"by": "ada"}, headers={"X-Page": "1"}, cookies={"seen": "1"})

    answers = [await session.get(URL) for _ in range(2)]

    assert [answer.from_cache for answer in answers] == [False, True]
    assert [await answer.json() for answer in answers] == [{"by": "ada"}] * 2
    assert answers[1].headers["X-Page"] == "1"
    assert answers[1].cookies["seen"].value == "1"


async def test_an_answer_is_kept_on_disk(aiostub, tmp_path):
    """Everything of the answer, redirects included, can be pickled."""
    aiostub.get(URL).reply(302, headers={"Location": "/other"})
    aiostub.get("https://api.example.com/other").reply(text="here")

    for from_cache in (False, True):
        async with (
            CachedSession(cache=SQLiteBackend(str(tmp_path / "cache"))) as session,
            session.get(URL) as answer,
        ):
            assert answer.from_cache is from_cache
            assert await answer.text() == "here"
            assert [str(hop.url) for hop in answer.history] == [URL]


async def test_a_stale_answer_is_asked_for_again(session, aiostub):
    """The condition of the second request is the ETag of the first answer."""
    get = aiostub.get(URL).reply(text="here", headers={"ETag": '"1"'}).then.reply(304)
    await session.get(URL)

    answer = await session.get(URL, refresh=True)

    assert (await answer.text(), answer.from_cache) == ("here", True)
    assert get.calls.last.request.headers["If-None-Match"] == '"1"'


async def test_an_error_is_not_kept(session, aiostub):
    """The next request is sent."""
    aiostub.get(URL).reply(500).then.reply(text="here")

    assert [(await session.get(URL)).status for _ in range(2)] == [500, 200]


async def test_it_can_be_imported_while_a_stub_is_started(monkeypatch):
    """The signature that it copies is aiohttp's, and the stub can be stopped."""
    for name in [name for name in sys.modules if name.startswith("aiohttp_client_cache")]:
        monkeypatch.delitem(sys.modules, name)

    with Stub() as stub:
        fresh = importlib.import_module("aiohttp_client_cache")
        stub.get(URL).reply(text="here")
        async with fresh.CachedSession() as session:
            answer = await session.get(URL, timeout=None)
            assert await answer.text() == "here"

    with Stub() as stub:
        stub.get(URL).reply(text="there")
        async with fresh.CachedSession() as session:
            assert await (await session.get(URL)).text() == "there"
