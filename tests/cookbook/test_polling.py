"""A poller in the background: every half a minute, whatever happens."""

import asyncio
import contextlib

import aiohttp
import pytest

URL = "https://api.example.com/status"

pytestmark = pytest.mark.looptime


async def poll(session, seen, every=30):
    """Note the status again and again, until cancelled."""
    while True:
        with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
            async with session.get(URL, raise_for_status=True) as response:
                seen.append(await response.text())
        await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def polling():
    """Poll in the background, and end it as an app does that shuts down."""
    seen = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=4)) as session:
        task = asyncio.create_task(poll(session, seen))
        yield seen
        task.cancel()
        await asyncio.wait([task], timeout=1)
        assert task.cancelled()


async def test_it_polls_every_half_a_minute(aiostub):
    """`wait_called` waits for the background, on the loop's clock."""
    status = aiostub.get(URL).reply(text="red").times(2).then.reply(text="green").always()

    async with polling() as seen:
        await status.wait_called(3, timeout=90)
        await asyncio.sleep(1)

    assert seen == ["red", "red", "green"]
    assert status.calls.gaps == pytest.approx([30, 30])


async def test_a_failure_does_not_end_it(aiostub):
    """Nor does a server that is silent until the timeout."""
    status = aiostub.get(URL).reply(500).then.fail(aiohttp.ClientConnectorError).then.hang()
    status.then.reply(text="green")

    async with polling() as seen:
        await status.wait_called(4, timeout=120)
        await asyncio.sleep(1)

    assert seen == ["green"]
    assert status.calls.gaps == pytest.approx([30, 30, 4 + 30])


async def test_it_ends_in_the_midst_of_a_request(aiostub):
    """Whoever stops it need not wait."""
    status = aiostub.get(URL).hang()

    async with polling() as seen:
        await status.wait_called()

    assert seen == []
    assert isinstance(status.calls.last.error, asyncio.CancelledError)
