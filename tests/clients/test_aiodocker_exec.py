"""aiodocker talks with a process in a container over a stub as it does over Docker's socket.

Docker answers 101 and from then on the connection is neither HTTP nor a WebSocket.
"""

import asyncio

import pytest
from aiodocker import Docker, DockerError
from aiohttp import web

from aiostub import ANY, faults

DOCKER = "unix://localhost"
V = f"{DOCKER}/v1.43"
STDOUT, STDERR = 1, 2


@pytest.fixture
async def docker(aiostub):
    """Make a client of a socket that is not there, with a container and a process in it."""
    aiostub.get(f"{DOCKER}/version").reply(json={"ApiVersion": "1.43"})
    async with Docker("unix:///nowhere/docker.sock") as docker:
        yield docker


@pytest.fixture
async def process(docker, aiostub):
    """Make a process that is to run without a terminal."""
    aiostub.post(f"{V}/containers/1/exec").reply(201, json={"Id": "e1"})
    return await docker.containers.container("1").exec(["cat", "-n"], stdin=True, tty=False)


def frame(stream, data):
    """Say which stream bytes are of, as Docker does."""
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


async def switch(request):
    """Answer 101, and hand the connection out."""
    response = web.StreamResponse(status=101, headers={"Upgrade": "tcp", "Connection": "Upgrade"})
    await response.prepare(request)
    return response, request.transport


class Typed(asyncio.Protocol):
    """Be the process: answer each line on one of its streams."""

    def __init__(self, transport):
        self.transport = transport
        self.over = asyncio.get_running_loop().create_future()
        self.lines = []

    def data_received(self, data):
        self.lines.append(data)
        self.transport.write(frame(STDOUT, b"  %d  " % len(self.lines) + data))

    def eof_received(self):
        self.transport.write(frame(STDERR, b"bye"))

    def connection_lost(self, error):
        self.over.set_result(error)


async def cat(request):
    """Serve the process until the client has left."""
    response, transport = await switch(request)
    process = Typed(transport)
    transport.set_protocol(process)
    await process.over
    return response


async def test_what_is_typed_is_answered(process, aiostub):
    """The bytes go both ways, behind a request and a response that are HTTP."""
    aiostub.get(f"{V}/exec/e1/json").optional().reply(json={"ProcessConfig": {"tty": False}})
    start = aiostub.post(f"{V}/exec/e1/start").serve(cat)

    async with process.start() as stream:
        for line in (b"on\n", b"engines\n"):
            await stream.write_in(line)
        answers = [await stream.read_out(), await stream.read_out()]

    assert answers == [(STDOUT, b"  1  on\n"), (STDOUT, b"  2  engines\n")]
    request = start.calls.last.request
    assert request.json() == {"Detach": False, "Tty": False}
    assert (request.headers["Upgrade"], start.calls.last.status) == ("tcp", 101)


async def test_output_is_told_apart(docker, aiostub):
    """Frames are cut as the network likes, and the end of the process is the end of the stream."""

    async def attached(request):
        response, transport = await switch(request)
        output = frame(STDOUT, b"on engines") + frame(STDERR, b"killed")
        for start in range(0, len(output), 7):
            transport.write(output[start : start + 7])
            await asyncio.sleep(0)
        transport.close()
        return response

    aiostub.get(f"{V}/containers/1/json").reply(json={"Config": {"Tty": False}})
    attach = aiostub.post(f"{V}/containers/{{id}}/attach", params=ANY).serve(attached)

    async with docker.containers.container("1").attach(stdout=True, stderr=True) as stream:
        output = [await stream.read_out() for _ in range(3)]

    assert output == [(STDOUT, b"on engines"), (STDERR, b"killed"), None]
    assert attach.calls.last.request.path_params == {"id": "1"}


async def test_a_terminal_has_one_stream(docker, aiostub):
    """Its bytes come as they are, those that arrive with the head of the response, too."""

    async def prompt(request):
        response, transport = await switch(request)
        transport.write(b"# ")
        return response

    aiostub.post(f"{V}/containers/1/exec").reply(201, json={"Id": "e1"})
    aiostub.post(f"{V}/exec/e1/start", json={"Detach": False, "Tty": True}).serve(prompt)

    shell = await docker.containers.container("1").exec("sh", tty=True)
    async with shell.start() as stream:
        assert await stream.read_out() == (STDOUT, b"# ")


async def test_a_process_that_cannot_be_started_is_an_error_of_docker(process, aiostub):
    """The route says so without switching."""
    aiostub.post(f"{V}/exec/e1/start").reply(409, json={"message": "Container 1 is paused"})

    with pytest.raises(DockerError, match="Container 1 is paused"):
        await process.start().read_out()


async def test_a_connection_that_breaks_is_the_end_of_the_stream(process, aiostub):
    """What came before it is there; the client cannot tell it from the end of the process."""

    async def break_off(request):
        _, transport = await switch(request)
        transport.write(frame(STDOUT, b"on"))
        raise faults.reset()

    aiostub.post(f"{V}/exec/e1/start").serve(break_off)

    async with process.start() as stream:
        assert [await stream.read_out(), await stream.read_out()] == [(STDOUT, b"on"), None]
