"""sentry-sdk's aiohttp integration sees stubbed requests as it sees real ones."""

import aiohttp
import pytest
import sentry_sdk
from aiohttp import web
from aiohttp.test_utils import TestServer
from sentry_sdk.integrations.aiohttp import AioHttpIntegration
from sentry_sdk.transport import Transport

from aiostub import Stub


class Collection(Transport):
    """Keep what would be sent to Sentry."""

    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        """Take the transaction, if it is one."""
        event = envelope.get_transaction_event()
        if event is not None:
            self.events.append(event)


@pytest.fixture
def events():
    """Collect transactions."""
    collection = Collection()
    scope = sentry_sdk.get_global_scope()
    before = scope.client
    sentry_sdk.init(
        default_integrations=False,
        integrations=[AioHttpIntegration()],
        traces_sample_rate=1.0,
        dsn="https://key@sentry.example.com/1",
        transport=collection,
    )
    yield collection.events
    sentry_sdk.get_client().close(timeout=0)
    scope.set_client(before)


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
    """Get some addresses in one transaction."""
    with sentry_sdk.start_transaction(name="fetch"):
        async with aiohttp.ClientSession() as session:
            for url in urls:
                async with session.get(url, params={"by": "ada"}) as answer:
                    await answer.read()


def told(events):
    """Take what the spans and breadcrumbs of the transaction of the client say."""
    (event,) = [event for event in events if event["transaction"] == "fetch"]
    events.clear()
    spans = [
        (span["op"], span["description"], span["status"], span["data"]["http.response.status_code"])
        for span in event["spans"]
    ]
    crumbs = [crumb["data"] for crumb in event.get("breadcrumbs", {}).get("values", ())]
    return spans, crumbs


async def test_spans_are_those_of_a_real_server(events, server):
    """So are the breadcrumbs."""
    urls = [str(server.make_url(path)) for path in ("/200", "/404", "/500")]

    with sentry_sdk.isolation_scope(), Stub() as stub:
        for url in urls:
            stub.get(url, params={"by": "ada"}).reply(int(url[-3:]), text="here")
        await fetch(*urls)
        assert all("sentry-trace" in call.request.headers for call in stub.calls)
    stubbed = told(events)

    with sentry_sdk.isolation_scope():
        await fetch(*urls)
    assert stubbed == told(events)
    assert len(stubbed[0]) == 3
