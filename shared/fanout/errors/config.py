"""Errors of the config and the environment, and what `fanout check --fix` does about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from .base import FanoutError


class ConfigError(FanoutError):
    """The config or the environment is wrong; the message names the key and the fix."""

    type = "server_error"
    code = "invalid_config"


KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value: `("model_list", 0, "model_name")`."""


class Move(Struct, frozen=True):
    """
    Where `fanout check --fix` writes a value: that of the problem's key, or a part of it.

    `part` leads from the key to the part; `text` is another value to write, without quotes.
    """

    to: KeyPath
    part: KeyPath = ()
    text: str = ""


class Problem(Struct, frozen=True):
    """
    One thing that is wrong in a config: where, in a sentence, and what `fanout check --fix` does.

    `path` leads to it, `line` is its line, from 1. By default the fix
    removes `path`; `remove` is another path to remove, `rename` the key to write instead, and
    `replace` the value to write instead, and `form` what to write the value as. Before that it
    writes the `moves`; if the problem is then solved, `keeps` is true. `loss` is what is left out
    because its limits cannot be kept. A problem that is not `fixable` is in the environment.
    """

    path: KeyPath
    message: str
    line: int | None = None
    remove: KeyPath | None = None
    rename: str = ""
    replace: str = ""
    form: Literal["", "text", "list"] = ""
    moves: tuple[Move, ...] = ()
    keeps: bool = False
    loss: str = ""
    fixable: bool = True


class ConfigProblems(ConfigError):
    """Everything that is wrong in the config `name`, one problem a line."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """`config.yaml:3: …`; without a known line or name, only what is known."""
        head = f"`{self.name}`: " if self.name else ""
        return [
            f"{head}{one.message}" if one.line is None else f"{self.name}:{one.line}: {one.message}"
            for one in self.problems
        ]


class MissingKey(ConfigError):
    """A provider's key is set neither in the config nor in the environment."""

    status = 500
    code = "missing_provider_key"
