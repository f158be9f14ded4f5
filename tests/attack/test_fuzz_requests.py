"""Whatever a client sends, the log has what a real server would have got."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import uuid
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import hdrs, web
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

import aiostub
from aiostub import ANY

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiohttp")  # bytes in forms

few = settings(
    max_examples=int(os.environ.get("ATTACK_EXAMPLES", "60")),
    phases=[Phase.explicit, Phase.generate, *[Phase.shrink] * ("SHRINK" in os.environ)],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Seen(NamedTuple):
    """A request as it came out at a far end."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def as_on_the_wire(raw_headers):
    """Decode header lines; aiohttp's parser spells some names its own way."""
    decoded = (
        (name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in raw_headers
    )
    return [(name.lower(), value) for name, value in decoded]


class EveryHostIsHere(AbstractResolver):
    """Lead every name to this machine."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        """Give the loopback address."""
        here = {"hostname": host, "host": "127.0.0.1", "port": port, "proto": 0, "flags": 0}
        return [{**here, "family": socket.AF_INET}]

    async def close(self):
        """Hold nothing."""


class Site:
    """A real server that keeps what it got, a loop to ask it in, and a session for all of it."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.arrived: list[Seen] = []
        self.port = 0
        self.run(self._start())

    def run(self, coroutine: Any) -> Any:
        """Run something to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 10))

    async def _answer(self, request):
        body = await request.read()
        self.arrived.append(
            Seen(request.method, request.raw_path, as_on_the_wire(request.raw_headers), body)
        )
        return web.Response(text="real")

    async def _start(self):
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.01, auto_decompress=False
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        connector = aiohttp.TCPConnector(resolver=EveryHostIsHere(), use_dns_cache=False)
        self.session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=2)
        )

    def close(self):
        """Leave nothing behind."""
        self.run(self.session.close())
        self.run(self._runner.cleanup())
        self.run(asyncio.sleep(0))
        self.loop.close()

    async def ask(self, method: str, url: Any, make: Any) -> tuple[str, Any]:
        """Send a request; *make* gives its arguments afresh."""
        try:
            async with self.session.request(method, url, allow_redirects=False, **make()) as got:
                await got.read()
                return "ok", got
        except (aiohttp.ClientError, ValueError, TypeError, asyncio.TimeoutError) as error:
            return type(error).__name__, str(error)


@pytest.fixture(scope="module")
def site():
    """One server and one session for all examples."""
    site = Site()
    with pytest.MonkeyPatch.context() as patch:  # aiohttp draws boundaries at random
        patch.setattr("uuid.uuid4", lambda: uuid.UUID(int=7))
        yield site
    site.close()


# What a client may say

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0")
words = st.text("abcXYZ019-_.~", min_size=1, max_size=8)
odd_text = st.text(letters, max_size=12)
tokens = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=10)
header_values = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip),
    st.text(st.characters(min_codepoint=0xA1, max_codepoint=0x2FF), max_size=6),
    st.text("a\tb c", max_size=6).map(str.strip),
)
known_verbs = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "Post"])
hosts = st.sampled_from(
    ["127.0.0.1", "api.example.com", "API.Example.com", "żółw.example", "a_b.example", "x.y.z."]
)
paths = st.one_of(
    st.just(""),
    st.lists(st.one_of(words, odd_text), max_size=4).map(lambda parts: "/" + "/".join(parts)),
    st.text("ab/%2Ff;=:@!$'()*,+&é ", max_size=14).map("/".__add__),
)
queries = st.one_of(
    st.just(""),
    st.text("ab=&%2F+;é ?/@:[]", max_size=12).map("?".__add__),
)
fragments = st.sampled_from(["", "", "#f", "#/a?b"])
users = st.sampled_from(["", "", "", "u@", "u:p@", "u%40:p%3A%C3%A9@", ":p@"])


@st.composite
def urls(draw):
    """Give what makes a URL once the port is known."""
    user, host, path, query, fragment = (
        draw(users),
        draw(hosts),
        draw(paths),
        draw(queries),
        draw(fragments),
    )
    encoded = draw(st.sampled_from([False, False, False, True])) and path.isascii()
    encoded = encoded and query.isascii() and " " not in path + query and host.isascii()

    def make(port):
        text = f"http://{user}{host}:{port}{path}{query}{fragment}"
        return URL(text, encoded=True) if encoded else text

    return make


params = st.one_of(
    st.none(),
    st.dictionaries(words, st.one_of(odd_text, st.integers(), st.floats(0, 9)), max_size=3),
    st.lists(st.tuples(words, odd_text), max_size=3),
    odd_text,
)
header_sets = st.one_of(
    st.none(),
    st.lists(st.tuples(tokens, header_values), max_size=5).map(CIMultiDict),
    st.sampled_from(
        [
            {"Content-Type": "text/weird; charset=latin-1"},
            {"Host": "other.example"},
            {"User-Agent": ""},
            {"Accept": "a", "accept": "b"},
            {"Connection": "close"},
            {"Connection": "keep-alive"},
            {"Expect": "100-continue"},
            {"Accept-Encoding": "identity"},
            {"Cookie": 'a=1; b="2"'},
            {"Authorization": "Basic Zm9vOmJhcg=="},
            {"Transfer-Encoding": "chunked"},
            {"Content-Encoding": "deflate"},
        ]
    ),
)
cookies = st.one_of(st.none(), st.dictionaries(words, odd_text, max_size=3))


def _async_pieces(pieces):
    async def give():
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)

    return give


def form_of(fields, *, quote=True, multipart=False):
    """Make a form of fields, some of which are files."""

    def make():
        form = aiohttp.FormData(quote_fields=quote)
        form._is_multipart = multipart
        for name, value, filename, content_type in fields:
            kind = {} if content_type is None else {"content_type": content_type}
            if filename is not None:
                kind["filename"] = filename
            form.add_field(name, value, **kind)
        return form

    return make


def writer_of(tree, subtype="mixed"):
    """Make a multipart body, parts within parts."""

    def make():
        writer = aiohttp.MultipartWriter(subtype, boundary=f"b{len(repr(tree))}")
        for part in tree:
            if isinstance(part, list):
                writer.append(writer_of(part, "related")())
            elif isinstance(part, dict):
                writer.append_json(part)
            else:
                writer.append(part, {"X-Part": "1"} if len(part) % 2 else None)
        return writer

    return make


chunks = st.lists(st.binary(max_size=2000), max_size=5)


class Big(bytes):
    """Be long, but not in a report."""

    __slots__ = ()

    def __repr__(self):
        return f"Big({len(self)})"


big = st.sampled_from([Big(70_000), Big(281_600)])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | odd_text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(odd_text, inner, max_size=2),
    max_leaves=4,
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
fields = st.lists(
    st.tuples(
        names,
        st.one_of(st.binary(max_size=20), odd_text, big),
        st.one_of(st.none(), names),
        st.sampled_from([None, None, "text/plain", "application/x-y", "text/html; charset=utf-8"]),
    ),
    min_size=1,
    max_size=3,
)
parts = st.recursive(
    st.lists(st.one_of(odd_text, st.binary(max_size=20), st.just({"a": 1})), max_size=3),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
bodies = st.one_of(
    st.just(dict),
    st.just(dict),
    json_values.map(lambda value: lambda: {"json": value}),
    st.one_of(st.binary(max_size=50), big).map(lambda data: lambda: {"data": data}),
    odd_text.map(lambda data: lambda: {"data": data}),
    st.binary(max_size=50).map(lambda data: lambda: {"data": io.BytesIO(data)}),
    odd_text.map(lambda data: lambda: {"data": io.StringIO(data)}),
    st.one_of(chunks, big.map(lambda b: [b])).map(
        lambda pieces: lambda: {"data": _async_pieces(pieces)()}
    ),
    st.dictionaries(odd_text, odd_text, max_size=3).map(lambda data: lambda: {"data": data}),
    st.tuples(fields, st.booleans(), st.booleans()).map(
        lambda t: lambda: {"data": form_of(t[0], quote=t[1], multipart=t[2])()}
    ),
    parts.map(lambda tree: lambda: {"data": writer_of(tree)()}),
)
manners = st.fixed_dictionaries(
    {},
    optional={
        "chunked": st.just(True),
        "compress": st.sampled_from([True, "deflate", "gzip"]),
        "expect100": st.just(True),
        "skip_auto_headers": st.just(["User-Agent", "Content-Type"]),
    },
)


def as_seen(request: aiostub.Request) -> Seen:
    """Say of a logged request what a server says of one."""
    return Seen(
        request.method,
        request.url.raw_path_qs,
        [(name.lower(), value) for name, value in request.headers.items()],
        request.body,
    )


@few
@given(
    method=known_verbs,
    url=urls(),
    params=params,
    headers=header_sets,
    cookies=cookies,
    body=bodies,
    manners=manners,
)
def test_the_log_has_what_a_real_server_got(
    site, method, url, params, headers, cookies, body, manners
):
    """The same call, once against the stub and once against the server, is the same request."""

    def make():
        given = {"params": params, "headers": headers, "cookies": cookies}
        made = {**{k: v for k, v in given.items() if v is not None}, **body(), **manners}
        if not made.keys() & {"json", "data"}:  # aiohttp itself goes astray, up to 3.11
            made = {k: v for k, v in made.items() if k not in ("chunked", "compress")}
            if hdrs.TRANSFER_ENCODING in (headers or {}):
                del made["headers"]
        return made

    async def both():
        site.arrived.clear()
        async with aiostub.Stub(strict=False) as stub:
            stub.any(ANY).reply(text="real").always()
            stubbed = await site.ask(method, url(site.port), make)
        real = await site.ask(method, url(site.port), make)
        return stub, stubbed, real

    stub, (outcome, ours), (real_outcome, theirs) = site.run(both())
    assert real_outcome == outcome, (theirs, ours)
    if outcome != "ok":
        return
    assert (theirs.status, theirs.url, theirs.real_url) == (ours.status, ours.url, ours.real_url)
    if theirs.status != 200:
        return
    assert len(site.arrived) == len(stub.calls)
    request = stub.calls.last.request
    assert site.arrived[-1] == as_seen(request)
    assert theirs.request_info.url == request.url


def as_read(name, value, filename, content_type):
    """Say what a reader of a form finds of a field that was put in."""
    data = value.encode() if isinstance(value, str) else bytes(value)
    if filename is None and isinstance(value, bytes):
        filename = name  # aiohttp takes bytes for a file
    if filename is not None:
        return name, (filename, data)
    is_text = content_type is None or content_type.startswith("text/")
    return name, value if is_text else data


@few
@given(fields=fields, multipart=st.booleans(), compress=st.sampled_from([None, "gzip"]))
def test_a_form_has_the_fields_that_were_put_in(site, fields, multipart, compress):
    """Names, values and files, urlencoded or in parts, compressed or not."""
    make = form_of(fields, multipart=multipart)

    async def stubbed():
        async with aiostub.Stub(strict=False) as stub:
            stub.any(ANY).reply(text="real").always()
            done = await site.ask(
                "POST", "http://x/", lambda: {"data": make(), "compress": compress}
            )
        return stub, done

    stub, (outcome, _) = site.run(stubbed())
    if outcome == "ok":
        request = stub.calls.last.request
        assert [as_read(*field) for field in fields] == list(request.form().items())


def leaves(tree):
    """Give what stands in a tree of parts, and lists for parts within parts."""
    for part in tree:
        if isinstance(part, list):
            yield list(leaves(part))
        elif isinstance(part, dict):
            yield b'{"a": 1}'
        else:
            yield part.encode() if isinstance(part, str) else part


def bodies_of(request):
    """Give the bodies of all parts, and lists for parts within parts."""
    for part in request.parts:
        if part.content_type.startswith("multipart/"):
            inner = aiostub.Request("POST", request.url, part.headers, body=part.body)
            yield list(bodies_of(inner))
        else:
            yield part.body


@few
@given(tree=parts, compress=st.sampled_from([None, "gzip"]))
def test_parts_within_parts_are_those_that_were_put_in(site, tree, compress):
    """Text, bytes, JSON, and multipart bodies of their own."""

    async def stubbed():
        async with aiostub.Stub(strict=False) as stub:
            stub.any(ANY).reply(text="real").always()
            await site.ask(
                "POST", "http://x/", lambda: {"data": writer_of(tree)(), "compress": compress}
            )
        return stub.calls.last.request

    assert list(leaves(tree)) == list(bodies_of(site.run(stubbed())))


@few
@given(
    method=st.text("ABCXYZ-_", min_size=1, max_size=9)
    | st.sampled_from(["TRACE", "PROPFIND", "M-SEARCH", "PRI", "SOURCE"]),
    body=bodies,
    manners=manners,
)
def test_a_verb_that_nobody_knows_is_sent_like_any_other(site, method, body, manners):
    """It may have a body, and is answered."""

    async def stubbed():
        async with aiostub.Stub(strict=False) as stub:
            stub.request("PUT", "http://x/p?q=1").reply(text="real").always()
            stub.request(method, "http://x/p?q=1").reply(text="real").always()
            make = {**body(), **manners}
            if not make.keys() & {"json", "data"}:
                make = {}
            known = await site.ask("PUT", "http://x/p?q=1", lambda: {**make, **body()})
            return stub, known, await site.ask(method, "http://x/p?q=1", lambda: {**make, **body()})

    stub, (outcome, _), (own_outcome, error) = site.run(stubbed())
    assert outcome == own_outcome, error
    if outcome != "ok":
        return
    put, own = stub.calls
    if put.request.body or own.request.body:
        assert as_seen(put.request)._replace(method=method) == as_seen(own.request)
    assert (200, method) == (own.status, own.request.method)


NO_REQUEST = {
    "a space in the path": {"url": "/a b"},
    "a space in the query": {"url": "/?a b"},
    "a raw letter in the path": {"url": "/é"},
    "a space in a name": {"headers": {"X Y": "1"}},
    "a bracket in a name": {"headers": {"X(": "1"}},
    "no name at all": {"headers": {"": "1"}},
    "a space behind a name": {"headers": {"Content-Length ": "1"}},
}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sent", NO_REQUEST.values(), ids=[n.replace(" ", "_") for n in NO_REQUEST])
def test_what_no_server_takes_is_refused(site, method, sent):
    """A mistake of the app is a 400, with a body and without, as from a real server."""
    url = URL(f"http://127.0.0.1:{site.port}{sent.get('url', '/')}", encoded=True)
    body = {"data": b"abc"} if method == "POST" else {}

    def make():
        return {"headers": sent.get("headers"), **body}

    async def both():
        async with aiostub.Stub(strict=False) as stub:
            stub.any(ANY).reply(text="real").always()
            stubbed = await site.ask(method, url, make)
        return stubbed, await site.ask(method, url, make)

    (_, ours), (_, theirs) = site.run(both())
    assert (400, 400) == (theirs.status, ours.status)


def test_a_request_of_http_1_0_is_one_whatever_its_headers_say(site):
    """The version stands in the request line, and nowhere else."""

    async def ask():
        async with aiostub.Stub() as stub:
            stub.get(ANY).reply(stream=[b"x"])
            async with aiohttp.ClientSession(version=aiohttp.HttpVersion10) as session:
                async with session.get("http://x/", headers={"X": "over HTTP/1.1"}) as response:
                    return response.version, await response.read(), dict(response.headers)

    version, body, headers = site.run(ask())
    assert aiohttp.HttpVersion10 == version
    assert b"x" == body
    assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize("name", ["first name", 'say "hi"', "a, b", "a; b", "x y z"])
def test_a_name_of_two_words_is_one_name(site, name):
    """What aiohttp escapes in the name of a field is no part of the name."""

    async def stubbed():
        async with aiostub.Stub() as stub:
            stub.post("http://x/", data={name: "v"}).reply()
            form = aiohttp.FormData()
            form.add_field(name, "v", content_type="text/plain")
            await site.ask("POST", "http://x/", lambda: {"data": form})
        return stub.calls.last.request

    request = site.run(stubbed())
    assert [(name, "v")] == list(request.form().items())
    assert [name] == [part.name for part in request.parts]
