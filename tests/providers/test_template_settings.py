"""What the config says of a model's chat template is kept to, whatever the model is called."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.providers import registry
from fanout.schema.validation import parse_chat
from fanout.transport.request_encoding import encode_request
from tests.unit.config.sections import catalog, entry, refusal

STEADY = settings(derandomize=True, deadline=None, max_examples=200)
ROWS = ["openai_like", "hosted_vllm", "ollama", "groq", "together_ai", "openrouter", "nvidia_nim"]
BASE = "https://a.test/v1"
S, U = {"role": "system", "content": "S"}, {"role": "user", "content": "U"}
A = {"role": "assistant", "content": "A"}


def call(number: int) -> Any:
    return {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def results(*numbers: int) -> list[Any]:
    return [{"role": "tool", "tool_call_id": f"c{n}", "content": "R"} for n in numbers]


CALLS = {"role": "assistant", "content": None, "tool_calls": [call(1), call(2)]}


def sent(model: str, *messages: Any, **params: Any) -> list[Any]:
    """The messages that a deployment with these parameters sends."""
    given: dict[str, Any] = {"model": model, "api_base": BASE, "api_key": "k", **params}
    (deployment,) = catalog(model_list=[entry(**given)]).find("m")
    wire = encode_request(deployment, parse_chat({"messages": list(messages)}), stream=False)
    found: list[Any] = json.loads(wire.body)["messages"]
    return found


def roles(messages: list[Any]) -> list[str]:
    return [message["role"] for message in messages]


@pytest.mark.parametrize(
    "params", [{"ensure_alternating_roles": True}, {"template_rules": {"alternate": True}}]
)
@pytest.mark.parametrize("provider", [*ROWS, "openai"])
def test_roles_alternate_in_litellms_spelling_and_in_ours(provider: str, params: Any) -> None:
    messages = [S, S, A, U, U, S, U]
    found = sent(f"{provider}/m", *messages, **params)
    assert roles(found) == ["system", "user", "assistant", "user"]
    assert found[0]["content"] == "S\n\nS"
    assert found[-1]["content"] == "U\n\nU\n\nS\n\nU"
    assert roles(sent(f"{provider}/m", *messages)) == roles(messages)


@pytest.mark.parametrize("turn", ["Go on.", {"role": "user", "content": "Go on."}])
def test_the_configs_turns_are_put_between_neighbors(turn: Any) -> None:
    found = sent(
        "openai_like/m", A, U, U, A, A,
        ensure_alternating_roles=True,
        user_continue_message=turn,
        assistant_continue_message={"role": "assistant", "content": [{"text": "I."}]},
    )  # fmt: skip
    assert [(one["role"], one["content"]) for one in found] == [
        ("user", "Go on."), ("assistant", "A"), ("user", "U"), ("assistant", "I."), ("user", "U"),
        ("assistant", "A"), ("user", "Go on."), ("assistant", "A"), ("user", "Go on."),
    ]  # fmt: skip


def test_turns_alone_change_nothing() -> None:
    found = sent("openai_like/m", U, U, user_continue_message="a", assistant_continue_message="b")
    assert found == [U, U]


@pytest.mark.parametrize(
    "params", [{"supports_system_message": False}, {"template_rules": {"system_role": False}}]
)
def test_a_model_without_a_system_role_reads_the_prompt_as_the_users(params: Any) -> None:
    assert sent("openai_like/m", S, U, **params) == [{"role": "user", "content": "S\n\nU"}]
    alone = {"role": "user", "content": "S"}
    params = {"template_rules": {"system_role": False, "alternate": False}}
    assert sent("openai_like/m", S, U, **params) == [alone, U]


def test_one_system_message_is_first() -> None:
    found = sent("openai_like/m", S, U, S, template_rules={"one_system": True})
    assert roles(found) == ["system", "user", "user"]


def test_each_message_has_one_call() -> None:
    messages = [U, CALLS, *results(1, 2), U]
    found = sent("openai_like/m", *messages, template_rules={"single_calls": True})
    assert roles(found) == ["user", "assistant", "tool", "assistant", "tool", "user"]


def test_a_result_is_no_turn_of_roles_that_alternate() -> None:
    messages = [U, CALLS, *results(1, 2), U]
    found = sent("openai_like/m", *messages, ensure_alternating_roles=True)
    assert roles(found)[-3:] == ["tool", "assistant", "user"]
    rules = {"alternate": True, "after_tools": ""}
    assert sent("openai_like/m", *messages, template_rules=rules) == messages


def test_a_turn_between_a_result_and_the_user() -> None:
    messages = [U, CALLS, *results(1, 2), U]
    found = sent("openai_like/m", *messages, template_rules={"after_tools": "Thanks."})
    assert found[-2] == {"role": "assistant", "content": "Thanks."}


GEMMA = "openai_like/google/gemma-2-9b-it"


def test_the_config_counts_before_the_models_name() -> None:
    """A server may have another template for the model."""
    assert roles(sent(GEMMA, S, U, U)) == ["user"]
    kept = {"alternate": False, "system_role": True}
    assert sent(GEMMA, S, U, U, template_rules=kept) == [S, U, U]
    llama = "openai_like/llama-3.1-8b"
    messages = [U, CALLS, *results(1, 2)]
    assert len(sent(llama, *messages)) == 5
    assert len(sent(llama, *messages, template_rules={"single_calls": False})) == 4


@pytest.mark.parametrize("provider", ["openai_like", "hosted_vllm"])
def test_base_model_says_what_model_a_server_calls_otherwise(provider: str) -> None:
    assert roles(sent(f"{provider}/ours", S, U, U, base_model="gemma-2-9b-it")) == ["user"]


@pytest.mark.parametrize("name", ["google_gemma-3-27b-it-Q4_K_M.gguf", "meta-llama_Llama-2-7b"])
def test_the_name_of_a_file_has_its_makers_before_it(name: str) -> None:
    assert roles(sent(f"openai_like/{name}", U, U)) == ["user"]


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"])
def test_other_apis_begin_with_the_users_turn_of_the_config(model: str) -> None:
    found = make_deployment("m", ModelParams(model=model, user_continue_message="Go on."), {}, {})
    wire = encode_request(found, parse_chat({"messages": [A, U]}), stream=False)
    body = json.loads(wire.body)
    assert "Go on." in json.dumps((body.get("messages") or body["contents"])[0])


# ---- the config ----


@pytest.mark.parametrize(
    "params",
    [
        {"ensure_alternating_roles": False}, {"supports_system_message": True},
        {"ensure_alternating_roles": None}, {"template_rules": {}}, {"user_continue_message": None},
    ],
)  # fmt: skip
def test_litellms_defaults_ask_for_nothing(params: dict[str, Any]) -> None:
    for model in ("openai_like/m", "anthropic/claude-sonnet-4-5"):
        assert sent(model, S, U, **params) == sent(model, S, U)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"template_rules": {"alternat": True}}, "did you mean `alternate`"),
        ({"template_rules": {"alternate": "maybe"}}, "template_rules.alternate"),
        ({"template_rules": True}, "template_rules"),
        ({"user_continue_message": {"role": "user"}}, "`user_continue_message` has no text"),
        ({"assistant_continue_message": " "}, "`assistant_continue_message` has no text"),
        ({"ensure_alternating_roles": "sometimes"}, "ensure_alternating_roles"),
        ({"ensure_alternating_role": True}, "did you mean `ensure_alternating_roles`"),
    ],
)
def test_a_wrong_setting_is_named(params: dict[str, Any], message: str) -> None:
    assert message in refusal(model_list=[entry("openai_like/m", api_base=BASE, **params)])


@pytest.mark.parametrize(
    "params", [{"supports_system_message": False}, {"template_rules": {"one_system": True}}]
)
@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "cohere/command-a"])
def test_providers_with_another_api_have_no_templates(model: str, params: dict[str, Any]) -> None:
    (name,) = params
    assert f"does not read `{name}`" in refusal(model_list=[entry(model, api_key="k", **params)])


@pytest.mark.parametrize("name", ["ensure_alternating_roles", "user_continue_message"])
def test_in_the_settings_of_all_models_they_are_misplaced(name: str) -> None:
    message = refusal(
        model_list=[entry("openai_like/m", api_base=BASE)], litellm_settings={name: True}
    )
    assert f"`litellm_settings.{name}` belongs in `litellm_params`" in message


# ---- the property ----

MESSAGES = st.sampled_from([S, U, A])
RULES = st.fixed_dictionaries(
    {},
    optional={
        "alternate": st.booleans(), "system_role": st.booleans(), "one_system": st.booleans(),
        "single_calls": st.booleans(), "after_tools": st.sampled_from(["", "Thanks."]),
    },
)  # fmt: skip
TURNS = st.sampled_from([{}, {"user_continue_message": "u"}, {"assistant_continue_message": "a"}])


@STEADY
@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=7).filter(lambda found: U in found),
    rules=RULES,
    turns=TURNS,
    provider=st.sampled_from(ROWS),
)
def test_any_conversation_keeps_to_any_rules(
    messages: list[Any], rules: dict[str, Any], turns: dict[str, Any], provider: str
) -> None:
    found = sent(f"{provider}/m", *messages, template_rules=rules, **turns)
    said = [message["content"] for message in found]
    alternate = rules.get("alternate", rules.get("system_role") is False)
    if rules.get("system_role") is False:
        assert "system" not in roles(found)
    if alternate:
        talk = [role for role in roles(found) if role != "system"]
        assert talk[0] == "user"
        neighbors = pairwise(talk if rules.get("one_system", True) else roles(found))
        assert not [pair for pair in neighbors if pair in {("user",) * 2, ("assistant",) * 2}]
    if rules.get("one_system", alternate):
        assert "system" not in roles(found)[1:]
    for message in messages:  # no text is lost
        assert any(message["content"] in text for text in said)
    assert found == sent(f"{provider}/m", *messages, template_rules=rules, **turns)


def test_each_provider_with_openais_api_reads_the_settings() -> None:
    for name in registry.names():
        reads = "template_rules" in registry.find(name).settings
        assert reads is (name not in {"anthropic", "bedrock", "cohere", "gemini", "vertex_ai"})
