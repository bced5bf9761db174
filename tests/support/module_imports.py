"""Reads what modules import from their source, without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

DYNAMIC = {"import_module", "__import__"}


def imports(tree: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """
    The dotted names that a file imports, wherever in it; relative ones made absolute.

    The constant names that it gives to `importlib.import_module` are among them.
    """
    for node in ast.walk(tree):
        yield from imported_by(node, package)


def runtime_imports(node: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """The same, without the imports that only type checkers see."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    yield from imported_by(node, package)
    for child in ast.iter_child_nodes(node):
        yield from runtime_imports(child, package)


def imported_by(node: ast.AST, package: Sequence[str]) -> Iterator[str]:
    """What one statement or call imports; `package` has the parts of its module's package."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = [*base, *([node.module] if node.module else [])]
        yield from (".".join([*module, alias.name]) for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in DYNAMIC:
        name = node.args[0] if node.args else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            dots = len(name.value) - len(name.value.lstrip("."))
            base = package[: len(package) - dots + 1] if dots else ()
            yield ".".join([*base, name.value[dots:]])
