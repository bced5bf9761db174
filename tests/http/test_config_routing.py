"""LiteLLM's routing settings and the files that `--fix` writes, on a running gateway."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.config.fix import fix
from tests.http.races import HI, both_ways
from tests.support.gateway_server import serve
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

FILES = sorted((Path(__file__).parents[1] / "unit" / "config" / "litellm").glob("*.yaml"))
ENV = {"REDIS_HOST": "redis", "DATABASE_URL": "postgres://db", "TOKEN_FILE": "/token"}


def deployment(upstream: Upstream, model: str, **params: Any) -> dict[str, Any]:
    """A deployment of the group `m`."""
    address = {"api_base": f"{upstream.url}/v1", "api_key": "k"}
    return {"model_name": "m", "litellm_params": {"model": f"openai/{model}", **address, **params}}


def ask(
    deployments: list[dict[str, Any]], router: Mapping[str, Any], times: int = 1, **body: Any
) -> list[int]:
    """The statuses of as many requests, one after another."""
    with serve({"model_list": deployments, "router_settings": dict(router)}) as gateway:
        found = [gateway.chat({"model": "m", "messages": HI, **body}) for _ in range(times)]
        return [one.status for one in found]


@both_ways
def test_the_lowest_order_is_called_first_and_the_next_if_it_fails(
    upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("second", answers("2"))
    upstream.script("first", [*answers("1")], [refuse(500)], [*answers("1")])
    two = [
        deployment(upstream, "second", order=2),
        deployment(upstream, "first", order=1, num_retries=0),
    ]
    assert ask(two, {}, 3, stream=stream) == [200, 200, 200]
    counts = [len(upstream.calls_to(name)) for name in ("first", "second")]
    assert counts == [3, 1]


@both_ways
@pytest.mark.parametrize(
    ("router", "calls"),
    [
        ({"retry_policy": {"InternalServerErrorRetries": 0}}, 1),
        ({"num_retries": 0, "retry_policy": {"InternalServerErrorRetries": 1}}, 2),
        ({"num_retries": 0, "model_group_retry_policy": {"m": {"DefaultRetries": 1}}}, 2),
    ],
)
def test_the_retries_are_those_of_the_policy(
    upstream: Upstream, router: dict[str, Any], calls: int, *, stream: bool
) -> None:
    upstream.script("m", [refuse(500)])
    ask([deployment(upstream, "m")], router, stream=stream)
    assert len(upstream.calls_to("m")) == calls


@pytest.mark.parametrize(
    ("router", "calls"),
    [
        ({"allowed_fails": 0, "cooldown_time": 600}, 1),
        ({"cooldown_time": 600, "allowed_fails_policy": {"InternalServerErrorAllowedFails": 1}}, 2),
        ({"allowed_fails": 0, "cooldown_time": 600, "disable_cooldowns": True}, 3),
    ],
)
def test_the_failures_before_a_cooldown_are_those_of_the_policy(
    upstream: Upstream, router: dict[str, Any], calls: int
) -> None:
    upstream.script("bad", [refuse(500)])
    upstream.script("good", answers("fine"))
    two = [deployment(upstream, "bad", order=1), deployment(upstream, "good", order=2)]
    assert ask(two, router, 3) == [200, 200, 200]
    assert len(upstream.calls_to("bad")) == calls


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_gateway_serves_what_fix_writes(path: Path) -> None:
    written = yaml.safe_load(fix(path.read_text(), ENV, path.name).text)
    general = {**(written.get("general_settings") or {}), "master_key": "sk-test"}
    with serve({**written, "general_settings": general}, ENV) as gateway:
        headers = {"authorization": "Bearer sk-test"}
        _, _, listed = gateway.json(None, "/v1/models", "GET", headers)
    names = {entry["model_name"] for entry in written["model_list"]}
    assert {name for name in names if "*" not in name} <= {one["id"] for one in listed["data"]}
