"""What a client with a key tries: more memory, more time, more models than it may have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tests.faults.gateway_process import Gateway, gateway, model_list
from tests.support.provider_steps import answers, hang, refuse, role, say
from tests.support.scripted_provider import Upstream, open_upstream

from .attack import HI, MB, Attack, count, form, others, seconds, until, watched

SMALL = {"authorization": "Bearer sk-small"}
OTHER = {"authorization": "Bearer sk-other"}
SLOTS = 200
NAMES = ("ok", "slow", "fails", "secret")
OVER = {"completed", "failed", "cancelled", "expired"}

WAYS: list[dict[str, Any]] = [
    {"model": "secret"},
    {"model": "ok, secret"},
    {"model": ["ok", "secret"], "fastest_response": True},
    {"model": "ok", "fallbacks": ["secret"]},
    {"model": "fails"},
    {"fanout": {"models": ["ok", "secret"], "mode": "hedge", "stagger": 0}},
    {"model": "ok", "models": ["secret"]},
    {"model": "ok", "route": "fallback"},
    {"model": "ok", "provider": {"order": ["secret"]}},
    {"model": "ok", "plugins": [{"id": "web"}]},
    {"model": "ok", "extra_body": {"models": ["secret"]}},
]
ROUTING = {"models", "route", "provider", "plugins"}
STORED = [
    {"type": "file", "file": {"file_data": "s3://bucket/any.pdf", "filename": "any.pdf"}},
    {"type": "image_url", "image_url": {"url": "s3://bucket/any.png"}},
    {"type": "image_url", "image_url": {"url": "gs://bucket/any.png"}},
]


def measure(folder: Path) -> Iterator[Attack]:
    """All of them, on one gateway with three keys."""
    with open_upstream() as upstream:
        upstream.script("ok", answers("Hello"))
        upstream.script("slow", [role, say("x"), hang])
        upstream.script("fails", [refuse(500)])
        upstream.script("secret", answers("secret"))
        with gateway(_config(upstream), folder, quiet=True) as served:
            yield _job_of_unknown_models(served)
            yield _many_small_values(served)
            yield _many_parts(served)
            yield _rights(served, upstream)
            yield _slow_streams(served, upstream)
        yield _lost_right(folder, upstream)


def _config(upstream: Upstream, small: tuple[str, ...] = ("ok", "slow", "fails")) -> dict[str, Any]:
    general = {
        "master_key": "sk-master",
        "keys": [
            {"name": "small", "key": "sk-small", "models": list(small)},
            {"name": "other", "key": "sk-other"},
        ],
        "global_max_parallel_requests": SLOTS,
    }
    router = {"num_retries": 0, "fallbacks": [{"fails": ["secret"]}]}
    models = model_list([(name, upstream.url, {"api_key": "none"}) for name in NAMES])
    return {"model_list": models, "router_settings": router, "general_settings": general}


def create_job(
    served: Gateway, data: bytes, headers: dict[str, str], **more: Any
) -> tuple[int, Any]:
    """Upload a file and start a job; the status and the job."""
    body, content = form(data)
    status, _, file = served.json(body, "/v1/files", headers={**headers, **content})
    if status != 200:
        return status, file
    new = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions"}
    new |= {"completion_window": "24h", **more}
    status, _, job = served.json(new, "/v1/batches", headers=headers)
    return status, job


def wait_for_job(served: Gateway, job: Any, headers: dict[str, str]) -> Any:
    """The job at its end."""

    def ended() -> Any:
        found = served.json(None, f"/v1/batches/{job['id']}", "GET", headers)[2]
        return found if found["status"] in OVER else None

    return until(ended)


def line(name: str, model: Any, **more: Any) -> bytes:
    """A line of a job's input."""
    body = {"model": model, "messages": HI, **more}
    one = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(one).encode() + b"\n"


def _job_of_unknown_models(served: Gateway) -> Attack:
    data = b"".join(line(f"n{number}", f"unknown-{number}") for number in range(60_000))
    with watched(served) as usage:
        _, job = create_job(served, data, SMALL)
        ended = wait_for_job(served, job, SMALL)
    codes = {error["code"] for error in ended["errors"]["data"]}
    return Attack(
        "a job of unknown models",
        f"{len(data) / MB:.0f} MB of lines, each of which names another model",
        [
            count("it does not fail early", int("too_many_models" not in codes)),
            *usage.figures(60),
        ],
    )


