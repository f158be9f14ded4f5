# broken: session.get(url) => session.post(url)
from collections.abc import Generator, Iterator

import aiohttp
import pytest
from aioresponses import aioresponses


async def fetch(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.read()


@pytest.fixture(name="responses")
def responses_fixture() -> Generator[aioresponses, None, None]:
    """Mock the network."""
    with aioresponses() as mock:
        yield mock


@pytest.fixture
def greeted(responses: aioresponses) -> "Iterator[aioresponses]":
    responses.get("https://example.com/hello", body=b"hello")
    return responses


async def test_bytes(responses: "aioresponses") -> None:
    responses.get("https://example.com/raw", body=b"\x00\x01")
    assert await fetch("https://example.com/raw") == b"\x00\x01"


async def test_greeted(greeted: aioresponses) -> None:
    assert await fetch("https://example.com/hello") == b"hello"
