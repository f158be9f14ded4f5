"""A mounted application keeps its connection: one server protocol answers request after request."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import importlib.util
import io
import logging

import aiohttp
import pytest
from aiohttp import ClientSession, web

import aiostub

ORIGIN = "https://api.example.com"
in_virtual_time = (
    pytest.mark.looptime
    if importlib.util.find_spec("looptime") is not None
    else pytest.mark.skip(reason="looptime is not installed")
)


class Site:
    """An application that remembers which server protocol each of its requests came over."""

    def __init__(self):
        self.protocols = []
        self.app = web.Application(client_max_size=0)
        self.app.router.add_route("*", "/{path:.*}", self.handle)

    async def handle(self, request):
        """Do what the path says."""
        self.protocols.append(request.protocol)
        act = getattr(self, request.path.strip("/"), None)
        if act is not None:
            return await act(request)
        return web.Response(text=request.path)

    async def fail(self, _request):
        """Raise an error."""
        raise LookupError("wrong inside")

    async def absent(self, _request):
        """Raise an answer."""
        raise web.HTTPNotFound

    async def close(self, _request):
        """Answer, and close the connection."""
        response = web.Response()
        response.force_close()
        return response

    async def quiet_close(self, request):
        """Close the connection without having said so in the head."""
        response = web.StreamResponse()
        response.content_length = 2
        await response.prepare(request)
        await response.write(b"ok")
        response.force_close()
        return response

    async def large(self, _request):
        """Answer more than fits into the buffers between."""
        return web.Response(body=bytes(1_000_000))

    @property
    def numbered(self):
        """Which protocol each request came over, by order of appearance."""
        known = list(dict.fromkeys(self.protocols))
        return [known.index(protocol) for protocol in self.protocols]


@pytest.fixture
def site():
    """A site."""
    return Site()


@pytest.fixture
async def session():
    """A session with one connection at the most."""
    connector = aiohttp.TCPConnector(limit=1)
    async with ClientSession(connector=connector, auto_decompress=False) as session:
        yield session


async def ask(session, path, method="GET", **kwargs):
    """Ask, and return status and text."""
    async with session.request(method, ORIGIN + path, **kwargs) as response:
        return response.status, await response.text()


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


# One protocol


async def test_ten_requests_are_one_connection_of_the_server(site, session):
    """As behind a real server, whose clients keep their connections alive."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        paths = [f"/{n}" for n in range(10)]
        assert [(200, path) for path in paths] == [await ask(session, path) for path in paths]
    assert [0] * 10 == site.numbered


async def test_it_is_the_same_for_a_served_handler(site, session):
    """Path captures are those of each request."""

    async def handle(request):
        site.protocols.append(request.protocol)
        return web.Response(text=request.match_info["name"])

    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/{name}").serve(handle).always()
        assert (200, "ada") == await ask(session, "/ada")
        assert (200, "joan") == await ask(session, "/joan")
    assert [0, 0] == site.numbered


async def test_each_call_has_its_own_status_and_time(site, session):
    """The log is of calls, and not of connections."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        for path in ("/one", "/absent", "/two"):
            await ask(session, path)
        assert [200, 404, 200] == [call.status for call in stub.calls]
        assert all(call.elapsed is not None for call in stub.calls)
    assert [0, 0, 0] == site.numbered


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
async def test_bodies_come_whole(site, session, size):
    """Those that the application reads, and what it answers to the next request."""

    async def echo(request):
        return web.Response(body=await request.read())

    site.echo = echo
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        for text in ("a" * size, "", "b" * size):
            data = io.BytesIO(text.encode())
            assert (200, text) == await ask(session, "/echo", "POST", data=data)


async def test_a_response_that_fills_the_buffers_is_sent_before_the_next(site, session):
    """The server has not yet heard that its client took all when the next request is there."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        for path in ("/large", "/next", "/large"):
            assert 200 == (await ask(session, path))[0]
    assert [0, 0, 0] == site.numbered


async def test_handlers_see_nothing_of_each_others_context(site, session):
    """Each one runs in a copy."""
    seen = []
    variable = contextvars.ContextVar("variable", default="unset")

    async def look(_request):
        seen.append(variable.get())
        variable.set("set")
        return web.Response()

    site.look = look
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/look")
        await ask(session, "/look")
    assert ["unset", "unset"] == seen


