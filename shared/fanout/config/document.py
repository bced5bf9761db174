"""Parses YAML or JSON, and remembers the place of each key. The only importer of `yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from ..errors import ConfigError, KeyPath, Problem

MAX_VALUES = 200_000
"""Values that a config may have, with what its aliases stand for."""


MAX_DEPTH = 100
TOO_DEEP = "its lists and mappings are nested too deeply"

BYTE_ORDER_MARK = "\ufeff"
"""With which some editors of Windows begin a file in UTF-8."""


class NodePosition(Struct, frozen=True):
    """Where an entry of a mapping or list is: YAML's nodes. `key` is `None` in a list."""

    key: Any
    value: Any
    parent: Any
    index: int


class Document(Struct, frozen=True):
    """
    A parsed text: its value, YAML's node of it, and the keys that are given twice.

    The text has no byte order mark, which YAML's positions do not count.
    """

    name: str
    text: str
    value: Any
    root: Any = None
    duplicates: tuple[tuple[KeyPath, NodePosition], ...] = ()

    def place_of(self, path: KeyPath) -> NodePosition | None:
        """Where the value of a path is; of a part that an alias repeats, its anchor."""
        node, place = self.root, None
        for step in path:
            place = _entry(node, step)
            if place is None:
                return None
            node = place.value
        return place

    def line_of(self, path: KeyPath) -> int | None:
        """The line of a path, or that of the closest path around it; from 1."""
        for end in range(len(path), 0, -1):
            if (place := self.place_of(path[:end])) is not None:
                return self._line(place)
        return None if self.root is None else 1

    def problems(self) -> Iterator[Problem]:
        """One for each key that is given twice: YAML would silently drop its first value."""
        for path, place in self.duplicates:
            line = self._line(place)
            yield Problem(path, f"the key `{place.key.value}` is given twice", line)

    def _line(self, place: NodePosition) -> int:
        node = place.value if place.key is None else place.key
        return _line_at(self.text, node.start_mark)


def parse(text: str, name: str = "config") -> Document:
    """Parse a text in YAML or JSON; raises `ConfigError` if it is neither."""
    import yaml

    text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        return _parse(text, name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {_line_at(text, mark)}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise ConfigError(f"`{name}`{place}: {problem}") from None
    except RecursionError:
        raise ConfigError(f"`{name}`: {TOO_DEEP}") from None


def without_aliases(value: Any) -> str:
    """YAML for a value, in which nothing refers to another place; comments are lost."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _parse(text: str, name: str) -> Document:
    """Dates stay text, because Azure's `api_version` looks like one."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_str)
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(name, text, {})
        _check_aliases(text, node, name)
        duplicates = tuple(_duplicates(node))  # before `<<` is merged, which may repeat keys
        value = loader.construct_document(node)
        return Document(name, text, {} if value is None else value, node, duplicates)
    finally:
        loader.dispose()


def _line_at(text: str, mark: Any) -> int:
    """The line of a mark, from 1; YAML also counts line separators (U+2028), editors do not."""
    return text.count("\n", 0, mark.index) + 1


def _check_aliases(text: str, root: Any, name: str) -> None:
    """Raise `ConfigError` for an alias within itself, and for too many or too deep values."""
    sizes: dict[int, int] = {}  # of each node with all that it stands for
    around: set[int] = set()
    todo: list[tuple[Any, bool]] = [(root, False)]
    while todo:
        node, is_counted = todo.pop()
        if is_counted:
            around.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(part)] for part in _parts(node))
            if sizes[id(node)] > MAX_VALUES:
                many = f"{MAX_VALUES:,} values, with what aliases stand for"
                line = _line_at(text, node.start_mark)
                raise ConfigError(f"`{name}` at line {line}: it has more than {many}")
        elif id(node) in around:
            line = _line_at(text, node.start_mark)
            raise ConfigError(f"`{name}` at line {line}: it has an alias that stands for itself")
        elif id(node) not in sizes:
            around.add(id(node))
            if len(around) > MAX_DEPTH:
                line = _line_at(text, node.start_mark)
                raise ConfigError(f"`{name}` at line {line}: {TOO_DEEP}")
            todo += [(node, True), *((part, False) for part in _parts(node))]


def _parts(node: Any) -> list[Any]:
    """The nodes in a list or a mapping."""
    if node.id == "scalar":
        return []
    if node.id == "sequence":
        return list(node.value)
    return [part for pair in node.value for part in pair]


def _entry(node: Any, step: str | int) -> NodePosition | None:
    """One entry of a mapping, the last of that name, or of a list."""
    if node is None or node.id == "scalar":
        return None
    if node.id == "sequence":
        is_there = isinstance(step, int) and step < len(node.value)
        return NodePosition(None, node.value[step], node, int(step)) if is_there else None
    found = [i for i, (key, _) in enumerate(node.value) if key.value == str(step)]
    if not found:
        return None
    key, value = node.value[found[-1]]
    return NodePosition(key, value, node, found[-1])


def _duplicates(root: Any) -> Iterator[tuple[KeyPath, NodePosition]]:
    """The later places of each key that a mapping has twice."""
    todo: list[tuple[KeyPath, Any]] = [((), root)]
    done: set[int] = set()
    while todo:
        path, node = todo.pop()
        if id(node) in done or node.id == "scalar":
            continue
        done.add(id(node))
        if node.id == "sequence":
            todo += [((*path, index), value) for index, value in enumerate(node.value)]
            continue
        seen = set()
        for index, (key, value) in enumerate(node.value):
            inner = (*path, str(key.value))
            if (key.tag, str(key.value)) in seen:
                yield inner, NodePosition(key, value, node, index)
            seen.add((key.tag, str(key.value)))
            todo.append((inner, value))
