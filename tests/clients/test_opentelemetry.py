"""OpenTelemetry's aiohttp instrumentation sees stubbed requests as it sees real ones."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.instrumentation.aiohttp_client import (
    AioHttpClientInstrumentor,
    create_trace_config,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiostub import Stub, faults


@pytest.fixture
def spans():
    """Collect finished spans."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans):
    """Make tracers that write into the collection."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


@pytest.fixture
def instrument(provider):
    """Hand out what instruments aiohttp, and undo it after the test."""
    instrumentor = AioHttpClientInstrumentor()
    yield lambda: instrumentor.instrument(tracer_provider=provider)
    instrumentor.uninstrument()


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
    finished = spans.get_finished_spans()
    spans.clear()
    return [
        (span.name, span.kind, dict(span.attributes), span.status.status_code) for span in finished
    ]


@pytest.mark.parametrize("first", ["tracer", "stub"])
async def test_spans_are_those_of_a_real_server(spans, instrument, server, first):
    """Whether aiohttp was instrumented before the stub was started or meanwhile."""
    urls = [str(server.make_url(path)) for path in ("/200", "/404", "/500")]

    if first == "tracer":
        instrument()
    with Stub() as stub:
        for url in urls:
            stub.get(url).reply(int(url[-3:]), text="here")
        if first == "stub":
            instrument()
        await fetch(*urls)
    stubbed = told(spans)

    await fetch(*urls)
    assert stubbed == told(spans)
    assert len(stubbed) == 3


async def test_the_context_of_the_span_is_on_the_wire(spans, instrument, aiostub):
    """A service that is called could go on with the trace."""
    instrument()
    get = aiostub.get("https://api.example.com/notes").reply()

    await fetch("https://api.example.com/notes")

    (span,) = spans.get_finished_spans()
    trace, parent = f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"
    assert (
        get.calls.last.request.headers["traceparent"]
        == f"00-{trace}-{parent}-{span.context.trace_flags:02x}"
    )


async def test_a_failure_is_in_the_span(spans, instrument, aiostub):
    """It has the name of the exception."""
    instrument()
    aiostub.get("https://api.example.com/notes").fail(faults.refused())

    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch("https://api.example.com/notes")

    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert span.events[0].attributes["exception.type"].endswith("ClientConnectorError")


async def test_one_session_can_be_traced(spans, provider, aiostub):
    """Its trace configuration is the session's own business."""
    aiostub.get("https://api.example.com/notes").reply()

    config = create_trace_config(tracer_provider=provider)
    async with aiohttp.ClientSession(trace_configs=[config]) as session:
        await session.get("https://api.example.com/notes")

    assert [span.name for span in spans.get_finished_spans()] == ["GET"]
