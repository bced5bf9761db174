"""A user's script (`user_script.py`) under the type checkers that users' editors run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(__file__).with_name("user_script.py")
NODE = ROOT / ".venv-infra" / "bin" / "node"
PYRIGHT = ROOT / "node_modules" / "pyright" / "index.js"


def check(command: list[str | Path]) -> str:
    """What a type checker reports of the script."""
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.timeout(600)  # without its cache, mypy reads every dependency
def test_mypy_sees_exact_types_and_finds_the_mistakes() -> None:
    assert "Success: no issues found" in check([sys.executable, "-m", "mypy", SCRIPT])


@pytest.mark.skipif(not PYRIGHT.exists(), reason="make install-infra installs pyright")
@pytest.mark.timeout(600)
def test_pyright_sees_exact_types_and_finds_the_mistakes(tmp_path: Path) -> None:
    config = {
        "include": [str(SCRIPT)],
        "extraPaths": [str(ROOT / "shared")],
        "typeCheckingMode": "standard",
        "enableTypeIgnoreComments": False,  # those are mypy's
        "reportUnnecessaryTypeIgnoreComment": True,
        "pythonVersion": "3.11",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command: list[str | Path] = [NODE, PYRIGHT, "--pythonpath", sys.executable, "-p", tmp_path]
    assert "0 errors, 0 warnings" in check(command)
