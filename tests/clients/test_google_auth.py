"""google-auth's asynchronous transport meets a stub as it meets a service."""

import aiohttp
import pytest
from google.auth.aio.credentials import StaticCredentials
from google.auth.aio.transport.sessions import AsyncAuthorizedSession
from google.auth.exceptions import TransportError

from aiostub import faults

URL = "https://storage.googleapis.com/storage/v1/b/shelf"

pytestmark = pytest.mark.looptime


@pytest.fixture
async def session():
    """Make a session with a token."""
    session = AsyncAuthorizedSession(StaticCredentials("token"))
    yield session
    await session.close()


async def test_the_token_is_on_the_wire(session, aiostub):
    """The body of the answer is read as bytes, with its coding undone."""
    get = aiostub.get(URL).reply(json={"id": "shelf"}, compress="gzip")

    answer = await session.get(URL)

    assert (answer.status_code, await answer.read()) == (200, b'{"id": "shelf"}')
    assert get.calls.last.request.headers["Authorization"] == "Bearer token"


async def test_an_ailing_service_is_asked_again(session, aiostub):
    """The pauses between the attempts take no time."""
    get = aiostub.get(URL).reply(503).times(2).then.reply()

    assert (await session.get(URL)).status_code == 200
    assert get.call_count == 3
    assert all(gap >= 0.5 for gap in get.calls.gaps)


async def test_a_lost_connection_is_an_error_of_the_transport(session, aiostub):
    """Its cause is the one of aiohttp."""
    aiostub.get(URL).fail(faults.refused())

    with pytest.raises(TransportError) as caught:
        await session.get(URL)

    assert isinstance(caught.value.__cause__, aiohttp.ClientConnectorError)
