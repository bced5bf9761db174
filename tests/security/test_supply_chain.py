"""What is installed: exact versions, and no scripts of packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from msgspec import json

ROOT = Path(__file__).parents[2]


def test_no_script_of_an_npm_package_runs() -> None:
    installs = re.findall(r"\bnpm (?:ci|i|install)\b.*", (ROOT / "Makefile").read_text())
    clients = (ROOT / "scripts" / "clients" / "toolchains.py").read_text()
    installs += re.findall(r'npm = .*"ci".*', clients)
    assert len(installs) > 1
    assert [line for line in installs if "--ignore-scripts" not in line] == []
    packages = json.decode((ROOT / "package-lock.json").read_bytes())["packages"]
    assert [name for name, package in packages.items() if package.get("hasInstallScript")] == []


def test_the_wheel_is_built_with_the_locked_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    exact = re.compile(r"^([\w.-]+==[\w.]+)", re.MULTILINE)
    locked = set(exact.findall((ROOT / "requirements" / "build.txt").read_text()))
    assert set(project["build-system"]["requires"]) == locked
    assert locked <= set(exact.findall((ROOT / "requirements" / "dev.txt").read_text()))


def test_make_run_installs_the_versions_that_the_tests_run_with_and_no_tools() -> None:
    exact = re.compile(r"^([\w.-]+)==([\w.]+)", re.MULTILINE)
    run, dev = (
        dict(exact.findall((ROOT / "requirements" / f"{name}.txt").read_text()))
        for name in ("run", "dev")
    )
    assert run.items() <= dev.items()
    assert {"openai", "xllamacpp"} <= run.keys()
    assert {"boto3", "hypothesis", "mypy", "pytest", "ruff"}.isdisjoint(run)


def test_every_line_of_a_lock_file_has_an_exact_version_and_hashes() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        text = lock.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        exact = re.compile(r"[\w.\[\],-]+==[\w.+!-]+ .*--hash=sha256:[0-9a-f]{64}.*")
        assert [line[:80] for line in lines if not exact.fullmatch(line)] == [], lock.name
