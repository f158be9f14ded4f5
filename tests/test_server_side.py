"""What a web server behind a stub can tell from one behind a socket: nothing."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import ClientSession, web

import aiostub
from aiostub._wire.far_end import FarEnd
from aiostub._wire.server_side import ServerSide

ORIGIN = "http://api.example.com"
PIECE = 256 * 1024  # what asyncio takes from a socket at once
UPGRADE = {"Connection": "Upgrade", "Upgrade": "own"}
MIB = 2**20
# Before aiohttp 3.11 a client writes in a task of its own.
TURNS = 2 if "start_timeout" in aiohttp.ClientRequest.send.__code__.co_names else 5

WAYS = ("real", "mount", "serve", "socket")
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
everywhere = pytest.mark.parametrize("way", WAYS)
in_memory = pytest.mark.parametrize("way", ["mount", "serve"])


@contextlib.asynccontextmanager
async def behind(way, handler, **conditions):
    """Serve a handler: a real server, a stub, or a socket of a stub."""

    async def handle(request):
        return await handler(request)

    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{path:.*}", handle)
    if way == "real":
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield "http://{}:{}/".format(*runner.addresses[0])
        finally:
            await runner.cleanup()
        return
    async with aiostub.Stub() as stub, contextlib.AsyncExitStack() as stack:
        if way == "mount":
            stub.mount(ORIGIN, app)
        else:
            stub.post(ORIGIN + "/", **conditions).serve(handler).always().optional()
            stub.get(ORIGIN + "/").serve(handler).always().optional()
        url = ORIGIN
        if way == "socket":
            url = await stack.enter_async_context(stub.serve(origin=ORIGIN))
        yield f"{url}/"


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


async def until(happened):
    """Wait until something is so."""
    for _ in range(10_000):
        if happened():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never is")


# Uploads


class Upload:
    """A handler that notes in what pieces a body comes, when it is let."""

    def __init__(self):
        self.sizes = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, request):
        """Read."""
        self.begun.set()
        await self.gate.wait()
        async for piece in request.content.iter_any():
            self.sizes.append(len(piece))
            assert not piece.strip(b"x")
        return web.Response(text=str(sum(self.sizes)))


@everywhere
async def test_a_long_upload_comes_in_pieces(way):
    """What came before the handler began may be joined with what comes then."""
    upload = Upload()
    upload.gate.set()
    async with behind(way, upload) as url, ClientSession() as session:
        async with session.post(url, data=b"x" * 5 * MIB) as response:
            assert str(5 * MIB) == await response.text()
    first, *others = upload.sizes
    assert first <= 2 * PIECE
    assert max(others) <= PIECE
    assert len(others) >= 10


@pytest.mark.parametrize("way", ["serve", "socket"])
async def test_so_does_one_whose_route_had_to_see_all_of_it_first(way):
    """The body is there before the server is asked."""
    upload = Upload()
    upload.gate.set()
    body = b"x" * 5 * MIB
    async with behind(way, upload, data=body) as url, ClientSession() as session:
        async with session.post(url, data=body) as response:
            assert str(len(body)) == await response.text()
    assert max(upload.sizes[1:]) <= PIECE


@everywhere
async def test_a_client_waits_until_its_upload_is_read(way):
    """It has said all in one call, and is told that it is too fast."""
    upload = Upload()
    async with behind(way, upload) as url, ClientSession() as session:
        task = asyncio.ensure_future(session.post(url, data=b"x" * 30 * MIB))
        await upload.begun.wait()
        await turns()
        (client,) = session.connector._acquired
        assert client._paused
        assert client.transport.get_write_buffer_size() > MIB
        upload.gate.set()
        assert str(30 * MIB) == await (await task).text()
        assert not client._paused


@everywhere
async def test_chunks_wait_until_those_before_are_read(way):
    """A generator is not asked for more than fits between."""
    upload, given = Upload(), []

    async def chunks():
        for number in range(100):
            given.append(number)
            yield b"x" * 300_000

    async with behind(way, upload) as url, ClientSession() as session:
        task = asyncio.ensure_future(session.post(url, data=chunks()))
        await upload.begun.wait()
        await turns(200)
        assert len(given) < 70
        upload.gate.set()
        assert str(30_000_000) == await (await task).text()


async def refuse(_request):
    """Answer without a look at the body."""
    return web.Response(status=413)


@everywhere
async def test_an_early_answer_to_a_long_upload_is_read(way):
    """And the next request is answered, over whichever connection."""
    async with behind(way, refuse) as url, ClientSession() as session:
        for _ in range(2):
            async with session.post(url, data=b"x" * 3 * MIB) as response:
                assert 413 == response.status
            async with session.post(url, data=b"x") as response:
                assert 413 == response.status


@in_memory
async def test_a_client_that_leaves_a_long_upload_is_missed(way):
    """The handler learns it as soon as it reads."""
    upload = Upload()
    async with behind(way, upload) as url, ClientSession() as session:
        task = asyncio.ensure_future(session.post(url, data=b"x" * 5 * MIB))
        await upload.begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await turns()
        upload.gate.set()
        await turns()
    assert sum(upload.sizes) < 5 * MIB


async def test_a_chunked_upload_is_no_websocket():
    """Its call has no frames."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.post(ORIGIN).serve(refuse)

        async def chunks():
            yield b"x"

        async with session.post(ORIGIN, data=chunks()) as response:
            assert 413 == response.status
        assert () == stub.calls[0]._frames


