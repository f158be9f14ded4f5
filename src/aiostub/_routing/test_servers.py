"""Find the ``aiohttp.test_utils`` servers that live in this process.

They may have been started before any stub and before this package was imported, so nothing can
have noted them: the garbage collector is asked. That costs a walk over all objects, so it is done
only for a port that is not known yet, and only on a loopback host.
"""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yarl import URL

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost", "0.0.0.0"})  # noqa: S104 - only compared

own_ports: set[int] = set()  # of the sockets that stubs serve

_known: weakref.WeakSet[Any] = weakref.WeakSet()


def is_loopback(url: URL) -> bool:
    """Tell whether a URL leads to this machine."""
    return url.host in _LOOPBACK


def is_test_server(url: URL) -> bool:
    """Tell whether a URL leads to a running test server of this process."""
    if url.port is None or not is_loopback(url):
        return False
    if url.port in own_ports:
        return True
    test_utils = sys.modules.get("aiohttp.test_utils")
    if test_utils is None:
        return False
    if _listens(url.port):
        return True
    kinds = frozenset(_with_subclasses(test_utils.BaseTestServer))
    # Not isinstance: that asks every mock and proxy for a __class__ of its own making.
    _known.update(filter(lambda each: type(each) in kinds, gc.get_objects()))
    return _listens(url.port)


def _listens(port: int | None) -> bool:
    return any(server.port == port and server.started and not server.closed for server in _known)


def _with_subclasses(kind: type[object]) -> Iterator[type[object]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _with_subclasses(each)
