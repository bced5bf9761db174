"""The codecs of the vendors' batch APIs at scripted servers of them, which keep their own bill."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import BadWire, Target
from fanout.providers.native_batch import NativeBatch, Row
from fanout.providers.native_batch_data import is_cut
from fanout.schema.validation import parse_chat
from fanout.transport.engine import Outgoing
from fanout.wire.http import WireRequest
from tests.providers.batch_runs import HOUR, OPTIONS, VENDORS, ErrorStatus, Run, finish, lines, run
from tests.support.native_doubles.bill import Lane
from tests.support.native_doubles.gemini_double import GeminiDouble
from tests.support.native_doubles.mounted import DoubleEngine, asgi
from tests.support.native_doubles.openai_double import OpenAIDouble
from tests.support.native_doubles.script import Script

TEXTS = ["one", "two", "three", "bad", "busy"]
GOOD = {"one", "two", "three"}
"""The prompts of `TEXTS` that succeed."""


def outcome(text: str, _lane: Lane) -> int:
    return {"bad": 400, "busy": 429}.get(text, 200)


def texts_of(rows: list[Row]) -> list[str]:
    """What the successful rows say."""
    completions = [row.completion for row in rows if row.completion is not None]
    return [str(one["choices"][0]["message"]["content"])[6:] for one in completions]


def kinds_of(rows: list[Row]) -> Counter[str]:
    return Counter(row.kind for row in rows)


def test_a_batch_has_a_row_for_each_line_and_each_success_is_billed_once_at_half_price() -> None:
    async def check(name: str) -> tuple[object, ...]:
        one = run(name, outcome=outcome)
        made = await one.create(TEXTS)
        assert (await one.poll(made.id)).state in {"validating", "in_progress"}
        found = await one.listed()
        batch = await one.follow(made.id)
        rows = await one.rows(batch)
        one.double.settle()
        assert [b.id for b in found] == [made.id]
        assert found[0].created_at == pytest.approx(one.clock.time - 1260.0, abs=60)
        assert found[0].key == (None if one.codec.found_by == "none" else "k1")
        failed = {row.id: (row.status, row.may_succeed) for row in rows if row.kind == "failed"}
        bill = one.double.bill
        assert bill.nanodollars * 2 == bill.at_list_price
        assert bill.texts() == Counter(GOOD)
        return batch.state, sorted(texts_of(rows)), failed

    failed = {"f1-4": (400, False), "f1-5": (429, True)}
    expected = "completed", sorted(GOOD), failed
    assert {name: finish(check(name)) for name in VENDORS} == dict.fromkeys(VENDORS, expected)


def test_a_call_in_real_time_is_on_the_same_bill_with_its_lane() -> None:
    async def check(name: str) -> tuple[object, ...]:
        one = run(name)
        await one.create(["in a batch"])
        provider, target = registry.find(name), Target("m", VENDORS[name][1], options=OPTIONS)
        for tier in ("default", "flex"):
            body = {"messages": [{"role": "user", "content": tier}], "service_tier": tier}
            request = provider.chat.encode(parse_chat(body), target, False)
            completion = provider.chat.decode(await one.send(request), target)
            assert completion["choices"][0]["message"]["content"] == f"echo: {tier}"
        one.double.settle()
        return tuple((entry.text, entry.lane) for entry in one.double.bill.entries)

    now, batched = ("default", "realtime"), ("in a batch", "native")
    names = ("openai", "gemini", "bedrock")
    expected = (now, ("flex", "flex"), batched)
    assert {name: finish(check(name)) for name in names} == dict.fromkeys(names, expected)


def test_a_batch_whose_creation_had_no_response_is_found_or_created_only_once() -> None:
    async def check(name: str) -> tuple[object, ...]:
        one = run(name, script=Script(reply="lost", late_lists=1))
        with pytest.raises(ConnectionResetError):
            await one.create(["one"])
        if one.codec.found_by == "token":
            source = await one.upload("k1", one.codec.data(lines(["one"])))
            made = one.codec.read(await one.send(one.codec.create("k1", source)))
            return [made.id] == list(one.double.batches), "token"
        assert await one.listed() == []
        found = await one.listed()
        keyed = [batch for batch in found if batch.key == "k1"]
        return [batch.id for batch in found] == list(one.double.batches), len(keyed)

    found = {name: finish(check(name)) for name in VENDORS}
    assert found == {
        **dict.fromkeys(VENDORS, (True, 1)),
        "anthropic": (True, 0),  # nothing in a list tells which batch it is
        "bedrock": (True, "token"),
    }


def test_every_page_of_a_list_is_read() -> None:
    async def check(name: str) -> int:
        one = run(name)
        if isinstance(one.double, GeminiDouble):
            one.double.most_open = 1_000
        for number in range(205):
            await one.create(["one"], f"k{number}")
        mine = [batch.key for batch in await one.listed("k7")]
        return mine.count("k7")

    names = ("openai", "gemini", "mistral", "bedrock")
    assert {name: finish(check(name)) for name in names} == dict.fromkeys(names, 1)


def test_a_poll_may_be_answered_by_an_error_a_strange_state_or_no_json() -> None:
    async def check(name: str) -> list[object]:
        one = run(name, script=Script(late_reads=2, polls=(429, 500, "unknown", "garbage")))
        made = await one.create(["one"])
        found: list[object] = []
        for _ in range(7):
            try:
                found.append((await one.poll(made.id)).state)
            except ErrorStatus as error:
                found.append(error.status)
            except BadWire:
                found.append("malformed")
        return found

    states = [404, 404, 429, 500, "unknown", "malformed", "validating"]
    expected = {**dict.fromkeys(VENDORS, states), "anthropic": [*states[:-1], "in_progress"]}
    assert {name: finish(check(name)) for name in VENDORS} == expected


def test_rows_may_be_missing_repeated_foreign_and_in_any_order_whatever_the_counts() -> None:
    script = Script(shuffled=True, missing=1, duplicated=1, foreign=2, counts="wrong")

    async def check(name: str) -> tuple[object, ...]:
        one = run(name, script=script)
        made = await one.create([f"line {number}" for number in range(6)])
        rows = await one.rows(await one.follow(made.id))
        ids = Counter(row.id for row in rows)
        own = [name for name in ids if name.startswith("f1-")]
        return len(own), max(ids.values()), len(ids) - len(own)

    assert {name: finish(check(name)) for name in VENDORS} == dict.fromkeys(VENDORS, (5, 2, 2))


def test_a_file_that_ends_in_the_middle_of_a_row_is_recognized() -> None:
    async def check(name: str) -> tuple[object, ...]:
        one = run(name, script=Script(cut_downloads=1, counts="zero"))
        made = await one.create([f"line {number}" for number in range(9)])
        batch = await one.follow(made.id)
        cut, whole = (await one.fetch(batch))[0], (await one.fetch(batch))[0]
        no_newline = whole.rstrip(b"\n")
        one.double.batches[made.id].script = Script(gone=True)
        is_gone = False
        try:
            await one.fetch(batch)
        except ErrorStatus as error:
            is_gone = error.status == (403 if name == "bedrock" else 404)
        return is_cut(cut), is_cut(whole), is_cut(no_newline), is_gone

    expected = (True, False, False, True)
    assert {name: finish(check(name)) for name in VENDORS} == dict.fromkeys(VENDORS, expected)


def test_a_batch_that_is_out_of_time_has_what_the_vendor_leaves() -> None:
    texts = [f"line {number}" for number in range(4)]

    async def check(name: str) -> tuple[object, ...]:
        one = run(name, script=Script(queue=HOUR, stuck=0.5))
        made = await one.create(texts)
        batch = await one.follow(made.id, 49 * HOUR)
        hours = round((one.clock.time - one.double.batches[made.id].created_at) / HOUR)
        rows = await one.rows(batch)
        one.double.settle()
        assert len(one.double.bill.entries) == 2
        return batch.state, hours, kinds_of(rows)["ok"], kinds_of(rows)["not_run"]

    assert {name: finish(check(name)) for name in VENDORS} == {
        "openai": ("expired", 24, 2, 2),
        "azure": ("in_progress", 49, 0, 0),
        "groq": ("expired", 24, 2, 2),
        "anthropic": ("completed", 24, 2, 2),
        "gemini": ("expired", 48, 0, 0),
        "mistral": ("expired", 24, 2, 0),
        "bedrock": ("expired", 24, 2, 0),
    }


async def cancelled(one: Run, after: float) -> NativeBatch:
    made = await one.create([f"line {number}" for number in range(4)])
    one.clock.advance(after)
    return await one.cancel(made.id)


def test_a_cancelled_batch_keeps_the_finished_lines_and_others_were_not_run() -> None:
    async def check(name: str) -> tuple[object, ...]:
        one = run(name, script=Script(queue=600, run=600))
        batch = await cancelled(one, 910)
        rows = await one.rows(batch)
        one.double.settle()
        assert len(one.double.bill.entries) == 2
        return batch.state, kinds_of(rows)["ok"], kinds_of(rows)["not_run"]

    rest = ("cancelled", 2, 2)
    assert {name: finish(check(name)) for name in VENDORS} == {
        **dict.fromkeys(VENDORS, rest),
        "anthropic": ("completed", 2, 2),
        "gemini": ("completed", 2, 2),
        "mistral": ("cancelled", 2, 0),
        "bedrock": ("cancelled", 2, 0),
    }


def test_a_cancel_may_come_too_late_lose_a_line_or_never_end() -> None:
    async def check(name: str, how: Any) -> tuple[int, int, bool]:
        one = run(name, script=Script(queue=600, run=600, cancel=how))
        batch = await cancelled(one, 910)
        rows = await one.rows(batch) if batch.is_over else []
        one.double.settle()
        bill = one.double.bill.entries
        return kinds_of(rows)["ok"], len(bill), any(entry.lost for entry in bill)

    found = {
        how: {finish(check(name, how)) for name in VENDORS}
        for how in ("too late", "loses", "never ends")
    }
    assert found == {
        "too late": {(4, 4, False)},
        "loses": {(1, 2, True)},
        "never ends": {(0, 4, False)},
    }


def test_googles_cancel_has_three_endings() -> None:
    async def check(after: float, word: Any) -> tuple[object, ...]:
        one = run("gemini", script=Script(queue=600, run=600))
        assert isinstance(one.double, GeminiDouble)
        one.double.cancelled_as = word
        batch = await cancelled(one, after)
        rows = await one.rows(batch)
        return batch.state, len(batch.outputs), kinds_of(rows)

    assert finish(check(10, "SUCCEEDED")) == ("cancelled", 0, {})
    assert finish(check(910, "SUCCEEDED")) == ("completed", 1, {"ok": 2, "not_run": 2})
    assert finish(check(910, "CANCELLED")) == ("cancelled", 1, {"ok": 2})


OPENAI_LINE: dict[str, Any] = {
    "custom_id": "b",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]},
}


@pytest.mark.parametrize("name", ["openai", "azure", "groq"])
def test_the_first_bad_line_fails_an_openai_batch(name: str) -> None:
    body = OPENAI_LINE["body"]
    bad: dict[str, dict[str, Any]] = {
        "duplicate_custom_id": {"custom_id": "a"},
        "missing_required_parameter": {"custom_id": None},
        "mismatched_model": {"body": {**body, "model": "gpt-4"}},
        "invalid_request": {"body": {}},
        "invalid_url": {"url": "/v1/responses"},
        "streaming_unsupported": {"body": {**body, "stream": True}},
    }

    async def check(second: str) -> tuple[str, int | None] | None:
        one = run(name)
        data = json.dumps({**OPENAI_LINE, "custom_id": "a"}) + "\n" + second + "\n"
        made = await one.create_from(data.encode())
        batch = await one.follow(made.id)
        one.double.settle()
        assert (batch.state, batch.outputs, one.double.bill.entries) == ("failed", (), [])
        return None if batch.fault is None else (batch.fault.code, batch.fault.line)

    found = {code: finish(check(json.dumps({**OPENAI_LINE, **part}))) for code, part in bad.items()}
    assert found == {code: (code, 2) for code in bad}
    assert finish(check("{")) == ("invalid_json_line", 2)


def test_openai_names_no_line_of_a_full_queue_and_no_output_of_failed_lines() -> None:
    async def check() -> None:
        one = run("openai", script=Script(over_limit=True))
        batch = await one.follow((await one.create(["one"])).id)
        assert batch.fault is not None
        assert (batch.fault.code, batch.fault.line) == ("token_limit_exceeded", None)
        one.double.script = lambda _number: Script()
        assert isinstance(one.double, OpenAIDouble)
        one.double.queue_tokens, one.double.empty_error_id = 5, True
        first = await one.create(["one"])
        assert (await one.follow((await one.create(["two " * 9])).id)).state == "failed"
        assert len((await one.follow(first.id)).outputs) == 1
        one.double.outcome = outcome
        failed = await one.follow((await one.create(["bad", "bad"])).id)
        assert (failed.state, kinds_of(await one.rows(failed))) == ("completed", {"failed": 2})
        one.double.script = lambda _number: Script(bad_line=1)
        fault = (await one.follow((await one.create(["one"])).id)).fault
        assert fault is not None
        assert fault.line == 1

    finish(check())


def test_the_other_vendors_reject_what_they_say() -> None:
    async def check(name: str, data: object, **double: object) -> int | str:
        one = run(name)
        for field, value in double.items():
            setattr(one.double, field, value)
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        try:
            made = await one.create_from(raw)
        except ErrorStatus as error:
            assert one.double.batches == {}
            return error.status
        return (await one.follow(made.id)).state

    good = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    ids = ["a b", "x" * 65, None, ""]
    wrong = [{"requests": [{"custom_id": one, "params": good}]} for one in ids]
    wrong += [{"requests": []}, {"requests": [{"custom_id": "a", "params": good}] * 2}]
    assert [finish(check("anthropic", one)) for one in wrong] == [400] * 6
    whole = {"requests": [{"custom_id": "a", "params": good}]}
    assert finish(check("anthropic", {**whole, "metadata": {}})) == 400
    assert finish(check("anthropic", whole, most_bytes=9)) == 413
    assert finish(check("anthropic", whole, queue_lines=0)) == 429
    contents = [{"role": "user", "parts": [{"text": "x"}]}]
    assert finish(check("gemini", {"key": "a", "request": {"contents": contents}})) == "completed"
    assert (
        finish(check("gemini", {"key": "a", "request": {"contents": contents, "topP": 1}})) == 400
    )
    assert finish(check("gemini", {"key": "a", "request": {}})) == 400
    assert finish(check("gemini", whole, most_open=0)) == 429
    assert finish(check("gemini", whole, models=frozenset({"other"}))) == 404
    row: dict[str, Any] = {
        "custom_id": "a",
        "body": {"messages": [{"role": "user", "content": "x"}]},
    }
    twice = (json.dumps(row) + "\n").encode() * 2
    assert finish(check("mistral", twice)) == "completed"  # ids are not checked
    assert finish(check("mistral", {**row, "body": {"messages": "x"}})) == 422
    assert finish(check("mistral", {**row, "body": {**row["body"], "temperature": 2}})) == 422
    assert finish(check("mistral", row, models=frozenset({"other"}))) == 422
    record = {"recordId": "a", "modelInput": {"messages": [{"content": [{"text": "x"}]}]}}
    assert finish(check("bedrock", record, least_lines=2)) == "failed"
    assert finish(check("bedrock", {"recordId": "a"})) == "failed"


def test_anthropic_judges_bodies_later_and_has_no_results_before_the_end() -> None:
    async def check() -> None:
        one = run("anthropic")
        good = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        bodies = [good, {**good, "stream": True}, {**good, "messages": []}]
        given = [{"custom_id": f"a{n}", "params": body} for n, body in enumerate(bodies)]
        made = await one.create_from(json.dumps({"requests": given}).encode())
        response = await one.double(one.codec.poll(made.id))
        counts = json.loads(response.body)["request_counts"]
        assert response.headers["retry-after"] == "10"
        assert counts == {
            "processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0,
        }  # fmt: skip
        assert one.codec.results(made) == ()
        path = f"/v1/messages/batches/{made.id}/results"
        assert (await one.double(WireRequest(path, b"", "GET"))).status == 404
        rows = await one.rows(await one.follow(made.id))
        assert kinds_of(rows) == {"ok": 1, "failed": 2}
        assert [row.id for row in rows] != ["a0", "a1", "a2"]

    finish(check())


def test_googles_inline_responses_are_nested_twice_and_its_counts_are_texts() -> None:
    async def check() -> None:
        one = run("gemini")
        contents = [{"role": "user", "parts": [{"text": "x"}]}]
        item = {"request": {"contents": contents}, "metadata": {"key": "f1-1"}}
        batch = {"displayName": "k1", "inputConfig": {"requests": {"requests": [item]}}}
        path = "/v1beta/models/m:batchGenerateContent"
        made = await one.send(WireRequest(path, json.dumps({"batch": batch}).encode()))
        name = json.loads(made.body)["name"]
        running = json.loads((await one.double(one.codec.poll(name))).body)
        assert "done" not in running
        assert running["metadata"]["batchStats"] == {"requestCount": "1"}
        await one.follow(name)
        over = json.loads((await one.double(one.codec.poll(name))).body)
        assert over["response"] == over["metadata"]["output"]
        rows = over["response"]["inlinedResponses"]["inlinedResponses"]
        assert [one.codec.row(json.dumps(row).encode()).id for row in rows] == ["f1-1"]
        empty = run("gemini")
        assert json.loads((await empty.double(empty.codec.list("k1", None))).body) == {}

    finish(check())


def test_the_codecs_limits_are_not_above_the_vendors() -> None:
    found = {
        name: one.codec.limits.lines <= getattr(one.double, "most_lines", 10**9)
        and one.codec.limits.bytes <= getattr(one.double, "most_bytes", 10**12)
        for name, one in ((name, run(name)) for name in VENDORS)
    }
    assert found == dict.fromkeys(VENDORS, True)


def test_a_double_can_be_behind_an_engine_and_behind_a_server() -> None:
    async def check() -> None:
        one = run("openai")
        made = await one.create(["one"])
        engine = DoubleEngine({"api.openai.com": one.double})
        url = f"https://api.openai.com/v1/batches/{made.id}"
        response = await engine.send(Outgoing("GET", url, {}, b""))
        assert json.loads(response.body)["id"] == made.id
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        path = f"/v1/batches/{made.id}"
        scope = {"path": path, "query_string": b"", "headers": [], "method": "GET"}
        await asgi(one.double)(scope, receive, send)
        assert (sent[0]["status"], sent[1]["body"]) == (200, response.body)

    finish(check())