async def test_a_websocket_may_follow_a_request(site, session):
    """And its frames are logged with its own call."""

    async def talk(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(await ws.receive_str())
        return ws

    site.talk = talk
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/before")
        async with session.ws_connect(ORIGIN + "/talk") as ws:
            await ws.send_str("hello")
            assert "hello" == await ws.receive_str()
        await ask(session, "/after")
        assert ["hello"] == stub.calls[1].frames.sent == stub.calls[1].frames.received
        assert [] == list(stub.calls[0].frames) == list(stub.calls[2].frames)
    assert [0, 0, 1] == site.numbered


async def test_a_request_may_follow_a_websocket_that_was_refused(site, session):
    """The connection is kept, and what comes over it is no frame."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(ORIGIN + "/absent")
        assert (200, "/after") == await ask(session, "/after")
        assert [] == list(stub.calls[0].frames)


async def test_a_client_on_a_socket_keeps_it_too(site):
    """The connection is a real one then."""
    stub = aiostub.Stub()
    stub.mount(ORIGIN, site.app)
    async with stub.serve(origin=ORIGIN) as url, ClientSession() as session:
        for path in ("/one", "/absent", "/two"):
            async with session.post(url + path, data=b"1") as response:
                await response.read()
    assert [0, 0, 0] == site.numbered
    assert [200, 404, 200] == [call.status for call in stub.calls]


# Another one


async def test_an_application_in_between_does_not_take_the_connection(site, session):
    """Each has a server that stays."""
    other = Site()
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/other").serve(other.handle)
        stub.mount(ORIGIN, site.app)
        for path in ("/one", "/other", "/two"):
            assert (200, path) == await ask(session, path)
        assert not any(each.transport is None for each in site.protocols + other.protocols)
    assert [0, 0] == site.numbered
    assert [0] == other.numbered


async def test_a_reply_in_between_puts_the_application_away(site, session):
    """What answers on a connection has it for itself."""
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/reply").reply(text="a reply")
        stub.mount(ORIGIN, site.app)
        assert (200, "/one") == await ask(session, "/one")
        assert (200, "a reply") == await ask(session, "/reply")
        assert site.protocols[0].transport is None
        assert (200, "/two") == await ask(session, "/two")
    assert [0, 1] == site.numbered


async def test_a_reply_on_a_socket_puts_the_application_away(site):
    """The same over a real connection."""
    stub = aiostub.Stub()
    stub.get(ORIGIN + "/reply").reply(text="a reply")
    stub.mount(ORIGIN, site.app)
    async with stub.serve(origin=ORIGIN) as url, ClientSession() as session:
        for path, expected in (("/one", "/one"), ("/reply", "a reply"), ("/two", "/two")):
            async with session.get(url + path) as response:
                assert expected == await response.text()
    assert [0, 1] == site.numbered


async def test_an_error_closes_the_connection_and_the_next_is_served(site, session, caplog):
    """A 500 says Connection: close, as everywhere."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    with pytest.raises(LookupError, match="wrong inside"):
        async with aiostub.Stub() as stub:
            stub.mount(ORIGIN, site.app)
            assert 200 == (await ask(session, "/one"))[0]
            assert 500 == (await ask(session, "/fail"))[0]
            assert (200, "/two") == await ask(session, "/two")
    assert [0, 0, 1] == site.numbered


async def test_a_handler_that_closes_has_a_successor(site, session):
    """The client was told."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        for _ in range(2):
            assert 200 == (await ask(session, "/close"))[0]
            assert (200, "/next") == await ask(session, "/next")
    assert [0, 1, 1, 2] == site.numbered


async def test_a_handler_that_closes_without_a_word_has_a_successor(site, session):
    """As behind a socket, a client that cannot know meets a connection that is gone."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        assert (200, "ok") == await ask(session, "/quiet_close")
        with contextlib.suppress(aiohttp.ServerDisconnectedError):  # sent again from 3.10 on
            await ask(session, "/next")
        assert (200, "/next") == await ask(session, "/next")
    assert [0, 1] == list(dict.fromkeys(site.numbered))


async def test_a_fault_in_the_second_request_is_not_the_servers_doing(site, session):
    """The next request finds another one."""

    async def reset(_request):
        raise aiostub.faults.reset()

    site.reset = reset
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/one")
        with pytest.raises(aiohttp.ClientOSError):
            await ask(session, "/reset", "POST")
        assert (200, "/two") == await ask(session, "/two")
    assert [0, 0, 1] == site.numbered


async def test_a_fault_that_keeps_the_connection_does_not_keep_the_server(site, session):
    """It was not the server that has answered."""

    async def garble(_request):
        raise aiostub.faults.bad_gzip()

    site.garble = garble
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        async with session.get(ORIGIN + "/garble") as response:
            await response.read()
        limit = aiohttp.ClientTimeout(total=5)
        assert (200, "/two") == await ask(session, "/two", timeout=limit)
    assert [0, 1] == site.numbered


async def test_a_handler_may_break_the_connection_off_in_the_second_request(site, session):
    """It is the server's as long as it answers."""

    async def abort(request):
        request.transport.abort()
        return web.Response()

    site.abort = abort
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/one")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(session, "/abort", "POST")
        assert (200, "/two") == await ask(session, "/two")
    assert [0, 0, 1] == site.numbered


async def test_what_is_written_behind_an_upgrade_arrives(site, session):
    """The handler has returned, and the connection goes on."""

    async def upgrade(request):
        response = web.StreamResponse(status=101, headers=headers)
        await response.prepare(request)
        write = request.transport.write
        asyncio.get_running_loop().call_later(0.01, lambda: write(bytearray(b"welcome")))
        return response

    site.upgrade = upgrade
    headers = {"Connection": "Upgrade", "Upgrade": "echo"}
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/one")
        async with session.get(ORIGIN + "/upgrade", headers=headers) as response:
            assert 101 == response.status
            received = asyncio.get_running_loop().create_future()
            transport = response.connection.transport
            transport.set_protocol(Hears(received))
            assert b"welcome" == await asyncio.wait_for(received, 5)


class Hears(asyncio.Protocol):
    """A protocol that hears once."""

    def __init__(self, received):
        self.received = received

    def data_received(self, data):
        self.received.set_result(data)


async def test_a_client_that_leaves_the_second_request_is_missed(site, session):
    """The handler sees it in its transport, as in the first."""
    left, seen = asyncio.Event(), []

    async def wait(request):
        await left.wait()
        await turns()
        seen.append(request.transport)
        raise web.HTTPNotFound

    site.wait = wait
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/one")
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, "/wait", timeout=aiohttp.ClientTimeout(total=0.01))
        left.set()
        assert (200, "/two") == await ask(session, "/two")
        await turns(30)
    assert [None] == seen
    assert [0, 0, 1] == site.numbered


