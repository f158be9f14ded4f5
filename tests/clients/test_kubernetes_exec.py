"""kubernetes_asyncio runs commands in a pod over a stub: binary channels of one WebSocket."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import WSMsgType
from kubernetes_asyncio import client
from kubernetes_asyncio.stream import WsApiClient

from aiostub import ANY, faults

API = "https://cluster.example.com"
POD = f"{API}/api/v1/namespaces/default/pods/{{pod}}/exec"
STDIN, STDOUT, STDERR, ERROR = b"\0", b"\1", b"\2", b"\3"
SUCCESS = json.dumps({"status": "Success"}).encode()

pytestmark = pytest.mark.looptime


@pytest.fixture
async def pods():
    """Make a client with the configuration of a cluster."""
    configuration = client.Configuration(host=API)
    configuration.api_key = {"BearerToken": "Bearer token"}
    async with WsApiClient(configuration, heartbeat=30) as api:
        yield client.CoreV1Api(api)


def exec_in(pods, *command, **kwargs):
    """Run a command in the pod of the tests."""
    return pods.connect_get_namespaced_pod_exec(
        "notes", "default", command=list(command), stdout=True, stderr=True, **kwargs
    )


async def test_output_is_what_two_channels_carried(pods, aiostub):
    """Each word of the command is a parameter of its own, and the sub-protocol is agreed on."""

    async def talk(ws, request, pod):
        assert (pod, ws.ws_protocol) == ("notes", "v4.channel.k8s.io")
        for word in request.url.query.getall("command"):
            await ws.send_bytes(STDOUT + word.encode() + b"\n")
        await ws.send_bytes(STDERR + b"done\n")
        await ws.send_bytes(ERROR + SUCCESS)

    route = aiostub.ws(POD, params=ANY, headers={"Authorization": "Bearer token"}).handle(talk)

    assert await exec_in(pods, "on", "engines") == "on\nengines\ndone\n"
    assert [f.data for f in route.calls.last.frames if f.direction == "received"][-1] == 1000


async def test_a_shell_is_talked_with(pods, aiostub):
    """Each side has its say in turn, and the last frame has the exit code."""

    async def shell(ws):
        async for message in ws:
            if message.data == STDIN + b"exit 3\n":
                failure = {"status": "Failure", "details": {"causes": [{"message": "3"}]}}
                await ws.send_bytes(ERROR + json.dumps(failure).encode())
                break
            await ws.send_bytes(STDOUT + message.data[1:].upper())

    route = aiostub.ws(POD, params=ANY).handle(shell)

    websocket = await exec_in(pods, "sh", stdin=True, _preload_content=False)
    async with websocket as ws:
        await ws.send_bytes(STDIN + b"ls\n")
        assert await ws.receive_bytes() == STDOUT + b"LS\n"
        await ws.send_bytes(STDIN + b"exit 3\n")
        error = await ws.receive_bytes()

    assert WsApiClient.parse_error_data(error[1:]) == 3
    assert route.calls.last.frames.sent == [STDIN + b"ls\n", STDIN + b"exit 3\n"]


async def test_a_pod_that_is_not_there_is_an_error_of_the_handshake(pods, aiostub):
    """Its status is that of the reply."""
    aiostub.ws(POD, params=ANY).reply(404, json={"message": "pods notes not found"})

    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await exec_in(pods, "ls")

    assert caught.value.status == 404


@pytest.mark.parametrize("far_end", ["drops", "hangs"])
async def test_output_that_breaks_off_is_noticed(pods, aiostub, far_end):
    """A lost connection ends it at once, and silence does when the heartbeat is not answered."""

    async def talk(ws):
        await ws.send_bytes(STDOUT + b"on eng")
        if far_end == "drops":
            raise faults.disconnect()
        await asyncio.sleep(3600)

    route = aiostub.ws(POD, params=ANY).handle(talk)
    websocket = await exec_in(pods, "cat", _preload_content=False)

    async with websocket as ws:
        messages = [await ws.receive() for _ in range(2)]
        assert messages[1].type in {WSMsgType.ERROR, WSMsgType.CLOSED}
        assert ws.close_code == 1006

    pings = [frame for frame in route.calls.last.frames if frame.type is WSMsgType.PING]
    assert len(pings) == (0 if far_end == "drops" else 1)
