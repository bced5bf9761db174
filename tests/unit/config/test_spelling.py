"""Misspelled keys of `litellm_params` are errors; parameters that only a provider knows are not."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.config.fix import fix
from fanout.config.model import ModelParams
from fanout.config.resolve import inspect_config
from fanout.config.unknown_keys import DEFAULTABLE

MISSPELLED = [
    ("tmp", "tpm", "tpm"),
    ("rmp", "rpm", "rpm"),
    ("base-url", "base_url", "api_base"),
    ("max_retires", "max_retries", "num_retries"),
    ("api-key", "api_key", "api_key"),
    ("apiKey", "api_key", "api_key"),
    ("maxTokens", "max_tokens", "max_tokens"),
    ("Temperature", "temperature", "temperature"),
    ("tiemout", "timeout", "timeout"),
    ("aws_region", "aws_region_name", "aws_region_name"),
    ("aws_role", "aws_role_name", "aws_role_name"),
    ("aws_secret_key", "aws_secret_access_key", "aws_secret_access_key"),
    ("aws_profile", "aws_profile_name", "aws_profile_name"),
    ("aws_foo", "", ""),
    ("vertex_region", "", ""),
]
"""A key, the one that the message names, and the one that `--fix` writes."""

VENDORS_OWN = [
    "top_a",
    "min_p",
    "num_ctx",
    "keep_alive",
    "repetition_penalty",
    "enable_thinking",
    "guided_json",
    "safe_prompt",
    "mirostat_tau",
    "chat_template_kwargs",
    "search_parameters",
    "token_limit",
    "temp",
    "location",
    "project",
    "stop_sequences",
    "provider",
    "transforms",
    "typical_p",
    "ignore_eos",
    "min_tokens",
    "tool_config",
    "key",
]


def text(name: str, model: str = "bedrock/amazon.nova-lite-v1:0") -> str:
    """An entry with a parameter of this name."""
    region = "" if name == "aws_region" or not model.startswith("bedrock") else "aws_region_name: r"
    params = f"{{model: {model}, '{name}': 5, {region}}}"
    return f"model_list: [{{model_name: a, litellm_params: {params}}}]\n"


def messages(config: str) -> list[str]:
    return [one.message for one in inspect_config(config, {"AWS_REGION": "r"}, "x.yaml")[2]]


@pytest.mark.parametrize(("name", "near", "written"), MISSPELLED)
def test_a_misspelled_parameter_is_an_error_and_not_sent(
    name: str, near: str, written: str
) -> None:
    found = messages(text(name))
    (unknown,) = [one for one in found if "is unknown" in one]
    assert f".{name}` is unknown" in unknown
    assert (f"did you mean `{near}`" in unknown) == bool(near)
    fixed = fix(text(name), {"AWS_REGION": "r"}, "x.yaml")
    assert name not in fixed.text.replace(written or "-", "")
    assert not written or any(one.rename == written for one in fixed.changed)


@pytest.mark.parametrize("name", VENDORS_OWN)
def test_a_vendors_own_parameter_is_no_error(name: str) -> None:
    assert messages(text(name, "openai_like/x, api_base: http://h/v1")) == []


@pytest.mark.parametrize("name", sorted({*ModelParams.__struct_fields__, *DEFAULTABLE}))
def test_two_swapped_letters_of_any_parameter_are_found(name: str) -> None:
    swaps: set[Any] = {
        name[:i] + name[i + 1] + name[i] + name[i + 2 :]
        for i in range(len(name) - 1)
        if name[i] != name[i + 1] and "_" not in name[i : i + 2] and len(name) > len("os")
    }
    known = {*ModelParams.__struct_fields__, *DEFAULTABLE}
    for wrong in swaps - known:
        found = [one for one in messages(text(wrong)) if f".{wrong}`" in one]
        assert found, wrong
        assert "did you mean" in found[0]
