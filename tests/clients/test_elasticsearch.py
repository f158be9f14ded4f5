"""elasticsearch-py's asynchronous client meets a stub as it meets a cluster."""

import elasticsearch as es
import pytest
from elasticsearch.helpers import async_bulk

from aiostub import faults

NODES = ["http://a.example.com:9200", "http://b.example.com:9200"]
GENUINE = {"X-Elastic-Product": "Elasticsearch"}


@pytest.fixture
async def elasticsearch():
    """Make a client that compresses bodies."""
    async with es.AsyncElasticsearch(NODES, api_key="key", http_compress=True) as client:
        yield client


async def test_a_search_is_sent_compressed(elasticsearch, aiostub):
    """A route matches what the body says."""
    query = {"match": {"by": "ada"}}
    post = aiostub.post("/shelf/_search", json={"query": query})
    post.reply(json={"hits": {"hits": [{"_id": "1"}]}}, headers=GENUINE, compress="gzip")

    found = await elasticsearch.search(index="shelf", query=query)

    assert found["hits"]["hits"] == [{"_id": "1"}]
    sent = post.calls.last.request.headers
    assert sent["Content-Encoding"] == "gzip"
    assert sent["Authorization"] == "ApiKey key"
    assert sent["Accept"].startswith("application/vnd.elasticsearch+json")


async def test_many_actions_are_lines_of_one_body(elasticsearch, aiostub):
    """The helper reads what became of each."""
    put = aiostub.put("/_bulk").reply(
        json={"errors": False, "items": [{"index": {"status": 201}}]}, headers=GENUINE
    )

    done, _ = await async_bulk(elasticsearch, [{"_index": "shelf", "_id": "1", "by": "ada"}])

    assert done == 1
    assert put.calls.last.request.text == '{"index":{"_id":"1","_index":"shelf"}}\n{"by":"ada"}\n'


async def test_the_other_node_is_asked_when_one_is_gone(elasticsearch, aiostub):
    """The client tries again at once."""
    get = (
        aiostub.get("/")
        .fail(faults.refused())
        .then.reply(json={"version": {"number": "9.0.0"}}, headers=GENUINE)
    )

    assert (await elasticsearch.info())["version"]["number"] == "9.0.0"
    assert {call.request.url.host for call in get.calls} == {"a.example.com", "b.example.com"}


async def test_a_cluster_that_is_gone_is_an_error_of_the_client(elasticsearch, aiostub):
    """Every attempt has been made."""
    get = aiostub.get("/").fail(faults.refused()).times(4)

    with pytest.raises(es.ConnectionError, match="Cannot connect to host"):
        await elasticsearch.info()

    assert get.call_count == 4


async def test_a_missing_document_is_an_error_with_its_body(elasticsearch, aiostub):
    """The answer to 404 can be read from the exception."""
    aiostub.get("/shelf/_doc/2").reply(404, json={"found": False}, headers=GENUINE)

    with pytest.raises(es.NotFoundError) as caught:
        await elasticsearch.get(index="shelf", id="2")

    assert caught.value.body == {"found": False}
