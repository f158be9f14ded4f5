# broken: errno, str(error) => errno, repr(error)
import aiohttp
from aiohttp import ClientOSError, ServerDisconnectedError
from aiostub import Stub


async def error_of(url):
    async with aiohttp.ClientSession() as session:
        try:
            await session.get(url)
        except ClientOSError as error:
            return error.errno, str(error)
        except ServerDisconnectedError as error:
            return error.message


async def test_words():
    with Stub(strict=False) as m:
        m.get("https://example.com/").fail(ClientOSError())
        m.get("https://example.com/").fail(ServerDisconnectedError())
        m.get("https://example.com/").fail(aiohttp.ClientOSError(5, "odd"))
        assert await error_of("https://example.com/") == (None, "")
        assert await error_of("https://example.com/") == "Server disconnected"
        assert await error_of("https://example.com/") == (5, "[Errno 5] odd")
