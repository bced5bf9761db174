"""
Servers that you run, with OpenAI's API: the address is in the config, or is on this machine.

`rows.py` has the vendors.
"""

from __future__ import annotations

from msgspec.structs import replace

from .fields import VENDORS_FIELDS
from .openai.message_rules import (
    AFTER_TOOLS,
    ALTERNATING,
    MISTRALS,
    NO_IDLE_TOOLS,
    NO_SYSTEM,
    ONE_SYSTEM,
    OTHER_SERVERS,
    SINGLE_CALLS,
    MessageRules,
)
from .openai.rules import OLD_LIMIT
from .row import ENDPOINT, RARE, Row

SERVER_ROWS = (
    Row(
        "hosted_vllm",
        "http://127.0.0.1:8000/v1",
        "HOSTED_VLLM_API_KEY",
        # It has `reasoning_effort` only: github.com/BerriAI/litellm/pull/19787, 2026-11
        drop=frozenset({"thinking"}),
        key_optional=True,
        billing="stops",
        # docs.vllm.ai/en/latest/features/reasoning_outputs: once `reasoning_content`. 2026-11
        messages=MessageRules(
            frozenset({"function_call", "name", "reasoning", "refusal"}),
            reasoning="reasoning",
            after_tools=AFTER_TOOLS,
            with_turns=MISTRALS,
            one_system=ONE_SYSTEM,
            alternating=ALTERNATING,
            no_system=NO_SYSTEM,
            single_calls=SINGLE_CALLS,
            no_idle_tools=NO_IDLE_TOOLS,
        ),
    ),
    # docs.ollama.com/api/openai-compatibility; it ignores fields that are not listed there.
    Row(
        "ollama",
        "http://127.0.0.1:11434/v1",
        "OLLAMA_API_KEY",
        drop=RARE | {"logit_bias", "n", "parallel_tool_calls", "tool_choice", "user"},
        ignores_unknown=True,
        rename=OLD_LIMIT,
        key_optional=True,
        # LiteLLM's addresses may have Ollama's own API; this one is beside it, under `/v1`.
        endpoint=ENDPOINT + r"|(?P<other>/api(?:/chat|/generate)?)",
        billing="stops",
        # github.com/ollama/ollama: openai/openai.go, `Message`, 2026-11
        messages=MessageRules(frozenset({"name", "reasoning"}), reasoning="reasoning"),
    ),
    # Your own engine, such as `fanout local serve`.
    Row(
        "local",
        "http://127.0.0.1:4001/v1",
        "FANOUT_LOCAL_KEY",
        rename=OLD_LIMIT,
        key_optional=True,
        billing="stops",
        messages=OTHER_SERVERS,
        own=VENDORS_FIELDS,
    ),
    # Any other OpenAI-compatible server; the config has its address. Few of them have the new name
    # of the limit of tokens, and others ignore it; LiteLLM sends the old one, too:
    # litellm/llms/openai_like/chat/transformation.py, 2026-11
    Row(
        "openai_like",
        "{api_base}",
        "OPENAI_LIKE_API_KEY",
        rename=OLD_LIMIT,
        key_optional=True,
        # The server may be another gateway, as for `openai/`.
        messages=replace(OTHER_SERVERS, sealed=True),
        own=VENDORS_FIELDS,
    ),
)
