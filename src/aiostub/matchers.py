"""Expected values: ``ANY``, ``partial``, and how any of them is compared and put in words.

A value that a user expects may be plain data, ``ANY``, a ``re.Pattern`` (full match on text)
or any object with an ``==`` of its own. The expected value always stands on the left of the
``==``, so that its own one is asked first; what that raises goes through untouched.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from json import dumps, loads
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from aiostub._secrets import mask_json, mask_value
from aiostub._value import Value
from aiostub.exceptions import RouteError

if TYPE_CHECKING:
    from unittest.mock import ANY

__all__ = ["ANY", "Partial", "partial"]


def __getattr__(name: str) -> Any:
    # The unittest package takes 7 ms to import; where nobody has, no value is its ANY.
    if name != "ANY":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from unittest.mock import ANY  # noqa: PLC0415 - as above

    return ANY


def is_any(value: object) -> bool:
    """Tell whether a value is ``ANY``."""
    mock = sys.modules.get("unittest.mock")
    return mock is not None and value is mock.ANY


class Partial(Value):
    """Hold the part of a mapping that has to be there; the rest is free."""

    expected: Mapping[Any, Any]

    def __repr__(self) -> str:
        return f"partial({self.expected!r})"


def partial(expected: Mapping[Any, Any]) -> Partial:
    """Ask for a subset: the named keys with these values, whatever else there is.

    Works for ``params=`` and ``data=`` (some of the fields), and for ``json=``, there at
    any depth: objects in it are subsets too, lists have the same length.

    Args:
        expected: the keys that have to be there. Any value may be ``ANY``, a
            ``re.Pattern`` (full match on text) or an object with an ``==`` of its own. In
            ``params=`` and ``data=`` a value equals one of those sent under its name, a
            list all of them in order.

    Raises:
        RouteError: ``expected`` is no mapping.
    """
    if not isinstance(expected, Mapping):
        raise RouteError(f"partial: expected a mapping, got {shown(expected)}")
    return Partial(expected)


# -- one value -------------------------------------------------------------------------

# Values of these types are data, though some have an `==` of their own.
_NUMBERS: Final = (int, float, complex)
_SCALARS: Final = (type(None), str, *_NUMBERS, date, time, timedelta, UUID, PurePath)
_DATA: Final = (
    *_SCALARS,
    *(bytes, bytearray, memoryview),
    *(Mapping, list, tuple, set, frozenset, Partial),
)


def is_scalar(value: object) -> bool:
    """Tell a single value of data, as text and numbers are."""
    return isinstance(value, _SCALARS) or _is_number(value)


def _is_number(value: object) -> bool:
    # Who makes another kind of number has imported this; we would do so for nothing.
    numbers = sys.modules.get("numbers")
    return isinstance(value, _NUMBERS if numbers is None else numbers.Number)


def is_matcher(value: object) -> bool:
    """Tell what compares in a way of its own from data, and from what compares in none."""
    if isinstance(value, re.Pattern):
        return isinstance(value.pattern, str)
    if isinstance(value, _DATA) or _is_number(value):
        return False
    return type(value).__eq__ is not object.__eq__


def is_expected_text(value: object) -> bool:
    """Tell whether a value may be compared with text."""
    return isinstance(value, str) or is_matcher(value)


def equals_text(expected: object, actual: str) -> bool:
    """Compare with text; a ``re.Pattern`` matches the whole of it."""
    if isinstance(expected, re.Pattern):
        return expected.fullmatch(actual) is not None
    return bool(expected == actual)


def bare(text: str) -> str:
    """Take the text out of a subclass of str: an enum of texts hashes by its names."""
    return str.__str__(text)


# -- values by name --------------------------------------------------------------------


class Values(Value):
    """The values expected under one name: one, or a list in order."""

    items: tuple[object, ...]
    listed: bool

    def are(self, actual: Sequence[Any], equals: Callable[[Any, Any], bool]) -> bool:
        """Ask for these values and no others; a lone ``ANY`` is any number of them."""
        if not self.listed and is_any(self.items[0]):
            return bool(actual)
        return len(self.items) == len(actual) and all(map(equals, self.items, actual))

    def are_among(self, actual: Sequence[Any], equals: Callable[[Any, Any], bool]) -> bool:
        """Ask for one of the values sent; of a list, for all in order."""
        if self.listed:
            return self.are(actual, equals)
        return any(equals(self.items[0], value) for value in actual)

    def __str__(self) -> str:
        return _listed(self.items) if self.listed else shown(self.items[0])


Named: TypeAlias = Mapping[str, Values]


def gathered(pairs: Iterable[tuple[str, object]]) -> dict[str, Values]:
    """Gather pairs by name; a name that comes twice, or with a list, has a list."""
    named: dict[str, Values] = {}
    for name, value in pairs:
        items = tuple(value) if isinstance(value, list) else (value,)
        before = named.get(name)
        if before is None:
            named[name] = Values(items, listed=isinstance(value, list))
        else:
            named[name] = Values(before.items + items, listed=True)
    return named


def named_differences(
    expected: Named,
    actual: Mapping[str, Sequence[Any]],
    *,
    whole: bool,
    equals: Callable[[Any, Any], bool] = equals_text,
    mask: Callable[[str, Any], Any] = mask_value,
) -> Iterator[str]:
    """Say in words what differs, name by name.

    Args:
        expected: the values expected under each name.
        actual: the values there are.
        whole: whether there may be nothing else, neither names nor values.
        equals: compares an expected value with an actual one.
        mask: takes the secrets out of an actual value, given its name.
    """
    for name, values in expected.items():
        got = actual.get(name, ())
        if not (values.are if whole else values.are_among)(got, equals):
            yield f"{name}: {_values_difference(values, [mask(name, value) for value in got])}"
    for name in actual if whole else ():
        if name not in expected:
            got = [mask(name, value) for value in actual[name]]
            yield f"{name}: unexpected, got {_one_or_listed(got)}"


def _values_difference(expected: Values, got: Sequence[Any]) -> str:
    if not got:
        return f"missing, expected {expected}"
    if not expected.listed and len(got) == 1:
        return difference(expected.items[0], got[0])
    return f"expected {expected}, got {_one_or_listed(got)}"


# -- JSON ------------------------------------------------------------------------------


def read_json(value: object) -> object:
    """Copy an expected JSON value: no later change matters, and keys are as JSON has them.

    Raises:
        RouteError: a key can be none in JSON.
    """
    if isinstance(value, Partial):
        return Partial(_read_object(value.expected))
    if isinstance(value, Mapping):
        return _read_object(value)
    if isinstance(value, (list, tuple)):
        return [read_json(item) for item in value]
    return value


def _read_object(value: Mapping[Any, object]) -> dict[str, object]:
    return {_key(key): read_json(item) for key, item in value.items()}


def _key(key: object) -> str:
    if isinstance(key, str):
        return bare(key)
    try:
        written: str = next(iter(loads(dumps({key: None}))))
    except TypeError as error:
        raise RouteError(f"json: {error}") from error
    return written


def json_differences(
    expected: object, actual: object, path: str = "", *, subset: bool = False, key: str = ""
) -> Iterator[str]:
    """Say in words what differs, each with the path to it.

    Args:
        expected: what `read_json` gave.
        actual: a decoded JSON value.
        path: where in the document both stand.
        subset: whether objects may have more keys than expected.
        key: the key under which both stand; it may say that the value is secret.
    """
    if isinstance(expected, Partial):
        yield from json_differences(expected.expected, actual, path, subset=True, key=key)
    elif isinstance(expected, dict) and isinstance(actual, dict):
        yield from _object_differences(expected, actual, path, subset=subset)
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _array_differences(expected, actual, path, subset=subset)
    elif not _equals_json(expected, actual):
        yield _at(path, difference(expected, mask_json(actual, key)))


def _object_differences(
    expected: dict[str, object], actual: dict[str, object], path: str, *, subset: bool
) -> Iterator[str]:
    for key, value in expected.items():
        place = _inside(path, key)
        if key in actual:
            yield from json_differences(value, actual[key], place, subset=subset, key=key)
        else:
            yield _at(place, f"missing, expected {shown(value)}")
    for key in () if subset else actual:
        if key not in expected:
            got = shown(mask_json(actual[key], key))
            yield _at(_inside(path, key), f"unexpected, got {got}")


def _array_differences(
    expected: list[object], actual: list[object], path: str, *, subset: bool
) -> Iterator[str]:
    for index, (left, right) in enumerate(zip(expected, actual, strict=False)):
        yield from json_differences(left, right, f"{path}[{index}]", subset=subset)
    if len(expected) != len(actual):
        yield _at(path, f"expected {_counted(expected)}, got {len(actual)}")


def _equals_json(expected: object, actual: object) -> bool:
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.fullmatch(actual) is not None
    # Python has True == 1; in JSON, true is no number.
    if _is_number(expected) and isinstance(expected, bool) != isinstance(actual, bool):
        return False
    return bool(expected == actual)


def _inside(path: str, key: str) -> str:
    if not key.isidentifier():
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def _at(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def _counted(items: Sequence[object]) -> str:
    return "1 item" if len(items) == 1 else f"{len(items)} items"


# -- values in words -------------------------------------------------------------------

_WIDTH: Final = 80
_CONTEXT: Final = 20


def shown(value: object) -> str:
    """Show a value in one line of bounded length, binary as such."""
    if isinstance(value, bytes) and not _is_readable(value):
        return f"<{len(value)} bytes: {value[:16].hex(' ')}{'…' if len(value) > 16 else ''}>"
    # Of a long text, only what will be shown is worth a repr.
    text = repr(value[: _WIDTH + 1] if isinstance(value, (str, bytes)) else value)
    return _cut(" ".join(text.split("\n")).replace("<ANY>", "ANY"), _WIDTH)


def _is_readable(value: bytes) -> bool:
    try:
        # The beginning will do; it may end within a character.
        text = codecs.getincrementaldecoder("utf-8")().decode(value[:_WIDTH])
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\r\n\t" for char in text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _one_or_listed(values: Sequence[Any]) -> str:
    return shown(values[0]) if len(values) == 1 else _listed(values)


def _listed(values: Sequence[Any]) -> str:
    return _cut(f"[{', '.join(map(shown, values))}]", 2 * _WIDTH)


def difference(expected: object, got: object) -> str:
    """Say what was expected and what came; of long texts, the place where they part."""
    if isinstance(expected, str) and isinstance(got, str):
        return _text_difference(expected, got, "character")
    if isinstance(expected, bytes) and isinstance(got, bytes):
        return _text_difference(expected, got, "byte")
    return f"expected {shown(expected)}, got {shown(got)}"


def _text_difference(expected: str | bytes, got: str | bytes, unit: str) -> str:
    if max(len(expected), len(got)) < _WIDTH:
        return f"expected {shown(expected)}, got {shown(got)}"
    pairs = enumerate(zip(expected, got, strict=False))
    end = min(len(expected), len(got))
    start = next((index for index, (left, right) in pairs if left != right), end)
    cut = max(0, start - _CONTEXT)
    more = "…" if cut else ""
    return (
        f"expected {more}{shown(expected[cut:])}, got {more}{shown(got[cut:])} "
        f"(they part at {unit} {start})"
    )
