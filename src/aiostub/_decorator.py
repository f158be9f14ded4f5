"""A stub as a decorator: run a function, or each test of a class, inside a fresh stub."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiostub._stub import Stub

_Fresh = Callable[[], "Stub"]
_Given = Callable[["Stub"], dict[str, Any]]


def decorate_class(cls: Any, fresh: _Fresh, param: str) -> Any:
    """Decorate each ``test*`` method of a class, inherited ones too, and return the class."""
    for name in dir(cls):
        if not name.startswith("test"):
            continue
        found = inspect.getattr_static(cls, name)
        if isinstance(found, (staticmethod, classmethod)) or inspect.isfunction(found):
            setattr(cls, name, decorate(found, fresh, param))
    return cls


def decorate(function: Any, fresh: _Fresh, param: str) -> Any:
    """Return a function of the same kind that runs *function* inside a fresh stub.

    The stub is passed by keyword, if the function takes it, and hidden from the signature, so that
    pytest looks for no fixture of that name.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(decorate(function.__func__, fresh, param))
    signature = inspect.signature(function)
    parameters = signature.parameters
    wanted = param in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def given(stub: Stub) -> dict[str, Any]:
        return {param: stub} if wanted else {}

    wrapper: Any = _wrapper_for(function)(function, fresh, given)
    functools.update_wrapper(wrapper, function)
    shown = [p for p in parameters.values() if p.name != param]
    wrapper.__signature__ = signature.replace(parameters=shown)
    return wrapper


def _wrapper_for(function: Any) -> Callable[[Any, _Fresh, _Given], Any]:
    if inspect.isasyncgenfunction(function):
        return _async_generator
    if inspect.isgeneratorfunction(function):
        return _generator
    return _coroutine if inspect.iscoroutinefunction(function) else _plain


def _plain(function: Any, fresh: _Fresh, given: _Given) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with fresh() as stub:
            return function(*args, **given(stub), **kwargs)

    return wrapper


def _coroutine(function: Any, fresh: _Fresh, given: _Given) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with fresh() as stub:
            return await function(*args, **given(stub), **kwargs)

    return wrapper


def _generator(function: Any, fresh: _Fresh, given: _Given) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with fresh() as stub:
            return (yield from function(*args, **given(stub), **kwargs))

    return wrapper


def _async_generator(function: Any, fresh: _Fresh, given: _Given) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with fresh() as stub, aclosing(function(*args, **given(stub), **kwargs)) as inner:
            # What `yield from` would do, which async generators do not have.
            resume, value = inner.asend, None
            while True:
                try:
                    item = await resume(value)
                except StopAsyncIteration:
                    return
                try:
                    resume, value = inner.asend, (yield item)
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - the inner one's to handle
                    resume, value = inner.athrow, error

    return wrapper
