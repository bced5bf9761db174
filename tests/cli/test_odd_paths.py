"""Paths that are empty, or that are no text: they work, or the error names them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.cli.main import NEVER_EMPTY, make_parser
from tests.bulk.local.test_paid_once import Shell, ids, printed, sent, shell
from tests.bulk.local_jobs import jsonl, line
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

__all__ = ["shell"]

ODD = os.fsdecode(b"bad\xff")
"""A part of a file's name that is not UTF-8."""


def _commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    nested = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not nested:
        yield words, parser
    for each in nested:
        for name, command in each.choices.items():
            yield from _commands(command, (*words, name))


def _empty_names() -> Iterator[tuple[str, ...]]:
    """Every command with each of its options that name a file or a stack, empty."""
    for words, parser in _commands(make_parser()):
        own = parser._actions
        given = ["x" for one in own if not one.option_strings and one.nargs in {None, "+"}]
        for action in own:
            needed = [one for one in own if one.option_strings and one.required and one != action]
            more = [word for one in needed for word in (one.option_strings[-1], "x")]
            if action.metavar in NEVER_EMPTY and action.option_strings:
                yield (*words, *given, *more, action.option_strings[-1], "")
            elif action.metavar in NEVER_EMPTY:
                yield (*words, "")


@pytest.mark.parametrize("words", list(_empty_names()), ids=" ".join)
def test_an_empty_name_is_an_error_that_names_the_option(
    shell: Shell, upstream: Upstream, words: tuple[str, ...]
) -> None:
    if words[:2] in {("local", "serve"), ("local", "stop")}:
        pytest.skip("it needs no file")
    found = shell.run(*words)
    assert found.code == 2, found.err
    name = words[-2] if words[-2].startswith("-") else "FILE"
    assert name in found.err
    assert "empty" in found.err
    assert upstream.calls == []
    assert [path.name for path in shell.folder.iterdir()] == [shell.config.name]


@pytest.mark.parametrize("form", ["requests", "text", "table"])
def test_a_file_whose_name_is_not_utf_8_is_run_resumed_and_written(
    shell: Shell, upstream: Upstream, form: str
) -> None:
    upstream.script("a", [refuse(400, "no")], answers("Hello"))
    data, suffix, more = {
        "requests": (jsonl([line("n1"), line("n2")]), ".jsonl", []),
        "text": (b"n1\nn2\n", ".txt", ["--text", "-m", "a"]),
        "table": (b"q\nn1\nn2\n", ".csv", ["--column", "q", "-m", "a"]),
    }[form]
    shell.write(data, f"{ODD}{suffix}")
    out = f"out{ODD}{suffix}"
    words = ("batch", "run", f"{ODD}{suffix}", "--config", shell.config.name, "-o", out, *more)
    assert shell.run("batch", "quote", f"{ODD}{suffix}", "--config", shell.config, *more).code == 0
    first = shell.run(*words)
    assert first.code == 1, first.err
    assert Path(out).exists()
    assert shell.run("batch", "status").code == 0
    retried = shell.paste(printed(first.err, "to retry them: "))
    assert retried.code == 0, retried.err
    job = shell.jobs()[0]["id"]
    assert shell.run("batch", "results", job, "-o", f"results{ODD}.jsonl").code == 0
    assert sent(upstream).total() == 3
    if form == "requests":
        assert ids(Path(f"results{ODD}.jsonl")) == {"n1": 1, "n2": 1}


def test_a_config_whose_path_is_not_utf_8_is_an_error_of_a_job_and_works_otherwise(
    shell: Shell, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    config = shell.config.rename(shell.folder / f"{ODD}.yaml")
    shell.write(jsonl([line("n1")]))
    assert shell.run("check", config).code == 0
    assert shell.run("ask", "-m", "a", "--config", config, "Hi").code == 0
    found = shell.run("batch", "run", "in.jsonl", "--config", config)
    assert (found.code, found.out) == (2, "")
    assert "is not UTF-8" in found.err
    assert len(upstream.calls) == 1
