"""asyncprawcore meets a stub as it meets Reddit."""

import aiohttp
import pytest
from asyncprawcore import (
    NotFound,
    RequestException,
    Requestor,
    ScriptAuthorizer,
    TrustedAuthenticator,
    session,
)

from aiostub import faults

TOKEN = "https://www.reddit.com/api/v1/access_token"
API = "https://oauth.reddit.com/r/notes"

pytestmark = [
    pytest.mark.looptime,
    # The client still authorises in the old way of aiohttp.
    pytest.mark.filterwarnings(r"ignore:(BasicAuth|The 'auth' parameter) is deprecated"),
]


@pytest.fixture
async def reddit(aiostub):
    """Make a session that has a token."""
    aiostub.post(
        TOKEN, data={"grant_type": "password", "username": "ada", "password": "secret"}
    ).reply(json={"access_token": "token", "expires_in": 3600, "scope": "*"})
    requestor = Requestor(user_agent="notes of ada")
    authenticator = TrustedAuthenticator(client_id="id", client_secret="key", requestor=requestor)
    authorizer = ScriptAuthorizer(authenticator=authenticator, username="ada", password="secret")
    await authorizer.refresh()
    async with session(authorizer=authorizer) as reddit:
        yield reddit
    await requestor.close()


async def test_the_token_is_fetched_and_sent(reddit, aiostub):
    """The first request is authorised by the app, the next by the token."""
    get = aiostub.get(API, params={"limit": "5", "raw_json": "1"}).reply(json={"kind": "Listing"})

    assert await reddit.request(method="GET", path="r/notes", params={"limit": 5}) == {
        "kind": "Listing"
    }
    assert aiostub.calls.first.request.headers["Authorization"] == "Basic aWQ6a2V5"
    assert get.calls.last.request.headers["Authorization"] == "bearer token"


async def test_an_ailing_service_is_asked_again(reddit, aiostub):
    """The pauses between the attempts take no time."""
    get = aiostub.get("/r/notes", params={"raw_json": "1"}).reply(503)
    get.then.reply(502).then.reply(json={})

    assert await reddit.request(method="GET", path="r/notes") == {}
    assert get.call_count == 3


async def test_a_missing_page_is_an_error(reddit, aiostub):
    """The response in it is aiohttp's."""
    aiostub.get("/r/notes", params={"raw_json": "1"}).reply(404)

    with pytest.raises(NotFound) as caught:
        await reddit.request(method="GET", path="r/notes")

    assert caught.value.response.status == 404


async def test_a_lost_connection_is_an_error_of_the_client(reddit, aiostub):
    """In it is the one of aiohttp."""
    aiostub.get("/r/notes", params={"raw_json": "1"}).fail(faults.reset())

    with pytest.raises(RequestException) as caught:
        await reddit.request(method="GET", path="r/notes")

    assert isinstance(caught.value.original_exception, aiohttp.ClientOSError)
