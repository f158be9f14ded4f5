"""Applications of other frameworks, mounted through adapters: Flask and Starlette."""

import asyncio
import contextlib
import re
from pathlib import Path

import aiohttp
import flask
import pytest
from a2wsgi import WSGIMiddleware
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from aiostub import Stub

API = "https://api.example.com"


def flask_app():
    """Make an application that answers what it was asked."""
    app = flask.Flask("notes")

    @app.route("/notes/<name>", methods=["POST"])
    def note(name):
        form = flask.request.form.to_dict()
        return {"url": flask.request.url, "name": name, **form}, 201

    @app.get("/broken")
    def broken():
        raise ZeroDivisionError

    return app


def starlette_app(events):
    """Make an application that answers what it was asked, and says when it lives."""

    async def note(request):
        path, body = request.path_params, (await request.body()).decode()
        return JSONResponse({"url": str(request.url), **path, "body": body}, 201)

    async def echo(ws):
        await ws.accept()
        async for text in ws.iter_text():
            await ws.send_text(text.upper())

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events.append("up")
        yield
        events.append("down")

    routes = [Route("/notes/{name}", note, methods=["POST"]), WebSocketRoute("/echo", echo)]
    return Starlette(routes=routes, lifespan=lifespan)


def adapter(framework):
    """Return the adapter that the page on far ends has for a kind of applications."""
    page = (Path(__file__).parents[2] / "docs" / "far-ends.md").read_text(encoding="utf-8")
    names = {}
    exec(re.search(rf"{framework}.*?```py\n(.*?)```", page, re.DOTALL)[1], names)
    return names["adapted"]


with_asgi, with_wsgi = adapter("other ASGI"), adapter("other WSGI")


@pytest.fixture
async def session():
    """Make a session."""
    async with aiohttp.ClientSession(API) as session:
        yield session


async def test_flask_answers_through_aiohttp_wsgi(session):
    """It sees the URL that the client asked for, and its form."""
    await check_flask(session, with_wsgi(flask_app()))


async def test_flask_answers_through_a2wsgi_in_aiohttp_asgi(session):
    """As through the other adapter; its thread ends before the loop does."""
    adapter = WSGIMiddleware(flask_app())
    try:
        await check_flask(session, with_asgi(adapter))
    finally:
        await asyncio.to_thread(adapter.executor.shutdown)


async def check_flask(session, app):
    """Ask a mounted Flask, and compare what it says of the request."""
    async with Stub() as stub:
        stub.mount(API, app)
        async with session.post("/notes/ada?page=2", data={"by": "ada"}) as response:
            answer = (response.status, await response.json())

    assert answer == (201, {"url": f"{API}/notes/ada?page=2", "name": "ada", "by": "ada"})


async def test_an_error_in_flask_is_the_answer_of_flask(session, aiostub):
    """Flask catches it, so that the stub hears of no error."""
    aiostub.mount(API, with_wsgi(flask_app()))

    async with session.get("/broken") as response:
        assert response.status == 500
        assert "Internal Server Error" in await response.text()


async def test_starlette_answers(session):
    """It lives from its first request until the stub stops."""
    events = []
    async with Stub() as stub:
        stub.mount(API, with_asgi(starlette_app(events)))
        async with session.post("/notes/ada?page=2", data="on engines") as response:
            answer = await response.json()
            assert events == ["up"]

    assert answer == {"url": f"{API}/notes/ada?page=2", "name": "ada", "body": "on engines"}
    assert events == ["up", "down"]


async def test_starlette_talks_over_a_websocket(session, aiostub):
    """The log has its frames."""
    aiostub.mount(API, with_asgi(starlette_app([])))

    async with session.ws_connect("/echo") as ws:
        await ws.send_str("on engines")
        assert await ws.receive_str() == "ON ENGINES"

    assert aiostub.calls.last.frames.received == ["ON ENGINES"]
