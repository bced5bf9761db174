"""What a config leaves to the environment is not wrong in it: `--fix` removes no model for it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fanout.cli.config_problems import fixed_text
from fanout.config.deployment import Deployment
from fanout.config.fix import fix
from fanout.config.resolve import inspect_config
from tests.unit.config.sections import deployment, entry

BEDROCK = "bedrock/anthropic.claude-3-haiku-20240307-v1:0"

COMPLETED: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    (BEDROCK, {}, {"AWS_REGION": "eu-west-1"}),
    (BEDROCK, {}, {"AWS_DEFAULT_REGION": "eu-west-1"}),
    ("vertex_ai/gemini-2.5-pro", {}, {"VERTEXAI_PROJECT": "p"}),
    ("vertex_ai/gemini-2.5-pro", {"vertex_credentials": "/gone.json"}, {"VERTEXAI_PROJECT": "p"}),
    ("vertex_ai/claude-opus-4-6", {}, {"GOOGLE_CLOUD_PROJECT": "p"}),
    ("gemini-2.5-flash", {"vertex_location": "eu"}, {"VERTEXAI_PROJECT": "p"}),
    ("azure/gpt-4o", {}, {"AZURE_API_BASE": "https://x.openai.azure.com"}),
    ("openai_like/m", {}, {"OPENAI_LIKE_API_BASE": "http://h/v1"}),
    ("openai/m", {"api_base": "os.environ/BASE"}, {"BASE": "http://h/v1"}),
    ("os.environ/MODEL", {}, {"MODEL": "openai/gpt-4o"}),
    ("openai/m", {"rpm": "os.environ/RPM"}, {"RPM": "5"}),
    ("bedrock/*", {}, {"AWS_REGION": "eu-west-1"}),
]


def config(model: str, params: dict[str, Any]) -> str:
    name = "m/*" if "*" in model else "m"
    return yaml.safe_dump({"model_list": [entry(model, name, **params)]}, sort_keys=False)


@pytest.mark.parametrize(("model", "params", "env"), COMPLETED)
def test_an_entry_that_another_environment_completes_is_kept_and_reported(
    model: str, params: dict[str, Any], env: dict[str, str]
) -> None:
    text = config(model, params)
    fixed = fix(text, {}, "x.yaml")
    assert fixed.text == text
    (left,) = fixed.remaining
    assert not left.fixable
    assert inspect_config(text, env, "x.yaml")[2] == []


WRONG_HERE: list[tuple[str, dict[str, str]]] = [
    ("openai/m", {"OPENAI_API_BASE": "no address"}),
    ("vertex_ai/gemini-2.5-pro", {"VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "no place"}),
    ("vertex_ai/gemini-2.5-pro", {"VERTEXAI_PROJECT": "NO PROJECT"}),
]


@pytest.mark.parametrize(("model", "env"), WRONG_HERE)
def test_a_wrong_environment_removes_no_model_either(model: str, env: dict[str, str]) -> None:
    text = config(model, {})
    fixed = fix(text, env, "x.yaml")
    assert (fixed.text, len(fixed.remaining)) == (text, 1)


@pytest.mark.parametrize("model", ["nobody/x", "openai/", "vertex_ai/mistral-large"])
def test_an_entry_that_no_environment_completes_is_removed(model: str) -> None:
    fixed = fix(config(model, {}), {}, "x.yaml")
    assert "litellm_params" not in fixed.text
    assert fixed.remaining == ()


def test_the_message_says_that_the_entry_is_kept() -> None:
    from pathlib import Path

    fixed = fix(config(BEDROCK, {}), {}, "x.yaml")
    assert fixed_text("x.yaml", Path("y.yaml"), fixed).split("\n")[0] == (
        "x.yaml:4: kept, but incomplete on this machine: model_list[0] (`m`): `bedrock` needs "
        "`aws_region_name` in litellm_params, or AWS_REGION in the environment"
    )


# ---- which provider, which region ----


def place(found: Deployment) -> tuple[str, str]:
    return found.provider.name, found.base_url


@pytest.mark.parametrize(
    ("model", "params", "provider"),
    [
        ("gemini-2.5-flash", {"vertex_project": "p"}, "vertex_ai"),
        ("gemini-2.5-flash", {"vertex_project": "p", "vertex_location": "eu"}, "vertex_ai"),
        ("claude-sonnet-4-5@20250929", {"vertex_project": "p"}, "vertex_ai"),
        ("gemini-2.5-flash", {}, "gemini"),
        ("claude-sonnet-4-5", {}, "anthropic"),
    ],
)
def test_a_bare_name_with_a_project_of_google_cloud_is_there(
    model: str, params: dict[str, Any], provider: str
) -> None:
    assert deployment(model, **params).provider.name == provider


@pytest.mark.parametrize("setting", [
    {"vertex_project": "p"}, {"vertex_location": "eu"}, {"vertex_credentials": {"type": "x"}},
    {"aws_region_name": "eu-west-1"}, {"region": "eu-west-1"}, {"aws_role_name": "arn:x"},
    {"aws_profile_name": "p"}, {"api_version": "2024-10-21"}, {"organization": "o"},
])  # fmt: skip
@pytest.mark.parametrize("model", ["openai/x", "groq/x", "anthropic/claude-x", "gemini/gemini-x",
    "azure/x", BEDROCK, "vertex_ai/gemini-2.5-pro", "cohere/x", "claude-sonnet-4-5"])  # fmt: skip
def test_a_setting_that_the_provider_does_not_read_is_a_problem_of_its_own(
    model: str, setting: dict[str, Any]
) -> None:
    (name,) = setting
    users = {"vertex": "vertex_ai/", "aws": "bedrock/", "region": "bedrock/"}
    users |= {"api": "azure/", "organization": "openai/"}
    base = {"api_base": "https://h"} if model == "azure/x" else {}
    text = config(model, {**base, **setting})
    env = {"AWS_REGION": "us-east-1", "VERTEXAI_PROJECT": "p"}
    problems = inspect_config(text, env, "x.yaml")[2]
    if model.startswith(users[name.partition("_")[0]]):
        assert problems == []
        return
    assert [one.path for one in problems] == [("model_list", 0, "litellm_params", name)]
    assert f"does not read `{name}`" in problems[0].message
    fixed = fix(text, env, "x.yaml")
    assert fixed.text == config(model, base)


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("bedrock/us-west-2/anthropic.claude-3-haiku-20240307-v1:0", "us-west-2"),
        ("bedrock/eu-central-1/1-month-commitment/anthropic.claude-v2", "eu-central-1"),
        ("bedrock/converse/ap-southeast-1/meta.llama3", "ap-southeast-1"),
        ("bedrock/us-gov-west-1/converse/meta.llama3", "us-gov-west-1"),
        ("bedrock/arn:aws:bedrock:eu-west-3:1:application-inference-profile/abc", "eu-west-3"),
        ("bedrock/converse/arn:aws-cn:bedrock:cn-north-1:1:imported-model/a", "cn-north-1"),
        (BEDROCK, "us-east-1"),
        ("bedrock/us.anthropic.claude-3-haiku-20240307-v1:0", "us-east-1"),
    ],
)
def test_the_region_in_a_models_name_counts_before_the_environments(
    model: str, region: str
) -> None:
    env = {"AWS_REGION": "us-east-1"}
    assert place(deployment(model, env)) == (
        "bedrock",
        f"https://bedrock-runtime.{region}.amazonaws.com",
    )
    given = deployment(model, env, aws_region_name="sa-east-1")
    assert given.base_url == "https://bedrock-runtime.sa-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("section", "name", "near"),
    [
        ("router_settings", "enable_cooldowns", ""),
        ("router_settings", "enable_fallback", ""),
        ("litellm_settings", "default_params", ""),
        ("router_settings", "disable_cooldown", "disable_cooldowns"),
        ("router_settings", "num_retrys", "num_retries"),
        ("router_settings", "numretries", "num_retries"),
        ("router_settings", "stream-timeout", "stream_timeout"),
        ("general_settings", "master_kye", "master_key"),
        ("litellm_settings", "drop_param", "drop_params"),
    ],
)
def test_a_key_is_only_taken_for_one_that_has_the_same_words(
    section: str, name: str, near: str
) -> None:
    problem = inspect_config(f"{section}: {{{name}: true}}", {}, "x.yaml")[2][0]
    assert problem.rename == near
    assert ("did you mean" in problem.message) == bool(near)


def test_an_entry_with_a_variable_that_is_not_set_is_checked_for_all_else() -> None:
    text = """
model_list:
  - model_name: a
    litellm_params: {model: nope/x, tpm: os.environ/GONE, stop: [1], rpm: -1}
  - model_name: b
    litellm_params: {model: azure/x, api_base: os.environ/GONE, vertex_project: p}
  - model_name: c
    litellm_params: {model: os.environ/GONE, tpm: 5}
router_settings: {fallbacks: [{c: [b]}]}
"""
    problems = inspect_config(text, {}, "x.yaml")[2]
    assert [
        (one.path[1], one.path[3]) for one in sorted(problems, key=lambda one: str(one.path))
    ] == [
        *((0, "model"), (0, "rpm"), (0, "stop"), (0, "tpm")),
        *((1, "api_base"), (1, "vertex_project"), (2, "model")),
    ]
