"""Files that are no list of prompts, or name two rows alike: one line says so, nothing is sent."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from fanout.cli.printing import dollars
from tests.bulk.local.test_batch_command import BatchCommand, batch, prompts_sent
from tests.bulk.local.test_tables import PROMPT, folder, rows
from tests.cli.commands import spawned
from tests.support.patience import PATIENCE
from tests.support.provider_steps import refuse, stalls
from tests.support.scripted_provider import Upstream

__all__ = ["batch", "folder"]

ARRAY = "is a JSON array: write one object on each line, for example with `jq -c '.[]'`"
TABLE = "is a table in JSONL: use --column with one of `id`, `review`, or --prompt with columns in"


def csv_of(pairs: Sequence[tuple[int, str]]) -> bytes:
    return b"id,review\n" + b"".join(f"{number},{text}\n".encode() for number, text in pairs)


@pytest.mark.parametrize("stored", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("form", ["table", "requests"])
def test_a_repeated_name_is_rejected_whatever_is_stored(
    folder: BatchCommand, upstream: Upstream, stored: tuple[bool, ...], form: str
) -> None:
    texts = ["aaa", "bbb", "ccc"]
    if form == "table":
        words: tuple[str, ...] = ("f.csv", *PROMPT, "--id", "id", "-o", "out.csv")
        first = [
            (n, text)
            for n, (text, is_stored) in enumerate(zip(texts, stored, strict=True))
            if is_stored
        ]
        folder.write(csv_of(first), "f.csv")
        wrong = csv_of([(1, "aaa"), (2, "ccc"), (1, "bbb")])
    else:
        words = ("f.jsonl", "-m", "a", "-o", "out.csv")
        lines = [json.dumps({"custom_id": str(n), "prompt": text}) for n, text in enumerate(texts)]
        kept = [one for one, is_stored in zip(lines, stored, strict=True) if is_stored]
        folder.write("\n".join(kept).encode(), "f.jsonl")
        wrong = "\n".join(
            json.dumps({"custom_id": name, "prompt": text})
            for name, text in [("1", "aaa"), ("2", "ccc"), ("1", "bbb")]
        ).encode()
    if any(stored):
        assert folder.run("run", *words).code == 0
    upstream.calls.clear()
    folder.write(wrong, words[0])
    ran = folder.run("run", *words)
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert "(duplicate_custom_id)" in ran.err
    assert not upstream.calls
    folder.write(csv_of(list(enumerate(texts))), "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "--id", "id", "-o", "out.csv").code == 0
    found = rows(Path("out.csv").read_bytes())
    assert [(one["review"], one["answer"]) for one in found] == [
        (text, text.upper()) for text in texts
    ]
    assert len(prompts_sent(upstream)) == (3 - sum(stored) if form == "table" else 3)


@pytest.mark.parametrize("words", [(), ("--column", "review")])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'[{"id":1,"review":"a"},{"id":2,"review":"b"}]'),
        ("a.jsonl", b'\n[{"id":1,"review":"a"}]\n'),
        ("a.json", b'[\n  {"id": 1, "review": "a"}\n]\n'),
        ("a.json", b'["one", "two"]'),
    ],
)
def test_a_json_array_is_no_line(
    folder: BatchCommand, upstream: Upstream, name: str, data: bytes, words: tuple[str, ...]
) -> None:
    folder.write(data, name)
    ran = folder.run("run", name, "-m", "a", *words)
    assert (ran.code, ran.err) == (2, f"fanout: `{name}` {ARRAY}\n")
    assert not upstream.calls
    assert folder.run("status", "--json").json == []


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "r.ndjson", "r"])
def test_a_table_in_jsonl_without_a_column_names_the_fix(
    folder: BatchCommand, upstream: Upstream, name: str
) -> None:
    folder.write(b'{"id":1,"review":"a"}\n{"id":2,"review":"b"}\n', name)
    ran = folder.run("run", name, "-m", "a")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert TABLE in ran.err
    assert not upstream.calls


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "g.csv",
            "id,review\n1,\u4f60\u597d\u4e16\u754c\n".encode("gb18030"),
            ("--column", "review"),
        ),
        ("g.jsonl", b'{"review": "a"}\n{"review": "\xc4\xe3"}\n', ("--column", "review")),
        ("g.txt", b"ok\n\xc4\xe3\n", ("--text",)),
    ],
)
def test_bytes_that_are_no_text_name_the_option(
    folder: BatchCommand, name: str, data: bytes, words: tuple[str, ...]
) -> None:
    folder.write(data, name)
    ran = folder.run("run", name, *words, "-m", "a", "--encoding", "utf-8")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.endswith("not valid UTF-8; name the file's encoding with --encoding\n")


def test_a_cost_cap_without_a_price_names_the_option_and_the_fix(
    folder: BatchCommand, tmp_path: Path
) -> None:
    config = tmp_path / "unpriced.yaml"
    config.write_text(
        "model_list: [{model_name: a, litellm_params: {model: openai/own-1, api_key: k}}]"
    )
    folder.write(csv_of([(1, "a"), (2, "b")]), "r.csv")
    words = (*PROMPT, "--max-cost", "1", "--config", config)
    ran = folder.run("run", "r.csv", *words)
    assert ran.code == 2
    assert ran.err == (
        "fanout: --max-cost needs prices, and the price of `a` is unknown: set its "
        "`input_cost_per_token` and `output_cost_per_token` in the config (price_not_found)\n"
    )


def test_a_stopped_job_is_called_stopped_everywhere(
    folder: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("a", stalls())
    path = folder.write(csv_of([(1, "a")]), "r.csv")
    with spawned("batch", "run", path, *PROMPT, env=dict(os.environ)) as process:
        upstream.wait(lambda: upstream.calls)
        process.kill()
        process.communicate(timeout=PATIENCE)
    job = folder.run("status", "--json").json[0]["id"]
    listed = folder.run("status").out
    assert " stopped " in listed
    assert f"no process runs this job; to resume: fanout batch resume {job}" in listed
    ran = folder.run("results", job)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "the job is stopped; to resume it: fanout batch resume " in ran.err
    assert ran.err.endswith(" --partial\n")


def test_a_job_that_is_over_says_that_nothing_is_sent(
    folder: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(400, "no")])
    folder.write(csv_of([(1, "a")]), "r.csv")
    command = ("run", "r.csv", *PROMPT, "-o", "one.csv")
    assert folder.run(*command).code == 1
    ran = folder.run(*command[:-1], "two.csv")
    assert ran.code == 1
    assert ran.err.startswith("fanout: the job is completed already; nothing is sent\n")
    assert Path("two.csv").read_bytes() == Path("one.csv").read_bytes()
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, "$0.0000"),
        (1.2, "$1.2000"),
        (0.00006, "$0.0001"),
        (0.00005, "$0.0001"),
        (0.000037, "$0.00004"),
        (0.000001, "$0.000001"),
        (3e-9, "$0.000000003"),
    ],
)
def test_a_small_cost_is_not_nothing(amount: float, shown: str) -> None:
    assert dollars(amount) == shown


def test_a_model_without_its_providers_key_is_named_before_anything_is_stored(
    folder: BatchCommand, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("FANOUT_CONFIG", "groq.json")
    model = {"model_name": "g", "litellm_params": {"model": "groq/llama-3.3-70b-versatile"}}
    Path("groq.json").write_text(json.dumps({"model_list": [model]}))
    folder.write(csv_of([(1, "good")]), "r.csv")
    ran = folder.run("run", "r.csv", "--column", "review", "-m", "g")
    where = "set `GROQ_API_KEY` in the environment, or `api_key` in the config"
    assert (ran.code, ran.err) == (2, f"fanout: no key for `g`: {where}\n")
    assert (folder.run("status").out, upstream.calls) == ("no jobs\n", [])
