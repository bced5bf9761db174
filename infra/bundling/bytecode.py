"""
Compiles the zip's modules to byte code, so that no cold start has to.

Lambda's /var/task is read-only, so without byte code every new environment compiles every module,
which takes half of the CPU time of a start. Each Python version has its own byte code, so that
version must compile it: CPython as WebAssembly (Pyodide, from package.json). It gives the same
result on every machine, and the machine needs no Python of that version.
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
    """Return the Node.js of this environment, or else the one on the path."""
    own = Path(sys.executable).parent / "node"
    found = str(own) if own.exists() else shutil.which("node")
    if found is None:
        raise RuntimeError("bundling needs Node.js: run `make install-infra`")
    return found


def compile_folder(folder: Path, python: str) -> None:
    """Write byte code of the Python version next to every module below `folder`."""
    compiler = COMPILERS[python]
    if not (ROOT / "node_modules" / compiler).is_dir():
        raise RuntimeError(f"bundling needs `{compiler}`: run `make install-infra`")
    subprocess.run(  # noqa: S603
        [find_node(), str(SCRIPT), compiler, str(folder)],
        env={"PATH": os.environ.get("PATH", "")},
        check=True,
    )
