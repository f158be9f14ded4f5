"""Failures: from what the user names to the exception that aiohttp itself would raise.

The rules of this file: an exception is made anew for each request, out of the real request's own
facts and in aiohttp's own words, and what cannot be made is a ``RouteError`` as early as it shows.
Only public names of aiohttp are used.
"""

from __future__ import annotations

import copy
import errno
import functools
import hashlib
import os
import socket
import ssl
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

import aiohttp
from multidict import CIMultiDict

from aiostub import faults
from aiostub._answers.reply import check_delay
from aiostub._value import Individual
from aiostub.exceptions import RouteError
from aiostub.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import BaseConnector, ClientRequest

__all__ = ["Failure", "connection_error"]

_Class: TypeAlias = "Callable[..., BaseException]"
_Recipe: TypeAlias = "Callable[[_Class, ClientRequest], BaseException]"


# --------------------------------------------------------------- what the system says of failures


def _refused(host: str | None, port: int | None) -> OSError:
    # The system names an IPv6 address with flow and scope.
    address = (host, port, 0, 0) if host is not None and ":" in host else (host, port)
    return ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {address}")


def _unreachable() -> OSError:
    return OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))


def _unknown_name() -> OSError:
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _plain_server() -> ssl.SSLError:
    """Let the TLS of this interpreter read plain HTTP, for its own words about that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    incoming = ssl.MemoryBIO()
    incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection = context.wrap_bio(incoming, ssl.MemoryBIO())
    try:
        connection.do_handshake()
    except ssl.SSLError as error:
        return error.with_traceback(None)
    raise AssertionError  # pragma: no cover - plain HTTP is never TLS


@functools.cache
def _where_handshakes_fail() -> str:
    """Find the place in the interpreter's source that it names: ``(_ssl.c:1006)``."""
    return str(_plain_server()).rpartition(" ")[2]


def _self_signed() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(
        1,
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
        f"{_SELF_SIGNED} {_where_handshakes_fail()}",
    )
    error.library = "SSL"
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    error.verify_code = 18  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
    error.verify_message = _SELF_SIGNED
    return error


# OpenSSL 3 hyphenates it.
_SELF_SIGNED: Final = (
    "self-signed certificate" if ssl.OPENSSL_VERSION_INFO >= (3,) else "self signed certificate"
)


# -------------------------------------------------------------------- what aiohttp makes of them


def _chained(error: BaseException, cause: BaseException) -> BaseException:
    """Chain two errors as ``raise error from cause`` does where the cause is handled."""
    error.__cause__ = error.__context__ = cause
    return error


def _connector(cause: Callable[[ClientRequest], OSError]) -> _Recipe:
    def make(cls: _Class, request: ClientRequest) -> BaseException:
        error = cause(request)
        return _chained(cls(request.connection_key, error), error)

    return make


def _at_proxy(cls: _Class, request: ClientRequest) -> BaseException:
    """Take the facts of the proxy, to which aiohttp connects with a request of its own."""
    key = request.connection_key
    if (proxy := request.proxy) is not None:
        is_ssl = proxy.scheme == "https"
        key = type(key)(proxy.raw_host or "", proxy.port, is_ssl, key.ssl, None, None, None)
    error = _refused(key.host, key.port)
    return _chained(cls(key, error), error)


def _at_socket(
    cls: _Class, request: ClientRequest, connector: BaseConnector | None = None
) -> BaseException:
    connector = connector or getattr(getattr(request, "session", None), "connector", None)
    path = getattr(connector, "path", request.host)
    error = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    return _chained(cls(path, request.connection_key, error), error)


def _response(status: int = 0, message: str = "", content_type: str | None = None) -> _Recipe:
    def make(cls: _Class, request: ClientRequest) -> BaseException:
        headers = None if content_type is None else CIMultiDict({"Content-Type": content_type})
        return cls(request.request_info, (), status=status, message=message, headers=headers)

    return make


def _fingerprint(cls: _Class, request: ClientRequest) -> BaseException:
    expected = getattr(request.ssl, "fingerprint", bytes(32))
    got = hashlib.sha256(b"another certificate").digest()
    return cls(expected, got, request.host, request.port)


def _url(*description: str) -> _Recipe:
    return lambda cls, request: cls(request.url, *description)


def _said(message: str) -> _Recipe:
    return lambda cls, request: cls(message.format(url=request.url))


def _refused_by_host(request: ClientRequest) -> OSError:
    return _refused(request.host, request.port)


