"""
Edits a config's text at the places of its problems; comments and all other lines stay as they are.

PyYAML's marks say where each key and value is, so no library that writes YAML is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..errors import KeyPath, Move, Problem
from ..wire import json
from .document import Document, NodePosition
from .limits import EMPTIED, is_limit

QUOTES = frozenset({"'", '"'})


class Edit(Struct, frozen=True):
    """Replace the characters from `start` to `end` by `text`; `moves` are those that this makes."""

    start: int
    end: int
    text: str = ""
    moves: tuple[Move, ...] = ()


def edit_for(document: Document, problem: Problem) -> Edit | None:
    """The edit that solves a problem; `None` if there is none."""
    place = document.place_of(problem.path)
    if place is not None and problem.replace:
        return replacement_of(place, problem.replace)
    if place is not None and problem.form:
        return _in_form(place, problem.form)
    path = removed_path(document, problem)
    place = document.place_of(path)
    if place is None:
        return None
    if path in EMPTIED:
        return Edit(end_of(place.key), end_of(place.value), ": []")
    if len(place.parent.value) == 1:
        return Edit(0, len(document.text), "{}\n")
    return removal_of(document.text, place)


def renamings(document: Document, problems: list[Problem]) -> list[tuple[Problem, Edit]]:
    """The edits that write the right names of misspelled keys, the last one first."""
    owners: dict[tuple[int, str], Any] = {}
    found: list[tuple[Problem, Edit]] = []
    for problem in problems:
        place = document.place_of(problem.path) if problem.rename else None
        if place is None or _has(place.parent, problem.rename):
            continue
        if owners.setdefault((id(place.parent), problem.rename), place.key) is place.key:
            quoted = f'"{problem.rename}"' if place.key.style in QUOTES else problem.rename
            found.append((problem, Edit(start_of(place.key), end_of(place.key), quoted)))
    return sorted(found, key=lambda one: one[1].start, reverse=True)


def replacement_of(place: NodePosition, text: str) -> Edit:
    """The edit that writes another text as a value, with quotes if it had some."""
    is_quoted = place.value.id == "scalar" and place.value.style in QUOTES
    quoted = json.encode(text).decode() if is_quoted else text
    return Edit(start_of(place.value), end_of(place.value), quoted)


def _in_form(place: NodePosition, form: str) -> Edit:
    """The edit that writes a number as text, or a text as the only item of a list."""
    text = json.encode(str(place.value.value)).decode()
    return Edit(start_of(place.value), end_of(place.value), f"[{text}]" if form == "list" else text)


def removed_place(document: Document, problem: Problem) -> NodePosition | None:
    """What to remove."""
    return document.place_of(removed_path(document, problem))


def removed_path(document: Document, problem: Problem) -> KeyPath:
    """
    The path of what to remove: the closest part around it, if it is not there or its only entry.

    If it is a limit, it is what it limits.
    """
    return _removed_path(document, problem.path if problem.remove is None else problem.remove)


def _removed_path(document: Document, path: KeyPath) -> KeyPath:
    while path and document.place_of(path) is None:
        path = path[:-1]
    place = document.place_of(path)
    while place is not None and len(path) > 1 and path not in EMPTIED:
        if len(place.parent.value) > 1 and not is_limit(path):
            break
        path = path[:-1]
        place = document.place_of(path)
    return path


def with_whole_parts(document: Document, problems: list[Problem]) -> list[Problem]:
    """The problems, of which those that remove every entry of a part remove the part itself."""
    paths = [
        removed_path(document, one) if one.fixable and not (one.replace or one.form) else ()
        for one in problems
    ]
    while (whole := next(_emptied(document, paths), None)) is not None:
        wider = _removed_path(document, whole)
        paths = [wider if path[: len(whole)] == whole else path for path in paths]
    return [
        replace(one, remove=path) if path else one
        for one, path in zip(problems, paths, strict=True)
    ]


def _emptied(document: Document, paths: list[KeyPath]) -> Iterator[KeyPath]:
    """The parts of which all entries would be removed."""
    for part in {path[:-1] for path in paths if len(path) > 1}:
        place = document.place_of(part)
        steps = {str(path[-1]) for path in paths if path[:-1] == part and path not in EMPTIED}
        if place is not None and len(place.value.value) == len(steps):
            yield part


def first_of(place: NodePosition) -> NodePosition:
    """The first entry with the key of a later one."""
    entries = enumerate(place.parent.value)
    index, (key, value) = next(one for one in entries if one[1][0].value == place.key.value)
    return NodePosition(key, value, place.parent, index)


def is_entangled(place: NodePosition) -> bool:
    """Whether an edit there would need the text of an alias or of a merged mapping (`<<`)."""
    first, last = start_of(place.parent), int(place.parent.end_mark.index)
    entries = place.parent.value
    if not place.parent.flow_style and place.index:  # a line of its own
        entries = entries[place.index : place.index + 1]
    nodes = [n for one in entries for n in (one if place.parent.id == "mapping" else [one])]
    starts = [start_of(node) for node in nodes]
    return starts != sorted(starts) or any(not first <= start <= last for start in starts)


def removal_of(text: str, place: NodePosition) -> Edit:
    """The edit that removes one of several entries of a mapping or a list."""
    if place.parent.flow_style:
        return _flow_removal(place)
    node = place.value if place.key is None else place.key
    start, end = start_of(node), end_of(place.value)
    if place.key is None:
        start = text.rindex("-", 0, start)
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():  # the first key of a list's item stands after its dash
        if place.index + 1 == len(place.parent.value):
            return Edit(start, end, "[]" if place.key is None else "{}")
        following = place.parent.value[place.index + 1]
        return Edit(start, start_of(following if place.key is None else following[0]))
    newline = text.find("\n", end)
    return Edit(line, len(text) if newline < 0 else newline + 1)


def _flow_removal(place: NodePosition) -> Edit:
    """`{a: 1, b: 2}` without one of its entries."""
    entries = place.parent.value
    nodes = [(one, one) if place.key is None else one for one in entries]
    first, last = nodes[place.index]
    if place.index + 1 < len(nodes):
        return Edit(start_of(first), start_of(nodes[place.index + 1][0]))
    return Edit(end_of(nodes[place.index - 1][1]), end_of(last))


def _has(mapping: Any, name: str) -> bool:
    return any(key.value == name for key, _ in mapping.value)


def start_of(node: Any) -> int:
    """The position of a node's first character."""
    return int(node.start_mark.index)


def end_of(node: Any) -> int:
    """The end of a node's last character; YAML's own mark may be after the lines that follow."""
    if node.id == "scalar":
        end = int(node.end_mark.index)
        return end - 1 if node.style in {"|", ">"} else end
    if node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    if node.id == "sequence":
        return end_of(last)
    key, value = last
    return end_of(value) if start_of(value) >= start_of(key) else end_of(key)
