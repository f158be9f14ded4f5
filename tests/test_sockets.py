"""stub.serve(): the same routes, over TCP, for whatever client there is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import logging
import shutil
import socket
import ssl
import sys
import threading
import urllib.request
import warnings
import zlib
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from wire import PATIENCE, dial, fetch
from yarl import URL

import aiostub
from aiostub import RouteError, UnsatisfiedStub, faults
from aiostub._sockets import end as _socket_end

AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])
API = "https://api.example.com"
LONG = bytes(range(256)) * 2**15  # 8 MiB


@pytest.fixture
def stub():
    """A stub that is not started."""
    return aiostub.Stub()


@pytest.fixture
def impatient(monkeypatch):
    """A far end that waits no longer than a moment for a client that may have left."""
    monkeypatch.setattr(_socket_end, "_PATIENCE", 0.01)


@pytest.fixture
def patient(monkeypatch):
    """A far end whose patience nobody would wait for."""
    monkeypatch.setattr(_socket_end, "_PATIENCE", 1000)
    monkeypatch.setattr(_socket_end, "_GAP", 1000)


def whole(url: str) -> tuple[int, bytes]:
    """Ask as a blocking client does."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return response.status, response.read()


async def until(happened: Any) -> None:
    """Let the loop turn until something is the case."""

    async def poll():
        while not happened():  # noqa: ASYNC110 - some of it happens in threads
            await asyncio.sleep(0.001)

    await asyncio.wait_for(poll(), PATIENCE)


class TestTheSocket:
    async def test_it_gives_a_url_without_a_slash_at_its_end(self, stub):
        """The URL is a str: scheme, 127.0.0.1 and the port."""
        async with stub.serve() as url:
            assert isinstance(url, str)
            assert url == f"http://127.0.0.1:{URL(url).port}"

    async def test_a_blocking_client_in_a_thread_is_answered(self, stub):
        """Nothing is started, and no aiohttp is in it."""
        stub.get("/users/7").reply(json={"name": "Ada"})

        async with stub.serve() as url:
            got = await asyncio.to_thread(whole, f"{url}/users/7")

        assert got == (200, b'{"name": "Ada"}')

    async def test_nobody_listens_any_more_when_it_is_left(self, stub):
        """The port is free again."""
        async with stub.serve() as url:
            pass

        with pytest.raises(ConnectionRefusedError):
            await fetch(url)

    async def test_several_have_ports_and_origins_of_their_own(self, stub):
        """They share the routes and the log."""
        stub.get("https://a.example/").reply(text="a")
        stub.get("https://b.example/").reply(text="b")

        async with (
            stub.serve(origin="https://a.example") as a,
            stub.serve(origin="https://b.example") as b,
        ):
            assert (await fetch(b)).text == "b"
            assert (await fetch(a)).text == "a"

        assert [str(call.request.url) for call in stub.calls] == [
            "https://b.example/",
            "https://a.example/",
        ]

    async def test_two_stubs_serve_side_by_side(self):
        """Neither knows of the other."""
        one, other = aiostub.Stub(), aiostub.Stub()
        one.get("/").reply(text="one")
        other.get("/").reply(text="other")

        async with one.serve() as first, other.serve() as second:
            assert ((await fetch(first)).text, (await fetch(second)).text) == ("one", "other")

        assert (len(one.calls), len(other.calls)) == (1, 1)

    async def test_one_can_be_served_again(self, stub):
        """After the block, another may begin."""
        stub.get("/").reply().times(2)

        with pytest.raises(UnsatisfiedStub):
            async with stub.serve() as url:
                await fetch(url)
        async with stub.serve() as url:
            await fetch(url)

    def test_a_server_loop_may_run_in_a_thread_of_its_own(self, stub):
        """A blocking test asks from the main thread."""
        stub.get("/").reply(text="from a thread")
        ready, urls = threading.Event(), []

        async def serve():
            done = asyncio.Event()
            async with stub.serve() as url:
                urls.extend((url, asyncio.get_running_loop(), done))
                ready.set()
                await done.wait()

        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        assert ready.wait(PATIENCE)
        try:
            assert whole(f"{urls[0]}/") == (200, b"from a thread")
        finally:
            urls[1].call_soon_threadsafe(urls[2].set)
            thread.join(PATIENCE)

    async def test_many_threads_ask_at_once(self, stub):
        """Each use of a step is given once."""
        stub.get("/").reply(text="yes").times(30)

        async with stub.serve() as url:
            asked = [asyncio.to_thread(whole, f"{url}/") for _ in range(30)]
            assert await asyncio.gather(*asked) == [(200, b"yes")] * 30

        assert len(stub.calls) == 30

    @aiostub.Stub()
    async def test_a_decorated_test_can_serve(self, stub):
        """The stub that the decorator passes is started."""
        stub.get(f"{API}/").reply(text="decorated")

        async with stub.serve(origin=API) as url:
            assert (await fetch(url)).text == "decorated"

    async def test_the_fixture_can_serve(self, aiostub):
        """The stub of the pytest fixture is started, too."""
        aiostub.get("/").reply(text="fixture")

        async with aiostub.serve() as url:
            assert (await fetch(url)).text == "fixture"


class TestTheOrigin:
    async def test_requests_are_matched_as_if_sent_to_it(self, stub):
        """Path and query are the client's, the rest is the origin's."""
        stub.get(f"{API}/a%2Fb", params={"q": "1"}).reply()

        async with stub.serve(origin=f"{API}/") as url:
            assert (await fetch(url, "/a%2Fb?q=1")).status == 200

        assert str(stub.calls.last.request.url) == f"{API}/a%2Fb?q=1"

    async def test_it_is_that_of_the_base_url(self):
        """A stub with a base_url needs not be told."""
        stub = aiostub.Stub(f"{API}/v1/")
        stub.get("users").reply()

        async with stub.serve() as url:
            assert (await fetch(url, "/v1/users")).status == 200

        assert str(stub.calls.last.request.url) == f"{API}/v1/users"

    async def test_without_any_it_is_that_of_the_socket(self, stub):
        """A route for any host, or for this very one."""
        stub.get("/a").reply()

        async with stub.serve() as url:
            stub.get(f"{url}/b").reply()
            assert (await fetch(url, "/a")).status == 200
            assert (await fetch(url, "/b")).status == 200

        assert str(stub.calls.last.request.url) == f"{url}/b"

    async def test_a_proxy_request_brings_its_own(self, stub):
        """A client whose proxy it is names the whole URL."""
        stub.get("http://other.example/x").reply(text="proxied")

        async with stub.serve(origin=API) as url:
            assert (await fetch(url, "http://other.example/x")).text == "proxied"

    @pytest.mark.parametrize("origin", [f"{API}/v1", "api.example.com", f"{API}?a=b", 7])
    def test_what_is_none_is_refused_at_once(self, stub, origin):
        """It need not be entered for that."""
        with pytest.raises(RouteError, match="origin"):
            stub.serve(origin=origin)


