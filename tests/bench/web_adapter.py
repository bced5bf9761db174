"""
The binary of AWS's Lambda Web Adapter, which `make bench` measures beside the function's own loop.

It is the one that the variable WEB_ADAPTER names, or one that cargo (Rust) builds once into
.build/web-adapter: https://github.com/aws/aws-lambda-web-adapter (2026-11).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.rie.emulator import ROOT
from tests.support.clean_environment import USER_ENVIRONMENT

VARIABLE = "WEB_ADAPTER"
CRATE = "lambda_web_adapter"
LAYER = "1.1.0"
"""The version of the stack's layer (`infra/api/web_adapter.py`)."""

SOURCES = (
    ("--git", "https://github.com/aws/aws-lambda-web-adapter", "--tag", f"v{LAYER}"),
    ("--version", "1.0.0-rc1"),
)
"""What cargo installs, the first that it can: the layer's source, or the newest crate."""

FOLDER = ROOT / ".build" / "web-adapter"
BINARY = Path("bin/lambda-adapter")
RECORD = ".crates.toml"


class WebAdapter(NamedTuple):
    """A binary and its version, which is empty if cargo has not installed it."""

    path: Path
    version: str

    @property
    def name(self) -> str:
        """The name of its row."""
        return f"the Web Adapter's binary {self.version}".rstrip()


class NoWebAdapter(Exception):
    """There is no binary; the message says why, and what to do."""


def find_adapter(
    env: Mapping[str, str] = USER_ENVIRONMENT, folder: Path = FOLDER, *, may_build: bool = True
) -> WebAdapter:
    """Return the binary, after building it if there is none. Raises `NoWebAdapter`."""
    named = env.get(VARIABLE)
    path = Path(named).absolute() if named else folder / BINARY
    if not named and not path.is_file():
        _build(env, folder, may_build=may_build)
    if not path.is_file():
        raise NoWebAdapter(f"the file that {VARIABLE} names does not exist")
    return WebAdapter(path, _version(path.parents[1]))


def _build(env: Mapping[str, str], folder: Path, *, may_build: bool) -> None:
    cargo = shutil.which("cargo", path=env.get("PATH"))
    if cargo is None or not may_build:
        why = "it was not built in this short run" if cargo else "cargo is not installed"
        raise NoWebAdapter(f"{why}, and {VARIABLE} names no binary")
    print("bench: building the Lambda Web Adapter, about four minutes …", file=sys.stderr)
    for source in SOURCES:
        command = [cargo, "install", CRATE, *source, "--locked", "--root", str(folder)]
        if subprocess.run(command, env=env, check=False).returncode == 0:
            return
    raise NoWebAdapter("cargo could not build it (its output has the cause)")


def _version(folder: Path) -> str:
    """The version that cargo has installed in a folder, by its record."""
    try:
        installed: Mapping[str, object] = tomllib.loads((folder / RECORD).read_text())["v1"]
    except (OSError, ValueError, KeyError):
        return ""
    return next((name.split()[1] for name in installed if name.startswith(f"{CRATE} ")), "")
