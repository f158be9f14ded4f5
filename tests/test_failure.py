"""Failures: exceptions in aiohttp's own words, with the real request's facts."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pickle
import socket
import ssl
import sys

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.abc import AbstractResolver
from yarl import URL

from aiostub import faults
from aiostub._answers import failure as _failure
from aiostub._answers.failure import Failure, connection_error
from aiostub.exceptions import RouteError

DNS_ERROR = getattr(aiohttp, "ClientConnectorDNSError", aiohttp.ClientConnectorError)


@contextlib.asynccontextmanager
async def failed_call(url, *, connector=None, **arguments):
    """Send a request that fails on its way: the real ClientRequest and the failure."""
    requests = []

    class Recorded(aiohttp.ClientRequest):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            requests.append(self)

    async with aiohttp.ClientSession(request_class=Recorded, connector=connector) as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.get(url, **arguments)
        yield requests[0], caught.value


class NoNames(AbstractResolver):
    """Know no name."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self):
        """Hold nothing."""


async def request_to(url, **arguments):
    """Make a real ClientRequest, which gets no further than looking up the name."""
    connector = aiohttp.TCPConnector(resolver=NoNames())
    async with failed_call(url, connector=connector, **arguments) as (request, _):
        return request


@pytest.fixture
async def request_():
    """A real request to https://api.example.com/users."""
    return await request_to("https://api.example.com/users")


# ------------------------------------------------------------------------------ as the network does


def facts(error):
    """Tell all that an app can see of a connector's failure."""
    names = ("errno", "strerror", "host", "port", "ssl", "path", "reason", "verify_code")
    seen = {name: getattr(error, name, None) for name in names}
    cause = error.__cause__
    return {
        **seen,
        "type": type(error),
        "text": str(error),
        "os error": type(getattr(error, "os_error", None)),
        "cause": [type(cause), cause.args, cause.errno, cause.strerror, vars(cause)],
        "cause is the argument": cause is error.args[-1],
        "context": type(error.__context__),
        "hidden context": error.__suppress_context__,
        "args": [type(argument) for argument in error.args],
        "key": error.args[0],
    }


@contextlib.contextmanager
def closed_port():
    """Hold a port that nobody listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextlib.asynccontextmanager
async def server(tls=None):
    """Listen on a port, with TLS or without, and answer in plain HTTP."""

    async def answer(reader, writer):
        with contextlib.suppress(ConnectionError):
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()
            await writer.wait_closed()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()


async def assert_same(fault, url, *, connector=None, **arguments):
    """Let the failure really happen, and compare it with ours."""
    async with failed_call(url, connector=connector, **arguments) as (request, real):
        assert facts(real) == facts(connection_error(fault, request, connector))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_refused_is_what_a_closed_port_does(scheme):
    """A port that nobody listens on and faults.refused() are told apart by nothing."""
    with closed_port() as port:
        await assert_same(faults.refused(), f"{scheme}://127.0.0.1:{port}/")


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
async def test_refused_is_what_a_socket_file_that_nobody_listens_on_does(tmp_path):
    """It has a class of its own, and names the file."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(path)
    await assert_same(faults.refused(), "http://x/", connector=aiohttp.UnixConnector(path))


async def test_refused_over_ipv6_names_the_address_as_the_system_does():
    """An IPv6 address comes with flow and scope."""
    request = await request_to("http://example.com/")
    request.url = URL("http://[::1]:8080/")

    error = connection_error(faults.refused(), request)

    assert "Connect call failed ('::1', 8080, 0, 0)" == error.strerror


async def test_unreachable_is_what_a_missing_way_does(monkeypatch):
    """The system says so before it sends anything, and faults.unreachable() says the same."""

    async def no_way(*_):
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", no_way, raising=False)

    await assert_same(faults.unreachable(), "http://127.0.0.1:80/")


@pytest.mark.parametrize("url", ["http://nowhere.invalid/", "https://nowhere.invalid:1/"])
async def test_dns_is_what_an_unknown_name_does(url):
    """A name that the resolver does not know and faults.dns() are the same."""
    await assert_same(faults.dns(), url, connector=aiohttp.TCPConnector(resolver=NoNames()))


async def test_dns_has_the_class_of_this_aiohttp():
    """From aiohttp 3.10 on a failed look-up has a class of its own."""
    request = await request_to("http://nowhere.invalid/")

    assert DNS_ERROR is type(connection_error(faults.dns(), request))


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are reset there")
async def test_tls_is_what_a_plain_server_does():
    """Talking TLS to a server that does not and faults.tls() are the same."""
    async with server() as port:
        await assert_same(faults.tls(), f"https://127.0.0.1:{port}/")


