"""What several vendors' codecs share is written once."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import fanout

PROVIDERS = Path(fanout.__file__).parent / "providers"
SMALL_TABLE, SMALL_BODY = 12, 4
"""Syntax nodes of a constant, and lines of a function's body, that may be alike by chance."""


def parts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The name and the content of each constant and function of a module, without docstrings."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            if len(list(ast.walk(node.value))) >= SMALL_TABLE:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                yield ast.unparse(target), ast.unparse(node.value)
        elif isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            text = ast.unparse(ast.Module(body, []))
            if len(text.splitlines()) >= SMALL_BODY:
                yield node.name, text


def test_no_table_and_no_function_is_in_two_modules() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in PROVIDERS.rglob("*.py"):
        for name, content in parts(ast.parse(path.read_text())):
            found[content].add(f"{path.relative_to(PROVIDERS)}: {name}")
    assert [sorted(places) for places in found.values() if len(places) > 1] == []
