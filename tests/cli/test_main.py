"""The command line as a whole: help, exit codes, and imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fanout.cli.main import main
from tests.cli.commands import Command, write_config

MODEL = {"model_name": "a", "litellm_params": {"model": "openai/gpt-4o", "api_key": "k"}}

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


@pytest.mark.parametrize("words", [("--version",), ("-V",), ("--help",), ("-h",)])
def test_a_flag_of_the_whole_command_ends_it(fanout: Command, words: tuple[str, ...]) -> None:
    ran = fanout(*words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("usage: fanout" if words[0] in {"--help", "-h"} else "fanout 0.")


@pytest.mark.parametrize(
    ("words", "usage", "error"),
    [
        ("", "\n    serve ", "fanout: error: the following arguments are required: COMMAND"),
        ("batch", "\n    status ", "fanout batch: error: the following arguments are required"),
    ],
)
def test_a_missing_command_shows_what_there_is(
    fanout: Command, words: str, usage: str, error: str
) -> None:
    ran = fanout(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert usage in ran.err
    assert error in ran.err


@pytest.mark.parametrize(
    ("words", "command", "error"),
    [
        ("ask hi --modle x", "ask", "unrecognized arguments: --modle x; did you mean --model?"),
        ("batch run f --max-cots=1", "batch run", "did you mean --max-cost?"),
        ("batch rnu f", "batch", "there is no action `rnu`; did you mean run?"),
        ("batch zzz", "batch", "there is no action `zzz`; there are run, quote, status, "),
        ("rase hi", "", "there is no command `rase`; did you mean race?"),
        ("completion bsh", "completion", "shell must be one of bash, fish, zsh, not `bsh`; did"),
        ("ask hi --zzz", "ask", "unrecognized arguments: --zzz"),
        ("--jsno", "", "--jsno is no option of `fanout` itself: first the command, then its"),
        ("--model=x ask hi", "", "--model is no option of `fanout` itself: first the command"),
        ("ask hi --max-tokens 1.5", "ask", "--max-tokens must be a whole number, not `1.5`"),
        ("ask hi --temperature warm", "ask", "--temperature must be a number, not `warm`"),
        ("ask hi --timeout=", "ask", "--timeout must be a number, not ``"),
        ("batch run f --limit x", "batch run", "--limit must be a whole number, not `x`"),
        ("batch run f --prompt x --column y", "batch run", "use --prompt or --column, not both"),
        ("batch run f --text --column y", "batch run", "use --text or --column, not both"),
        ("serve --port http", "serve", "--port must be a whole number, not `http`"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_help(
    fanout: Command, words: str, command: str, error: str
) -> None:
    ran = fanout(*words.split())
    name = f"fanout {command}".strip()
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"{name}: error: ")
    assert error in line
    assert line.endswith(f" (`{name} --help` shows what there is)")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("serve --config {}", "the config file `{}` cannot be read: Is a directory"),
        ("serve --port 99999", "--port must be between 0 and 65535, not 99999"),
        ("batch status --stack S", "AWS: no region is set: add --region NAME, or set AWS_"),
        ("keys list --stack S", "AWS: no region is set: add --region NAME, or set AWS_"),
    ],
)
def test_a_wrong_option_is_one_line_with_the_fix(
    fanout: Command, tmp_path: Path, words: str, error: str
) -> None:
    ran = fanout(*words.format(tmp_path).split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"fanout: {error.format(tmp_path)}"), ran.err
    assert ran.err.count("\n") == 1


def test_without_a_job_the_list_says_so(fanout: Command) -> None:
    assert fanout("batch", "status").out == "no jobs\n"


@pytest.mark.parametrize("words", [(), ("dance",), ("ask",), ("local",), ("serve", "--port", "x")])
def test_misuse_is_code_2_with_the_error_on_standard_error(
    fanout: Command, words: tuple[str, ...]
) -> None:
    ran = fanout(*words)
    assert (ran.code, ran.out) == (2, "")
    assert re.match(r"fanout[ a-z]*: error: ", ran.err.splitlines()[-1])


@pytest.mark.parametrize("words", ["check", "models --config"])
def test_an_output_that_the_shell_has_closed_is_no_traceback(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, {"model_list": [MODEL]})
    monkeypatch.setattr("sys.stdout", None)
    assert main([*words.split(), str(config)]) == 0
    assert sys.stdout is not None
    sys.stdout.close()


@pytest.mark.parametrize("words", ["check --json", "check", "--version", "models --config"])
def test_a_reader_of_the_output_that_has_gone_is_no_traceback(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path, {"model_list": [{}] if "--json" in words else [MODEL]})
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        assert main([*words.split(), *([] if "version" in words else [str(config)])]) == 1
