"""Parse Python in tests."""

import ast


def tree_of(source: str) -> ast.Module:
    """Return the syntax tree of a source."""
    try:
        return ast.parse(source)
    except SystemError:  # now and then CPython 3.11 miscounts its own recursion in there
        return ast.parse(source)
