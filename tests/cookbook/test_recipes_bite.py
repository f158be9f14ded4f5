"""The recipes are worth something: break the client of one, and its tests fail."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import inspect
import sys
import types
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import collect_ignore

import aiostub

HERE = Path(__file__).parent
DAY = 24 * 60 * 60


class Mutant(NamedTuple):
    """A client with a mistake, and the tests that find it."""

    recipe: str
    mistake: str
    old: str
    new: str
    found_by: tuple[str, ...]
