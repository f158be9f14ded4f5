"""How much of the bodies of requests the log keeps."""

from __future__ import annotations

import tracemalloc

import aiohttp
import pytest

import aiostub
from aiostub import Stub

URL = "http://api.test/x"


async def send(stub, data):
    """Send a body, and return what the log has of it."""
    async with aiohttp.ClientSession() as session, session.post(URL, data=data) as response:
        await response.read()
    request = stub.calls.last.request
    return request.body, request.truncated


async def pieces(count, size=65536):
    """Give a long body, piece by piece."""
    for _ in range(count):
        yield bytes(size)


@pytest.mark.parametrize(
    ("limit", "logged"),
    [
        (None, (b"abcdef", False)),
        (7, (b"abcdef", False)),
        (6, (b"abcdef", False)),
        (5, (b"abcde", True)),
        (0, (b"", True)),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_the_log_keeps_the_beginning(limit, logged, streamed):
    """And says whether there was more; whether it came at once or bit by bit."""

    async def bits():
        for bit in (b"ab", b"cd", b"ef"):
            yield bit

    with Stub(log_bodies=limit) as stub:
        stub.post(URL).reply()
        assert logged == await send(stub, bits() if streamed else b"abcdef")


async def test_a_request_without_a_body_is_whole():
    """There was no more than nothing."""
    with Stub(log_bodies=0) as stub:
        stub.post(URL).reply()
        assert (b"", False) == await send(stub, None)


@pytest.mark.parametrize(
    "condition", [{"data": b"abcdef"}, {"where": lambda r: r.text == "abcdef"}]
)
async def test_a_route_sees_the_whole_body(condition):
    """What is not kept was there to be matched."""
    with Stub(log_bodies=2) as stub:
        stub.post(URL, **condition).reply()
        assert (b"ab", True) == await send(stub, b"abcdef")


@pytest.mark.parametrize("early", [False, True])
async def test_a_handler_sees_the_whole_body(early):
    """As far as it has come."""
    seen = []

    async def handle(request):
        seen.append((request.body, request.truncated))
        return 200

    with Stub(log_bodies=2) as stub:
        stub.post(URL).handle(handle, early=early)
        assert (b"ab", True) == await send(stub, b"abcdef")
    assert early or [(b"abcdef", False)] == seen


async def test_a_request_that_fails_is_cut_too():
    """The one that was never sent, and the one that was."""
    with Stub(log_bodies=2) as stub:
        stub.post(URL).fail(aiostub.faults.refused()).then.fail(aiostub.faults.disconnect())
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectionError):
                await send(stub, b"abcdef")
    assert [(b"ab", True)] * 2 == [(c.request.body, c.request.truncated) for c in stub.calls]


async def test_what_passes_through_is_cut_too(aiohttp_server):
    """The real server gets all of it."""
    got = []

    async def answer(request):
        got.append(await request.read())
        return aiohttp.web.Response()

    app = aiohttp.web.Application()
    app.router.add_post("/", answer)
    server = await aiohttp_server(app)
    with Stub(log_bodies=2) as stub:
        async with aiohttp.ClientSession() as session:
            await session.post(server.make_url("/"), data=b"abcdef")
            await session.post(server.make_url("/"), data=pieces(1, 6))
    assert [b"abcdef", bytes(6)] == got
    assert [b"ab", bytes(2)] == [call.request.body for call in stub.calls]


async def test_a_whole_body_is_not_held_in_two_forms_while_it_comes():
    """What has come is kept for the log; as it was on the wire, nobody will want it again."""
    with Stub() as stub:
        stub.post(URL).reply()
        async with aiohttp.ClientSession() as session:
            tracemalloc.start()
            async with session.post(URL, data=pieces(100)) as response:
                await response.read()
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    size = 100 * 65536
    assert size == len(stub.calls.last.request.body)
    assert most < 2.2 * size  # in pieces, and joined in the end


async def test_memory_does_not_grow_with_the_body():
    """Whoever pushes gigabytes needs no memory for them."""
    with Stub(log_bodies=100) as stub:
        stub.post(URL).reply()
        async with aiohttp.ClientSession() as session:
            tracemalloc.start()
            async with session.post(URL, data=pieces(300)) as response:
                await response.read()
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert most < 2**20
    assert (bytes(100), True) == (
        stub.calls.last.request.body,
        stub.calls.last.request.truncated,
    )


@pytest.mark.parametrize("wrong", [-1, 1.5, "1 MB", True])
def test_the_limit_is_a_number_of_bytes(wrong):
    """Anything else is an error at once."""
    with pytest.raises(aiostub.RouteError, match="log_bodies: expected a number of bytes"):
        Stub(log_bodies=wrong)


async def test_a_decorated_run_has_the_same_limit():
    """Its stub is like the decorating one."""

    @Stub(log_bodies=2)
    async def run(stub):
        stub.post(URL).reply()
        return await send(stub, b"abcdef")

    assert (b"ab", True) == await run()
