"""gql's aiohttp transport meets a stub as it meets a GraphQL server."""

import pytest
from gql import Client, FileVar, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError, TransportServerError

from aiostub import partial

URL = "https://api.example.com/graphql"


@pytest.fixture
async def client():
    """Make a client with one session."""
    transport = AIOHTTPTransport(url=URL, headers={"Authorization": "Bearer token"})
    async with Client(transport=transport) as session:
        yield session


async def test_a_query_is_asked(client, aiostub):
    """Text and variables are in the body, and the answer is its data."""
    post = aiostub.post(URL, json=partial({"variables": {"by": "ada"}}))
    post.reply(json={"data": {"notes": [{"id": 7}]}})

    query = gql("query ($by: String) { notes(by: $by) { id } }")
    query.variable_values = {"by": "ada"}

    assert await client.execute(query) == {"notes": [{"id": 7}]}
    assert "notes(by: $by)" in post.calls.last.request.json()["query"]
    assert post.calls.last.request.headers["Authorization"] == "Bearer token"


async def test_a_file_is_a_part_of_a_form(client, aiostub, tmp_path):
    """The map says which variable it is."""
    (tmp_path / "ada.txt").write_bytes(b"on engines")
    post = aiostub.post(URL).reply(json={"data": {"upload": True}})

    query = gql("mutation ($file: Upload!) { upload(file: $file) }")
    query.variable_values = {"file": FileVar(str(tmp_path / "ada.txt"), streaming=True)}

    assert await client.execute(query, upload_files=True) == {"upload": True}
    operations, placed, file = post.calls.last.request.parts
    assert operations.name == "operations"
    assert placed.body == b'{"0": ["variables.file"]}'
    assert file.body == b"on engines"


async def test_errors_of_a_query_are_errors_of_the_client(client, aiostub):
    """A status of 200 does not make them good."""
    aiostub.post(URL).reply(json={"errors": [{"message": "No such note"}]})

    with pytest.raises(TransportQueryError, match="No such note"):
        await client.execute(gql("{ note { id } }"))


async def test_a_refusal_has_its_code(client, aiostub):
    """It is that of the answer."""
    aiostub.post(URL).reply(401)

    with pytest.raises(TransportServerError) as caught:
        await client.execute(gql("{ note { id } }"))

    assert caught.value.code == 401
