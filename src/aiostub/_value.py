"""Values: what frozen, slotted dataclasses and named tuples are, made faster.

`dataclasses` writes the source of each class's methods and compiles it: with its frozen, slotted
classes the import of this package took 35 ms longer than aiohttp's own, with these it takes 1.
`typing.NamedTuple` compiles a constructor and each annotation: 0.15 ms a class, here 0.02.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        """Stand in for what only type checkers read (PEP 681)."""
        return lambda kind: kind


class Unset:
    """Tell an argument that was not given from ``None``, which is a value of its own."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"  # a copy is the same


UNSET: Final = Unset()


def _plain(bases: tuple[type, ...], kind: type) -> tuple[type, ...]:
    """Return what classes are derived from that *kind* makes.

    They are no instances of it: to ask isinstance() of a class whose metaclass is not `type` takes
    three times as long, and for each request that is asked a dozen times.
    """
    return tuple(
        plain for base in bases for plain in (base.__bases__ if isinstance(base, kind) else (base,))
    )


class _Frozen:
    """Do what every value does."""

    __slots__ = ()

    if TYPE_CHECKING:
        _defaults: ClassVar[dict[str, Any]]
        _setters: ClassVar[dict[str, Any]]
        _in_order: ClassVar[tuple[Any, ...]]
        __match_args__: ClassVar[tuple[str, ...]]
    else:

        def __init__(self, *args: Any, **named: Any) -> None:
            setters = self._in_order
            if named or len(args) != len(setters):
                args = self._complete(args, named)
            for set_field, value in zip(setters, args):  # noqa: B905 - as just seen
                set_field(self, value)

        def _complete(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
            names = self.__slots__
            given = {**self._defaults, **dict(zip(names, args, strict=False)), **named}
            if len(args) > len(names) or given.keys() != self._names:
                message = f"{type(self).__name__}: expected {', '.join(names)}"
                raise TypeError(message)
            return tuple(given[name] for name in names)

    def _fill(self, *values: Any) -> None:
        """Set all fields in their order, from a constructor alone."""
        for set_field, value in zip(self._in_order, values, strict=True):
            set_field(self, value)

    def but(self, **changes: Any) -> Self:
        """Copy the value with some of its fields changed."""
        return type(self)(**{**self._fields(), **changes})

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__match_args__}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(tuple(self._fields().values()))

    def __repr__(self) -> str:
        shown = (f"{k}={v!r}" for k, v in self._fields().items() if not k.startswith("_"))
        return f"{type(self).__name__}({', '.join(shown)})"

    def __setattr__(self, name: str, _: object) -> None:
        message = f"{type(self).__name__} is frozen: cannot set {name!r}"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        message = f"{type(self).__name__} is frozen: cannot delete {name!r}"
        raise AttributeError(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self._fields())


class _Slotted(type):
    """Make a slot of each annotated name of a class, and a default of what stands behind it."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not any(isinstance(base, cls) for base in bases):
            return super().__new__(cls, name, bases, namespace)
        kinds = namespace.get("__annotations__", {})
        fields = tuple(name for name, kind in kinds.items() if not kind.startswith("ClassVar"))
        defaults = {name: namespace.pop(name) for name in fields if name in namespace}
        own = {
            "__slots__": fields,
            "__match_args__": fields,
            "_names": frozenset(fields),
            "_defaults": defaults,
        }
        made = type.__new__(type, name, _plain(bases, cls), {**namespace, **own})
        setters = {field: vars(made)[field].__set__ for field in fields}
        type.__setattr__(made, "_setters", setters)
        type.__setattr__(made, "_in_order", tuple(setters.values()))
        return made


class _Individual(_Frozen):
    """Do what a value does that is equal only to itself."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


@dataclass_transform(frozen_default=True)
class Value(_Frozen, metaclass=_Slotted):
    """Hold the annotated names of a class; equal is what has the same class and equal values."""


@dataclass_transform(frozen_default=True)
class Individual(_Individual, metaclass=_Slotted):
    """Hold the annotated names of a class; equal only to itself."""


def _made_again(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Make a copy, as `copy` and `pickle` do, of a class that may have a constructor of its own."""
    value = object.__new__(kind)
    value._fill(*fields.values())
    return value


if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - others take it from here
else:
    from collections import _tuplegetter  # in C where there is one, as for the standard library's

    _new_tuple = tuple.__new__

    class _Named(type):
        """Make an item of each annotated name of a class, and a default of what stands behind."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            if not any(isinstance(base, cls) for base in bases):
                return super().__new__(cls, name, bases, namespace)
            fields = tuple(namespace.get("__annotations__", ()))
            defaults = tuple(namespace.pop(field) for field in fields if field in namespace)
            items = {field: _tuplegetter(place, "") for place, field in enumerate(fields)}
            own = {
                "__slots__": (),
                "__match_args__": fields,
                "_fields": fields,
                "_size": len(fields),
                "_defaults": defaults,
            }
            return type.__new__(type, name, _plain(bases, cls), {**namespace, **items, **own})

    class _Tuple(tuple):
        """Do what every named tuple does."""

        __slots__ = ()

        def __new__(cls, *args: Any, **named: Any) -> Self:
            if named:
                args = cls._complete(args, named)
            elif len(args) != cls._size:
                args = (*args, *cls._defaults[len(args) - cls._size :])
                if len(args) != cls._size:
                    cls._refuse()
            return _new_tuple(cls, args)

        _make = classmethod(tuple.__new__)  # of all its values in one piece, in half of the time

        @classmethod
        def _complete(cls, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
            known = {**dict(zip(cls._fields, args, strict=False)), **named}
            defaults = dict(zip(reversed(cls._fields), reversed(cls._defaults), strict=False))
            given = {**defaults, **known}
            if len(known) < len(args) + len(named) or given.keys() != set(cls._fields):
                cls._refuse()
            return tuple(given[field] for field in cls._fields)

        @classmethod
        def _refuse(cls) -> None:
            message = f"{cls.__name__}: expected {', '.join(cls._fields)}"
            raise TypeError(message)

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changes: Any) -> Self:
            return type(self)(**{**self._asdict(), **changes})

        def __repr__(self) -> str:
            shown = (f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({', '.join(shown)})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    class NamedTuple(_Tuple, metaclass=_Named):
        """Hold the annotated names of a class in their order, as `typing.NamedTuple` does."""