# A protocol of the handler's own


class Own(asyncio.Protocol):
    """Note what happens, and say what to do when the other end sends no more."""

    def __init__(self, goes_on=False):
        self.goes_on = goes_on
        self.events = []

    def connection_made(self, transport):
        """Note."""

    def data_received(self, data):
        """Note it."""
        self.events.append(data)

    def eof_received(self):
        """Note it."""
        self.events.append("end")
        return self.goes_on

    def connection_lost(self, error):
        """Note it."""
        self.events.append(error)


class TakeOver:
    """A handler that gives its connection to a protocol of its own."""

    def __init__(self, protocol):
        self.protocol = protocol
        self.transport = None
        self.done = asyncio.Event()

    async def __call__(self, request):
        """Upgrade."""
        response = web.StreamResponse(status=101, headers=UPGRADE)
        await response.prepare(request)
        self.transport = request.transport
        self.transport.set_protocol(self.protocol)
        await self.done.wait()
        return response


@contextlib.asynccontextmanager
async def taken_over(url, session, client):
    """Upgrade a connection, and give the client's end of it to a protocol, too."""
    async with session.get(url, headers=UPGRADE) as response:
        transport = response.connection.transport
        transport.set_protocol(client)
        yield transport


@everywhere
async def test_a_protocol_hears_that_the_client_sends_no_more(way):
    """And if it has nothing more to say, the connection ends."""
    server, client = Own(), Own()
    handler = TakeOver(server)
    async with behind(way, handler) as url, ClientSession() as session:
        async with taken_over(url, session, client) as transport:
            transport.write(b"hello")
            transport.write_eof()
            await until(lambda: client.events)
            await until(lambda: None in server.events)
            assert handler.transport.is_closing()
            handler.done.set()
        await turns()
    assert [b"hello", "end", None] == server.events
    assert "end" == client.events[0]


@everywhere
async def test_a_protocol_may_go_on_when_the_client_sends_no_more(way):
    """As long as it likes."""
    server, client = Own(goes_on=True), Own()
    handler = TakeOver(server)
    async with behind(way, handler) as url, ClientSession() as session:
        async with taken_over(url, session, client) as transport:
            transport.write(b"hello")
            transport.write_eof()
            await until(lambda: "end" in server.events)
            await turns()
            assert not handler.transport.is_closing()
            handler.transport.write(b"and good bye")
            handler.transport.close()
            await until(lambda: "end" in client.events)
            handler.done.set()
        await turns()
    assert [b"hello", "end"] == server.events[:2]
    assert [b"and good bye", "end"] == client.events[:2]


