"""The rules of the OpenAI-compatible vendors in `other_rows.py`, each from its own errors."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.openai.typed_schemas import typed_schema
from fanout.providers.other_rows import OTHER_ROWS
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest
from tests.providers.strict import openai_api

U = {"role": "user", "content": "Hello."}
EMPTY = {"role": "assistant", "content": ""}
SYSTEM = {"role": "system", "content": "Be brief."}


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


F, G = tool("f", type="object"), tool("g", type="object")
NAMED = {"type": "function", "function": {"name": "g"}}


def encode(
    provider: str, *messages: Any, model: str = "m", drop_params: bool = False, **more: Any
) -> WireRequest:
    request = parse_chat({"messages": [*(messages or [U])], **more})
    chat = registry.find(provider).chat
    return chat.encode(request, Target("m", model, drop_params), False)


def body_of(provider: str, *messages: Any, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(provider, *messages, **more).body)
    openai_api.check(provider, body)
    return body


# ---- messages ----


@pytest.mark.parametrize("provider", ["moonshot", "volcengine"])
@pytest.mark.parametrize("content", ["", None, [], [{"type": "text", "text": ""}]], ids=str)
def test_an_empty_turn_is_left_out(provider: str, content: Any) -> None:
    wire = encode(provider, U, {**EMPTY, "content": content}, U)
    sent = json.loads(wire.body)["messages"]
    if content in ("", None, []):
        assert sent == [U, U]
        assert wire.dropped == ("messages[].content",)


def test_an_empty_message_that_the_model_continues_stays() -> None:
    """Moonshot's partial mode, in which the model speaks under a name."""
    given = {"role": "assistant", "name": "Ada", "content": "", "partial": True}
    wire = encode("moonshot", U, given, model="kimi-k2.5")
    assert json.loads(wire.body)["messages"] == [U, given]
    assert wire.dropped == ()


@pytest.mark.parametrize("provider", ["moonshot", "mistral", "volcengine", "xai"])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_an_empty_system_prompt_is_left_out_where_a_message_needs_a_content(
    provider: str, role: str
) -> None:
    wire = encode(provider, {"role": role, "content": ""}, U)
    assert json.loads(wire.body)["messages"] == [U]
    assert wire.dropped == ("messages[].content",)


@pytest.mark.parametrize("provider", ["moonshot", "zai"])
def test_empty_texts_beside_other_parts_are_left_out(provider: str) -> None:
    parts = [{"type": "text", "text": "Hi"}, {"type": "text", "text": ""}]
    wire = encode(provider, {"role": "user", "content": parts})
    assert json.loads(wire.body)["messages"][0]["content"] == parts[:1]
    assert wire.dropped == ("messages[].content[]",)


def test_minimax_gets_one_system_message_and_late_ones_as_the_users() -> None:
    more = {"role": "developer", "content": [{"type": "text", "text": "In French."}]}
    sent = body_of("minimax", SYSTEM, more, U, {"role": "assistant", "content": "Oui."}, SYSTEM, U)
    assert [one["role"] for one in sent["messages"]] == [
        *("system", "user", "assistant", "user", "user")
    ]
    texts = [part["text"] for part in sent["messages"][0]["content"]]
    assert texts == ["Be brief.", "In French."]


def test_two_system_messages_of_text_are_one_text_for_minimax() -> None:
    wire = encode("minimax", SYSTEM, SYSTEM, U)
    joined = {"role": "system", "content": "Be brief.\n\nBe brief."}
    assert json.loads(wire.body)["messages"] == [joined, U]
    assert wire.dropped == ("messages[].role",)


