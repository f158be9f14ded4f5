"""ddtrace's aiohttp integration sees stubbed requests as it sees real ones."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from ddtrace.contrib.internal.aiohttp.patch import patch, unpatch
from ddtrace.trace import TraceFilter, tracer

from aiostub import Stub, faults


class Collection(TraceFilter):
    """Keep traces, and send none to an agent."""

    def __init__(self):
        self.spans = []

    def process_trace(self, trace):
        """Take a finished trace."""
        self.spans += trace


@pytest.fixture
def spans():
    """Collect finished spans."""
    collection = Collection()
    tracer.configure(trace_processors=[collection])
    yield collection.spans
    tracer.configure(trace_processors=[])
    unpatch()


@pytest.fixture
async def server():
    """Run a server that is really there."""

    async def note(request):
        return web.Response(status=int(request.match_info["status"]), text="here")

    app = web.Application()
    app.router.add_get("/{status}", note)
    async with TestServer(app) as server:
        yield server


async def fetch(*urls):
    """Get some addresses with a session of its own."""
    async with aiohttp.ClientSession() as session:
        for url in urls:
            async with session.get(url) as answer:
                await answer.read()


def told(spans):
    """Take what the collected spans say."""
    taken = sorted(spans, key=lambda span: span.start_ns)
    spans.clear()
    return [(span.name, span.resource, span.error, tags(span)) for span in taken]


def tags(span):
    """Read those tags of a span that are the same in every run."""
    known = ("component", "span.kind", "http.method", "http.url", "http.status_code", "out.host")
    return {name: span.get_tag(name) for name in known}


@pytest.mark.parametrize("first", ["tracer", "stub"])
async def test_spans_are_those_of_a_real_server(spans, server, first):
    """Whether aiohttp was patched before the stub was started or meanwhile."""
    urls = [str(server.make_url(path)) for path in ("/200", "/404", "/500")]

    if first == "tracer":
        patch()
    with Stub() as stub:
        for url in urls:
            stub.get(url).reply(int(url[-3:]), text="here")
        if first == "stub":
            patch()
        await fetch(*urls)
    stubbed = told(spans)

    await fetch(*urls)
    assert stubbed == told(spans)
    assert [name for name, *_ in stubbed] == ["aiohttp.request", "TCPConnector.connect"] * 3


async def test_the_context_of_the_span_is_on_the_wire(spans, aiostub):
    """A service that is called could go on with the trace."""
    patch()
    get = aiostub.get("https://api.example.com/notes").reply()

    await fetch("https://api.example.com/notes")

    request, _ = sorted(spans, key=lambda span: span.start_ns)
    assert get.calls.last.request.headers["x-datadog-parent-id"] == str(request.span_id)


async def test_a_failure_is_in_the_span(spans, aiostub):
    """It has the class of the exception."""
    patch()
    aiostub.get("https://api.example.com/notes").fail(faults.refused())

    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch("https://api.example.com/notes")

    assert [span.get_tag("error.type").rpartition(".")[2] for span in spans] == [
        "ClientConnectorError",
        "ClientConnectorError",
    ]


async def test_a_tracer_that_stays_does_not_keep_the_stub(spans, server):
    """What was patched meanwhile stays patched, and reaches the server when the stub is gone."""
    url = str(server.make_url("/200"))
    with Stub() as stub:
        stub.get(url).reply(204)
        patch()
        await fetch(url)

    await fetch(url)
    with Stub() as stub:
        stub.get(url).reply(204)
        await fetch(url)
        assert stub.calls.last.attempts == 1
        assert len(stub.calls) == 1

    assert [
        span.get_tag("http.status_code") for span in spans if span.name == "aiohttp.request"
    ] == ["204", "200", "204"]
