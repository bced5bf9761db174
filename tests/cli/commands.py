"""Runs `fanout` commands: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct, json, yaml

from fanout.cli.main import main
from tests.support.processes import same_signals, started


class CommandResult(Struct):
    """A command's exit code and output."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON value."""
        return json.decode(self.out)


Command: TypeAlias = Callable[..., CommandResult]
"""Runs a command with these arguments in this process."""


def code_of(*words: object) -> int:
    """Run a command in this process, and return its exit code."""
    with same_signals():
        try:
            return main([str(word) for word in words])
        except SystemExit as stop:  # how argparse exits
            return int(stop.code or 0)


@contextmanager
def spawned(*words: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run the command in its own process, which is killed after the block."""
    command = [sys.executable, "-m", "fanout", *(str(word) for word in words)]
    with started(command, **options) as process:
        yield process


def write_config(folder: Path, value: object) -> Path:
    """The value as a YAML file."""
    path = folder / "fanout.yaml"
    path.write_bytes(yaml.encode(value))
    return path
