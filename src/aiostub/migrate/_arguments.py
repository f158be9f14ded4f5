"""Arguments of a call: found by name, kept with their layout and comments, written anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst

from aiostub.migrate._module import RefusalError, walk


def by_name(call: cst.Call, order: Sequence[str]) -> dict[str, int]:
    """Return where each argument stands in a call of a function with these parameters.

    Raises:
        RefusalError: arguments are unpacked, or there are others than these.
    """
    found: dict[str, int] = {}
    for at, one in enumerate(call.args):
        if one.star:
            raise RefusalError(one, "arguments are unpacked, so it does not show what they are")
        name = one.keyword.value if one.keyword is not None else (order[at : at + 1] or ("",))[0]
        if name not in order:
            raise RefusalError(one, f"the argument {name or at + 1} is not known")
        found[name] = at
    return found


@dataclass
class Layout:
    """Build the arguments of a new call from those of an old one.

    Attributes:
        old: the arguments that stay or go, in their order.
        opening: what stands before the first of them.
        kept: the new arguments, with the places of the old ones that they were.
        placed: the places of arguments whose comments stand elsewhere already.
    """

    old: Sequence[cst.Arg]
    opening: cst.BaseParenthesizableWhitespace
    kept: list[tuple[int | None, cst.Arg]] = field(default_factory=list)
    placed: set[int] = field(default_factory=set)

    def keep(self, at: int, name: str | None, value: cst.BaseExpression | None = None) -> None:
        """Keep an argument, under a name (``None``: by position), perhaps with a new value."""
        old = self.old[at]
        self.kept.append((at, _named(name, old.value if value is None else value, old)))

    def add(self, name: str | None, value: cst.BaseExpression) -> None:
        """Add an argument that was not there."""
        self.kept.append((None, _named(name, value)))

    def on_its_own_line(self, call: cst.Call, at: int) -> cst.Call:
        """Give the one argument of a call the line that it had, if it had one."""
        if not isinstance(self.opening, cst.ParenthesizedWhitespace) or _comments(self.opening):
            return call
        end = _space_of(self.old[-1])
        closing = end.last_line if isinstance(end, cst.ParenthesizedWhitespace) else None
        if closing is None:
            return call
        mine = _space_after(self.old[at])
        first = mine.whitespace_after if isinstance(mine, cst.Comma) else mine
        line = (
            first.first_line
            if isinstance(first, cst.ParenthesizedWhitespace)
            else cst.TrailingWhitespace()
        )
        self.placed.add(at)
        space = cst.ParenthesizedWhitespace(first_line=line, indent=True, last_line=closing)
        arg = call.args[0].with_changes(comma=cst.Comma(whitespace_after=space))
        return call.with_changes(args=[arg], whitespace_before_args=self.opening)

    @property
    def comments(self) -> bool:
        """Whether there is a comment between the arguments."""
        spaces = [self.opening, *map(_space_after, self.old)]
        return any(isinstance(n, cst.Comment) for space in spaces for n in walk(space))

    def arguments(self) -> tuple[list[cst.Arg], cst.BaseParenthesizableWhitespace]:
        """Return the new arguments, and what stands before the first."""
        opening = self.opening if self.kept else _collapsed(self.opening)
        lost = self._lost_comments()
        if lost:
            opening = _with_comments(opening, lost)
        last = len(self.kept) - 1
        between = self._between()
        made = [
            self._closed(arg, at) if index == last else self._separated(arg, at, between)
            for index, (at, arg) in enumerate(self.kept)
        ]
        return made, opening

    def _separated(self, arg: cst.Arg, at: int | None, between: cst.Comma) -> cst.Arg:
        old = None if at is None or at == len(self.old) - 1 else self.old[at].comma
        comma = old if isinstance(old, cst.Comma) else between
        return arg.with_changes(comma=comma, whitespace_after_arg=cst.SimpleWhitespace(""))

    def _closed(self, arg: cst.Arg, at: int | None) -> cst.Arg:
        """End the arguments as the old ones ended, a comment of the last one still beside it."""
        end = self.old[-1] if self.old else arg
        if at is None or self.old[at] is end:
            return arg.with_changes(comma=end.comma, whitespace_after_arg=end.whitespace_after_arg)
        mine = self.old[at].comma
        if not (isinstance(mine, cst.Comma) and _comments(mine)):
            return arg.with_changes(comma=end.comma, whitespace_after_arg=end.whitespace_after_arg)
        space = cst.ensure_type(mine.whitespace_after, cst.ParenthesizedWhitespace)
        final = _space_of(end)
        lines = _lines(_comments(final), space.last_line.value)
        closing = final.last_line.value if isinstance(final, cst.ParenthesizedWhitespace) else ""
        space = space.with_changes(
            empty_lines=[*space.empty_lines, *lines], last_line=cst.SimpleWhitespace(closing)
        )
        return arg.with_changes(comma=mine.with_changes(whitespace_after=space))

    def _between(self) -> cst.Comma:
        commas = [one.comma for one in self.old[:-1] if isinstance(one.comma, cst.Comma)]
        plain = [one for one in commas if not _comments(one)]
        if plain:
            return plain[-1]
        if isinstance(self.opening, cst.ParenthesizedWhitespace) and self.old:
            return cst.Comma(whitespace_after=_without_comments(self.opening))
        return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))

    def _lost_comments(self) -> list[cst.Comment]:
        """Return the comments beside arguments that do not stay."""
        kept = {at for at, _ in self.kept}
        final = len(self.old) - 1
        return [
            comment
            for at, one in enumerate(self.old)
            if at not in kept | self.placed and (at != final or not self.kept)
            for comment in _comments(_space_after(one))
        ]


def _named(name: str | None, value: cst.BaseExpression, old: cst.Arg | None = None) -> cst.Arg:
    if name is None:
        return cst.Arg(value)
    equal = (
        old.equal
        if old is not None and isinstance(old.equal, cst.AssignEqual)
        else cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    )
    return cst.Arg(value, keyword=cst.Name(name), equal=equal)


def _space_after(one: cst.Arg) -> cst.CSTNode:
    return one.comma if isinstance(one.comma, cst.Comma) else one.whitespace_after_arg


def _space_of(one: cst.Arg) -> cst.BaseParenthesizableWhitespace:
    return (
        one.comma.whitespace_after if isinstance(one.comma, cst.Comma) else one.whitespace_after_arg
    )


def _lines(comments: Sequence[cst.Comment], indent: str) -> list[cst.EmptyLine]:
    space = cst.SimpleWhitespace(indent)
    return [cst.EmptyLine(indent=True, whitespace=space, comment=one) for one in comments]


def _comments(node: cst.CSTNode) -> list[cst.Comment]:
    return [inner for inner in walk(node) if isinstance(inner, cst.Comment)]


def _collapsed(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    return space if _comments(space) else cst.SimpleWhitespace("")


def _without_comments(space: cst.ParenthesizedWhitespace) -> cst.ParenthesizedWhitespace:
    return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])


def _with_comments(
    space: cst.BaseParenthesizableWhitespace, comments: Sequence[cst.Comment]
) -> cst.ParenthesizedWhitespace:
    """Put comments on lines of their own."""
    if isinstance(space, cst.ParenthesizedWhitespace):
        lines = _lines(comments, space.last_line.value)
        return space.with_changes(empty_lines=[*space.empty_lines, *lines])
    return cst.ParenthesizedWhitespace(
        first_line=cst.TrailingWhitespace(),
        empty_lines=_lines(comments, "    "),
        indent=True,
        last_line=cst.SimpleWhitespace("    "),
    )
