"""What all codecs of vendors with another API do with a request, since they share its reader."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat

MODELS = {"anthropic": "claude-x", "bedrock": "meta.llama", "cohere": "m", "gemini": "m"}
HI = {"role": "user", "content": "Hi."}
PARSING = sorted(MODELS.keys() - {"cohere"})  # Cohere gets a call's arguments as a string, too


def encode(provider: str, *messages: dict[str, Any], drop_params: bool = False, **more: Any) -> str:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    target = Target("our-name", MODELS[provider], drop_params)
    return registry.find(provider).chat.encode(request, target, False).body.decode()


def calling(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    calls = [{"id": "c", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


@pytest.mark.parametrize("provider", MODELS)
def test_a_refusal_beside_content_is_sent(provider: str) -> None:
    answer = {"role": "assistant", "content": "Well.", "refusal": "No."}
    body = encode(provider, HI, answer, HI)
    assert "Well." in body
    assert "No." in body


@pytest.mark.parametrize("provider", MODELS)
def test_an_assistants_empty_content_is_left_out_beside_calls(provider: str) -> None:
    result = {"role": "tool", "tool_call_id": "c", "content": "?"}
    body = encode(provider, HI, calling("{}") | {"content": ""}, result)
    assert '""' not in body


@pytest.mark.parametrize("provider", PARSING)
@pytest.mark.parametrize("arguments", ["[" * 100_000, '{"a":' * 100_000, "[1]", "true", "{"])
def test_arguments_that_are_no_object_are_sent_as_the_value_of_one(
    provider: str, arguments: str
) -> None:
    """A model wrote them; the result of the tool, which is in the conversation, says the rest."""
    body = encode(
        provider, HI, calling(arguments), {"role": "tool", "tool_call_id": "c", "content": "?"}
    )
    assert json.dumps({"arguments": arguments}, separators=(",", ":")) in body


@pytest.mark.parametrize("provider", PARSING)
def test_a_file_without_data_and_id_is_rejected_by_its_path(provider: str) -> None:
    part = {"type": "file", "file": {"filename": "a.pdf"}}
    with pytest.raises(RequestError) as rejected:
        encode(provider, {"role": "user", "content": [part]}, drop_params=True)
    assert rejected.value.param == "messages[0].content[0].file"


@pytest.mark.parametrize("provider", MODELS)
def test_openais_defaults_and_hints_ask_for_nothing(provider: str) -> None:
    given: dict[str, Any] = {
        "frequency_penalty": 0, "functions": [], "logit_bias": {}, "logprobs": False,
        "modalities": ["text"], "n": 1, "parallel_tool_calls": True, "presence_penalty": 0,
        "prompt_cache_key": "k", "safety_identifier": "s", "service_tier": "auto", "store": False,
        "tool_choice": "auto", "tools": [], "top_logprobs": 0, "user": "u", "verbosity": "medium",
    }  # fmt: skip
    assert json.loads(encode(provider, HI, **given))


@pytest.mark.parametrize("provider", MODELS)
def test_all_vendors_reject_the_same_thing_with_the_same_reason(provider: str) -> None:
    custom = {"type": "custom", "custom": {"name": "shell"}}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tools": [custom]}, "`tools[0]`: only functions can be called"),
        ({"tool_choice": custom}, "`tool_choice`: only functions can be called"),
    ]
    for fields, reason in cases:
        request = parse_chat({"model": "our-name", "messages": [HI], **fields})
        with pytest.raises(Unsupported) as rejected:
            registry.find(provider).chat.encode(request, Target("our-name", "m"), False)
        assert reason in str(rejected.value)


@pytest.mark.parametrize(
    ("data", "written", "real"),
    [
        ("iVBORw0KGgoAAAAN", "image/jpeg", "image/png"),
        ("/9j/4AAQSkZJRgAB", "image/png", "image/jpeg"),
        ("R0lGODlhAQABAIAA", "image/webp", "image/gif"),
        ("UklGRhoAAABXRUJQ", "image/png", "image/webp"),
        ("iVBORw0KGgoAAAAN", "", "image/png"),
        ("AAAAAAAAAAAAAAAA", "image/png", "image/png"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "gemini"])
def test_an_image_has_the_type_of_its_bytes(
    provider: str, data: str, written: str, real: str
) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:{written};base64,{data}"}}
    request = parse_chat({"messages": [{"role": "user", "content": [part]}]})
    model = "anthropic.claude-3" if provider == "bedrock" else "claude-x"
    body = registry.find(provider).chat.encode(request, Target("our-name", model), False).body
    kind = real.removeprefix("image/") if provider == "bedrock" else real
    assert f'"{kind}"' in body.decode()
    assert data in body.decode()


# ---- the places of errors ----

LOST = [{"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for i in range(3)]  # fmt: skip
AFTER_A_LOST_RESULT: list[dict[str, Any]] = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": None, "tool_calls": LOST},
    {"role": "tool", "tool_call_id": "c1", "content": "1"},
]


@pytest.mark.parametrize(
    ("provider", "model", "wrong", "param"),
    [
        ("anthropic", "claude-x", {"role": "user", "content": "x", "odd": 1}, "odd"),
        (
            "anthropic",
            "claude-x",
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://a"}}]},
            "content[0].image_url.url",
        ),
        ("anthropic", "claude-opus-4-7", {"role": "assistant", "content": "So"}, "role"),
        ("bedrock", "us.anthropic.claude-opus-4-7", {"role": "assistant", "content": "So"}, "role"),
        (
            "cohere",
            "m",
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]},
            "content[0]",
        ),
        (
            "cohere",
            "m",
            {
                "role": "tool",
                "tool_call_id": "other",
                "content": [{"type": "file", "file": {"file_id": "f"}}],
            },
            "content[0]",
        ),
        ("perplexity", "sonar", {"role": "assistant", "content": "So"}, "role"),
    ],
)
def test_an_error_after_results_that_were_added_names_the_clients_own_place(
    provider: str, model: str, wrong: dict[str, Any], param: str
) -> None:
    between = [] if wrong["role"] == "tool" else [{"role": "user", "content": "And?"}]
    messages = [*AFTER_A_LOST_RESULT, *between, wrong]
    request = parse_chat({"model": "m", "messages": messages})
    with pytest.raises(RequestError) as caught:
        registry.find(provider).chat.encode(request, Target("our-name", model), False)
    assert caught.value.detail.param == f"messages[{len(messages) - 1}].{param}"
