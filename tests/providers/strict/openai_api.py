"""
Rejects the messages that OpenAI's API, and each vendor with that API, rejects.

Written from the vendors' references, beside the codec's own rules, which are enforced as well. A
vendor without an entry in `KNOWN` has OpenAI's fields and ignores others, but must not get those
that a third vendor made.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec import structs
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from fanout.providers.openai.message_rules import rules_for
from fanout.providers.other_rows import OTHER_ROWS
from fanout.providers.rows import ROWS
from fanout.providers.schema_references import map_inner
from tests.providers.strict import row_rules, tool_schemas

MESSAGE: TypeAdapter[Any] = TypeAdapter(ChatCompletionMessageParam)

OTHERS = frozenset({
    "annotations", "cache_control", "citations", "content_parts", "context", "executed_tools",
    "extra_content", "images", "parsed", "provider_specific_fields", "reasoning",
    "reasoning_content", "reasoning_details", "reasoning_steps", "search_results",
    "thinking_blocks",
})  # fmt: skip
"""What only some vendors have. Each vendor below lists what it has itself."""

ANY_SERVER = {"reasoning_content", "extra_content", "reasoning_details", "cache_control"}
PASSING = frozenset({
    "aihubmix", "aiml", "apertis", "cometapi", "docker_model_runner", "helicone", "lemonade",
    "litellm_proxy", "llamafile", "lm_studio", "nano-gpt", "oobabooga", "poe", "veniceai",
    "vercel_ai_gateway", "xinference",
})  # fmt: skip
"""Gateways, which call models of other vendors, and servers of one's own."""
OWN: dict[str, set[str]] = {
    "deepseek": {"reasoning_content"},  # api-docs.deepseek.com/guides/thinking_mode
    "fireworks_ai": {"reasoning_content"},
    "hosted_vllm": {"reasoning"},
    "ollama": {"reasoning"},
    "openrouter": {"annotations", "cache_control", "images", "reasoning", "reasoning_details"},
    "together_ai": {"reasoning", "reasoning_content"},
    **dict.fromkeys(("local", "openai_like"), ANY_SERVER),
    **dict.fromkeys(OTHER_ROWS, ANY_SERVER - {"extra_content", "reasoning_details"}),
    "minimax": ANY_SERVER - {"extra_content"},  # platform.minimax.io/docs
    **dict.fromkeys(PASSING, ANY_SERVER),
}

KNOWN: dict[str, dict[str, set[str]]] = {
    # openai-openapi 2.3.0, `ChatCompletionRequest…Message`
    "openai": {
        "assistant": {"content", "refusal", "name", "audio", "tool_calls", "function_call"},
        "user": {"content", "name"},
        # `name` is in OpenAI's own example: github.com/openai/openai-cookbook, examples/
        # How_to_call_functions_with_chat_models.ipynb, read 2026-11
        "tool": {"content", "name", "tool_call_id"},
    },
    # Each vendor's SDK for Python, 2026-11: Groq 1.7, Cerebras 1.91, Fireworks 1.2
    "groq": {"assistant": {"content", "name", "tool_calls", "function_call", "reasoning"}},
    "cerebras": {
        "assistant": {"content", "name", "reasoning", "tool_calls"},
        "tool": {"content", "name", "tool_call_id"},
    },
    "fireworks_ai": {
        "assistant": {"content", "reasoning_content", "tool_calls"},
        "user": {"content"},
        "tool": {"content", "tool_call_id"},
    },
    # github.com/mistralai/mistral-common: protocol/instruct/messages.py; other fields are a 422
    "mistral": {
        "assistant": {"content", "tool_calls", "prefix"},
        "user": {"content"},
        "tool": {"content", "tool_call_id", "name"},
    },
    # Perplexity's SDK for Python 0.46; xAI's has `encrypted_content`, too, 2026-11
    "perplexity": {
        "assistant": {"content", "reasoning_steps", "tool_calls"},
        "user": {"content"},
    },
    "xai": {"assistant": {"content", "name", "tool_calls", "reasoning_content"}},
}
for _same in ("azure", "bedrock"):
    KNOWN[_same] = KNOWN["openai"]

NAMED = {"openai", "azure", "bedrock", "deepseek", "mistral"}
"""Vendors that have published which names of functions they accept; sources in `openai/rules.py`"""

ORDER = {  # mistral-common: protocol/instruct/validator.py, `_validate_message_order`
    "system": {"user", "assistant", "system"},
    "user": {"assistant", "system", "user"},
    "assistant": {"assistant", "user", "tool"},
    "tool": {"assistant", "tool"},
}


SERVERS = {"hosted_vllm", "local", "openai_like", *OTHER_ROWS} - {"codestral", "dashscope"}
"""Those that may have open models with their own chat templates."""