@pytest.mark.parametrize("provider", ["nvidia_nim", "hosted_vllm", "openai_like", "local"])
@pytest.mark.parametrize(
    ("model", "has_turn"),
    [
        ("mistralai/mistral-small-4-119b-2603", True),
        ("mistralai/Devstral-Small-2-24B-Instruct-2512", True),
        ("Mixtral-8x7B-Instruct-v0.1", True),
        ("meta/llama-3.3-70b-instruct", False),
        ("ministry-of-magic", False),
    ],
)
def test_mistrals_models_get_a_turn_after_a_tools_result_at_any_server(
    provider: str, model: str, *, has_turn: bool
) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    history = [U, message, {"role": "tool", "tool_call_id": "a", "content": "1"}, U]
    wire = encode(provider, *history, model=model)
    roles = [one["role"] for one in json.loads(wire.body)["messages"]]
    between = ["assistant"] if has_turn else []
    assert roles == ["user", "assistant", "tool", *between, "user"]
    assert ("messages[].role" in wire.dropped) is has_turn


def test_cerebras_is_not_asked_for_one_call_at_a_time_by_gpt_oss() -> None:
    for model, is_sent in (("gpt-oss-120b", False), ("zai-glm-4.7", True)):
        wire = encode("cerebras", model=model, tools=[F], parallel_tool_calls=False)
        assert ("parallel_tool_calls" in json.loads(wire.body)) is is_sent
        assert wire.one_call is not is_sent
        assert wire.dropped == ()


def test_lm_studio_gets_the_result_of_a_tool_as_one_text() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    result = {"role": "tool", "tool_call_id": "a", "content": parts}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert body_of("lm_studio", U, message, result)["messages"][2]["content"] == "a\nb"


# ---- fields ----


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("provider", sorted({"github", "aihubmix", "nano-gpt", "together_ai"}))
@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        ("openai/gpt-5-mini", "max_completion_tokens"),
        ("o3-mini", "max_completion_tokens"),
        ("openai/gpt-oss-120b", "max_tokens"),
        ("openai/gpt-4o", "max_tokens"),
        ("deepseek/DeepSeek-R1", "max_tokens"),
    ],
)
def test_openais_reasoning_models_get_the_new_name_of_the_limit_from_any_vendor(
    provider: str, model: str, theirs: str, name: str
) -> None:
    body = body_of(provider, model=model, **{name: 9})
    assert {k: v for k, v in body.items() if k.startswith("max_")} == {theirs: 9}


def test_github_drops_what_openais_models_reject() -> None:
    wire = encode("github", model="openai/gpt-5", drop_params=True, temperature=0.2, top_p=0.5)
    assert wire.dropped == ("temperature", "top_p")
    with pytest.raises(Unsupported) as caught:
        encode("github", model="openai/o3-mini", temperature=0.2)
    assert caught.value.param == "temperature"
    assert body_of("github", model="meta/Llama-3.3-70B-Instruct", temperature=0.2)["temperature"]


def test_nvidia_gets_no_field_that_asks_for_nothing() -> None:
    nothing: dict[str, Any] = {
        "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False, "store": False,
        "logit_bias": {}, "service_tier": "auto", "top_logprobs": 0, "parallel_tool_calls": True,
        "prompt_cache_key": "k", "safety_identifier": "s", "metadata": {"a": "b"}, "user": "u",
    }  # fmt: skip
    wire = encode("nvidia_nim", **nothing)
    assert json.loads(wire.body) == {"messages": [U], "model": "m"}
    assert wire.dropped == ()
    asked = {"n": 2, "frequency_penalty": 0.5, "temperature": 1, "top_p": 1}
    assert body_of("nvidia_nim", **asked).items() >= asked.items()


def test_zai_takes_temperatures_up_to_1_and_no_choice_of_tools_but_auto() -> None:
    assert body_of("zai", temperature=1)["temperature"] == 1
    assert "temperature" not in body_of("zai", temperature=1.5, drop_params=True)
    assert "tool_choice" not in body_of("zai", tools=[F], tool_choice="auto")
    assert "tools" not in body_of("zai", tools=[F], tool_choice="none")
    for more in ({"temperature": 1.5}, {"tools": [F], "tool_choice": "required"}):
        with pytest.raises(Unsupported) as caught:
            encode("zai", **more)
        assert caught.value.param in more


