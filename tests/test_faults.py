"""The named faults: values and exceptions at once."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from aiostub import faults
from aiostub.exceptions import RouteError

EVERY = {
    "faults.refused()": ("connection", faults.refused()),
    "faults.unreachable()": ("connection", faults.unreachable()),
    "faults.dns()": ("connection", faults.dns()),
    "faults.tls()": ("connection", faults.tls()),
    "faults.certificate()": ("connection", faults.certificate()),
    "faults.proxy()": ("connection", faults.proxy()),
    "faults.garbage()": ("head", faults.garbage()),
    "faults.header_too_long()": ("head", faults.header_too_long()),
    "faults.disconnect()": ("body", faults.disconnect()),
    "faults.disconnect(after=7)": ("body", faults.disconnect(7)),
    "faults.reset()": ("body", faults.reset(after=0)),
    "faults.reset(after=100)": ("body", faults.reset(after=100)),
    "faults.stall()": ("body", faults.stall()),
    "faults.stall(after=1)": ("body", faults.stall(1)),
    "faults.drip(bytes_per_second=0.5)": ("body", faults.drip(0.5)),
    "faults.truncated()": ("body", faults.truncated()),
    "faults.bad_chunk()": ("body", faults.bad_chunk()),
    "faults.bad_chunk(late=True)": ("body", faults.bad_chunk(late=True)),
    "faults.bad_gzip()": ("body", faults.bad_gzip()),
}


@pytest.mark.parametrize("text", EVERY)
def test_a_fault_reads_as_it_is_written(text):
    """Text and repr of a fault are the call that makes it, and its stage is where it strikes."""
    stage, fault = EVERY[text]

    assert (text, text, stage) == (str(fault), repr(fault), fault.stage)
    assert fault == eval(text, {"faults": faults})


def test_every_function_of_the_module_makes_the_fault_of_its_name():
    """The table above has every fault that the module offers."""
    offered = set(faults.__all__) - {"Fault", "Stage"}

    assert offered == {fault.name for _, fault in EVERY.values()}


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda fault: pickle.loads(pickle.dumps(fault))]
)
def test_a_fault_is_copied_and_pickled_as_the_same(text, again):
    """A copy is equal, of the same hash and the same type."""
    _, fault = EVERY[text]

    copied = again(fault)

    assert (fault, hash(fault), type(fault)) == (copied, hash(copied), type(copied))


def test_faults_differ_by_name_and_by_argument():
    """Two faults are one value when both are the same."""
    distinct = {fault for _, fault in EVERY.values()}

    assert len(EVERY) == len(distinct)
    assert faults.reset(1) != faults.reset(2)
    assert faults.reset(1) != faults.stall(1)
    assert faults.reset(1) != "faults.reset(after=1)"


def test_a_fault_can_be_raised_again_and_again():
    """The same instance is raised, chained and annotated like any exception."""
    fault = faults.reset(after=3)

    for _ in range(3):
        with pytest.raises(faults.Fault) as caught:
            raise fault from ValueError("why")
        assert fault is caught.value

    assert "ValueError: why" in "".join(traceback.format_exception(fault))


@pytest.mark.parametrize("name", ["name", "stage", "after", "args", "new"])
def test_a_fault_is_immutable(name):
    """Nothing of a fault can be set or deleted but what raising writes."""
    fault = faults.reset(after=3)

    with pytest.raises(AttributeError, match=rf"faults\.reset\(after=3\) .*'{name}'"):
        setattr(fault, name, 1)
    with pytest.raises(AttributeError, match=rf"faults\.reset\(after=3\) .*'{name}'"):
        delattr(fault, name)
    fault.__notes__ = ["a note"]
    del fault.__notes__

    assert "faults.reset(after=3)" == repr(fault)


WRONG = {
    "after: must be an int of 0 or more (bytes of the body), got -1": lambda: faults.reset(-1),
    "after: must be an int of 0 or more (bytes of the body), got 1.5": lambda: faults.stall(1.5),
    "after: must be an int of 0 or more (bytes of the body), got True": (
        lambda: faults.disconnect(after=True)
    ),
    "after: must be an int of 0 or more (bytes of the body), got '1'": lambda: faults.reset("1"),
    "bytes_per_second: must be a finite number above 0, got 0": lambda: faults.drip(0),
    "bytes_per_second: must be a finite number above 0, got -2": lambda: faults.drip(-2),
    "bytes_per_second: must be a finite number above 0, got inf": (
        lambda: faults.drip(float("inf"))
    ),
    "bytes_per_second: must be a finite number above 0, got nan": (
        lambda: faults.drip(float("nan"))
    ),
    "bytes_per_second: must be a finite number above 0, got True": lambda: faults.drip(True),
    "bytes_per_second: must be a finite number above 0, got '9'": lambda: faults.drip("9"),
    "late: must be a bool, got 1": lambda: faults.bad_chunk(late=1),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_argument_is_refused_where_the_fault_is_made(text):
    """What cannot be meant is a RouteError that names the argument."""
    with pytest.raises(RouteError) as caught:
        WRONG[text]()

    assert text == str(caught.value)
