"""slack-sdk's asynchronous web client meets a stub as it meets Slack."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from aiostub import partial

API = "https://slack.com/api"
UPLOAD = "https://files.slack.com/upload/v1/7"


@pytest.fixture
def slack():
    """Make a client that honours rate limits."""
    client = AsyncWebClient(token="xoxb-1")
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    return client


@pytest.mark.looptime
async def test_a_rate_limit_is_waited_for(slack, aiostub):
    """The message is sent again when the limit is over, in virtual time."""
    message = {"channel": "C1", "text": "Hello"}
    post = aiostub.post(f"{API}/chat.postMessage", json=message)
    post.reply(429, headers={"Retry-After": "30"}, json={"ok": False, "error": "ratelimited"})
    post.then.reply(json={"ok": True, "ts": "1.0"})

    answer = await slack.chat_postMessage(**message)

    assert answer["ts"] == "1.0"
    assert post.calls.gaps == [pytest.approx(30, abs=2)]
    assert [call.request.headers["Authorization"] for call in post.calls] == ["Bearer xoxb-1"] * 2


async def test_a_file_is_uploaded_where_slack_says(slack, aiostub):
    """The upload is three requests to two hosts."""
    place = aiostub.post(
        f"{API}/files.getUploadURLExternal", params={"filename": "ada.txt", "length": "10"}
    )
    place.reply(json={"ok": True, "upload_url": UPLOAD, "file_id": "F1"})
    upload = aiostub.post(UPLOAD).reply(text="OK - 10")
    complete = aiostub.post(
        f"{API}/files.completeUploadExternal", params=partial({"channel_id": "C1"})
    )
    complete.reply(json={"ok": True, "files": [{"id": "F1"}]})

    answer = await slack.files_upload_v2(channel="C1", filename="ada.txt", content="on engines")

    assert answer["file"] == {"id": "F1"}
    aiostub.assert_call_order(place, upload, complete)
    assert upload.calls.last.request.body == b"on engines"


async def test_an_answer_that_is_not_ok_is_an_error(slack, aiostub):
    """A status of 200 does not make it good."""
    aiostub.post(f"{API}/auth.test").reply(json={"ok": False, "error": "invalid_auth"})

    with pytest.raises(SlackApiError, match="invalid_auth"):
        await slack.auth_test()
