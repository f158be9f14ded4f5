"""Virtual time with the pytest plugin of anyio."""

import aiohttp
import looptime
import pytest

URL = "https://api.example.com/report"


@pytest.fixture
def anyio_backend():
    """Let anyio run on a loop of looptime's."""
    return "asyncio", {"loop_factory": looptime.new_event_loop}


@pytest.mark.anyio
async def test_an_hour_takes_no_time(aiostub):
    """No marker is needed."""
    report = aiostub.get(URL).reply(delay=3600)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=7200)) as session:
        await session.get(URL)

    assert report.calls.last.elapsed == 3600