@everywhere
async def test_a_protocol_hears_of_the_end_behind_all_that_was_sent(way):
    """However long it takes."""
    server, client = Own(goes_on=True), Own()
    handler = TakeOver(server)
    async with behind(way, handler) as url, ClientSession() as session:
        async with taken_over(url, session, client) as transport:
            transport.write(b"x" * 3 * MIB)
            transport.write_eof()
            await until(lambda: "end" in server.events)
            handler.transport.close()
            await until(lambda: client.events)
            handler.done.set()
    end = server.events.index("end")
    assert 3 * MIB == sum(map(len, server.events[:end]))
    assert max(map(len, server.events[:end])) <= PIECE


@in_memory
async def test_a_connection_with_tls_cannot_be_half_open(way, monkeypatch):
    """Whatever a protocol wants (asyncio/sslproto.py)."""
    monkeypatch.setitem(globals(), "ORIGIN", ORIGIN.replace("http:", "https:"))
    server, client = Own(goes_on=True), Own()
    handler = TakeOver(server)
    async with behind(way, handler) as url, ClientSession() as session:
        async with taken_over(url, session, client) as transport:
            transport.write_eof()
            await until(lambda: None in server.events)
            handler.done.set()
    assert ["end", None] == server.events


class Pausing(Own):
    """Has enough soon after the first that it gets."""

    def __init__(self, handler):
        super().__init__()
        self.handler = handler

    def data_received(self, data):
        """Note it, and pause."""
        if not self.events:
            asyncio.get_running_loop().call_soon(self.handler.transport.pause_reading)
        super().data_received(data)


@contextlib.asynccontextmanager
async def paused(way):
    """Give the transport of a protocol that has paused in a long upload, and what it has got."""
    handler = TakeOver(None)
    server = handler.protocol = Pausing(handler)
    async with behind(way, handler) as url, ClientSession() as session:
        async with taken_over(url, session, Own()) as transport:
            transport.write(b"x" * 3 * MIB)
            await until(lambda: server.events)
            await turns()
            yield handler.transport, server.events
            handler.done.set()


@everywhere
async def test_a_protocol_that_pauses_gets_no_more(way):
    """Until it goes on."""
    async with paused(way) as (transport, events):
        assert not transport.is_reading()
        assert 1 == len(events)
        transport.resume_reading()
        assert transport.is_reading()
        await until(lambda: sum(map(len, events)) == 3 * MIB)


@in_memory
async def test_a_protocol_that_has_lost_its_connection_gets_no_more(way):
    """What was still unread is dropped."""
    async with paused(way) as (transport, events):
        transport.resume_reading()
        transport.abort()
        await turns()
    assert None is events[-1]
    assert events.count(None) == 1


@everywhere
async def test_nobody_writes_behind_the_end(way):
    """As asyncio says."""
    errors = []

    async def speak(request):
        request.transport.write_eof()
        try:
            request.transport.write(b"too late")
        except RuntimeError as error:
            errors.append(str(error))
        request.transport.close()
        return web.Response()

    async with behind(way, speak) as url, ClientSession() as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(url)
    assert {"Cannot call write() after write_eof()"} == set(errors)


@in_memory
async def test_a_protocol_may_answer_within_a_call_of_its_own(way):
    """The client is not called from within its own writing."""
    events = []

    class Echo(Own):
        def data_received(self, data):
            handler.transport.write(data)

    class Client(Own):
        def data_received(self, data):
            events.append(data)

    handler = TakeOver(Echo())
    async with behind(way, handler) as url, ClientSession() as session:
        async with taken_over(url, session, Client()) as transport:
            transport.write(b"echo")
            events.append("written")
            await until(lambda: len(events) == 2)
            handler.done.set()
    assert ["written", b"echo"] == events


