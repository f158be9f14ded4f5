"""opensearch-py's asynchronous client meets a stub as it meets a cluster."""

import gzip
import json

import pytest
from opensearchpy import AsyncOpenSearch
from opensearchpy.exceptions import ConnectionTimeout, NotFoundError

from aiostub import faults

NODE = "http://search.example.com:9200"


@pytest.fixture
async def opensearch():
    """Make a client that compresses bodies and tries three times."""
    async with AsyncOpenSearch(
        NODE, http_auth=("ada", "secret"), http_compress=True, max_retries=2
    ) as client:
        yield client


async def test_bodies_are_compressed_both_ways(opensearch, aiostub):
    """A route matches what the body says, whichever coding it has on the wire."""
    query = {"query": {"match": {"by": "ada"}}}
    hits = {"hits": {"hits": [{"_id": "1"}]}}
    post = aiostub.post(f"{NODE}/shelf/_search", json=query).reply(json=hits, compress="gzip")

    assert await opensearch.search(index="shelf", body=query) == hits

    sent = post.calls.last.request
    assert sent.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(sent.body)) == query
    assert sent.headers["Accept-Encoding"] == "gzip,deflate"
    assert sent.headers["Authorization"] == "Basic YWRhOnNlY3JldA=="


async def test_the_response_is_of_the_class_of_the_client(opensearch, aiostub):
    """It takes text that a response of aiohttp would refuse."""
    get = aiostub.get(f"{NODE}/shelf/_doc/1")
    get.reply(body=b'{"lone": "\xed\xa0\x80"}', content_type="application/json")

    assert await opensearch.get(index="shelf", id="1") == {"lone": "\ud800"}

    assert type(get.calls.last.response).__name__ == "OpenSearchClientResponse"


async def test_many_actions_are_lines_of_one_body(opensearch, aiostub):
    """The lines can be read though they are compressed."""
    post = aiostub.post(f"{NODE}/_bulk").reply(json={"errors": False, "items": []})

    await opensearch.bulk(body=[{"index": {"_index": "shelf", "_id": "1"}}, {"by": "ada"}])

    assert post.calls.last.request.text == (
        '{"index":{"_index":"shelf","_id":"1"}}\n{"by":"ada"}\n'
    )


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_ailing_node_is_asked_again(opensearch, aiostub, status):
    """The client does so without a pause."""
    get = aiostub.get(NODE).reply(status).times(2).then.reply(json={"version": {"number": "3.0"}})

    assert await opensearch.info() == {"version": {"number": "3.0"}}
    assert [call.status for call in get.calls] == [status, status, 200]


async def test_a_node_that_is_gone_is_asked_again(opensearch, aiostub):
    """A lost connection counts like an ailing node."""
    head = aiostub.head(NODE).fail(faults.refused()).then.reply()

    assert await opensearch.ping()
    assert head.call_count == 2


async def test_a_timeout_is_an_error_of_the_client(opensearch, aiostub):
    """It is not tried again unless the client is told to."""
    aiostub.get(NODE).timeout()

    with pytest.raises(ConnectionTimeout):
        await opensearch.info()


async def test_a_missing_document_is_an_error_with_its_body(opensearch, aiostub):
    """The answer to 404 can be read from the exception."""
    aiostub.get(f"{NODE}/shelf/_doc/2").reply(404, json={"found": False})

    with pytest.raises(NotFoundError) as caught:
        await opensearch.get(index="shelf", id="2")

    assert caught.value.info == {"found": False}