# By name, because not every aiohttp has every class. A class that is not here is made without
# arguments; one of the user's that inherits a constructor from here is made as its parent is.
_RECIPES_BY_NAME: Final[Mapping[str, _Recipe]] = {
    "ClientConnectorError": _connector(_refused_by_host),
    "ClientConnectorDNSError": _connector(lambda _: _unknown_name()),
    "ClientSSLError": _connector(lambda _: _plain_server()),
    "ClientConnectorSSLError": _connector(lambda _: _plain_server()),
    "ClientConnectorCertificateError": _connector(lambda _: _self_signed()),
    "ClientProxyConnectionError": _at_proxy,
    "UnixClientConnectorError": _at_socket,
    "ClientResponseError": _response(400, "Bad Request"),
    "ContentTypeError": _response(
        200, "Attempt to decode JSON with unexpected mimetype: text/html", "text/html"
    ),
    "WSServerHandshakeError": _response(400, "Invalid response status"),
    "ClientHttpProxyError": _response(407, "Proxy Authentication Required"),
    "TooManyRedirects": _response(),
    "ServerFingerprintMismatch": _fingerprint,
    "InvalidURL": _url(),
    "InvalidUrlClientError": _url(),
    "NonHttpUrlClientError": _url(),
    "InvalidUrlRedirectClientError": _url(
        "Server attempted redirecting to a location that does not look like a URL"
    ),
    "NonHttpUrlRedirectClientError": _url(),
    "ConnectionTimeoutError": _said("Connection timeout to host {url}"),
    "SocketTimeoutError": _said("Timeout on reading data from socket"),
    "ServerTimeoutError": _said("Timeout on reading data from socket"),
    "ClientConnectionResetError": _said("Cannot write to closing transport"),
    "ClientPayloadError": _said("Response payload is not completed"),
}


def _by_class(by_name: Mapping[str, Any]) -> dict[type[BaseException], Any]:
    module = aiohttp.client_exceptions
    return {getattr(module, name): it for name, it in by_name.items() if hasattr(module, name)}


_RECIPES: Final[Mapping[type[BaseException], _Recipe]] = _by_class(_RECIPES_BY_NAME)
_FAULTS: Final[Mapping[type[BaseException], Callable[[], Fault]]] = _by_class(
    {
        "ServerDisconnectedError": faults.disconnect,
        "ClientOSError": faults.reset,
        "ClientConnectorError": faults.refused,
        "ClientConnectorDNSError": faults.dns,
    }
)


def _recipe(cls: type[BaseException]) -> _Recipe | None:
    """Find how a class is made: as the nearest parent in the table that shares its constructor."""
    for parent in cls.__mro__:
        if parent in _RECIPES and cls.__init__ is parent.__init__:  # type: ignore[misc] # not called
            return _RECIPES[parent]
    return None


# ------------------------------------------------------------------------------------ the failure


class Failure(Individual):
    """Fail a request: with a fault, or with an exception out of the client's call.

    Args:
        exc: A fault, or a class or instance of an exception.
        delay: Seconds on the event loop's clock before it, finite, 0 or more.
        attempts: 1 lets only the first attempt meet it, so that aiohttp's own re-send goes on;
            ``None`` lets every re-send meet it.

    Attributes:
        fault: The fault that it is, or that its class stands for, else ``None``.

    Raises:
        RouteError: An argument is wrong; the text names it.

    """

    exc: BaseException | type[BaseException]
    delay: float
    attempts: int | None
    fault: Fault | None

    def __init__(
        self,
        exc: BaseException | type[BaseException],
        delay: float = 0.0,
        attempts: int | None = None,
    ) -> None:
        check_delay(delay)
        if attempts is not None and (attempts != 1 or isinstance(attempts, bool)):
            _refuse("attempts", f"must be None or 1, got {attempts!r}")
        self._fill(exc, delay, attempts, _fault_of(exc))

    def exception(
        self, client_request: ClientRequest, connector: BaseConnector | None = None
    ) -> BaseException:
        """Make the exception anew, filled with the facts of a real request.

        Not for the faults of head and body, which are no exception until aiohttp raises it.

        Args:
            client_request: The request that meets it.
            connector: The one that would have sent it, if that is known.

        Raises:
            RouteError: The class cannot be made, or the request cannot meet the fault.

        """
        if self.fault is not None:
            return connection_error(self.fault, client_request, connector)
        if isinstance(self.exc, BaseException):
            return _copied(self.exc)
        return _made(self.exc, client_request)

    def __repr__(self) -> str:
        exc = self.exc.__qualname__ if isinstance(self.exc, type) else repr(self.exc)
        return f"fail({exc})"


