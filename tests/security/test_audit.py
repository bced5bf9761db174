"""`make audit` says what it looked up, and what not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUB = """#!{python}
import json, re, sys
lock = open(sys.argv[-1]).read()
found = re.findall(r"^([\\w.-]+)(?:\\[.*?\\])?==([^\\s;\\\\]+)", lock, re.M)
other = lambda name: name.upper().replace("-", "_")
packages = [{{"name": other(name), "version": version, "vulns": []}} for name, version in found]
kind = "{kind}"
if kind == "offline" or (kind == "partly" and sys.argv[-1].endswith("dev.txt")):
    sys.exit("ERROR: could not connect to api.osv.dev")
if kind == "skips":
    packages[0] = {{"name": found[0][0], "skip_reason": "not on PyPI"}}
if kind == "markers":
    packages = packages[1:]
if kind == "vulnerable":
    packages[0]["vulns"] = [{{"id": "PYSEC-1"}}]
print(json.dumps({{"dependencies": packages}}))
"""


def audit(tmp_path: Path, kind: str) -> tuple[int, str]:
    """The exit code and output with a pip-audit that behaves like this."""
    stub = tmp_path / "pip-audit"
    stub.write_text(STUB.format(python=sys.executable, kind=kind))
    stub.chmod(0o755)
    command = [sys.executable, str(ROOT / "scripts" / "audit.py"), str(stub)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert done.stderr == ""
    return done.returncode, done.stdout


def looked_up(out: str) -> tuple[int, int]:
    (found,) = re.findall(r"^(\d+) of (\d+) locked versions looked up", out, re.MULTILINE)
    return int(found[0]), int(found[1])


def test_all_looked_up_is_0(tmp_path: Path) -> None:
    code, out = audit(tmp_path, "fine")
    done, total = looked_up(out)
    assert (code, done) == (0, total)
    assert total > 200
    assert "NOT LOOKED UP" not in out
    assert re.search(r"never looked up: the \d+ npm packages", out)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("partly", r"dev.txt: pip-audit failed: ERROR: could not connect"),
        ("skips", r"skipped: not on PyPI"),
        ("markers", r"NOT LOOKED UP: 1 packages: \S+ \d"),
    ],
)
def test_what_was_not_looked_up_is_named_and_is_2(tmp_path: Path, kind: str, said: str) -> None:
    code, out = audit(tmp_path, kind)
    done, total = looked_up(out)
    assert code == 2
    assert 0 < done < total
    assert re.search(said, out)
    assert "NO PACKAGE" not in out


def test_without_a_network_no_package_is_called_safe(tmp_path: Path) -> None:
    code, out = audit(tmp_path, "offline")
    assert (code, looked_up(out)[0]) == (2, 0)
    assert "NO PACKAGE has been looked up" in out


def test_a_missing_tool_is_said(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "audit.py"), str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own
    assert done.returncode == 2
    assert "pip-audit cannot be started: No such file" in done.stdout


def test_a_vulnerability_is_1(tmp_path: Path) -> None:
    code, out = audit(tmp_path, "vulnerable")
    assert code == 1
    assert re.search(r"^dev.txt: \w+ \S+: PYSEC-1$", out, re.MULTILINE)
