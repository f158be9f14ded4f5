"""aiogram meets a stub as it meets Telegram."""

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramNetworkError, TelegramRetryAfter
from aiogram.types import BufferedInputFile, URLInputFile

from aiostub import faults

BOT = "https://api.telegram.org/bot42:secret"
SENT = {
    "ok": True,
    "result": {"message_id": 7, "date": 0, "chat": {"id": 1, "type": "private"}},
}


# A bot takes a quarter of a second to go.
pytestmark = pytest.mark.looptime


@pytest.fixture
def bot():
    """Make a bot; it goes when the test leaves it."""
    return Bot("42:secret")


async def test_a_file_is_streamed_into_a_form(bot, aiostub):
    """The parts are those of a form, though the length of the file is not known beforehand."""
    post = aiostub.post(f"{BOT}/sendDocument").reply(json=SENT)

    async with bot:
        message = await bot.send_document(
            1, BufferedInputFile(b"on engines", "ada.txt", chunk_size=4)
        )

    assert message.message_id == 7
    sent = post.calls.last.request
    assert sent.headers["Transfer-Encoding"] == "chunked"
    assert "aiogram" in sent.headers["User-Agent"]
    form = sent.form()
    assert form["chat_id"] == "1"
    attached = form["document"].removeprefix("attach://")
    assert form[attached] == ("ada.txt", b"on engines")


async def test_a_file_is_streamed_from_another_host(bot, aiostub):
    """What is being downloaded is uploaded meanwhile."""
    aiostub.get("https://files.example.com/ada.txt").reply(stream=[b"on ", b"engines"])
    post = aiostub.post(f"{BOT}/sendDocument").reply(json=SENT)

    async with bot:
        await bot.send_document(1, URLInputFile("https://files.example.com/ada.txt"))

    document = next(part for part in post.calls.last.request.parts if part.filename)
    assert document.body == b"on engines"
    assert aiostub.calls.concurrency == 2


async def test_a_download_is_written_piece_by_piece(bot, aiostub, tmp_path):
    """The path that Telegram names is read into a file."""
    aiostub.post(f"{BOT}/getFile", data={"file_id": "F1"}).reply(
        json={"ok": True, "result": {"file_id": "F1", "file_unique_id": "1", "file_path": "a/b"}}
    )
    aiostub.get("https://api.telegram.org/file/bot42:secret/a/b").reply(stream=[b"on ", b"engines"])

    async with bot:
        await bot.download("F1", tmp_path / "ada.txt")

    assert (tmp_path / "ada.txt").read_bytes() == b"on engines"


async def test_a_flood_limit_has_its_time(bot, aiostub):
    """The app is told how long to wait."""
    aiostub.post(f"{BOT}/getMe").reply(
        429, json={"ok": False, "description": "Flood", "parameters": {"retry_after": 3}}
    )

    async with bot:
        with pytest.raises(TelegramRetryAfter) as caught:
            await bot.get_me()

    assert caught.value.retry_after == 3


async def test_a_lost_connection_is_a_network_error(bot, aiostub):
    """The name of aiohttp's error is in its text."""
    aiostub.post(f"{BOT}/getMe").fail(faults.disconnect())

    async with bot:
        with pytest.raises(TelegramNetworkError, match="ServerDisconnectedError"):
            await bot.get_me()
