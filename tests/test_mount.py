"""stub.mount(): a whole application of aiohttp.web answers for an origin, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import importlib.util
import io
import logging
import re
import threading
import tracemalloc
import weakref

import aiohttp
import pytest
from aiohttp import ClientSession, ClientTimeout, web
from pytest_in_pytest import NO_HYPOTHESIS

import aiostub
from aiostub import RouteError, StubStateError, UnmatchedRequest, _watch, faults

ORIGIN = "https://api.example.com"
has_looptime = importlib.util.find_spec("looptime") is not None
in_virtual_time = (
    pytest.mark.looptime if has_looptime else pytest.mark.skip(reason="looptime is not installed")
)


async def text(_request):
    """Answer "mounted"."""
    return web.Response(text="mounted")


def application(handler=text, path="/{path:.*}", method="*", **kwargs):
    """An application of one handler."""
    app = web.Application(**kwargs)
    app.router.add_route(method, path, handler)
    return app


async def ask(session, url=f"{ORIGIN}/", method="GET", **kwargs):
    """Ask, and return status and text."""
    async with session.request(method, url, **kwargs) as response:
        return response.status, await response.text()


async def seen_by(look, url=f"{ORIGIN}/", method="GET", origin=ORIGIN, **kwargs):
    """What *look* makes of the request that a mounted application gets."""
    seen = []

    async def handle(request):
        seen.append(look(request))
        return web.Response()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(origin, application(handle))
        await ask(session, url, method, **kwargs)
    return seen[0]


async def turns(n=20):
    """Let the event loop go round."""
    for _ in range(n):
        await asyncio.sleep(0)


# Registering


@pytest.mark.parametrize(
    ("origin", "named"),
    [
        (f"{ORIGIN}/v1", "origin"),
        (f"{ORIGIN}/?a=1", "origin"),
        (f"{ORIGIN}/#top", "origin"),
        ("https://user:pw@api.example.com", "origin"),
        ("/v1", "origin"),
        ("api.example.com", "origin"),
        ("https://", "origin"),
        ("", "origin"),
        (None, "origin"),
        (7, "origin"),
    ],
)
def test_what_is_no_origin_is_refused(origin, named):
    """A path, a query, a fragment, userinfo, a relative URL: the line that registers fails."""
    with pytest.raises(RouteError, match=named):
        aiostub.Stub().mount(origin, web.Application())


def test_the_text_says_which_origin_it_is():
    """Of a mount and of a socket alike."""
    expected = re.escape(f"'{ORIGIN}/v1' is more than scheme, host and port; write '{ORIGIN}', ")
    with pytest.raises(RouteError, match=expected):
        aiostub.Stub().mount(f"{ORIGIN}/v1", web.Application())
    with pytest.raises(RouteError, match=expected):
        aiostub.Stub().serve(origin=f"{ORIGIN}/v1")


@pytest.mark.parametrize("app", [None, "app", text, web.AppRunner, web.RouteTableDef()])
def test_what_is_no_application_is_refused(app):
    """Nothing else can be started and cleaned up."""
    with pytest.raises(RouteError, match=r"^mount: app must be an aiohttp\.web\.Application, got"):
        aiostub.Stub().mount(ORIGIN, app)


@pytest.mark.parametrize(
    "origin", [ORIGIN, f"{ORIGIN}/", "https://API.example.com:443", "https://api.example.com."]
)
async def test_spellings_of_one_origin_are_the_same(origin):
    """An origin is compared as the URLs of routes are."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(origin, application())
        assert (200, "mounted") == await ask(session)


@pytest.mark.parametrize(
    "url", ["http://api.example.com/", "https://api.example.com:8443/", "https://example.com/"]
)
async def test_another_origin_is_not_answered(url):
    """Scheme, host and port belong to an origin."""
    with pytest.raises(UnmatchedRequest):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application())
            await ask(session, url)


async def test_the_text_says_in_what_an_origin_differs():
    """As for any route, with the mount's name and line."""
    with pytest.raises(UnmatchedRequest) as raised:
        async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
            stub.mount(ORIGIN, application())
            await ask(session, "https://api.example.org/v1")
    lines = str(raised.value).splitlines()
    assert f"  mount {ORIGIN}" in lines
    assert "    host  expected 'api.example.com', got 'api.example.org'" in lines


async def test_two_mounts_answer_for_an_origin_each():
    """Each application gets its own requests."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        for name in ("a", "b"):

            async def handle(request, name=name):
                return web.Response(text=f"{name} {request.host}")

            stub.mount(f"http://{name}.test:8080", application(handle))
        assert (200, "b b.test:8080") == await ask(session, "http://b.test:8080/")
        assert (200, "a a.test:8080") == await ask(session, "http://a.test:8080/")


async def test_a_mount_has_its_place_among_the_routes():
    """What was registered before it is asked first, and what comes after it never."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(f"{ORIGIN}/a").reply(text="before")
        stub.mount(ORIGIN, application())
        stub.get(f"{ORIGIN}/b").reply(text="after").optional()
        stub.get(f"{ORIGIN}/c", first=True).reply(text="in front")
        bodies = [(await ask(session, f"{ORIGIN}/{path}"))[1] for path in "abcac"]
    assert ["before", "mounted", "in front", "mounted", "mounted"] == bodies


async def test_a_mount_can_be_put_in_front():
    """first=True means the same for a mount as for a route."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.get(f"{ORIGIN}/a").reply(text="route").optional()
        stub.mount(ORIGIN, application(), first=True)
        assert (200, "mounted") == await ask(session, f"{ORIGIN}/a")


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LINK"]
)
async def test_it_answers_every_method(method):
    """An application decides itself what it has."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application())
        assert (200, "mounted") == await ask(session, method=method)


def test_an_application_need_not_be_asked():
    """A mount satisfies the strict check and assert_all_called without a call."""
    with aiostub.Stub() as stub:
        mount = stub.mount(ORIGIN, application())
        stub.assert_all_called()
        assert not mount.called


