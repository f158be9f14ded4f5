"""A real aiohttp client retries its way to an answer, and no packet is sent.

Run it with ``make demo``, or with ``python examples/demo.py`` where aiostub is installed.
"""

import asyncio
import socket

import aiohttp

import aiostub

URL = "https://api.example.com/report"


async def fetch_report(session: aiohttp.ClientSession, attempts: int = 5) -> str:
    """Fetch a report the way production code does: with a timeout and a few retries."""
    for attempt in range(1, attempts + 1):
        try:
            async with session.get(URL, timeout=aiohttp.ClientTimeout(total=30)) as response:
                response.raise_for_status()
                return await response.text()
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            print(f"  attempt {attempt}: {type(error).__name__} {error}".rstrip())
    message = f"no report after {attempts} attempts"
    raise RuntimeError(message)


def no_network(*_: object, **__: object) -> None:
    """Stand in for everything that would open a connection."""
    message = "a packet was about to be sent"
    raise AssertionError(message)


async def main() -> None:
    """Let the client meet a 503, a dropped connection and a timeout, then a 200."""
    asyncio.get_running_loop().create_connection = no_network  # type: ignore[method-assign]
    socket.socket.connect = no_network  # type: ignore[assignment,method-assign]

    async with aiostub.Stub() as stub, aiohttp.ClientSession() as session:
        stub.get(URL).reply(503).then.fail(
            aiohttp.ServerDisconnectedError
        ).then.timeout().then.reply(text="42 pages, all good")

        print(f"GET {URL}")
        print(f"  the report: {await fetch_report(session)}\n")
        print(stub.calls.timeline())


asyncio.run(main())
