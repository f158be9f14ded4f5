"""The public API as a user types it, for the type checkers alone."""

import re
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

import aiostub
from aiostub import ANY, Call, Calls, Part, Reply, Request, Route, Stub, faults, partial, sse


async def context_managers() -> None:
    with Stub("https://api.test", strict=False, passthrough=["127.0.0.1"]) as sync_stub:
        stub: Stub = sync_stub
    async with Stub(URL("https://api.test"), unmatched="passthrough") as stub:
        stub.start()
        stub.stop()
    async with aiohttp.ClientSession(connector=stub.connector(limit=2)):
        pass


@Stub()
async def decorated(stub: Stub) -> None:
    routes: list[Route] = [
        stub.get("/users", params={"page": 2}),
        stub.post("/users", json=partial({"name": "Ada"}), headers={"X-A": re.compile("a+")}),
        stub.put(URL("https://api.test/x"), data={"a": ["1", "2"]}, cookies={"c": ANY}),
        stub.request("PURGE", re.compile(r"/\d+"), where=lambda request: bool(request.body)),
        stub.any(ANY, first=True),
    ]
    for route in routes:
        route.optional()


async def chunks() -> AsyncIterator[bytes]:
    yield sse("one", event="tick", id="1", retry=1000)


def replies(route: Route) -> Route:
    return (
        route.reply(503)
        .times(2)
        .then.reply(200, json={"a": [1, None]}, headers=[("A", "1"), ("A", "2")], delay=0.5)
        .then.reply(text="x", fault=faults.reset(after=1))
        .then.reply(stream=chunks, compress="gzip", early=True)
        .then.fail(aiohttp.ServerDisconnectedError, delay=1, attempts=1)
        .then.fail(faults.dns())
        .then.timeout("sock_read")
        .then.hang()
        .then.passthrough()
        .then.handle(answer)
        .always()
    )


async def answer(request: Request, user: str) -> Reply:
    return Reply(200, json={"user": user, "sent": request.json()})


async def log(stub: Stub, route: Route) -> None:
    calls: Calls = stub.calls
    last: Call | None = calls.last
    assert last is not None
    request: Request = last.request
    parts: tuple[Part, ...] = request.parts
    gaps: list[float] = calls.gaps
    counts: tuple[int, int, int] = (calls.concurrency, route.call_count, len(parts))
    response: aiohttp.ClientResponse | None = last.response
    error: BaseException | None = last.error
    url: str | URL = last.origin.url
    _ = (gaps, counts, response, error, url, calls.filter("GET", "/a", params=ANY).timeline())
    await route.wait_called(2, timeout=1)
    route.assert_called_once_with(json={"a": 1})
    stub.assert_any_call("GET", "/users", params={"page": "2"})
    stub.assert_call_order(route, route)


async def test_fixture(aiostub: Stub) -> None:
    aiostub.get("/").reply()


errors: tuple[type[aiostub.AiostubError], ...] = (
    aiostub.MissingTimeout,
    aiostub.RouteError,
    aiostub.StubStateError,
    aiostub.UnmatchedRequest,
    aiostub.UnsatisfiedStub,
)