class TestTheRoutesAndTheLog:
    async def test_the_steps_are_used_up_in_common_with_memory(self, stub):
        """A session of this process takes the first, a socket the second."""
        stub.get(f"{API}/").reply(text="1").then.reply(text="2").then.reply(text="3")

        async with stub, stub.serve(origin=API) as url, aiohttp.ClientSession() as session:
            got = [await (await session.get(f"{API}/")).text()]
            got += [(await fetch(url)).text]
            got += [await (await session.get(f"{API}/")).text()]

        assert got == ["1", "2", "3"]
        assert len(stub.calls) == 3

    async def test_a_session_of_this_process_passes_through_to_it(self, stub):
        """The served URL is a server of this process, like one of aiohttp.test_utils."""
        stub.get(f"{API}/").reply(text="by socket")

        async with stub, stub.serve(origin=API) as url, aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                assert await response.text() == "by socket"

        through, served = stub.calls
        assert (through.passed_through, served.passed_through) == (True, False)
        assert (str(through.request.url), str(served.request.url)) == (url, f"{API}/")

    async def test_a_session_is_answered_in_memory_where_a_route_matches(self, stub):
        """A route for any host answers before the request gets to the socket."""
        stub.get("/").reply(text="in memory")

        async with stub, stub.serve() as url, aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                assert await response.text() == "in memory"

        assert len(stub.calls) == 1

    async def test_a_session_finds_nothing_when_it_is_left(self, stub):
        """The port is no server of ours any more."""
        async with stub.serve() as url:
            pass

        with aiostub.Stub(strict=False):
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiostub.UnmatchedRequest):
                    await session.get(url)

    async def test_what_the_request_is(self, stub):
        """As a session's, without what only a session has."""
        route = stub.post(f"{API}/{{id}}", json={"a": 1}).reply(201)

        async with stub.serve(origin=API) as url, dial(url) as wire:
            wire.ask("/7", "POST", "Content-Type: application/json", "Cookie: a=b", body=b'{"a":1}')
            assert (await wire.answer()).status == 201

        request = stub.calls.last.request
        assert (request.method, str(request.url)) == ("POST", f"{API}/7")
        assert (request.body, request.text, request.json()) == (b'{"a":1}', '{"a":1}', {"a": 1})
        assert request.headers["content-type"] == "application/json"
        assert dict(request.cookies) == {"a": "b"}
        assert dict(request.path_params) == {"id": "7"}
        assert (request.timeout, request.proxy, request.session) == (None, None, None)
        assert route.call_count == 1

    async def test_what_the_call_is(self, stub):
        """There is no aiohttp response, for there is no aiohttp."""
        route = stub.get(f"{API}/").reply(202)

        async with stub.serve(origin=API) as url:
            await fetch(url)

        call = stub.calls.last
        assert (call.origin.method, str(call.origin.url), dict(call.origin.kwargs)) == (
            "GET",
            f"{API}/",
            {},
        )
        assert (call.route, call.status, call.error, call.response) == (route, 202, None, None)
        assert (call.attempts, call.passed_through, list(call.frames)) == (1, False, [])
        assert call.elapsed >= 0
        assert "202" in stub.calls.timeline()

    async def test_assertions_and_filters(self, stub):
        """The log is one."""
        stub.post(f"{API}/a").reply()

        async with stub.serve(origin=API) as url, dial(url) as wire:
            wire.ask("/a", "POST", body=b"x")
            await wire.answer()

        stub.assert_called_once_with("POST", f"{API}/a", data=b"x")
        assert len(stub.calls.filter(method="POST")) == 1

    async def test_a_call_can_be_waited_for(self, stub):
        """A thread asks; the test waits for it to have come."""
        route = stub.get("/").hang()

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await route.wait_called()
            assert stub.calls.last.outcome == "pending"

    async def test_concurrency_is_counted(self, stub):
        """Three are in flight before the first is answered."""
        everybody = asyncio.Event()

        async def wait(_):
            if len(stub.calls) == 3:
                everybody.set()
            await everybody.wait()
            return 200

        stub.get("/").handle(wait).times(3)
        async with stub.serve() as url:
            await asyncio.gather(*(fetch(url) for _ in range(3)))

        assert stub.calls.concurrency == 3

    async def test_nested_stubs_are_asked_behind_the_one_that_serves(self, stub):
        """What the serving stub does not answer, those that are started may."""
        stub.get("/mine").reply(text="mine")

        with aiostub.Stub() as outer:
            outer.get("/theirs").reply(text="theirs")
            async with stub.serve() as url:
                assert (await fetch(url, "/mine")).text == "mine"
                assert (await fetch(url, "/theirs")).text == "theirs"

        assert (len(stub.calls), len(outer.calls)) == (1, 1)


