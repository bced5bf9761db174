"""OpenAI's official client, unchanged, with files, batches and uploads."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import openai
import pytest
from openai.types import Batch

from fanout.bulk.local import job_tasks
from fanout.bulk.service.new_job import NewJob
from tests.bulk.conftest import serve_jobs
from tests.bulk.local_jobs import jsonl, line
from tests.cli.commands import code_of
from tests.support.gateway_server import RunningGateway, entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, refuse, stalls
from tests.support.provider_steps import wait as wait_for
from tests.support.scripted_provider import Upstream

CHAT: Any = "/v1/chat/completions"


def upload(client: openai.OpenAI, data: bytes, name: str = "in.jsonl") -> str:
    return client.files.create(file=(name, data), purpose="batch").id


def create(client: openai.OpenAI, data: bytes, **more: Any) -> Batch:
    file_id = upload(client, data)
    return client.batches.create(
        input_file_id=file_id, endpoint=CHAT, completion_window="24h", **more
    )


def wait(client: openai.OpenAI, batch: Batch) -> Batch:
    """Wait for the end of the batch: poll it, as users do."""
    until = monotonic() + PATIENCE
    over = {"completed", "failed", "cancelled", "expired"}
    while batch.status not in over:
        assert monotonic() < until, batch
        sleep(0.02)
        batch = client.batches.retrieve(batch.id)
    return batch


def output(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    assert file_id is not None
    lines = [json.loads(text) for text in client.files.content(file_id).iter_lines()]
    return {one["custom_id"]: one for one in lines}


def client_of(server: RunningGateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{server.url}/v1", max_retries=0)


def test_a_batch_of_two_models_from_upload_to_output(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    upstream.script("b", [refuse(400, "no such thing")])
    file = client.files.create(
        file=("in.jsonl", jsonl([line("x"), line("y", "b")])), purpose="batch"
    )
    assert (file.object, file.purpose, file.filename) == ("file", "batch", "in.jsonl")
    assert client.files.retrieve(file.id).bytes == file.bytes
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint=CHAT,
        completion_window="24h",
        metadata={"team": "red"},
    )
    assert (batch.object, batch.status, batch.input_file_id) == ("batch", "validating", file.id)
    assert batch.expires_at == batch.created_at + 86_400
    batch = wait(client, batch)
    assert (batch.status, batch.errors, batch.metadata) == ("completed", None, {"team": "red"})
    counts = batch.request_counts
    assert counts is not None
    assert (counts.total, counts.completed, counts.failed) == (2, 1, 1)
    assert batch.usage is not None
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (5, 7)
    result = output(client, batch.output_file_id)["x"]
    assert result["response"]["body"]["choices"][0]["message"]["content"] == "Hello"
    assert (result["response"]["status_code"], result["error"]) == (200, None)
    error = output(client, batch.error_file_id)["y"]["response"]
    assert error["status_code"] == 400
    assert error["body"]["error"]["message"] == "`b`: no such thing"
    fanout = batch.to_dict()["fanout"]
    assert isinstance(fanout, dict)
    example = {"custom_id": "y", "line": 2, "message": "`b`: no such thing"}
    assert fanout["examples"] == {"server_error": [example]}
    assert len(upstream.calls) == 2


def test_a_failed_batch_lists_the_errors_in_its_file(client: openai.OpenAI) -> None:
    batch = create(client, jsonl([line("x"), b"{oops", line("x")]))
    assert batch.status == "validating"
    batch = wait(client, batch)
    assert (batch.status, batch.failed_at is not None) == ("failed", True)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(error.code, error.line) for error in batch.errors.data] == [
        ("invalid_json_line", 2),
        ("duplicate_custom_id", 3),
    ]


def test_batches_are_listed_in_pages(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", answers())
    made = [create(client, jsonl([line("x")])).id for _ in range(5)]
    page = client.batches.list(limit=2)
    assert ([b.id for b in page.data], page.has_more) == (made[:2:-1], True)
    assert [batch.id for batch in client.batches.list(limit=2)] == made[::-1]
    after = client.batches.list(limit=2, after=made[2])
    assert ([b.id for b in after.data], after.has_more) == ([made[1], made[0]], False)


def test_files_are_listed_in_pages_by_order_and_purpose(client: openai.OpenAI) -> None:
    made = [upload(client, line(f"{i}")) for i in range(3)]
    assert [file.id for file in client.files.list(limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(order="asc", after=made[0])] == made[1:]
    assert client.files.list(purpose="batch_output").data == []


def test_a_deleted_file_is_not_found(client: openai.OpenAI) -> None:
    file_id = upload(client, line("x"))
    assert client.files.content(file_id).read() == line("x")
    assert client.files.delete(file_id).deleted
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError):
            gone(file_id)
    with pytest.raises(openai.BadRequestError, match="there is no file"):
        client.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")


def test_a_cancelled_batch_ends_within_seconds_with_its_finished_lines(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", answers("Hello"))
    upstream.script("b", stalls())
    batch = create(client, jsonl([line("x"), line("y", "b")]))
    upstream.wait_called("a", "b")
    until = monotonic() + PATIENCE
    while not (counts := client.batches.retrieve(batch.id).request_counts) or not counts.completed:
        assert monotonic() < until
        sleep(0.02)
    batch = client.batches.cancel(batch.id)
    assert (batch.status, batch.cancelling_at is not None) == ("cancelling", True)
    batch = wait(client, batch)
    assert batch.status == "cancelled"
    assert list(output(client, batch.output_file_id)) == ["x"]
    skipped = output(client, batch.error_file_id)["y"]
    assert (skipped["response"], skipped["error"]["code"]) == (None, "batch_cancelled")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
        client.batches.cancel(batch.id)


def test_a_batch_that_is_over_can_be_deleted_with_its_responses(
    client: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    def delete(batch: Batch, key: openai.OpenAI = client) -> Any:
        return key.delete(f"/batches/{batch.id}", cast_to=object)

    hold = upstream.gate()
    upstream.script("a", answers("Hello"))
    upstream.script("b", [wait_for(hold), *answers("late")])
    done = wait(client, create(client, line("x")))
    running = create(client, line("y", "b"))
    upstream.wait_called("b")
    with pytest.raises(openai.BadRequestError, match="in_progress': cancel it first"):
        delete(running)
    with client_of(server, "sk-other") as stranger, pytest.raises(openai.NotFoundError):
        delete(done, stranger)
    assert delete(done) == {"id": done.id, "object": "batch", "deleted": True}
    for gone in (
        lambda: client.batches.retrieve(done.id),
        lambda: client.files.content(str(done.output_file_id)),
        lambda: delete(done),
    ):
        with pytest.raises(openai.NotFoundError):
            gone()
    assert [one.id for one in client.batches.list()] == [running.id]
    assert client.files.content(done.input_file_id).read() == line("x"), "its user deletes it"
    hold.open()
    assert wait(client, running).status == "completed"
    assert delete(running)["deleted"]


def test_a_batch_can_be_cancelled_before_its_first_line(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(job_tasks, "MAX_LARGE_JOBS", 1)
    upstream.script("b", stalls())
    config = {"model_list": [entry(upstream, name, max_parallel_requests=2) for name in "ab"]}
    lines = [f"n{i}" for i in range(3_000)]
    with serve_jobs(config, tmp_path / "home") as server, client_of(server, "any") as client:
        first = create(client, jsonl(line(name, "b") for name in lines))
        upstream.wait_called("b")
        batch = create(client, jsonl(map(line, lines)))
        assert client.batches.cancel(batch.id).status == "cancelling"
        batch = wait(client, batch)
        client.batches.cancel(first.id)
        wait(client, first)
        assert (batch.status, batch.output_file_id) == ("cancelled", None)
        assert upstream.calls_to("a") == []
        counts = batch.request_counts
        assert counts is not None
        assert counts.total == counts.failed
        if batch.error_file_id:
            skipped = output(client, batch.error_file_id).values()
            assert {one["error"]["code"] for one in skipped} == {"batch_cancelled"}


def test_a_line_of_five_megabytes_is_sent(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", answers("Hello"))
    data = b"\xef\xbb\xbf" + line("big", text="x" * 5_000_000) + b"\r\n" + line("y") + b"\r\n\r\n"
    batch = wait(client, create(client, data))
    assert sorted(output(client, batch.output_file_id)) == ["big", "y"]
    assert {len(call.body["messages"][0]["content"]) for call in upstream.calls} == {5_000_000, 1}


def test_a_large_file_is_uploaded_in_parts(
    client: openai.OpenAI, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers())
    data = jsonl(line(f"n{i}", text="x" * 2_000) for i in range(500))
    path = tmp_path / "big.jsonl"
    path.write_bytes(data)
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="application/jsonl", purpose="batch", part_size=100_000
    )
    assert (done.status, done.bytes) == ("completed", len(data))
    assert done.file is not None
    assert client.files.content(done.file.id).read() == data
    batch = client.batches.create(
        input_file_id=done.file.id, endpoint=CHAT, completion_window="24h"
    )
    counts = wait(client, batch).request_counts
    assert counts is not None
    assert (counts.total, counts.completed) == (500, 500)


def test_an_upload_is_rejected_if_its_parts_do_not_match_the_announced_size(
    client: openai.OpenAI,
) -> None:
    def begin(size: int) -> tuple[str, str]:
        made = client.uploads.create(
            filename="in.jsonl", purpose="batch", bytes=size, mime_type="application/jsonl"
        )
        part = client.uploads.parts.create(made.id, data=io.BytesIO(b"12345"))
        assert (part.object, part.upload_id) == ("upload.part", made.id)
        return made.id, part.id

    made, part = begin(6)
    with pytest.raises(openai.BadRequestError, match="announced 6"):
        client.uploads.complete(made, part_ids=[part])
    with pytest.raises(openai.BadRequestError, match="no part"):
        client.uploads.complete(made, part_ids=[part, "../../../etc/passwd"])
    made, part = begin(5)
    with pytest.raises(openai.BadRequestError, match="md5"):
        client.uploads.complete(made, part_ids=[part], md5="0" * 32)
    assert client.uploads.cancel(made).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.uploads.parts.create(made, data=b"1")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: upload(c, b"{}", "in.txt"), "Invalid file format for Batch API. Must be .jsonl"),
        (lambda c: c.files.create(file=("in.jsonl", b"{}"), purpose="assistants"), "purpose"),
        (lambda c: create(c, b"{}", extra_body={"input_file_id": "x"}), "no file"),
        (lambda c: create(c, b"{}", extra_body={"completion_window": "1y"}), "completion_window"),
        (lambda c: create(c, b"{}", extra_body={"endpoint": "/v1/responses"}), "endpoint"),
        (lambda c: c.batches.list(limit=101), "limit"),
        (lambda c: c.post("/files", body={}, cast_to=object), "multipart/form-data"),
    ],
)  # fmt: skip
def test_an_invalid_request_is_rejected_with_the_reason(
    client: openai.OpenAI, call: Callable[[openai.OpenAI], object], message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        call(client)


def test_a_key_sees_its_own_batches_and_files_and_may_use_only_its_models(
    client: openai.OpenAI, server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("a", answers())
    upstream.script("b", answers())
    with client_of(server, "sk-team") as team, client_of(server, "sk-other") as stranger:
        good = wait(team, create(team, jsonl([line("x", "a")])))
        assert good.status == "completed"
        bad = wait(team, create(team, jsonl([line("x", "a"), line("y", "a,b")])))
        assert bad.errors is not None
        assert bad.errors.data is not None
        assert [(e.code, e.line) for e in bad.errors.data] == [("model_not_allowed", 2)]
        assert not upstream.calls_to("b")
        assert stranger.batches.list().data == []
        assert stranger.files.list().data == []
        assert good.output_file_id is not None
        for theirs in (
            lambda: stranger.batches.retrieve(good.id),
            lambda: stranger.batches.cancel(good.id),
            lambda: stranger.files.content(str(good.output_file_id)),
            lambda: stranger.files.delete(good.input_file_id),
        ):
            with pytest.raises(openai.NotFoundError):
                theirs()
        assert [b.id for b in client.batches.list()] == [bad.id, good.id]
    with client_of(server, "sk-wrong") as wrong, pytest.raises(openai.AuthenticationError):
        wrong.files.list()


def test_a_file_and_an_output_can_expire(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", answers())
    life: Any = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("in.jsonl", line("x")), purpose="batch", expires_after=life)
    assert file.expires_at == file.created_at + 3600
    batch = client.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window="24h", output_expires_after=life
    )
    made = client.files.retrieve(str(wait(client, batch).output_file_id))
    assert made.expires_at == made.created_at + 3600
    assert made.purpose == "batch_output"


def test_a_job_that_does_not_keep_its_input_takes_the_file_with_it(
    client: openai.OpenAI, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", answers("Hello"))
    monkeypatch.setenv("FANOUT_HOME", str(tmp_path / "home"))
    own: dict[str, Any] = {"extra_body": {"fanout": {"keep_input": False}}}

    def inputs() -> list[str]:
        return [file.id for file in client.files.list(purpose="batch")]

    wrong = wait(client, create(client, b"{broken\n", **own))
    assert (wrong.status, inputs()) == ("failed", [])
    kept = wait(client, create(client, b"{broken\n"))
    assert inputs() == [kept.input_file_id]
    first = wait(client, create(client, jsonl([line("x")]), **own))
    fields: Any = {"input_file_id": first.input_file_id, "completion_window": "24h"}
    second = wait(client, client.batches.create(endpoint=CHAT, **fields, **own))
    for batch, left in ((kept, True), (first, True), (second, False)):
        assert code_of("batch", "remove", batch.id) == 0
        assert (first.input_file_id in inputs()) is left
    assert inputs() == [kept.input_file_id]


def test_a_dry_run_returns_a_quote_and_sends_nothing(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    file_id = upload(client, jsonl([line("x", max_tokens=100), line("y", "a,b")]))
    body = {"input_file_id": file_id, "endpoint": CHAT, "dry_run": True}
    with pytest.raises(openai.BadRequestError, match="endpoint"):
        client.post("/batches", body={**body, "endpoint": "/v1/responses"}, cast_to=object)
    quote: Any = client.post("/batches", body=body, cast_to=object)
    assert (quote["object"], quote["lines"]) == ("batch.quote", 2)
    assert {name: part["lines"] for name, part in quote["models"].items()} == {"a": 2, "b": 1}
    assert client.batches.list().data == []
    assert not upstream.calls


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("fanout", "param", "words"),
    [
        (
            {"lane": "fast"},
            "fanout.lane",
            "one of `auto`, `realtime`, `flex`, `native`, not `fast`",
        ),
        ({"native": "maybe"}, "fanout.native", "one of `never`, `auto`, `require`, not `maybe`"),
        ({"lane": "flex", "native": "auto"}, "fanout.native", "does not fit the lane `flex`"),
        ({"lane": "native", "native": "never"}, "fanout.native", "does not fit the lane `native`"),
        ({"lane": 3}, "fanout.lane", "fanout.lane"),
        ({"line": "flex"}, "fanout", "did you mean `lane`?"),
        ("flex", "fanout", "fanout"),
    ],
)
def test_an_unknown_lane_is_an_error_that_names_the_field_and_the_fix(
    client: openai.OpenAI, fanout: object, param: str, words: str, *, dry_run: bool
) -> None:
    file_id = upload(client, line("x"))
    body = {"input_file_id": file_id, "endpoint": CHAT, "fanout": fanout, "dry_run": dry_run}
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/batches", body=body, cast_to=object)
    assert raised.value.param == param
    assert words in raised.value.message
    assert client.batches.list().data == []


UNKNOWN_FIELDS = {
    "order": '`order` belongs in `fanout`: send `"fanout": {"order": …}`',
    "lane": '`lane` belongs in `fanout`: send `"fanout": {"lane": …}`',
    "max_cost": "`max_cost` is unknown; did you mean `max_cost_usd`?",
    "input_file": "`input_file` is unknown; did you mean `input_file_id`?",
    "zebra": "`zebra` is unknown; the fields are input_file_id, endpoint,",
}


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("name", UNKNOWN_FIELDS)
def test_a_field_that_a_batch_does_not_have_is_an_error_that_names_it_and_the_fix(
    client: openai.OpenAI, name: str, *, dry_run: bool
) -> None:
    """OpenAI's own fields all are known: its SDK sends no others."""
    body = {"input_file_id": upload(client, line("x")), "endpoint": CHAT, "dry_run": dry_run}
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/batches", body={**body, name: "input"}, cast_to=object)
    assert (raised.value.param, UNKNOWN_FIELDS[name] in raised.value.message) == (name, True)
    assert client.batches.list().data == []
    sent = inspect.signature(client.batches.create).parameters.keys()
    own = {one for one in sent if not one.startswith("extra_") and one != "timeout"}
    assert own <= set(NewJob.__struct_fields__)


