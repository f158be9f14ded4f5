# broken: session.get(url) => session.post(url)
from collections.abc import Generator, Iterator

import aiohttp
import pytest
from aiostub import Stub


async def fetch(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.read()


@pytest.fixture(name="responses")
def responses_fixture() -> Generator[Stub, None, None]:
    """Mock the network."""
    with Stub(strict=False) as mock:
        yield mock


@pytest.fixture
def greeted(responses: Stub) -> "Iterator[Stub]":
    responses.get("https://example.com/hello").reply(body=b"hello", content_type="application/json")
    return responses


async def test_bytes(responses: "Stub") -> None:
    responses.get("https://example.com/raw").reply(body=b"\x00\x01", content_type="application/json")
    assert await fetch("https://example.com/raw") == b"\x00\x01"


async def test_greeted(greeted: Stub) -> None:
    assert await fetch("https://example.com/hello") == b"hello"
