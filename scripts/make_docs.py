"""
`make docs`: writes the pages that are generated from the code. With `--check`, it only checks that
they are current, and exits with 1 if one is not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from completions import completion_script
from dependency_page import dependency_page
from litellm_page import litellm_page
from openapi import description
from provider_page import provider_page
from python_page import python_page

from fanout.cli.completion import SHELLS
from fanout.cli.main import make_parser

DOCS = Path(__file__).parent.parent / "docs"
PACKAGE = DOCS.parent / "shared" / "fanout"
WIDTH = "96"

CLI_HEAD = """# The command line

This page lists the commands of `fanout` and their options. For example, `fanout ask` sends one
prompt to one model. `make docs` generates the page from `fanout --help`.

Exit codes: 0 success, 1 something failed, 2 wrong usage, 130 interrupted. `--json` prints JSON for
programs; errors are then JSON, too.
"""


def main() -> int:
    """Write the pages, or check them."""
    check = sys.argv[1:] == ["--check"]
    stale = [path for path, text in pages() if not path.is_file() or path.read_text() != text]
    if check:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is not current: run `make docs`")
        return int(bool(stale))
    for path, text in pages():
        path.write_text(text)
    return 0


def pages() -> Iterator[tuple[Path, str]]:
    """The path and the text of every generated page."""
    yield DOCS / "cli.md", cli_page()
    yield DOCS / "providers.md", provider_page()
    yield DOCS / "python.md", python_page()
    yield DOCS / "litellm.md", litellm_page()
    yield DOCS / "dependencies.md", dependency_page()
    yield PACKAGE / "http" / "openapi.json", description()
    for shell, file in SHELLS.items():
        yield PACKAGE / "cli" / "completions" / file, completion_script(shell)


def cli_page() -> str:
    """The help of every command."""
    os.environ["COLUMNS"] = WIDTH  # argparse reads the terminal's width
    parser = make_parser()
    parts = [f"## {one.prog}\n\n```\n{one.format_help()}```\n" for one in commands_of(parser)]
    return "\n".join([CLI_HEAD, f"```\n{parser.format_help()}```\n", *parts])


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands of a parser, in order, each followed by its own subcommands."""
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield command
                yield from commands_of(command)


if __name__ == "__main__":
    sys.exit(main())