@pytest.mark.parametrize("lane", ["auto", "realtime", "flex", "native"])
def test_a_batch_and_its_quote_have_the_lane_that_is_asked_for(
    client: openai.OpenAI, upstream: Upstream, lane: str
) -> None:
    upstream.script("a", answers("Salut"))
    more: Any = {"fanout": {"lane": lane}}
    batch: Any = create(client, line("x"), extra_body=more)
    assert batch.fanout["lane"] == lane
    done: Any = wait(client, batch)
    assert done.fanout["lanes"]["realtime"]["lines"] == 1
    assert done.fanout["saved_usd"] == 0
    body = {"input_file_id": batch.input_file_id, "endpoint": CHAT, "dry_run": True, **more}
    quote: Any = client.post("/batches", body=body, cast_to=object)
    assert (quote["lane"], list(quote["lanes"])) == (lane, ["realtime"])


def test_a_batch_can_have_a_model_and_a_window_of_its_own(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("b", answers("Salut"))
    more = {"model": "b", "completion_window": "14d"}
    batch = create(client, b'[{"role": "user", "content": "Hi"}]', extra_body=more)
    assert batch.expires_at == batch.created_at + 14 * 86_400
    assert list(output(client, wait(client, batch).output_file_id)) == ["line-1"]


@pytest.mark.parametrize(
    ("parts", "message"), [(["part_1", "part_1"], "an id twice"), (["p"] * 20_000, "10000 items")]
)
def test_an_upload_has_each_part_once_and_not_too_many(
    client: openai.OpenAI, parts: list[str], message: str
) -> None:
    made = client.uploads.create(
        filename="in.jsonl", purpose="batch", bytes=5, mime_type="application/jsonl"
    )
    with pytest.raises(openai.BadRequestError, match=message) as raised:
        client.uploads.complete(made.id, part_ids=parts)
    assert raised.value.param == "part_ids"
