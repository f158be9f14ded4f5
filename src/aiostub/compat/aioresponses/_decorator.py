"""An aioresponses object as a decorator of functions and test classes."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiostub.compat.aioresponses.core import aioresponses

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def decorate_class(cls: type, decorator: Callable[[Any], Any]) -> type:
    """Decorate each ``test*`` method of a class, inherited ones too, and return the class."""
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if name.startswith("test") and inspect.isfunction(found):
            setattr(cls, name, decorator(found))
    return cls


def decorate(function: Callable[..., Any], mock: aioresponses, param: str | None) -> Any:
    """Return a function that runs *function* while the mock is started, and gives it the mock.

    The mock is the argument behind those that the caller gives by position, or the one named
    *param*. It is hidden from the signature, so that pytest looks for no fixture of its name.
    """
    given = _Giver(function, param)
    wrapper: Any
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with mock as started:
                args, kwargs = given(started, args, kwargs)
                return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with mock as started:
                args, kwargs = given(started, args, kwargs)
                return function(*args, **kwargs)

    if given.signature is not None:
        wrapper.__signature__ = given.signature
    return wrapper


class _Giver:
    """Put the mock among the arguments of a decorated function."""

    def __init__(self, function: Callable[..., Any], param: str | None) -> None:
        self.signature: inspect.Signature | None = None
        self._param = param
        self._places: list[str] = []
        self._hidden = param
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # built-in functions
            return
        parameters = signature.parameters.values()
        self._places = [p.name for p in parameters if p.kind in _POSITIONAL]
        if param is None:
            self._hidden = self._last_place(function)
        shown = [p for p in parameters if p.name != self._hidden]
        if self._hidden is not None:
            self.signature = signature.replace(parameters=shown)

    def _last_place(self, function: Any) -> str | None:
        # The doubles that unittest.mock.patch makes come behind the mock, by position.
        made = getattr(sys.modules.get("unittest.mock"), "DEFAULT", None)
        patched = sum(p.new is made for p in getattr(function, "patchings", ()))
        places = self._places[: len(self._places) - patched]
        return places[-1] if places else None

    def __call__(
        self, mock: aioresponses, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._param:
            return args, {**kwargs, self._param: mock}
        place = self._places[len(args)] if len(args) < len(self._places) else None
        if place in kwargs and self._hidden is not None:  # pytest gives fixtures by name
            return args, {**kwargs, self._hidden: mock}
        return (*args, mock), kwargs
