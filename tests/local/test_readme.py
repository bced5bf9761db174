"""
The README's snippets run as printed, against the gateway of `make run` and its real model.

Only the port is replaced, as 4000 may be in use. The snippets of the sections "Your own models" and
"On AWS" need keys and an account; tests/test_docs.py checks those.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_run import started

README = Path(__file__).parents[2] / "README.md"
SECTIONS = ("Run it without a key", "In Python, without a server", "A file of prompts")

pytestmark = pytest.mark.timeout(600)  # the first test may have to download the model


def snippets(section: str) -> list[tuple[str, str]]:
    """The language and the text of each snippet of a section."""
    text = README.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


ALL = [pytest.param(*one, id=f"{name}: {one[1].splitlines()[0]}") for name in SECTIONS
       for one in snippets(name)]  # fmt: skip


@pytest.fixture(scope="module")
def gateway(
    model_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of a user, and the port of `make run` in it."""
    home = tmp_path_factory.mktemp("home")
    (home / "models").symlink_to(Path(model_env["HOME"]) / ".cache" / "fanout" / "models")
    bin_folder = home / "bin"
    bin_folder.mkdir()
    command = bin_folder / "fanout"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m fanout "$@"\n')
    command.chmod(0o755)
    path = f"{bin_folder}:{model_env['PATH']}"
    env = {**model_env, "FANOUT_HOME": str(home), "PATH": path}
    with started(env, "run", "--port", "0", "--json", "--threads", "1") as (_, ready):
        yield env, re.findall(r":(\d+)", ready["url"])[0]


@pytest.mark.parametrize(("language", "code"), ALL)
def test_a_snippet_runs_as_printed(
    gateway: tuple[dict[str, str], str], tmp_path: Path, language: str, code: str
) -> None:
    env, port = gateway
    script = code.replace("4000", port)
    shell = shutil.which("sh")
    assert shell is not None
    command = [sys.executable, "-c", script] if language == "python" else [shell, "-ec", script]
    done = subprocess.run(  # noqa: S603 -- the README's own words
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env
    )
    assert done.returncode == 0, done.stderr
    check(script, done.stdout, tmp_path)


def check(script: str, printed: str, folder: Path) -> None:
    """What the section around a snippet promises of its output."""
    if script.startswith("curl"):
        response = json.loads(printed)
        assert response["choices"][0]["message"]["content"]
        assert response["fanout"]["mode"] == "race"
    elif "client.chat" in script:
        names = [line.partition(" | ")[0] for line in printed.splitlines() if " | " in line]
        assert names == ["smol", "smol-warm", "smol-claude"]
    elif "batch_completion" in script:
        assert printed.startswith(("local/smol | ", "local/smol-claude | "))
    elif "batch run" in script:
        with (folder / "out.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["id"], row["city"], row["error"]) for row in rows] == [
            ("1", "Paris", ""),
            ("2", "Lima", ""),
        ]
        assert all(row["answer"] and row["model"] == "smol" for row in rows)
    else:
        assert script.startswith("fanout race")
        assert printed.strip()
