"""
The rights of a key count where a model is called, however its name got there.

Each way is tried with a key that may not use the model; the provider must not see a call to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.conftest import serve_jobs
from tests.bulk.local_jobs import (
    CONFIG,
    EchoProvider,
    LocalJobs,
    jsonl,
    line,
    open_jobs,
    run,
    with_key,
)
from tests.http.races import both_ways
from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]
TEAM, MASTER = {"authorization": "Bearer sk-team"}, {"authorization": "Bearer sk-master"}


@pytest.fixture(scope="module")
def server(
    provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway whose key `team` may use every model but `secret`, and nothing that leads there."""
    names = ("a", "fails", "long", "filtered", "secret")
    wildcard = entry(provider, "g/*", "gemini/*")
    router = {
        "num_retries": 0,
        "fallbacks": [{"fails": ["secret"]}],
        "default_fallbacks": ["secret"],
        "context_window_fallbacks": [{"long": ["secret"]}],
        "content_policy_fallbacks": [{"*": ["secret"]}],
        "model_group_alias": {
            "alias": "secret",
            "set": {"models": ["a", "secret"], "mode": "race"},
            "open": {"models": ["secret"], "mode": "all"},
        },
    }
    models = [*names[:-1], "open", "g/models/*"]
    general = {
        "master_key": "sk-master",
        "keys": [
            {"name": "team", "key": "sk-team", "models": models},
            {"name": "wide", "key": "sk-wide", "models": ["*"]},
            {"name": "own", "key": "sk-own", "models": ["a"], "fields": ["provider", "tools"]},
        ],
        "s3_buckets": ["ours"],
    }
    config = {
        "model_list": [*(entry(provider, name, f"openai_like/{name}") for name in names), wildcard],
        "router_settings": router,
        "general_settings": general,
    }
    with serve_jobs(config, tmp_path_factory.mktemp("home")) as served:
        yield served


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    def error(status: int, code: str) -> list[Any]:
        return [refuse(status, error={"message": "no", "type": "x", "code": code})]

    upstream.script("a", answers("ok"))
    upstream.script("secret", answers("secret"))
    upstream.script("fails", [refuse(500)])
    upstream.script("long", error(400, "context_length_exceeded"))
    upstream.script("filtered", error(400, "content_filter"))


NAMED: list[tuple[dict[str, Any], str]] = [
    ({"model": "secret"}, "model"),
    ({"model": "alias"}, "model"),
    ({"model": "set"}, "model"),
    ({"model": "a, secret"}, "model"),
    ({"model": ["a", "secret"], "fastest_response": True}, "model"),
    ({"model": "a", "fanout": {"models": ["a", "secret"]}}, "fanout.models"),
    ({"fanout": {"models": ["a", "alias"], "mode": "hedge", "stagger": 0}}, "fanout.models"),
    ({"fanout": {"models": ["a", "secret"], "mode": "fallback"}}, "fanout.models"),
    ({"extra_body": {"fanout": {"models": ["secret"]}}, "model": "a"}, "fanout.models"),
    ({"model": "a", "fallbacks": ["secret"]}, "fallbacks"),
    ({"model": "a", "fallbacks": [{"a": ["secret"]}]}, "fallbacks"),
    ({"model": "a", "fallbacks": [{"nobody": ["alias"]}]}, "fallbacks"),
    ({"model": "a", "extra_body": {"fallbacks": ["secret"]}}, "fallbacks"),
]
"""Requests that name the model, and the field that does."""


@both_ways
@pytest.mark.parametrize(("body", "param"), NAMED)
def test_a_name_without_the_right_is_a_403_that_names_the_field(
    server: RunningGateway, upstream: Upstream, body: dict[str, Any], param: str, *, stream: bool
) -> None:
    for messages in (HI, [HI, HI]):
        sent = {**body, "messages": messages, "stream": stream}
        status, _, response = server.json(sent, headers=TEAM)
        assert (status, response["error"]["code"]) == (403, "model_not_allowed")
        assert response["error"]["param"] == param
    assert upstream.calls == []


@both_ways
@pytest.mark.parametrize(("model", "status"), [("fails", 500), ("long", 400), ("filtered", 400)])
@pytest.mark.parametrize("extra", [{}, {"fanout": {"mode": "all"}}, {"fanout": {"mode": "race"}}])
def test_a_fallback_of_the_config_is_left_out_without_the_right(
    server: RunningGateway,
    upstream: Upstream,
    model: str,
    status: int,
    extra: dict[str, Any],
    *,
    stream: bool,
) -> None:
    body = {"model": model, "messages": HI, "stream": stream, **extra}
    assert server.json(body, headers=TEAM)[0] in {status, 502}
    assert upstream.calls_to("secret") == []
    assert server.chat(body, headers=MASTER).status == 200
    assert len(upstream.calls_to("secret")) == 1


