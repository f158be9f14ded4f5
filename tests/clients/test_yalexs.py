"""yalexs, as Home Assistant uses it, meets a stub as it meets the service."""

import aiohttp
import pytest
from yalexs.api_async import ApiAsync
from yalexs.exceptions import InvalidAuth, YaleApiError

from aiostub import faults

API = "https://api-production.august.com"

pytestmark = pytest.mark.looptime


@pytest.fixture
async def api():
    """Make a client with a session of somebody else's."""
    async with aiohttp.ClientSession() as session:
        yield ApiAsync(session)


async def test_a_session_is_opened(api, aiostub):
    """The token is in a header of the answer."""
    post = aiostub.post(f"{API}/session").reply(json={}, headers={"x-august-access-token": "token"})

    answer = await api.async_get_session("install", "email:ada@example.com", "secret")

    assert answer.headers["x-august-access-token"] == "token"
    assert post.calls.last.request.json() == {
        "installId": "install",
        "identifier": "email:ada@example.com",
        "password": "secret",
    }


@pytest.mark.parametrize("status", [429, 502])
async def test_a_busy_service_is_asked_again(api, aiostub, status):
    """The pause between the attempts takes no time."""
    get = aiostub.get(f"{API}/users/houses/mine").reply(status).then.reply(json=[{"HouseID": "1"}])

    answer = await api.async_get_houses("token")

    assert await answer.json() == [{"HouseID": "1"}]
    assert get.calls.last.request.headers["x-august-access-token"] == "token"
    assert get.call_count == 2


async def test_a_connection_that_drops_every_time_is_an_error_of_the_client(api, aiostub):
    """What aiohttp re-sends by itself is none of its attempts."""
    get = aiostub.get(f"{API}/users/houses/mine").fail(faults.disconnect()).always()

    with pytest.raises(YaleApiError, match="Failed to connect"):
        await api.async_get_houses("token")

    assert {call.attempts for call in get.calls} == {2}


async def test_a_refused_token_is_an_error(api, aiostub):
    """The status says so."""
    aiostub.get(f"{API}/users/houses/mine").reply(401)

    with pytest.raises(InvalidAuth):
        await api.async_get_houses("token")