class TestStrictness:
    async def test_a_stub_that_was_never_started_checks_when_the_last_socket_closes(self, stub):
        """As it does with its last connector."""
        stub.get("/").reply()

        with pytest.raises(UnsatisfiedStub, match="never served"):
            async with stub.serve(), stub.serve():
                pass

    async def test_the_first_of_two_to_close_checks_nothing(self, stub):
        """The other may still be asked."""
        stub.get("/").reply()

        async with stub.serve() as url:
            async with stub.serve():
                pass
            await fetch(url)

    async def test_a_stub_that_was_started_checks_when_it_stops(self, stub):
        """Leaving the socket is not the end of the test."""
        stub.get("/").reply()

        stub.start()
        async with stub.serve():
            pass
        with pytest.raises(UnsatisfiedStub):
            stub.stop()

    async def test_an_open_connector_puts_the_check_off(self, stub):
        """The last of either kind checks."""
        stub.get(f"{API}/").reply()

        async with aiohttp.ClientSession(connector=stub.connector()) as session:
            async with stub.serve():
                pass
            await session.get(f"{API}/")

    async def test_what_nobody_answers_is_501_with_the_text(self, stub):
        """The client sees what a session would raise, and the test fails at the end."""
        with pytest.raises(UnsatisfiedStub, match="1 request was unmatched"):
            async with stub.serve(origin=API) as url:
                got = await fetch(url, "/nothing")

        assert got.status == 501
        assert got.headers["content-type"] == "text/plain; charset=utf-8"
        assert got.text.startswith(f"no route answers GET {API}/nothing")
        call = stub.calls.last
        assert isinstance(call.error, aiostub.UnmatchedRequest)
        assert (call.status, call.outcome) == (501, "unmatched")

    async def test_the_socket_itself_is_no_server_to_pass_through_to(self, stub):
        """Without an origin, too, what nobody answers is unmatched."""
        with pytest.raises(UnsatisfiedStub, match="1 request was unmatched"):
            async with stub.serve() as url:
                got = await fetch(url, "/nothing")

        assert got.text.startswith("no route answers")
        assert 'stub.get("/nothing").reply(200)' in got.text
        assert "passthrough" not in got.text

    async def test_an_unmatched_request_is_logged_at_once(self, caplog):
        """For clients that catch everything and try for ever."""
        async with aiostub.Stub(strict=False).serve(origin=API) as url:
            await fetch(url, "/nothing")

        assert "no route answers" in caplog.text

    async def test_a_step_that_is_used_up_is_501(self, stub):
        """The second request finds nothing."""
        stub.get("/").reply()

        with pytest.raises(UnsatisfiedStub):
            async with stub.serve() as url:
                assert (await fetch(url)).status == 200
                assert (await fetch(url)).status == 501

    async def test_a_route_without_a_step_is_501_and_a_route_error(self, stub):
        """As it is in memory."""
        stub.get("/")

        with pytest.raises(RouteError):
            async with stub.serve() as url:
                got = await fetch(url)

        assert got.status == 501

    @pytest.mark.parametrize("how", ["route", "rule", "unmatched"])
    async def test_what_would_pass_through_is_501_and_a_route_error(self, how):
        """Behind a socket there is no network."""
        stub = aiostub.Stub(unmatched="passthrough" if how == "unmatched" else "error")
        if how == "route":
            stub.get(f"{API}/").passthrough()
        elif how == "rule":
            stub.passthrough("api.example.com")

        with pytest.raises(RouteError, match=r"stub\.serve"):
            async with stub.serve(origin=API) as url:
                got = await fetch(url)

        assert (got.status, "pass through" in got.text) == (501, True)

    async def test_a_matcher_that_raises_is_500_and_raised_at_the_end(self, stub):
        """It never means "no match"."""
        stub.get("/", where=lambda _: 1 / 0).reply()

        with pytest.raises(ZeroDivisionError):
            async with stub.serve() as url:
                got = await fetch(url)

        assert (got.status, got.text) == (500, "ZeroDivisionError: division by zero")

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="notes are new in 3.11")
    async def test_a_block_that_fails_already_gets_notes(self, stub):
        """The exception of the test is not replaced."""
        stub.get("/").reply()

        with pytest.raises(KeyError) as caught:
            async with stub.serve() as url:
                await fetch(url, "/other")
                raise KeyError("mine")

        assert ["UnsatisfiedStub"] == [note.split(":")[0] for note in caught.value.__notes__]

    async def test_nothing_is_checked_when_not_strict(self):
        """Neither steps nor requests."""
        stub = aiostub.Stub(strict=False)
        stub.get("/").reply()

        async with stub.serve() as url:
            assert (await fetch(url, "/other")).status == 501


