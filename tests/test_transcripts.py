"""One chat, one client, three ways to it: patched, injected, and over TLS on a socket."""

from __future__ import annotations

import contextlib
import importlib.util
import ssl
import sys

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

import aiostub
from aiostub import faults

ORIGIN = "https://chat.example.com"

needs_trustme = pytest.mark.skipif(
    importlib.util.find_spec("trustme") is None, reason="trustme is not installed"
)
# There a server, the real one as well as ours, ends a broken-off TLS connection in another way.
needs_new_tls = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="CPython 3.11 brought asyncio a new TLS transport"
)


class Chat:
    """A chat: who has a name and a cookie may talk, and hears what the others say."""

    def __init__(self):
        self.guests = {}
        self.app = web.Application()
        self.app.add_routes([web.post("/names", self.name), web.get("/talk", self.talk)])
        self.app.add_routes([web.get("/guests", self.list)])

    async def name(self, request):
        """Give a guest a cookie with a name, and send it where the guests are."""
        form = await request.post()
        answer = web.HTTPSeeOther("/guests")
        answer.set_cookie("name", form["name"], secure=True, httponly=True)
        raise answer

    async def list(self, request):
        """Say who is there, one name in a chunk."""
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_compression()
        await response.prepare(request)
        for name in sorted(self.guests):
            await response.write(name.encode() + b"\n")
        return response

    async def talk(self, request):
        """Hand on what a guest says to everybody."""
        if "name" not in request.cookies:
            raise web.HTTPForbidden(text="who is there?")
        ws = web.WebSocketResponse(protocols=["chat.v2"], max_msg_size=100)
        await ws.prepare(request)
        name = request.cookies["name"]
        self.guests[name] = ws
        try:
            async for message in ws:
                if message.type is WSMsgType.ERROR:
                    break
                await self.hear(request, name, message)
        finally:
            del self.guests[name]
        return ws

    def fall_over(self, request):
        """Break the connection off."""
        raise faults.reset()

    async def hear(self, request, name, message):
        """Tell everybody, throw a guest out, or fall over."""
        match message.data:
            case "go away":
                await self.guests[name].close(code=4001, message=b"as you wish")
            case "fall over":
                self.fall_over(request)
            case bytes(data):
                await self.guests[name].send_bytes(data[::-1])
            case text:
                for guest in self.guests.values():
                    await guest.send_json({"from": name, "said": text})


class RealChat(Chat):
    """The same where there are no faults."""

    def fall_over(self, request):
        """Break the connection off by hand."""
        request.transport.abort()


def shown(message):
    """Write a message of a WebSocket down."""
    return (message.type.name, message.data, message.extra)


@contextlib.asynccontextmanager
async def guest(url, connector):
    """Open a session that shares a connector and no cookies."""
    jar = aiohttp.CookieJar(unsafe=True)  # the socket has an address and no name
    async with aiohttp.ClientSession(
        url, connector=connector, connector_owner=False, cookie_jar=jar
    ) as session:
        yield session


async def visit(url, connector):
    """Do all that a client can do to a chat, and write down what it sees."""
    wrote = []
    async with connector, guest(url, connector) as ada, guest(url, connector) as bob:
        await give_names(ada, bob, wrote)
        await say_things(ada, bob, wrote)
        await end_badly(ada, bob, wrote)
    return wrote


async def give_names(ada, bob, wrote):
    """Be refused, and get a cookie by way of a redirect."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await ada.ws_connect("/talk")
    wrote.append((refused.value.status, refused.value.message))
    for session, name in ((ada, "ada"), (bob, "bob")):
        async with session.post("/names", data={"name": name}) as response:
            hops = (*response.history, response)
            wrote.append([(each.status, each.method, each.url.path) for each in hops])
            wrote.append([sorted(each.headers.keys()) for each in hops])
        wrote.append([(cookie.key, cookie.value) for cookie in session.cookie_jar])


async def say_things(ada, bob, wrote):
    """Talk over two sockets, one of them compressed."""
    async with (
        ada.ws_connect("/talk", protocols=["chat.v1", "chat.v2"], compress=15) as one,
        bob.ws_connect("/talk") as two,
    ):
        wrote.append((one.protocol, one.compress, two.protocol, two.compress))
        for text in ("on engines", "äöü" * 9, ""):
            await one.send_str(text)
            wrote.extend([shown(await one.receive()), shown(await two.receive())])
        async with bob.get("/guests") as response:
            wrote.append((response.headers["Content-Encoding"], await response.text()))
        await two.send_bytes(bytes(range(50)))
        wrote.append(shown(await two.receive()))
        await one.send_str("go away")
        wrote.extend(
            [shown(await one.receive()), one.close_code, await two.close(), two.close_code]
        )


async def end_badly(ada, bob, wrote):
    """Say too much, and see the far end fall over."""
    # With TLS the end comes along with the last frame, and nobody could answer that.
    silent = bob.ws_connect("/talk", autoclose=False)
    async with ada.ws_connect("/talk") as one, silent as two:
        await two.send_str("x" * 200)
        wrote.extend([shown(await two.receive()), two.close_code])
        await one.send_str("fall over")
        wrote.extend([(await one.receive()).type.name, one.close_code])
    async with ada.get("/guests") as response:
        wrote.append(await response.text())


async def over_memory():
    """Visit a chat that a started stub mounts."""
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, Chat().app)
        return await visit(ORIGIN, aiohttp.TCPConnector()), stub.calls


async def injected():
    """Visit a chat by a connector; nothing is patched."""
    stub = aiostub.Stub()
    stub.mount(ORIGIN, Chat().app)
    return await visit(ORIGIN, stub.connector()), stub.calls


async def over_tls():
    """Visit a chat on a loopback socket."""
    stub = aiostub.Stub()
    stub.mount(ORIGIN, Chat().app)
    async with stub.serve(origin=ORIGIN, tls=True) as url:
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())
        return await visit(url, aiohttp.TCPConnector(ssl=trusting)), stub.calls


async def for_real():
    """Visit a chat that a server of aiohttp's serves, with nothing of ours in between."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    server = TestServer(RealChat().app, scheme="https", host="127.0.0.1")
    await server.start_server(ssl=context)
    try:
        return await visit(str(server.make_url("")), aiohttp.TCPConnector(ssl=trusting)), None
    finally:
        await server.close()


def frames(calls):
    """Return what went over the sockets of a log, without the times."""
    return [[(*frame[:3], frame.extra) for frame in call.frames] for call in calls]


async def test_a_patched_session_and_an_injected_connector_see_the_same():
    """The log, too, is the same."""
    patched, calls = await over_memory()
    by_connector, its_calls = await injected()

    assert patched == by_connector
    assert frames(calls) == frames(its_calls)


@needs_trustme
@needs_new_tls
async def test_a_socket_with_tls_shows_the_same_as_memory():
    """Frames of the log included."""
    patched, calls = await over_memory()
    on_a_socket, its_calls = await over_tls()

    assert patched == on_a_socket
    assert frames(calls) == frames(its_calls)


@needs_trustme
@needs_new_tls
async def test_a_real_server_shows_the_same_as_memory():
    """So nobody can tell."""
    real, _ = await for_real()
    patched, _ = await over_memory()

    assert real == patched
