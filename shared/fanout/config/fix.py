"""Writes a config that works: without what is wrong in it, and with a list of what was left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ConfigError, KeyPath, Move, Problem
from .document import Document, NodePosition, parse, without_aliases
from .edits import (
    Edit,
    edit_for,
    first_of,
    is_entangled,
    removal_of,
    removed_path,
    removed_place,
    renamings,
    with_whole_parts,
)
from .limits import (
    LAST_KEY,
    LAST_MODEL,
    asks_for_keys,
    doubled,
    has_keys,
    lists_models,
    loss,
    of_model,
)
from .line_ends import divided
from .move_edits import edits_of_moves, has_shared_parts
from .resolve import inspect_config
from .unknown_keys import LIMITS

MAX_ROUNDS = 200
"""Each round moves or removes what is wrong now; a removed model may make its fallbacks wrong."""


INDEX = re.compile(r"\[\d+\]")


class Fixed(Struct, frozen=True):
    """
    A config without what was wrong, what was `changed`, and what is still wrong.

    The problems of `changed` have the moves that were made. Lines are those of the original file.
    """

    text: str
    changed: tuple[Problem, ...]
    remaining: tuple[Problem, ...]


def fix(stored: str, env: Mapping[str, str], name: str) -> Fixed:
    """
    Fix the text of a config, as it is stored. Variables that are not set remain: the environment is
    not fixed.
    """
    text, stored_format = divided(stored)
    changed: list[Problem] = []
    moved: dict[KeyPath, tuple[Move, ...]] = {}
    origins = list(range(1, text.count("\n") + 2))
    first: list[Problem] = []
    needs_key = needs_models = False
    for _ in range(MAX_ROUNDS):
        _, document, problems = inspect_config(text, env, name)
        first = first or problems
        needs_key = needs_key or has_keys(document.value) or asks_for_keys(document)
        needs_models = needs_models or lists_models(document)
        renames = [] if document.duplicates else renamings(document, problems)
        moves = [] if document.duplicates or renames else edits_of_moves(document, problems)
        solved = problems
        if not (renames or moves):
            limits = [of_model(document, one, LIMITS) for one in problems]
            solved = with_whole_parts(document, limits)
        found = _removals(document, solved)
        if not (renames or moves or found):
            lost = [LAST_KEY] if needs_key and not has_keys(document.value) else []
            has_models = document.value.get("model_list") is not None
            lost += [LAST_MODEL] if needs_models and not has_models else []
            document = parse(text, name) if lost else document  # JSON may have no places
            moves = edits_of_moves(document, lost)
        edits = renames or moves or _apart(found)
        if not edits:
            break
        edited, lines = _applied(text, origins, edits)
        is_tangled = not renames and (
            has_shared_parts(document) if moves else _is_entangled(document, solved)
        )
        if is_tangled or not _is_yaml(edited, name):
            origins = _lines_of(document, text := without_aliases(document.value), origins)
            continue
        done = edits if renames or moves else [one for one in found if _is_done(one[1], edits)]
        for problem, edit in done[::-1]:
            made = moved[problem.path] = (*moved.get(problem.path, ()), *(edit.moves))
            if not moves or problem.keeps:
                changed.append(_solved(replace(problem, moves=made), edit, origins))
        text, origins = edited, lines
    placed = [replace(one, line=origins[_line(one) - 1]) for one in problems]
    changed.sort(key=_line)
    fixed = stored_format.stored(text, origins)
    return Fixed(fixed, _with_first(changed, first), _with_first(placed, first))


def _with_first(problems: Iterable[Problem], first: list[Problem]) -> tuple[Problem, ...]:
    """
    The problems with the lines and indexes of the original file, whose entries may be gone since.

    Entries that share a part by an alias have its problems at one line, in their order.
    """
    at_line: dict[tuple[int | None, str], list[Problem]] = {}
    by_message: dict[str, list[Problem]] = {}
    for one in first:
        message = INDEX.sub("", one.message)
        at_line.setdefault((one.line, message), []).append(one)
        by_message.setdefault(message, []).append(one)
    found: list[Problem] = []
    for one in problems:
        message = INDEX.sub("", one.message)
        alike = by_message.get(message, [])
        known = at_line.get((one.line, message)) or (alike if len(alike) == 1 else [])
        if known:
            same = known.pop(0) if len(known) > 1 else known[0]
            found.append(_named_as(same, one))
        else:
            found.append(one)
    return tuple(sorted(found, key=_line))


def _named_as(first: Problem, problem: Problem) -> Problem:
    """The problem as the original file has it, and its moves within that entry."""
    entry, named = problem.path[:2], first.path[:2]
    moves = tuple(
        replace(one, to=(*named, *one.to[2:])) if one.to[:2] == entry else one
        for one in problem.moves
    )
    message, line, path = first.message, first.line, first.path
    return replace(problem, message=message, line=line, path=path, moves=moves)


def _is_entangled(document: Document, problems: list[Problem]) -> bool:
    """Whether the edits concern aliases, which are then replaced by what they refer to."""
    places = [removed_place(document, one) for one in problems if one.fixable]
    places += [place for _, place in document.duplicates]
    return any(place is not None and is_entangled(place) for place in places)


def _applied(
    text: str, origins: list[int], edits: list[tuple[Problem, Edit]]
) -> tuple[str, list[int]]:
    """The edited text, and the original numbers of its lines; equal edits are one."""
    for edit in dict.fromkeys(edit for _, edit in edits):  # from the end: earlier places stay valid
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
    rename = problem.rename if edit.text.strip("'\"") == problem.rename else ""
    return replace(problem, rename=rename, line=origins[_line(problem) - 1])


def _line(problem: Problem) -> int:
    return problem.line or 1


def _removals(document: Document, problems: list[Problem]) -> list[tuple[Problem, Edit]]:
    """The edits that remove or replace what is wrong, the last one first."""
    if document.duplicates:
        found = [
            _undoubled(document, problem, first_of(place))
            for problem, (_, place) in zip(document.problems(), document.duplicates, strict=True)
        ]
    else:
        solved = [(one, edit_for(document, one)) for one in problems if one.fixable]
        found = [(_with_loss(document, one), edit) for one, edit in solved if edit is not None]
    return sorted(found, key=lambda one: (one[1].start, -one[1].end), reverse=True)


def _undoubled(document: Document, problem: Problem, first: NodePosition) -> tuple[Problem, Edit]:
    """The edit for a key that is given twice: without its first value, or what that limits."""
    whole = doubled(document, problem, first.value, LIMITS)
    edit = edit_for(document, whole) if whole.remove else None
    return (whole, edit) if edit else (problem, removal_of(document.text, first))


def _with_loss(document: Document, problem: Problem) -> Problem:
    """The problem with what is left out on account of limits that cannot be kept."""
    if problem.replace or problem.form:
        return problem
    return replace(problem, loss=loss(document, problem, removed_path(document, problem)))


def _is_done(edit: Edit, edits: list[tuple[Problem, Edit]]) -> bool:
    """Whether an edit is one of those, or what it removes is within what one of them removes."""
    return any(
        edit == one or (one.start <= edit.start and edit.end <= one.end and not one.text)
        for _, one in edits
    )


def _apart(found: list[tuple[Problem, Edit]]) -> list[tuple[Problem, Edit]]:
    """The edits of one round that do not touch each other, the last one first."""
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
