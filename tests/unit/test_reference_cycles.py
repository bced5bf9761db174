"""Nothing is built so that it refers to itself, or is hidden from the collector although it may."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

from msgspec import Struct

import fanout
from tests.support.module_imports import parsed

PACKAGE = Path(fanout.__file__).parent
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def test_only_structs_of_plain_values_are_hidden_from_the_garbage_collector() -> None:
    """With `gc=False`, what is in a cycle through the struct would never be freed."""
    hidden = set(_hidden_structs())
    assert len(hidden) > 10
    others = {
        f"{struct.__name__}.{name}": leaf
        for struct in hidden
        for name, hint in get_type_hints(struct).items()
        for leaf in _leaves(hint)
        if leaf not in hidden and not _is_plain(leaf)
    }
    assert others == {}


def _hidden_structs() -> Iterator[type[Struct]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "gc=False" in path.read_text():
            name = ".".join(("fanout", *path.relative_to(PACKAGE).with_suffix("").parts))
            for found in vars(import_module(name)).values():
                if isinstance(found, type) and issubclass(found, Struct) and _is_hidden(found):
                    yield found


def _is_hidden(struct: type[Struct]) -> bool:
    return bool(struct.__struct_fields__) and not struct.__struct_config__.gc


def _leaves(hint: Any) -> Iterator[Any]:
    """The types in a type; `Any` is JSON."""
    if inner := get_args(hint):
        for one in inner:
            yield from _leaves(one)
    elif isinstance(hint, type):
        yield hint


def _is_plain(leaf: type) -> bool:
    return leaf is Any or leaf.__module__ in {"builtins", "msgspec"}


def test_no_function_inside_another_refers_to_itself() -> None:
    """It would hold all of its cells, after each call, until the garbage collector runs."""
    found = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in _recursive(parsed(path))
    ]
    assert found == []


def _recursive(tree: ast.Module) -> Iterator[str]:
    """The functions inside functions that call themselves, maybe through others beside them."""
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            inner = {one.name: one for one in _inside(function)}
            uses = {name: _names(one) & inner.keys() for name, one in inner.items()}
            yield from (name for name in inner if name in _reached(name, uses))


def _inside(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            yield child
        elif not isinstance(child, ast.ClassDef | ast.Lambda):
            yield from _inside(child)


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _reached(start: str, uses: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = [*uses[start]]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += uses[name]
    return found
