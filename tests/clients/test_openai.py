"""The openai SDK over aiohttp meets a stub as it meets the service."""

import json

import aiohttp
import pytest
from openai import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAioHttpClient,
    RateLimitError,
)

from aiostub import partial, sse

CHAT = "https://api.openai.com/v1/chat/completions"
QUESTION = {"model": "gpt-5", "messages": [{"role": "user", "content": "Who wrote the notes?"}]}


@pytest.fixture
async def openai():
    """Make a client that tries again, as it does by default."""
    async with AsyncOpenAI(api_key="key", http_client=DefaultAioHttpClient()) as client:
        yield client


def completion(**choice):
    """Write what an answer and each piece of a streamed one have in common."""
    return {"id": "1", "object": "chat.completion", "choices": [{"index": 0, **choice}]}


def piece(text):
    """Write a piece of a streamed answer as a server-sent event."""
    return sse(json.dumps(completion(delta={"content": text})))


def said(text):
    """Write a whole answer."""
    return completion(message={"role": "assistant", "content": text}, finish_reason="stop")


async def test_a_completion_is_streamed(openai, aiostub):
    """Each server-sent event is a piece of the answer."""
    post = aiostub.post(CHAT, json=partial({"stream": True})).reply(
        stream=[piece("Ada "), piece("Love"), piece("lace"), sse("[DONE]")],
        content_type="text/event-stream",
    )

    answer = await openai.chat.completions.create(**QUESTION, stream=True)

    assert [event.choices[0].delta.content async for event in answer] == ["Ada ", "Love", "lace"]
    sent = post.calls.last.request
    assert sent.json() == QUESTION | {"stream": True}
    assert sent.headers["Authorization"] == "Bearer key"
    assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.looptime
async def test_a_429_is_tried_again_when_the_service_says(openai, aiostub):
    """Retry-After is waited for in virtual time, and the client counts its attempts."""
    post = aiostub.post(CHAT, json=QUESTION).reply(429, headers={"Retry-After": "7"})
    post.then.reply(json=said("Ada Lovelace"))

    answer = await openai.chat.completions.create(**QUESTION)

    assert answer.choices[0].message.content == "Ada Lovelace"
    assert post.calls.gaps == [pytest.approx(7)]
    assert [call.request.headers["x-stainless-retry-count"] for call in post.calls] == ["0", "1"]


async def test_the_last_429_is_an_error(openai, aiostub):
    """Its text is that of the service."""
    aiostub.post(CHAT).reply(429, json={"error": {"message": "Slow down."}})

    with pytest.raises(RateLimitError, match=r"Slow down\."):
        await openai.with_options(max_retries=0).chat.completions.create(**QUESTION)


@pytest.mark.looptime
async def test_a_connection_that_drops_is_tried_again(openai, aiostub):
    """The client takes it for a connection that failed."""
    post = aiostub.post(CHAT).fail(aiohttp.ServerDisconnectedError).times(3)

    with pytest.raises(APIConnectionError):
        await openai.chat.completions.create(**QUESTION)

    assert post.call_count == 3


@pytest.mark.looptime
async def test_a_service_that_says_nothing_is_a_timeout(openai, aiostub, looptime):
    """The ten minutes that the client waits are over at once."""
    aiostub.post(CHAT).hang()

    with pytest.raises(APITimeoutError):
        await openai.with_options(max_retries=0).chat.completions.create(**QUESTION)

    assert looptime == pytest.approx(600, abs=1)


async def test_a_file_is_uploaded(openai, aiostub):
    """The fields of the form can be looked at."""
    post = aiostub.post("https://api.openai.com/v1/files").reply(json={"id": "file-1"})

    stored = await openai.files.create(file=("ada.jsonl", b"{}\n"), purpose="fine-tune")

    assert stored.id == "file-1"
    assert post.calls.last.request.form() == {
        "purpose": "fine-tune",
        "file": ("ada.jsonl", b"{}\n"),
    }
