"""discord.py's HTTP client meets a stub as it meets Discord."""

import io
import json
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # audioop, of CPython's
    import discord

API = "https://discord.com/api/v10"
ME = {"id": "1", "username": "ada", "discriminator": "0", "avatar": None, "bot": True}

pytestmark = pytest.mark.looptime


@pytest.fixture
async def bot(aiostub):
    """Make a client that has logged in."""
    aiostub.get(f"{API}/users/@me", headers={"Authorization": "Bot token"}).reply(json=ME)
    aiostub.get(f"{API}/oauth2/applications/@me").optional().reply(json=application())
    async with discord.Client(intents=discord.Intents.none()) as client:
        await client.login("token")
        yield client


def application():
    """Describe an application as Discord does."""
    return {
        "id": "2",
        "name": "notes",
        "description": "",
        "icon": None,
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "",
        "owner": ME,
    }


def message(content):
    """Describe a message as Discord does."""
    return {
        "id": "3",
        "channel_id": "7",
        "author": ME,
        "content": content,
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
    }


async def test_a_rate_limit_is_waited_for(bot, aiostub):
    """The time is in the body, and takes none here."""
    post = aiostub.post(f"{API}/channels/7/messages")
    post.reply(429, json={"retry_after": 12.5, "global": True}, headers={"Via": "1.1 google"})
    post.then.reply(json=message("Hello"))

    sent = await bot.get_partial_messageable(7).send("Hello")

    assert sent.content == "Hello"
    assert post.calls.last.request.json()["content"] == "Hello"
    assert post.calls.gaps == [pytest.approx(12.5)]


async def test_a_used_up_bucket_is_waited_for_beforehand(bot, aiostub):
    """The client reads the headers of the last answer."""
    used_up = {
        "X-RateLimit-Bucket": "b",
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset-After": "3",
        "X-RateLimit-Reset": "1767225600",
    }
    post = aiostub.post(f"{API}/channels/7/typing").reply(204, headers=used_up).times(2)

    for _ in range(2):
        await bot.http.send_typing(7)

    assert post.calls.gaps == [pytest.approx(3, abs=0.1)]


async def test_a_file_is_a_part_of_a_form(bot, aiostub):
    """It is read anew when the client tries again."""
    post = aiostub.post(f"{API}/channels/7/messages").reply(502).then.reply(json=message(""))

    file = discord.File(io.BytesIO(b"on engines"), "ada.txt")
    await bot.get_partial_messageable(7).send("Notes", file=file)

    for call in post.calls:
        payload, attached = call.request.parts
        assert json.loads(payload.body)["content"] == "Notes"
        assert (attached.name, attached.filename) == ("files[0]", "ada.txt")
        assert attached.body == b"on engines"


async def test_a_refusal_is_an_error_with_the_code_of_discord(bot, aiostub):
    """It is read from the body, and the response is aiohttp's."""
    aiostub.get(f"{API}/channels/8").reply(403, json={"code": 50001, "message": "Missing Access"})

    with pytest.raises(discord.Forbidden, match="Missing Access") as caught:
        await bot.fetch_channel(8)

    assert (caught.value.code, caught.value.response.status) == (50001, 403)