def test_a_name_for_several_models_gives_its_models(
    server: RunningGateway, upstream: Upstream
) -> None:
    assert server.json({"model": "open", "messages": HI}, headers=TEAM)[0] == 200
    assert len(upstream.calls_to("secret")) == 1


@pytest.mark.parametrize("name", ["g/models/../secret", "g/models/x/../../secret", "g/models/./x"])
def test_a_wildcard_takes_no_name_that_leads_to_another_path(
    server: RunningGateway, upstream: Upstream, name: str
) -> None:
    assert server.json({"model": name, "messages": HI}, headers=TEAM)[0] == 404
    assert upstream.calls == []


ROUTING: dict[str, Any] = {
    "models": ["secret"],
    "route": "fallback",
    "provider": {"order": ["x"]},
    "plugins": [{"id": "auto-router", "allowed_models": ["secret"]}],
    "transforms": ["middle-out"],
    "preset": "p",
    "compound_custom": {"models": {"answering_model": "secret"}},
    "providerOptions": {"gateway": {"models": ["secret"]}},
    "router": "secret",
    "extra_body": {"extra_body": {"fallbacks": ["secret"]}},
    "data_sources": [{"type": "azure_search"}],
    "mcp_servers": [{"url": "https://x"}],
    "draft_model": "secret",
    "lora": "secret",
    "tools": [{"type": "openrouter:advisor", "parameters": {"model": "secret"}}],
    "a_field_of_next_year": "secret",
}
"""Fields by which a vendor may choose another model."""


@both_ways
@pytest.mark.parametrize("name", ROUTING)
def test_a_limited_key_sends_no_field_that_may_choose_a_model(
    server: RunningGateway, upstream: Upstream, name: str, *, stream: bool
) -> None:
    body = {"model": "a", "messages": HI, name: ROUTING[name], "stream": stream}
    status, _, response = server.json(body, headers=TEAM)
    assert (status, response["error"]["code"]) == (403, "field_not_allowed")
    assert response["error"]["param"] == ("tools[0].type" if name == "tools" else name)
    assert upstream.calls == []
    assert server.chat(body, headers={"authorization": "Bearer sk-wide"}).status == 200


def test_a_limited_key_sends_parameters_of_its_model_and_the_fields_of_its_entry(
    server: RunningGateway, upstream: Upstream
) -> None:
    own = {"min_p": 0.1, "chat_template_kwargs": {"x": 1}, "reasoning": {"effort": "low"}}
    assert server.json({"model": "a", "messages": HI, **own}, headers=TEAM)[0] == 200
    more = {"provider": {"order": ["x"]}, "tools": ROUTING["tools"]}
    key = {"authorization": "Bearer sk-own"}
    assert server.json({"model": "a", "messages": HI, **more}, headers=key)[0] == 200
    assert [call.body.get("provider") for call in upstream.calls] == [None, {"order": ["x"]}]


ADDRESSES = ["s3://theirs/x.png", "S3://theirs/x", " s3://ours/x", "s3://ours", "s3://ours-2/x"]
ADDRESSES += ["gs://ours/x.png", "GS://x/y", "s3a://ours/x", "s3://theirs/ours/x", "\ns3://x/y"]


def places(address: str) -> list[tuple[str, dict[str, Any]]]:
    """Requests with the address in each place of a message, and the place's path."""
    image = {"type": "image_url", "image_url": {"url": address}}
    parts: list[tuple[str, dict[str, Any]]] = [
        ("image_url.url", image),
        ("image_url", {"type": "image_url", "image_url": address}),
        ("file.file_data", {"type": "file", "file": {"file_data": address, "filename": "x.pdf"}}),
        ("file.file_id", {"type": "file", "file": {"file_id": address}}),
        ("video_url.url", {"type": "video_url", "video_url": {"url": address}}),
        ("source.s3Location.uri", {"type": "x", "source": {"s3Location": {"uri": address}}}),
    ]
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    before: list[dict[str, Any]] = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    found: list[tuple[str, dict[str, Any]]] = [
        (f"messages[0].content[0].{path}", {"messages": [{"role": "user", "content": [part]}]})
        for path, part in parts
    ]
    tool = {"role": "tool", "tool_call_id": "c", "content": [image]}
    found += [("messages[2].content[0].image_url.url", {"messages": [*before, tool]})]
    made: dict[str, Any] = {"role": "assistant", "content": "x", "images": [image]}
    found += [("messages[1].images[0].image_url.url", {"messages": [*HI, made, *HI]})]
    extra = {"additionalModelRequestFields": {"x": [address]}}
    return [*found, ("additionalModelRequestFields.x[0]", {"messages": HI, **extra})]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_client_names_a_stored_file_that_the_gateway_may_read(
    server: RunningGateway, upstream: Upstream, address: str
) -> None:
    for path, body in places(address):
        status, _, response = server.json({"model": "a", **body}, headers=MASTER)
        assert (status, response["error"]["param"]) == (403, path)
        assert response["error"]["code"] == "file_not_allowed"
    assert upstream.calls == []


