"""`fanout batch run` of a table: rows in, rows out, in order, and only new rows are paid for."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.local.test_batch_command import COST, BatchCommand, batch, prompts_sent
from tests.cli.commands import spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, pause, refuse, stop
from tests.support.scripted_provider import Call, Upstream

__all__ = ["batch"]

PROMPT = ("--prompt", "Classify: {review}", "-m", "a")


async def echo(call: Call) -> None:
    """Answer with the last message in capitals."""
    call.words.append(call.body["messages"][-1]["content"].removeprefix("Classify: ").upper())


@pytest.fixture
def folder(
    batch: BatchCommand, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> BatchCommand:
    """The command in its folder; the models repeat what they are asked."""
    upstream.script("a", [echo, stop])
    upstream.script("b", [echo, stop])
    monkeypatch.chdir(batch.folder)
    return batch


def rows(text: str | bytes, separator: str = ",") -> list[dict[str, str]]:
    text = text if isinstance(text, str) else text.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def test_a_csv_comes_back_as_a_csv_in_order_with_all_columns(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b'id,review,stars\n7,"good, ""very""\ngood",5\n\n3,,1\n9,bad,2\n', "reviews.csv")
    words = ("--max-tokens", "5", "--temperature", "0", "--system", "Be brief.")
    ran = folder.run("run", "reviews.csv", *PROMPT, *words, "--id", "id", "-o", "out.csv")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert (folder.folder / "out.csv").read_text() == (
        "id,review,stars,answer,error,model,tokens,cost_usd\n"
        '7,"good, ""very""\ngood",5,"GOOD, ""VERY""\nGOOD",,a,12,0.019\n'
        "3,,1,,the row has no prompt,,,\n"
        "9,bad,2,BAD,,a,12,0.019\n"
    )
    assert COST == 0.019
    bodies = [call.body for call in upstream.calls]
    assert {(one["max_completion_tokens"], one["temperature"]) for one in bodies} == {(5, 0.0)}
    assert bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "1 blank row and 1 row without a prompt (the first is row 2) skipped" in ran.err
    assert "responses: out.csv" in ran.err
    assert folder.run("run", "reviews.csv", *PROMPT, *words, "--id", "id").code == 0
    assert (folder.folder / "reviews.output.csv").read_bytes() == Path("out.csv").read_bytes()
    assert len(upstream.calls) == 2


def test_the_system_message_is_a_template_over_the_columns_too(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"review,language\ngood,French\nbad,\n", "r.csv")
    text = 'Answer in {language} as {"label": 1}, {always}.'
    ran = folder.run("run", "r.csv", *PROMPT, "--system", text, "-o", "out.csv")
    assert ran.code == 0
    assert "`{always}` in --system is no column, and stays as it is" in ran.err
    sent = [[one["content"] for one in call.body["messages"]] for call in upstream.calls]
    rest = 'as {"label": 1}, {always}.'
    assert sorted(sent) == [
        [f"Answer in  {rest}", "Classify: bad"],
        [f"Answer in French {rest}", "Classify: good"],
    ]
    ran = folder.run("run", "r.csv", *PROMPT, "--system", "{Langage}")
    assert (ran.code, ran.err) == (
        2,
        "fanout: there is no column `Langage`; did you mean `language`?\n",
    )
    folder.write(b"one\n", "t.txt")
    assert folder.run("run", "t.txt", "--text", "-m", "a", "--system", "{text}").code == 0
    assert upstream.calls[-1].body["messages"][0]["content"] == "{text}"


@pytest.mark.parametrize("count", [5_000])
def test_rows_are_in_order_over_several_shards(folder: BatchCommand, count: int) -> None:
    text = "".join(f"{number},text {number}\n" for number in range(count))
    folder.write(f"n,review\n{text}".encode(), "big.csv")
    assert folder.run("run", "big.csv", *PROMPT, "-o", "out.csv").code == 0
    found = rows(Path("out.csv").read_bytes())
    assert [row["n"] for row in found] == list(map(str, range(count)))
    assert all(row["answer"] == row["review"].upper() for row in found)


def test_a_table_in_jsonl_has_the_rows_and_requests_have_openais_lines(
    folder: BatchCommand,
) -> None:
    folder.write(b"id,review\nx,good\n", "reviews.csv")
    assert folder.run("run", "reviews.csv", *PROMPT, "--id", "id", "-o", "out.jsonl").code == 0
    (row,) = map(json.loads, Path("out.jsonl").read_text().splitlines())
    assert list(row) == ["id", "review", "answer", "error", "model", "tokens", "cost_usd"]
    assert (row["id"], row["answer"], row["error"]) == ("x", "GOOD", None)
    folder.write(b'{"custom_id": "x", "prompt": "good"}\n', "p.jsonl")
    assert folder.run("run", "p.jsonl", "-m", "a", "-o", "out.jsonl").code == 0
    (line,) = map(json.loads, Path("out.jsonl").read_text().splitlines())
    assert line["custom_id"] == "x"
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "GOOD"


@pytest.mark.parametrize(
    ("name", "data", "separator", "begins"),
    [
        ("r.tsv", b"id\treview\n1\tgood\n", "\t", b"id\t"),
        ("r.csv", "id;review\n1;größe\n".encode("cp1252"), ";", b"\xef\xbb\xbfid;"),
        ("r.csv", b"\xef\xbb\xbfid;review\n1;good\n", ";", b"\xef\xbb\xbfid;"),
        ("r.csv", b"id\treview\n1\tgood\n", "\t", b"id\t"),
        ("r.csv.gz", gzip.compress(b"id,review\n1,good\n"), ",", b"id,"),
    ],
    ids=["tsv", "cp1252", "mark", "tabs", "gzip"],
)
def test_the_output_has_the_form_of_the_input(
    folder: BatchCommand, name: str, data: bytes, separator: str, begins: bytes
) -> None:
    folder.write(data, name)
    assert folder.run("run", name, *PROMPT).code == 0
    output = Path(name.removesuffix(".gz").replace("r.", "r.output."))
    written = output.read_bytes()
    assert written.startswith(begins)
    (row,) = rows(written, separator)
    assert row["answer"] == row["review"].upper()


def test_the_suffix_of_the_output_selects_its_form(folder: BatchCommand) -> None:
    folder.write(b"id;review\n1;good\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.tsv").code == 0
    assert Path("out.tsv").read_text().startswith("id\treview\tanswer\t")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.csv.gz").code == 0
    unpacked = gzip.decompress(Path("out.csv.gz").read_bytes())
    assert unpacked.startswith(b"id;review;answer;")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.jsonl.gz").code == 0
    assert json.loads(gzip.decompress(Path("out.jsonl.gz").read_bytes()))["answer"] == "GOOD"
    assert folder.run("run", "r.csv", *PROMPT, "-o", "-").out.startswith("id;review;answer;")
    for name, begins in (("t.csv", "id\treview\t"), ("t.tsv", "id,review,")):
        folder.write(b"id\treview\n1\tgood\n", name)
        assert folder.run("run", name, *PROMPT, "-o", "out.csv").code == 0
        assert Path("out.csv").read_text().startswith(begins)


def test_results_have_the_costs_of_the_job_whatever_the_config_at_hand_has(
    folder: BatchCommand, upstream: Upstream
) -> None:
    """It has other prices, or lacks the model."""
    folder.write(b"id,review\n1,good\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.csv").code == 0
    job = folder.run("status", "--json").json[0]["id"]
    dearer: dict[str, Any] = {"input_cost_per_token": 1, "output_cost_per_token": 1}
    for name, more in (("a", dearer), ("other", {})):
        config = {"model_list": [entry(upstream, name, **more)]}
        folder.set_env(FANOUT_CONFIG=write_config(folder.folder, config))
        (row,) = rows(folder.run("results", job, "-o", "-").out)
        assert (row["model"], row["cost_usd"]) == ("a", str(COST)), name


def test_only_added_and_corrected_rows_are_paid_for(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"id,review,note\n1,good,\n2,bad,\n3,fine,\n", "reviews.csv")
    command = ("run", "reviews.csv", *PROMPT, "--id", "id", "-o", "out.csv")
    assert folder.run(*command).code == 0
    upstream.calls.clear()
    folder.write(b"note,id,review\nnew,0,added\n,3,fine\nx,1,good\n,2,corrected\n", "reviews.csv")
    ran = folder.run(*command)
    assert ran.code == 0
    assert sorted(prompts_sent(upstream)) == ["Classify: added", "Classify: corrected"]
    assert "2 rows have responses of an earlier run; only the others are sent" in ran.err
    found = rows(Path("out.csv").read_bytes())
    assert [(one["note"], one["id"], one["answer"]) for one in found] == [
        ("new", "0", "ADDED"),
        ("", "3", "FINE"),
        ("x", "1", "GOOD"),
        ("", "2", "CORRECTED"),
    ]
    assert {one["cost_usd"] for one in found} == {"0.019"}
    job = folder.run("status", "--json").json[0]
    assert job["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert (job["cost_usd"], job["fanout"]["reused_lines"]) == (pytest.approx(2 * COST), 2)
    upstream.calls.clear()
    folder.write(b"id,review\n2,corrected\n1,good\n", "other.csv")
    ran = folder.run("run", "other.csv", *PROMPT, "--id", "id", "-o", "out.csv")
    assert ran.code == 0, ran.err
    assert [one["answer"] for one in rows(Path("out.csv").read_bytes())] == ["CORRECTED", "GOOD"]
    assert not upstream.calls
    ends = "responses: out.csv\n"
    stored = "fanout: all 2 rows have responses of an earlier run; nothing is sent\n"
    assert ran.err == f"{stored}fanout: {ends}"
    assert folder.run("status").out.splitlines()[1].split()[4:6] == ["completed", "2/2"]
    ran = folder.run("run", "other.csv", *PROMPT, "--id", "id", "-o", "out.csv")
    assert (ran.code, ran.err) == (0, f"{stored}fanout: {ends}")
    changed = ("run", "other.csv", *PROMPT, "--id", "id", "-o", "out.csv")
    assert folder.run(*changed, "--max-tokens", "3").code == 0
    assert len(upstream.calls) == 2, "other parameters are other requests"
    assert folder.run(*changed, "--fresh").code == 0
    assert len(upstream.calls) == 4


def test_a_quote_is_for_the_rows_that_would_be_sent(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"id,review\n1,good\n2,bad\n", "r.csv")
    words = ("r.csv", *PROMPT, "--max-tokens", "5")
    full = folder.run("quote", *words, "--json").json
    assert (full["lines"], full["reused_lines"]) == (2, 0)
    assert folder.run("run", *words, "-o", "out.csv").code == 0
    none = folder.run("quote", *words, "--json").json
    assert (none["lines"], none["reused_lines"], none["cost_high"]) == (0, 2, 0.0)
    said = "all 2 rows have responses of an earlier run; nothing would be sent\n"
    assert folder.run("quote", *words).out == said
    folder.write(b"id,review\n0,new\n1,good\n2,bad\n", "r.csv")
    more = folder.run("quote", *words, "--json").json
    assert (more["lines"], more["reused_lines"]) == (1, 2)
    assert 0 < more["cost_high"] < full["cost_high"]
    said = "2 more rows have responses of an earlier run, which cost nothing\n"
    assert said in folder.run("quote", *words).out
    other = folder.run("quote", "r.csv", *PROMPT, "--json").json
    assert (other["lines"], other["reused_lines"]) == (3, 0), "other parameters"
    assert len(upstream.calls) == 2


def test_a_trial_of_some_rows_is_not_paid_for_again(
    folder: BatchCommand, upstream: Upstream
) -> None:
    text = "".join(f"text {number}\n" for number in range(30))
    folder.write(f"review\n{text}".encode(), "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "--limit", "20", "-o", "out.csv").code == 0
    assert len(rows(Path("out.csv").read_bytes())) == len(upstream.calls) == 20
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.csv").code == 0
    assert [one["answer"] for one in rows(Path("out.csv").read_bytes())] == [
        f"TEXT {number}" for number in range(30)
    ]
    assert len(upstream.calls) == 30


def test_a_stopped_job_whose_file_is_corrected_keeps_its_responses(
    folder: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("a", [pause(0.02), echo, stop])
    text = "".join(f"{number},text {number}\n" for number in range(300))
    path = folder.write(f"n,review\n{text}".encode(), "r.csv")
    with spawned("batch", "run", path, *PROMPT) as process:
        upstream.wait(lambda: len(upstream.calls) >= 100)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    first = prompts_sent(upstream)
    upstream.calls.clear()
    path.write_bytes(path.read_bytes().replace(b"0,text 0\n", b"0,other\n", 1))
    assert folder.run("run", path, *PROMPT, "-o", "out.csv").code == 0
    again = prompts_sent(upstream)
    assert not set(first) & set(again)
    assert len(first) + len(again) == 301
    found = rows(Path("out.csv").read_bytes())
    assert [row["n"] for row in found] == list(map(str, range(300)))
    assert all(row["answer"] == row["review"].upper() for row in found)


def test_a_damaged_index_stops_no_job(folder: BatchCommand, upstream: Upstream) -> None:
    folder.write(b"review\ngood\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT).code == 0
    for path in Path(os.environ["FANOUT_HOME"]).glob("responses.sqlite*"):
        path.write_bytes(b"no database " * 1_000)
    folder.write(b"review\ngood\nbad\n", "r.csv")
    ran = folder.run("run", "r.csv", *PROMPT, "-o", "out.csv")
    assert ran.code == 0, ran.err
    assert "responses of earlier runs are not found: " in ran.err
    assert [row["answer"] for row in rows(Path("out.csv").read_bytes())] == ["GOOD", "BAD"]
    assert len(upstream.calls) == 3


def test_rows_with_the_same_text_keep_their_own_responses(
    folder: BatchCommand, upstream: Upstream
) -> None:
    numbers = iter(range(100))

    async def count(call: Call) -> None:
        call.words.append(str(next(numbers)))

    upstream.script("a", [count, stop])
    folder.write(b"review\nsame\nsame\nother\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "one.csv").code == 0
    folder.write(b"review\nsame\nsame\nnew\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "two.csv").code == 0
    one, two = (
        [row["answer"] for row in rows(Path(name).read_bytes())] for name in ("one.csv", "two.csv")
    )
    assert two == [one[0], one[1], "3"]


def test_failed_rows_say_why_and_are_retried(folder: BatchCommand, upstream: Upstream) -> None:
    upstream.script("a", [refuse(400, "no such thing")], [echo, stop])
    folder.write(b"id,review\n1,good\n", "r.csv")
    ran = folder.run("run", "r.csv", *PROMPT, "-o", "out.csv")
    assert ran.code == 1
    (row,) = rows(Path("out.csv").read_bytes())
    assert (row["answer"], row["model"]) == ("", "a")
    assert "no such thing" in row["error"]
    assert not Path("out.csv.errors.jsonl").exists()
    assert "failed lines: the column `error`" in ran.err
    retry = ran.err.rsplit("fanout batch ", 1)[-1].split()
    assert retry[-2:] == ["-o", "out.csv"]
    assert folder.run(*retry).code == 0
    (row,) = rows(Path("out.csv").read_bytes())
    assert (row["id"], row["answer"], row["error"]) == ("1", "GOOD", "")
    upstream.calls.clear()
    folder.write(b"id,review\n1,good\n2,new\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.csv").code == 0
    assert prompts_sent(upstream) == ["Classify: new"]


def test_a_job_without_a_response_leaves_an_earlier_output(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"of an earlier run\n", "out.csv")
    folder.write(b"review\ngood\n", "r.csv")
    upstream.script("a", [refuse(400, "no")])
    ran = folder.run("run", "r.csv", *PROMPT, "-o", "out.csv")
    assert ran.code == 1
    assert Path("out.csv").read_text() == "of an earlier run\n"
    assert "failed lines: out.csv.errors.jsonl" in ran.err
    assert "`out.csv` stays as it is: no row has a response" in ran.err
    assert ran.err.split()[-2:] == ["-o", "out.csv"], "the retry writes there"
    upstream.script("a", [echo, stop])
    folder.write(b"review\nfine\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.csv").code == 0
    assert not Path("out.csv.errors.jsonl").exists()
    upstream.script("a", [refuse(400, "no")])
    folder.write(b"review\ngood\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "new.csv").code == 1
    assert rows(Path("new.csv").read_bytes())[0]["error"].startswith("`a`: no")


def test_several_models_give_a_row_each(folder: BatchCommand) -> None:
    folder.write(b"id,review\n1,good\n2,bad\n", "r.csv")
    words = ("--prompt", "{review}", "-m", "a,b", "-o", "out.csv")
    assert folder.run("run", "r.csv", *words).code == 0
    found = [(one["id"], one["model"], one["answer"]) for one in rows(Path("out.csv").read_bytes())]
    assert found == [("1", "a", "GOOD"), ("1", "b", "GOOD"), ("2", "a", "BAD"), ("2", "b", "BAD")]


def test_columns_of_the_input_keep_their_names(folder: BatchCommand) -> None:
    folder.write(b"answer,model,review\nold,m,good\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.csv").code == 0
    (row,) = rows(Path("out.csv").read_bytes())
    assert (row["answer"], row["model"]) == ("old", "m")
    assert (row["answer_2"], row["model_2"]) == ("GOOD", "a")


SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "score": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["label", "score", "tags"],
    "additionalProperties": False,
}


def test_a_schema_gives_a_column_for_each_property(
    folder: BatchCommand, upstream: Upstream
) -> None:
    replies = iter(['{"label": "ok", "score": 0.5, "tags": ["a"], "more": 1}', "no JSON"])

    async def reply(call: Call) -> None:
        call.words.append(next(replies))

    upstream.script("a", [reply, stop])
    folder.write(json.dumps(SCHEMA).encode(), "labels.json")
    folder.write(b"review\ngood\nbad\n", "r.csv")
    words = ("--response-format", "labels.json", "-o", "out.csv")
    assert folder.run("run", "r.csv", *PROMPT, *words).code == 0
    found = sorted(rows(Path("out.csv").read_bytes()), key=lambda row: row["label"], reverse=True)
    assert list(found[0]) == [
        "review", "label", "score", "tags", "error", "model", "tokens", "cost_usd"
    ]  # fmt: skip
    assert (found[0]["label"], found[0]["score"], found[0]["tags"]) == ("ok", "0.5", '["a"]')
    assert found[1]["error"] == "the response is not a JSON object: no JSON"
    sent: dict[str, Any] = upstream.calls[0].body["response_format"]
    assert sent["json_schema"] == {"name": "labels", "schema": SCHEMA, "strict": True}


def test_the_rows_of_a_checked_table_fit_the_schema_or_have_the_reason(
    folder: BatchCommand, upstream: Upstream
) -> None:
    good = '{"label": "ok", "score": 0.5, "tags": []}'
    upstream.script("a", answers("no"))
    upstream.script("b", answers(good), answers("{}"))
    folder.write(json.dumps(SCHEMA).encode(), "labels.json")
    folder.write(b"review\none\ntwo\n", "r.csv")
    words = ("--response-format", "labels.json", "--check", "--attempts", "1", "--escalate", "b")
    ran = folder.run("run", "r.csv", *PROMPT, *words, "-o", "out.csv")
    found = sorted(rows(Path("out.csv").read_bytes()), key=lambda row: row["label"], reverse=True)
    assert (found[0]["label"], found[0]["score"], found[0]["error"]) == ("ok", "0.5", "")
    assert found[1]["label"] == ""
    assert "the property `label` is missing" in found[1]["error"]
    assert found[1]["error"].endswith("(schema_mismatch)")
    used = [(row["model"], row["tokens"], float(row["cost_usd"])) for row in found]
    assert used == [("b", "24", 2 * COST)] * 2
    assert len(upstream.calls) == 4
    assert "texts that do not fit the schema: out.csv.errors.jsonl" in ran.err
    (failed,) = map(json.loads, Path("out.csv.errors.jsonl").read_text().splitlines())
    assert failed["response"]["body"]["error"]["text"] == "{}"
    job = folder.run("status", "--json").json[0]["id"]
    again = folder.run("results", job, "--errors").out
    assert again == Path("out.csv.errors.jsonl").read_text()
    folder.write(b"review\nthree\n", "r.csv")
    upstream.script("b", answers(good))
    assert folder.run("run", "r.csv", *PROMPT, *words, "-o", "out.csv").code == 0
    assert not Path("out.csv.errors.jsonl").exists(), "that of the earlier job"


def test_with_another_ladder_only_rows_without_a_valid_response_are_sent(
    folder: BatchCommand, upstream: Upstream
) -> None:
    good = '{"label": "ok", "score": 0.5, "tags": []}'

    async def reply(call: Call) -> None:
        call.words.append("no" if "bad" in call.body["messages"][0]["content"] else good)

    upstream.script("a", [reply, stop])
    upstream.script("b", answers(good))
    folder.write(json.dumps(SCHEMA).encode(), "labels.json")
    folder.write(b"review\ngood\nbad\nfine\n", "r.csv")
    words = ("--response-format", "labels.json", "--check")
    assert folder.run("run", "r.csv", *PROMPT, *words, "-o", "out.csv").code == 1
    assert len(upstream.calls) == 4
    upstream.calls.clear()
    escalation = ("--attempts", "3", "--escalate", "b")
    quote = folder.run("quote", "r.csv", *PROMPT, *words, *escalation, "--json").json
    assert (quote["lines"], quote["reused_lines"]) == (1, 2)
    ran = folder.run("run", "r.csv", *PROMPT, *words, *escalation, "-o", "out.csv")
    assert ran.code == 0, ran.err
    assert [call.body["model"] for call in upstream.calls] == ["a", "a", "a", "b"]
    assert [row["label"] for row in rows(Path("out.csv").read_bytes())] == ["ok"] * 3


def test_a_check_that_is_added_sends_only_rows_whose_responses_do_not_fit(
    folder: BatchCommand, upstream: Upstream
) -> None:
    good = '{"label": "ok", "score": 0.5, "tags": []}'

    async def reply(call: Call) -> None:
        text = call.body["messages"][0]["content"]
        call.words.append("no" if "bad" in text else f"```json\n{good}\n```")

    upstream.script("a", [reply, stop])
    folder.write(json.dumps(SCHEMA).encode(), "labels.json")
    folder.write(b"review\ngood\nbad\nfine\n", "r.csv")
    words = ("--response-format", "labels.json")
    assert folder.run("run", "r.csv", *PROMPT, *words, "-o", "out.csv").code == 0
    assert len(upstream.calls) == 3
    upstream.calls.clear()
    upstream.script("a", answers(good))
    checked = (*words, "--check")
    quote = folder.run("quote", "r.csv", *PROMPT, *checked, "--json").json
    assert (quote["lines"], quote["reused_lines"]) == (1, 2)
    ran = folder.run("run", "r.csv", *PROMPT, *checked, "-o", "out.csv")
    assert ran.code == 0, ran.err
    assert [call.body["messages"][0]["content"] for call in upstream.calls] == ["Classify: bad"]
    assert [row["label"] for row in rows(Path("out.csv").read_bytes())] == ["ok"] * 3


def test_a_request_keeps_its_own_format(folder: BatchCommand, upstream: Upstream) -> None:
    upstream.script("a", answers('{"label": "ok", "score": 1, "tags": []}'))
    folder.write(json.dumps(SCHEMA).encode(), "labels.json")
    own = {"type": "object", "required": ["label"], "properties": {"label": {"const": "ok"}}}
    form = {"type": "json_schema", "json_schema": {"name": "own", "schema": own}}
    fields: list[dict[str, Any]] = [
        {"fanout": {"schema": own}},
        {"fanout": {"schema": own, "check": False}},
        {"fanout": {"check": None, "attempts": 3}, "response_format": form},
        {"fanout": {"check": False}},
    ]
    lines = [json.dumps({"prompt": "x", "model": "a", **one}) for one in fields]
    folder.write("\n".join(lines).encode(), "p.jsonl")
    words = ("--response-format", "labels.json", "--check", "--attempts", "1")
    ran = folder.run("run", "p.jsonl", *words, "-o", "out.jsonl")
    assert ran.code == 0, ran.err
    sent = [call.body["response_format"]["json_schema"]["schema"] for call in upstream.calls]
    assert sorted(sent, key=str) == sorted([own, own, own, SCHEMA], key=str)
    bodies = map(json.loads, Path("out.jsonl").read_text().splitlines())
    checked = {
        one["custom_id"] for one in bodies if one["response"]["body"].get("fanout") is not None
    }
    assert checked == {"line-1", "line-3"}


def test_a_format_by_which_nothing_can_be_checked_is_an_error_of_the_command(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"review\ngood\n", "r.csv")
    folder.write(b'{"prompt": "x", "model": "a"}\n', "p.jsonl")
    reference = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/s"}}}
    cases: list[tuple[dict[str, Any], str]] = [
        (reference, "--response-format refers to `http://127.0.0.1/s`, and nothing is fetched"),
        ({"type": "json_object"}, "--check needs a JSON Schema, and `s.json` has none"),
        ({"type": "objekt"}, "--response-format is not a valid JSON schema: at `type`"),
    ]
    for schema, message in cases:
        folder.write(json.dumps(schema).encode(), "s.json")
        for source in (["r.csv", *PROMPT], ["p.jsonl"]):
            ran = folder.run("run", *source, "--response-format", "s.json", "--check")
            assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
            assert message in ran.err
    folder.write(b'{"prompt": "x", "model": "a", "fanout": {"attempts": 0}}\n', "p.jsonl")
    folder.write(json.dumps(SCHEMA).encode(), "s.json")
    ran = folder.run("run", "p.jsonl", "--response-format", "s.json", "--check")
    assert ran.code == 2
    assert "`fanout.attempts` must be at least 1" in ran.err
    assert not upstream.calls


def test_a_check_is_added_to_the_fanout_of_each_request(
    folder: BatchCommand, upstream: Upstream
) -> None:
    upstream.script("a", answers("no"), answers('{"label": "ok", "score": 1, "tags": []}'))
    folder.write(json.dumps(SCHEMA).encode(), "labels.json")
    folder.write(b'{"prompt": "x", "model": "a", "fanout": {"attempts": 3}}\n', "p.jsonl")
    words = ("--response-format", "labels.json", "--check", "--attempts", "1")
    assert folder.run("run", "p.jsonl", *words).code == 0
    assert len(upstream.calls) == 2


def test_requests_and_texts_can_be_written_as_a_table(folder: BatchCommand) -> None:
    folder.write(b'{"custom_id": "x", "prompt": "one", "model": "a"}\n', "p.jsonl")
    assert folder.run("run", "p.jsonl", "-o", "out.csv").code == 0
    (row,) = rows(Path("out.csv").read_bytes())
    assert (row["custom_id"], row["prompt"], row["answer"]) == ("x", "one", "ONE")
    folder.write(b"one\n\ntwo\n", "p.txt")
    assert folder.run("run", "p.txt", "--text", "-m", "a", "-o", "out.csv").code == 0
    found = [(one["custom_id"], one["answer"]) for one in rows(Path("out.csv").read_bytes())]
    assert found == [("line-1", "ONE"), ("line-3", "TWO")]


def test_a_changed_file_of_requests_sends_only_new_ones(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b'{"prompt": "one"}\n{"prompt": "two"}\n', "p.jsonl")
    assert folder.run("run", "p.jsonl", "-m", "a", "-o", "out.jsonl").code == 0
    upstream.calls.clear()
    folder.write(b'{"prompt": "new"}\n{"prompt": "two"}\n\n{"prompt": "last"}\n', "p.jsonl")
    assert folder.run("run", "p.jsonl", "-m", "a", "-o", "out.jsonl").code == 0
    assert sorted(prompts_sent(upstream)) == ["last", "new"]
    found = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in map(json.loads, Path("out.jsonl").read_text().splitlines())
    }
    assert found == {"line-1": "NEW", "line-2": "TWO", "line-4": "LAST"}
    assert folder.run("run", "p.jsonl", "-m", "a", "-o", "out.csv").code == 0
    table = rows(Path("out.csv").read_bytes())
    assert [one["answer"] for one in table] == ["NEW", "TWO", "LAST"]


def test_requests_get_the_parameters_that_they_do_not_have(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b'{"prompt": "one", "temperature": 1}\n{"prompt": "two"}\n', "p.jsonl")
    words = ("--max-tokens", "5", "--temperature", "0", "--limit", "2")
    assert folder.run("run", "p.jsonl", "-m", "a", *words).code == 0
    found = {
        call.body["messages"][0]["content"]: call.body["temperature"] for call in upstream.calls
    }
    assert found == {"one": 1, "two": 0}
    assert {call.body["max_completion_tokens"] for call in upstream.calls} == {5}


def test_values_like_formulas_stay_and_are_reported(
    folder: BatchCommand, upstream: Upstream
) -> None:
    folder.write(b"review\n=1+1\n- item\n-5\n@x\n", "r.csv")
    words = ("--prompt", "{review}", "-m", "a", "-o", "out.csv")
    ran = folder.run("run", "r.csv", *words)
    assert "2 rows have responses that begin like a spreadsheet's formula" in ran.err
    answers = [row["answer"] for row in rows(Path("out.csv").read_bytes())]
    assert answers == ["=1+1", "- ITEM", "-5", "@X"]
    ran = folder.run("run", "r.csv", *words, "--escape-formulas")
    assert "formula" not in ran.err
    found = rows(Path("out.csv").read_bytes())
    assert [row["answer"] for row in found] == ["'=1+1", "'- ITEM", "-5", "'@X"]
    assert [row["review"] for row in found] == ["'=1+1", "'- item", "-5", "'@x"]
    upstream.script("a", [refuse(400, "no")])
    ran = folder.run("run", "r.csv", *words, "--escape-formulas", "--fresh")
    assert ran.err.rstrip().endswith(" -o out.csv --escape-formulas"), "the retry's, to paste"


# ---- JSONL and Parquet ----


def test_a_table_in_jsonl_comes_back_with_its_own_keys(folder: BatchCommand) -> None:
    lines: list[dict[str, Any]] = [
        {"id": 1, "review": "good", "tags": ["x"]},
        {"review": "bad", "more": None},
    ]
    folder.write("\n".join(map(json.dumps, lines)).encode(), "r.jsonl")
    assert folder.run("run", "r.jsonl", *PROMPT, "-o", "out.jsonl").code == 0
    found = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    added = {"error": None, "model": "a", "tokens": 12, "cost_usd": COST}
    assert found == [
        {**lines[0], "answer": "GOOD", **added},
        {**lines[1], "answer": "BAD", **added},
    ]
    assert folder.run("run", "r.jsonl", *PROMPT, "-o", "out.csv").code == 0
    assert rows(Path("out.csv").read_bytes())[0]["tags"] == '["x"]'
    ran = folder.run("run", "r.jsonl", "--prompt", "{reviews}", "-m", "a")
    assert (ran.code, ran.err) == (
        2,
        "fanout: there is no column `reviews`; did you mean `review`?\n",
    )
    folder.write(b'{"review": "x"}\n[1]\n', "r.jsonl")
    ran = folder.run("run", "r.jsonl", *PROMPT)
    assert (ran.code, ran.err) == (2, "fanout: line 2 is not a JSON object\n")


def test_parquet_keeps_the_types_of_its_columns(folder: BatchCommand, upstream: Upstream) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 2_500
    times = pa.array([1_700_000_000_123_456_789 + i for i in range(count)], pa.timestamp("ns"))
    table = pa.table(
        {
            "id": pa.array(range(count), pa.int32()),
            "review": pa.array([f"text {i}" for i in range(count)]),
            "at": times,
            "list": pa.array([[i, None] for i in range(count)], pa.list_(pa.int16())),
            "kind": pa.array(["x"] * count).dictionary_encode(),
        },
    )
    pq.write_table(table, "r.parquet", row_group_size=700)
    assert folder.run("run", "r.parquet", *PROMPT, "--id", "id").code == 0
    found = pq.read_table("r.output.parquet")
    assert found.select(table.column_names).equals(table)
    assert found["answer"].to_pylist() == [f"TEXT {i}" for i in range(count)]
    assert found["tokens"].type == pa.int64()
    assert found["cost_usd"].to_pylist() == [COST] * count
    assert folder.run("run", "r.parquet", *PROMPT, "--id", "id", "-o", "out.csv").code == 0
    assert rows(Path("out.csv").read_bytes())[3]["list"] == "[3,null]"
    folder.write(b",,review\n1,2,good\n", "r.csv")
    assert folder.run("run", "r.csv", *PROMPT, "-o", "out.parquet").code == 0
    columns = pq.read_table("out.parquet")
    assert columns.column_names[:4] == ["column_1", "column_2", "review", "answer"]
    assert columns["review"].to_pylist() == ["good"]
    ran = folder.run("run", "r.parquet")
    assert ran.err == (
        "fanout: `r.parquet` is a Parquet file: use --column with one of `id`, `review`, `at`, "
        "`list`, `kind`, or --prompt with columns in braces\n"
    )
    folder.write(Path("r.parquet").read_bytes()[:-30], "cut.parquet")
    ran = folder.run("run", "cut.parquet", *PROMPT)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "cannot be read as Parquet" in ran.err


def test_without_pyarrow_parquet_is_one_sentence(
    folder: BatchCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    folder.write(b"review\ngood\n", "r.csv")
    ran = folder.run("run", "r.csv", *PROMPT, "-o", "out.parquet")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "Parquet needs pyarrow: run `pip install" in ran.err


# ---- mistakes ----


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "`r.csv` is a CSV: use --column with one of `id`, `review`, or --prompt with columns"),
        (["--column", "reviw", "-m", "a"], "there is no column `reviw`; did you mean `review`?"),
        (["--prompt", "{Review}", "-m", "a"], "there is no column `Review`; did you mean"),
        (["--prompt", "x", "-m", "a"], "--prompt names no column; write {id} or {review}"),
        (["--column", "review", "--id", "ids", "-m", "a"], "there is no column `ids`; did you"),
        (["--column", "review", "--limit", "0", "-m", "a"], "--limit must be at least 1"),
        (["--column", "review", "--max-tokens", "0"], "--max-tokens must be at least 1"),
        (["--column", "review", "--temperature", "3"], "--temperature must be from 0 to 2"),
        (["--column", "review", "-m", "a", "-o", "x.xlsx"], "`.xlsx` cannot be written: use .csv"),
        (["--text", "--id", "id"], "--id needs --column or --prompt"),
        (["--column", "review", "--response-format", "none.json"], "there is no file `none.json`"),
        (["--column", "review", "--response-format", "r.csv"], "`r.csv` is not JSON: "),
        (["--column", "review", "-m", "aa"], "there is no model `aa`; did you mean `a`?"),
        (["--column", "review", "--id", "review", "-m", "a"], "row 2: the same id as row 1"),
    ],
)
def test_a_mistake_is_one_line_with_the_fix(
    folder: BatchCommand, upstream: Upstream, words: list[str], message: str
) -> None:
    folder.write(b"id,review\n1,good\n2,good\n", "r.csv")
    folder.write(b"of an earlier run\n", "out.csv")
    ran = folder.run("run", "r.csv", "-o", "out.csv", *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1, ran.err
    assert not upstream.calls
    assert Path("out.csv").read_text() == "of an earlier run\n"
    assert folder.run("status", "--json").json == []
