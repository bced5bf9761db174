"""
OpenAI-compatible providers, one row each. To add one, add its row; a quirk that a row cannot
express needs a folder.

Addresses and key names are the vendors' published ones, with LiteLLM's names as aliases. `billing`
is what happens when a stream is cancelled, by OpenRouter's list
(https://openrouter.ai/docs/api-reference/streaming).
"""

from __future__ import annotations

from .calls import IdRule
from .openai.history import MessageRules
from .openai.rules import OTHER_SERVERS, Family
from .row import LOGPROBS, NO_STREAM_OPTIONS, OLD_LIMIT, RARE, Row

_ROWS = (
    # github.com/Cerebras/cerebras-cloud-sdk-python: types/chat/completion_create_params.py
    Row(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        drop=RARE - {"prediction", "service_tier"},
        # "property 'messages.N.assistant.reasoning_content' is unsupported". By the same issue, its
        # API accepts `reasoning`: github.com/QwenLM/qwen-code/issues/11045, 2026-11. Other fields
        # are not checked.
        messages=MessageRules(frozenset({"name"}), strict=True),
    ),
    # api-docs.deepseek.com/api/create-chat-completion; it ignores unknown fields.
    Row(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        drop=RARE | {"logit_bias", "n", "parallel_tool_calls", "seed", "user"},
        ignores_unknown=True,
        rename=OLD_LIMIT,
        billing="stops",
        # "The reasoning_content in the thinking mode must be passed back to the API" after calls of
        # tools: github.com/anomalyco/opencode/issues/25058, 2026-11. The other fields and
        # `one_text` are from memory; not checked with DeepSeek's reference.
        messages=MessageRules(
            frozenset({"name", "prefix", "reasoning_content"}),
            reasoning="reasoning_content",
            one_text=True,  # `content` is a string
        ),
        # api-docs.deepseek.com/zh-cn/guides/reasoning_model: these are errors. 2026-11
        families=(Family("`deepseek-reasoner`", "deepseek-reasoner", LOGPROBS),),
    ),
    Row(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
        # docs.fireworks.ai/guides/reasoning: agents must send `reasoning_content` back. 2026-11
        messages=MessageRules(
            frozenset({"function_call", "name", "reasoning_content", "refusal"}),
            reasoning="reasoning_content",
        ),
    ),
    # console.groq.com/docs/openai; github.com/groq/groq-python: no model supports penalties.
    Row(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        drop=(RARE - {"function_call", "functions", "service_tier"})
        | LOGPROBS
        | {"frequency_penalty", "logit_bias", "n", "presence_penalty"},
        developer=True,
        billing="continues",
        # It rejects other fields of messages, and `reasoning` with models that do not reason.
        # github.com/groq/groq-python: chat_completion_assistant_message_param.py, 2026-11
        messages=MessageRules(frozenset({"function_call", "name"}), strict=True),
    ),
    # github.com/mistralai/client-python: models/chatcompletionrequest.py; other fields are a 422.
    Row(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        drop=(RARE - {"metadata", "prediction", "prompt_cache_key"})
        | NO_STREAM_OPTIONS
        | LOGPROBS
        | {"logit_bias", "user"},
        rename={**OLD_LIMIT, "seed": "random_seed"},
        billing="continues",
        # github.com/mistralai/mistral-common: protocol/instruct/validator.py, 2026-11
        messages=MessageRules(
            frozenset({"prefix"}),
            strict=True,
            ids=IdRule(r"[a-zA-Z0-9]{9}", length=9),
            names=False,
            empty=False,
            late_system=False,
            after_tools="Done.",
            prefix="prefix",
        ),
    ),
    Row(
        "hosted_vllm",
        "http://127.0.0.1:8000/v1",
        "HOSTED_VLLM_API_KEY",
        key_optional=True,
        billing="stops",
        # docs.vllm.ai/en/latest/features/reasoning_outputs: once `reasoning_content`. 2026-11
        messages=MessageRules(
            frozenset({"function_call", "name", "reasoning", "refusal"}), reasoning="reasoning"
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
        billing="stops",
        # github.com/ollama/ollama: openai/openai.go, `Message`, 2026-11
        messages=MessageRules(frozenset({"name", "reasoning"}), reasoning="reasoning"),
    ),
    Row(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        developer=True,
        other_keys=("OR_API_KEY",),
        # From openrouter.ai/docs (guides/best-practices/reasoning-tokens, …/prompt-caching,
        # features/multimodal/pdfs), from memory; not checked.
        messages=MessageRules(
            frozenset(
                {
                    "annotations",
                    "cache_control",
                    "function_call",
                    "images",
                    "name",
                    "reasoning",
                    "reasoning_details",
                    "refusal",
                }
            ),
            reasoning="reasoning",
        ),
    ),
    # docs.perplexity.ai/docs/sonar/openai-compatibility; its models search, and call no tools. The
    # fields that it rejects are from memory; not checked.
    Row(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITY_API_KEY",
        drop=(RARE - {"top_k", "web_search_options"})
        | NO_STREAM_OPTIONS
        | LOGPROBS
        | {"logit_bias", "n", "parallel_tool_calls", "seed", "tool_choice", "tools", "user"},
        rename=OLD_LIMIT,
        billing="continues",
        other_keys=("PERPLEXITYAI_API_KEY",),
        # "After the (optional) system message(s), user or tool message(s) should alternate with
        # assistant message(s)": github.com/iamsrikanthnani/pluely/issues/71, 2026-11. Names, empty
        # messages and other fields are from memory; not checked with Perplexity's reference.
        messages=MessageRules(
            strict=True, names=False, empty=False, late_system=False, alternate=True
        ),
    ),
    Row(
        "together_ai",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    ),
    # That xAI rejects `logit_bias` is from memory; not checked with docs.x.ai/docs/api-reference.
    Row(
        "xai",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        drop=(RARE - {"web_search_options"}) | {"logit_bias"},
        billing="stops",
        # "Each message must have at least one content element": the API's own error, as public
        # clients quote it, 2026-11. That it rejects other fields is from memory; not checked.
        messages=MessageRules(frozenset({"name"}), strict=True, empty=False),
        # "presencePenalty, frequencyPenalty, and stop parameters are not supported by reasoning
        # models": xAI's guide in a public copy; github.com/BerriAI/litellm/pull/11563 and
        # huggingface/smolagents/pull/1766. 2026-11. Grok Code: not checked. By
        # github.com/miaoxworld/NativeTavern/issues/83, newer models reject the penalties even
        # without reasoning.
        families=(
            Family(
                "Grok 4, Grok Code, Grok 3 mini, while they reason",
                r"grok-(?:4|code|3-mini)(?!.*non-reasoning)",
                frozenset({"frequency_penalty", "presence_penalty", "stop"}),
            ),
        ),
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
    ),
    # Any other OpenAI-compatible server; the config has its address.
    Row(
        "openai_like",
        "{api_base}",
        "OPENAI_LIKE_API_KEY",
        key_optional=True,
        messages=OTHER_SERVERS,
    ),
)

# LiteLLM's other names of a row.
_ALIASES = {
    "fireworks": "fireworks_ai",
    "together": "together_ai",
    "vllm": "hosted_vllm",
    "ollama_chat": "ollama",
    "custom_openai": "openai_like",
}

ROWS: dict[str, Row] = {row.name: row for row in _ROWS}
ROWS |= {alias: ROWS[name] for alias, name in _ALIASES.items()}

# Bare model names, by their beginning; the first match counts.
PREFIXES: tuple[tuple[str, str], ...] = (
    ("claude", "anthropic"),
    ("gpt-oss", ""),  # open weights: many vendors serve them, OpenAI does not
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("ft:gpt-", "openai"),
    ("ft:o", "openai"),
    ("command", "cohere"),
    ("c4ai-", "cohere"),
    ("gemini-", "gemini"),
    ("gemma-", "gemini"),
    ("mistral-", "mistral"),
    ("magistral-", "mistral"),
    ("ministral-", "mistral"),
    ("codestral-", "mistral"),
    ("devstral-", "mistral"),
    ("pixtral-", "mistral"),
    ("open-mi", "mistral"),
    ("deepseek-", "deepseek"),
    ("grok-", "xai"),
    ("sonar", "perplexity"),
)
