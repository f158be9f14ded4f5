"""Pagination: follow the links from page to page, and fetch a page again that fails."""

import asyncio

import aiohttp
import pytest

URL = "https://api.example.com/users"

pytestmark = pytest.mark.looptime


async def fetch_page(session, url, attempts=3):
    """Fetch one page, and return its items and the URL of the next page, if there is one."""
    while True:
        attempts -= 1
        try:
            async with session.get(url, raise_for_status=True) as response:
                more = response.links.get("next")
                return await response.json(), str(more["url"]) if more else None
        except aiohttp.ClientError:
            if not attempts:
                raise
        await asyncio.sleep(1)


async def users(session):
    """Give all users, a page at a time."""
    url, seen = URL, set()
    while url and url not in seen:
        seen.add(url)
        page, url = await fetch_page(session, url)
        for user in page:
            yield user


def pages(stub, *contents):
    """Register one route for each page."""
    routes = []
    for number, items in enumerate(contents, 1):
        more = number < len(contents)
        link = {"Link": f'<{URL}?page={number + 1}>; rel="next"'} if more else None
        url = URL if number == 1 else f"{URL}?page={number}"
        routes.append(stub.get(url).reply(json=items, headers=link))
    return routes


async def test_every_page_is_fetched_once(aiostub):
    """In their order; a page too many would be unmatched, one too few unsatisfied."""
    routes = pages(aiostub, ["Ada", "Bob"], ["Cy"], ["Di", "Ed"])

    async with aiohttp.ClientSession() as session:
        assert [user async for user in users(session)] == ["Ada", "Bob", "Cy", "Di", "Ed"]

    aiostub.assert_call_order(*routes)


async def test_a_page_that_fails_is_fetched_again(aiostub):
    """Nobody is missing then, and nobody comes twice."""
    broken = aiostub.get(f"{URL}?page=2").reply(502).then.fail(aiohttp.ServerDisconnectedError)
    pages(aiostub, ["Ada"], ["Bob"], ["Cy"])

    async with aiohttp.ClientSession() as session:
        assert [user async for user in users(session)] == ["Ada", "Bob", "Cy"]

    assert broken.call_count == 2
    assert aiostub.calls.gaps == pytest.approx([0, 1, 1, 0])


async def test_pages_are_fetched_when_they_are_needed(aiostub):
    """Who stops early has asked for no more than was looked at."""
    first, second = pages(aiostub, ["Ada", "Bob"], ["Cy"])
    second.optional()

    async with aiohttp.ClientSession() as session:
        async for user in users(session):
            if user == "Bob":
                break

    assert (first.call_count, second.call_count) == (1, 0)


async def test_pages_in_a_circle_have_an_end(aiostub):
    """A page that says it is its own successor is fetched once."""
    aiostub.get(URL).reply(json=["Ada"], headers={"Link": f'<{URL}>; rel="next"'})

    async with aiohttp.ClientSession() as session:
        assert [user async for user in users(session)] == ["Ada"]