@pytest.mark.parametrize("provider", ["lm_studio", "moonshot"])
def test_a_named_call_is_required_by_offering_that_tool_alone(provider: str) -> None:
    wire = encode(provider, tools=[F, G], tool_choice=NAMED)
    body = json.loads(wire.body)
    assert body["tool_choice"] == "required"
    assert [one["function"]["name"] for one in body["tools"]] == ["g"]
    assert wire.dropped == ("tool_choice",)
    with pytest.raises(RequestError, match="names none of the `tools`"):
        encode(provider, tools=[F], tool_choice=NAMED)


def test_lm_studio_is_asked_for_json_in_words_and_for_a_schema_by_its_field() -> None:
    body = body_of("lm_studio", response_format={"type": "json_object"})
    assert "response_format" not in body
    assert "one valid JSON object" in body["messages"][0]["content"]
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert body_of("lm_studio", response_format=form)["response_format"] == form


@pytest.mark.parametrize("effort", ["minimal", "medium", "none", "xhigh"])
def test_kimi_k3_has_three_efforts(effort: str) -> None:
    assert body_of("moonshot", model="kimi-k3", reasoning_effort="high")["reasoning_effort"]
    wire = encode("moonshot", model="kimi-k3", reasoning_effort=effort, drop_params=True)
    assert wire.dropped == ("reasoning_effort",)


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("MiniMax-M3", {"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}),
        ("minimax-m3", {"type": "disabled"}, {"type": "disabled"}),
        ("MiniMax-M2.5", {"type": "enabled"}, {"type": "enabled"}),
    ],
)
def test_minimax_m3_thinks_adaptively(model: str, given: Any, sent: Any) -> None:
    wire = encode("minimax", model=model, thinking=given)
    assert json.loads(wire.body)["thinking"] == sent
    assert wire.dropped == (() if given == sent else ("thinking.budget_tokens",))


@pytest.mark.parametrize(
    ("given", "effort"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, "low"),
        ({"type": "enabled", "budget_tokens": 10_000}, "high"),  # it has no `medium`
        ({"type": "disabled"}, None),
        ({"type": "adaptive"}, None),
    ],
)
def test_kimi_k3_gets_an_effort_instead_of_a_budget(given: Any, effort: str | None) -> None:
    wire = encode("moonshot", model="kimi-k3", thinking=given)
    body = json.loads(wire.body)
    assert "thinking" not in body
    assert body.get("reasoning_effort") == effort
    assert wire.dropped == (() if effort == "low" else ("thinking",))
    kept = encode("moonshot", model="kimi-k2.5", thinking=given)
    assert json.loads(kept.body)["thinking"] == {"type": given["type"]}


# ---- Moonshot's schemas ----

LEAVES: list[dict[str, Any]] = [
    *({"type": "string"}, {"type": ["integer", "null"]}, {}, {"description": "any"}),
    *({"enum": ["a", 1]}, {"enum": ["a"]}, {"const": None}, {"enum": []}),
    *({"$ref": "#/$defs/D"}, {"$ref": "#/$defs/D", "description": "d"}),
    {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]},
]
SCHEMAS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.fixed_dictionaries(
            {"anyOf": st.lists(inner, min_size=1, max_size=2)},
            optional={"type": st.sampled_from(["object", "string", ["string", "null"]])},
        )
        | st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner)})
        | st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=6,
)
DEFINITION = {"type": "object", "properties": {"d": {"$ref": "#/$defs/D"}}}


@settings(derandomize=True, deadline=None, max_examples=300)
@given(schema=SCHEMAS, root=st.sampled_from([{}, {"anyOf": [{"required": ["p"]}]}]))
def test_moonshot_gets_any_schema_in_its_flavor(schema: Any, root: Any) -> None:
    parameters = {"type": "object", "properties": {"p": schema}, "$defs": {"D": DEFINITION}, **root}
    before = json.dumps(parameters)
    body_of("moonshot", tools=[tool("f", **parameters)])
    assert json.dumps(parameters) == before


