"""LiteLLM's arguments: each is implemented or rejected by name, and none reaches a provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fanout.endpoints.base import RequestBody, find_surface
from fanout.endpoints.embeddings import request as embeddings
from fanout.errors import RequestError
from fanout.library.deployments import ADDRESS
from fanout.library.option_checks import check_names
from fanout.library.options import ChatOptions
from fanout.providers.fields import VENDORS_FIELDS
from fanout.schema.fanout import parse_request
from fanout.schema.gateway_fields import GATEWAY_FIELDS
from fanout.schema.litellm_arguments import (
    CONFIG_ONLY,
    FORBIDDEN,
    IN_FANOUT,
    REJECTED,
    VENDORS,
    is_vendors,
)
from fanout.schema.request import ChatRequest

BASE: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

SYSTEM = "supports_system_message"
OPPOSITE = {"ssl_verify", SYSTEM}
"""True is the default and what is done; false asks for something: tests/library has a test."""


@pytest.mark.parametrize("name", sorted(REJECTED.keys() - OPPOSITE))
def test_an_argument_without_effect_is_rejected_by_name_with_the_reason(name: str) -> None:
    for value in ("hello", True, 5, {"a": 1}, ["x"]):
        if is_vendors(name, value):
            assert parse_request({**BASE, name: value}).conversations[0].body[name] == value
            check_names({name: value})
            continue
        with pytest.raises(RequestError) as raised:
            parse_request({**BASE, name: value})
        assert raised.value.param == name
        assert f"`{name}` has no effect here ({REJECTED[name]})" in str(raised.value)
        if name != "model_list":  # which one of the functions takes
            with pytest.raises(RequestError, match=f"`{name}`"):
                check_names({name: value})


@pytest.mark.parametrize("name", sorted(CONFIG_ONLY))
def test_what_the_config_sets_is_rejected_in_a_request(name: str) -> None:
    with pytest.raises(RequestError, match=f"`{name}` is set in the gateway's config") as raised:
        parse_request({**BASE, name: False if name == SYSTEM else "x"})
    assert raised.value.param == name


LEFT_OUT = (REJECTED.keys() | CONFIG_ONLY) - OPPOSITE - FORBIDDEN


def embedding_body(body: dict[str, Any]) -> Any:
    return embeddings.parse_request({"model": "m", "input": "Hi", **body}).body


def chat_body(body: dict[str, Any]) -> Any:
    return parse_request({**BASE, **body}).conversations[0].body


def surface_body(name: str, given: dict[str, Any]) -> Any:
    body = {"model": "m", **given}
    read = find_surface(name).read(RequestBody(body, json.dumps(body).encode()))
    return read.request.conversations[0].body


DOORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "chat": chat_body,
    "embeddings": embedding_body,
    "messages": lambda body: surface_body(
        "messages", {"messages": BASE["messages"], "max_tokens": 5, **body}
    ),
    "responses": lambda body: surface_body("responses", {"input": "Hi", **body}),
}
TRANSPORTS = {"additional_drop_params", "allowed_openai_params"}
"""They stay in the body of a chat request until it is encoded."""

ARGUMENTS = REJECTED.keys() | CONFIG_ONLY | IN_FANOUT | GATEWAY_FIELDS | TRANSPORTS


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
@pytest.mark.parametrize("door", DOORS)
def test_no_argument_reaches_a_provider_through_any_endpoint(door: str, name: str) -> None:
    for value in ("x", True, 5, {"a": 1}, ["x"], [{"a": ["x"]}]):
        if is_vendors(name, value) or (door == "chat" and name in TRANSPORTS):
            continue
        try:
            body = DOORS[door]({name: value})
        except RequestError:
            continue
        assert name not in body


@pytest.mark.parametrize("name", sorted(REJECTED.keys() | CONFIG_ONLY | IN_FANOUT))
def test_embeddings_name_an_argument_without_effect(name: str) -> None:
    for value in ("x", 5, {"a": 1}):
        if not is_vendors(name, value):
            with pytest.raises(RequestError) as raised:
                embedding_body({name: False if name == SYSTEM else value})
            assert raised.value.param == name


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_an_argument_that_asks_for_nothing_is_left_out(name: str) -> None:
    nothing: tuple[Any, ...] = (None, False, "", [], {})
    for value in nothing:
        request = parse_request({**BASE, name: value})
        assert request.conversations[0].body == {"messages": BASE["messages"]}
        check_names({name: value})


def test_a_cache_that_must_not_be_used_asks_for_nothing() -> None:
    request = parse_request({**BASE, "cache": {"no-cache": True, "no-store": True}})
    assert "cache" not in request.conversations[0].body
    with pytest.raises(RequestError, match="`cache`"):
        parse_request({**BASE, "cache": {"ttl": 5}})


def test_no_argument_is_a_field_of_chat_completions() -> None:
    fields = set(ChatRequest.__struct_fields__) | GATEWAY_FIELDS
    assert fields.isdisjoint(REJECTED)
    assert fields.isdisjoint(CONFIG_ONLY)


def test_the_functions_have_every_option_that_only_the_config_has_over_http() -> None:
    assert CONFIG_ONLY - {"headers"} <= ChatOptions.__annotations__.keys()
    assert set(ADDRESS) <= ChatOptions.__annotations__.keys()


def test_extra_body_is_put_where_openais_sdk_puts_it() -> None:
    request = parse_request({**BASE, "top_k": 1, "extra_body": {"top_k": 5, "min_p": 0.1}})
    body = request.conversations[0].body
    assert body == {"messages": BASE["messages"], "top_k": 5, "min_p": 0.1}
    assert parse_request({**BASE, "extra_body": None}).conversations[0].body.keys() == {"messages"}
    with pytest.raises(RequestError, match="`extra_body` must be an object"):
        parse_request({**BASE, "extra_body": "x"})
    with pytest.raises(RequestError, match="`api_base` is set in the gateway's config"):
        parse_request({**BASE, "extra_body": {"api_base": "http://h"}})


def test_drop_params_is_the_requests_own() -> None:
    assert parse_request({**BASE, "drop_params": True}).drop_params is True
    assert parse_request(BASE).drop_params is None
    with pytest.raises(RequestError, match="`drop_params`"):
        parse_request({**BASE, "drop_params": "yes"})


def test_a_field_of_a_vendor_with_the_name_of_an_argument_is_known_by_its_form() -> None:
    assert VENDORS == VENDORS_FIELDS
    forms: dict[str, Any] = {
        "caching": {"type": "enabled"},
        "eos_token": [2],
        "guardrails": [{}],
        "ttl": 300,
    }
    assert forms.keys() == VENDORS
    for name, value in forms.items():
        assert is_vendors(name, value)
        assert not is_vendors(name, True)
    assert not is_vendors("guardrails", ["my-guardrail"])
    assert not is_vendors("eos_token", "</s>")