async def test_a_mount_is_a_route_of_the_log():
    """It counts its calls, can be waited for, and is named in the timeline."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        mount = stub.mount(ORIGIN, application())
        await ask(session, f"{ORIGIN}/a?x=1", "POST", data=b"body")
        await mount.wait_called()
        assert mount.call_count == 1
        assert mount is stub.calls.last.route
        assert (200, b"body") == (stub.calls.last.status, stub.calls.last.request.body)
        mount.assert_called_once_with(params={"x": "1"}, data=b"body")
        assert f"mount {ORIGIN}" in stub.calls.timeline()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda m: m.reply(503), "reply(503)"),
        (lambda m: m.handle(text), "handle(text)"),
        (lambda m: m.hang(), "hang()"),
        (lambda m: m.times(2), "times(2)"),
        (lambda m: m.always(), "always()"),
        (lambda m: m.then, ".then"),
    ],
)
def test_a_mount_takes_no_steps(step, said):
    """The application is all that happens."""
    with pytest.raises(RouteError) as raised:
        step(aiostub.Stub().mount(ORIGIN, application()))
    assert str(raised.value) == (
        f"{said}: mount({ORIGIN}) takes no steps, because the application answers every request; "
        "register a route before it for the exceptions"
    )


async def test_an_inner_stub_is_asked_first():
    """Stubs nest: what the inner one does not answer reaches the outer one's application."""
    async with aiostub.Stub() as outer, aiostub.Stub() as inner, ClientSession() as session:
        outer.mount(ORIGIN, application())
        inner.get(f"{ORIGIN}/inner").reply(text="inner")
        assert (200, "inner") == await ask(session, f"{ORIGIN}/inner")
        assert (200, "mounted") == await ask(session, f"{ORIGIN}/outer")
        assert [1, 1] == [len(outer.calls), len(inner.calls)]


async def test_reset_drops_the_mount():
    """After it, nobody answers for the origin."""
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        stub.mount(ORIGIN, application())
        await ask(session)
        stub.reset()
        with pytest.raises(UnmatchedRequest):
            await ask(session)


async def test_a_session_with_a_base_url_reaches_it():
    """Relative URLs are joined by the session, before anybody is asked."""
    async with aiostub.Stub() as stub, ClientSession(base_url=ORIGIN) as session:
        stub.mount(ORIGIN, application())
        assert (200, "mounted") == await ask(session, "/v1/users")


def test_the_decorator_mounts_the_application_for_each_run():
    """A decorating stub's mount is copied into the fresh stub of a run, which cleans it up."""
    events = []

    async def life(_app):
        events.append("up")
        yield
        events.append("down")

    app = application()
    app.cleanup_ctx.append(life)
    decorating = aiostub.Stub()
    decorating.mount(ORIGIN, app)

    @decorating
    async def test(stub):
        async with ClientSession() as session:
            assert (200, "mounted") == await ask(session)
            assert len(stub.calls) == 1

    async def twice():
        await test()
        await test()

    asyncio.run(twice())
    assert ["up", "down"] * 2 == events


def test_an_application_cannot_run_in_a_second_event_loop():
    """aiohttp ties it to its first one for good; the error says what to do instead."""
    app, errors = application(), []
    for _ in range(2):

        async def main():
            async with aiostub.Stub() as stub, ClientSession() as session:
                stub.mount(ORIGIN, app)
                await ask(session)

        try:
            asyncio.run(main())
        except RouteError as error:
            errors.append(str(error))
    expected = (
        f"mount({ORIGIN}): aiohttp ties an application to the event loop in which it first ran; "
        "mount a new one in each test"
    )
    assert [expected] == errors


# What the application sees


@pytest.mark.parametrize(
    ("origin", "url", "expected"),
    [
        (ORIGIN, f"{ORIGIN}/a%20b/%2F?x=1&x=2#top", ("https", "api.example.com", "/a%20b/%2F")),
        ("http://api.test", "http://api.test/", ("http", "api.test", "/")),
        ("http://api.test:8080", "http://api.test:8080//a", ("http", "api.test:8080", "//a")),
        ("https://[::1]:8443", "https://[::1]:8443/", ("https", "[::1]:8443", "/")),
        ("https://bücher.example", "https://bücher.example/ä", None),
    ],
)
async def test_scheme_host_and_path_are_those_of_the_client(origin, url, expected):
    """The application reads them off the request as behind a real server."""
    found = await seen_by(
        lambda request: (request.scheme, request.host, request.rel_url.raw_path),
        url,
        origin=origin,
    )
    assert (expected or ("https", "xn--bcher-kva.example", "/%C3%A4")) == found


async def test_the_url_is_whole():
    """Also the query, with repeated keys, as a real server would have it."""
    url = f"{ORIGIN}/a/b?x=1&x=2&y=%26"
    assert url == await seen_by(lambda request: str(request.url), url)


async def test_the_peer_is_this_machine():
    """remote, peername and sockname are addresses of the loopback."""
    found = await seen_by(
        lambda request: (
            request.remote,
            request.transport.get_extra_info("peername")[0],
            request.transport.get_extra_info("sockname"),
            request.transport.get_extra_info("nothing", "default"),
        )
    )
    assert ("127.0.0.1", "127.0.0.1", ("127.0.0.1", 443), "default") == found


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
async def test_tls_shows_in_the_transport(scheme, secure):
    """A secure request has an SSL context, a plain one has none."""
    origin = f"{scheme}://api.test"
    found = await seen_by(
        lambda request: (
            request.secure,
            request.transport.get_extra_info("sslcontext") is not None,
        ),
        f"{origin}/",
        origin=origin,
    )
    assert (secure, secure) == found


async def test_headers_and_cookies_arrive():
    """Those that aiohttp adds as well as those of the test."""
    found = await seen_by(
        lambda request: (request.headers["X-A"], request.cookies["c"], request.headers["Host"]),
        headers={"X-A": "1"},
        cookies={"c": "2"},
    )
    assert ("1", "2", "api.example.com") == found


async def test_it_does_not_see_the_context_variables_of_the_client():
    """It runs in the context in which it was mounted, as behind a server started there."""
    name = contextvars.ContextVar("name")
    found = []

    async def handle(_request):
        found.append(name.get())
        return web.Response()

    async with aiostub.Stub() as stub, ClientSession() as session:
        name.set("the test's")
        stub.mount(ORIGIN, application(handle))
        name.set("the client's")
        await ask(session)
        await ask(session)
    assert ["the test's"] * 2 == found


async def test_middlewares_and_sub_applications_are_its_own():
    """The whole application answers, not only its handlers."""

    @web.middleware
    async def stamp(request, handler):
        response = await handler(request)
        response.headers["X-Stamp"] = "1"
        return response

    app = web.Application(middlewares=[stamp])
    app.add_subapp("/v1", application(path="/users"))
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, app)
        async with session.get(f"{ORIGIN}/v1/users") as response:
            assert ("1", "mounted") == (response.headers["X-Stamp"], await response.text())
        async with session.get(f"{ORIGIN}/v2/users") as response:
            assert response.status == 404


