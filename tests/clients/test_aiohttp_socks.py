"""aiohttp-socks' connectors are never asked to connect while a stub answers."""

import aiohttp
import pytest
from aiohttp_socks import ChainProxyConnector, ProxyConnectionError, ProxyConnector

URL = "https://api.example.com/notes"
PROXY = "socks5://ada:secret@127.0.0.1:1"


@pytest.mark.parametrize(
    "connector",
    [
        lambda: ProxyConnector.from_url(PROXY),
        lambda: ProxyConnector.from_url(PROXY, rdns=True, limit=1),
        lambda: ChainProxyConnector.from_urls([PROXY, "http://127.0.0.1:2"]),
    ],
)
async def test_a_request_through_a_proxy_is_answered(aiostub, connector):
    """No proxy is looked for, and the limits of the connector hold."""
    get = aiostub.get(URL).reply(text="here").times(2)

    async with aiohttp.ClientSession(connector=connector()) as session:
        for _ in range(2):
            async with session.get(URL) as answer:
                assert await answer.text() == "here"

    assert get.calls.last.request.headers["Host"] == "api.example.com"


async def test_what_passes_through_asks_the_proxy(aiostub):
    """The connector itself connects then."""
    aiostub.get(URL).passthrough()

    async with aiohttp.ClientSession(connector=ProxyConnector.from_url(PROXY)) as session:
        with pytest.raises(ProxyConnectionError):
            await session.get(URL)

    assert aiostub.calls.last.passed_through
