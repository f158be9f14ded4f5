"""aiohttp-sse-client2 meets a stub as it meets a source of events."""

from datetime import timedelta

import pytest
from aiohttp_sse_client2.client import EventSource

from aiostub import faults, sse

URL = "https://api.example.com/events"
EVENTS = {"content_type": "text/event-stream"}

pytestmark = pytest.mark.looptime


async def test_events_are_read_as_they_come(aiostub):
    """Name, lines and identity of each arrive."""
    get = aiostub.get(URL).reply(
        stream=[sse("first"), sse("on\nengines", event="note", id="2")], **EVENTS
    )

    async with EventSource(URL) as source:
        events = [await anext(source), await anext(source)]

    assert [(event.type, event.data, event.last_event_id) for event in events] == [
        (None, "first", ""),
        ("note", "on\nengines", "2"),
    ]
    assert get.calls.last.request.headers["Accept"] == "text/event-stream"


async def test_the_client_comes_back_with_what_it_has_seen(aiostub):
    """The time that the source asks for is waited for, without waiting."""
    get = aiostub.get(URL).reply(stream=[sse("first", id="1", retry=30_000)], **EVENTS)
    get.then.reply(stream=[sse("second", id="2")], **EVENTS)

    async with EventSource(URL) as source:
        assert [(await anext(source)).data, (await anext(source)).data] == ["first", "second"]

    assert get.calls.last.request.headers["Last-Event-Id"] == "1"
    assert get.calls.gaps == [pytest.approx(60)]  # the client doubles it


async def test_a_source_that_is_not_there_yet_is_asked_again(aiostub):
    """The pauses double."""
    get = aiostub.get(URL).fail(faults.refused()).times(2)
    get.then.reply(stream=[sse("first")], **EVENTS)

    async with EventSource(URL, reconnection_time=timedelta(seconds=1)) as source:
        assert (await anext(source)).data == "first"

    assert get.calls.gaps == pytest.approx([2, 4])
