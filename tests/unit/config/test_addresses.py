from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import UnknownModel
from fanout.providers import registry
from tests.unit.config.sections import catalog, deployment, entry, names, refusal, texts

# ---- LiteLLM's model strings ----

STRINGS = """
gpt-4o                    openai       gpt-4o           https://api.openai.com/v1      OPENAI_API_KEY
openai/gpt-4o             openai       gpt-4o           https://api.openai.com/v1      OPENAI_API_KEY
o3-mini                   openai       o3-mini          https://api.openai.com/v1      OPENAI_API_KEY
claude-2                  anthropic    claude-2         https://api.anthropic.com      ANTHROPIC_API_KEY
anthropic/claude-3-haiku  anthropic    claude-3-haiku   https://api.anthropic.com      ANTHROPIC_API_KEY
command-nightly           cohere       command-nightly  https://api.cohere.com         COHERE_API_KEY
groq/llama3-8b-8192       groq         llama3-8b-8192   https://api.groq.com/openai/v1 GROQ_API_KEY
mistral-large             mistral      mistral-large    https://api.mistral.ai/v1      MISTRAL_API_KEY
deepseek-chat             deepseek     deepseek-chat    https://api.deepseek.com/v1    DEEPSEEK_API_KEY
together_ai/meta/Llama    together_ai  meta/Llama       https://api.together.xyz/v1    TOGETHER_API_KEY
openrouter/openai/gpt-4o  openrouter   openai/gpt-4o    https://openrouter.ai/api/v1   OPENROUTER_API_KEY
xai/grok-2                xai          grok-2           https://api.x.ai/v1            XAI_API_KEY
cerebras/llama3.1-8b      cerebras     llama3.1-8b      https://api.cerebras.ai/v1     CEREBRAS_API_KEY
perplexity/sonar          perplexity   sonar            https://api.perplexity.ai      PERPLEXITY_API_KEY
"""  # noqa: E501


@pytest.mark.parametrize("row", STRINGS.split("\n")[1:-1])
def test_a_model_string_has_the_provider_the_model_the_address_and_the_key(row: str) -> None:
    model, provider, theirs, base, key = row.split()
    found = deployment(model)
    assert (found.provider.name, found.target.model) == (provider, theirs)
    assert (found.base_url, names(found), texts(found)) == (base, [key], [None])


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("ollama/llama3", "http://127.0.0.1:11434/v1"),
        ("vllm/qwen", "http://127.0.0.1:8000/v1"),
        ("local/smol", "http://127.0.0.1:4001/v1"),
    ],
)
def test_a_server_of_ones_own_needs_no_key(model: str, base: str) -> None:
    found = deployment(model)
    assert (found.base_url, found.keys) == (base, ())


@pytest.mark.parametrize("model", ["nope/x", "llama-3", "/x"])
def test_a_model_without_a_known_provider_is_rejected_with_a_list_of_providers(model: str) -> None:
    message = refusal(model_list=[entry(model)])
    assert message.startswith(f"model_list[0] (`m`): `{model}` has no known provider: write ")
    assert "anthropic, azure, bedrock" in message
    assert message.endswith("or set `api_base`")


@pytest.mark.parametrize("address", [{}, {"api_base": "http://h:8000/v1"}])
def test_a_provider_without_a_model_is_rejected(address: dict[str, str]) -> None:
    for model, fix in (
        ("openai/", "openai/MODEL"),
        ("groq/ ", "groq/MODEL"),
        ("/", "provider/MODEL"),
    ):
        message = refusal(model_list=[entry(model, **address)])
        assert f"`{model}` has no model after the slash: write `{fix}`" in message


