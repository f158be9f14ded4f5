"""aiodocker meets a stub as it meets Docker's Unix socket."""

import json

import pytest
from aiodocker import Docker, DockerError

from aiostub import faults

DOCKER = "unix://localhost"
V = f"{DOCKER}/v1.43"


@pytest.fixture
async def docker(aiostub):
    """Make a client of a socket that is not there."""
    aiostub.get(f"{DOCKER}/version").optional().reply(json={"ApiVersion": "1.43"})
    async with Docker("unix:///nowhere/docker.sock") as docker:
        yield docker


async def test_containers_are_listed(docker, aiostub):
    """The version of the API is asked for first, over the same connector."""
    get = aiostub.get(f"{V}/containers/json", params={"all": "1"}).reply(json=[{"Id": "1"}])

    assert [container.id for container in await docker.containers.list(all=True)] == ["1"]
    assert aiostub.calls.first.request.url.path == "/version"
    assert get.calls.last.request.headers["Host"] == "localhost"


async def test_a_container_is_made_and_started(docker, aiostub):
    """The configuration is the body of the first of two requests."""
    config = {"Image": "notes", "Cmd": ["write"]}
    create = aiostub.post(f"{V}/containers/create", params={"name": "ada"}, json=config)
    create.reply(201, json={"Id": "1"})
    start = aiostub.post(f"{V}/containers/1/start").reply(204)

    container = await docker.containers.create(config, name="ada")
    await container.start()

    aiostub.assert_call_order(create, start)


async def test_lines_of_json_are_read_as_they_come(docker, aiostub):
    """The client puts lines together again, wherever a chunk ended."""
    lines = [{"status": "Pulling"}, {"status": "Done"}]
    text = "".join(json.dumps(line) + "\r\n" for line in lines).encode()
    post = aiostub.post(f"{V}/images/create", params={"fromImage": "notes", "tag": "1"})
    post.reply(stream=[text[:9], text[9:]], content_type="application/json")

    assert [line async for line in docker.images.pull("notes", tag="1", stream=True)] == lines


async def test_output_is_told_apart(docker, aiostub):
    """Docker's frames arrive whole, though the second is in two chunks."""
    frames = b"\x01\0\0\0\0\0\0\x03on " + b"\x01\0\0\0\0\0\0\x07engines"
    aiostub.get(f"{V}/containers/1/json").reply(json={"Config": {"Tty": False}})
    aiostub.get(
        f"{V}/containers/1/logs", params={"stdout": "1", "stderr": "0", "follow": "0"}
    ).reply(stream=[frames[:14], frames[14:]], content_type="application/octet-stream")

    assert await docker.containers.container("1").log(stdout=True) == ["on ", "engines"]


async def test_an_error_has_the_message_of_docker(docker, aiostub):
    """It is read from the body."""
    aiostub.get(f"{V}/containers/2/json").reply(404, json={"message": "No such container: 2"})

    with pytest.raises(DockerError, match="No such container: 2"):
        await docker.containers.get("2")


async def test_a_docker_that_is_not_there_is_an_error_of_docker(docker, aiostub):
    """The connection is refused."""
    aiostub.get(f"{V}/info").fail(faults.refused())

    with pytest.raises(DockerError, match="Cannot connect to Docker"):
        await docker.system.info()