async def test_a_protocol_that_fails_in_the_midst_of_much_loses_its_connection():
    """And the event loop is told, as of any."""
    reported = []

    class Fails(Own):
        def data_received(self, _data):
            raise LookupError("wrong inside")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    handler, client = TakeOver(Fails()), Own()
    async with behind("serve", handler) as url, ClientSession() as session:
        async with taken_over(url, session, client) as transport:
            transport.write(bytes(MIB))
            await until(lambda: client.events)
            handler.done.set()
    assert [LookupError] == [type(each["exception"]) for each in reported]


# Several servers


class Counted:
    """A handler that notes the protocols that its requests came over."""

    def __init__(self, text):
        self.text = text
        self.protocols = []

    async def __call__(self, request):
        """Answer."""
        self.protocols.append(request.protocol)
        return web.Response(text=self.text)


@pytest.fixture
async def session():
    """A session with one connection at the most."""
    connector, timeout = aiohttp.TCPConnector(limit=1), aiohttp.ClientTimeout(total=5)
    async with ClientSession(connector=connector, timeout=timeout) as session:
        yield session


async def ask(session, url):
    """Ask, and return the text."""
    async with session.get(url) as response:
        return await response.text()


async def test_routes_that_alternate_keep_their_servers(session):
    """One for each route, however many requests come."""
    handlers = [Counted("a"), Counted("b"), Counted("c")]
    async with aiostub.Stub() as stub:
        for handler in handlers:
            stub.get(f"{ORIGIN}/{handler.text}").serve(handler).always()
        for handler in (*handlers, *reversed(handlers), *handlers):
            assert handler.text == await ask(session, f"{ORIGIN}/{handler.text}")
        assert [1, 1, 1] == [len(set(handler.protocols)) for handler in handlers]
        assert all(protocol.transport for handler in handlers for protocol in handler.protocols)
    await turns()
    assert not any(protocol.transport for handler in handlers for protocol in handler.protocols)


async def test_so_they_do_on_a_socket():
    """The same over a real connection."""
    handlers = [Counted("a"), Counted("b")]
    stub = aiostub.Stub()
    for handler in handlers:
        stub.get(f"/{handler.text}").serve(handler).always()
    async with stub.serve() as url, ClientSession() as session:
        for handler in handlers * 3:
            assert handler.text == await ask(session, f"{url}/{handler.text}")
    assert [1, 1] == [len(set(handler.protocols)) for handler in handlers]


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_server_that_closes_its_connection_leaves_those_of_others_alone(session, end):
    """It is not its to close while others have it, too."""
    a, b = Counted("a"), Counted("b")
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/a").serve(a).always()
        stub.get(ORIGIN + "/b").serve(b).always()
        await ask(session, ORIGIN + "/a")
        await ask(session, ORIGIN + "/b")
        getattr(a.protocols[0].transport, end)()
        await turns()
        assert a.protocols[0].transport is None
        await ask(session, ORIGIN + "/b")
        await ask(session, ORIGIN + "/a")
    assert 2 == len(set(a.protocols))
    assert 1 == len(set(b.protocols))


async def test_a_server_that_closes_its_connection_has_a_successor_at_once(session):
    """It is asked before the other one has heard that it has lost the connection."""
    a, b = Counted("a"), Counted("b")
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/a").serve(a).always()
        stub.get(ORIGIN + "/b").serve(b).always()
        for url in (ORIGIN + "/a", ORIGIN + "/b"):
            await ask(session, url)
        a.protocols[0].transport.close()
        for _ in range(3):
            assert "a" == await ask(session, ORIGIN + "/a")
        assert a.protocols[0].transport is None
        await ask(session, ORIGIN + "/b")
    assert [2, 1] == [len(set(each.protocols)) for each in (a, b)]


async def test_a_busy_server_loses_its_connection_to_another(session):
    """That one could not know what is still to be said."""
    transports, release = [], asyncio.Event()

    async def busy(request):
        response = web.StreamResponse()
        response.content_length = 2
        await response.prepare(request)
        await response.write(b"ok")
        await release.wait()
        transports.append(request.transport)
        return response

    b = Counted("b")
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/busy").serve(busy)
        stub.get(ORIGIN + "/b").serve(b).always()
        assert "ok" == await ask(session, ORIGIN + "/busy")
        assert "b" == await ask(session, ORIGIN + "/b")
        release.set()
        assert "b" == await ask(session, ORIGIN + "/b")
    assert [None] == transports