def test_buckets_of_the_config_and_texts_about_addresses_are_allowed(
    server: RunningGateway, upstream: Upstream
) -> None:
    allowed = [(path, body) for path, body in places("s3://ours/x.png") if "file_id" not in path]
    for _, body in allowed:
        assert server.json({"model": "a", **body}, headers=MASTER)[0] == 200
    part = {"type": "text", "text": "s3://theirs/x"}
    texts = [{"role": "user", "content": "s3://theirs/x"}, {"role": "user", "content": [part]}]
    assert server.json({"model": "a", "messages": texts}, headers=MASTER)[0] == 200
    assert len(upstream.calls) == len(allowed) + 1


# ---- jobs ----


def test_the_lines_of_a_job_have_the_rights_of_its_key(tmp_path: Path) -> None:
    bodies = [{**body, "model": body.get("model", "a")} for body, _ in NAMED]
    bodies += [{"model": "a", name: value} for name, value in ROUTING.items()]
    bodies += [{"model": "a", "messages": body["messages"]} for _, body in places("s3://x/y")[:8]]
    lines = [line(f"n{i}", **{"model": "a", **body}) for i, body in enumerate(bodies)]
    aliases = {"alias": "secret", "set": {"models": ["a", "secret"]}}
    named = [{**one, "model_name": "secret"} for one in CONFIG["model_list"][1:]]
    router = {"num_retries": 0, "model_group_alias": aliases, "default_fallbacks": ["secret"]}
    config = {"model_list": [*CONFIG["model_list"], *named], "router_settings": router}

    async def main() -> None:
        for index, one in enumerate(lines):
            provider = EchoProvider()
            home = tmp_path / f"{index}"
            async with open_jobs(home, provider, config=with_key(["a"], config)) as jobs:
                job = await jobs.wait(await jobs.create(jsonl([one]), "team"))
                codes = {error.code for error in job.errors}
                codes |= set((await jobs.error_codes(job)).values())
                expected = {"model_not_allowed", "field_not_allowed", "file_not_allowed"}
                assert len(codes) == 1, (one, codes)
                assert codes <= expected, one
                assert not provider.calls

    run(main())


async def finished(jobs: LocalJobs, data: bytes) -> Any:
    return await jobs.wait(await jobs.create(data, "team"))


@pytest.mark.parametrize("left", [["a"], [], None])
def test_a_right_that_is_gone_counts_for_a_running_job_after_a_restart(
    tmp_path: Path, left: list[str] | None
) -> None:
    names = [f"n{i}" for i in range(20)]
    first, second = EchoProvider(), EchoProvider()

    async def hold(_: str, text: str) -> None:
        if text != "n0":
            await asyncio.Event().wait()

    first.before = hold

    async def main() -> None:
        async with open_jobs(tmp_path, first, config=with_key(["a", "b"])) as jobs:
            job = await jobs.create(jsonl(line(name, "b") for name in names), "team")

            async def stored() -> bool:
                return (await jobs.service.jobs.totals(await jobs.job(job))).lines == 1

            await jobs.wait_until(stored)
        async with open_jobs(tmp_path, second, config=with_key(left)) as jobs:
            done = await jobs.wait(job)
            assert await jobs.responses(done) == {"n0": "b: n0"}
            assert set((await jobs.error_codes(done)).values()) == {"model_not_allowed"}
            assert not second.calls

    run(main())


def test_a_retry_has_the_rights_of_its_key_at_that_time(tmp_path: Path) -> None:
    provider = EchoProvider()

    async def fail(_model: str, _text: str) -> tuple[int, dict[str, str]]:
        return 400, {}

    provider.before = fail

    async def main() -> None:
        async with open_jobs(tmp_path, provider, config=with_key(["a", "b"])) as jobs:
            old = await finished(jobs, jsonl([line("x", "b")]))
            assert set(await jobs.error_codes(old)) == {"x"}
        provider.calls.clear()
        async with open_jobs(tmp_path, provider, config=with_key(["a"])) as jobs:
            job = await jobs.wait(await jobs.service.jobs.retry(old.id, "team"))
            codes = {error.code for error in job.errors}
            assert codes | set((await jobs.error_codes(job)).values()) == {"model_not_allowed"}
            assert not provider.calls

    run(main())
