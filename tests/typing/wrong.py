"""What a type checker finds wrong, before the test is run.

Each line has the error that it must have: an ignore that nothing needs is an error itself.
"""

import re

import aiohttp

from aiostub import Reply, Route, Stub, faults


def kinds_of_bodies(route: Route) -> None:
    route.reply(json={}, text="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    route.reply(text="a", body=b"a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    route.reply(200, stream=[b"a"], file="a.txt")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    route.reply(200, {"a": 1})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    route.reply("200")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    route.reply(text=b"a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    route.reply(body="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    route.reply(stream=["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    route.reply(jsn={})  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def without_a_body(route: Route) -> None:
    route.reply(204, json=[])  # type: ignore[deprecated]  # pyright: ignore[reportDeprecated]
    route.reply(304, text="a")  # type: ignore[deprecated]  # pyright: ignore[reportDeprecated]
    route.reply(compress="gzip")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    route.reply(503, fault=faults.stall())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def arguments_of_bodies(route: Route) -> None:
    route.reply(stream=[b"a"], compress="lzma")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    route.reply(text="a", delay="1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    route.reply(text="a", fault="reset")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    route.reply(text="a", headers={"X": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    route.reply(text="a", early="yes")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def replies_of_handlers() -> list[Reply]:
    return [
        Reply(json={}, text="a"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        Reply(204, text="a"),  # type: ignore[deprecated]  # pyright: ignore[reportDeprecated]
        Reply(early=True),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        Reply(compress="gzip"),  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ]


def other_steps(route: Route) -> None:
    route.fail("refused")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    route.fail(aiohttp.ClientError, attempts=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    route.timeout("read")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    route.times("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    route.handle("answer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    route.reply().then()  # type: ignore[operator]  # pyright: ignore[reportCallIssue]


def stubs(stub: Stub) -> None:
    Stub(unmatched="maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Stub(strict="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stub.get("/", jsn={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    stub.get("/", where=re.compile("a"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    stub.get()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
