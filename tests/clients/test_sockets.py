"""Clients that know nothing of aiohttp, asking a socket of stub.serve()."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest
import requests
import urllib3
import websockets
import websockets.sync.client
from aiohttp import WSMsgType

import aiostub
from aiostub import faults, partial

API = "https://api.example.com"
PATIENCE = 5


@pytest.fixture
def stub():
    """A stub that is not started."""
    return aiostub.Stub()


def outcome(ask, *args, **kwargs):
    """Return the name of what a call raises, or what it gives."""
    try:
        return ask(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - its class is the result
        return type(error).__name__


class TestRequests:
    async def test_a_session_talks_as_with_a_server(self, stub):
        """JSON, forms, files, redirects, cookies, compression, streams: over one session."""
        stub.post(f"{API}/login", data={"user": "ada"}).reply(
            303, headers={"Location": "/me"}, cookies={"sid": "7"}
        )
        stub.get(f"{API}/me", cookies={"sid": "7"}).reply(json={"name": "Ada"}, compress="gzip")
        stub.post(f"{API}/files", data=partial({"file": ("a.txt", b"text")})).reply(201)
        stub.get(f"{API}/lines").reply(stream=[b"a\n", b"b\n"])
        stub.head(f"{API}/lines").reply(body=b"1234")

        def talk(url):
            with requests.Session() as session:
                me = session.post(f"{url}/login", data={"user": "ada"}, timeout=PATIENCE)
                files = {"file": ("a.txt", b"text")}
                upload = session.post(f"{url}/files", files=files, timeout=PATIENCE)
                lines = session.get(f"{url}/lines", stream=True, timeout=PATIENCE)
                head = session.head(f"{url}/lines", timeout=PATIENCE)
                return (
                    me.json(),
                    upload.status_code,
                    list(lines.iter_lines()),
                    head.headers["Content-Length"],
                )

        async with stub.serve(origin=API) as url:
            talked = await asyncio.to_thread(talk, url)

        assert talked == ({"name": "Ada"}, 201, [b"a", b"b"], "4")

    async def test_the_authority_is_trusted_from_a_file(self, stub, tmp_path):
        """As ``verify=`` wants it."""
        pytest.importorskip("trustme")
        stub.get(f"{API}/").reply(text="secret")
        ca = tmp_path / "ca.pem"
        ca.write_bytes(stub.ca_pem)

        async with stub.serve(origin=API, tls=True) as url:
            got = await asyncio.to_thread(requests.get, url, verify=str(ca), timeout=PATIENCE)

        assert got.text == "secret"

    async def test_a_proxy_takes_the_requests_for_any_host(self, stub):
        """The URL stays that of the app."""
        stub.get("http://api.example.com/x").reply(text="by proxy")

        async with stub.serve() as url:
            proxies = {"http": url}
            got = await asyncio.to_thread(
                requests.get, "http://api.example.com/x", proxies=proxies, timeout=PATIENCE
            )

        assert got.text == "by proxy"

    @pytest.mark.parametrize(
        ("failure", "name"),
        [
            (faults.refused(), "ConnectionError"),
            (faults.reset(), "ConnectionError"),
            (faults.disconnect(), "ConnectionError"),
            (faults.garbage(), "ConnectionError"),
            (faults.truncated(), "ChunkedEncodingError"),
            (faults.bad_chunk(), "ChunkedEncodingError"),
            (faults.bad_gzip(), "ContentDecodingError"),
            (faults.stall(), "ConnectionError"),
            (ValueError, "ConnectionError"),
            (asyncio.TimeoutError, "ReadTimeout"),
        ],
        ids=str,
    )
    async def test_a_failure_by_its_name(self, stub, failure, name):
        """What requests makes of each."""
        stub.get("/").fail(failure)

        async with stub.serve() as url:
            assert await asyncio.to_thread(outcome, requests.get, url, timeout=0.2) == name

    async def test_retries_of_urllib3_are_calls(self, stub):
        """Each takes the next step."""
        route = stub.get("/").reply(503).then.fail(faults.disconnect()).then.reply(text="up")
        retry = urllib3.Retry(total=3, status_forcelist=[503])

        def ask(url):
            with urllib3.PoolManager(retries=retry) as pool:
                return pool.request("GET", url).data

        async with stub.serve() as url:
            assert await asyncio.to_thread(ask, url) == b"up"

        assert route.call_count == 3


class TestHttpx:
    async def test_an_async_client_of_the_same_loop(self, stub):
        """No thread is needed."""
        stub.post("/", json={"a": 1}).reply(201, json=[1])
        stub.get("/").reply(stream=[b"ab", b"c"])

        async with stub.serve() as url, httpx.AsyncClient(base_url=url) as client:
            posted = await client.post("/", json={"a": 1})
            async with client.stream("GET", "/") as response:
                streamed = b"".join([chunk async for chunk in response.aiter_raw()])

        assert (posted.status_code, posted.json(), streamed) == (201, [1], b"abc")

    async def test_a_blocking_client_in_a_thread(self, stub):
        """With an upload in chunks."""
        stub.put("/", data=b"abcd").reply(204)

        def ask(url):
            with httpx.Client(base_url=url) as client:
                return client.put("/", content=iter([b"ab", b"cd"])).status_code

        async with stub.serve() as url:
            assert await asyncio.to_thread(ask, url) == 204

    @pytest.mark.parametrize(
        ("failure", "name"),
        [
            (faults.refused(), "ReadError"),
            (faults.reset(), "ReadError"),
            (faults.disconnect(), "RemoteProtocolError"),
            (faults.garbage(), "RemoteProtocolError"),
            (faults.header_too_long(), "RemoteProtocolError"),
            (faults.truncated(), "RemoteProtocolError"),
            (faults.bad_chunk(), "RemoteProtocolError"),
            (faults.bad_gzip(), "DecodingError"),
            (faults.stall(), "ReadTimeout"),
        ],
        ids=str,
    )
    async def test_a_failure_by_its_name(self, stub, failure, name):
        """What httpx makes of each."""
        stub.get("/").fail(failure)

        async with stub.serve() as url, httpx.AsyncClient(timeout=0.2) as client:
            with pytest.raises(httpx.HTTPError) as caught:
                await client.get(url)

        assert type(caught.value).__name__ == name

    async def test_tls(self, stub):
        """With a context of the client's own."""
        pytest.importorskip("trustme")
        stub.get(f"{API}/").reply(text="secret")
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(origin=API, tls=True) as url:
            async with httpx.AsyncClient(verify=trusting) as client:
                assert (await client.get(url)).text == "secret"


