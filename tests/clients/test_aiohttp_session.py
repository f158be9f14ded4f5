"""An application with aiohttp-session and aiohttp-jinja2, mounted whole."""

import aiohttp
import aiohttp_jinja2
import aiohttp_session
import jinja2
import pytest
from aiohttp import web
from aiohttp_session import SimpleCookieStorage

SHOP = "https://shop.example.com"
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")  # the library's

CART = "{% for item in items %}<li>{{ item }}</li>{% endfor %} at {{ url('cart', shop=shop) }}"


async def add(request):
    """Put something into the cart, and show it."""
    session = await aiohttp_session.get_session(request)
    session["items"] = [*session.get("items", []), (await request.post())["item"]]
    raise web.HTTPFound(request.app.router["cart"].url_for(**request.match_info))


@aiohttp_jinja2.template("cart.html")
async def show(request):
    """Show the cart of whoever asks."""
    session = await aiohttp_session.get_session(request)
    return {"items": session.get("items", []), **request.match_info}


@pytest.fixture
async def shop(aiostub):
    """Mount an application with middlewares, templates and signals."""
    app = web.Application()
    aiohttp_session.setup(app, SimpleCookieStorage(cookie_name="CART", secure=True))
    aiohttp_jinja2.setup(app, loader=jinja2.DictLoader({"cart.html": CART}))
    app.router.add_get("/{shop}/cart", show, name="cart")
    app.router.add_post("/{shop}/cart", add)
    aiostub.mount(SHOP, app)


async def put(session, item):
    """Put something into the cart, and return the page that comes."""
    async with session.post(f"{SHOP}/books/cart", data={"item": item}) as response:
        assert response.status == 200
        return await response.text()


async def test_a_cart_is_kept_in_a_cookie(shop, aiostub):
    """The client's jar keeps it, because the page came by https."""
    async with aiohttp.ClientSession() as session:
        await put(session, "on engines")
        page = await put(session, "<notes>")

    assert page == "<li>on engines</li><li>&lt;notes&gt;</li> at /books/cart"
    assert [call.status for call in aiostub.calls] == [302, 200] * 2
    assert "CART" not in aiostub.calls.first.request.cookies
    assert all("CART" in call.request.cookies for call in aiostub.calls[1:])


async def test_another_client_has_another_cart(shop, aiostub):
    """The application remembers nothing by itself."""
    async with aiohttp.ClientSession() as ada, aiohttp.ClientSession() as bob:
        await put(ada, "on engines")
        assert await put(bob, "notes") == "<li>notes</li> at /books/cart"


async def test_a_page_that_is_not_there_is_the_applications_answer(shop, aiostub):
    """A mount answers for its whole origin."""
    async with aiohttp.ClientSession() as session, session.get(f"{SHOP}/nowhere") as response:
        assert (response.status, await response.text()) == (404, "404: Not Found")