def check(vendor: str, body: dict[str, Any]) -> None:
    """Fail as the vendor's API does if it rejects these messages."""
    messages = body["messages"]
    assert messages
    _check_tools(vendor, body.get("tools", []))
    empty = [name for name, value in body.items() if value in (None, "", [], {})]
    assert not empty, f"{empty}: a value is expected"
    for message in messages:
        assert not [name for name in message.keys() - {"content"} if message[name] is None]
        _check_fields(vendor, message)
        if message["role"] == "assistant":
            _check_answer(vendor, message)
    _check_calls(messages)
    if vendor in SERVERS:
        _check_template(str(body.get("model")), messages)
    if row := ROWS.get(vendor) or OTHER_ROWS.get(vendor):
        rules = rules_for(row.messages, str(body.get("model")))
        rules = structs.replace(rules, developer=row.developer)
        offered = [tool["function"]["name"] for tool in body.get("tools", ()) if "function" in tool]
        row_rules.check(rules, messages, functions="functions" in body, offered=offered)
    if vendor not in {"openai", "azure"} and "functions" not in body:
        assert all(message["role"] != "function" for message in messages), "legacy"
        assert not any(message.get("function_call") for message in messages), "legacy"
    if vendor in VENDORS:
        VENDORS[vendor](messages)
    if vendor == "moonshot":
        _check_moonshot(body)


def _check_template(model: str, messages: list[dict[str, Any]]) -> None:
    """
    What the chat templates of open models reject, wherever they run.

    "System message must be at the beginning.", "After the optional system message, conversation
    roles must alternate user and assistant roles except for tool calls and results", and "System
    role not supported": the `chat_template` of Qwen3.5-27B, Mistral-Small-3.2 and gemma-2-9b-it.
    """
    name = model.lower().rpartition("/")[2]
    roles = [message["role"] for message in messages]
    if name.startswith(("qwen3.5", "qwen3.6", "mistral", "devstral", "gemma-3", "gemma-2")):
        assert "system" not in roles[1:], "System message must be at the beginning."
        assert roles != ["system"], "No user query found in messages."
    if name.startswith(("mistral", "devstral", "gemma-3", "gemma-2", "llama-2", "codellama")):
        talk = [role for role in roles if role != "system"]
        pairs = list(itertools.pairwise(talk))
        assert talk[0] == "user", "Conversation roles must alternate"
        assert not {("user", "user"), ("assistant", "assistant")} & {*pairs}, "must alternate"
        assert ("tool", "user") not in itertools.pairwise(roles), "must alternate"
    if name.startswith(("mistral", "devstral")):
        assert ("tool", "user") not in itertools.pairwise(roles), "role 'user' after role 'tool'"
        ids = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
        assert all(re.fullmatch("[a-zA-Z0-9]{9}", one) for one in ids), "Tool call IDs"
    if re.match(r"(meta-)?llama-3\.[1-3]", name):
        calls = [message["tool_calls"] for message in messages if "tool_calls" in message]
        assert all(len(one) == 1 for one in calls), "only supports single tool-calls at once!"
    assert not name.startswith("gemma-2") or "system" not in roles, "System role not supported"


def _check_tools(vendor: str, tools: list[dict[str, Any]]) -> None:
    functions = [tool["function"] for tool in tools if tool["type"] == "function"]
    for function in functions:
        tool_schemas.check(function["parameters"], flat=vendor in {"openai", "azure"})
    names = [function["name"] for function in functions]
    if vendor in NAMED:
        assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert len(set(names)) == len(names), "Tool names must be unique."


def _check_fields(vendor: str, message: dict[str, Any]) -> None:
    role = message["role"]
    fields = message.keys() - {"role"}
    if vendor in {"openai", "azure"} and role not in {"function", "tool"}:
        assert re.fullmatch(r"[^\s<|\\/>]+", message.get("name", "ada")), "does not match pattern"
    if known := KNOWN.get(vendor, {}).get(role):
        assert fields <= known, f"{vendor}: unknown {fields - known}"
    assert not fields & (OTHERS - OWN.get(vendor, KNOWN.get(vendor, {}).get(role, set())))
    if isinstance(message.get("content"), list):
        for part in message["content"]:
            assert not part.keys() & (OTHERS - OWN.get(vendor, set())), vendor
    if vendor in {"openai", "azure", "bedrock"}:
        MESSAGE.validate_python(message)


