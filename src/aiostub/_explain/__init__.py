"""Every text of more than a line: `aiostub._explain.texts`, loaded when the first is written.

Most tests pass, and need none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiostub._explain.texts import *  # noqa: F403 - what its __all__ names


def __getattr__(name: str) -> Any:
    return getattr(import_module("aiostub._explain.texts"), name)