class TestTheEndOfEverything:
    async def test_another_socket_ends_nothing_of_this_one(self, stub):
        """Each has connections of its own."""
        route = stub.get("/").hang()

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await route.wait_called()
            async with stub.serve():
                pass
            assert stub.calls.last.outcome == "pending"

    async def test_a_hanging_client_is_let_go_by_the_socket(self, stub):
        """It reads the end of the stream, or a reset."""
        route = stub.get("/").hang()

        async with contextlib.AsyncExitStack() as clients:
            async with stub.serve() as url:
                wire = await clients.enter_async_context(dial(url))
                wire.ask()
                await route.wait_called()
            with contextlib.suppress(ConnectionResetError):
                assert await wire.rest() == b""

        assert "the socket was closed while GET" in str(stub.calls.last.error)

    async def test_requests_in_flight_end_with_the_stub(self, stub):
        """A started stub that stops ends them, though the socket stays."""
        stub.start()
        route = stub.get("/").hang()

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await route.wait_called()
            stub.stop()
            with contextlib.suppress(ConnectionResetError):
                assert await wire.rest() == b""

        assert "the stub was stopped while GET" in str(stub.calls.last.error)

    async def test_a_handler_is_cancelled_with_the_socket(self, stub):
        """Nothing of it is left running."""
        ended = []

        async def wait(_):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        route = stub.get("/").handle(wait)
        async with contextlib.AsyncExitStack() as clients:
            async with stub.serve() as url:
                wire = await clients.enter_async_context(dial(url))
                wire.ask()
                await route.wait_called()
                await until(lambda: asyncio.all_tasks() - {asyncio.current_task()})

        assert ended == [True]

    async def test_idle_connections_are_closed_with_it(self, stub):
        """A pool that keeps one alive learns of it."""
        stub.get("/").reply()

        async with contextlib.AsyncExitStack() as clients:
            async with stub.serve() as url:
                wire = await clients.enter_async_context(dial(url))
                await wire.get()
            assert await wire.rest() == b""

    async def test_who_never_finishes_a_handshake_is_not_waited_for(self, stub):
        """Not of TLS, not of a head."""
        pytest.importorskip("trustme")
        async with contextlib.AsyncExitStack() as clients:
            for tls in (True, False):
                async with stub.serve(tls=tls) as url:
                    wire = await clients.enter_async_context(dial(url))
                    wire.send(b"\x16\x03" if tls else b"GE")
                    await asyncio.sleep(0.01)
                with contextlib.suppress(ConnectionResetError):
                    assert await wire.rest() == b""

    @pytest.mark.parametrize("turns", range(5))
    async def test_who_comes_while_it_closes_is_closed_too(self, stub, turns):
        """However far the connection has come by then."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            async with stub.serve() as url:
                await asyncio.sleep(0)
                with socket.create_connection(("127.0.0.1", URL(url).port)):
                    for _ in range(turns):
                        await asyncio.sleep(0)
            gc.collect()
        assert [] == [str(warning.message) for warning in said]

    def test_every_connection_is_closed_before_the_block_is_left(self, stub):
        """The loop may be closed at once."""
        clients = []

        async def main():
            async with stub.serve() as url:
                clients.append(socket.create_connection((URL(url).host, URL(url).port)))
                await asyncio.sleep(0.01)

        loop = asyncio.new_event_loop()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            loop.run_until_complete(main())
            loop.close()
            gc.collect()
        clients[0].close()

        assert [str(w.message) for w in warned] == []

    async def test_nothing_is_left_behind(self, stub):
        """No socket, no task, no warning."""
        stub.any("/").reply(stream=[b"a", b"b"]).always()
        before = asyncio.all_tasks()

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            for _ in range(3):
                async with stub.serve() as url:
                    async with dial(url) as wire:
                        await wire.get()
                    async with dial(url) as wire:
                        wire.ask()
            await asyncio.sleep(0)
            gc.collect()

        assert [str(w.message) for w in warned] == []
        assert asyncio.all_tasks() == before


class TestTls:
    @pytest.fixture(autouse=True)
    def _trustme(self):
        pytest.importorskip("trustme")

    async def test_a_client_that_trusts_the_authority_is_answered(self, stub):
        """Its certificate is in ca_pem."""
        stub.get(f"{API}/").reply(text="secret")
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(origin=API, tls=True) as url:
            assert url.startswith("https://127.0.0.1:")
            async with dial(url, ssl=trusting) as wire:
                assert (await wire.get()).text == "secret"

        assert stub.calls.last.request.url.scheme == "https"

    async def test_the_certificate_is_good_for_the_name_of_the_origin(self, stub):
        """And for localhost."""
        stub.get(f"{API}/").reply().times(2)
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(origin=API, tls=True) as url:
            for name in ("api.example.com", "localhost"):
                async with dial(url, ssl=trusting, server_hostname=name) as wire:
                    assert (await wire.get()).status == 200

    async def test_a_client_that_does_not_trust_it_is_refused(self, stub, caplog):
        """And nobody complains about that."""
        async with stub.serve(tls=True) as url:
            with pytest.raises(ssl.SSLCertVerificationError):
                async with dial(url, ssl=ssl.create_default_context()):
                    pass
        gc.collect()

        assert (len(stub.calls), caplog.records) == (0, [])

    async def test_plain_http_gets_nowhere(self, stub):
        """There is nothing to read for it."""
        async with stub.serve(tls=True) as url, dial(url) as wire:
            wire.ask()
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP/1.1" not in await wire.rest()

    async def test_tls_does_not_ask_for_an_origin_of_https(self, stub):
        """And the other way round."""
        stub.get("http://api.example.com/").reply()
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(origin="http://api.example.com", tls=True) as url:
            async with dial(url, ssl=trusting) as wire:
                assert (await wire.get()).status == 200

    async def test_a_host_that_no_certificate_can_name(self, stub):
        """The client asks for 127.0.0.1 anyway."""
        stub.get("https://my_host/").reply()
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(origin="https://my_host", tls=True) as url:
            async with dial(url, ssl=trusting) as wire:
                assert (await wire.get()).status == 200

    async def test_the_authority_is_one_for_a_stub(self, stub):
        """However often it is asked for, and however many sockets there are."""
        assert stub.ca_pem == stub.ca_pem
        assert b"BEGIN CERTIFICATE" in stub.ca_pem
        assert stub.ca_pem != aiostub.Stub().ca_pem

    async def test_a_reset_breaks_it_off(self, stub):
        """The client meets no clean end."""
        stub.get("/").fail(faults.reset())
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(tls=True) as url, dial(url, ssl=trusting) as wire:
            wire.ask()
            with pytest.raises(ConnectionResetError):
                await wire.rest()

    async def test_an_early_answer_and_the_end_of_the_connection(self, stub):
        """TLS cannot be half open, so the rest of the request is read first."""
        stub.post("/").reply(413, early=True)
        trusting = ssl.create_default_context(cadata=stub.ca_pem.decode())

        async with stub.serve(tls=True) as url, dial(url, ssl=trusting) as wire:
            wire.ask("/", "POST", "Connection: close", "Content-Length: 4")
            assert (await wire.answer()).status == 413
            wire.send(b"rest")
            assert await wire.rest() == b""


async def test_without_trustme_the_error_says_what_to_install(stub, monkeypatch):
    """Both ways to the authority."""
    monkeypatch.setitem(sys.modules, "trustme", None)

    with pytest.raises(RouteError, match=r"pip install 'aiostub\[tls\]'"):
        stub.serve(tls=True)
    with pytest.raises(RouteError, match=r"pip install 'aiostub\[tls\]'"):
        _ = stub.ca_pem


class TestHttp:
    @pytest.fixture
    async def wire(self, stub):
        """One connection to a stub that answers every path with its name."""
        stub.any("/{name}").handle(lambda request, name: name).always().optional()
        async with stub.serve() as url, dial(url) as wire:
            yield wire

    async def test_a_connection_is_kept_alive(self, wire):
        """Request after request."""
        for name in ("one", "two", "three"):
            assert (await wire.get(f"/{name}")).text == name

    async def test_it_closes_when_it_is_told_to(self, wire):
        """The answer says so, too."""
        got = await wire.get("/one", "GET", "Connection: close")

        assert (got.text, got.headers["connection"]) == ("one", "close")
        assert await wire.rest() == b""

    async def test_pipelined_requests_are_answered_one_by_one(self, wire, stub):
        """In order, each with its own body, wherever the segments end."""
        wire.ask("/1", "POST", body=b"first")
        wire.send(b"POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"4\r\n\r\n\r\n\r\n3\r\nxyz\r\n0\r\nT: 1\r\n\r\nGET /3 HTTP/1.1\r\nHo")
        assert [(await wire.answer()).text for _ in range(2)] == ["1", "2"]
        wire.send(b"st: x\r\n\r\n\r\nGET /4 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await wire.answer()).text for _ in range(2)] == ["3", "4"]

        assert [call.request.body for call in stub.calls] == [b"first", b"\r\n\r\nxyz", b"", b""]

    async def test_a_pipelined_request_waits_for_the_one_before_it(self, stub):
        """It does not arrive before that is answered."""
        go_on = asyncio.Event()

        async def wait(_):
            await go_on.wait()
            return "slow"

        stub.get("/slow").handle(wait)
        stub.get("/fast").reply(text="fast")
        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/slow")
            wire.ask("/fast")
            await until(lambda: stub.calls)
            assert len(stub.calls) == 1
            go_on.set()
            assert [(await wire.answer()).text for _ in range(2)] == ["slow", "fast"]

    async def test_a_request_may_come_byte_by_byte(self, wire, stub):
        """With a body in chunks."""
        for byte in (
            b"PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        ):
            wire.send(bytes([byte]))
            await asyncio.sleep(0)

        assert (await wire.answer()).text == "x"
        assert stub.calls.last.request.body == b"ab"

    async def test_an_old_client_gets_an_old_answer(self, wire):
        """HTTP/1.0 closes, unless it was asked not to."""
        wire.send(b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await wire.head()).startswith(b"HTTP/1.0 200")
        await wire.reader.readexactly(3)
        wire.send(b"GET /older HTTP/1.0\r\n\r\n")

        assert (await wire.rest()).endswith(b"older")

    async def test_a_stream_for_an_old_client_ends_with_the_connection(self, stub):
        """It knows no chunks."""
        stub.get("/").reply(stream=[b"ab", b"cd"])

        async with stub.serve() as url, dial(url) as wire:
            wire.send(b"GET / HTTP/1.0\r\n\r\n")
            head = await wire.head()
            assert (b"chunked" in head, await wire.rest()) == (False, b"abcd")

    @pytest.mark.parametrize("status", [204, 304])
    async def test_a_status_without_a_body_leaves_the_connection_usable(self, stub, status):
        """The next answer is where it should be."""
        stub.get("/").reply(status).then.reply(text="next")

        async with stub.serve() as url, dial(url) as wire:
            assert (await wire.get()).status == status
            assert (await wire.get()).text == "next"

    async def test_head_announces_and_sends_nothing(self, stub):
        """The length is that of GET."""
        stub.any("/").reply(text="four").then.reply(text="next")

        async with stub.serve() as url, dial(url) as wire:
            assert (await wire.get("/", "HEAD")).headers["content-length"] == "4"
            assert (await wire.get()).text == "next"

    async def test_a_compressed_body(self, stub):
        """For real, and said so."""
        stub.get("/").reply(text="squeezed", compress="gzip")

        async with stub.serve() as url:
            got = await fetch(url)

        assert got.headers["content-encoding"] == "gzip"
        assert zlib.decompress(got.body, 31) == b"squeezed"

    async def test_a_client_that_waits_for_100_is_told_to_go_on(self, wire, stub):
        """Then it is answered."""
        wire.ask("/x", "POST", "Expect: 100-continue", "Content-Length: 2")
        assert await wire.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"ab")

        assert (await wire.answer()).text == "x"
        assert stub.calls.last.request.body == b"ab"

    async def test_it_is_told_so_once(self, stub):
        """Though it is asked three times who answers: for the head twice, and for the whole."""
        stub.post("/").handle(lambda _: None, early=True).optional()
        stub.post("/", data=b"ab").reply(201)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Expect: 100-continue", "Content-Length: 2")
            assert await wire.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(b"ab")
            assert (await wire.answer()).status == 201

    async def test_an_early_answer_comes_without_100(self, stub):
        """While the client still waits."""
        stub.post("/").reply(417, early=True)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Expect: 100-continue", "Content-Length: 2")
            assert (await wire.answer()).status == 417

    async def test_the_rest_of_a_request_that_is_answered_is_read(self, stub):
        """The connection serves the next one."""
        stub.post("/").reply(413, early=True)
        stub.get("/").reply(text="next")

        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", f"Content-Length: {len(LONG)}")
            assert (await wire.answer()).status == 413
            wire.send(LONG)
            assert (await wire.get()).text == "next"

    async def test_an_early_end_lets_the_client_send_on(self, stub):
        """Its answer is not lost to a reset."""
        stub.post("/").reply(413, text="too much", early=True)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Connection: close", f"Content-Length: {len(LONG)}")
            wire.send(LONG)
            await wire.writer.drain()
            assert (await wire.answer()).text == "too much"
            assert await wire.rest() == b""

    async def test_an_upload_may_be_long(self, wire, stub):
        """Longer than any buffer on the way."""
        wire.ask("/x", "POST", body=LONG)
        assert (await wire.answer()).text == "x"
        wire.ask("/y", "POST", "Transfer-Encoding: chunked")
        wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(LONG), LONG))
        assert (await wire.answer()).text == "y"

        assert [LONG, LONG] == [call.request.body for call in stub.calls]

    async def test_a_header_may_be_long(self, wire, stub):
        """Longer than a server would take."""
        await wire.get("/x", "GET", "X-Long: " + "x" * 300_000)

        assert len(stub.calls.last.request.headers["x-long"]) == 300_000

    async def test_any_method_will_do(self, wire, stub):
        """Not those alone that everybody knows."""
        assert (await wire.get("/x", "PROPFIND")).text == "x"
        assert stub.calls.last.request.method == "PROPFIND"

    async def test_who_asks_for_a_tunnel_is_answered(self, stub):
        """There is none."""
        stub.request("CONNECT", "http://api.example.com:443").reply(403)

        async with stub.serve() as url:
            assert (await fetch(url, "api.example.com:443", "CONNECT")).status == 403

    async def test_the_answer_to_a_client_that_has_closed_its_side(self, stub, patient):
        """It has said that it sends no more, and reads on."""
        stub.get("/").handle(lambda _: "still here")

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            wire.writer.write_eof()
            assert (await wire.rest()).endswith(b"still here")

    async def test_a_stream_to_a_client_that_has_closed_its_side(self, stub):
        """As long as something comes, nobody has left."""
        stub.get("/").reply(stream=[b"a", b"b"])

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            wire.writer.write_eof()
            assert (await wire.answer()).body == b"ab"

    async def test_a_slow_stream_to_a_client_that_has_closed_its_side(self, stub, monkeypatch):
        """It may take longer than the patience with one that says nothing."""
        monkeypatch.setattr(_socket_end, "_PATIENCE", 0.1)

        async def slow():
            for _ in range(30):
                yield b"a"
                await asyncio.sleep(0.005)

        stub.get("/").reply(stream=slow)
        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            wire.writer.write_eof()
            assert (await wire.answer()).body == b"a" * 30

    async def test_an_idle_client_that_closes_its_side_is_closed(self, wire, patient):
        """Nothing more is to come from either."""
        await wire.get("/x")
        wire.writer.write_eof()

        assert await wire.rest() == b""

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\x00",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nno header\r\n\r\n",
            b"GET / HTTP/1.1\nHost: x\n\n",
            b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
            b"CONNECT [ HTTP/1.1\r\nHost: x\r\n\r\n",
            b"PROPFIND / HTTP/1.1\n\r\n",
            b"PROPFIND / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ],
    )
    async def test_garbage_is_400(self, wire, garbage, caplog):
        """With the reason, for the client and in the log of the process; then the end."""
        wire.send(garbage)
        got = await wire.answer()

        assert (got.status, got.text[:13]) == (400, "Bad Request: ")
        assert await wire.rest() == b""
        assert "is no HTTP" in caplog.text

    async def test_garbage_behind_an_answer_under_way_ends_it(self, stub):
        """Nothing can be said any more."""
        stub.post("/").reply(stream=[b"a"], early=True)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Transfer-Encoding: chunked")
            assert (await wire.answer()).body == b"a"
            wire.send(b"zz\r\n")
            assert await wire.rest() == b""


class TestHandlersAndStreams:
    async def test_a_handler_may_decline(self, stub):
        """The next route is asked."""
        stub.get("/").handle(lambda _: None).optional()
        stub.get("/").reply(text="next")

        async with stub.serve() as url:
            assert (await fetch(url)).text == "next"

    async def test_an_async_handler_takes_path_parameters(self, stub):
        """By name."""

        async def named(request, name):
            return {"name": name}

        stub.get("/{name}").handle(named)
        async with stub.serve() as url:
            assert (await fetch(url, "/ada")).text == '{"name": "ada"}'

    async def test_an_early_handler_sees_what_has_come(self, stub):
        """The client still sends."""
        seen = []
        stub.post("/").handle(lambda request: seen.append(request.complete) or 202, early=True)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Content-Length: 4")
            assert (await wire.answer()).status == 202

        assert seen == [False]

    async def test_a_bug_in_a_handler_is_500_with_its_name(self, stub):
        """The log has the exception."""
        stub.get("/").handle(lambda _: {}["x"])

        async with stub.serve() as url:
            got = await fetch(url)

        assert (got.status, got.text) == (500, "KeyError: 'x'")
        assert isinstance(stub.calls.last.error, KeyError)

    async def test_a_failed_assertion_in_a_handler_fails_the_test(self, stub):
        """And the client sees it."""

        def check(_):
            raise AssertionError("wrong")

        stub.get("/").handle(check)
        with pytest.raises(AssertionError, match="wrong"):
            async with stub.serve() as url:
                assert (await fetch(url)).status == 500

    async def test_a_fault_out_of_a_handler(self, stub):
        """It strikes as it does in a step."""

        def drop(_):
            raise faults.disconnect()

        stub.get("/").handle(drop)
        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            assert await wire.rest() == b""

    async def test_a_delay_lets_others_go_first(self, stub):
        """On the clock of the loop that serves."""
        stub.get("/late").reply(text="late", delay=0.02)
        stub.get("/soon").reply(text="soon")

        async with stub.serve() as url:
            order = []

            async def ask(path):
                order.append((await fetch(url, path)).text)

            await asyncio.gather(ask("/late"), ask("/soon"))

        assert order == ["soon", "late"]

    async def test_chunk_borders_are_kept(self, stub):
        """One chunk on the wire for each."""
        stub.get("/").reply(stream=[b"ab", b"", b"cde"])

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await wire.head()
            assert [chunk async for chunk in wire.chunks()] == [b"ab", b"cde"]

    async def test_a_stream_waits_for_a_slow_client(self, stub):
        """It is not all in memory at once."""
        taken = []

        async def endless():
            while True:
                taken.append(True)
                yield bytes(2**20)

        stub.get("/").reply(stream=endless)
        async with stub.serve() as url, dial(url, limit=2**10) as wire:
            wire.ask()
            await wire.head()
            before = 0
            while before != len(taken):
                before = len(taken)
                await asyncio.sleep(0.05)

            assert len(taken) < 100

    async def test_a_stream_is_closed_when_its_client_goes_away(self, stub, impatient):
        """At once, though it has nothing to send."""
        closed = asyncio.Event()

        async def silent():
            try:
                yield b"a"
                await asyncio.Event().wait()
            finally:
                closed.set()

        stub.get("/").reply(stream=silent)
        async with stub.serve() as url:
            async with dial(url) as wire:
                wire.ask()
                await wire.head()
            await asyncio.wait_for(closed.wait(), PATIENCE)
            assert stub.calls.last.status == 200

    async def test_a_handler_is_cancelled_when_its_client_goes_away(self, stub, impatient):
        """And the call has ended."""
        cancelled = asyncio.Event()

        async def wait(_):
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        route = stub.get("/").handle(wait)
        async with stub.serve() as url:
            async with dial(url) as wire:
                wire.ask()
                await route.wait_called()
            await asyncio.wait_for(cancelled.wait(), PATIENCE)
            await until(lambda: stub.calls.last.error)

        assert "the client has left" in str(stub.calls.last.error)

    async def test_a_stream_that_raises_breaks_off_and_fails_the_test(self, stub):
        """The client meets a body without an end."""

        def broken():
            yield b"a"
            raise ValueError("broken")

        stub.get("/").reply(stream=broken)
        with pytest.raises(ValueError, match="broken"):
            async with stub.serve() as url, dial(url) as wire:
                wire.ask()
                await wire.head()
                assert await wire.rest() == b"1\r\na\r\n"


async def hears_reset(wire, method="GET"):
    """Tell whether the connection breaks off before an answer."""
    wire.ask("/", method)
    with pytest.raises(ConnectionResetError):
        await wire.rest()


class TestTheNearestThing:
    @pytest.mark.parametrize(
        "failure",
        [
            faults.refused(),
            faults.unreachable(),
            faults.dns(),
            faults.tls(),
            faults.certificate(),
            faults.proxy(),
            faults.reset(),
            aiohttp.ClientOSError,
            aiohttp.ClientConnectorError,
            aiohttp.ClientConnectorCertificateError,
            aiohttp.ClientPayloadError,
            aiohttp.ClientPayloadError("cut off"),
            aiohttp.TooManyRedirects,
            aiohttp.InvalidURL,
            OSError(5, "Input/output error"),
            ValueError,
        ],
        ids=str,
    )
    async def test_a_failure_is_a_reset(self, stub, failure):
        """Of a connection, or of the client alone."""
        stub.get("/").fail(failure)

        async with stub.serve() as url, dial(url) as wire:
            await hears_reset(wire)

        call = stub.calls.last
        assert isinstance(call.error, ConnectionResetError)
        assert (call.status, call.outcome) == (None, "ConnectionResetError")
        assert call.elapsed is not None

    async def test_a_reset_of_a_connection_that_is_kept_alive_comes_at_once(self, stub, patient):
        """There is nothing of an answer that the client should read first."""
        stub.get("/").reply(204).then.fail(faults.reset())

        async with stub.serve() as url, dial(url) as wire:
            await wire.get()
            await hears_reset(wire)

    @pytest.mark.parametrize("failure", [faults.disconnect(), aiohttp.ServerDisconnectedError])
    async def test_a_disconnect_is_the_end_of_the_stream(self, stub, failure):
        """FIN, and no answer."""
        stub.get("/").fail(failure)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            assert await wire.rest() == b""

        assert str(stub.calls.last.error) == "faults.disconnect()"

    async def test_an_exception_with_a_status_is_that_status(self, stub):
        """A ClientResponseError is what raise_for_status() makes of it."""
        info: Any = None
        stub.get("/").fail(aiohttp.ClientResponseError(info, (), status=503, message="busy"))

        async with stub.serve() as url:
            got = await fetch(url)

        assert (got.status, got.text) == (503, "busy")
        assert (stub.calls.last.status, type(stub.calls.last.error)) == (
            503,
            aiohttp.ClientResponseError,
        )

    @pytest.mark.parametrize(
        "silence",
        [
            lambda route: route.hang(),
            lambda route: route.timeout(),
            lambda route: route.timeout("connect"),
            lambda route: route.timeout("sock_read"),
            lambda route: route.fail(asyncio.TimeoutError),
            lambda route: route.fail(aiohttp.ServerTimeoutError),
            lambda route: route.handle(raise_timeout),
        ],
    )
    async def test_a_timer_is_silence(self, stub, silence):
        """How long it lasts is for the client to know."""
        route = silence(stub.get("/"))

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await route.wait_called()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(wire.reader.read(), 0.02)

        assert stub.calls.last.status is None

    @pytest.mark.parametrize("fails", [True, False])
    @pytest.mark.parametrize(
        ("fault", "sent"),
        [
            (faults.stall(), ""),
            (faults.truncated(), "half"),
            (faults.bad_gzip(), "gzip"),
            (faults.bad_chunk(), "chunk"),
        ],
        ids=str,
    )
    async def test_a_spoiled_body_is_spoiled(self, stub, fault, sent, fails):
        """In fail() and in reply(fault=)."""
        route = stub.get("/")
        route.fail(fault) if fails else route.reply(text="0123456789", fault=fault)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            head = await wire.head()
            if sent == "half":
                body = await wire.rest()
                assert 0 < len(body) < int(head.split(b"Content-Length: ")[1].split(b"\r")[0])
            elif sent == "gzip":
                assert b"Content-Encoding: gzip" in head
            elif sent == "chunk":
                assert await wire.reader.readline() == b"not a chunk size\r\n"
            else:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(wire.reader.read(1), 0.02)

        call = stub.calls.last
        assert call.status == 200
        assert ("was in flight" if sent == "" else str(fault)) in str(call.error)

    @pytest.mark.parametrize("fault", [faults.disconnect(after=4), faults.reset(after=4)], ids=str)
    async def test_an_end_in_the_body(self, stub, fault):
        """The first bytes come."""
        stub.get("/").reply(body=b"0123456789", fault=fault)

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await wire.head()
            assert await wire.reader.readexactly(4) == b"0123"
            if fault.name == "reset":
                with pytest.raises(ConnectionResetError):
                    await wire.rest()
            else:
                assert await wire.rest() == b""

        assert str(stub.calls.last.error) == str(fault)

    async def test_a_reset_behind_much_that_is_sent(self, stub):
        """It comes when the client has taken that."""
        stub.get("/").reply(body=LONG, fault=faults.reset(after=len(LONG) - 1))

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await wire.head()
            await asyncio.sleep(0.05)
            assert await wire.reader.readexactly(len(LONG) // 2) == LONG[: len(LONG) // 2]
            with pytest.raises(ConnectionResetError):
                await wire.rest()

    async def test_a_body_that_drips_comes(self, stub):
        """Slowly, and whole."""
        stub.get("/").reply(body=b"01234567", fault=faults.drip(100))

        async with stub.serve() as url:
            assert (await fetch(url)).body == b"01234567"

        assert stub.calls.last.error is None

    async def test_garbage_is_sent(self, stub):
        """It is no HTTP."""
        stub.get("/").fail(faults.garbage())

        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            assert not (await wire.head()).startswith(b"HTTP")

    async def test_a_header_too_long_is_sent(self, stub):
        """Longer than any client takes that I know."""
        stub.get("/").fail(faults.header_too_long())

        async with stub.serve() as url, dial(url, limit=2**22) as wire:
            wire.ask()
            assert len(await wire.head()) > 2**20

    async def test_who_sends_again_meets_the_next_step(self, stub):
        """No re-send can be told from a new request over a socket."""
        stub.get("/").fail(faults.disconnect()).then.reply(text="up")

        async with stub.serve() as url:
            async with dial(url) as wire:
                wire.ask()
                assert await wire.rest() == b""
            assert (await fetch(url)).text == "up"

    async def test_a_fault_out_of_a_stream(self, stub):
        """It strikes where the body has got to."""

        def stream():
            yield b"ab"
            raise faults.reset()

        stub.get("/").reply(stream=stream)
        async with stub.serve() as url, dial(url) as wire:
            wire.ask()
            await wire.head()
            assert await wire.chunk() == b"ab"
            with pytest.raises(ConnectionResetError):
                await wire.rest()

        assert str(stub.calls.last.error) == "faults.reset()"


def raise_timeout(_):
    """Raise what a timer of the client's raises."""
    raise asyncio.TimeoutError