class TestWebsockets:
    @staticmethod
    async def echo(ws):
        """Send back what comes."""
        async for message in ws:
            await ws.send_str(message.data.upper())

    async def test_an_async_client(self, stub):
        """Compression, a sub-protocol, long messages, and a close with a code."""
        stub.ws("wss://feed.example.com/v1", protocols=["chat"]).handle(self.echo)

        async with stub.serve(origin="https://feed.example.com") as url:
            target = url.replace("http", "ws") + "/v1"
            async with websockets.connect(target, subprotocols=["chat"]) as ws:
                assert ws.subprotocol == "chat"
                for text in ("a", "b" * 200_000):
                    await ws.send(text)
                    assert await ws.recv() == text.upper()
                await (await ws.ping())

        texts = [frame.data for frame in stub.calls.last.frames if frame.type is WSMsgType.TEXT]
        assert [text[0] for text in texts] == ["a", "A", "b", "B"]

    async def test_a_blocking_client(self, stub):
        """In a thread."""
        stub.ws("/").handle(self.echo)

        def talk(url):
            with websockets.sync.client.connect(url.replace("http", "ws")) as ws:
                ws.send("a")
                return ws.recv(timeout=PATIENCE)

        async with stub.serve() as url:
            assert await asyncio.to_thread(talk, url) == "A"

    async def test_a_refused_handshake_and_a_dropped_connection(self, stub):
        """The client has names for both."""

        async def drop(ws):
            await ws.receive()
            raise faults.disconnect()

        stub.ws("/").reply(403).then.handle(drop)
        async with stub.serve() as url:
            target = url.replace("http", "ws")
            with pytest.raises(websockets.InvalidStatus, match="403"):
                await websockets.connect(target)
            async with websockets.connect(target) as ws:
                await ws.send("a")
                with pytest.raises(websockets.ConnectionClosedError):
                    await ws.recv()
