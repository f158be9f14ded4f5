"""A suite as users of aioresponses write it; `test_unchanged.py` runs it."""

import asyncio
import re
import unittest

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aioresponses import CallbackResult, aioresponses
from aioresponses.core import RequestCall
from yarl import URL

URL_A = "https://api.example.com/users"


class Client:
    """What is under test."""

    def __init__(self, session):
        self.session = session

    async def user(self, number):
        async with self.session.get(f"{URL_A}/{number}", params={"full": "1"}) as response:
            response.raise_for_status()
            return await response.json()

    async def make(self, **fields):
        for _ in range(3):
            try:
                async with self.session.post(URL_A, json=fields) as response:
                    if response.status < 500:
                        return await response.json()
            except aiohttp.ClientConnectionError:
                continue
        return None

    async def reachable(self):
        try:
            async with self.session.head(URL_A) as response:
                return response.ok
        except (aiohttp.ClientError, asyncio.TimeoutError):
            return False


@pytest.fixture
def mock():
    with aioresponses() as m:
        yield m


@pytest.fixture
async def client():
    async with aiohttp.ClientSession(headers={"X-Token": "t"}) as session:
        yield Client(session)


async def test_payload(mock, client):
    mock.get(f"{URL_A}/7?full=1", payload={"name": "Ada"})
    assert await client.user(7) == {"name": "Ada"}
    mock.assert_called_once_with(f"{URL_A}/7", params={"full": "1"}, headers={"X-Token": "t"})


async def test_status(mock, client):
    mock.get(f"{URL_A}/7?full=1", status=404, body="nobody")
    with pytest.raises(aiohttp.ClientResponseError) as raised:
        await client.user(7)
    assert (raised.value.status, raised.value.message) == (404, "Not Found")


async def test_retry(mock, client):
    mock.post(URL_A, status=503)
    mock.post(URL_A, exception=aiohttp.ClientConnectionError("gone"))
    mock.post(URL_A, status=201, payload={"id": 1})
    assert await client.make(name="Ada") == {"id": 1}
    calls = mock.requests[("POST", URL(URL_A))]
    assert [call.kwargs["json"] for call in calls] == [{"name": "Ada"}] * 3
    assert isinstance(calls[0], RequestCall)
    assert calls[0] == RequestCall((), calls[0].kwargs)


async def test_nothing_registered(mock, client):
    assert not await client.reachable()
    with pytest.raises(aiohttp.ClientConnectionError, match=r"Connection refused: GET https://api"):
        await client.user(7)


async def test_timeout(mock, client):
    mock.head(URL_A, timeout=True)
    mock.head(URL_A)
    assert [await client.reachable(), await client.reachable()] == [False, True]


async def test_pattern_and_repeat(mock, client):
    mock.get(re.compile(r"^https://api\.example\.com/users/\d+\?full=1$"), payload={}, repeat=True)
    mock.get(re.compile(r".*"), status=500, repeat=2)
    assert [await client.user(n) for n in range(3)] == [{}, {}, {}]
    with pytest.raises(aiohttp.ClientResponseError):
        await client.user("x")


async def test_callback(mock, client):
    def answer(url, **kwargs):
        assert url == URL(URL_A)
        return CallbackResult(status=201, payload={"id": kwargs["json"]["number"]})

    async def answer_later(url, **kwargs):
        await asyncio.sleep(0)
        return CallbackResult(body=b'{"id": "later"}', headers={"X-A": "1"})

    mock.post(URL_A, callback=answer, repeat=2)
    mock.post(URL_A, callback=answer_later)
    assert [await client.make(number=n) for n in (1, 2, 3)] == [
        {"id": 1},
        {"id": 2},
        {"id": "later"},
    ]


async def test_redirect(mock, client):
    mock.get(f"{URL_A}/7?full=1", status=302, headers={"Location": "/moved"})
    mock.get("https://api.example.com/moved", payload={"moved": True})
    assert await client.user(7) == {"moved": True}


async def test_passthrough(client):
    async def hello(request):
        return web.Response(text="real")

    app = web.Application()
    app.router.add_get("/", hello)
    async with TestServer(app) as server:
        origin = f"http://127.0.0.1:{server.port}"
        with aioresponses(passthrough=[origin]) as mock:
            mock.get(URL_A, body="mocked")
            async with client.session.get(origin) as response:
                assert await response.text() == "real"
            async with client.session.get(URL_A) as response:
                assert await response.text() == "mocked"
        with aioresponses(passthrough_unmatched=True):
            async with client.session.get(origin) as response:
                assert await response.text() == "real"


async def test_assertions(mock, client):
    mock.assert_not_called()
    with pytest.raises(AssertionError, match="Expected 'aioresponses' to have been called."):
        mock.assert_called()
    mock.post(URL_A, payload={}, repeat=True)
    await client.make(name="Ada")
    mock.assert_called()
    mock.assert_called_once()
    mock.assert_any_call(URL_A, "POST")
    mock.assert_called_with(URL_A, "POST", args_to_match=["json"], json={"name": "Ada"})
    mock.assert_called_with(URL_A, method="POST", json={"name": "Ada"}, headers={"X-Token": "t"})
    with pytest.raises(AssertionError, match="call not found"):
        mock.assert_any_call(URL_A, "GET")
    with pytest.raises(AssertionError, match="!="):
        mock.assert_called_with(URL_A, "POST", json={"name": "Bob"})
    await client.make(name="Ada")
    with pytest.raises(AssertionError, match="called once. Called 2 times"):
        mock.assert_called_once()


@pytest.mark.parametrize("status", [200, 204, 404])
async def test_parametrized(mock, status):
    mock.delete(URL_A, status=status)
    async with aiohttp.ClientSession() as session, session.delete(URL_A) as response:
        assert response.status == status


async def test_clear(mock, client):
    mock.head(URL_A, repeat=True)
    assert await client.reachable()
    mock.clear()
    assert not await client.reachable()
    assert len(mock.requests[("HEAD", URL(URL_A))]) == 2


class TestWithUnittest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.mock = aioresponses()
        self.mock.start()
        self.addCleanup(self.mock.stop)

    async def asyncSetUp(self):
        self.session = aiohttp.ClientSession()
        self.addAsyncCleanup(self.session.close)

    async def test_started(self):
        self.mock.get(URL_A, body="text", content_type="text/plain")
        async with self.session.get(URL_A) as response:
            self.assertEqual("text", await response.text())
            self.assertEqual("text/plain", response.content_type)


class TestDecorated(unittest.IsolatedAsyncioTestCase):
    @aioresponses()
    async def test_last_argument(self, mock):
        mock.get(URL_A, payload=[1])
        async with aiohttp.ClientSession() as session, session.get(URL_A) as response:
            self.assertEqual([1], await response.json())

    @aioresponses(param="mocked")
    async def test_param(self, mocked=None):
        mocked.get(URL_A, status=418)
        async with aiohttp.ClientSession() as session, session.get(URL_A) as response:
            self.assertEqual((418, "I'm a Teapot"), (response.status, response.reason))


class TestSync(unittest.TestCase):
    @aioresponses()
    def test_loop_inside(self, mock):
        async def get():
            async with aiohttp.ClientSession() as session, session.get(URL_A) as response:
                return await response.read()

        mock.get(URL_A, body=b"\x00\x01")
        self.assertEqual(b"\x00\x01", asyncio.run(get()))