async def test_an_error_that_a_middleware_turns_into_a_response_is_none():
    """Only what leaves the application is an error of it."""

    @web.middleware
    async def as_teapot(request, handler):
        try:
            return await handler(request)
        except LookupError:
            return web.Response(status=418)

    async def fails(_request):
        raise LookupError

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(fails, middlewares=[as_teapot]))
        assert await ask(session) == (418, "")


async def test_cookies_go_back_and_forth():
    """The client's jar keeps what the application sets, for the application's origin."""

    async def count(request):
        n = int(request.cookies.get("n", "0")) + 1
        response = web.Response(text=str(n))
        response.set_cookie("n", str(n))
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(count))
        assert ["1", "2", "3"] == [(await ask(session))[1] for _ in range(3)]


async def test_redirects_lead_from_one_application_to_another():
    """The client follows them, and drops what belongs to the first origin only."""

    async def away(_request):
        raise web.HTTPFound("http://b.test/there?x=1")

    async def there(request):
        return web.Response(text=f"{request.path_qs} {request.headers.get('Authorization')}")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount("https://a.test", application(away))
        stub.mount("http://b.test", application(there))
        auth = {"Authorization": "Bearer x"}
        assert await ask(session, "https://a.test/", headers=auth) == (200, "/there?x=1 None")
        assert [302, 200] == [call.status for call in stub.calls]


# HTTP, as between two ends of aiohttp


async def test_a_stream_arrives_piece_by_piece():
    """The client reads the first piece while the application still waits to send the second."""
    gate = asyncio.Event()

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        await gate.wait()
        await response.write(b"second")
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stream))
        async with session.get(f"{ORIGIN}/") as response:
            assert await response.content.readany() == b"first "
            gate.set()
            assert await response.read() == b"second"


async def test_server_sent_events_are_heard_one_by_one():
    """An event stream of the application is one for the client."""
    more = asyncio.Queue()

    async def events(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while (event := await more.get()) is not None:
            await response.write(aiostub.sse(event))
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(events))
        async with session.get(f"{ORIGIN}/") as response:
            heard = []
            for event in ("a", "b"):
                more.put_nowait(event)
                heard.append(await response.content.readline())
                assert await response.content.readline() == b"\n"
            more.put_nowait(None)
            assert await response.content.read() == b""
    assert [b"data: a\n", b"data: b\n"] == heard


async def test_an_upload_is_read_while_it_is_sent():
    """The application gets the first piece before the client has the second."""
    got_first = asyncio.Event()

    async def pieces():
        yield b"first "
        await got_first.wait()
        yield b"second"

    async def read(request):
        first = await request.content.readany()
        got_first.set()
        return web.Response(body=first + await request.content.read())

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(read))
        assert await ask(session, method="POST", data=pieces()) == (200, "first second")
        assert stub.calls.last.request.body == b"first second"


async def test_an_upload_waits_for_an_application_that_does_not_read():
    """Back-pressure: the client is not asked for more than the buffers between them hold."""
    produced, go_on = [], asyncio.Event()

    async def pieces():
        for number in range(160):
            produced.append(number)
            yield bytes(64 * 1024)

    async def read(request):
        await turns(200)
        before = len(produced)
        go_on.set()
        size = len(await request.read())
        return web.json_response([before, size])

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(read, client_max_size=0))
        async with session.post(f"{ORIGIN}/", data=pieces()) as response:
            before, size = await response.json()
    assert before < 40
    assert 160 * 64 * 1024 == size
    assert go_on.is_set()


async def test_a_download_waits_for_a_client_that_does_not_read():
    """Back-pressure the other way: the application is paused, and nothing is lost."""
    written = []

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(160):
            await response.write(bytes(64 * 1024))
            written.append(number)
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stream))
        async with session.get(f"{ORIGIN}/") as response:
            await turns(500)
            assert len(written) < 40
            assert 160 * 64 * 1024 == len(await response.read())


async def test_a_long_stream_is_not_kept_in_memory():
    """What has been read is gone: 32 MB pass through a few hundred kilobytes."""

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(512):
            await response.write(bytes(64 * 1024))
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stream))
        await ask(session, method="HEAD")
        tracemalloc.start()
        try:
            async with session.get(f"{ORIGIN}/") as response:
                async for _ in response.content.iter_any():
                    pass
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * 2**20


async def test_leave_to_send_a_body_is_given_by_the_application():
    """Expect: 100-continue is answered by its server, or refused by its own handler."""
    handled = []

    async def accept(request):
        handled.append(await request.text())
        return web.Response(text="accepted")

    async def refuse(_request):
        raise web.HTTPForbidden

    app = web.Application()
    app.router.add_post("/yes", accept)
    app.router.add_post("/no", accept, expect_handler=refuse)
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, app)
        accepted = await ask(session, f"{ORIGIN}/yes", "POST", data=b"body", expect100=True)
        assert (200, "accepted") == accepted
        refused = await ask(session, f"{ORIGIN}/no", "POST", data=b"body", expect100=True)
        assert refused[0] == 403
    assert handled == ["body"]


async def test_leave_may_be_given_twice():
    """Where a route before the mount has to see the body, the stub gives leave, too."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.post(f"{ORIGIN}/", json=1).reply().optional()
        stub.mount(ORIGIN, application())
        assert await ask(session, method="POST", data=b"2", expect100=True) == (200, "mounted")


async def test_a_response_to_head_has_no_body():
    """It announces the length that GET would have."""

    async def handle(_request):
        return web.Response(text="twelve bytes")

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        async with session.head(f"{ORIGIN}/") as response:
            assert ("12", b"") == (response.headers["Content-Length"], await response.read())
        assert await ask(session) == (200, "twelve bytes")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_keeps_the_connection(status):
    """The next request is not read as the body of the last."""

    async def handle(_request):
        return web.Response(status=status)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        assert [(status, "")] * 2 == [await ask(session) for _ in range(2)]


async def test_a_file_is_served_whole_in_part_and_not_at_all(tmp_path):
    """FileResponse reads the file itself: there is no socket to hand it to."""
    file = tmp_path / "file.txt"
    file.write_bytes(bytes(range(256)) * 4096)

    async def handle(_request):
        return web.FileResponse(file)

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        async with session.get(f"{ORIGIN}/") as response:
            assert file.read_bytes() == await response.read()
            etag = response.headers["ETag"]
        part = {"Range": "bytes=1000-1009"}
        async with session.get(f"{ORIGIN}/", headers=part) as response:
            assert response.status == 206
            assert file.read_bytes()[1000:1010] == await response.read()
        async with session.get(f"{ORIGIN}/", headers={"If-None-Match": etag}) as response:
            assert (304, b"") == (response.status, await response.read())
        async with session.head(f"{ORIGIN}/") as response:
            assert str(2**20) == response.headers["Content-Length"]


async def test_compression_is_real():
    """The client undoes it, and the header says so."""

    async def handle(_request):
        response = web.Response(text="long " * 1000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        async with session.get(f"{ORIGIN}/") as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert await response.text() == "long " * 1000
        async with session.get(f"{ORIGIN}/", auto_decompress=False) as response:
            assert len(await response.read()) < 200


async def test_a_compressed_request_is_undone():
    """The application's server does it, as it would on a socket."""

    async def echo(request):
        return web.Response(body=await request.read())

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(echo))
        sent = await ask(session, method="POST", data=b"a" * 5000, compress="gzip")
        assert (200, "a" * 5000) == sent


