"""Names in the code have the words of the glossary (CONTRIBUTING.md), and not those before them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.module_imports import nodes

ROOT = Path(__file__).parent.parent
CODE = [path for name in ("shared", "functions", "infra") for path in ROOT.glob(f"{name}/**/*.py")]

REPLACED = {
    "response": {"answer", "answers", "answered"},
    "fallback": {"spare", "spares"},
    "reject": {"refuse", "refuses", "refused", "refusals"},
    "rate limiter": {"book", "pacer"},
    "lease": {"purse"},
    "results": {"shelf", "shelves"},
    "totals": {"tally"},
    "background loop": {"portal"},
    "line retry": {"insist"},
    "report": {"told", "tell"},
    "escalation": {"ladder"},
}
"""What the names of another thing were, by the glossary's word."""

KEPT = {"Refused", "ProxyRefused", "REFUSED", "tell"}
"""A public exception, TCP's word for a connection that is not accepted, a method of files."""


@cache
def names(path: Path) -> frozenset[str]:
    """The module's name, and those of its classes, functions, arguments and variables."""
    return frozenset({path.stem, *_given(path)})


def _given(path: Path) -> Iterator[str]:
    for node in nodes(path):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass


@cache
def words(name: str) -> frozenset[str]:
    return frozenset(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


@pytest.mark.parametrize("word", REPLACED)
def test_one_thing_has_one_name(word: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in CODE
        for name in names(path) - KEPT
        if words(name) & REPLACED[word]
    ]
    assert found == []


def test_the_glossary_has_each_word_once_and_explains_it() -> None:
    _, _, glossary = (ROOT / "CONTRIBUTING.md").read_text().partition("## Glossary")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", glossary, re.MULTILINE)[1:]
    listed = [word for row, _ in rows for word in row.split(", ")]
    assert len(listed) == len(set(listed))
    assert [row for row, meaning in rows if len(meaning.split()) > 40] == []
