"""stamina tries again over a stub as it does over a network."""

import aiohttp
import pytest
import stamina

URL = "https://api.example.com/notes"


@stamina.retry(
    on=aiohttp.ClientError, attempts=3, wait_initial=1.0, wait_jitter=0.0, wait_exp_base=2
)
async def fetch(session):
    """Get the notes, however often it takes."""
    async with session.get(URL, raise_for_status=True) as answer:
        return await answer.json()


@pytest.mark.looptime
async def test_every_failure_is_tried_again(aiostub):
    """The pauses between the attempts take no time."""
    get = aiostub.get(URL).fail(aiohttp.ClientConnectorError).then.reply(429).then.reply(json=[1])

    async with aiohttp.ClientSession() as session:
        assert await fetch(session) == [1]

    assert get.calls.gaps == pytest.approx([1, 2])


async def test_its_own_test_mode_has_no_pauses(aiostub):
    """The attempts are then those of the test mode."""
    get = aiostub.get(URL).reply(500).times(2)

    with stamina.set_testing(True, attempts=2):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientResponseError):
                await fetch(session)

    assert get.call_count == 2
