"""httpx over aiohttp meets a stub as it meets a server."""

import aiohttp
import httpx
import pytest
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient

from aiostub import Stub, faults

URL = "https://api.example.com/notes"


@pytest.fixture
async def client():
    """Make a client that follows redirects."""
    async with HttpxAiohttpClient(follow_redirects=True) as client:
        yield client


async def test_an_answer_is_one_of_httpx(client, aiostub):
    """Status, headers, cookies and the compressed body are read by httpx."""
    get = aiostub.get(URL, params={"by": "ada"})
    get.reply(201, json={"id": 7}, compress="gzip", cookies={"seen": "1"}, reason="Made")

    answer = await client.get(URL, params={"by": "ada"}, headers={"X-Trace": "1"})

    assert (answer.status_code, answer.reason_phrase, answer.json()) == (201, "Made", {"id": 7})
    assert answer.cookies["seen"] == "1"
    assert get.calls.last.request.headers["X-Trace"] == "1"
    assert get.calls.last.request.headers["User-Agent"].startswith("python-httpx/")


async def test_a_form_with_a_file_is_sent_as_httpx_writes_it(client, aiostub):
    """The fields are the ones given."""
    post = aiostub.post(URL).reply(201)

    await client.post(URL, data={"by": "ada"}, files={"note": ("ada.txt", b"on engines")})

    assert post.calls.last.request.form() == {"by": "ada", "note": ("ada.txt", b"on engines")}


async def test_a_body_is_streamed_both_ways(client, aiostub):
    """A generator goes out in chunks, and the answer comes in as it was sent."""

    async def lines():
        yield b"on "
        yield b"engines"

    post = aiostub.post(URL, data=b"on engines").reply(stream=[b"a\n", b"b\n"])

    async with client.stream("POST", URL, content=lines()) as answer:
        assert [line async for line in answer.aiter_lines()] == ["a", "b"]

    assert post.calls.last.request.headers["Transfer-Encoding"] == "chunked"


async def test_a_redirect_is_followed_by_httpx(client, aiostub):
    """Each hop is a call of its own, from a client call of its own."""
    aiostub.get(URL).reply(302, headers={"Location": "/other"})
    other = aiostub.get("https://api.example.com/other").reply(text="here")

    answer = await client.get(URL)

    assert (answer.text, str(answer.history[0].url)) == ("here", URL)
    assert str(other.calls.last.origin.url) == "https://api.example.com/other"


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        (lambda route: route.fail(faults.refused()), httpx.ConnectTimeout),  # so it says
        (lambda route: route.timeout("sock_read"), httpx.ReadTimeout),
        (lambda route: route.timeout("connect"), httpx.TimeoutException),
        (lambda route: route.fail(aiohttp.ClientPayloadError), httpx.ReadError),
        (lambda route: route.reply(text="cut", fault=faults.truncated()), httpx.ReadError),
    ],
)
async def test_a_failure_is_one_of_httpx(client, aiostub, fail, expected):
    """What aiohttp raises is translated as it always is."""
    fail(aiostub.get(URL))

    with pytest.raises(expected):
        await client.get(URL)


async def test_a_connector_can_be_handed_to_the_transport(stubbed_transport):
    """Nothing is patched then."""
    stub, transport = stubbed_transport
    stub.get(URL).reply(text="here")

    async with httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(URL)).text == "here"


@pytest.fixture
async def stubbed_transport():
    """Make a transport of a session with a connector of the stub's."""
    stub = Stub()
    transport = AiohttpTransport(client=aiohttp.ClientSession(connector=stub.connector()))
    return stub, transport