HANDSHAKE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class TestFarEnds:
    async def test_a_mounted_application_is_served(self, stub):
        """Request after request on one connection, cleaned up with the socket."""
        ended = []

        async def echo(request):
            return web.json_response({"path": request.path_qs, "body": await request.text()})

        async def cleanup(app):
            ended.append(True)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", echo)
        app.on_cleanup.append(cleanup)
        stub.mount(API, app)

        async with stub.serve(origin=API) as url, dial(url) as wire:
            wire.ask("/a?b=c", "POST", body=b"one")
            wire.ask("/d", "POST", body=b"two")
            assert (await wire.answer()).text == '{"path": "/a?b=c", "body": "one"}'
            assert (await wire.answer()).text == '{"path": "/d", "body": "two"}'

        assert ended == [True]
        assert [call.status for call in stub.calls] == [200, 200]

    async def test_an_application_that_cannot_start_is_500(self, stub):
        """The connection serves the next request, behind the body of this one."""

        async def fail(app):
            raise ZeroDivisionError("no start")

        app = web.Application()
        app.on_startup.append(fail)
        stub.get(f"{API}/next").reply(text="next")
        stub.mount(API, app)

        with pytest.raises(ZeroDivisionError, match="no start"):
            async with stub.serve(origin=API) as url, dial(url) as wire:
                wire.ask("/", "POST", f"Content-Length: {len(LONG)}")
                wire.send(LONG)
                assert (await wire.answer()).status == 500
                assert (await wire.get("/next")).text == "next"

    async def test_an_application_may_answer_while_the_client_sends(self, stub):
        """The rest is read, and the next request is found."""

        async def refuse(request):
            return web.Response(status=413)

        stub.post("/").serve(refuse)
        stub.get("/").reply(text="next")
        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Content-Length: 100000")
            assert (await wire.answer()).status == 413
            wire.send(bytes(100_000))
            assert (await wire.get()).text == "next"

    async def test_an_application_reads_a_long_upload(self, stub):
        """With 100-continue and chunks."""

        async def size(request):
            return web.Response(text=str(len(await request.read())))

        stub.post("/").serve(size)
        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Expect: 100-continue", "Transfer-Encoding: chunked")
            assert await wire.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(LONG), LONG))
            assert (await wire.answer()).text == str(len(LONG))

    async def test_a_bug_of_the_application_is_500_and_raised_at_the_end(self, stub):
        """As in memory."""

        async def broken(request):
            raise ZeroDivisionError("mine")

        stub.get("/").serve(broken)
        with pytest.raises(ZeroDivisionError, match="mine"):
            async with stub.serve() as url:
                assert (await fetch(url)).status == 500

    async def test_a_websocket_talks(self, stub):
        """A real client with a real server, and the frames in the log."""

        async def talk(ws):
            async for message in ws:
                await ws.send_str(message.data.upper())

        stub.ws("wss://feed.example.com/v1").handle(talk)
        async with stub.serve(origin="wss://feed.example.com") as url:
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(f"{url}/v1") as ws:
                    for word in ("a", "b" * 100_000):
                        await ws.send_str(word)
                        assert (await ws.receive_str(timeout=PATIENCE)) == word.upper()

        frames = stub.calls.last.frames
        assert [(f.direction, f.type) for f in frames][:4] == [
            ("sent", WSMsgType.TEXT),
            ("received", WSMsgType.TEXT),
        ] * 2
        assert stub.calls.last.status == 101

    async def test_a_websocket_whose_client_vanishes_ends(self, stub):
        """The function that talks is not left waiting."""
        ended = asyncio.Event()

        async def talk(ws):
            try:
                await ws.receive()
            finally:
                ended.set()

        route = stub.ws("/").handle(talk)
        async with stub.serve() as url:
            async with dial(url) as wire:
                wire.ask("/", "GET", *HANDSHAKE)
                assert (await wire.answer()).status == 101
                await route.wait_called()
            await asyncio.wait_for(ended.wait(), PATIENCE)

    async def test_a_websocket_that_is_open_ends_with_the_socket(self, stub):
        """The client learns of it."""

        async def talk(ws):
            await ws.receive()

        stub.ws("/").handle(talk)
        async with aiohttp.ClientSession() as session:
            async with stub.serve() as url:
                ws = await session.ws_connect(url)
            assert (await ws.receive(timeout=PATIENCE)).type in {
                WSMsgType.CLOSED,
                WSMsgType.CLOSE,
                WSMsgType.ERROR,
            }
            await ws.close()

    async def test_a_handshake_that_is_refused(self, stub):
        """It is an answer like any other."""
        stub.ws("/").reply(403).then.fail(faults.refused())

        async with stub.serve() as url, aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url)
            assert caught.value.status == 403
            async with dial(url) as wire:
                wire.ask("/", "GET", *HANDSHAKE)
                with pytest.raises(ConnectionResetError):
                    await wire.rest()

    async def test_another_protocol_after_101(self, stub):
        """Bytes go both ways, and those that came with the request are not lost."""

        async def upgrade(request):
            assert request.transport is not None
            request.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
            )
            request.transport.write(b"hello")
            request.transport.close()
            return web.Response()

        stub.post("/").serve(upgrade)
        async with stub.serve() as url, dial(url) as wire:
            wire.ask("/", "POST", "Connection: Upgrade", "Upgrade: tcp")
            assert b" 101 " in await wire.head()
            assert (await wire.rest()).startswith(b"hello")