async def test_forms_and_files_arrive():
    """Multipart, with file names and types."""

    async def handle(request):
        form = await request.post()
        file = form["file"]
        with file.file as content:
            return web.json_response([form["name"], file.filename, content.read().decode()])

    form = aiohttp.FormData()
    form.add_field("name", "Ada")
    form.add_field("file", b"content", filename="a.txt", content_type="text/plain")
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        async with session.post(f"{ORIGIN}/", data=form) as response:
            assert await response.json() == ["Ada", "a.txt", "content"]


async def test_a_body_too_large_for_the_application_is_refused():
    """client_max_size is the application's own."""

    async def echo(request):
        return web.Response(body=await request.read())

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(echo, client_max_size=1000))
        assert (await ask(session, method="POST", data=b"a" * 1001))[0] == 413
        assert await ask(session, method="POST", data=b"a") == (200, "a")


async def test_a_body_that_nobody_reads_is_no_harm():
    """The answer arrives, and the next request, too."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application())
        for size in (10, 10_000_000, 10):
            body = io.BytesIO(bytes(size))
            assert await ask(session, method="POST", data=body) == (200, "mounted")


async def test_a_response_that_nobody_reads_is_no_harm():
    """The client lets it go, and asks again."""

    async def large(_request):
        return web.Response(body=bytes(10_000_000))

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(large))
        for _ in range(3):
            response = await session.get(f"{ORIGIN}/")
            response.release()


async def test_a_connection_is_kept_or_closed_as_the_application_says():
    """Connection: close ends it; otherwise the next request uses it again."""
    reused = []

    async def note_reuse(*_):
        reused.append(True)

    async def handle(request):
        response = web.Response()
        if request.path == "/close":
            response.force_close()
        return response

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note_reuse)
    async with aiostub.Stub() as stub, ClientSession(trace_configs=[trace]) as session:
        stub.mount(ORIGIN, application(handle))
        for path in ("/keep", "/keep", "/close", "/keep"):
            await ask(session, ORIGIN + path)
    assert len(reused) == 2


async def test_a_request_over_http_1_0_is_answered():
    """And the connection closed."""
    version = aiohttp.HttpVersion10
    async with aiostub.Stub() as stub, ClientSession(version=version) as session:
        stub.mount(ORIGIN, application())
        assert [(200, "mounted")] * 2 == [await ask(session) for _ in range(2)]


async def test_200_requests_at_once_are_served_at_once():
    """Each waits for all the others."""
    arrived, all_there = [], asyncio.Event()

    async def handle(request):
        arrived.append(request.path)
        if len(arrived) == 200:
            all_there.set()
        await all_there.wait()
        return web.Response(text=request.path)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiostub.Stub() as stub, ClientSession(connector=connector) as session:
        stub.mount(ORIGIN, application(handle))
        paths = [f"/{n}" for n in range(200)]
        answers = await asyncio.gather(*(ask(session, ORIGIN + path) for path in paths))
    assert [(200, path) for path in paths] == answers


async def test_the_log_says_when_the_head_was_served():
    """elapsed ends with the head of the response, not with its body."""
    gate = asyncio.Event()

    async def stream(request):
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        await response.write(b"x")
        await gate.wait()
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stream))
        async with session.get(f"{ORIGIN}/") as response:
            call = stub.calls.last
            elapsed = call.elapsed
            assert elapsed is not None
            assert call.status == 202
            gate.set()
            await response.read()
        assert call.elapsed == elapsed


async def test_the_log_shows_a_status_that_only_a_middleware_saw():
    """As served, whatever the client makes of it."""
    if not hasattr(aiohttp, "ClientHandlerType"):
        pytest.skip("client middlewares came with aiohttp 3.12")

    async def fails(_request):
        raise web.HTTPServiceUnavailable

    async def refuse(request, handler):
        response = await handler(request)
        response.close()
        raise LookupError

    async with aiostub.Stub() as stub, ClientSession(middlewares=[refuse]) as session:
        stub.mount(ORIGIN, application(fails))
        with pytest.raises(LookupError):
            await ask(session)
        assert stub.calls.last.status == 503


# A client that goes away


async def leave(session, **kwargs):
    """Ask, and be cancelled when the application has begun to answer."""
    task = asyncio.create_task(ask(session, **kwargs))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()


async def test_the_application_sees_that_its_client_has_left():
    """A write raises a ConnectionResetError, which is no error of the application's."""
    raised, go_on, over = [], asyncio.Event(), asyncio.Event()

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await go_on.wait()
        try:
            for _ in range(100):
                await response.write(b"x" * 100_000)
        except ConnectionResetError as error:
            raised.append(error)
            raise
        finally:
            over.set()
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stream))
        await leave(session)
        go_on.set()
        await asyncio.wait_for(over.wait(), 1)
    assert len(raised) == 1


async def test_the_transport_is_gone_for_an_application_whose_client_has_left():
    """request.transport is None then, as behind a real server."""
    found, go_on, over = [], asyncio.Event(), asyncio.Event()

    async def handle(request):
        found.append(request.transport is None)
        await go_on.wait()
        found.append(request.transport is None)
        over.set()
        return web.Response()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        await leave(session)
        go_on.set()
        await asyncio.wait_for(over.wait(), 1)
    assert found == [False, True]


async def test_a_handler_goes_on_when_its_client_has_left():
    """aiohttp cancels none by itself; the stub does when it stops."""
    events = []

    async def handle(_request):
        try:
            await asyncio.Event().wait()
        finally:
            events.append("cancelled")
        return web.Response()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(handle))
        await leave(session)
        assert events == []
    assert events == ["cancelled"]


