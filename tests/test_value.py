"""Values: frozen, slotted, equal by what they hold."""

from __future__ import annotations

import copy
import pickle
import typing
from typing import ClassVar

import pytest

from aiostub import typing as public
from aiostub._value import UNSET, Individual, NamedTuple, Value


class Point(Value):
    """Be somewhere."""

    kind: ClassVar = "point"
    x: int
    y: int = 0
    _hidden: str = ""

    @property
    def sum(self):
        """Add up."""
        return self.x + self.y


class Pin(Individual):
    """Be one of a kind."""

    at: Point


def test_fields_are_given_by_place_or_name():
    """What is not given is the default, for each value anew."""
    assert [(1, 2), (1, 0), (1, 2)] == [
        (p.x, p.y) for p in (Point(1, 2), Point(1), Point(y=2, x=1))
    ]
    assert ("point", 3) == (Point.kind, Point(1, 2).sum)


@pytest.mark.parametrize(("args", "named"), [((), {}), ((1, 2, "", 4), {}), ((1,), {"z": 1})])
def test_what_does_not_fit_is_refused(args, named):
    """Too few, too many, or another name."""
    with pytest.raises(TypeError, match="Point: expected x, y, _hidden"):
        Point(*args, **named)


def test_nothing_can_be_changed():
    """Neither a field nor anything else."""
    point = Point(1)
    with pytest.raises(AttributeError, match="Point is frozen: cannot set 'x'"):
        point.x = 2
    with pytest.raises(AttributeError, match="cannot set 'other'"):
        point.other = 2
    with pytest.raises(AttributeError, match="cannot delete 'x'"):
        del point.x
    assert not hasattr(point, "__dict__")


def test_values_are_compared_by_class_and_fields():
    """One that stands for itself equals nothing else."""
    assert Point(1, 2) == Point(1, 2)
    assert hash(Point(1, 2)) == hash(Point(1, 2))
    assert Point(1, 2) != Point(2, 1)
    assert Point(1, 2) != (1, 2, "")
    pin = Pin(Point(1))
    assert pin == pin  # noqa: PLR0124 - that is the point
    assert pin != Pin(Point(1))
    assert len({pin, Pin(Point(1))}) == 2


def test_a_value_shows_its_public_fields():
    """As the call that makes it."""
    assert "Pin(at=Point(x=1, y=0))" == repr(Pin(Point(1, _hidden="x")))


def test_a_copy_holds_the_same():
    """Made by hand, by copy or by pickle; with other fields, where they are named."""
    point = Point(1, 2)
    copies = [copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))]
    assert [point] * 3 == copies
    assert Point(1, 3) == point.but(y=3)


def test_a_value_is_taken_apart_by_match():
    """Field by field, in their order."""
    match Point(1, 2):
        case Point(x, y):
            assert (1, 2) == (x, y)


class Size(NamedTuple):
    """Be so large."""

    width: int
    height: int = 1
    depth: int = 2

    @property
    def area(self):
        """Multiply."""
        return self.width * self.height


class Standard(typing.NamedTuple):
    """Be what the standard library makes of the same names."""

    width: int
    height: int = 1
    depth: int = 2


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ((3,), {}),
        ((3, 4), {}),
        ((3, 4, 5), {}),
        ((3,), {"depth": 4}),
        ((), {"depth": 4, "width": 3}),
    ],
)
def test_a_named_tuple_is_made_as_the_standard_librarys(args, named):
    """By place or name, with its defaults."""
    made, expected = Size(*args, **named), Standard(*args, **named)
    assert tuple(expected) == made
    assert (expected.width, expected.height, expected.depth) == (
        made.width,
        made.height,
        made.depth,
    )
    assert expected._asdict() == made._asdict()
    assert repr(expected).replace("Standard", "Size") == repr(made)
    assert expected._replace(width=9) == made._replace(width=9)
    assert hash(expected) == hash(made)


@pytest.mark.parametrize(
    ("args", "named"), [((), {}), ((1, 2, 3, 4), {}), ((1,), {"width": 1}), ((1,), {"x": 1})]
)
def test_a_named_tuple_refuses_what_does_not_fit(args, named):
    """Too few, too many, twice, or another name."""
    with pytest.raises(TypeError, match="Size: expected width, height, depth"):
        Size(*args, **named)


def test_a_named_tuple_has_what_its_class_has_and_nothing_more():
    """Its own methods and the patterns of ``match``; no place for anything else."""
    size = Size(3, 4)
    match size:
        case Size(width, height, depth):
            assert (3, 4, 2, 12) == (width, height, depth, size.area)
    with pytest.raises(AttributeError):
        size.width = 1
    assert not hasattr(size, "__dict__")
    assert Standard._fields == Size._fields


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_a_named_tuple_can_be_copied(again):
    """With its class."""
    copied = again(Size(3))
    assert (Size(3), Size) == (copied, type(copied))


def test_what_was_not_given_is_one_thing():
    """Also where arguments are copied, or sent to another process."""
    assert [UNSET, UNSET] == [copy.deepcopy(UNSET), pickle.loads(pickle.dumps(UNSET))]
    assert "UNSET" == repr(UNSET)
    assert UNSET is public.UNSET
