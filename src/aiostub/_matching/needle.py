"""The needle of a regex: a piece of text that stands in every text in which the regex is found.

Finding it is a matter of reading the regex, not of running it. Where that is in doubt there is
none: a regex without a needle is only tried more often.
"""

from __future__ import annotations

import re
from typing import Final

# One item of a regex: an escape, a class, or one character.
_ITEM: Final = re.compile(r"\\(.)|\[\^?\]?(?:\\.|[^\]\\])*\]|(.)", re.DOTALL)
_SPECIAL: Final = frozenset(".^$*+?{}()|")
_MAY_BE_MISSING: Final = frozenset("*?{")  # what stands before one of these
_SHORT_ESCAPES: Final = frozenset("AZbBdDsSwW")  # others of a letter or digit may be longer
_READ_OTHERWISE: Final = re.IGNORECASE | re.VERBOSE


def needle_of(pattern: re.Pattern[str]) -> str:
    """Return the longest such piece, or an empty one."""
    if pattern.flags & _READ_OTHERWISE or "(?#" in pattern.pattern:
        return ""
    return max(_runs(pattern.pattern), key=len, default="")


def _runs(text: str) -> list[str]:
    """Return the runs of literal characters outside of all groups; none if any is in doubt."""
    runs = [""]
    depth, in_braces = 0, False
    for item in _ITEM.finditer(text):
        escaped, char = item.groups()
        depth += (char == "(") - (char == ")")
        if (char == "|" and not depth) or not _is_short(escaped):
            return []
        if char in _MAY_BE_MISSING and not depth:
            runs[-1] = runs[-1][:-1]
            in_braces = char == "{"
        literal = _literal(escaped, char)
        if literal and not depth and not in_braces:
            runs[-1] += literal
        else:
            runs.append("")
        in_braces = in_braces and char != "}"
    return runs


def _is_short(escaped: str | None) -> bool:
    return escaped is None or not escaped.isalnum() or escaped in _SHORT_ESCAPES


def _literal(escaped: str | None, char: str | None) -> str:
    if escaped is not None:
        return "" if escaped.isalnum() else escaped
    return "" if char is None or char in _SPECIAL else char
