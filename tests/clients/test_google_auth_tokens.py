"""google-auth gets its tokens from an application that is mounted where Google's stands."""

import warnings

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.exceptions import RefreshError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it inherits from ClientSession, and aiohttp does not like it
    from google.auth.transport._aiohttp_requests import AuthorizedSession
    from google.oauth2._service_account_async import Credentials

TOKENS = "https://oauth2.googleapis.com"
STORAGE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"

pytestmark = pytest.mark.looptime

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
).decode()
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


class Tokens:
    """Give tokens to those who sign for them."""

    def __init__(self):
        self.claims = []
        self.seconds = 3600
        self.app = web.Application()
        self.app.router.add_post("/token", self.give)

    @property
    def newest(self):
        """Return the one that is good."""
        return f"token {len(self.claims)}"

    async def give(self, request):
        """Check the signature with the public key, as Google does."""
        form = await request.post()
        try:
            claims = jwt.decode(form["assertion"], PUBLIC, audience=f"{TOKENS}/token")
        except ValueError as error:
            return web.json_response({"error": "invalid_grant"}, status=400, reason=str(error))
        self.claims.append(claims)
        return web.json_response({"access_token": self.newest, "expires_in": self.seconds})


@pytest.fixture
def tokens(aiostub):
    """Mount the application that gives tokens, and one that knows nothing."""
    aiostub.mount("https://iamcredentials.googleapis.com", web.Application())  # asked by the way
    tokens = Tokens()
    aiostub.mount(TOKENS, tokens.app)
    return tokens


@pytest.fixture
def storage(tokens, aiostub):
    """Answer those who have the newest token."""

    def get_object(request):
        wanted = request.headers["Authorization"] == f"Bearer {tokens.newest}"
        return {"id": request.path_params["id"]} if wanted else 401

    return aiostub.get(f"{STORAGE}/{{id}}").handle(get_object).always()


@pytest.fixture
async def session():
    """Make a session of a service that has the private key."""
    session = AuthorizedSession(service("ada@example.com"))
    yield session
    await session.close()


def service(name, key=PRIVATE):
    """Make the credentials of a service."""
    account = {"client_email": name, "private_key": key, "token_uri": f"{TOKENS}/token"}
    return Credentials.from_service_account_info(account, scopes=[SCOPE])


async def get(session, id):
    """Ask for an object, and return the status and what is in it."""
    response = await session.request("GET", f"{STORAGE}/{id}")
    return response.status, await response.read()


async def test_a_token_is_got_before_it_is_used(session, tokens, storage):
    """The application has checked the signature with the public key."""
    assert await get(session, "7") == (200, b'{"id": "7"}')
    assert await get(session, "8") == (200, b'{"id": "8"}')

    assert [claims["scope"] for claims in tokens.claims] == [SCOPE]
    assert tokens.claims[0]["iss"] == "ada@example.com"


async def test_a_token_that_is_over_is_renewed(session, tokens, storage):
    """Each lasts for no time here, so there is a new one for each request."""
    tokens.seconds = 0

    assert await get(session, "7") == (200, b'{"id": "7"}')
    assert await get(session, "8") == (200, b'{"id": "8"}')
    assert len(tokens.claims) == 2


async def test_a_wrong_key_gets_no_token(tokens, aiostub):
    """Nothing is asked of the storage then."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    session = AuthorizedSession(service("eve@example.com", other.decode()))

    with pytest.raises(RefreshError, match="invalid_grant"):
        await get(session, "7")

    assert tokens.claims == []
    assert aiostub.calls.last.response.reason == "Could not verify token signature."
    await session.close()
