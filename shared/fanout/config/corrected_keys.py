"""
Corrects a config's keys to find all problems: misspelled names, and keys in a wrong place.

So what such a key holds is checked, too, and all problems are found at once. Loaded only for
configs with such keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec.structs import replace

from ..errors import KeyPath, Problem
from .misplaced_keys import moves_of
from .unknown_keys import unknown_keys

Places: TypeAlias = Mapping[KeyPath, KeyPath]
"""The path in the file of each key that has another name or place, by the path that is meant."""


def with_corrected_keys(
    value: Mapping[str, Any], problems: Sequence[Problem]
) -> tuple[Mapping[str, Any], Places, list[Problem]]:
    """
    The config as it is meant, the places of its keys in the file, and the problems.

    `problems` are those that `unknown_keys` finds in the value. Of the result, those of keys that
    have another name or place have the path in the file.
    """
    places: dict[KeyPath, KeyPath] = {}
    found: list[Problem] = []
    todo = [_with_moves(value, one) for one in problems]
    while True:
        count = len(found)
        for one in todo:
            if not _has(value, one.path):
                continue  # a part around it was moved: it is found again at its new place
            to = _meant_path(value, one)
            if to is not None:
                value = _with(_without(value, one.path), to, _get(value, one.path))
                for move in one.moves:
                    value = _with(value, move.to, move.text) if move.text else value
                given = path_in_file(one.path, places)
                places[to] = given
                found.append(replace(one, path=given))
        if len(found) == count:
            return value, places, [*found, *todo]
        todo = [_with_moves(value, one) for one in unknown_keys(value)]


def path_in_file(path: KeyPath, places: Places) -> KeyPath:
    """The path of a value in the file."""
    for end in range(len(path), 0, -1):
        if (given := places.get(path[:end])) is not None:
            return (*given, *path[end:])
    return path


def in_file(problem: Problem, places: Places) -> Problem:
    """The problem with the paths in the file."""
    remove = None if problem.remove is None else path_in_file(problem.remove, places)
    return replace(problem, path=path_in_file(problem.path, places), remove=remove)


def _with_moves(value: Mapping[str, Any], problem: Problem) -> Problem:
    """The problem of a misplaced key, with where it belongs."""
    return problem if problem.rename else replace(problem, moves=moves_of(value, problem.path))


def _meant_path(value: Mapping[str, Any], problem: Problem) -> KeyPath | None:
    """Where the key is meant to be, if no other one is there; of many places, the first."""
    if problem.rename:
        to: KeyPath = (*problem.path[:-1], problem.rename)
    elif problem.moves and not (problem.moves[0].text or problem.moves[0].part):
        to = problem.moves[0].to
    else:
        return None
    node: Any = value
    for step in to[:-1]:
        node = node.get(step) if isinstance(node, Mapping) else node[step]
        if node is None:
            return to
    return to if isinstance(node, Mapping) and to[-1] not in node else None


def _has(value: Any, path: KeyPath) -> bool:
    for step in path:
        if isinstance(value, list):
            if not (isinstance(step, int) and step < len(value)):
                return False
        elif not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return True


def _get(value: Any, path: KeyPath) -> Any:
    for step in path:
        value = value[step]
    return value


def _without(value: Any, path: KeyPath) -> Any:
    """A copy of a mapping or list without the key at the path."""
    step, *rest = path
    if rest:
        return _with_item(value, step, _without(value[step], tuple(rest)))
    return {key: item for key, item in value.items() if key != step}


def _with(value: Any, path: KeyPath, item: Any) -> Any:
    """A copy of a mapping or list with an item at the path."""
    step, *rest = path
    if rest:
        inner = value.get(step) if isinstance(value, Mapping) else value[step]
        item = _with({} if inner is None else inner, tuple(rest), item)
    return _with_item(value, step, item)


def _with_item(value: Any, step: str | int, item: Any) -> Any:
    if isinstance(value, list):
        return [item if index == step else each for index, each in enumerate(value)]
    return {**value, step: item}