@pytest.mark.parametrize(
    ("value", "is_valid"), [("a", True), (["a"], True), (5, False), ({"a": 1}, False)]
)
def test_a_type_beside_choices_moves_into_them(value: Any, *, is_valid: bool) -> None:
    """The choices without a type get it; those with one keep it."""
    asked = {
        "type": ["string", "array"],
        "description": "names",
        "anyOf": [{"maxLength": 9}, {"type": "array", "items": {"type": "string"}}],
    }
    schema = typed_schema({"type": "object", "properties": {"p": asked}})
    found = schema["properties"]["p"]
    assert "type" not in found
    assert found["description"] == "names"
    assert jsonschema_rs.is_valid(schema, {"p": value}) is is_valid


def test_each_of_these_vendors_is_a_known_provider() -> None:
    assert all(registry.find(name).name == row.name for name, row in OTHER_ROWS.items())


# ---- the chat templates of open models, wherever they run ----

LATE = {"role": "system", "content": "Answer in French."}
ANSWER = {"role": "assistant", "content": "Hello."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_0f3", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call_0f3", "content": "21 C"}
SERVERS = ["hosted_vllm", "openai_like", "lm_studio", "nvidia_nim", "huggingface", "litellm_proxy"]


def roles_of(provider: str, model: str, *messages: Any) -> list[str]:
    return [one["role"] for one in body_of(provider, *messages, model=model)["messages"]]


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize("model", ["Qwen/Qwen3.5-35B-A3B-FP8", "qwen3.6-27b", "Qwen3.8-27B"])
def test_qwens_system_message_is_the_only_one_and_the_first(provider: str, model: str) -> None:
    given = (SYSTEM, LATE, U, ANSWER, LATE, U)
    assert roles_of(provider, model, *given) == ["system", "user", "assistant", "user", "user"]
    sent = body_of(provider, *given, model=model)["messages"]
    assert sent[0]["content"] == "Be brief.\n\nAnswer in French."
    assert roles_of(provider, "qwen3-32b", *given) == [one["role"] for one in given]


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize(
    "model",
    [
        "google/gemma-3-27b-it", "gemma3:12b", "mistralai/Mistral-7B-Instruct-v0.3",
        "meta-llama/Llama-2-13b-chat-hf", "llama2:13b", "codellama/CodeLlama-7b-Instruct-hf",
    ],
)  # fmt: skip
def test_the_roles_of_models_with_an_alternating_template_alternate(
    provider: str, model: str
) -> None:
    sent = body_of(provider, SYSTEM, SYSTEM, U, U, ANSWER, ANSWER, LATE, U, model=model)
    roles = [one["role"] for one in sent["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert sent["messages"][-1]["content"] == "Answer in French.\n\nHello."
    assert roles_of(provider, model, U, ANSWER) == ["user", "assistant"]  # which it continues
    assert roles_of(provider, "google/gemma-4-31b-it", U, U, LATE) == ["user", "user", "system"]


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize("model", ["google/gemma-3-27b-it", "meta-llama/Llama-2-13b-chat-hf"])
def test_there_is_a_turn_between_a_result_and_the_user(provider: str, model: str) -> None:
    expected = ["user", "assistant", "tool", "assistant", "user"]
    assert roles_of(provider, model, U, CALL, RESULT, U) == expected


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize("model", ["google/gemma-3-27b-it", "mistral-7b", "llama-3.1-8b"])
def test_tools_that_may_not_be_called_are_not_offered(provider: str, model: str) -> None:
    tools: dict[str, Any] = {"tools": [F], "tool_choice": "none"}
    assert not {"tools", "tool_choice"} & body_of(provider, U, model=model, **tools).keys()
    assert body_of(provider, U, model=model, tools=[F])["tools"]
    assert body_of(provider, U, model="qwen3-32b", **tools)["tool_choice"] == "none"


@pytest.mark.parametrize("model", ["google/gemma-2-9b-it", "gemma2:2b", "gemma-1.1-7b-it"])
def test_a_gemma_without_a_system_prompt_reads_it_as_the_users(model: str) -> None:
    sent = body_of("hosted_vllm", SYSTEM, U, model=model)["messages"]
    assert sent == [{"role": "user", "content": "Be brief.\n\nHello."}]


@pytest.mark.parametrize("provider", [*SERVERS, "openrouter"])
@pytest.mark.parametrize("model", ["mistralai/mistral-small-4-119b-2603", "Ministral-8B-Instruct"])
def test_mistrals_models_get_ids_and_turns_as_mistral_needs_them(provider: str, model: str) -> None:
    sent = body_of(provider, U, CALL, RESULT, U, model=model)["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool", "assistant", "user"]
    (called,) = sent[1]["tool_calls"]
    assert called["id"] == sent[2]["tool_call_id"] != "call_0f3"
    assert len(called["id"]) == 9
    assert called["id"].isalnum()


@pytest.mark.parametrize("content", [None, "", [{"type": "text", "text": "I look."}]])
def test_mimo_gets_a_text_and_a_thought_with_each_call(content: Any) -> None:
    parts = [{"type": "text", "text": "21"}, {"type": "text", "text": "C"}]
    given = (U, {**CALL, "content": content}, {**RESULT, "content": parts}, ANSWER, U)
    sent = body_of("xiaomi_mimo", *given, model="mimo-v2.5-pro")["messages"]
    assert sent[1]["content"] == ("I look." if content else " ")
    assert sent[2]["content"] == "21\nC"
    assert sent[1]["reasoning_content"] == sent[3]["reasoning_content"] == " "


def test_nvidias_answers_and_results_are_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    given = [
        U,
        {**CALL, "content": parts},
        {**RESULT, "content": parts},
        {**ANSWER, "content": parts},
    ]
    sent = body_of("nvidia_nim", *given, model="minimaxai/minimax-m3")["messages"]
    assert [one["content"] for one in sent[1:]] == ["a\nb"] * 3


def calls_of(*ids: str) -> list[dict[str, Any]]:
    function = {"name": "f", "arguments": "{}"}
    return [{"id": one, "type": "function", "function": function} for one in ids]


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize(
    "model", ["meta/llama-3.1-8b-instruct", "meta-llama/Meta-Llama-3.2-3B", "llama3.3:70b"]
)
@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")], ids=str)
def test_each_call_of_llama_3_is_a_turn_before_its_result(
    provider: str, model: str, order: tuple[str, ...]
) -> None:
    asked = {"role": "assistant", "content": "I look.", "tool_calls": calls_of("a", "b", "c")}
    results = [{"role": "tool", "tool_call_id": one, "content": f"{one} done"} for one in order]
    once = [{**CALL, "tool_calls": calls_of("d")}, {**RESULT, "tool_call_id": "d"}]
    given = (SYSTEM, U, asked, *results, ANSWER, U, *once)
    sent = body_of(provider, *given, model=model)["messages"]
    turns = [one for one in sent if "tool_calls" in one]
    assert [one["tool_calls"] for one in turns] == [calls_of(one) for one in "abcd"]
    assert [one["content"] for one in turns] == ["I look.", None, None, None]
    places = [place for place, one in enumerate(sent) if "tool_calls" in one]
    assert [sent[place + 1]["tool_call_id"] for place in places] == ["a", "b", "c", "d"]
    assert len(sent) == len(given) + 2
    wire = encode(provider, *given, model=model)
    assert wire.dropped == ("messages[].tool_calls",)
    for other in ("llama-4-scout", "llama-3-8b", "qwen3-32b"):
        assert body_of(provider, *given, model=other)["messages"] == list(given)
