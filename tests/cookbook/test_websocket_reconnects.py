"""A reader of a feed that comes back: behind what it has seen, unless it is not wanted."""

import asyncio

import aiohttp
import pytest

from aiostub import faults, script

URL = "wss://feed.example.com/v1"
UNWANTED = {1008, 4401}  # policy violation, and what this feed says to strangers

pytestmark = pytest.mark.looptime


async def items(session, heartbeat=20, longest=60):
    """Yield each item once, over as many connections as it takes."""
    last, pause = 0, 1
    while True:
        try:
            async with session.ws_connect(URL, heartbeat=heartbeat) as ws:
                await ws.send_json({"after": last})
                async for message in ws:
                    if message.type is aiohttp.WSMsgType.ERROR:  # not one that ends the loop
                        break
                    item = message.json()
                    last, pause = item["id"], 1
                    yield item["text"]
            if ws.close_code in UNWANTED:
                raise PermissionError(ws.close_code)
        except aiohttp.WSServerHandshakeError as error:
            if error.status < 500:
                raise
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


async def read(number):
    """Read some items, and leave."""
    async with aiohttp.ClientSession() as session:
        reading = items(session)
        texts = [await anext(reading) for _ in range(number)]
        await reading.aclose()
    return texts


def after(last, *items):
    """Begin a script: the client says what it has, and is sent what it has not."""
    sent = [script.send({"id": id, "text": text}) for id, text in items]
    return [script.expect({"after": last}), *sent]


async def test_it_goes_on_behind_what_it_has_seen(aiostub):
    """A step is a connection, and a script says what it carries."""
    feed = aiostub.ws(URL).script(*after(0, (1, "on"), (2, "engines")), faults.reset())
    feed.then.script(*after(2, (3, "and")), script.close(1001, "going away"))
    feed.then.script(*after(3, (4, "notes")), script.wait(1))

    assert await read(4) == ["on", "engines", "and", "notes"]
    assert feed.calls.gaps == pytest.approx([1, 1])


async def test_pauses_double_until_something_comes(aiostub):
    """Whatever keeps it away: no server, a broken one, or one that closes at once."""
    feed = aiostub.ws(URL).fail(faults.refused()).then.reply(503).then.script(*after(0))
    feed.then.script(*after(0, (1, "on"))).then.script(*after(1, (2, "engines")), script.wait(1))

    assert await read(2) == ["on", "engines"]
    assert feed.calls.gaps == pytest.approx([1, 2, 4, 1])


async def test_a_pause_has_an_end(aiostub):
    """A minute is the longest."""
    feed = aiostub.ws(URL).fail(faults.refused()).times(8)
    feed.then.script(*after(0, (1, "on")), script.wait(1))

    assert await read(1) == ["on"]
    assert feed.calls.gaps == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


async def test_a_silent_feed_is_left(aiostub):
    """Nobody answers the heartbeat of a server that hangs: half of it later that is noticed."""
    feed = aiostub.ws(URL).script(*after(0, (1, "on")), script.wait(3600))
    feed.then.script(*after(1, (2, "engines")), script.wait(1))

    assert await read(2) == ["on", "engines"]
    assert feed.calls.gaps == pytest.approx([20 + 10 + 1])


async def test_a_quiet_feed_is_not_left(aiostub):
    """The server that listens answers pings, and an item may come after an hour."""

    async def talk(ws):
        await ws.receive()
        listening = asyncio.create_task(ws.receive())
        await asyncio.sleep(3600)
        await ws.send_json({"id": 1, "text": "on"})
        await listening

    feed = aiostub.ws(URL).handle(talk)

    assert await read(1) == ["on"]
    assert feed.call_count == 1
    assert sum(frame.type is aiohttp.WSMsgType.PING for frame in feed.calls.last.frames) > 100


@pytest.mark.parametrize("code", sorted(UNWANTED))
async def test_it_does_not_come_back_unwanted(aiostub, code):
    """The code of the close says so."""
    aiostub.ws(URL).script(*after(0), script.close(code))

    with pytest.raises(PermissionError):
        await read(1)


async def test_a_handshake_that_is_refused_is_the_end(aiostub):
    """The status of the reply says so."""
    aiostub.ws(URL).reply(401)

    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await read(1)