async def test_a_handler_that_reads_meets_the_end_of_its_client():
    """The upload breaks off for both; that is no error of the application's."""
    raised = []

    async def pieces():
        yield b"piece"
        await asyncio.Event().wait()

    async def read(request):
        try:
            await request.read()
        except Exception as error:
            raised.append(error)
            raise

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(read))
        await leave(session, method="POST", data=pieces())
    assert [True] == [isinstance(error, ConnectionError) for error in raised]


@in_virtual_time
async def test_the_timers_of_a_client_run_against_a_slow_application():
    """In virtual time, without waiting; the application is cancelled when the stub stops."""
    loop, seen = asyncio.get_running_loop(), []

    async def slow(request):
        response = web.StreamResponse()
        if request.path == "/body":
            await response.prepare(request)
            await response.write(b"x")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return response

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(slow))
        for path, timeout in (
            ("/head", ClientTimeout(total=5)),
            ("/head", ClientTimeout(total=None, sock_read=7)),
            ("/body", ClientTimeout(total=11)),
        ):
            before = loop.time()
            with pytest.raises(asyncio.TimeoutError):
                await ask(session, ORIGIN + path, timeout=timeout)
            seen.append(round(loop.time() - before, 6))
    assert seen == [5, 7, 11, *["cancelled"] * 3]


@in_virtual_time
async def test_a_slow_application_is_waited_for():
    """Nothing of ours ends a request: an hour is an hour of the loop's clock."""
    loop = asyncio.get_running_loop()

    async def slow(_request):
        await asyncio.sleep(3600)
        return web.Response(text="at last")

    async with aiostub.Stub() as stub, ClientSession(timeout=ClientTimeout(total=None)) as session:
        stub.mount(ORIGIN, application(slow))
        before = loop.time()
        assert await ask(session) == (200, "at last")
        assert round(loop.time() - before, 3) == 3600
        assert round(stub.calls.last.elapsed, 3) == 3600


# What goes wrong


class AppError(Exception):
    """An error of the application's."""


def raising(error):
    """A handler that raises."""

    async def fails(_request):
        raise error

    return fails


async def test_an_error_of_the_application_is_a_500_and_raised_at_exit(caplog):
    """The client sees what it would behind a real server, the test sees the error."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    with pytest.raises(AppError, match="wrong"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(raising(AppError("wrong"))))
            status, body = await ask(session)
            assert status == 500
            assert "500 Internal Server Error" in body


async def test_a_stub_that_is_not_strict_keeps_the_error_to_itself(caplog):
    """The 500 is all there is."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    async with aiostub.Stub(strict=False) as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(raising(AppError())))
        assert (await ask(session))[0] == 500


async def test_the_first_error_is_raised_and_the_others_are_its_notes(caplog):
    """In the order in which they happened."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    errors = [AppError("first"), AppError("second")]

    async def fails(request):
        raise errors[int(request.query["n"])]

    with pytest.raises(AppError, match="first") as raised:
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(fails))
            for n in "01":
                await ask(session, f"{ORIGIN}/?n={n}")
    assert raised.value.__notes__ == ["AppError: second"]


async def test_the_error_of_the_test_is_not_replaced(caplog):
    """It gets the application's as a note."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    with pytest.raises(AssertionError, match="the test's") as raised:
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(raising(AppError("wrong"))))
            await ask(session)
            raise AssertionError("the test's")
    assert raised.value.__notes__ == ["AppError: wrong"]


@pytest.mark.parametrize("error", [web.HTTPNotFound, web.HTTPConflict, web.HTTPInternalServerError])
async def test_an_http_exception_is_a_response(error):
    """Also a 500 that the application means."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(raising(error)))
        assert (await ask(session))[0] == error.status_code


async def test_a_timeout_that_leaves_the_application_is_a_504(caplog):
    """As aiohttp answers it; it is an error nevertheless."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    with pytest.raises(asyncio.TimeoutError):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(raising(asyncio.TimeoutError)))
            assert (await ask(session))[0] == 504


@pytest.mark.parametrize("fail", [lambda: pytest.fail("no"), lambda: pytest.skip("no")])
async def test_an_outcome_of_pytest_inside_the_application_is_the_tests(fail, caplog):
    """pytest.fail() in a handler: a 500 for the client, and the outcome at exit."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")

    async def fails(_request):
        fail()

    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="no"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(fails))
            assert (await ask(session))[0] == 500


async def test_a_failed_assertion_inside_the_application_fails_the_test(caplog):
    """Although the client only sees a 500."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    with pytest.raises(AssertionError, match="not this"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(raising(AssertionError("not this"))))
            assert (await ask(session))[0] == 500


async def test_an_error_after_the_response_began_breaks_the_response(caplog):
    """No second response stands behind the first one's head."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")

    async def stream(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"part")
        raise AppError("late")

    with pytest.raises(AppError, match="late"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(stream))
            with pytest.raises(aiohttp.ClientPayloadError):
                await ask(session)


async def test_an_outcome_of_pytest_after_the_response_began_breaks_the_response(caplog):
    """It is answered no otherwise than an error."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")

    async def stream(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"part")
        pytest.fail("late")

    with pytest.raises(pytest.fail.Exception, match="late"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(stream))
            with pytest.raises(aiohttp.ClientPayloadError):
                await ask(session)


