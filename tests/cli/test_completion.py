"""`fanout completion` prints scripts that complete commands and options in a shell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fanout.cli.completion import SHELLS
from tests.cli.commands import Command

BASH = r"""
source "$1"
COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p fanout | sed -E 's/.* -F ([^ ]+) .*/\1/')
printf '%s\n' "${COMPREPLY[@]}"
"""
"""Completes the last of the words after the script's path."""


@pytest.fixture
def script(fanout: Command, tmp_path: Path) -> Path:
    """The script for bash, as the command prints it."""
    path = tmp_path / "fanout.bash"
    path.write_text(fanout("completion", "bash").out)
    return path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ba", {"batch"}),
        ("batch re", {"remove", "results", "resume", "retry"}),
        ("serve --gr", {"--grace"}),
        ("completion f", {"fish"}),
        ("check some", {"somewhere.yaml"}),
        ("serve --config some", {"somewhere.yaml"}),
        ("nonsense", set()),
    ],
)
def test_bash_completes_commands_options_and_files(
    script: Path, tmp_path: Path, words: str, found: set[str]
) -> None:
    (tmp_path / "somewhere.yaml").touch()
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    done = subprocess.run(  # noqa: S603 -- our own words
        [bash, "-c", BASH, "bash", str(script), "fanout", *words.split(" ")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert set(done.stdout.split()) == found, done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_with_every_command(fanout: Command, shell: str) -> None:
    ran = fanout("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert all(word in ran.out for word in ("serve", "batch", "init", "doctor", "grace"))


def test_another_shell_is_a_usage_error(fanout: Command) -> None:
    assert fanout("completion", "tcsh").code == 2
