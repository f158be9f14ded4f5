"""Names for the types that aiostub's signatures use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from aiostub._value import UNSET, Unset

if TYPE_CHECKING:
    from aiostub._answers.reply import Compression, Pairs
    from aiostub._matching.request import Request
    from aiostub.faults import Fault

__all__ = ["UNSET", "BodyArguments", "Conditions", "HeadArguments", "Unset"]


class Conditions(TypedDict, total=False):
    """What a request must have besides method and URL; all are keywords of a route.

    Attributes:
        params: as aiohttp takes them; with the URL's own query they are the whole query.
            ``partial({...})`` asks for some of them, ``ANY`` for none in particular.
        headers: named headers and their values; a list for one that is sent more than once.
        cookies: named cookies and their values.
        json: what the decoded body equals; ``partial({...})`` for some of it.
        data: the raw body (bytes or str), its form fields (mapping or pairs), or a pattern in it.
        where: a predicate of the whole request, not async.
    """

    params: Any
    headers: Any
    cookies: Mapping[str, Any] | None
    json: Any
    data: Any
    where: Callable[[Request], object] | None


class HeadArguments(TypedDict, total=False):
    """What every reply may have, with a body or without; for the type checker.

    Attributes:
        headers: mapping, pairs or multidict; duplicates and order survive.
        cookies: become ``Set-Cookie`` headers with ``Path=/``.
        content_type: instead of the kind's own.
        reason: instead of the status's own phrase.
        delay: seconds of the event loop's clock before the reply is sent; 0 or more.
    """

    headers: Pairs | None
    cookies: Pairs | None
    content_type: str | None
    reason: str | None
    delay: float


class BodyArguments(HeadArguments, total=False):
    """What a reply may have beside its body; for the type checker.

    Attributes:
        compress: ``"gzip"``, ``"deflate"``, and ``"br"``, ``"zstd"`` where installed.
        fault: spoils the body.
    """

    compress: Compression | None
    fault: Fault | None
