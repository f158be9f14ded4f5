"""Redirects: what aiohttp makes of each status, and what it carries along."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from .actions import Action, fail, reply
from .harness import App, Client, New, Scenario, ask, get, post, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CREDENTIALS = {"Authorization": "Bearer secret", "Cookie": "c=1", "X-Kept": "1"}


def to(location: str, status: int = 302, **arguments: Any) -> Action:
    """Redirect."""
    return reply(status, headers=[("Location", location)], **arguments)


async def pieces() -> AsyncIterator[bytes]:
    """Produce a body that can be sent but once."""
    for piece in (b"not ", b"again"):
        yield piece
        await asyncio.sleep(0)


def each_method(status: int) -> Client:
    """Make a client that is redirected with each method."""

    async def client(app: App) -> None:
        async with app.session() as session:
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
                data = None if method in {"GET", "HEAD"} else b"kept?"
                await app.ask(session, method, "/here", data=data)

    return client


def through(*locations: str) -> Client:
    """Make a client that follows redirects to these places, each in its own call."""

    async def client(app: App) -> None:
        async with app.session(headers=CREDENTIALS) as session:
            for _ in locations:
                await app.ask(session, "GET", "/a/b?c=d#e")

    return client


def hops(*locations: str) -> list[Action]:
    """Redirect to these places, with an answer after each."""
    return [action for place in locations for action in (to(place), reply(text="there"))]


RELATIVE = ("/there", "there", "../there", "?x=1", "./", "#only", "/with space/ü?q=ž", "/%2F?a=%26")


async def to_another_origin(app: App) -> None:
    """Follow a redirect to another host with everything that could be secret."""
    async with app.session(cookies={"jar": "1"}) as session:
        await app.ask(
            session, "GET", "/login", headers={**CREDENTIALS, "Proxy-Authorization": "Basic eA=="}
        )


async def with_credentials_in_url(app: App) -> None:
    """Follow a redirect with userinfo in the URL that is asked."""
    async with app.session() as session:
        url = URL(app.base).with_user("ada").with_password("love").with_path("/here")
        await app.ask(session, "GET", url)


async def with_auth(app: App) -> None:
    """Follow a redirect to the same origin with the auth of the session."""
    async with app.session(auth=aiohttp.BasicAuth("ada", "love")) as session:
        await app.ask(session, "GET", "/here")


async def history(response: aiohttp.ClientResponse) -> object:
    """Show each response of the history as the app can still see it."""
    return [
        [hop.status, str(hop.url), hop.headers, hop.closed, len(hop.history), hop.method]
        for hop in response.history
    ]


async def raising(response: aiohttp.ClientResponse) -> None:
    """Refuse a status."""
    if response.status == 418:
        raise aiohttp.ClientResponseError(
            response.request_info, response.history, status=418, message="tea"
        )


SCENARIOS = [
    *(
        Scenario(
            f"a redirect with {status} after each method",
            [to("/there", status), reply(text="there")] * 6,
            each_method(status),
        )
        for status in (301, 302, 303, 307, 308)
    ),
    Scenario("300 and 304 are no redirects", [to("/x", 300), to("/x", 304)] * 3, each_method(300)),
    Scenario("relative places", hops(*RELATIVE), through(*RELATIVE)),
    Scenario(
        "a redirect with 307 keeps JSON and headers",
        [to("/there", 307), reply()],
        post("/here", json={"a": 1}, headers={"X-Kept": "1"}),
    ),
    Scenario(
        "a redirect with 303 drops the body and its headers",
        [to("/there", 303), reply()],
        post("/here", json={"a": 1}, headers={"X-Kept": "1"}),
    ),
    Scenario(
        "a redirect with 307 of a form",
        [to("/there", 307), reply()],
        post("/here", data={"a": "1"}),
    ),
    Scenario(
        "a redirect with 308 of a body that is used up",
        [to("/there", 308), reply()],
        put("/here", data=New(pieces)),
        until=(3, 13),
    ),
    Scenario(
        "a redirect with 308 of a body that is used up is not followed",
        [to("/there", 308)],
        put("/here", data=New(pieces)),
        since=(3, 14),
    ),
    Scenario("a redirect drops params", [to("/there"), reply()], get("/here", params={"p": "1"})),
    Scenario(
        "a redirect to another origin drops what is secret",
        [to("http://other.test/there"), reply()],
        to_another_origin,
    ),
    Scenario(
        "a redirect of userinfo in the URL",
        [to("/there"), reply()],
        with_credentials_in_url,
    ),
    Scenario("a redirect with auth to the same origin", [to("/there"), reply()], with_auth),
    Scenario(
        "a redirect to userinfo",
        [to("http://eve:pass@other.test/there"), reply()],
        get("/here", headers={"X-Kept": "1"}),
    ),
    Scenario(
        "a redirect that sets a cookie",
        [reply(302, headers=[("Location", "/there"), ("Set-Cookie", "a=1")]), reply()],
        get("/here"),
    ),
    Scenario("redirects not followed", [to("/there")], get("/here", allow_redirects=False)),
    Scenario("a redirect with a body", [to("/there", text="moved"), reply()], get("/here")),
    Scenario(
        "the history of two redirects",
        [to("/2", 301), to("/3", 307), reply(text="3")],
        get("/1", read=history),
    ),
    Scenario("redirects without end", [to("/again", times=10)], get("/again")),
    Scenario("more redirects than allowed", [to("/2"), to("/3")], get("/1", max_redirects=2)),
    Scenario("a redirect with no place", [reply(302, text="where?")], get()),
    Scenario(
        "a redirect by the header URI",
        [reply(302, headers={"URI": "/there"}), reply()],
        get(),
    ),
    Scenario("a redirect to no URL", [to("http://[::1/")], get(), since=(3, 10)),
    Scenario("a redirect to another scheme", [to("ftp://api.test/")], get(), since=(3, 10)),
    Scenario("a redirect to mail", [to("mailto:ada@api.test")], get(), since=(3, 10)),
    Scenario("a redirect without a host", [to("http:///there")], get(), since=(3, 10)),
    Scenario(
        "redirects that are not requoted",
        [to("/a%2Fb?x=%7E"), reply()],
        get(session={"requote_redirect_url": False}),
    ),
    Scenario(
        "a redirect to a failing place",
        [to("/there"), reply(418)],
        get(raise_for_status=raising),
    ),
    Scenario(
        "a redirect to a place that hangs up",
        [to("/there", 307), fail("disconnect")],
        post("/here", data=b"x"),
    ),
    Scenario(
        "a GET redirected to a place that hangs up", [to("/there"), fail("disconnect")], get()
    ),
    Scenario("a redirect of HEAD with 303", [to("/there", 303), reply(text="x")], ask("HEAD")),
    Scenario(
        "a redirect asks to close",
        [
            reply(302, headers=[("Location", "/there"), ("Connection", "close")]),
            reply(text="there"),
        ],
        get(),
    ),
    Scenario(
        "a redirect with a fragment keeps it from the wire",
        [to("/there#part"), reply()],
        get("/here#old"),
    ),
]
