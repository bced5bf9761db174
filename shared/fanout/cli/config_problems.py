"""Prints what is wrong in a config, and writes a config without it: `fanout check --fix`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..config.fields import dotted
from ..config.fix import Fixed, fix
from ..config.load import read_file
from ..disk.files import replace_file
from ..errors import ConfigError, ConfigProblems, Problem, StorageError, StorageFull
from ..settings import Settings
from .printing import show

SHOWN = 3
"""How many of the places to which a value was moved are listed."""


def print_problems(error: ConfigProblems) -> None:
    """One problem a line, and what to do about them."""
    for line in error.lines:
        show(line, file=sys.stderr)
    count = len(error.problems)
    rest = "`fanout check --fix FILE` writes a config without them"
    if not any(one.fixable for one in error.problems):
        rest = "set what is missing in the environment, or write the value into the config"
    show(f"fanout: {count} problem{'' if count == 1 else 's'}; {rest}", file=sys.stderr)


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem for programs."""
    found: dict[str, Any] = {
        "line": problem.line,
        "path": list(problem.path),
        "message": problem.message,
    }
    if problem.moves:
        found["moved_to"] = [list(move.to) for move in problem.moves]
    return found | ({"left_out": problem.loss} if problem.loss else {})


def write_fixed(settings: Settings, output: str | None) -> tuple[Path, Fixed]:
    """Write the settings' config without its problems; `output` is where, if it is given."""
    config = settings.config
    if config is None:
        raise ConfigError("name a config: `fanout check --fix FILE`")
    path = Path(output) if output else config.with_name(f"{config.stem}.fanout{config.suffix}")
    if output is None and path.exists():
        raise ConfigError(f"`{path}` is there already: write `-o FILE` to overwrite a file")
    fixed = fix(read_file(config, stored=True), settings.env, config.name)
    write_config(path, fixed.text, mode=config.stat().st_mode & 0o666)
    return path, fixed


def write_config(path: Path, text: str, *, mode: int = 0o666) -> None:
    """
    Write the file as a whole; raises `ConfigError` if the path cannot be written.

    `mode` is that of a new file, before the umask: a copy of a private config is private.
    """
    try:
        replace_file(path, text.encode(), mode=mode)
    except StorageFull:
        raise
    except StorageError as error:
        raise ConfigError(f"`{path}` cannot be written: {error.reason}") from None


def fixed_json(path: Path, fixed: Fixed) -> dict[str, Any]:
    """What was written, for programs."""
    return {
        "written": str(path),
        "ok": not fixed.remaining,
        "changed": [problem_json(problem) for problem in fixed.changed],
        "problems": [problem_json(problem) for problem in fixed.remaining],
    }


def fixed_text(name: str, path: Path, fixed: Fixed) -> str:
    """What was left out or changed, what is still wrong, and what was written."""
    lines = [f"{name}:{one.line}: {_change(one)}" for one in fixed.changed]
    lines += [f"{name}:{one.line}: {_rest(one)}: {one.message}" for one in fixed.remaining]
    count = len(fixed.changed)
    lines.append(f"wrote {path}: {count} change{'' if count == 1 else 's'}")
    return "\n".join(lines)


def _rest(problem: Problem) -> str:
    """What cannot be fixed in the file is kept: another machine's environment may have it."""
    return "still wrong" if problem.fixable else "kept, but incomplete on this machine"


def _change(problem: Problem) -> str:
    message = problem.message.removesuffix(": remove it")
    if problem.moves:
        return f"{_moves(problem)}: {message}"
    if problem.replace:
        return f"wrote `{problem.replace}`: {message}"
    if problem.form:
        return f"wrote it as a {problem.form}: {message}"
    if problem.rename:
        return f"wrote `{problem.rename}`: {message}"
    if problem.loss:
        return f"LEFT OUT {problem.loss}: {message}"
    return f"left out: {message}"


def _moves(problem: Problem) -> str:
    """`moved to `general_settings.master_key``; of many places, the first ones."""
    wrote = "wrote" if problem.keeps else "moved to"
    places = [f"`{dotted(move.to)}`" for move in sorted(problem.moves, key=lambda move: move.to)]
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return f"{wrote} {', '.join(places[:SHOWN])}{more}"
