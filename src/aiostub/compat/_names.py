"""Answer for the module name ``aioresponses``, so that a suite runs unchanged.

Rules of the file: it imports neither aiohttp nor the rest of this package before somebody imports
one of the names.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_PATH = str(Path(__file__).with_name("_path"))  # for the processes that a run starts
_OURS = "aiostub.compat.aioresponses"
_NAMES = {
    "aioresponses": _OURS,
    "aioresponses.core": f"{_OURS}.core",
    "aioresponses.compat": f"{_OURS}.compat",
}


class _Finder(MetaPathFinder, Loader):
    """Find our modules under the other package's names."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname not in _NAMES:
            return None
        return ModuleSpec(fullname, self, is_package=fullname == "aioresponses")

    def create_module(self, _: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import system puts what stands here then in the module's place.
        sys.modules[module.__name__] = import_module(_NAMES[module.__name__])


def install() -> None:
    """Find our modules under these names from now on."""
    sys.meta_path.insert(0, _Finder())


def answer() -> None:
    """Answer for the name from now on, and for whoever has imported the other package already."""
    if is_answering():
        return
    theirs = {name: sys.modules.pop(name) for name in _NAMES if name in sys.modules}
    install()
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([_PATH, *filter(None, paths)])
    sys.path.insert(0, _PATH)  # which pytest-xdist hands to its workers
    if theirs:
        _replace(theirs)


def is_answering() -> bool:
    """Tell whether `answer` was called in this process."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def _replace(theirs: dict[str, ModuleType]) -> None:
    """Rebind, in every loaded module, what was taken from the other package."""
    ours = {name: import_module(name) for name in _NAMES}
    pairs: list[tuple[Any, Any]] = [(theirs[name], ours[name]) for name in theirs]
    for name in ("aioresponses", "CallbackResult", "RequestMatch", "RequestCall"):
        core = theirs.get("aioresponses.core")
        if core is not None and hasattr(core, name):
            pairs.append((getattr(core, name), getattr(ours["aioresponses.core"], name)))
    for module in tuple(sys.modules.values()):
        _rebind(module, pairs)


def _rebind(module: ModuleType, pairs: list[tuple[Any, Any]]) -> None:
    names = getattr(module, "__dict__", {})
    for name, value in tuple(names.items()):
        for old, new in pairs:
            if value is old:
                names[name] = new
