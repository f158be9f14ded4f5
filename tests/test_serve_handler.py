"""route.serve(): one handler of aiohttp.web answers, behind aiohttp's own server protocol."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

import aiohttp
import pytest
from aiohttp import ClientSession, web

import aiostub
from aiostub import RouteError, UnmatchedRequest, UnsatisfiedStub, faults

SITE = "https://api.example.com"
URL = f"{SITE}/v1"


async def hello(_request):
    """Answer."""
    return web.Response(text="hello")


async def ask(session, url=URL, method="GET", **kwargs):
    """Ask, and return status and text."""
    async with session.request(method, url, **kwargs) as response:
        return response.status, await response.text()


class Answering:
    """A handler that is a method, or the object itself."""

    async def method(self, _request):
        """Answer."""
        return web.Response(text="hello")

    async def __call__(self, request):
        return await self.method(request)


class View(web.View):
    """A handler that is a class."""

    async def get(self):
        """Answer."""
        return web.Response(text="hello")


@pytest.mark.parametrize(
    "handler",
    [hello, View, Answering().method, Answering(), functools.partial(hello)],
    ids=["function", "view", "method", "object", "partial"],
)
async def test_any_handler_of_aiohttp_may_answer(handler):
    """Whatever can be awaited for a response when it is called with a request."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(URL).serve(handler)
        assert await ask(session) == (200, "hello")


@pytest.mark.parametrize("handler", [None, "hello", web.Response()])
def test_what_cannot_be_called_is_refused(handler):
    """At the line that registers."""
    with pytest.raises(RouteError, match=r"^serve: handler must be callable, got"):
        aiostub.Stub().get(URL).serve(handler)


def test_a_whole_application_is_refused():
    """It can be called, but not with a request."""
    with pytest.raises(RouteError, match=r"^serve: .* is a whole application: stub\.mount\("):
        aiostub.Stub().get(URL).serve(web.Application())


async def test_it_is_a_step_like_any_other():
    """Counted, followed by others, and named in the log."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        route = stub.get(URL).serve(hello).times(2).then.reply(503).then.serve(hello)
        answers = [(await ask(session))[0] for _ in range(4)]
        assert [200, 200, 503, 200] == answers == [call.status for call in stub.calls]
        assert route.call_count == 4


async def test_a_handler_that_was_never_asked_is_unsatisfied():
    """And a used-up one leaves requests unmatched."""
    with pytest.raises(UnsatisfiedStub, match=r"serve\(hello\) never served"):
        async with aiostub.Stub() as stub:
            stub.get(URL).serve(hello)
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        stub.get(URL).serve(hello)
        await ask(session)
        with pytest.raises(UnmatchedRequest):
            await ask(session)


async def test_the_conditions_of_the_route_decide():
    """Also about a body, which the handler then reads itself."""

    async def echo(request):
        return web.json_response(await request.json())

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.post(URL, json={"a": 1}).serve(echo)
        stub.post(URL).reply(text="other")
        assert await ask(session, method="POST", json={"a": 2}) == (200, "other")
        assert await ask(session, method="POST", json={"a": 1}) == (200, '{"a": 1}')


async def test_path_captures_stand_in_match_info():
    """Decoded, as a router of aiohttp gives them."""
    seen = []

    async def note(request):
        seen.append((dict(request.match_info), request.path, request.query["q"]))
        return web.Response()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(SITE + "/users/{name}/{rest:path}", params={"q": "1"}).serve(note)
        await ask(session, f"{SITE}/users/Ada%20L/a/b?q=1")
    assert [({"name": "Ada L", "rest": "a/b"}, "/users/Ada L/a/b", "1")] == seen


async def test_the_request_is_as_behind_a_real_server():
    """Scheme, host, URL, and no limit on the body."""
    seen = []

    async def note(request):
        seen.append((str(request.url), request.secure, len(await request.read())))
        return web.Response()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.post(URL).serve(note)
        await ask(session, method="POST", data=iter_bytes(3 * 2**20))
    assert [(URL, True, 3 * 2**20)] == seen


async def iter_bytes(size):
    """A long body in pieces."""
    for _ in range(size // 2**16):
        yield bytes(2**16)


async def test_a_handler_may_stream():
    """The client reads while it writes."""
    gate = asyncio.Event()

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a")
        await gate.wait()
        await response.write(b"b")
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(URL).serve(stream)
        async with session.get(URL) as response:
            assert await response.content.readany() == b"a"
            gate.set()
            assert await response.content.read() == b"b"


async def test_a_handler_may_speak_a_protocol_of_its_own():
    """After a 101 the transports carry whatever the two ends write."""
    over = asyncio.Event()

    async def speak(request):
        request.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\n"
            b"Connection: Upgrade\r\nUpgrade: shout\r\n\r\nHELLO"
        )
        await over.wait()
        return web.Response()

    headers = {"Connection": "Upgrade", "Upgrade": "shout"}
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(URL).serve(speak)
        async with session.get(URL, headers=headers) as response:
            assert (response.status, response.headers["Upgrade"]) == (101, "shout")
            assert response.connection is not None
        over.set()
        assert stub.calls.last.status == 101


async def test_an_error_is_a_500_and_raised_at_exit(caplog):
    """An HTTP exception is a response, and no error."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")

    async def fails(_request):
        raise LookupError("wrong")

    async def refuses(_request):
        raise web.HTTPForbidden

    with pytest.raises(LookupError, match="wrong"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.get(URL).serve(refuses).then.serve(fails)
            assert [(await ask(session))[0] for _ in range(2)] == [403, 500]


async def test_a_handler_that_is_no_coroutine_function_is_an_error(caplog):
    """It is told at exit."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    with pytest.raises(TypeError, match="await"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.get(URL).serve(lambda _: web.Response())
            assert (await ask(session))[0] == 500


async def test_a_handler_that_returns_no_response_is_named(caplog):
    """By the step."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")

    async def forgets(_request):
        pass

    with pytest.raises(RouteError, match=r"forgets\): a handler must return .* got None$"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.post(URL).serve(forgets)
            with contextlib.suppress(aiohttp.ServerDisconnectedError):
                await ask(session, method="POST")


async def test_a_handler_may_raise_a_fault():
    """And the client's own retry meets the next step."""

    async def drops(_request):
        raise faults.disconnect()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.post(URL).serve(drops).then.serve(hello)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(session, method="POST")
        assert await ask(session, method="POST") == (200, "hello")


@pytest.mark.parametrize("fault", [faults.disconnect(), faults.reset()], ids=str)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fault_that_a_handler_raises_is_met_once(fault, method):
    """What aiohttp sends again by itself meets it too, and uses no other step."""

    async def drops(_request):
        raise fault

    async with aiostub.Stub() as stub, ClientSession() as session:
        route = stub.request(method, URL).serve(drops).then.serve(hello)
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(session, method=method)
        assert route.call_count == 1
        assert await ask(session, method=method) == (200, "hello")


async def test_nothing_is_said_in_the_access_log(caplog):
    """The handler of a test is no server whose traffic somebody watches."""
    caplog.set_level(logging.INFO)
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(URL).serve(hello)
        await ask(session)
    assert [] == [record for record in caplog.records if "access" in record.name]