@pytest.mark.parametrize("returned", [None, "text", {"a": 1}])
async def test_a_handler_that_returns_no_response_is_an_error(returned, caplog):
    """aiohttp answers 500 (older ones drop the connection) and says so in a log alone."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")

    async def forgets(_request):
        return returned

    with pytest.raises(RouteError) as raised:
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(forgets))
            with contextlib.suppress(aiohttp.ServerDisconnectedError):
                assert (await ask(session, method="POST"))[0] == 500
    expected = f"mount({ORIGIN}): a handler must return a web.StreamResponse, got {returned!r}"
    assert expected == str(raised.value)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.refused(), aiohttp.ClientConnectorError),
        (faults.dns(), aiohttp.ClientConnectorError),
        (faults.certificate(), aiohttp.ClientConnectorCertificateError),
        (faults.disconnect(), aiohttp.ServerDisconnectedError),
        (faults.reset(), aiohttp.ClientOSError),
        (faults.garbage(), aiohttp.ClientResponseError),
        (faults.truncated(), aiohttp.ClientPayloadError),
        (faults.bad_gzip(), aiohttp.ClientPayloadError),
    ],
)
async def test_an_application_may_raise_a_fault(fault, expected):
    """Before the response has begun, the client meets it as if a route had failed with it."""
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(raising(fault)))
        with pytest.raises(expected):
            await ask(session, method="POST", data=b"x")
        await turns()
        assert (await session.close()) is None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.disconnect(), aiohttp.ClientPayloadError),
        (faults.reset(), (aiohttp.ClientOSError, aiohttp.ClientPayloadError)),
        (faults.truncated(), aiohttp.ClientPayloadError),
        (faults.refused(), aiohttp.ClientPayloadError),
    ],
)
async def test_a_fault_may_spoil_a_response_that_has_begun(fault, expected):
    """The head arrives, and then the fault strikes."""

    async def stream(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"part")
        await turns()
        raise fault

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stream))
        async with session.get(f"{ORIGIN}/") as response:
            assert await response.content.readany() == b"part"
            with pytest.raises(expected):
                await response.read()


@in_virtual_time
@pytest.mark.parametrize("begun", [False, True])
async def test_a_stalled_application_is_left_to_the_clients_timers(begun):
    """faults.stall(): the head, and then silence."""
    loop = asyncio.get_running_loop()

    async def stalls(request):
        if begun:
            await web.StreamResponse().prepare(request)
        raise faults.stall()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stalls))
        before = loop.time()
        with pytest.raises(asyncio.TimeoutError):
            await ask(session, timeout=ClientTimeout(sock_read=3))
        assert round(loop.time() - before, 6) == 3
        await turns()
        assert len(asyncio.all_tasks()) == 2  # this one, and the application's


async def test_a_fault_that_counts_a_body_needs_a_reply(caplog):
    """after= belongs to reply(fault=); the error is the call's and the exit's."""
    with pytest.raises(RouteError, match="has no body to count in"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, application(raising(faults.reset(after=3))))
            with pytest.raises(RouteError, match="has no body to count in"):
                await ask(session)


async def test_a_fault_for_a_client_that_has_left_strikes_nobody():
    """And leaves nothing behind."""
    go_on = asyncio.Event()

    async def stalls(_request):
        await go_on.wait()
        raise faults.stall()

    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, application(stalls))
        await leave(session)
        go_on.set()
        await turns()
        assert len(asyncio.all_tasks()) == 2  # this one, and the application's


# Startup and cleanup


class Life:
    """What an application goes through."""

    def __init__(self, **signals):
        self.events = []
        self.gate = None
        self.app = application(self.handle)
        self.app.cleanup_ctx.append(self.live)
        for name, callback in signals.items():
            getattr(self.app, name).append(callback)

    async def live(self, _app):
        """Note startup and cleanup."""
        if self.gate is not None:
            await self.gate.wait()
        self.events.append("up")
        yield
        self.events.append("down")

    async def handle(self, request):
        """Answer, or wait for ever."""
        if request.path == "/hang":
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                self.events.append("cancelled")
        return web.Response(text="mounted")


async def test_it_starts_with_the_first_request_and_is_cleaned_up_at_the_end():
    """Once, however many requests there are; cleanup is over when the stub is left."""
    life = Life()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, life.app)
        assert life.events == []
        for _ in range(3):
            assert await ask(session) == (200, "mounted")
        assert life.events == ["up"]
    assert life.events == ["up", "down"]


async def test_an_application_that_nobody_asks_is_never_started():
    """Nor cleaned up."""
    life = Life()
    async with aiostub.Stub() as stub:
        stub.mount(ORIGIN, life.app)
    assert life.events == []


async def test_50_first_requests_at_once_start_it_once():
    """All wait for the same startup."""
    life = Life()
    life.gate = asyncio.Event()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, life.app)
        tasks = [asyncio.create_task(ask(session)) for _ in range(50)]
        await turns()
        life.gate.set()
        assert [(200, "mounted")] * 50 == await asyncio.gather(*tasks)
    assert life.events == ["up", "down"]


async def test_a_client_that_leaves_during_the_startup_does_not_end_it():
    """The next one is answered."""
    life = Life()
    life.gate = asyncio.Event()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, life.app)
        await leave(session)
        life.gate.set()
        assert await ask(session) == (200, "mounted")
    assert life.events == ["up", "down"]


async def test_a_startup_that_fails_is_what_the_client_meets():
    """Each one that asks, and it is raised again at exit."""
    error, calls = AppError("no database"), []

    async def startup(_app):
        calls.append(1)
        raise error

    life = Life(on_startup=startup)
    with pytest.raises(AppError, match="no database") as raised:
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, life.app)
            for _ in range(2):
                with pytest.raises(AppError, match="no database"):
                    await ask(session)
            assert calls == [1]
    assert error is raised.value
    assert not getattr(error, "__notes__", [])
    assert life.events == ["up", "down"]


async def test_a_startup_that_fails_although_its_client_has_left_is_raised_at_exit():
    """Nobody else is there to see it."""
    gate = asyncio.Event()

    async def startup(_app):
        await gate.wait()
        raise AppError("no database")

    with pytest.raises(AppError, match="no database"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, Life(on_startup=startup).app)
            await leave(session)
            gate.set()
            await turns()


async def test_a_stub_that_stops_during_the_startup_ends_it():
    """The client meets the stub's end, and what was started is cleaned up."""
    life = Life(on_startup=lambda _: asyncio.Event().wait())
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.mount(ORIGIN, life.app)
            task = asyncio.create_task(ask(session))
            await turns()
        with pytest.raises(StubStateError):
            await task
    assert life.events == ["up", "down"]


async def test_a_startup_that_goes_on_when_it_is_cancelled_is_cleaned_up():
    """Swallowing the cancellation keeps nothing alive."""

    async def stubborn(_app):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    life = Life(on_startup=stubborn)
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.mount(ORIGIN, life.app)
            task = asyncio.create_task(ask(session))
            await turns()
        with pytest.raises(StubStateError):
            await task
    assert life.events == ["up", "down"]


async def test_an_error_in_the_cleanup_is_raised_at_exit():
    """As the first thing that went wrong."""

    async def cleanup(_app):
        raise AppError("not closed")

    with pytest.raises(AppError, match="not closed"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, Life(on_cleanup=cleanup).app)
            await ask(session)


async def test_what_a_startup_opens_is_closed_by_the_same_task():
    """A task group around the application's life works, and so do context variables."""
    name, events = contextvars.ContextVar("name"), []

    async def live(_app):
        token, task = name.set("x"), asyncio.current_task()
        yield
        name.reset(token)
        events.append(task is asyncio.current_task())

    app = application()
    app.cleanup_ctx.append(live)
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, app)
        await ask(session)
    assert events == [True]


