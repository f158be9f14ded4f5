"""Secrets: what a text that others read must not show.

The rules of this file: what is secret is told by its name alone, never by its value, and a text
without secrets stays as it is, letter by letter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

__all__ = [
    "is_secret_pair",
    "mask_body",
    "mask_cookie",
    "mask_header",
    "mask_json",
    "mask_url",
    "mask_value",
]

_MASK: Final = "***"
# Letters and digits of a name that is secret: these at its end, or these alone.
_SECRET_ENDS: Final = (
    *("token", "secret", "password", "passwd", "passphrase", "passcode", "credential"),
    *("credentials", "authorization", "authentication", "signature", "assertion", "sessionid"),
    *("apikey", "accesskey", "accesskeyid", "authkey", "privatekey", "secretkey", "jwt"),
    *("subscriptionkey",),
)
_SECRET_NAMES: Final = frozenset({"key", "sig", "pwd", "pass", "auth", "xauth", "hmac", "otp"})
_SCHEMES: Final = frozenset(
    {"apikey", "aws4-hmac-sha256", "basic", "bearer", "digest", "dpop", "hawk", "negotiate"}
    | {"ntlm", "token"}
)
# They say where in a listing one is, and let nobody in.
_PLACES: Final = tuple(
    f"{what}token"
    for what in ("page", "next", "previous", "continuation", "cursor", "sync", "skip", "delta")
)
_PLAIN_KEYS: Final = frozenset({"key", "sig", "auth", "pass", "hmac"})
_URL_HEADERS: Final = frozenset({"content-location", "link", "location", "origin", "referer"})
# Compiled when they are first used: most tests pass, and write no text.
_USERINFO: Final = r"(?<=://)[^/?#\s]*@"
_PAIR: Final = r"(?<=[?&;#])([^=&;#?\s]+)=([^&#\s]*)"
_FORM: Final = r"[^=&\s{}<>\"]+=[^\s{}<>\"]*"
_JSON_PAIR: Final = (
    r"""(?x)(" ( (?: [^"\\] | \\. )+ ) " \s* : \s*)"""
    r""" (?: " (?: [^"\\] | \\. )* "? | [^\s,\[\]{}"]+ )"""
)


def mask_url(url: str) -> str:
    """Return a URL, or a text with URLs in it, without its secrets.

    Userinfo and the values of query arguments whose name says that they are secret
    become ``***``, also a value that is a URL with such a thing in it; everything
    else stays as it is.
    """
    return re.sub(_PAIR, _masked_pair, re.sub(_USERINFO, f"{_MASK}@", url))


def mask_header(name: str, value: str) -> str:
    """Return the value of a header without its secrets.

    Schemes (``Bearer ***``), names of cookies and their attributes stay readable.
    """
    lower = name.lower()
    if lower == "cookie":
        return "; ".join(_masked_cookie(cookie.strip()) for cookie in value.split(";"))
    if lower == "set-cookie":
        cookie, semicolon, attributes = value.partition(";")
        return f"{_masked_cookie(cookie)}{semicolon}{attributes}"
    if _is_secret(name):
        return _masked_credentials(value)
    return mask_url(value) if lower in _URL_HEADERS else value


def _masked_cookie(cookie: str) -> str:
    name, equals, _ = cookie.partition("=")
    return f"{name}={_MASK}" if equals else _MASK


def _masked_credentials(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} {_MASK}" if space and scheme.lower() in _SCHEMES else _MASK


def _masked_pair(pair: re.Match[str]) -> str:
    name, value = pair.groups()
    secret = is_secret_pair(unquote_plus(name), unquote(value))
    return f"{name}={_MASK}" if secret else pair[0]


def is_secret_pair(name: str, value: str) -> bool:
    """Tell whether a query argument or a field of a form is secret, or a URL with a secret."""
    return _is_secret(name) or mask_url(value) != value


def mask_value(name: str, value: Any) -> Any:
    """Return the value of a query argument or a field of a form without its secrets."""
    if _is_secret(name):
        return _MASK
    return mask_url(value) if isinstance(value, str) else value


def mask_cookie(_: str, value: Any) -> Any:
    """Return what stands for the value of a cookie: any cookie may be a session's."""
    return _MASK if value else value


def mask_json(value: Any, name: str = "") -> Any:
    """Return a JSON value with the values of its secret keys replaced.

    Args:
        value: The decoded value.
        name: The key under which it stands.
    """
    if _is_secret_key(name) and value is not None:
        return _MASK
    if isinstance(value, Mapping):
        return {key: mask_json(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_json(item) for item in value]
    return mask_url(value) if isinstance(value, str) else value


def mask_body(text: str) -> str:
    """Return the text of a body, JSON or a form or neither, without its secrets."""
    try:
        value = json.loads(text)
    except ValueError:
        masked = re.sub(_JSON_PAIR, _masked_json_pair, text)  # it may be cut, or in lines
        return mask_url(f"?{masked}")[1:] if re.fullmatch(_FORM, masked) else mask_url(masked)
    masked_value = mask_json(value)
    return text if masked_value == value else json.dumps(masked_value, ensure_ascii=False)


def _masked_json_pair(pair: re.Match[str]) -> str:
    return f'{pair[1]}"{_MASK}"' if _is_secret_key(pair[2]) else pair[0]


def _is_secret(name: str) -> bool:
    compact = re.sub(r"[^a-z0-9]", "", name.lower())
    if compact.endswith(_PLACES):
        return False
    return compact in _SECRET_NAMES or compact.endswith(_SECRET_ENDS)


def _is_secret_key(name: str) -> bool:
    """Tell whether a key of a JSON object is secret; ``key`` alone rarely is, there."""
    return name.lower() not in _PLAIN_KEYS and _is_secret(name)