async def test_certificate_is_what_a_self_signed_one_does(self_signed):
    """A self-signed certificate and faults.certificate() are the same."""
    async with server(self_signed) as port:
        await assert_same(faults.certificate(), f"https://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("url", "user", "arguments"),
    [
        ("http://example.com/", "", {}),
        ("https://example.com/", "", {}),
        ("https://example.com/", "", {"proxy_headers": {"X": "1"}}),
        ("https://example.com/", "me:secret@", {}),
    ],
)
async def test_proxy_is_what_a_proxy_that_is_not_there_does(url, user, arguments):
    """The error is about the proxy: its host, its port, its key."""
    with closed_port() as port:
        proxy = f"http://{user}127.0.0.1:{port}"
        await assert_same(faults.proxy(), url, proxy=proxy, **arguments)


@pytest.fixture
def self_signed():
    """A server's TLS with a certificate that nobody else has signed."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The authority's own certificate is the one that it signed itself.
    chain = authority.cert_pem.bytes() + authority.private_key_pem.bytes()
    with trustme.Blob(chain).tempfile() as path:
        context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("fault", [faults.tls(), faults.certificate()], ids=str)
async def test_without_tls_nothing_of_tls_can_fail(fault):
    """A request in plain HTTP cannot meet the fault, and the error says why."""
    request = await request_to("http://api.example.com/users?a=1")

    with pytest.raises(RouteError) as caught:
        connection_error(fault, request)

    text = f"{fault}: the request to http://api.example.com/users?a=1 does not use TLS"
    assert text == str(caught.value)


@pytest.mark.parametrize("scheme", ["https", "wss"])
@pytest.mark.parametrize("fault", [faults.tls(), faults.certificate()], ids=str)
async def test_wss_is_tls_too(fault, scheme):
    """A WebSocket over TLS can fail as https can."""
    request = await request_to("https://api.example.com/")
    request.url = request.url.with_scheme(scheme)

    assert isinstance(connection_error(fault, request), aiohttp.ClientConnectorError)


async def test_without_a_proxy_none_can_fail(request_):
    """A direct request cannot meet the fault, and the error says why."""
    with pytest.raises(RouteError) as caught:
        connection_error(faults.proxy(), request_)

    text = "faults.proxy(): the request to https://api.example.com/users does not use a proxy"
    assert text == str(caught.value)


# ------------------------------------------------------------------------------ classes

SAID_HOST = "Cannot connect to host api.example.com:443 ssl:"
SAID_TLS = f"{SAID_HOST}default [[SSL: WRONG_VERSION_NUMBER] wrong version number "
SAID_URL = "https://api.example.com/users"
JSON_TYPE = "Attempt to decode JSON with unexpected mimetype: text/html"
NO_URL = "Server attempted redirecting to a location that does not look like a URL"

# What an exception of each class says; the end may be left out.
TEXTS = {
    "ClientConnectionError": "",
    "ClientConnectionResetError": "Cannot write to closing transport",
    "ClientConnectorCertificateError": (
        f"{SAID_HOST}True [SSLCertVerificationError: (1, '[SSL: CERTIFICATE_VERIFY_FAILED] "
        "certificate verify failed: self"
    ),
    "ClientConnectorSSLError": SAID_TLS,
    "ClientError": "",
    "ClientHttpProxyError": "407, message='Proxy Authentication Required', url=",
    "ClientPayloadError": "Response payload is not completed",
    "ClientProxyConnectionError": (
        f"{SAID_HOST}default [Connect call failed ('api.example.com', 443)]"
    ),
    "ClientResponseError": "400, message='Bad Request', url=",
    "ClientSSLError": SAID_TLS,
    "ConnectionTimeoutError": f"Connection timeout to host {SAID_URL}",
    "ContentTypeError": f"200, message='{JSON_TYPE}', url=",
    "InvalidURL": SAID_URL,
    "InvalidUrlClientError": SAID_URL,
    "InvalidUrlRedirectClientError": f"{SAID_URL} - {NO_URL}",
    "NonHttpUrlClientError": SAID_URL,
    "NonHttpUrlRedirectClientError": SAID_URL,
    "RedirectClientError": "",
    "ServerConnectionError": "",
    "ServerFingerprintMismatch": "(b'\\x00",
    "ServerTimeoutError": "Timeout on reading data from socket",
    "SocketTimeoutError": "Timeout on reading data from socket",
    "TooManyRedirects": "0, message='', url=",
    "UnixClientConnectorError": "Cannot connect to unix socket api.example.com ssl:default ",
    "UploadAbortedError": "",
    "WSMessageTypeError": "",
    "WSServerHandshakeError": "400, message='Invalid response status', url=",
}
FAULTS = {
    "ServerDisconnectedError": faults.disconnect(),
    "ClientOSError": faults.reset(),
    "ClientConnectorError": faults.refused(),
    "ClientConnectorDNSError": faults.dns(),
}
HERE = sorted(
    name
    for name, value in vars(client_exceptions).items()
    if isinstance(value, type)
    and issubclass(value, BaseException)
    and value.__module__ == client_exceptions.__name__
)


def test_the_tables_have_every_class_of_this_aiohttp():
    """No exception of aiohttp's client is forgotten."""
    assert set() == set(HERE) - set(TEXTS) - set(FAULTS)


