"""Keep the package in one piece: a module of it that somebody drops is not loaded a second time.

Most of it is loaded when it is first used, which may be inside of ``mock.patch.dict(sys.modules)``.
That drops at its end what was imported meanwhile, and half of the package would go on as another
copy, with classes, a stack and a patch of its own. Where aiohttp is another one by then, as after a
run of pytest inside of a test, the whole package has to be another one, too.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install"]

_ROOT = "aiostub"


class _Finder:
    """Find modules of this package that are loaded but stand in `sys.modules` no more."""

    def find_spec(
        self, name: str, _: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that is loaded already."""
        if target is not None or not name.startswith(f"{_ROOT}."):  # a target is reloaded
            return None
        if _kept(name) is not None and _is_of_another_aiohttp():
            _forget()
        return None if _kept(name) is None else ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, _: ModuleSpec) -> ModuleType | None:
        """Leave that to the import system."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the module that is loaded back."""
        # The import system puts what stands here then in the module's place.
        sys.modules[module.__name__] = _kept(module.__name__) or module


def _kept(name: str) -> ModuleType | None:
    """Return what the import system has bound to the package when the module was loaded."""
    package, _, last = name.rpartition(".")
    found = vars(sys.modules[package]).get(last) if package in sys.modules else None
    return found if isinstance(found, ModuleType) and found.__name__ == name else None


def _is_of_another_aiohttp() -> bool:
    boundary = vars(sys.modules[_ROOT]).get("_boundary")
    interception = getattr(boundary, "interception", None)
    return interception is not None and interception.aiohttp is not sys.modules.get("aiohttp")


def _forget() -> None:
    """Unbind from the package the modules that were dropped."""
    root = vars(sys.modules[_ROOT])
    for name in [name for name in root if _kept(f"{_ROOT}.{name}") is not None]:
        if f"{_ROOT}.{name}" not in sys.modules:
            del root[name]


def install() -> None:
    """Load each module of the package once, from now on."""
    sys.meta_path.insert(0, _Finder())
