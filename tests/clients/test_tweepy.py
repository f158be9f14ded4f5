"""tweepy's asynchronous client meets a stub as it meets the service."""

import pytest
from tweepy import BadRequest
from tweepy.asynchronous import AsyncClient, AsyncPaginator

from aiostub import partial

API = "https://api.twitter.com/2"


def tweet(number, text):
    """Describe a tweet as the service does."""
    return {"id": number, "text": text, "edit_history_tweet_ids": [number]}


async def test_every_page_is_asked_for(aiostub):
    """The token of one page is in the query of the next."""
    aiostub.get(f"{API}/users/1/tweets", params=partial({"pagination_token": "t"})).reply(
        json={"data": [tweet("2", "b")], "meta": {}}
    )
    aiostub.get(f"{API}/users/1/tweets").reply(
        json={"data": [tweet("1", "a")], "meta": {"next_token": "t"}}
    )

    client = AsyncClient("token")
    tweets = [each async for each in AsyncPaginator(client.get_users_tweets, 1).flatten()]

    assert [each.text for each in tweets] == ["a", "b"]
    assert aiostub.calls.last.request.headers["Authorization"] == "Bearer token"


async def test_a_refusal_has_the_words_of_the_service(aiostub):
    """The request is signed all the same."""
    post = aiostub.post(f"{API}/tweets", json={"text": "Hello"})
    post.reply(400, json={"errors": [{"message": "Too short"}], "detail": "", "title": "Invalid"})

    with pytest.raises(BadRequest, match="Too short"):
        await AsyncClient(None, "a", "b", "c", "d").create_tweet(text="Hello")

    sent = post.calls.last.request.headers["Authorization"]
    assert sent.startswith("OAuth ")
    assert 'oauth_consumer_key="a"' in sent