@pytest.mark.parametrize("name", [name for name in HERE if name not in FAULTS])
async def test_each_class_of_aiohttp_makes_a_whole_exception(request_, name):
    """Text, repr and the facts of the request work, and each time it is a new one."""
    cls = getattr(client_exceptions, name)
    failure = Failure(cls)

    error, other = failure.exception(request_), failure.exception(request_)

    assert failure.fault is None
    assert (cls, cls) == (type(error), type(other))
    assert error is not other
    assert TEXTS[name] == str(error)[: len(TEXTS[name])]
    assert repr(error)
    if isinstance(error, aiohttp.ClientConnectorError):
        assert ("api.example.com", 443) == (error.host, error.port)
        assert error.ssl is True
    if isinstance(error, aiohttp.ClientResponseError):
        assert request_.request_info == error.request_info
        assert () == error.history
        assert URL(SAID_URL) == error.request_info.real_url
        assert isinstance(error.status, int)
    if isinstance(error, aiohttp.InvalidURL):
        assert URL(SAID_URL) == error.url
    if isinstance(error, aiohttp.ServerFingerprintMismatch):
        assert ("api.example.com", 443) == (error.host, error.port)


# Their headers are a view, and UnixClientConnectorError has an argument more than its args.
UNPICKLABLE = (
    aiohttp.ClientResponseError,
    client_exceptions.UnixClientConnectorError,
)


@pytest.mark.parametrize("name", [name for name in HERE if name not in FAULTS])
async def test_each_class_that_can_be_pickled_is(request_, name):
    """An exception goes through pickle wherever aiohttp's own class does."""
    error = Failure(getattr(client_exceptions, name)).exception(request_)
    if isinstance(error, UNPICKLABLE):
        with pytest.raises(TypeError):
            pickle.loads(pickle.dumps(error))
        return

    again = pickle.loads(pickle.dumps(error))

    assert (type(error), str(error)) == (type(again), str(again))


@pytest.mark.parametrize("name", [name for name in HERE if name in FAULTS])
async def test_four_classes_come_about_as_their_fault_does(name):
    """Given as the class, they are a fault; their instances and subclasses are raised."""
    cls = getattr(client_exceptions, name)

    class Derived(cls):
        pass

    assert FAULTS[name] == Failure(cls).fault
    assert Failure(Derived).fault is None


async def test_a_fault_of_the_connection_gives_its_exception(request_):
    """A failure that is such a fault is aiohttp's exception for it."""
    error = Failure(aiohttp.ClientConnectorError).exception(request_)

    assert "Cannot connect to host api.example.com:443 ssl:default [Connect call" in str(error)
    assert ConnectionRefusedError is type(error.__cause__)


async def test_a_connector_error_has_its_cause(request_):
    """The class given comes with the cause that it has in aiohttp."""
    error = Failure(aiohttp.ClientConnectorSSLError).exception(request_)

    assert error.os_error is error.__cause__
    assert ssl.SSLError is type(error.__cause__)


async def test_a_proxy_error_by_class_is_about_the_proxy_if_there_is_one():
    """With a proxy, host and port are the proxy's."""
    request = await request_to("https://example.com/", proxy="https://proxy.example.com:3128")

    error = Failure(aiohttp.ClientProxyConnectionError).exception(request)

    assert ("proxy.example.com", 3128) == (error.host, error.port)
    assert error.args[0].is_ssl


async def test_a_fingerprint_that_was_asked_for_is_the_one_expected():
    """The mismatch names the request's own fingerprint."""
    asked = aiohttp.Fingerprint(bytes(range(32)))
    request = await request_to("https://example.com/", ssl=asked)

    error = Failure(aiohttp.ServerFingerprintMismatch).exception(request)

    assert asked.fingerprint == error.expected
    assert error.got != error.expected


