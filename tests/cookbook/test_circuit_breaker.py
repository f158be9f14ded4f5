"""A circuit breaker: after three failures in a row, leave a host in peace for a minute."""

import asyncio

import aiohttp
import pytest

URL = "https://api.example.com/price"

pytestmark = pytest.mark.looptime


class CircuitOpenError(Exception):
    """The host has failed too often, and is not asked."""


class CircuitBreaker:
    """Ask a host, unless it has just failed three times in a row."""

    def __init__(self, session, limit=3, rest=60):
        self.session = session
        self.limit = limit
        self.rest = rest
        self.failures = 0
        self.closed_until = 0.0

    async def get(self, url):
        """Fetch JSON; after the rest, a single request finds out whether the host is back."""
        clock = asyncio.get_running_loop().time
        if self.failures >= self.limit:
            if clock() < self.closed_until:
                raise CircuitOpenError(url)
            self.closed_until = clock() + self.rest  # for all others, while this one tries
        try:
            async with self.session.get(url, raise_for_status=True) as response:
                answer = await response.json()
        except (aiohttp.ClientError, asyncio.TimeoutError):
            self.failures += 1
            self.closed_until = clock() + self.rest
            raise
        self.failures = 0
        return answer


async def fails(breaker, times):
    """Ask that many times, in vain."""
    for _ in range(times):
        with pytest.raises(aiohttp.ClientError):
            await breaker.get(URL)


async def test_three_failures_open_it(aiostub):
    """What is refused then does not even reach the network."""
    price = aiostub.get(URL).reply(500).then.fail(aiohttp.ClientConnectorError).then.reply(503)

    async with aiohttp.ClientSession() as session:
        breaker = CircuitBreaker(session)
        await fails(breaker, 3)
        for _ in range(10):
            with pytest.raises(CircuitOpenError):
                await breaker.get(URL)

    assert price.call_count == 3


async def test_after_a_minute_it_is_tried_and_closes(aiostub):
    """The host is back, and everything is as before."""
    aiostub.get(URL).reply(500).times(3).then.reply(json=7).times(4)

    async with aiohttp.ClientSession() as session:
        breaker = CircuitBreaker(session)
        await fails(breaker, 3)
        await asyncio.sleep(59)
        with pytest.raises(CircuitOpenError):
            await breaker.get(URL)
        await asyncio.sleep(1)
        assert [await breaker.get(URL) for _ in range(4)] == [7] * 4


async def test_a_trial_that_fails_is_worth_another_minute(aiostub):
    """It takes one failure then, not three."""
    price = aiostub.get(URL).reply(500).times(4).then.reply(json=7)

    async with aiohttp.ClientSession() as session:
        breaker = CircuitBreaker(session)
        await fails(breaker, 3)
        await asyncio.sleep(60)
        await fails(breaker, 1)
        with pytest.raises(CircuitOpenError):
            await breaker.get(URL)
        await asyncio.sleep(60)
        assert await breaker.get(URL) == 7

    assert price.calls.gaps == pytest.approx([0, 0, 60, 60])


async def test_one_request_tries_for_all(aiostub):
    """While it is under way, the others are refused."""
    aiostub.get(URL).reply(500).times(3).then.reply(json=7, delay=2)

    async with aiohttp.ClientSession() as session:
        breaker = CircuitBreaker(session)
        await fails(breaker, 3)
        await asyncio.sleep(60)
        asked = [breaker.get(URL) for _ in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(answer) for answer in answers] == [int] + [CircuitOpenError] * 4


async def test_only_failures_in_a_row_count(aiostub):
    """An answer between them starts the count anew."""
    price = aiostub.get(URL).reply(500).times(2).then.reply(json=7).then.reply(500).times(2)
    price.then.reply(json=8)

    async with aiohttp.ClientSession() as session:
        breaker = CircuitBreaker(session)
        await fails(breaker, 2)
        assert await breaker.get(URL) == 7
        await fails(breaker, 2)
        assert await breaker.get(URL) == 8
