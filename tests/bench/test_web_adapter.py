"""`make bench` finds the Web Adapter's binary, has cargo build it once, or says why it has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.web_adapter import LAYER, SOURCES, NoWebAdapter, find_adapter
from tests.rie.emulator import ROOT

CARGO = """#!/bin/sh
echo "$@" >>"$LOG"
case "$*" in *--git*) exit 101;; esac
[ -z "$BROKEN" ] || exit 101
for root; do :; done
mkdir -p "$root/bin"
touch "$root/bin/lambda-adapter"
echo '[v1]
"lambda_web_adapter 1.0.0-rc1 (registry)" = ["lambda-adapter"]' >"$root/.crates.toml"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment whose cargo reaches its registry, and not the repository."""
    cargo = tmp_path / "cargo"
    cargo.write_text(CARGO)
    cargo.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(tmp_path / "log")}


def test_cargo_builds_the_binary_once_from_the_first_source_that_it_reaches(
    env: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "built"
    for _ in range(2):
        found = find_adapter(env, folder)
        assert found == (folder / "bin/lambda-adapter", "1.0.0-rc1")
        assert found.name == "the Web Adapter's binary 1.0.0-rc1"
    calls = Path(env["LOG"]).read_text().splitlines()
    assert [SOURCES[number][-1] in call for number, call in enumerate(calls)] == [True, True]
    assert all("--locked" in call for call in calls)


def test_the_binary_that_a_variable_names_is_taken(env: dict[str, str], tmp_path: Path) -> None:
    env["WEB_ADAPTER"] = str(tmp_path / "mine/adapter")
    with pytest.raises(NoWebAdapter, match="WEB_ADAPTER"):
        find_adapter(env, tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/adapter").touch()
    assert find_adapter(env, tmp_path) == (tmp_path / "mine/adapter", "")
    assert not Path(env["LOG"]).exists()


def test_without_a_binary_the_reason_is_told(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(NoWebAdapter, match="short run"):
        find_adapter(env, tmp_path / "built", may_build=False)
    with pytest.raises(NoWebAdapter, match="could not build"):
        find_adapter({**env, "BROKEN": "1"}, tmp_path / "built")
    with pytest.raises(NoWebAdapter, match="cargo is not installed"):
        find_adapter({"PATH": str(tmp_path / "nowhere")}, tmp_path / "built")


def test_the_version_is_that_of_the_stacks_layer() -> None:
    text = (ROOT / "infra/api/web_adapter.py").read_text()
    assert re.findall(r"^Version (\S+) of", text, re.MULTILINE) == [LAYER]