EMPTY_PARTS = ["openai/", "a/ /b", "a//b", "a/", " /a", "converse/", "responses/", "models/", "//"]
CLOUD = {"AWS_REGION": "us-east-1", "VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "us"}


@pytest.mark.parametrize("address", [{}, {"api_base": "http://h:8000/v1"}])
@pytest.mark.parametrize("provider", registry.names())
def test_no_part_of_a_models_name_is_empty(provider: str, address: dict[str, str]) -> None:
    for name in EMPTY_PARTS:
        model = f"{provider}/{name}"
        message = refusal(CLOUD, model_list=[entry(model, **address)])
        assert f"`{model}` has an empty part" in message


def test_nor_in_a_request_for_a_wildcards_model() -> None:
    found = catalog({"OPENROUTER_API_KEY": "k"}, model_list=[entry("openrouter/*", "openrouter/*")])
    assert found.find("openrouter/openai/gpt-4o")
    for name in ("openrouter/openai/", "openrouter/openai//gpt-4o", "openrouter/ /gpt-4o"):
        with pytest.raises(UnknownModel, match="empty part"):
            found.find(name)
    with pytest.raises(UnknownModel, match="no model after the slash"):
        found.find("openrouter/")


@pytest.mark.parametrize("provider", ["hosted_vllm", "openai", "openai_like"])
def test_a_server_of_ones_own_has_a_model_with_the_path_of_its_files(provider: str) -> None:
    for path in ("/models/llama", "/models/llama/"):
        found = deployment(f"{provider}/{path}", api_base="http://h:8000/v1")
        assert found.target.model == path
    assert "empty part" in refusal(model_list=[entry("groq//models/llama")])


def test_an_address_makes_any_name_an_openai_compatible_model() -> None:
    found = deployment("llama-3", api_base="http://h:8000/v1/")
    assert (found.provider.name, found.target.model) == ("openai", "llama-3")
    assert found.base_url == "http://h:8000/v1"


# ---- addresses ----


def test_the_configs_address_rules_over_the_environments_and_that_over_the_providers() -> None:
    env = {"OPENAI_API_BASE": "https://proxy.test/v1"}
    assert deployment("gpt-4o", env).base_url == "https://proxy.test/v1"
    assert deployment("gpt-4o", env, api_base="https://mine.test/v1").base_url.count("mine") == 1


@pytest.mark.parametrize(
    "base",
    [
        *("api.openai.com/v1", "ftp://h", "//h", "file:///etc/passwd", "https://", "http:///v1"),
        *("http://[::1", "http://h:port/v1", "http://h:70000", "http://h:0", "http://a b/v1"),
    ],
)
def test_an_address_must_be_http(base: str) -> None:
    message = refusal(model_list=[entry("gpt-4o", api_base=base)])
    assert message == "model_list[0] (`m`): `api_base` must be an https:// or http:// address"


@pytest.mark.parametrize("base", ["https://h/{", "https://h/{}", "https://h/{x!r", "https://}h"])
def test_an_address_with_stray_braces_is_rejected(base: str) -> None:
    assert "`api_base`" in refusal(model_list=[entry("gpt-4o", api_base=base)])


def test_azure_needs_an_address_and_takes_a_version() -> None:
    message = refusal(model_list=[entry("azure/gpt-4o")])
    assert message == (
        "model_list[0] (`m`): `azure` needs `api_base` in litellm_params, or AZURE_API_BASE in the "
        "environment"
    )
    found = deployment(
        "azure/my-gpt", api_base="https://x.openai.azure.com", api_version="2024-10-21"
    )
    assert found.base_url == "https://x.openai.azure.com"
    assert found.target.options["api_version"] == "2024-10-21"
    assert names(found) == ["AZURE_API_KEY"]


def test_bedrock_is_addressed_by_its_region_the_configs_before_the_environments() -> None:
    model = "bedrock/anthropic.claude-3-haiku-20240307-v1:0"
    env = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}
    for given, region in (
        ({}, "eu-west-1"),
        ({"aws_region_name": "ap-south-1"}, "ap-south-1"),
        ({"region": "us-east-2", "aws_region_name": "ap-south-1"}, "us-east-2"),
    ):
        found = deployment(model, env, **given)
        assert found.base_url == f"https://bedrock-runtime.{region}.amazonaws.com"
        assert found.target.options["region"] == region
        assert found.keys == ()
    assert deployment(model, {"AWS_DEFAULT_REGION": "us-west-2"}).base_url.count("us-west-2") == 1
    assert "needs `aws_region_name` in litellm_params, or AWS_REGION in" in refusal(
        model_list=[entry(model)]
    )


# ---- keys ----


def test_a_key_is_the_configs_or_the_first_of_the_environments_names_that_is_there() -> None:
    env = {"FIREWORKS_AI_API_KEY": "e2", "FIREWORKSAI_API_KEY": "e3", "MY_KEY": "mine"}
    assert texts(deployment("fireworks_ai/x", env)) == ["e2"]
    assert texts(deployment("fireworks_ai/x", env, api_key="sk-literal")) == ["sk-literal"]
    assert texts(deployment("fireworks_ai/x", env, api_key="os.environ/MY_KEY")) == ["mine"]


def test_several_keys_of_one_deployment_keep_their_order() -> None:
    keys = ["os.environ/K1", "sk-literal", "os.environ/NOT_YET"]
    found = deployment("gpt-4o", {"K1": "one"}, api_key=keys)
    assert names(found) == ["K1", "(literal)", "NOT_YET"]
    assert texts(found) == ["one", "sk-literal", None]


def test_a_key_that_is_not_there_yet_is_remembered_by_its_name() -> None:
    found = catalog(
        model_list=[entry("gpt-4o", api_key="os.environ/LATER"), entry("claude-2", "c")],
        general_settings={"master_key": "os.environ/MASTER"},
    )
    assert found.secret_names == ["ANTHROPIC_API_KEY", "LATER", "MASTER"]


@pytest.mark.parametrize("given", ["", [], [""]])
def test_an_empty_key_is_no_key(given: Any) -> None:
    assert texts(deployment("gpt-4o", {"OPENAI_API_KEY": "e"}, api_key=given)) == ["e"]