@pytest.mark.parametrize("piece", [200_000, 3_000_000])
async def test_an_upload_that_nobody_read_does_not_stand_before_the_next_request(
    site, session, piece
):
    """The server had paused reading it, with all of it in its hands or not."""

    def data():
        return bytes(piece) if piece < 2**20 else io.BytesIO(bytes(piece))

    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/reply").reply(text="a reply").always()
        stub.mount(ORIGIN, site.app)
        for path in ("/reply", "/two"):
            assert (200, "/up") == await ask(session, "/up", "POST", data=data())
            assert 200 == (await ask(session, path, timeout=aiohttp.ClientTimeout(total=5)))[0]


async def test_the_rest_of_an_upload_on_a_socket_is_no_part_of_the_next_request(site):
    """The answer came early, and the client went on sending."""
    stub = aiostub.Stub()
    stub.mount(ORIGIN, site.app)
    async with stub.serve(origin=ORIGIN) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345")
        assert (await reader.readuntil(b"/up")).startswith(b"HTTP/1.1 200")
        writer.write(b"6789GET /two HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"/two")).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()


# A server that is still busy


class Busy(Site):
    """Goes on working when its response is complete."""

    def __init__(self):
        super().__init__()
        self.events = []
        self.release = asyncio.Event()

    async def busy(self, request):
        """Send everything, then work."""
        response = web.StreamResponse()
        response.content_length = 2
        await response.prepare(request)
        await response.write(b"ok")
        await self.release.wait()
        self.events.append("worked, " + ("alone" if request.transport is None else "connected"))
        return response

    async def next(self, _request):
        """Answer."""
        self.events.append("next")
        return web.Response()


async def test_the_next_request_waits_for_a_busy_handler(session):
    """A server answers the requests of a connection one after another."""
    site = Busy()
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        assert (200, "ok") == await ask(session, "/busy")
        task = asyncio.ensure_future(ask(session, "/next"))
        await turns()
        assert [] == site.events
        site.release.set()
        assert (200, "") == await task
        assert [200, 200] == [call.status for call in stub.calls]
    assert ["worked, connected", "next"] == site.events
    assert [0, 0] == site.numbered


async def test_a_reply_does_not_wait_for_a_busy_handler(session):
    """It is no work of that application's, which loses the connection."""
    site = Busy()
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/reply").reply(text="a reply")
        stub.mount(ORIGIN, site.app)
        assert (200, "ok") == await ask(session, "/busy")
        assert (200, "a reply") == await ask(session, "/reply")
        site.release.set()
        assert (200, "") == await ask(session, "/next")
    assert ["worked, alone", "next"] == sorted(site.events, reverse=True)


# The end


async def test_the_end_of_an_application_leaves_the_answer_of_another_alone(site, session):
    """One that stands by has nothing to say about the connection."""
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/slow").reply(text="slow", delay=0.02)
        async with aiostub.Stub() as inner:
            inner.get(ORIGIN + "/one").serve(site.handle)
            await ask(session, "/one")
            task = asyncio.ensure_future(ask(session, "/slow"))
            await turns()
        assert (200, "slow") == await task


async def test_an_application_that_stands_by_has_nothing_to_say(session):
    """What it writes behind its response is lost while another answers."""
    transports = []

    async def keep(request):
        transports.append(request.transport)
        return web.Response()

    async def chunks():
        for _ in range(3):
            transports[0].write(b"not for you")
            yield b"yes"

    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/keep").serve(keep)
        stub.get(ORIGIN + "/stream").reply(stream=chunks)
        await ask(session, "/keep")
        limit = aiohttp.ClientTimeout(total=5)
        assert (200, "yesyesyes") == await ask(session, "/stream", timeout=limit)


async def test_an_application_that_has_ended_closes_its_idle_connections(site):
    """As a server does that is shut down."""
    async with aiostub.Stub() as outer, outer.serve(origin=ORIGIN) as url:
        outer.mount(ORIGIN, site.app)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"/one")
        await outer._clean_up()
        assert b"" == await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()


