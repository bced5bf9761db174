"""Generates the scripts with which shells complete `fanout`, from its parser; shtab writes them."""

from __future__ import annotations

import argparse

import shtab

from fanout.cli.main import make_parser


def completion_script(shell: str) -> str:
    """The script for one shell."""
    parser = make_parser()
    _mark_files(parser)
    return shtab.complete(parser, shell=shell).rstrip("\n") + "\n"


def _mark_files(parser: argparse.ArgumentParser) -> None:
    """Say of each argument that takes a file's path that it does."""
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in dict.fromkeys(action.choices.values()):
                _mark_files(command)
        elif action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
