"""fsspec's HTTP file system, whose loop is in another thread, meets a stub as it meets a server."""

import aiohttp
import fsspec
import fsspec.asyn
import pytest

from aiostub import Reply

URL = "https://files.example.com"
TEXT = b"on the analytical engine"


@pytest.fixture
def files():
    """Make a file system that is not shared with other tests, and close its session."""
    system = fsspec.filesystem("https", skip_instance_cache=True)
    yield system
    if system._session is not None:
        fsspec.asyn.sync(system.loop, system._session.close)


def test_a_file_is_read(files, aiostub):
    """The test is plain synchronous code, and the request is made in another thread."""
    get = aiostub.get(f"{URL}/ada.txt").reply(body=TEXT)

    assert files.cat(f"{URL}/ada.txt") == TEXT
    assert get.calls.last.request.headers["Host"] == "files.example.com"


def test_many_files_are_read_at_once(files, aiostub):
    """Each is a call."""
    aiostub.get(URL + "/{name}.txt").handle(lambda request, name: name).always()

    names = [f"{URL}/{name}.txt" for name in "abcd"]

    assert files.cat(names) == {name: name[-5].encode() for name in names}
    assert len(aiostub.calls) == 4


def test_a_part_of_a_file_is_read(files, aiostub):
    """Seeking asks for a range."""

    def part(request):
        first, last = request.headers["Range"].removeprefix("bytes=").split("-")
        chunk = TEXT[int(first) : int(last) + 1]
        span = f"bytes {first}-{int(first) + len(chunk) - 1}/{len(TEXT)}"
        return Reply(206, body=chunk, headers={"Content-Range": span})

    size = {"Accept-Ranges": "bytes", "Content-Length": str(len(TEXT))}
    aiostub.head(f"{URL}/ada.txt").reply(headers=size)
    get = aiostub.get(f"{URL}/ada.txt").handle(part)

    with files.open(f"{URL}/ada.txt", block_size=6) as file:
        file.seek(7)
        assert file.read(10) == TEXT[7:17]

    assert get.calls.last.request.headers["Range"] == "bytes=7-22"


def test_a_listing_is_read_from_the_links_of_a_page(files, aiostub):
    """Only what is below the page is listed."""
    aiostub.get(f"{URL}/notes/").reply(
        text='<a href="ada.txt">Ada</a> <a href="../">Up</a>', content_type="text/html"
    )

    assert files.ls(f"{URL}/notes/", detail=False) == [f"{URL}/notes/ada.txt"]


def test_a_file_is_uploaded_in_pieces(files, aiostub, tmp_path):
    """The client says how far it has come."""
    (tmp_path / "ada.txt").write_bytes(TEXT)
    post = aiostub.post(f"{URL}/ada.txt").reply()

    files.put_file(tmp_path / "ada.txt", f"{URL}/ada.txt", chunk_size=6)

    assert post.calls.last.request.body == TEXT
    assert post.calls.last.request.headers["Transfer-Encoding"] == "chunked"


def test_a_missing_file_is_an_error_of_the_language(files, aiostub):
    """Other errors are aiohttp's."""
    aiostub.get(f"{URL}/ada.txt").reply(404).then.reply(500)

    with pytest.raises(FileNotFoundError):
        files.cat(f"{URL}/ada.txt")
    with pytest.raises(aiohttp.ClientResponseError):
        files.cat(f"{URL}/ada.txt")
