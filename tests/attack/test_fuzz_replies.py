"""Whatever a route replies, the app reads it as it was registered."""

from __future__ import annotations

import asyncio
import json
import os
import re

import aiohttp
import pytest

import aiostub
from aiostub import RouteError

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

few = settings(
    max_examples=int(os.environ.get("ATTACK_EXAMPLES", "60")),
    phases=[Phase.explicit, Phase.generate, *[Phase.shrink] * ("SHRINK" in os.environ)],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

SITE = "https://api.example.com/x"


@pytest.fixture(scope="module")
def loop():
    """One loop for all examples."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


# What a route may say

words = st.text("abcXYZ019-", min_size=1, max_size=8)
visible = st.characters(min_codepoint=32, max_codepoint=126)
odd_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
header_values = st.one_of(
    st.text(visible, max_size=20),
    st.text(st.characters(min_codepoint=0xA0, max_codepoint=0x2FF), max_size=6),
    st.binary(min_size=1, max_size=4).map(
        lambda raw: bytes(b | 0x80 for b in raw).decode("utf-8", "surrogateescape")
    ),
    st.text("a\t b", max_size=5),
    st.sampled_from(["", ",", "a, b", '"q\\"', "=?utf-8?q?x?=", "a;b=c", "x" * 8000]),
).map(lambda value: value.strip(" \t"))
own_names = words.map("X-".__add__)
header_lists = st.lists(st.tuples(own_names, header_values), max_size=6) | st.lists(
    st.sampled_from(
        [
            ("Server", "s"),
            ("Date", "now"),
            ("ETag", '"x"'),
            ("Vary", "a"),
            ("vary", "b"),
            ("Connection", "close"),
            ("Connection", "keep-alive"),
            ("Keep-Alive", "timeout=5"),
            ("Set-Cookie", "a=1; Path=/"),
            ("Set-Cookie", "b=2; HttpOnly"),
            ("Link", '</y>; rel="next"'),
            ("Content-Type", "text/html; charset=latin-1"),
            ("Content-Type", "nonsense"),
            ("Trailer", "X-T"),
            ("Allow", "GET"),
            ("WWW-Authenticate", "Basic realm=x"),
            ("Upgrade", "h2c"),
        ]
    ),
    max_size=4,
    unique_by=lambda line: line[0] if line[0] in ("Content-Type", "Connection") else line,
)
statuses = st.one_of(
    st.integers(200, 599).filter(lambda s: s not in (301, 302, 303, 307, 308)),
    st.sampled_from([200, 204, 206, 226, 299, 300, 304, 400, 401, 404, 407, 418, 421, 500, 599]),
)
reasons = st.none() | st.text(visible, max_size=12).map(str.strip) | st.just("")
charsets = st.sampled_from(["utf-8", "latin-1", "utf-16", "shift_jis", "ascii", "UTF8", "cp1250"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=6,
)


class Big(bytes):
    """Be long, but not in a report."""

    __slots__ = ()

    def __repr__(self):
        return f"Big({len(self)})"


big = st.sampled_from([Big(65_536), Big(65_537), Big(262_144), Big(262_145), Big(700_001)])
datas = st.binary(max_size=60) | big
chunk_lists = st.lists(
    st.binary(max_size=3) | st.sampled_from([b"", b"x", b"\r\n", b"0\r\n\r\n"]) | big, max_size=7
)
versions = st.sampled_from([aiohttp.HttpVersion11, aiohttp.HttpVersion11, aiohttp.HttpVersion10])
methods = st.sampled_from(["GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"])


def as_async(chunks):
    """Give an async stream of chunks, made anew for each reply."""

    async def stream():
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(0)

    return stream


@st.composite
def contents(draw):
    """Draw arguments of a body, and the bytes that the app shall read."""
    kind = draw(st.sampled_from(["none", "json", "text", "body", "list", "stream", "async"]))
    if kind == "none":
        return {}, b""
    if kind == "json":
        value = draw(json_values)
        return {"json": value}, json.dumps(value).encode()
    if kind == "text":
        charset = draw(charsets)
        text = draw(odd_text).encode(charset, "ignore").decode(charset)
        return (
            {"text": text, "content_type": f"text/plain; charset={charset}"},
            text.encode(charset),
        )
    if kind == "body":
        data = draw(datas)
        return {"body": data}, bytes(data)
    chunks = draw(chunk_lists)
    stream = {"list": chunks, "stream": lambda: iter(chunks), "async": as_async(chunks)}[kind]
    return {"stream": stream}, b"".join(chunks)


async def read(method, version, reply, times=1, **session):
    """Register a reply, ask for it, and read it to its end."""
    async with aiostub.Stub() as stub:
        stub.request(method, SITE).reply(**reply).always()
        async with aiohttp.ClientSession(version=version, **session) as session_:
            for _ in range(times):
                async with session_.request(method, SITE) as response:
                    body = await asyncio.wait_for(response.read(), 10)
        assert set() == stub._registry.in_flight
        return response, body, stub.calls.last


@few
@given(
    method=methods,
    version=versions,
    status=statuses,
    reason=reasons,
    headers=header_lists,
    content=contents(),
    compress=st.sampled_from([None, None, "gzip", "deflate", "br"]),
    times=st.sampled_from([1, 2]),
)
def test_the_app_reads_what_was_registered(
    loop, method, version, status, reason, headers, content, compress, times
):
    """Status, reason, header lines in order, and every byte of the body."""
    arguments, body = content
    if "text" in arguments:  # whose charset a header would change
        headers = [line for line in headers if line[0] != "Content-Type"]
    reply = {"status": status, "reason": reason, "headers": headers, **arguments}
    if compress and arguments:
        reply["compress"] = compress
    if status in (204, 304) and arguments:
        with pytest.raises(RouteError):
            aiostub.Reply(**reply)
        return
    response, got, call = loop.run_until_complete(read(method, version, reply, times))
    assert status == response.status == call.status
    if reason is not None:
        assert reason == response.reason
    assert (b"" if method == "HEAD" else body) == got
    names = {name.lower() for name, _ in headers}
    sent = [
        (name.lower(), value) for name, value in response.headers.items() if name.lower() in names
    ]
    added = {"connection", "set-cookie"}
    assert [line for line in sent if line[0] not in added] == [
        (name.lower(), value) for name, value in headers if name.lower() not in added
    ]
    assert call.error is None
    if version == aiohttp.HttpVersion11:
        assert aiohttp.HttpVersion11 == response.version


@few
@given(chunks=chunk_lists, stream=st.sampled_from(["list", "iter", "async"]))
def test_the_borders_of_chunks_are_kept(loop, chunks, stream):
    """Empty ones are skipped; a reader sees each of the others end."""
    give = {"list": chunks, "iter": lambda: iter(chunks), "async": as_async(chunks)}[stream]

    async def ask():
        got, parts = [], []
        async with aiostub.Stub() as stub:
            stub.get(SITE).reply(stream=give)
            async with aiohttp.ClientSession() as session, session.get(SITE) as response:
                async for data, ends in response.content.iter_chunks():
                    parts.append(data)
                    if ends:
                        got.append(b"".join(parts))
                        parts.clear()
        return got, parts

    got, rest = loop.run_until_complete(ask())
    assert [] == [part for part in rest if part]
    assert [chunk for chunk in chunks if chunk] == [chunk for chunk in got if chunk]


@few
@given(
    body=st.binary(min_size=1, max_size=300) | big,
    after=st.integers(0, 400),
    name=st.sampled_from(["reset", "disconnect", "truncated"]),
    streamed=st.booleans(),
    method=st.sampled_from(["GET", "POST"]),
)
def test_a_spoiled_body_is_as_long_as_it_says(loop, body, after, name, streamed, method):
    """The client reads no byte more than was let through, and then meets an error of a body."""
    size = min(after, len(body))
    kind = {"stream": [body[:7], body[7:]]} if streamed else {"body": body}
    fault = (
        aiostub.faults.truncated() if name == "truncated" else getattr(aiostub.faults, name)(size)
    )

    async def ask():
        got = b""
        async with aiostub.Stub() as stub:
            stub.request(method, SITE).reply(**kind, fault=fault)
            async with aiohttp.ClientSession() as session:
                async with session.request(method, SITE) as response:
                    try:
                        async for data in response.content.iter_any():
                            got += data
                        error = None
                    except aiohttp.ClientError as met:
                        error = met
        return got, error, stub.calls.last

    got, error, call = loop.run_until_complete(ask())
    assert body.startswith(got)
    if name != "truncated":
        assert len(got) <= size
    if name != "truncated" and not streamed and size == len(body):
        assert error is None  # it came whole before the connection broke
    else:
        assert isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientOSError)), got
        assert type(error) is type(call.error)


@few
@given(
    value=st.one_of(
        odd_text,
        st.binary(max_size=20),
        json_values.filter(lambda v: isinstance(v, (dict, list))),
        st.integers(-10, 700),
        st.booleans(),
        st.floats(),
        st.tuples(odd_text),
        st.sets(st.integers(), max_size=2),
        st.just(...),
    )
)
def test_a_handler_may_return_what_is_a_reply_and_nothing_else(loop, value):
    """Everything else is an error that names the callback, and never silence."""

    def answer(request):
        return value

    async def ask():
        async with aiostub.Stub(strict=False) as stub:
            stub.get(SITE).handle(answer)
            async with aiohttp.ClientSession() as session:
                try:
                    async with session.get(SITE, allow_redirects=False) as response:
                        return response.status, await response.read()
                except RouteError as error:
                    return None, str(error)

    status, got = loop.run_until_complete(asyncio.wait_for(ask(), 5))
    if isinstance(value, bool) or not isinstance(value, (str, bytes, dict, list, int)):
        assert status is None
        assert "answer" in got
    elif isinstance(value, int):
        assert (value if 200 <= value <= 599 else None) == status
    else:
        text = value if isinstance(value, (str, bytes)) else json.dumps(value)
        assert (200, text.encode() if isinstance(text, str) else text) == (status, got)


@few
@given(text=odd_text, charset=charsets, kind=st.sampled_from(["content_type", "header", "both"]))
def test_text_is_read_in_the_charset_it_was_sent_in(loop, text, charset, kind):
    """Whoever names the charset, a header wins."""
    text = text.encode(charset, "ignore").decode(charset)
    named = f"text/plain; charset={charset}"
    reply = {
        "content_type": {"content_type": named},
        "header": {"headers": {"content-type": named}},
        "both": {"headers": {"Content-Type": named}, "content_type": "text/html; charset=utf-7"},
    }[kind]

    async def ask():
        async with aiostub.Stub() as stub:
            stub.get(SITE).reply(text=text, **reply)
            async with aiohttp.ClientSession() as session, session.get(SITE) as response:
                return await response.text()

    read_text = loop.run_until_complete(ask())
    assert re.sub("\ufeff", "", text) == re.sub("\ufeff", "", read_text)
