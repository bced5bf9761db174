"""
`make docs`: write the pages that are made from the code. `--check` only says whether they are
current, by its exit code.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from dependency_page import dependency_page
from openapi import description
from provider_page import provider_page

from fanout.cli.main import make_parser

DOCS = Path(__file__).parent.parent / "docs"
WIDTH = "96"

CLI_HEAD = """# The command line

Made from `fanout --help` by `make docs`. Exit codes: 0 done, 1 something failed, 2 misuse,
130 interrupted. `--json` prints what a machine may read; with it an error, too, is JSON.
"""


def main() -> int:
    """Write the pages, or check them."""
    check = sys.argv[1:] == ["--check"]
    stale = [path for path, text in pages() if not path.is_file() or path.read_text() != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is not current: make docs")
        return int(bool(stale))
    for path, text in pages():
        path.write_text(text)
    return 0


def pages() -> Iterator[tuple[Path, str]]:
    """Every page's path and text."""
    yield DOCS / "cli.md", cli_page()
    yield DOCS / "providers.md", provider_page()
    yield DOCS / "dependencies.md", dependency_page()
    yield DOCS.parent / "shared" / "fanout" / "http" / "openapi.json", description()


def cli_page() -> str:
    """Each command's help."""
    os.environ["COLUMNS"] = WIDTH  # argparse asks for the terminal's width
    parser = make_parser()
    parts = [f"## {one.prog}\n\n```\n{one.format_help()}```\n" for one in commands_of(parser)]
    return "\n".join([CLI_HEAD, f"```\n{parser.format_help()}```\n", *parts])


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Each command below this one, in order, before those below it."""
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield command
                yield from commands_of(command)


if __name__ == "__main__":
    sys.exit(main())
