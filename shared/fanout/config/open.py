"""Opens a config file: parses, checks and resolves it, and reports all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import Problem
from .document import Document, parse
from .load import check_text, located, raise_problems, read_file
from .resolve import Catalog, resolve_all


def open_config(path: Path, env: Mapping[str, str]) -> Catalog:
    """The catalog of the file at `path`; raises `ConfigProblems` with a line for each problem."""
    catalog, document, problems = inspect_config(read_file(path), env, path.name)
    raise_problems(document, tuple(problems))
    return catalog


def inspect_config(
    text: str, env: Mapping[str, str], name: str
) -> tuple[Catalog, Document, list[Problem]]:
    """The catalog of what is right in a text, the parsed text, and what is wrong."""
    document, checked = check_text(text, env, name)
    catalog, problems = resolve_all(checked, env)
    if problems and document.root is None:
        document = parse(text, name)  # JSON, whose parser keeps no lines
    return catalog, document, located(document, tuple(problems))
