"""The command line as a whole: help, exit codes, and imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.commands import Command

HEAVY = {
    "asyncio",
    "fanout.gateway.factory",
    "fanout.gateway",
    "fanout.providers",
    "pyqwest",
    "rich",
    "uvicorn",
    "xllamacpp",
    "yaml",
}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh process has after running `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(  # noqa: S603 -- our own words
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_parser_does_not_import_what_the_commands_need() -> None:
    loaded = loaded_by("from fanout.cli.main import make_parser; make_parser()")
    assert "fanout.cli.ask" in loaded
    assert HEAVY & loaded == set()


def test_serving_loads_nothing_of_terminals_or_of_models_one_has_not() -> None:
    loaded = loaded_by("import fanout.cli.http_server")
    assert "fanout.gateway" in loaded
    assert {"rich", "yaml", "xllamacpp", "httpx2", "openai"} & loaded == set()


def test_help_names_every_command(fanout: Command) -> None:
    ran = fanout("--help")
    assert ran.code == 0
    for name in ("serve", "ask", "race", "all", "check", "models", "local", "doctor"):
        assert f"\n    {name} " in ran.out


@pytest.mark.parametrize("words", [(), ("dance",), ("ask",), ("local",), ("serve", "--port", "x")])
def test_misuse_is_code_2_with_the_usage_on_standard_error(
    fanout: Command, words: tuple[str, ...]
) -> None:
    ran = fanout(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("usage: fanout")