async def test_handlers_are_cancelled_before_the_cleanup():
    """And have ended when it begins."""
    life = Life()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, life.app)
        await leave(session, url=f"{ORIGIN}/hang")
    assert life.events == ["up", "cancelled", "down"]


async def test_a_handler_that_does_not_let_itself_be_cancelled_delays_no_end(caplog, monkeypatch):
    """The stub's end waits a moment for it, and says so in the log."""
    monkeypatch.setattr("aiostub._exchange.apps._PATIENCE", 0.01)
    over = asyncio.Event()

    async def stubborn(_request):
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()
        return web.Response()

    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            stub.mount(ORIGIN, application(stubborn))
            task = asyncio.create_task(ask(session))
            await turns()
        with pytest.raises(StubStateError):
            await task
    assert f"mount({ORIGIN}): a handler goes on although it was cancelled" in caplog.messages
    over.set()
    await turns()


async def test_background_tasks_of_the_application_end_with_it():
    """Those that its cleanup ends, as behind a real server."""
    events = []

    async def live(_app):
        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                events.append("worker ended")

        task = asyncio.create_task(work())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    app = application()
    app.cleanup_ctx.append(live)
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, app)
        await ask(session)
        assert events == []
    assert events == ["worker ended"]


async def test_a_sync_exit_in_the_loop_cleans_up_soon_after():
    """It cannot wait for it."""
    life = Life()
    async with ClientSession() as session:
        with aiostub.Stub() as stub:
            stub.mount(ORIGIN, life.app)
            await ask(session)
        gc.collect()
        await turns()
    assert life.events == ["up", "down"]


@pytest.mark.parametrize("after", range(4))
def test_a_sync_exit_at_the_end_of_the_loop_cleans_up(after):
    """asyncio.run() cancels the cleanup that has begun."""
    life = Life()

    async def main():
        with aiostub.Stub() as stub:
            stub.mount(ORIGIN, life.app)
            async with ClientSession() as session:
                await ask(session)
        await turns(after)

    asyncio.run(main())
    assert life.events == ["up", "down"]


def test_a_sync_exit_outside_the_loop_finds_it_cleaned_up():
    """asyncio.run() has ended the application with the loop."""
    life = Life()
    with aiostub.Stub() as stub:
        stub.mount(ORIGIN, life.app)

        async def main():
            async with ClientSession() as session:
                await ask(session)

        asyncio.run(main())
        assert life.events == ["up", "down"]


def test_an_error_in_a_cleanup_by_asyncio_run_is_raised_at_exit():
    """Though the loop is closed by then."""

    async def cleanup(_app):
        raise AppError("not closed")

    with pytest.raises(AppError, match="not closed"):
        with aiostub.Stub() as stub:
            stub.mount(ORIGIN, Life(on_cleanup=cleanup).app)

            async def main():
                async with ClientSession() as session:
                    await ask(session)
                    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

            asyncio.run(main())


@pytest.fixture
def loop_at_rest():
    """An event loop that runs only while it is told to, and the session in it."""
    loop = asyncio.new_event_loop()
    yield loop
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def asked_in(loop):
    """Ask from a session of its own in a loop."""

    async def main():
        async with ClientSession() as session:
            return await ask(session)

    return loop.run_until_complete(main())


def test_a_sync_exit_runs_a_loop_that_rests(loop_at_rest):
    """And waits for the cleanup."""
    life = Life()
    with aiostub.Stub() as stub:
        stub.mount(ORIGIN, life.app)
        assert asked_in(loop_at_rest) == (200, "mounted")
        assert life.events == ["up"]
    assert life.events == ["up", "down"]


def test_a_sync_exit_after_the_loop_was_closed_says_so(loop_at_rest):
    """Nobody can clean up then."""
    life = Life()
    loop_at_rest.set_exception_handler(lambda *_: None)  # "Task was destroyed"
    stub = aiostub.Stub()
    stub.mount(ORIGIN, life.app)
    stub.start()
    asked_in(loop_at_rest)
    loop_at_rest.close()
    with pytest.warns(RuntimeWarning) as warned:
        stub.stop()
    expected = (
        f"mount({ORIGIN}) was not cleaned up, because its event loop is closed; "
        "leave the stub with `async with`, in the event loop of the requests"
    )
    assert [expected] == [str(w.message) for w in warned]
    assert __file__ == warned[0].filename
    assert life.events == ["up"]
    del stub
    gc.collect()


def test_an_exit_in_another_loop_says_that_it_cannot_clean_up(loop_at_rest):
    """Two loops of one thread cannot run at once."""
    life, stub = Life(), aiostub.Stub()
    stub.start()
    stub.mount(ORIGIN, life.app)
    asked_in(loop_at_rest)

    async def leave_elsewhere():
        stub.stop()

    with pytest.warns(RuntimeWarning, match="because its event loop does not run any more"):
        asyncio.run(leave_elsewhere())
    loop_at_rest.set_exception_handler(lambda *_: None)


@contextlib.contextmanager
def loop_in_a_thread():
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def in_thread(loop, work):
    """Run a coroutine in the loop of another thread."""
    return asyncio.run_coroutine_threadsafe(work, loop).result(5)


async def ask_once():
    """Ask from a session of its own."""
    async with ClientSession() as session:
        return await ask(session)


def test_an_application_in_a_threads_loop_is_cleaned_up_there():
    """The sync exit in this thread waits for it."""
    life = Life()
    with loop_in_a_thread() as loop, aiostub.Stub() as stub:
        stub.mount(ORIGIN, life.app)
        assert in_thread(loop, ask_once()) == (200, "mounted")
        stub.stop()
        assert life.events == ["up", "down"]
        stub.start()


async def test_an_async_exit_cleans_up_in_a_threads_loop():
    """It waits for the other loop without blocking its own."""
    life = Life()
    with loop_in_a_thread() as loop:
        async with aiostub.Stub() as stub:
            stub.mount(ORIGIN, life.app)
            assert in_thread(loop, ask_once()) == (200, "mounted")
        assert life.events == ["up", "down"]


