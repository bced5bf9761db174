"""What is installed and built: exact versions, no scripts of packages, and all licenses."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from msgspec import json

ROOT = Path(__file__).parents[2]


def test_no_script_of_an_npm_package_runs() -> None:
    installs = re.findall(r"\bnpm (?:ci|i|install)\b.*", (ROOT / "Makefile").read_text())
    assert installs
    assert [line for line in installs if "--ignore-scripts" not in line.split()] == []
    packages = json.decode((ROOT / "package-lock.json").read_bytes())["packages"]
    assert [name for name, package in packages.items() if package.get("hasInstallScript")] == []


def test_the_wheel_is_built_with_the_locked_version_of_hatchling() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (wanted,) = project["build-system"]["requires"]
    locked = (ROOT / "requirements" / "dev.txt").read_text()
    assert wanted in re.findall(r"^hatchling==[\d.]+", locked, re.MULTILINE)


def test_every_line_of_a_lock_file_has_an_exact_version_and_hashes() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        exact = re.compile(r"[\w.\[\],-]+==[\w.+!-]+ .*--hash=sha256:[0-9a-f]{64}.*")
        assert [line[:80] for line in lines if not exact.fullmatch(line)] == [], lock.name


def test_the_wheel_has_the_licenses_of_what_is_in_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 -- our own
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        licenses = [name for name in names if ".dist-info/licenses/" in name]
        texts = [archive.read(name).decode() for name in licenses]
    assert "fanout/telemetry/price_lists/LICENSE" in names
    assert [("Apache License" in text, "genai-prices" in text) for text in texts] == [
        (True, False),
        (False, True),
    ]
