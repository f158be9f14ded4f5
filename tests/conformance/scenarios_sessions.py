"""What a session adds: cookies, auth, middlewares, raise_for_status, base_url, limits of heads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
from yarl import URL

from .actions import Action, fail, reply
from .harness import App, Client, New, Scenario, ask, get, post
from .scenarios_redirects import to
from .scenarios_replies import as_text

Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]

SET_COOKIES = (
    "plain=1",
    "path=1; Path=/deep",
    "domain=1; Domain=test",
    "sub=1; Domain=.api.test",
    "foreign=1; Domain=elsewhere.org",
    "secure=1; Secure",
    'quoted="a b; c"',
    "flags=1; HttpOnly; SameSite=Lax; Path=/",
    "maxage=1; Max-Age=3600",
    "gone=1; Max-Age=0",
    "past=1; Expires=Wed, 01 Jan 2020 00:00:00 GMT",
    "future=1; Expires=Wed, 01 Jan 2070 00:00:00 GMT; Path=/",
    "empty=",
    'json={"a":1}',
    "=nameless",
    "novalue",
    "bad name=1",
    "part=1; Partitioned; Secure",
    "unknown=1; Whatever=2",
    "utf=č",
)


def calls(*paths: str, method: str = "GET", **session: Any) -> Client:
    """Make a client that asks for one path after the other in one session."""

    async def client(app: App) -> None:
        async with app.session(**session) as opened:
            for path in paths:
                await app.ask(opened, method, path)

    return client


def setting(*cookies: str, status: int = 200) -> Action:
    """Set cookies."""
    return reply(status, headers=[("Set-Cookie", cookie) for cookie in cookies])


async def cookies_of_two_hosts(app: App) -> None:
    """Get a cookie from one host and ask another."""
    async with app.session() as session:
        await app.ask(session, "GET", "/")
        await app.ask(session, "GET", app.url("/", host="other.test"))
        await app.ask(session, "GET", app.url("/", host="sub.api.test"))


async def cookies_put_in_the_jar(app: App) -> None:
    """Fill the jar by hand, and look at what it holds."""
    async with app.session() as session:
        session.cookie_jar.update_cookies({"any": "1", "space": "2 3"})
        session.cookie_jar.update_cookies({"here": "1"}, URL(app.base))
        session.cookie_jar.update_cookies(SimpleCookie("deep=1; Path=/deep"), URL(app.base))
        await app.ask(session, "GET", "/", cookies={"mine": "a b", "here": "2"})
        await app.ask(session, "GET", "/deep/er")
        session.cookie_jar.clear()
        await app.ask(session, "GET", "/")


async def cookies_in_a_header(app: App) -> None:
    """Write the Cookie header oneself, beside the jar."""
    async with app.session(cookies={"jar": "1", "both": "jar"}) as session:
        await app.ask(session, "GET", "/", headers={"Cookie": "own=2; both=own"})


def an_unsafe_jar() -> aiohttp.CookieJar:
    """Make a jar that takes cookies of addresses."""
    return aiohttp.CookieJar(unsafe=True)


def a_trusting_jar() -> aiohttp.CookieJar:
    """Make a jar that sends no cookie with quotes around it."""
    return aiohttp.CookieJar(quote_cookie=False)


async def as_basic(app: App) -> None:
    """Authenticate with each request, or not at all."""
    async with app.session() as session:
        await app.ask(session, "GET", "/", auth=aiohttp.BasicAuth("ada", "lövé", "utf-8"))
        await app.ask(session, "GET", "/", auth=aiohttp.BasicAuth("", ""))
        await app.ask(session, "GET", "/")
        await app.ask(
            session, "GET", "/", auth=aiohttp.BasicAuth("a"), headers={"Authorization": "x"}
        )


async def userinfo(app: App) -> None:
    """Authenticate with the URL."""
    async with app.session() as session:
        for user, password in (("ada", "love"), ("ada", None), ("a:b", "ü@/"), ("", "x")):
            await app.ask(session, "GET", URL(app.base).with_user(user).with_password(password))


def digest(algorithm: str = "MD5", qop: str = 'qop="auth", ') -> Action:
    """Ask for digest authentication."""
    challenge = f'Digest realm="r", nonce="n0", {qop}algorithm={algorithm}, opaque="o"'
    return reply(401, headers={"WWW-Authenticate": challenge}, text="who?")


DIGEST = {r'(cnonce|response)="[0-9a-f]+"': r'\1="..."'}


def digest_session() -> Any:
    """Make the middleware of digest authentication."""
    return (aiohttp.DigestAuthMiddleware("ada", "love"),)  # type: ignore[attr-defined,unused-ignore]


async def authenticated(app: App) -> None:
    """Authenticate, and ask again in the same session."""
    async with app.session(middlewares=New(digest_session)) as session:
        await app.ask(session, "GET", "/a?b=c")
        await app.ask(session, "POST", "/d", data=b"body")


async def stamping(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Add a header."""
    request.headers["X-Stamp"] = "1"
    return await handler(request)