@pytest.mark.parametrize("sync", [True, False])
def test_a_threads_loop_that_is_busy_is_not_waited_for_long(sync, monkeypatch):
    """The exit says that the application was not cleaned up in time."""
    monkeypatch.setattr("aiostub._exchange.apps._OTHER_THREAD", 0.01)
    life, free = Life(), threading.Event()
    with loop_in_a_thread() as loop:
        stub = aiostub.Stub()
        stub.start()
        stub.mount(ORIGIN, life.app)
        in_thread(loop, ask_once())
        loop.call_soon_threadsafe(free.wait)

        async def leave_stub():
            await stub.__aexit__(None, None, None)

        with pytest.warns(RuntimeWarning, match="in another thread, has something else to do"):
            stub.stop() if sync else asyncio.run(leave_stub())
        free.set()
        in_thread(loop, turns())
        assert life.events == ["up", "down"]  # but later than the stub's exit


def test_one_handler_runs_in_several_loops():
    """A served function is no application of the test's: it has one in each loop."""

    async def handle(_request):
        return web.Response(text="served")

    with aiostub.Stub() as stub:
        stub.get(f"{ORIGIN}/").serve(handle).always()
        assert [(200, "served")] * 2 == [asyncio.run(ask_once()) for _ in range(2)]


async def test_an_injected_connector_cleans_up_when_it_closes():
    """A stub that was never started has no other end."""
    life, stub = Life(), aiostub.Stub()
    stub.mount(ORIGIN, life.app)
    async with ClientSession(connector=stub.connector()) as session:
        assert await ask(session) == (200, "mounted")
        assert life.events == ["up"]
    assert life.events == ["up", "down"]


async def test_an_injected_connector_raises_what_went_wrong_in_the_application(caplog):
    """When it closes."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")
    stub = aiostub.Stub()
    stub.mount(ORIGIN, application(raising(AppError("wrong"))))
    with pytest.raises(AppError, match="wrong"):
        async with ClientSession(connector=stub.connector()) as session:
            assert (await ask(session))[0] == 500


async def test_an_application_that_somebody_cancelled_starts_again():
    """A test that cancels all tasks ends it; the next request brings it back."""
    life = Life()
    async with aiostub.Stub() as stub, ClientSession() as session:
        stub.mount(ORIGIN, life.app)
        await ask(session)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await turns()
        assert life.events == ["up", "down"]
        assert await ask(session) == (200, "mounted")
    assert life.events[:3] == ["up", "down", "up"]


async def test_a_startup_that_somebody_cancelled_says_so():
    """Whoever waits for it is told."""
    life = Life(on_startup=lambda _: asyncio.Event().wait())
    with pytest.raises(StubStateError, match="its startup was cancelled"):
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, life.app)
            task = asyncio.create_task(ask(session))
            await turns()
            for other in asyncio.all_tasks() - {asyncio.current_task(), task}:
                if "_live" in repr(other):
                    other.cancel()
            with pytest.raises(StubStateError, match="its startup was cancelled"):
                await task


async def test_a_stub_that_is_started_again_starts_the_application_again():
    """Each run of the stub is a life of its own."""
    life, stub = Life(), aiostub.Stub()
    stub.mount(ORIGIN, life.app)
    async with ClientSession() as session:
        for _ in range(2):
            async with stub:
                assert await ask(session) == (200, "mounted")
    assert life.events[:3] == ["up", "down", "up"]


async def test_nothing_is_left_when_the_stub_has_stopped(monkeypatch):
    """No task, no reference to application, handler or session, in asyncio's debug mode."""
    monkeypatch.setattr(_watch, "current", None)  # pytest remembers stubs until the test is over
    asyncio.get_running_loop().set_debug(True)
    async with ClientSession() as session:
        async with aiostub.Stub() as stub:
            life = Life()
            stub.mount(ORIGIN, life.app)
            await ask(session)
            await leave(session, url=f"{ORIGIN}/hang")
            left = weakref.ref(life.app)
    assert life.events == ["up", "cancelled", "down"]
    del life, stub
    await turns()
    gc.collect()
    assert left() is None
    assert {asyncio.current_task()} == asyncio.all_tasks()


# Under pytest

UNDER_PYTEST = """
import pytest
import aiohttp
from aiohttp import web

events = []

async def live(app):
    events.append("up")
    yield
    events.append("down")

async def handle(request):
    if request.path == "/fails":
        raise LookupError("wrong inside")
    return web.Response(text="mounted")

def app():
    app = web.Application()
    app.cleanup_ctx.append(live)
    app.router.add_get("/{path:.*}", handle)
    return app

async def ask(aiostub, path="/"):
    aiostub.mount("https://api.example.com", app())
    async with aiohttp.ClientSession() as session:
        async with session.get("https://api.example.com" + path) as response:
            return await response.text()
"""


def run_pytest(pytester, tests, *arguments):
    """Run tests that need the code above, in a process of their own."""
    pytester.makepyfile(UNDER_PYTEST + tests)
    return pytester.runpytest_subprocess(
        *NO_HYPOTHESIS,
        *("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:looptime_plugin", "-W", "error"),
        *("-o", "asyncio_default_fixture_loop_scope=function", *arguments),
    )


def test_the_fixture_cleans_up_in_every_scope_of_loops(pytester):
    """Whether the loop ends before the fixture or lives on; an error fails its own test."""
    tests = "".join(
        f"""
@pytest.mark.asyncio(loop_scope={scope!r})
class Test{scope.title()}:
    async def test_one(self, aiostub):
        assert await ask(aiostub) == "mounted"

    async def test_two(self, aiostub):
        assert events[-1] == "down"
        assert await ask(aiostub) == "mounted"
"""
        for scope in ("function", "class", "module", "session")
    )
    fails = """
@pytest.mark.asyncio
async def test_fails(aiostub):
    await ask(aiostub, "/fails")

def test_after():
    assert events == ["up", "down"] * 9
"""
    result = run_pytest(pytester, tests + fails)
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(["*LookupError: wrong inside*"])
    assert "was destroyed" not in result.stdout.str() + result.stderr.str()


def test_the_fixture_cleans_up_under_anyio(pytester):
    """Its loops end in their own way."""
    pytest.importorskip("anyio")
    tests = """
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_one(aiostub):
    assert await ask(aiostub) == "mounted"

def test_after():
    assert events == ["up", "down"]
"""
    run_pytest(pytester, tests).assert_outcomes(passed=2)


async def test_it_runs_on_uvloop():
    """Which sends files in its own way."""
    uvloop = pytest.importorskip("uvloop")
    life = Life()

    async def main():
        async with aiostub.Stub() as stub, ClientSession() as session:
            stub.mount(ORIGIN, life.app)
            return await ask(session)

    def run():
        loop = uvloop.new_event_loop()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()

    assert await asyncio.to_thread(run) == (200, "mounted")
    assert life.events == ["up", "down"]
