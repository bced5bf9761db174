"""Writes a config that works: without what is wrong in it, and with a list of what was left out."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from ..errors import Problem
from .document import Document
from .edits import Edit, edit_for, first_of, removal_of
from .open import inspect_config

MAX_ROUNDS = 100
"""Each round removes what is wrong now; a removed model may make its fallbacks wrong."""


class Fixed(Struct, frozen=True):
    """
    A config without what was wrong, what was `changed`, and what is still wrong.

    Lines are those of the original file.
    """

    text: str
    changed: tuple[Problem, ...]
    remaining: tuple[Problem, ...]


def fix(text: str, env: Mapping[str, str], name: str) -> Fixed:
    """Fix the text of a config. Variables that are not set remain: the environment is not fixed."""
    changed: list[Problem] = []
    origins = list(range(1, text.count("\n") + 2))
    problems: list[Problem] = []
    for _ in range(MAX_ROUNDS):
        _, document, problems = inspect_config(text, env, name)
        edits = _edits(document, problems)
        if not edits:
            break
        for problem, edit in edits:
            line = origins[(problem.line or 1) - 1]
            rename = problem.rename if edit.text == problem.rename else ""
            changed.append(replace(problem, line=line, rename=rename))
        for _, edit in edits:  # from the end, so that the places before stay valid
            origins = _cut(origins, text, edit)
            text = text[: edit.start] + edit.text + text[edit.end :]
    placed = [replace(one, line=origins[(one.line or 1) - 1]) for one in problems]
    return Fixed(text, tuple(sorted(changed, key=_line)), tuple(placed))


def _line(problem: Problem) -> int:
    return problem.line or 0


def _edits(document: Document, problems: list[Problem]) -> list[tuple[Problem, Edit]]:
    """The edits of one round that do not touch each other, the last one first."""
    if document.duplicates:
        found = [
            (problem, removal_of(document.text, first_of(place)))
            for problem, (_, place) in zip(document.problems(), document.duplicates, strict=True)
        ]
    else:
        solved = [(one, edit_for(document, one)) for one in problems if one.fixable]
        found = [(one, edit) for one, edit in solved if edit is not None]
    found.sort(key=lambda one: (one[1].start, -one[1].end), reverse=True)
    apart: list[tuple[Problem, Edit]] = []
    for problem, edit in reversed(found):
        if not apart or edit.start >= apart[-1][1].end:
            apart.append((problem, edit))
    return apart[::-1]


def _cut(origins: list[int], text: str, edit: Edit) -> list[int]:
    """The original numbers of the lines that are left after an edit."""
    first = text.count("\n", 0, edit.start)
    count = text.count("\n", edit.start, edit.end)
    starts_line = edit.start == 0 or text[edit.start - 1] == "\n"
    kept = origins[first + count] if starts_line and count else origins[first]
    added = [kept] * edit.text.count("\n")
    return [*origins[:first], kept, *added, *origins[first + count + 1 :]]