async def tagging(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Add another header, whose value tells the order."""
    request.headers["X-Tag"] = request.headers.get("X-Stamp", "none")
    return await handler(request)


async def retrying(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Try three times, whatever happens."""
    for _ in range(2):
        try:
            response = await handler(request)
        except aiohttp.ClientError:
            continue
        if response.status < 500:
            return response
        response.release()
    return await handler(request)


async def rewriting(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Send the request elsewhere."""
    request.url = request.url.with_path("/rewritten")
    request.method = "PUT"
    return await handler(request)


async def refusing(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Let nothing through."""
    raise PermissionError(f"not {request.method}")


async def reading(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Read the body before the app does."""
    response = await handler(request)
    await response.read()
    return response


def answering_from_store() -> Any:
    """Make a middleware that asks once and answers with that for ever."""
    stored: list[aiohttp.ClientResponse] = []

    async def store(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        if not stored:
            stored.append(await handler(request))
            await stored[0].read()
        return stored[0]

    return (store,)


async def asking_too(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Make a request of its own first."""
    token = await request.session.get(request.url.with_path("/token"), middlewares=())
    request.headers["Authorization"] = await token.text()
    return await handler(request)


async def body_changing(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    """Send another body."""
    await request.update_body(b"another body")
    return await handler(request)


async def raise_for_418(response: aiohttp.ClientResponse) -> None:
    """Refuse one status."""
    if response.status == 418:
        raise ValueError("no tea")


async def own_raise(response: aiohttp.ClientResponse) -> object:
    """Raise for the status after the body is read."""
    body = await response.read()
    try:
        response.raise_for_status()
    except aiohttp.ClientResponseError as error:
        return [body, error]
    return body


def based(base: str, *paths: str) -> Client:
    """Make a client whose session has a base URL."""

    async def client(app: App) -> None:
        async with app.session(base_url=base) as session:
            for path in paths:
                await app.ask(session, "GET", path, bare=True)

    return client


def long_header(size: int) -> Action:
    """Reply with one long header."""
    return reply(headers={"X-Long": "x" * size})


def long_reason(size: int) -> Action:
    """Reply with a long status line."""
    return reply(reason="x" * size)


def many_headers(count: int) -> Action:
    """Reply with very many headers."""
    return reply(headers=[(f"X-{n}", "1") for n in range(count)])


async def two_sessions(app: App) -> None:
    """Share one connector between two sessions."""
    connector = app.connector()
    for _ in range(2):
        async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
            await app.ask(session, "GET", "/")
        app.note("closed", [session.closed, connector.closed])
    await connector.close()
    app.note("closed", connector.closed)


async def closed_session(app: App) -> None:
    """Ask a session that is closed."""
    async with app.session() as session:
        await app.ask(session, "GET", "/")
    await app.attempt("closed", session.get(app.url("/")))


async def closed_connector(app: App) -> None:
    """Ask a session whose connector is closed."""
    async with app.session() as session:
        await session.connector.close()
        await app.ask(session, "GET", "/")


async def trusting_environment(app: App) -> None:
    """Let the environment say what it wants, which is nothing."""
    async with app.session(trust_env=True) as session:
        await app.ask(session, "GET", "/")


async def websocket_refused(app: App) -> None:
    """Ask for a WebSocket and get something else."""
    async with app.session() as session:
        for _ in range(3):
            await app.attempt("handshake", session.ws_connect(app.url("/ws")))


WEBSOCKET = {r"Sec-WebSocket-Key: .*": "Sec-WebSocket-Key: random"}


async def upgrade_ignored(app: App) -> None:
    """Ask for another protocol and get plain HTTP."""
    headers = {"Upgrade": "h2c", "Connection": "Upgrade"}
    async with app.session(headers=headers) as session:
        await app.ask(session, "GET", "/")
        await app.ask(session, "GET", "/")


async def several_at_once(app: App) -> None:
    """Ask for three paths at once."""
    async with app.session() as session:

        async def one(path: str) -> object:
            async with session.get(app.url(path)) as response:
                return [path, response.status, await response.text()]

        app.note("all", await asyncio.gather(*map(one, ("/a", "/b", "/c"))))


SCENARIOS = [
    Scenario("cookies of all shapes", [setting(*SET_COOKIES)], get("/deep/er")),
    Scenario(
        "cookies come back",
        [setting(*SET_COOKIES), reply(times=3)],
        calls("/deep/er", "/", "/deep", "/deep/er/est"),
    ),
    Scenario(
        "cookies of a reply", [reply(cookies={"a": "1", "b": "x-y"}), reply()], calls("/p/q", "/r")
    ),
    Scenario(
        "one cookie set twice",
        [setting("a=1", "a=2; Path=/x", "a=3; Path=/"), reply()],
        calls("/x/y", "/x/z"),
    ),
    Scenario(
        "a cookie taken back",
        [setting("a=1; Path=/"), setting("a=; Path=/; Max-Age=0"), reply()],
        calls("/", "/", "/"),
    ),
    Scenario(
        "cookies of two hosts",
        [setting("a=1", "d=1; Domain=api.test"), setting("b=1"), reply()],
        cookies_of_two_hosts,
    ),
    Scenario(
        "a cookie set by an error",
        [setting("a=1", status=500), reply()],
        calls("/", "/"),
    ),
    Scenario("cookies of the session", [reply()], get(session={"cookies": {"a": "1", "b": "x y"}})),
    Scenario("cookies of the request", [reply()], get(cookies={"a": "1", "b": "x y"})),
    Scenario("cookies put in the jar", [reply(times=3)], cookies_put_in_the_jar),
    Scenario("cookies in a header", [reply()], cookies_in_a_header),
    Scenario(
        "a jar that forgets",
        [setting("a=1"), reply()],
        calls("/", "/", cookie_jar=New(aiohttp.DummyCookieJar)),
    ),
    Scenario(
        "a jar that takes no cookies of addresses",
        [setting("a=1"), reply()],
        calls("/", "/"),
        host="127.0.0.1",
    ),
    Scenario(
        "an unsafe jar takes cookies of addresses",
        [setting("a=1"), reply()],
        calls("/", "/", cookie_jar=New(an_unsafe_jar)),
        host="127.0.0.1",
    ),
    Scenario(
        "a jar that quotes cookies",
        [setting('a="x y"', "b=1:2"), reply()],
        calls("/", "/", cookies={"c": "p q"}),
    ),
    Scenario(
        "a jar that quotes no cookies",
        [setting('a="x y"', "b=1:2"), reply()],
        calls("/", "/", cookie_jar=New(a_trusting_jar), cookies={"c": "p q"}),
    ),
    Scenario("basic auth", [reply(times=3)], as_basic),
    Scenario(
        "basic auth of the session",
        [reply()],
        get(session={"auth": New(aiohttp.BasicAuth, "ada", "love")}),
    ),
    Scenario("userinfo in the URL becomes a header", [reply(times=3)], userinfo),
    Scenario(
        "digest authentication",
        [digest(), reply(text="in"), reply(204)],
        authenticated,
        since=(3, 12),
        tidy=DIGEST,
    ),
    Scenario(
        "digest authentication with SHA-256",
        [digest("SHA-256"), reply(text="in"), reply(204)],
        authenticated,
        since=(3, 12),
        tidy=DIGEST,
    ),
    Scenario(
        "digest authentication refused",
        [digest(), digest(), reply(204)],
        authenticated,
        since=(3, 12),
        tidy=DIGEST,
    ),
    Scenario(
        "a middleware adds a header",
        [reply(), reply()],
        calls("/", "/", middlewares=(stamping, tagging)),
        since=(3, 12),
    ),
    Scenario(
        "a middleware retries what failed",
        [reply(503), reply(502), reply(text="up")],
        get(session={"middlewares": (retrying,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware retries a POST",
        [reply(503), reply(text="up")],
        post(json={"a": 1}, session={"middlewares": (retrying,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware retries after a dropped connection",
        [fail("disconnect", met=1), fail("reset", met=1), reply(text="up")],
        get(session={"middlewares": (retrying,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware retries a POST after a dropped connection",
        [fail("disconnect", met=1), reply(text="up")],
        post(data=b"x", session={"middlewares": (retrying,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware gives up",
        [fail("disconnect", met=1, times=3)],
        post(data=b"x", session={"middlewares": (retrying,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware of one request",
        [reply()],
        get(session={"middlewares": (tagging,)}, middlewares=(stamping,)),
        since=(3, 12),
    ),
    Scenario(
        "a middleware sends a request elsewhere",
        [reply()],
        get(session={"middlewares": (rewriting,)}),
        since=(3, 12),
    ),
    Scenario("a middleware refuses", [], get(session={"middlewares": (refusing,)}), since=(3, 12)),
    Scenario(
        "a middleware reads the body",
        [reply(text="read")],
        get(session={"middlewares": (reading,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware answers from its store",
        [reply(text="stored")],
        calls("/", "/", middlewares=New(answering_from_store)),
        since=(3, 12),
    ),
    Scenario(
        "a middleware makes a request of its own",
        [reply(text="token"), reply()],
        get(session={"middlewares": (asking_too,)}),
        since=(3, 12),
    ),
    Scenario(
        "a middleware changes the body",
        [reply()],
        post(data=b"body", session={"middlewares": (body_changing,)}),
        since=(3, 13),
    ),
    Scenario(
        "a middleware sees redirects",
        [to("/there"), reply()],
        get(session={"middlewares": (stamping,)}),
        since=(3, 12),
    ),
    Scenario(
        "raise_for_status of the session",
        [reply(404, reason="Gone Fishing", headers={"X-A": "1"}), reply()],
        calls("/", "/", raise_for_status=True),
    ),
    Scenario(
        "raise_for_status of the request", [reply(500, text="no")], get(raise_for_status=True)
    ),
    Scenario(
        "raise_for_status of the request wins",
        [reply(500, text="no")],
        get(session={"raise_for_status": True}, raise_for_status=False),
    ),
    Scenario(
        "raise_for_status of one's own",
        [reply(418), reply(404)],
        calls("/", "/", raise_for_status=raise_for_418),
    ),
    Scenario("raise_for_status of the response", [reply(404, text="no")], get(read=own_raise)),
    Scenario(
        "raise_for_status after a redirect",
        [to("/there"), reply(403)],
        get(raise_for_status=True),
    ),
    Scenario("a base URL", [reply(times=2)], based("/", "/", "/a?b=c")),
    Scenario(
        "a base URL and a relative path", [reply(times=2)], based("/", "b?c=d", ""), since=(3, 11)
    ),
    Scenario(
        "a base URL with a path", [reply(times=3)], based("/v1/", "a", "/b", "../c"), since=(3, 12)
    ),
    Scenario(
        "a header over the limit",
        [long_header(9000)],
        get(session={"max_field_size": 8190}),
        log=False,
    ),
    Scenario(
        "a header under a higher limit", [long_header(9000)], get(session={"max_field_size": 10000})
    ),
    Scenario(
        "a header under a higher limit of the request",
        [long_header(9000)],
        get(max_field_size=10000),
    ),
    Scenario("a header over a lower limit", [long_header(900)], get(max_field_size=500)),
    Scenario("a status line over the limit", [long_reason(9000)], get()),
    Scenario("a status line under a higher limit", [long_reason(9000)], get(max_line_size=10000)),
    Scenario("very many headers", [many_headers(100)], get()),
    Scenario("too many headers", [many_headers(200)], get(), since=(3, 14)),
    Scenario("a connector shared by two sessions", [reply(times=2)], two_sessions),
    Scenario("a session that is closed", [reply()], closed_session),
    Scenario("a connector that is closed", [], closed_connector),
    Scenario("the environment is trusted", [reply()], trusting_environment),
    Scenario(
        "a WebSocket refused",
        [reply(403, text="no"), reply(200, json={}), reply(503, headers={"Retry-After": "1"})],
        websocket_refused,
        tidy=WEBSOCKET,
    ),
    Scenario(
        "a WebSocket whose handshake hangs up",
        [fail("disconnect"), fail("reset"), fail("disconnect")],
        websocket_refused,
        tidy=WEBSOCKET,
    ),
    Scenario("an upgrade ignored", [reply(text="h1", times=2)], upgrade_ignored),
    Scenario(
        "several requests at once, answered by path",
        {"/a": [reply(text="A", delay=0.02)], "/b": [reply(text="B")], "/c": [reply(204)]},
        several_at_once,
        log=False,
    ),
    Scenario("a text by its path", {"/a?b=c": [reply(text="A")]}, get("/a?b=c", read=as_text)),
    Scenario(
        "two replies for one path",
        {"/a": [reply(text="1"), reply(text="2")], "/b": [reply(text="B")]},
        calls("/a", "/b", "/a"),
    ),
    Scenario("a HEAD by its path", {"/a": [reply(text="A")]}, ask("HEAD", "/a")),
]
