# broken: "/b" => "/c"
import aiohttp
from aiostub import Stub


async def gather():
    async with aiohttp.ClientSession() as session:
        found = []
        for path in ("/a", "/b"):
            async with session.get("https://example.com" + path) as response:
                found.append(await response.text())
        return found


def mock_text(mock, path, text: str, *, status=200):
    mock.get(f"https://example.com{path}").reply(status, text=text, content_type="application/json")


def mock_all(mock: Stub) -> None:
    mock_text(mock, "/a", "A")
    mock_text(mock=mock, path="/" + "b", text="B")


async def test_gather():
    with Stub(strict=False) as m:
        mock_all(m)
        assert await gather() == ["A", "B"]
