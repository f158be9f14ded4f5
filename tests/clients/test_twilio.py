"""twilio's asynchronous client meets a stub as it meets Twilio."""

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

MESSAGES = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
TEXT = {"To": "+15550001", "From": "+15550002", "Body": "Hello"}

pytestmark = [
    pytest.mark.looptime,
    # The client still authorises in the old way of aiohttp.
    pytest.mark.filterwarnings(r"ignore:(BasicAuth|The 'auth' parameter) is deprecated"),
]


@pytest.fixture
async def twilio():
    """Make a client that tries three times."""
    async with AsyncTwilioHttpClient(max_retries=3) as http:
        yield Client("AC1", "secret", http_client=http)


async def send(twilio):
    """Send a short message."""
    return await twilio.messages.create_async(to=TEXT["To"], from_=TEXT["From"], body=TEXT["Body"])


async def test_a_message_is_a_form(twilio, aiostub):
    """The account is in the address and in the authorisation."""
    post = aiostub.post(MESSAGES, data=TEXT).reply(201, json={"sid": "SM1"})

    assert (await send(twilio)).sid == "SM1"
    assert post.calls.last.request.headers["Authorization"] == "Basic QUMxOnNlY3JldA=="


async def test_an_ailing_service_is_asked_again(twilio, aiostub):
    """The pauses between the attempts take no time."""
    post = aiostub.post(MESSAGES, data=TEXT).reply(500).times(2).then.reply(201, json={"sid": "1"})

    assert (await send(twilio)).sid == "1"
    assert post.calls.gaps == pytest.approx([0.2, 0.4])


async def test_a_refusal_has_the_words_of_twilio(twilio, aiostub):
    """They are in the exception."""
    aiostub.post(MESSAGES).reply(400, json={"code": 21211, "message": "Invalid 'To'"})

    with pytest.raises(TwilioRestException, match="Invalid 'To'"):
        await send(twilio)