@pytest.mark.skipif(
    not hasattr(aiohttp.ClientRequest, "session"), reason="the request does not know its session"
)
async def test_a_unix_socket_error_names_the_socket(tmp_path):
    """The path is that of the session's connector."""
    path = str(tmp_path / "socket")
    connector = aiohttp.UnixConnector(path=path)
    async with failed_call("http://localhost/", connector=connector) as (request, real):
        error = Failure(client_exceptions.UnixClientConnectorError).exception(request)

    assert (type(real), path) == (type(error), error.path)


class OwnError(Exception):
    """An exception of the user's."""


class WordedError(Exception):
    """An exception that words its own argument, and so cannot be copied."""

    def __init__(self, code=7):
        super().__init__(f"code {code}")


class WantingError(Exception):
    """An exception that must be told something."""

    def __init__(self, code):
        super().__init__(code)


class OwnConnector(aiohttp.ClientConnectorError):
    """A connector error with its parent's constructor."""


class OwnResponse(aiohttp.ClientResponseError):
    """A response error with a constructor of its own."""

    def __init__(self):
        Exception.__init__(self, "mine")


class Strange(aiohttp.ClientPayloadError):
    """A class that takes no arguments, which only making it shows."""

    def __new__(cls):
        return super().__new__(cls)


MADE = {
    OwnError: "",
    WordedError: "code 7",
    OwnConnector: f"{SAID_HOST}default [Connect call failed ('api.example.com', 443)]",
    TimeoutError: "",
    asyncio.TimeoutError: "",
    asyncio.CancelledError: "",
    OSError: "",
    ConnectionResetError: "",
    ValueError: "",
    KeyboardInterrupt: "",
}


@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__qualname__)
async def test_any_class_makes_a_new_instance_each_time(request_, cls):
    """A class of the user's or of Python's is made without arguments, or as its parent is."""
    failure = Failure(cls)

    error, other = failure.exception(request_), failure.exception(request_)

    assert (cls, MADE[cls]) == (type(error), str(error))
    assert error is not other


async def test_a_constructor_of_the_user_s_is_the_user_s(request_):
    """A subclass that makes itself is not filled."""
    error = Failure(OwnResponse).exception(request_)

    assert ("mine",) == error.args


@pytest.mark.parametrize("cls", [WantingError, UnicodeDecodeError, aiohttp.WebSocketError])
def test_a_class_that_must_be_told_something_wants_to_be_an_instance(cls):
    """Where a class cannot be made, the line that registers says what to do."""
    with pytest.raises(RouteError, match=rf"^exc: {cls.__qualname__} .*; pass an instance of it$"):
        Failure(cls)


async def test_what_only_shows_at_the_call_is_said_there(request_):
    """A class that its parent's arguments do not make is a RouteError at the call."""
    failure = Failure(Strange)

    with pytest.raises(RouteError, match=r"^exc: Strange cannot be made .*; pass an instance"):
        failure.exception(request_)


async def test_a_class_that_stops_being_made_is_said_at_the_call(request_, monkeypatch):
    """What worked at registration may fail later."""
    failure = Failure(OwnError)
    monkeypatch.setattr(OwnError, "__init__", WantingError.__init__)

    with pytest.raises(RouteError, match=r"^exc: OwnError cannot be made .*; pass an instance"):
        failure.exception(request_)


# ------------------------------------------------------------------------------ instances


def raised(error):
    """Give an exception the traces of having been raised."""
    with contextlib.suppress(type(error)):
        try:
            int("context")
        except ValueError:
            raise error from KeyError("cause")
    return error


COPIED = [
    OwnError("a", 1),
    OSError(errno.EPIPE, "Broken pipe", "file"),
    aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"),
    aiohttp.ServerDisconnectedError("gone"),
    aiohttp.ServerTimeoutError(),
    asyncio.IncompleteReadError(b"part", 9),
]


@pytest.mark.parametrize("given", COPIED, ids=lambda error: type(error).__name__)
async def test_an_instance_is_copied_where_it_can_be(request_, given):
    """Each call gets its own, without the traces of another raise."""
    given.extra = ["more"]
    failure = Failure(raised(given))

    error = failure.exception(request_)

    assert failure.fault is None
    assert error is not given
    assert (type(given), given.args, str(given)) == (type(error), error.args, str(error))
    assert ["more"] == error.extra
    assert (None, None, None) == (error.__cause__, error.__context__, error.__traceback__)
    assert error.__suppress_context__ is False


