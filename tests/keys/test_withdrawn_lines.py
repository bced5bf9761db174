"""A job's line of any kind whose next call its key may not make: it has no result, or an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from fanout.keys import charged_job, current_rights
from tests.keys.local_gateway import ADMIN, MASTER, serving
from tests.keys.test_jobs_of_keys import Client
from tests.keys.test_withdrawn_rights import Withdraw, blocked, narrowed
from tests.support.embedding_provider import embeds
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers, refuse, wait
from tests.support.scripted_provider import Script, Upstream

HI: Any = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
NO: Script = [refuse(400, "no")]
FAILS: Script = [refuse(500, "no")]
BAD = answers("no JSON")


class Kind(Struct, frozen=True):
    """
    A line's body, and the responses to its calls before the one that is not made.

    If the key may not use a model any more, the line `fails`; otherwise it has the other calls'.
    """

    body: dict[str, Any]
    responses: list[Script]
    fails: bool = True
    url: str = "/v1/chat/completions"


def several(mode: str, *models: str, **more: Any) -> dict[str, Any]:
    return {"messages": HI, "fanout": {"mode": mode, "models": list(models), **more}}


def checked(**more: Any) -> dict[str, Any]:
    return {"model": "a", "messages": HI, "fanout": {"schema": SCHEMA, **more}}


KINDS = {
    "a line that is sent again": Kind({"model": "a", "messages": HI}, [FAILS]),
    "a retry": Kind({"model": "a", "messages": HI, "num_retries": 2}, [FAILS]),
    "a fallback": Kind({"model": "a", "messages": HI, "fallbacks": ["b"]}, [NO]),
    "conversations": Kind({"model": "a", "messages": [HI, HI]}, [answers("one")], fails=False),
    "race": Kind(several("race", "a", "b"), [NO]),
    "hedge": Kind(several("hedge", "a", "b", stagger=60), [NO]),
    "all": Kind(several("all", "a", "b"), [answers("one")], fails=False),
    "best": Kind(several("best", "a", "b", judge="c"), [answers("one")], fails=False),
    "the judge": Kind(
        several("best", "a", "b", judge="c"), [answers("one"), answers("two")], fails=False
    ),
    "merge": Kind(
        several("merge", "a", "b", judge="c"), [answers("one"), answers("two")], fails=False
    ),
    "agree": Kind(several("agree", "a", "b", k=2, start=1), [answers("one")]),
    "agree, after a vote": Kind(
        several("agree", "a", "b", "c", k=2, start=1), [answers("one"), answers("two")]
    ),
    "agree, with a failed model": Kind(several("agree", "a", "b", "c", k=2, start=1), [NO]),
    "a schema": Kind(checked(attempts=4), [BAD]),
    "a schema, the third call": Kind(checked(attempts=4), [BAD, BAD]),
    "a schema, escalated": Kind(checked(attempts=1, escalate=["b"]), [BAD]),
    "a schema, escalated twice": Kind(checked(attempts=1, escalate=["b", "c"]), [BAD, BAD]),
    "a schema in each conversation": Kind(
        {**checked(attempts=2), "messages": [HI, HI]}, [answers('{"n":1}')], fails=False
    ),
    "a schema and agree": Kind(
        several("agree", "a", "b", k=2, start=1, schema=SCHEMA), [answers('{"n":1}')]
    ),
    "embeddings": Kind(
        {"model": "a", "input": "Hi", "num_retries": 2}, [FAILS], url="/v1/embeddings"
    ),
}
"""Each kind of line with more than one call."""


@pytest.fixture(scope="module")
def gateway(
    provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway that makes one call at a time."""
    home: Path = tmp_path_factory.mktemp("home")
    models = [entry(provider, name) for name in ("a", "b", "c", "other")]
    with serving(home, models, {"global_max_parallel_requests": 1}) as served:
        yield served


@pytest.fixture(autouse=True)
def at_once(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every call reads the rights."""
    monkeypatch.setattr(current_rights, "MAX_AGE", 0.0)
    monkeypatch.setattr(charged_job, "MAX_AGE", 0.0)
    yield
    Client.close_all()


def start(client: Client, kind: Kind) -> str:
    row = {"custom_id": "one", "method": "POST", "url": kind.url, "body": kind.body}
    file = client.sdk.files.create(file=("in.jsonl", json.dumps(row).encode()), purpose="batch")
    endpoint: Any = kind.url
    batch = client.sdk.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h"
    )
    return batch.id


def ended(client: Client, gateway: RunningGateway, job: str) -> Any:
    client.key = MASTER  # it may read every job
    client.move_to(gateway)
    return client.ended(job)


def script(upstream: Upstream, kind: Kind, gate: Any) -> None:
    """The models in the order of their calls; the last response before the withdrawal waits."""
    *first, last = kind.responses
    scripts = [*first, [wait(gate), *last]]
    fanout = kind.body.get("fanout", {})
    models = fanout.get("models") or ["a", *fanout.get("escalate", [])]
    if len(models) == 1:
        upstream.script("a", *scripts, [embeds("openai")] if "input" in kind.body else BAD)
        return
    for name, one in zip(models, scripts, strict=False):
        upstream.script(name, one)


@pytest.mark.parametrize("withdraw", [blocked, narrowed], ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_a_line_whose_next_call_is_not_made(
    gateway: RunningGateway, upstream: Upstream, kind: str, withdraw: Withdraw
) -> None:
    of_kind, client, gate = KINDS[kind], Client(gateway), upstream.gate()
    script(upstream, of_kind, gate)
    calls = len(of_kind.responses)
    job = start(client, of_kind)
    upstream.wait(lambda: len(upstream.calls) == calls)
    withdraw(gateway, client)
    gate.open()
    batch = ended(client, gateway, job)
    assert len(upstream.calls) == calls
    check_end(batch, withdraw, fails=of_kind.fails)


@pytest.mark.parametrize("withdraw", [blocked, narrowed], ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_a_line_whose_first_call_is_not_made(
    gateway: RunningGateway, upstream: Upstream, kind: str, withdraw: Withdraw
) -> None:
    client, gate = Client(gateway), upstream.gate()
    upstream.script("other", [wait(gate), *answers("Hello")])
    other = gateway.send({"model": "other", "messages": HI}, headers=ADMIN)
    upstream.wait_called("other")
    job = start(client, KINDS[kind])
    is_shown = KINDS[kind].url != "/v1/embeddings"  # for such a line, any moment will do
    client.wait_for(
        job, lambda batch: batch.fanout["waits"] if is_shown else batch.status == "in_progress"
    )
    withdraw(gateway, client)
    gate.open()
    batch = ended(client, gateway, job)
    other.getresponse().read()
    other.close()
    assert [call.model for call in upstream.calls] == ["other"]
    check_end(batch, withdraw, fails=True)


def check_end(batch: Any, withdraw: Withdraw, *, fails: bool) -> None:
    """What a job has come to whose only line may not make a call."""
    counts = batch.request_counts
    if withdraw is not narrowed:
        assert (batch.status, counts.completed) == ("cancelled", 0), batch
        assert [error.code for error in batch.errors.data] == ["invalid_api_key"]
        assert list(batch.fanout["causes"]) == ["batch_cancelled"]  # so a retry sends it
    else:
        assert batch.status == "completed"
        assert (counts.completed, counts.failed) == ((0, 1) if fails else (1, 0))
        if fails:
            assert list(batch.fanout["causes"]) == ["model_not_allowed"]