async def test_nothing_goes_on_when_the_session_is_closed(site):
    """Not even a task that waits, although the stub goes on."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        async with ClientSession() as session:
            await ask(session, "/one")
            before = asyncio.all_tasks()
        await asyncio.sleep(0)
        left = asyncio.all_tasks()
        assert len(left) == len(before) - 1
        assert site.protocols[0].transport is None


@pytest.mark.parametrize("closes_session", [True, False])
def test_a_loop_may_be_closed_at_once(site, closes_session, caplog):
    """Without a turn that would let tasks end: none is destroyed while it waits."""

    async def test(stub):
        session = ClientSession()
        await ask(session, "/one")
        if closes_session:
            await session.close()
        return stub.stop(), session

    loop = asyncio.new_event_loop()
    stub = aiostub.Stub()
    stub.start()
    stub.get(ORIGIN + "/one").serve(site.handle)
    _, session = loop.run_until_complete(test(stub))
    waiting = [task for task in asyncio.all_tasks(loop) if "RequestHandler" in repr(task)]
    loop.run_until_complete(session.close())
    loop.run_until_complete(turns())
    loop.close()
    gc.collect()
    assert [] == waiting
    assert [] == caplog.records


@in_virtual_time
async def test_an_idle_server_does_not_hold_the_clock(site, session):
    """Hours pass at once, and the next request is served."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, site.app)
        await ask(session, "/one")
        await asyncio.sleep(10_000)
        assert (200, "/two") == await ask(session, "/two")
    assert [0, 1] == site.numbered
    assert asyncio.get_running_loop().time() == pytest.approx(10_000, abs=1)