async def test_servers_that_alternate_may_send_much(session):
    """One comes while the other has not heard yet that its client took all."""

    async def large(_request):
        return web.Response(body=bytes(MIB))

    async with aiostub.Stub() as stub:
        for name in "abc":
            stub.get(f"{ORIGIN}/{name}").serve(large).always()
        for name in "abcabc":
            assert MIB == len(await ask(session, f"{ORIGIN}/{name}"))


async def test_a_server_may_come_while_its_client_does_not_read():
    """It waits as the one before did, and sends its answer in the end."""
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    stub = aiostub.Stub()
    stub.get("/large").reply(body=bytes(30 * MIB))
    stub.get("/b").serve(Counted("b"))
    async with stub.serve() as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        for path in (b"/large", b"/b"):
            writer.write(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        await until(lambda: len(stub.calls) == 2)
        await turns()
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(30 * MIB)
        assert (await reader.readuntil(b"\r\n\r\nb")).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert [] == reported


class Client(Own):
    """A client that notes whether it is to wait."""

    waits = False

    def connection_made(self, transport):
        """Remember it."""
        self.transport = transport

    def pause_writing(self):
        """Wait."""
        self.waits = True

    def resume_writing(self):
        """Go on."""
        self.waits = False


class Listener:
    """Hear a request, and do nothing."""

    def hear(self, _data):
        """Do nothing."""

    def body_in(self, data, start):
        """Give it."""
        return data[start:]

    def request_arrived(self, _message, _data):
        """Do nothing."""


@pytest.fixture
async def line():
    """A client, and the far end of its connection, which expects a request."""
    client = Client()
    far_end = FarEnd.connect(asyncio.get_running_loop(), client, {}, {}, set())
    far_end.begin(Listener(), "POST")
    return client, far_end


def admitted(far_end, server):
    """Give a server the connection, and the request."""
    side = ServerSide(far_end, server, server)
    far_end.admit(side)
    far_end.let_answer(side, Listener(), None)
    return side


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


async def test_a_client_need_not_wait_for_a_server_that_is_gone(line):
    """What that one has not read is nobody's."""
    client, far_end = line
    server = Own()
    client.transport.write(HEAD % (3 * MIB) + bytes(3 * MIB))
    side = admitted(far_end, server)
    assert client.waits
    far_end.leave(side)
    assert not client.waits
    await turns()
    assert [None] == server.events


async def test_a_server_that_stands_by_does_not_end_what_another_says(line):
    """Its side leads nowhere."""
    client, far_end = line
    client.transport.write(HEAD % 0)
    first = admitted(far_end, Own())
    first.end_turn()
    first.stand_by()
    second = admitted(far_end, Own())
    first.write_eof()
    second.write(b"heard")
    await turns()
    assert [b"heard"] == client.events


async def test_a_request_takes_two_turns_of_the_loop(session):
    """One in which the server works, and one in which the client does."""
    count = 0

    def turn():
        nonlocal count
        count += 1
        loop.call_soon(turn)

    loop = asyncio.get_running_loop()
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN).serve(Counted("a")).always()
        await ask(session, ORIGIN)
        await ask(session, ORIGIN)
        loop.call_soon(turn)
        for _ in range(10):
            await ask(session, ORIGIN)
        assert count <= TURNS * 10 + 1


async def test_the_last_server_may_close_the_connection(session):
    """As behind a socket: the client opens another."""
    a = Counted("a")
    async with aiostub.Stub() as stub:
        stub.get(ORIGIN + "/a").serve(a).always()
        await ask(session, ORIGIN + "/a")
        a.protocols[0].transport.abort()
        await turns()
        assert a.protocols[0].transport is None
        await ask(session, ORIGIN + "/a")
    assert 2 == len(set(a.protocols))