async def test_a_filled_instance_keeps_its_facts(request_):
    """An exception with aiohttp's internals in it is copied with them."""
    given = aiohttp.ClientResponseError(request_.request_info, (), status=418, message="tea")

    error = Failure(given).exception(request_)

    assert error is not given
    assert (str(given), 418) == (str(error), error.status)


async def test_notes_of_a_copy_are_its_own(request_):
    """What one call notes on its exception is not on the next one's."""
    given = OwnError()
    given.__notes__ = ["first"]
    failure = Failure(given)

    failure.exception(request_).__notes__.append("second")

    assert ["first"] == failure.exception(request_).__notes__


class UncopiableError(Exception):
    """An exception that refuses to be copied."""

    def __reduce__(self):
        raise TypeError("no")


@pytest.mark.parametrize("given", [WordedError(3), WantingError(1), UncopiableError(), Strange()])
async def test_an_instance_that_cannot_be_copied_is_used_itself(request_, given):
    """Better the same object twice than one that says something else."""
    if isinstance(given, WantingError):
        given.args = ()

    error = Failure(raised(given)).exception(request_)

    assert (error is given) or (type(given), str(given)) == (type(error), str(error))
    assert error.__traceback__ is None


# ------------------------------------------------------------------------------ what is refused


WRONG = [
    (
        lambda: Failure(None),
        "exc: must be a fault, or a class or instance of an exception, got None",
    ),
    (
        lambda: Failure("boom"),
        "exc: must be a fault, or a class or instance of an exception, got 'boom'",
    ),
    (
        lambda: Failure(int),
        "exc: must be a fault, or a class or instance of an exception, got <class 'int'>",
    ),
    (
        lambda: Failure(faults.Fault),
        (
            "exc: must be a fault, or a class or instance of an exception, "
            "got <class 'aiostub.faults.Fault'>"
        ),
    ),
    (
        lambda: Failure(faults.reset(after=5)),
        (
            "exc: faults.reset(after=5) has no body to count in; "
            "use reply(..., fault=faults.reset(after=5))"
        ),
    ),
    (
        lambda: Failure(faults.stall(1)),
        (
            "exc: faults.stall(after=1) has no body to count in; "
            "use reply(..., fault=faults.stall(after=1))"
        ),
    ),
    (
        lambda: Failure(OwnError, delay=-1),
        "delay: must be a finite number of seconds, 0 or more, got -1",
    ),
    (
        lambda: Failure(OwnError, delay="1"),
        "delay: must be a finite number of seconds, 0 or more, got '1'",
    ),
    (lambda: Failure(OwnError, attempts=0), "attempts: must be None or 1, got 0"),
    (lambda: Failure(OwnError, attempts=2), "attempts: must be None or 1, got 2"),
    (lambda: Failure(OwnError, attempts=True), "attempts: must be None or 1, got True"),
]


@pytest.mark.parametrize(("make", "text"), WRONG, ids=[text for _, text in WRONG])
def test_a_failure_that_cannot_happen_is_refused(make, text):
    """A wrong argument is a RouteError that names it."""
    with pytest.raises(RouteError) as caught:
        make()

    assert text == str(caught.value)


def test_a_fault_function_that_was_not_called_is_shown():
    """The text has the missing brackets."""
    text = r"^exc: must be a fault, not the function that makes it: faults.reset\(\)$"
    with pytest.raises(RouteError, match=text):
        Failure(faults.reset)


@pytest.mark.parametrize(
    "fault",
    [
        faults.disconnect(),
        faults.reset(),
        faults.stall(),
        faults.drip(5),
        faults.truncated(),
        faults.bad_chunk(late=True),
        faults.bad_gzip(),
        faults.garbage(),
        faults.refused(),
    ],
    ids=str,
)
def test_every_fault_can_stand_alone(fault):
    """In a bare failure any fault goes that needs no count of the body's bytes."""
    failure = Failure(fault, delay=1.5, attempts=1)

    assert (fault, 1.5, 1) == (failure.fault, failure.delay, failure.attempts)


REPRS = {
    "fail(ServerDisconnectedError)": Failure(aiohttp.ServerDisconnectedError),
    "fail(faults.dns())": Failure(faults.dns()),
    "fail(ValueError('x'))": Failure(ValueError("x")),
}


@pytest.mark.parametrize("text", REPRS)
def test_a_failure_reads_as_it_is_written(text):
    """The repr is the call."""
    assert text == repr(REPRS[text])


def test_openssl_is_named_as_it_names_itself():
    """The place in the interpreter's source is that of its own failed handshakes."""
    assert _failure._where_handshakes_fail().startswith("(_ssl.c:")
