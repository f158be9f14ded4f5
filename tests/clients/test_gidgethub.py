"""gidgethub over aiohttp meets a stub as it meets GitHub."""

import aiohttp
import pytest
from gidgethub import BadRequest, RateLimitExceeded
from gidgethub.aiohttp import GitHubAPI

API = "https://api.github.com"


@pytest.fixture
async def github():
    """Make a client with a token and a cache."""
    async with aiohttp.ClientSession() as session:
        yield GitHubAPI(session, "ada", oauth_token="token", cache={})


async def test_every_page_is_followed(github, aiostub):
    """The next page is where the Link header says."""
    aiostub.get(f"{API}/issues").reply(
        json=[{"id": 1}], headers={"Link": f'<{API}/issues?page=2>; rel="next"'}
    )
    aiostub.get(f"{API}/issues?page=2").reply(json=[{"id": 2}])

    assert [issue["id"] async for issue in github.getiter("/issues")] == [1, 2]

    sent = aiostub.calls.last.request.headers
    assert sent["Authorization"] == "token token"
    assert sent["User-Agent"] == "ada"


async def test_an_unchanged_page_comes_from_the_cache(github, aiostub):
    """The second request asks whether the first answer is still good."""
    get = aiostub.get(f"{API}/user").reply(json={"login": "ada"}, headers={"ETag": '"1"'})
    get.then.reply(304)

    assert await github.getitem("/user") == await github.getitem("/user") == {"login": "ada"}
    assert get.calls.last.request.headers["If-None-Match"] == '"1"'


async def test_a_body_is_sent_as_json(github, aiostub):
    """The template of an address is filled in by the client."""
    post = aiostub.post(f"{API}/repos/ada/notes/labels", json={"name": "bug"}).reply(201, json={})

    await github.post("/repos{/owner}/notes/labels", {"owner": "ada"}, data={"name": "bug"})

    assert post.calls.last.request.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_a_refusal_has_the_words_of_github(github, aiostub):
    """The message is in the exception."""
    aiostub.get(f"{API}/user").reply(401, json={"message": "Bad credentials"})

    with pytest.raises(BadRequest, match="Bad credentials"):
        await github.getitem("/user")


async def test_a_used_up_rate_is_an_error(github, aiostub):
    """The client reads it from the headers."""
    limits = {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1767225600",
    }
    aiostub.get(f"{API}/user").reply(403, json={"message": "limit"}, headers=limits)

    with pytest.raises(RateLimitExceeded) as caught:
        await github.getitem("/user")

    assert caught.value.rate_limit.limit == 60
