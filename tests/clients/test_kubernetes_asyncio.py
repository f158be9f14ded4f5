"""kubernetes_asyncio meets a stub as it meets a cluster."""

import json

import pytest
from kubernetes_asyncio import client, watch

from aiostub import partial

CLUSTER = "https://cluster.example.com:6443"
PODS = f"{CLUSTER}/api/v1/namespaces/notes/pods"


@pytest.fixture
async def core():
    """Make a client with a token."""
    configuration = client.Configuration(host=CLUSTER)
    configuration.api_key = {"BearerToken": "Bearer token"}
    async with client.ApiClient(configuration) as api:
        yield client.CoreV1Api(api)


def pod(name, version="1"):
    """Describe a pod as a cluster does."""
    return {"kind": "Pod", "metadata": {"name": name, "resourceVersion": version}}


async def test_pods_are_listed(core, aiostub):
    """The query and the token are on the wire."""
    get = aiostub.get(PODS, params={"labelSelector": "by=ada"}).reply(
        json={"kind": "PodList", "metadata": {}, "items": [pod("a"), pod("b")]}
    )

    pods = await core.list_namespaced_pod("notes", label_selector="by=ada")

    assert [each.metadata.name for each in pods.items] == ["a", "b"]
    assert get.calls.last.request.headers["authorization"] == "Bearer token"


async def test_a_watch_reads_events_as_they_come(core, aiostub):
    """It goes on where it was when the cluster ends the answer."""

    def line(kind, name, version):
        return json.dumps({"type": kind, "object": pod(name, version)}).encode() + b"\n"

    first = aiostub.get(PODS, params={"watch": "True"})
    first.reply(
        stream=[line("ADDED", "a", "1"), line("ADDED", "b", "2")[:9], line("ADDED", "b", "2")[9:]]
    )
    again = aiostub.get(PODS, params=partial({"resourceVersion": "2"}))
    again.reply(stream=[line("DELETED", "a", "3")])

    seen = []
    async with watch.Watch().stream(core.list_namespaced_pod, "notes") as events:
        async for event in events:
            seen.append((event["type"], event["object"].metadata.name))
            if len(seen) == 3:
                break

    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    aiostub.assert_call_order(first, again)


async def test_a_patch_has_the_type_of_a_patch(core, aiostub):
    """The body is JSON all the same."""
    change = {"metadata": {"labels": {"by": "ada"}}}
    patch = aiostub.patch(f"{PODS}/a", json=change).reply(json=pod("a", "2"))

    changed = await core.patch_namespaced_pod("a", "notes", change)

    assert changed.metadata.resource_version == "2"
    assert patch.calls.last.request.headers["Content-Type"].endswith("patch+json")


async def test_a_refusal_has_the_words_of_the_cluster(core, aiostub):
    """Status, reason and body are in the exception."""
    aiostub.get(f"{PODS}/a").reply(404, json={"message": 'pods "a" not found'})

    with pytest.raises(client.ApiException) as caught:
        await core.read_namespaced_pod("a", "notes")

    assert (caught.value.status, caught.value.reason) == (404, "Not Found")
    assert json.loads(caught.value.body) == {"message": 'pods "a" not found'}
