"""
Writes the values of misplaced keys where they belong, into the text of a config.

Block style stays block style, with its comments; in flow style (`{a: 1}`, JSON) values are JSON,
which YAML reads, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ..errors import KeyPath, Move, Problem
from ..wire import json
from .document import Document, NodePosition
from .edits import Edit, end_of, replacement_of, start_of

STEP = 2
"""Spaces by which a new mapping is indented."""


def pending(document: Document, problem: Problem) -> Iterator[Move]:
    """The moves of a problem that are not yet written."""
    for move in problem.moves:
        place = document.place_of(move.to)
        if place is None:
            is_pending = _can_have(document, move)
        else:
            is_pending = bool(move.text) and _is_other(move, place)
        if is_pending:
            yield move


def _can_have(document: Document, move: Move) -> bool:
    """Whether the part around a place is a mapping, or null, or not there; a wrong one is not."""
    for end in range(1, len(move.to)):
        around = document.place_of(move.to[:end])
        if around is None:
            return True
        if around.value.id == ("sequence" if isinstance(move.to[end], str) else "mapping"):
            return False
    return True


def _is_other(move: Move, place: NodePosition) -> bool:
    """Whether the value at the place is to be overwritten: a model's name, or null at the top."""
    is_null = place.value.id == "scalar" and place.value.tag.endswith(":null")
    return (is_null and len(move.to) == 1) or (
        move.to[-1] == "model" and place.value.value != move.text
    )


def edits_of_moves(document: Document, problems: Sequence[Problem]) -> list[tuple[Problem, Edit]]:
    """The edits of one round, at most one for each mapping and place, the last one first."""
    found: dict[KeyPath, tuple[Problem, Edit]] = {}
    places: set[int] = set()
    for problem in problems:
        for move in pending(document, problem) if problem.fixable else ():
            if move.to[:-1] in found:
                continue
            edit = replace(_edit(document, problem.path, move), moves=(move,))
            if edit.start not in places:
                places.add(edit.start)
                found[move.to[:-1]] = (problem, edit)
    return sorted(found.values(), key=lambda one: one[1].start, reverse=True)


def has_shared_parts(document: Document) -> bool:
    """Whether the text has aliases, so that an edit in one place would change another one."""
    todo, seen = [document.root] if document.root else [], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            return True
        seen.add(id(node))
        if node.id == "sequence":
            todo += node.value
        elif node.id == "mapping":
            todo += [part for entry in node.value for part in entry]
    return False


def _edit(document: Document, path: KeyPath, move: Move) -> Edit:
    if (place := document.place_of(move.to)) is not None:
        space = "" if end_of(place.value) > start_of(place.value) else " "
        return replacement_of(place, f"{space}{move.text}")
    if document.root is None:  # nothing is left but comments
        end = len(document.text)
        newline = "\n" if end and not document.text.endswith("\n") else ""
        names = [str(step) for step in move.to]
        return Edit(end, end, newline + _block(document, path, move, names, 0))
    node, taken = document.root, 0
    null: NodePosition | None = None
    for taken, step in enumerate(move.to[:-1]):  # noqa: B007
        inner = document.place_of(move.to[: taken + 1])
        if inner is None or inner.value.id == "scalar":
            null = inner
            break
        node = inner.value
    else:
        taken = len(move.to) - 1
    names = [str(step) for step in move.to[taken:]]
    if node.flow_style:
        return _in_flow(document, path, move, names, node, null)
    return _in_block(document, path, move, names, node, null)


def _in_flow(
    document: Document,
    path: KeyPath,
    move: Move,
    names: list[str],
    node: Any,
    null: NodePosition | None,
) -> Edit:
    """`{a: 1}` -> `{a: 1, b: 2}`."""
    is_json = document.text.startswith("{")
    value = move.text or _value(document, path, move)
    if is_json and move.text and move.text.isprintable() and move.text[0] not in '"[{':
        value = json.encode(move.text).decode()
    for name in reversed(names[1:]):
        value = f"{{{_key(name, quoted=is_json)}: {value}}}"
    if null is not None:
        return Edit(start_of(null.value), end_of(null.value), value)
    entry = f"{_key(names[0], quoted=is_json)}: {value}"
    if node.value:
        end = end_of(node.value[-1][1])
        return Edit(end, end, f", {entry}")
    start = start_of(node) + 1
    return Edit(start, start, entry)


def _in_block(
    document: Document,
    path: KeyPath,
    move: Move,
    names: list[str],
    node: Any,
    null: NodePosition | None,
) -> Edit:
    """A line of its own after the last entry of a mapping, or below a key without a value."""
    text = document.text
    column = int(node.value[0][0].start_mark.column)
    if null is not None:
        names, column = names[1:], int(null.key.start_mark.column) + STEP
    block = _block(document, path, move, names, column)
    if null is not None:
        start, end = start_of(null.value), end_of(null.value)
        line = _line_end(text, end)
        rest = text[end:line].rstrip()
        return Edit(start, line, f"{rest}\n{block}".removesuffix("\n"))
    end = _line_end(text, end_of(node.value[-1][1]))
    newline = "" if text[end : end + 1] == "\n" else "\n"
    start = end if newline else end + 1
    return Edit(start, start, f"{newline}{block}")


def _block(document: Document, path: KeyPath, move: Move, names: list[str], column: int) -> str:
    lines = []
    for name in names[:-1]:
        lines.append(f"{' ' * column}{_key(name)}:\n")
        column += STEP
    source = document.place_of((*path, *move.part))
    if move.text or source is None or source.parent.flow_style or _is_shifted(document, source):
        value = move.text or _value(document, path, move)
        return "".join([*lines, f"{' ' * column}{_key(names[-1])}: {value}\n"])
    first, *rest = _source_lines(document.text, source)
    shift = column - int(source.key.start_mark.column)
    lines.append(f"{' ' * column}{_key(names[-1])}{first}\n")
    for line in rest:
        indent = len(line) - len(line.lstrip())
        lines.append(f"{' ' * max(indent + shift, 0)}{line.lstrip()}\n")
    return "".join(lines)


def _is_shifted(document: Document, source: NodePosition) -> bool:
    """Whether lines of the value have texts that other spaces at their start might change."""
    first, *rest = _source_lines(document.text, source)
    return bool(rest) and any(mark in line for line in (first, *rest) for mark in "|>\"'\t")


def _source_lines(text: str, source: NodePosition) -> list[str]:
    """The lines of a key's value, with their comments; the first begins after the key."""
    return text[end_of(source.key) : _line_end(text, end_of(source.value))].split("\n")


def _line_end(text: str, position: int) -> int:
    newline = text.find("\n", position)
    return len(text) if newline < 0 else newline


def _value(document: Document, path: KeyPath, move: Move) -> str:
    """The value as one line: as it is written, if it is a short text, or else as JSON."""
    place = document.place_of((*path, *move.part))
    if place is not None and place.value.id == "scalar" and not document.text.startswith("{"):
        written = document.text[start_of(place.value) : end_of(place.value)]
        if written and "\n" not in written and not written.startswith(("&", "*", "!")):
            return written
    value: Any = document.value
    for step in (*path, *move.part):
        value = value.get(step) if isinstance(value, Mapping) else value[step]
    return json.encode(value).decode()


def _key(name: str, *, quoted: bool = False) -> str:
    return json.encode(name).decode() if quoted or not name.isidentifier() else name