def _many_small_values(served: Gateway) -> Attack:
    body = b'{"model": "ok", "messages": [' + b"{}," * 10_000_000 + b"{}]}"
    with watched(served) as usage, served.ask(body, headers=SMALL) as response:
        found = response.status
    return Attack(
        "a body of small objects",
        f"{len(body) / MB:.0f} MB of `{{}}`, which would be 30 times as much in memory",
        [count("responses other than 413", others([found], 413)), *usage.figures(150)],
    )


def _many_parts(served: Gateway) -> Attack:
    new = {"filename": "f.jsonl", "purpose": "batch", "bytes": 6, "mime_type": "text/jsonl"}
    _, _, upload = served.json(new, "/v1/uploads", headers=SMALL)
    ids = {"part_ids": ["part_x"] * 400_000}
    with watched(served) as usage:
        found = served.json(ids, f"/v1/uploads/{upload['id']}/complete", headers=SMALL)[0]
    return Attack(
        "an upload of countless parts",
        "an upload is completed with one part 400,000 times",
        [count("responses other than 400", others([found], 400)), *usage.figures(100)],
    )


def _rights(served: Gateway, upstream: Upstream) -> Attack:
    upstream.calls.clear()
    ways = [{"messages": HI, **body, "stream": on} for body in WAYS for on in (False, True)]
    ways += [{"model": "ok", "messages": [{"role": "user", "content": [p]}]} for p in STORED]
    found = [served.chat(body, SMALL).status for body in ways]
    for body in WAYS:
        if body.get("model") != "fails":  # its line would be sent again until the job's end
            status, job = create_job(served, line("x", **{"model": "ok", **body}), SMALL)
            if status == 200:
                wait_for_job(served, job, SMALL)
    fields = [call for call in upstream.calls if call.body.keys() & ROUTING]
    return Attack(
        "models without the right to them",
        "by a list, a fallback of the request or the config, a vendor's routing field, "
        "`s3://` and `gs://`; each plain, streamed, and as the line of a job",
        [
            count("responses of 200", found.count(200)),
            count("calls to that model", len(upstream.calls_to("secret"))),
            count("calls with a routing field", len(fields)),
        ],
    )


def _slow_streams(served: Gateway, upstream: Upstream) -> Attack:
    body = {"model": "slow", "messages": HI, "stream": True}
    with ExitStack() as stack, watched(served, OTHER) as usage:
        for _ in range(2 * SLOTS):
            stack.enter_context(closing(served.send(body, headers=SMALL)))
        until(lambda: len(upstream.calls_to("slow")) >= SLOTS // 2)
        ask = {"model": "ok", "messages": HI}
        found = [served.chat(ask, OTHER).status for _ in range(20)]
        held = len(upstream.calls_to("slow"))
    return Attack(
        "one key takes all slots",
        f"{2 * SLOTS} slow streams of one key at {SLOTS} slots, then 20 requests of another key",
        [
            count("responses other than 200 to the other key", others(found, 200)),
            count("slots of the one key", held, SLOTS * 3 // 4),
            seconds("another client waits", usage.longest, 2),
        ],
    )


def _lost_right(folder: Path, upstream: Upstream) -> Attack:
    upstream.script("secret", [refuse(400)])
    before = _config(upstream, ("ok", "secret"))
    with gateway(before, folder, quiet=True, name="before") as served:
        _, job = create_job(served, line("a", "secret") + line("b", "ok"), SMALL)
        wait_for_job(served, job, SMALL)
    upstream.calls.clear()
    with gateway(_config(upstream, ("ok",)), folder, quiet=True, name="after") as served:
        status, _, again = served.json({}, f"/v1/batches/{job['id']}/retry", headers=SMALL)
        if status == 200:
            wait_for_job(served, again, SMALL)
    return Attack(
        "a right that was taken away",
        "the retry of a job, after its key has lost the model",
        [count("calls to that model", len(upstream.calls_to("secret")))],
    )