class TestClientsOfTheStandardLibrary:
    async def test_http_client_keeps_its_connection(self, stub):
        """http.client is what urllib3 and requests are built upon."""
        stub.any("/{name}").handle(lambda request, name: name + request.text).always()

        def ask(url):
            parts = URL(url)
            connection = http.client.HTTPConnection(parts.host, parts.port, timeout=PATIENCE)
            got = []
            for method, body in (
                ("GET", None),
                ("POST", b"x" * 200_000),
                ("PUT", iter([b"c", b"d"])),
            ):
                connection.request(method, "/a", body=body)
                got.append(connection.getresponse().read())
            connection.close()
            return got

        async with stub.serve() as url:
            assert await asyncio.to_thread(ask, url) == [b"a", b"a" + b"x" * 200_000, b"acd"]

    async def test_a_blocking_timeout(self, stub, impatient):
        """The client decides, and the log says that it left."""
        stub.get("/").timeout()

        def ask(url):
            with pytest.raises(TimeoutError if sys.version_info >= (3, 10) else OSError):
                urllib.request.urlopen(url, timeout=0.05)

        async with stub.serve() as url:
            await asyncio.to_thread(ask, url)
            await until(lambda: stub.calls.last.error)

    async def test_a_disconnect_by_its_name(self, stub):
        """http.client has a name for it."""
        stub.get("/").fail(faults.disconnect())

        async with stub.serve() as url:
            with pytest.raises(http.client.RemoteDisconnected):
                await asyncio.to_thread(whole, url)

    @pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
    async def test_curl_in_a_process_of_its_own(self, stub):
        """Uploads, redirects and keep-alive."""
        stub.post(f"{API}/a", data={"x": "1"}).reply(303, headers={"Location": "/b"})
        stub.get(f"{API}/b").reply(stream=[b"re", b"directed"], compress="gzip")

        async with stub.serve(origin=API) as url:
            process = await asyncio.create_subprocess_exec(
                *("curl", "-sS", "--compressed", "-L", "-d", "x=1", f"{url}/a"),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)

        assert (process.returncode, out) == (0, b"redirected")

    @pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
    @pytest.mark.parametrize(
        ("failure", "code"),
        [
            (faults.disconnect(), 52),  # empty reply
            (faults.reset(), 56),  # failure in receiving
            (faults.truncated(), 18),  # partial file
            (faults.bad_chunk(), 56),
            (faults.garbage(), 1),  # what it takes for HTTP/0.9
        ],
        ids=str,
    )
    async def test_curl_has_a_code_for_each_failure(self, stub, failure, code):
        """A second opinion on what goes wrong."""
        stub.get("/").fail(failure)

        async with stub.serve() as url:
            process = await asyncio.create_subprocess_exec(
                *("curl", "-s", "-o", "-", url), stdout=asyncio.subprocess.DEVNULL
            )
            assert await asyncio.wait_for(process.wait(), PATIENCE) == code