def _refuse(argument: str, problem: str) -> NoReturn:
    raise RouteError(f"{argument}: {problem}")


def _fault_of(exc: object) -> Fault | None:
    if isinstance(exc, Fault):
        if exc.after:
            _refuse("exc", f"{exc!r} has no body to count in; use reply(..., fault={exc!r})")
        return exc
    if isinstance(exc, BaseException):
        return None
    if isinstance(exc, FunctionType) and exc.__module__ == Fault.__module__:
        _refuse("exc", f"must be a fault, not the function that makes it: faults.{exc.__name__}()")
    if not isinstance(exc, type) or not issubclass(exc, BaseException) or issubclass(exc, Fault):
        _refuse("exc", f"must be a fault, or a class or instance of an exception, got {exc!r}")
    if exc in _FAULTS:
        return _FAULTS[exc]()
    if _recipe(exc) is None:
        _made_bare(exc)
    return None


def _made_bare(cls: type[BaseException]) -> BaseException:
    try:
        return cls()
    except Exception as error:
        raise RouteError(_cannot_make(cls, error)) from error


def _made(cls: type[BaseException], client_request: ClientRequest) -> BaseException:
    recipe = _recipe(cls)
    if recipe is None:
        return _made_bare(cls)
    try:
        return recipe(cls, client_request)
    except TypeError as error:  # a user's subclass that wants more than its parent does
        raise RouteError(_cannot_make(cls, error)) from error


def _cannot_make(cls: type[BaseException], error: BaseException) -> str:
    return f"exc: {cls.__qualname__} cannot be made here ({error}); pass an instance of it"


def _copied(exc: BaseException) -> BaseException:
    """Copy an instance where a copy is the same, and use it itself where it is not."""
    try:
        copied = copy.copy(exc)
        same = type(copied) is type(exc) and bool(copied.args == exc.args)
    except Exception:  # noqa: BLE001 - whatever the user's class does about being copied
        same = False
    if not same:
        return exc.with_traceback(None)
    copied.__cause__ = copied.__context__ = None
    copied.__suppress_context__ = False
    vars(copied).update(vars(exc))  # which a __reduce__ of the class's own may leave out
    if "__notes__" in vars(exc):
        vars(copied)["__notes__"] = list(vars(exc)["__notes__"])
    return copied.with_traceback(None)


# ------------------------------------------------------------------------- faults of a connection


def connection_error(
    fault: Fault, client_request: ClientRequest, connector: BaseConnector | None = None
) -> BaseException:
    """Make the exception that aiohttp raises for a fault of the connection.

    Args:
        fault: A fault whose stage is ``"connection"``.
        client_request: The request that meets it, for host, port, TLS and proxy.
        connector: The one that would have sent it, for the socket that it connects to instead.

    Raises:
        RouteError: The request uses no TLS, or no proxy, that could fail.

    """
    if fault.name in ("tls", "certificate") and not client_request.is_ssl():
        _refuse(repr(fault), f"the request to {client_request.url} does not use TLS")
    if fault.name == "proxy" and client_request.proxy is None:
        _refuse(repr(fault), f"the request to {client_request.url} does not use a proxy")
    if fault.name == "refused" and isinstance(connector, aiohttp.UnixConnector):
        return _at_socket(
            aiohttp.client_exceptions.UnixClientConnectorError, client_request, connector
        )
    cls, recipe = _CONNECTION_ERRORS[fault.name]
    return recipe(cls, client_request)


_CONNECTION_ERRORS: Final[Mapping[str, tuple[type[BaseException], _Recipe]]] = {
    "refused": (aiohttp.ClientConnectorError, _connector(_refused_by_host)),
    "unreachable": (aiohttp.ClientConnectorError, _connector(lambda _: _unreachable())),
    "dns": (
        getattr(aiohttp, "ClientConnectorDNSError", aiohttp.ClientConnectorError),
        _connector(lambda _: _unknown_name()),
    ),
    "tls": (aiohttp.ClientConnectorSSLError, _connector(lambda _: _plain_server())),
    "certificate": (aiohttp.ClientConnectorCertificateError, _connector(lambda _: _self_signed())),
    "proxy": (aiohttp.ClientProxyConnectionError, _at_proxy),
}
