"""Writes a config that works: without what is wrong in it, and with a list of what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ConfigError, KeyPath, Move, Problem
from .document import Document, parse, without_aliases
from .edits import Edit, edit_for, first_of, is_entangled, removal_of, removed_place
from .moves import edits_of_moves, has_shared_parts
from .resolve import inspect_config

MAX_ROUNDS = 200
"""Each round moves or removes what is wrong now; a removed model may make its fallbacks wrong."""


class Fixed(Struct, frozen=True):
    """
    A config without what was wrong, what was `changed`, and what is still wrong.

    The problems of `changed` have the moves that were made. Lines are those of the original file.
    """

    text: str
    changed: tuple[Problem, ...]
    remaining: tuple[Problem, ...]


def fix(text: str, env: Mapping[str, str], name: str) -> Fixed:
    """Fix the text of a config. Variables that are not set remain: the environment is not fixed."""
    changed: list[Problem] = []
    moved: dict[KeyPath, tuple[Move, ...]] = {}
    origins = list(range(1, text.count("\n") + 2))
    problems: list[Problem] = []
    for _ in range(MAX_ROUNDS):
        _, document, problems = inspect_config(text, env, name)
        moves = [] if document.duplicates else edits_of_moves(document, problems)
        edits = moves or _edits(document, problems)
        if not edits:
            break
        edited, lines = _applied(text, origins, edits)
        is_tangled = has_shared_parts(document) if moves else _is_entangled(document, problems)
        if is_tangled or not _is_yaml(edited, name):
            origins = _lines_of(document, text := without_aliases(document.value), origins)
            continue
        for problem, edit in edits[::-1]:
            made = moved[problem.path] = (*moved.get(problem.path, ()), *(edit.moves))
            if not moves or problem.keeps:
                changed.append(_solved(replace(problem, moves=made), edit, origins))
        text, origins = edited, lines
    placed = [replace(one, line=origins[_line(one) - 1]) for one in problems]
    return Fixed(text, tuple(sorted(changed, key=_line)), tuple(placed))


def _is_entangled(document: Document, problems: list[Problem]) -> bool:
    """Whether the edits concern aliases, which are then replaced by what they refer to."""
    places = [removed_place(document, one) for one in problems if one.fixable]
    places += [place for _, place in document.duplicates]
    return any(place is not None and is_entangled(place) for place in places)


def _applied(
    text: str, origins: list[int], edits: list[tuple[Problem, Edit]]
) -> tuple[str, list[int]]:
    """The edited text, and the original numbers of its lines."""
    for _, edit in edits:  # from the end, so that the places before stay valid
        origins = _cut(origins, text, edit)
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text, origins


def _is_yaml(text: str, name: str) -> bool:
    try:
        parse(text, name)
    except ConfigError:
        return False
    return True


def _lines_of(document: Document, text: str, origins: list[int]) -> list[int]:
    """The original numbers of the lines of a text with the same value."""
    written = parse(text, document.name)
    lines = [1] * (text.count("\n") + 1)
    for path in _paths(document.value, ()):
        line = written.line_of(path) or 1
        lines[line - 1] = origins[(document.line_of(path) or 1) - 1]
    return lines


def _paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """Every path in a value."""
    found: Iterable[tuple[Any, object]] = ()
    if isinstance(value, Mapping):
        found = value.items()
    elif isinstance(value, list):
        found = enumerate(value)
    for step, inner in found:
        yield (*path, step)
        yield from _paths(inner, (*path, step))


def _solved(problem: Problem, edit: Edit, origins: list[int]) -> Problem:
    """The problem as it was solved: a key that is there already is removed and not renamed."""
    rename = problem.rename if edit.text == problem.rename else ""
    return replace(problem, rename=rename, line=origins[_line(problem) - 1])


def _line(problem: Problem) -> int:
    return problem.line or 1


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