def _check_answer(vendor: str, message: dict[str, Any]) -> None:
    calls = message.get("tool_calls")
    if message.get("content") is None:
        alternatives = ("tool_calls", "function_call", "refusal", "audio")
        assert any(message.get(name) for name in alternatives), "content is null"
    if vendor in {"mistral", "perplexity", "xai"}:
        assert message.get("content") or calls, f"{vendor}: a message needs content or calls"
    if "tool_calls" in message:
        assert calls, "an empty array of calls"
    # `audio: Optional[Audio]` in OpenAI's SDK for Python, 2026-11
    if message.get("audio") is not None:
        assert message["audio"].keys() == {"id"}
    for call in calls or ():
        assert call.keys() == {"id", "type", "function"} | (call.keys() & OWN.get(vendor, set()))
        assert call["type"] == "function"
        assert call["function"].keys() == {"name", "arguments"}
        if vendor in NAMED:
            name = call["function"]["name"]
            assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", name), "string does not match pattern"
        if vendor in {"openai", "azure", "bedrock"}:
            assert 1 <= len(call["id"]) <= 40, "string too long"
        else:
            assert isinstance(json.loads(call["function"]["arguments"]), dict)


def _check_calls(messages: list[dict[str, Any]]) -> None:
    """Each call is answered before the next turn, and nothing else is."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "no such call"
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, "tool calls must be followed by their results"
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
            assert len(set(waiting)) == len(waiting)
    assert not waiting


def _check_thoughts(messages: list[dict[str, Any]]) -> None:
    """DeepSeek: "The reasoning_content in the thinking mode must be passed back to the API"."""
    if any("tool_calls" in message for message in messages):
        answers = [message for message in messages if message["role"] == "assistant"]
        assert all(message.get("reasoning_content") for message in answers)


def _check_mistral(messages: list[dict[str, Any]]) -> None:
    for earlier, later in itertools.pairwise(messages):
        assert later["role"] in ORDER[earlier["role"]], f"{later['role']} after {earlier['role']}"
    last = messages[-1]
    assert last["role"] in {"user", "tool"} or last.get("prefix")
    ids = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", call_id) for call_id in ids)


def _check_alternation(messages: list[dict[str, Any]]) -> None:
    """Perplexity: "user or tool message(s) should alternate with assistant message(s)"."""
    roles = [message["role"] for message in messages]
    while roles[0] == "system":
        roles.pop(0)
    assert roles[0] == "user"
    assert "system" not in roles
    pairs = list(itertools.pairwise(roles))
    assert ("assistant", "assistant") not in pairs
    assert ("user", "user") not in pairs
    assert ("tool", "user") not in pairs
    assert roles[-1] != "assistant"


def _check_mimo(messages: list[dict[str, Any]]) -> None:
    """Xiaomi: "`text` is not set", and "The reasoning_content … must be passed back"."""
    for message in messages:
        needs = message["role"] == "assistant"
        assert message.get("content") or (not needs and message["content"] == ""), "text is not set"
        assert message["role"] != "tool" or isinstance(message["content"], str), "text is not set"
    _check_thoughts(messages)


def _check_nvidia(messages: list[dict[str, Any]]) -> None:
    """NVIDIA: "Message content as a list is only supported for user messages"."""
    for message in messages:
        parts = message["content"] if isinstance(message["content"], list) else ()
        is_text = {part["type"] for part in parts} == {"text"}
        assert message["role"] == "user" or not is_text, "content as a list"


def _check_minimax(messages: list[dict[str, Any]]) -> None:
    systems = [place for place, one in enumerate(messages) if one["role"] == "system"]
    assert systems in ([], [0]), "invalid chat setting (2013)"


def _check_moonshot(body: dict[str, Any]) -> None:
    """
    Moonshot's rules, as its errors say them.

    "The message at position 2 with role 'assistant' must not be empty", and "is not a valid
    moonshot flavored json schema".
    """
    for message in body["messages"]:
        if message["role"] == "assistant":
            assert message["content"] or message.get("tool_calls"), "must not be empty"
            assert message["content"] != "", "must not be empty"
    for tool in body.get("tools", ()):
        if tool["type"] == "function":
            schema = tool["function"]["parameters"]
            assert schema.get("type") == "object", 'type is required and must be "object"'
            _check_typed(schema)


def _check_typed(schema: Mapping[str, Any]) -> dict[str, Any]:
    assert schema.keys() & {"$ref", "allOf", "anyOf", "oneOf", "type"}, "type is not defined"
    assert isinstance(schema.get("$ref"), str) <= (len(schema.keys() - {"$defs"}) == 1), "siblings"
    combined = schema.keys() & {"anyOf", "oneOf"}
    assert not (combined and "type" in schema), "type should be defined in anyOf items"
    assert isinstance(schema.get("items", {}), dict), "items must be an object"
    map_inner(schema, _check_typed)
    return dict(schema)


VENDORS = {
    "deepseek": _check_thoughts,
    "minimax": _check_minimax,
    "mistral": _check_mistral,
    "nvidia_nim": _check_nvidia,
    "perplexity": _check_alternation,
    "xiaomi_mimo": _check_mimo,
}
"""What each vendor's own errors say of messages."""
