"""One scripted provider for the session; a config of three models; an environment without keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from fanout.providers import registry
from tests.cli.commands import Command, Ran, code_of, write_config
from tests.support.gateway_server import entry
from tests.support.scripted_provider import Upstream

NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No config, no key, a home of our own, and help of one width."""
    for name in registry.names():
        for key in registry.find(name).keys:
            monkeypatch.delenv(key, raising=False)
    monkeypatch.delenv("FANOUT_CONFIG", raising=False)
    monkeypatch.delenv("LOCAL_API_BASE", raising=False)
    monkeypatch.setenv("FANOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "96")


@pytest.fixture
def config(provider: Upstream, tmp_path: Path) -> Path:
    """A config of the models `a`, `b`, `c`, each asked once."""
    listed = [entry(provider, name) for name in NAMES]
    return write_config(tmp_path, {"model_list": listed, "router_settings": {"num_retries": 0}})


@pytest.fixture
def fanout(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    def run(*words: object) -> Ran:
        code = code_of(*words)
        return Ran(code, *capsys.readouterr())

    return run
