"""azure-storage-blob's asynchronous client meets a stub as it meets the Blob service."""

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from aiostub import ANY, Reply

SHELF = "https://ada.blob.core.windows.net/shelf"
STORED = {"ETag": '"1"', "Last-Modified": "Mon, 27 Nov 1815 00:00:00 GMT"}


@pytest.fixture
async def shelf():
    """Make a client that signs with a key and reads four bytes at a time."""
    key = {"account_name": "ada", "account_key": "c2VjcmV0"}
    async with ContainerClient.from_container_url(
        SHELF, credential=key, max_single_get_size=4, max_chunk_get_size=4
    ) as client:
        yield client


async def test_a_blob_is_uploaded(shelf, aiostub):
    """The body, its type and the signature are on the wire."""
    put = aiostub.put(f"{SHELF}/ada.txt", data=b"on engines").reply(201, headers=STORED)

    blob = await shelf.upload_blob("ada.txt", b"on engines", metadata={"by": "ada"})

    assert blob.url == f"{SHELF}/ada.txt"
    sent = put.calls.last.request.headers
    assert sent["x-ms-blob-type"] == "BlockBlob"
    assert sent["x-ms-meta-by"] == "ada"
    assert sent["Content-Length"] == "10"
    assert sent["Authorization"].startswith("SharedKey ada:")


async def test_a_blob_is_downloaded_in_ranges(shelf, aiostub):
    """Each range is a request of its own."""
    text = b"on engines"

    def read(request):
        first, last = request.headers["x-ms-range"].removeprefix("bytes=").split("-")
        part = slice(int(first), int(last) + 1)
        span = f"bytes {first}-{min(int(last), len(text) - 1)}/{len(text)}"
        return Reply(206, body=text[part], headers={**STORED, "Content-Range": span})

    get = aiostub.get(f"{SHELF}/ada.txt").handle(read).times(3)

    download = await shelf.download_blob("ada.txt")

    assert await download.readall() == text
    assert [call.request.headers["x-ms-range"] for call in get.calls] == [
        "bytes=0-3",
        "bytes=4-7",
        "bytes=8-9",
    ]


@pytest.mark.looptime
async def test_a_503_is_tried_again(shelf, aiostub):
    """The pause before the next attempt takes no time, and the attempt is signed anew."""
    head = aiostub.head(f"{SHELF}/ada.txt").reply(503).then.reply(headers=STORED)

    found = await shelf.get_blob_client("ada.txt").get_blob_properties()

    assert found.etag == '"1"'
    assert head.calls.gaps == [pytest.approx(18, abs=3.1)]  # fifteen, three more, and a jitter


async def test_an_error_of_the_service_has_its_code(shelf, aiostub):
    """The client takes it from the header, as an answer to HEAD has no body."""
    aiostub.head(f"{SHELF}/ada.txt").reply(404, headers={"x-ms-error-code": "BlobNotFound"})

    with pytest.raises(ResourceNotFoundError) as caught:
        await shelf.get_blob_client("ada.txt").get_blob_properties()

    assert caught.value.error_code == "BlobNotFound"


async def test_every_page_of_a_listing_is_asked_for(shelf, aiostub):
    """The marker of one page is in the query of the next."""

    def page(name, marker=""):
        blob = f"<Blob><Name>{name}</Name><Properties/></Blob>"
        return (
            f'<EnumerationResults ContainerName="shelf"><Blobs>{blob}</Blobs>'
            f"<NextMarker>{marker}</NextMarker></EnumerationResults>"
        )

    pages = aiostub.get(SHELF, params=ANY).reply(
        text=page("a", "2"), content_type="application/xml"
    )
    pages.then.reply(text=page("b"), content_type="application/xml")

    assert [name async for name in shelf.list_blob_names()] == ["a", "b"]
    assert [dict(call.request.url.query) for call in pages.calls] == [
        {"restype": "container", "comp": "list"},
        {"restype": "container", "comp": "list", "marker": "2"},
    ]