class TestLoops:
    def run(self, factory, **kwargs):
        """Serve in a loop of this kind, and fail with whatever it complains about."""
        complaints = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(
                lambda _, context: complaints.append(context)
            )
            stub = aiostub.Stub()
            stub.get("/").reply(stream=[b"a", b"b"])
            stub.get("/cut").reply(body=LONG, fault=faults.reset(after=len(LONG) - 1))
            stub.post("/").serve(self.answer)
            stub.get("/gone").hang()
            async with stub.serve() as url:
                assert (await fetch(url)).body == b"ab"
                async with dial(url) as wire:
                    wire.ask("/cut")
                    await wire.head()
                    await wire.reader.readexactly(1000)
                    with pytest.raises(ConnectionResetError):
                        await wire.rest()
                async with dial(url) as wire:
                    wire.ask("/", "POST", body=b"x")
                    wire.writer.write_eof()
                    assert (await wire.answer()).text == "x"
                async with dial(url) as wire:
                    wire.ask("/gone")
                    await until(lambda: len(stub.calls) == 4)

        loop = factory()
        try:
            loop.set_debug(kwargs.get("debug", False))
            loop.slow_callback_duration = PATIENCE
            loop.run_until_complete(main())
        finally:
            loop.close()
        assert complaints == []

    @staticmethod
    async def answer(request):
        """Answer with what was sent."""
        return web.Response(text=await request.text())

    def test_asyncio_in_debug_mode_has_nothing_to_complain_of(self, caplog):
        """Nor has its log."""
        caplog.set_level(logging.WARNING)
        self.run(asyncio.new_event_loop, debug=True)

        assert caplog.records == []

    def test_uvloop_serves_as_well(self):
        """It writes later than asyncio does."""
        uvloop = pytest.importorskip("uvloop")
        self.run(uvloop.new_event_loop)


def test_a_free_port_is_taken(stub):
    """The machine chooses, so that tests can run side by side."""

    async def main():
        async with stub.serve() as one, stub.serve() as other:
            with socket.socket() as taken, pytest.raises(OSError):
                taken.bind(("127.0.0.1", URL(one).port))
            return one, other

    one, other = asyncio.run(main())
    assert one != other
