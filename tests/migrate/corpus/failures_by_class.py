# broken: errno, str(error) => errno, repr(error)
import aiohttp
from aiohttp import ClientOSError, ServerDisconnectedError
from aioresponses import aioresponses


async def error_of(url):
    async with aiohttp.ClientSession() as session:
        try:
            await session.get(url)
        except ClientOSError as error:
            return error.errno, str(error)
        except ServerDisconnectedError as error:
            return error.message


async def test_words():
    with aioresponses() as m:
        m.get("https://example.com/", exception=ClientOSError)
        m.get("https://example.com/", exception=ServerDisconnectedError)
        m.get("https://example.com/", exception=aiohttp.ClientOSError(5, "odd"))
        assert await error_of("https://example.com/") == (None, "")
        assert await error_of("https://example.com/") == "Server disconnected"
        assert await error_of("https://example.com/") == (5, "[Errno 5] odd")
