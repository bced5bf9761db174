"""
Byte code for what a function imports, so that no cold start compiles it again.

Lambda's /var/task is read-only: without it each new environment compiles every module, half of the
CPU of a start. Byte code is one Python version's own, so it is made by that version: CPython as
WebAssembly (Pyodide, out of package.json), which is the same on every machine and needs no other
Python there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("bytecode.mjs")
COMPILERS = {"3.13": "pyodide-313", "3.14": "pyodide"}


def find_node() -> str:
    """The Node.js of this environment, or the one on the path."""
    own = Path(sys.executable).parent / "node"
    found = str(own) if own.exists() else shutil.which("node")
    if found is None:
        raise RuntimeError("bundling needs Node.js: run `make install-infra`, or install it")
    return found


def compile_folder(folder: Path, python: str) -> None:
    """Put byte code of that Python version beside every module below `folder`."""
    compiler = COMPILERS[python]
    if not (ROOT / "node_modules" / compiler).is_dir():
        raise RuntimeError(f"bundling needs `{compiler}`: run `make install-infra`")
    subprocess.run(  # noqa: S603
        [find_node(), str(SCRIPT), compiler, str(folder)],
        env={"PATH": os.environ.get("PATH", "")},
        check=True,
    )
