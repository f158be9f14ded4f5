"""A download that goes on where it broke off."""

import asyncio

import aiohttp
import pytest

from aiostub import faults

URL = "https://files.example.com/big.iso"
WHOLE = bytes(range(256)) * 4

pytestmark = pytest.mark.looptime


async def download(session, attempts=5):
    """Download a file, and ask only for the rest of it after a failure (RFC 9110, 14)."""
    got = bytearray()
    while True:
        attempts -= 1
        rest = {"Range": f"bytes={len(got)}-"} if got else {}
        try:
            async with session.get(URL, headers=rest, raise_for_status=True) as response:
                if response.status != 206:
                    got.clear()  # the server sends all of it, whatever was asked for
                async for piece in response.content.iter_any():
                    got += piece
                return bytes(got)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            if not attempts:
                raise
        await asyncio.sleep(1)


async def test_it_asks_for_the_rest(aiostub):
    """Each attempt begins where the one before has come to."""
    first, second, third = [WHOLE[start:] for start in (0, 400, 900)]
    aiostub.get(URL).reply(body=first, fault=faults.reset(after=400))
    rest = aiostub.get(URL, headers={"Range": "bytes=400-"})
    rest.reply(206, body=second, fault=faults.disconnect(after=500))
    aiostub.get(URL, headers={"Range": "bytes=900-"}).reply(206, body=third)

    async with aiohttp.ClientSession() as session:
        assert await download(session) == WHOLE


async def test_a_server_that_knows_no_ranges_starts_over(aiostub):
    """Nothing is there twice."""
    aiostub.get(URL).reply(body=WHOLE, fault=faults.reset(after=400))
    aiostub.get(URL, headers={"Range": "bytes=400-"}).reply(200, body=WHOLE)

    async with aiohttp.ClientSession() as session:
        assert await download(session) == WHOLE


async def test_a_server_that_falls_silent_is_asked_again(aiostub):
    """The read timer of the client finds out."""
    aiostub.get(URL).reply(body=WHOLE, fault=faults.stall(after=1000))
    rest = aiostub.get(URL, headers={"Range": "bytes=1000-"}).reply(206, body=WHOLE[1000:])

    timers = aiohttp.ClientTimeout(total=None, sock_read=20)
    async with aiohttp.ClientSession(timeout=timers) as session:
        assert await download(session) == WHOLE

    assert rest.called
    assert aiostub.calls.gaps == pytest.approx([20 + 1])


async def test_it_does_not_go_on_for_ever(aiostub):
    """Five attempts that bring nothing are enough."""
    aiostub.get(URL).fail(aiohttp.ClientConnectorError).times(5)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await download(session)
