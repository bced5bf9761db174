"""One scripted provider for the session; a config of three models; a home for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Command, CommandResult, code_of, write_config
from tests.support.gateway_server import entry
from tests.support.scripted_provider import Upstream

NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home for each test, and help of one width."""
    monkeypatch.setenv("FANOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "96")


@pytest.fixture
def config(provider: Upstream, tmp_path: Path) -> Path:
    """A config of the models `a`, `b`, `c` without retries."""
    listed = [entry(provider, name) for name in NAMES]
    return write_config(tmp_path, {"model_list": listed, "router_settings": {"num_retries": 0}})


@pytest.fixture
def fanout(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def run(*words: object) -> CommandResult:
        code = code_of(*words)
        return CommandResult(code, *capsys.readouterr())

    return run
