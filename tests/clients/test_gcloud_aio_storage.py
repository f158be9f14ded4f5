"""gcloud-aio-storage meets a stub as it meets Cloud Storage."""

import io
import json

import pytest
from aiohttp import ClientResponseError
from gcloud.aio.storage import Storage

from aiostub import ANY, partial

OBJECTS = "https://www.googleapis.com/upload/storage/v1/b/shelf/o"
BUCKET = "https://www.googleapis.com/storage/v1/b/shelf/o"
USER = {
    "type": "authorized_user",
    "client_id": "ada",
    "client_secret": "secret",
    "refresh_token": "refresh",
}


@pytest.fixture
async def storage(aiostub):
    """Make a client that fetches a token first."""
    aiostub.post(
        "https://oauth2.googleapis.com/token", data=partial({"refresh_token": "refresh"})
    ).reply(json={"access_token": "token", "expires_in": 3600})
    async with Storage(service_file=io.StringIO(json.dumps(USER))) as client:
        yield client


async def test_a_small_object_is_uploaded_at_once(storage, aiostub):
    """The token, the type and the body are on the wire."""
    post = aiostub.post(OBJECTS, params={"name": "ada.txt", "uploadType": "media"})
    post.reply(json={"name": "ada.txt"})

    answer = await storage.upload("shelf", "ada.txt", "on engines")

    assert answer == {"name": "ada.txt"}
    sent = post.calls.last.request
    assert sent.headers["Authorization"] == "Bearer token"
    assert sent.headers["Content-Type"] == "text/plain"
    assert sent.body == b"on engines"


async def test_an_object_with_metadata_is_a_multipart_body(storage, aiostub):
    """Both parts of multipart/related can be looked at."""
    post = aiostub.post(OBJECTS, params=ANY).reply(json={"name": "ada.txt"})

    await storage.upload("shelf", "ada.txt", "on engines", metadata={"metadata": {"by": "ada"}})

    described, content = post.calls.last.request.parts
    assert described.content_type == "application/json"
    assert json.loads(described.body) == {"metadata": {"by": "ada"}, "name": "ada.txt"}
    assert content.body == b"on engines"


async def test_a_resumable_upload_goes_where_the_service_says(storage, aiostub):
    """The first request fetches the address of the second."""
    start = aiostub.post(OBJECTS, params=partial({"uploadType": "resumable"}))
    start.reply(headers={"Location": f"{OBJECTS}?upload_id=7"})
    put = aiostub.put(f"{OBJECTS}?upload_id=7", data=b"on engines").reply(json={"name": "ada.txt"})

    await storage.upload("shelf", "ada.txt", b"on engines", force_resumable_upload=True)

    assert start.calls.last.request.headers["X-Upload-Content-Length"] == "10"
    aiostub.assert_call_order(start, put)


async def test_an_object_is_streamed(storage, aiostub):
    """The client reads as much as it asks for."""
    aiostub.get(f"{BUCKET}/a%2Fb.txt", params={"alt": "media"}).reply(stream=[b"on ", b"engines"])

    stream = await storage.download_stream("shelf", "a/b.txt")

    assert await stream.read(5) == b"on "
    assert await stream.read() == b"engines"


async def test_an_error_has_the_text_of_the_service(storage, aiostub):
    """The client puts the body in the message."""
    aiostub.get(f"{BUCKET}/ada.txt", params=ANY).reply(404, text="No such object")

    with pytest.raises(ClientResponseError, match="Not Found: No such object"):
        await storage.download("shelf", "ada.txt")
