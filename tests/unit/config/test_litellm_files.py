"""
Config files as LiteLLM's users write them: what `fanout check` says, and what `--fix` writes.

`litellm/` has a file for each kind, and beside it the expected text. `UPDATE_GOLDEN=1` writes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fanout.cli.config_problems import fixed_text
from fanout.config.fix import fix
from fanout.config.resolve import inspect_config
from fanout.errors import ConfigProblems
from fanout.providers import registry

FOLDER = Path(__file__).parent / "litellm"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in {".yaml", ".json"})
ENV = {"REDIS_HOST": "redis", "DATABASE_URL": "postgres://db", "TOKEN_FILE": "/token"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_check_says_each_problem_with_its_line_and_fix_writes_a_config_without_them(
    path: Path,
) -> None:
    text = path.read_text()
    _, _, problems = inspect_config(text, ENV, path.name)
    fixed = fix(text, ENV, path.name)
    output = path.with_name(f"{path.stem}.fanout{path.suffix}")
    shown = "\n".join(
        [
            f"$ fanout check {path.name}",
            *(ConfigProblems(path.name, problems).lines or ["ok"]),
            "",
            f"$ fanout check --fix {path.name}",
            fixed_text(path.name, Path(output.name), fixed),
            "",
            fixed.text,
        ]
    ).replace(", ".join(registry.names()), "(the known providers)")
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(shown)
    assert shown == golden.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_fix_writes_has_no_problem_and_is_not_changed_again(path: Path) -> None:
    fixed = fix(path.read_text(), ENV, path.name)
    catalog, _, problems = inspect_config(fixed.text, ENV, path.name)
    assert (problems, fixed.remaining) == ([], ())
    assert catalog.groups or catalog.routes.wildcards
    assert fix(fixed.text, ENV, path.name).text == fixed.text


def test_without_its_environment_a_config_is_fixed_as_far_as_it_can_be() -> None:
    path = FOLDER / "03_company.yaml"
    fixed = fix(path.read_text(), {}, path.name)
    assert [one.message for one in fixed.remaining] == []
    needs = (
        "model_list: [{model_name: a, litellm_params: {model: azure/x, api_base: os.environ/A}}]"
    )
    fixed = fix(needs, {}, "x.yaml")
    assert fixed.text == needs
    assert [one.message for one in fixed.remaining] == [
        "`model_list[0].litellm_params.api_base`: the environment variable `A` is not set"
    ]
