"""Reads what modules import from their source, without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

DYNAMIC = {"import_module", "__import__"}


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file, which several tests read."""
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of this tree."""
    return tuple(ast.walk(parsed(path)))


def last_name(node: ast.AST) -> str:
    """`c` of `c`, `b.c` and `a.b.c`; nothing of other expressions."""
    return node.attr if isinstance(node, ast.Attribute) else str(getattr(node, "id", ""))


def imports(tree: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """
    The dotted names that a file imports, wherever in it; relative ones made absolute.

    The constant names that it gives to `importlib.import_module` are among them.
    """
    for node in ast.walk(tree):
        yield from imported_by(node, package)


def runtime_imports(node: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """The same, without the imports that only type checkers see."""
    left = [node]
    while left:
        found = left.pop()
        if not isinstance(found, ast.If) or last_name(found.test) != "TYPE_CHECKING":
            yield from imported_by(found, package)
            left += ast.iter_child_nodes(found)


def imported_by(node: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """What one statement or call imports; `package` has the parts of its module's package."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = [*base, *([node.module] if node.module else [])]
        yield from (".".join([*module, alias.name]) for alias in node.names)
    elif isinstance(node, ast.Call) and last_name(node.func) in DYNAMIC:
        name = node.args[0] if node.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            dots = len(name.value) - len(name.value.lstrip("."))
            base = package[: len(package) - dots + 1] if dots else ()
            yield ".".join([*base, name.value[dots:]])
