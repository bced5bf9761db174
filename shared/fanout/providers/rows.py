"""
OpenAI-compatible providers, one row each. To add one, add its row; a quirk that a row cannot
express needs a folder.

Addresses and key names are the vendors' published ones, with LiteLLM's names as aliases. `billing`
is what happens when a stream is cancelled, by OpenRouter's list
(https://openrouter.ai/docs/api-reference/streaming).
"""

from __future__ import annotations

from .base import PromptCache
from .openai.message_rules import (
    AFTER_TOOLS,
    FUNCTIONS,
    MISTRALS,
    MISTRALS_IDS,
    MessageRules,
)
from .openai.rules import (
    OLD_LIMIT,
    Family,
    ForcedCalls,
    FormatRules,
)
from .own_servers import SERVER_ROWS
from .row import (
    EFFORT,
    LOGPROBS,
    NO_BUDGET,
    NO_STREAM_OPTIONS,
    RARE,
    THINKING_OFF,
    Row,
)

_NO_EFFORT_ON_GROQ = r"allam|compound|gemma|kimi|llama|mistral|mixtral"

_ROWS = (
    # Cerebras's SDK for Python 1.91, types/chat/completion_create_params.py, 2026-11
    Row(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        drop=RARE - {"prediction", "prompt_cache_key", "service_tier"},
        developer=True,
        # "property 'messages.N.assistant.reasoning_content' is unsupported":
        # github.com/QwenLM/qwen-code/issues/11045, 2026-11. The SDK has `reasoning`.
        messages=MessageRules(frozenset({"name", "reasoning"}), strict=True, reasoning="reasoning"),
        # They do not reason: inference-docs.cerebras.ai/capabilities/reasoning;
        # github.com/egoist/chatwise-releases/issues/1325, 2026-11
        families=(
            Family("Llama, Qwen 3 instruct", "llama|qwen-3-.*instruct", EFFORT),
            # The same SDK
            Family(
                "all with `minimal`, `xhigh` or `max`",
                "",
                EFFORT,
                frozenset({None, "none", "low", "medium", "high"}),
            ),
            # "parallel_tool_calls=False is not supported by this model": github.com/agno-agi/agno/
            # issues/4508, 2026-11
            Family("GPT-OSS", "gpt-oss", frozenset({"parallel_tool_calls"})),
        ),
        # "Unsupported JSON schema fields: {'minItems', 'items'}": github.com/musistudio/
        # claude-code-router/issues/708; no `pattern` and `format`: inference-docs.cerebras.ai/
        # capabilities/structured-outputs, 2026-11
        formats=FormatRules(bounds=False, formats=False),
    ),
    # api-docs.deepseek.com/api/create-chat-completion; it ignores unknown fields.
    Row(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        # api-docs.deepseek.com/guides/kv_cache, 2026-11: a beginning is kept, for hours, when two
        # requests had it
        prompt_cache=PromptCache(calls=2, seconds=3_600.0),
        drop=(RARE - {"thinking"}) | {"logit_bias", "n", "parallel_tool_calls", "seed", "user"},
        ignores_unknown=True,
        rename=OLD_LIMIT,
        billing="stops",
        # The reference above has `name`, `prefix` and `reasoning_content`, and a `content` that is
        # a string. "The reasoning_content in the thinking mode must be passed back to the API":
        # with calls of tools, each message of the assistant must have some, also if another model
        # wrote it. github.com/anomalyco/opencode/issues/24722, openclaw/openclaw/issues/73417,
        # MoonshotAI/kimi-cli/issues/2141, 2026-11
        messages=MessageRules(
            frozenset({"name", "prefix", "reasoning_content"}),
            functions=FUNCTIONS,
            reasoning="reasoning_content",
            no_thought=" ",
            one_text=True,
        ),
        # api-docs.deepseek.com/zh-cn/guides/reasoning_model: these are errors. 2026-11
        families=(Family("`deepseek-reasoner`", "deepseek-reasoner", LOGPROBS),),
        # "This response_format type is unavailable now", of `json_schema`: github.com/langchain-ai/
        # langchain/issues/29282, UKGovernmentBEIS/inspect_ai/issues/4916, 2026-11
        formats=FormatRules(no_schemas=".*"),
        # "Thinking mode does not support this tool_choice", and they think by default: github.com/
        # deepseek-ai/DeepSeek-V3/issues/1376, mozilla-ai/any-llm/issues/1384, 2026-11
        # `deepseek-chat` thinks only if `thinking` says so: api-docs.deepseek.com/guides/
        # thinking_mode, 2026-11
        forced=(
            ForcedCalls("deepseek-v4", THINKING_OFF),
            ForcedCalls("deepseek-chat", THINKING_OFF, by_default=False),
            ForcedCalls("deepseek-reasoner"),
        ),
        thinking=NO_BUDGET,  # the same guide has its `type` only
    ),
    # Fireworks's SDK for Python 1.2, types/chat/completion_create_params.py, 2026-11. "Extra inputs
    # are not permitted, field: …": github.com/web-infra-dev/midscene/issues/1322, 2025-10
    Row(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        drop=RARE
        - {
            "function_call",
            "functions",
            "metadata",
            "prediction",
            "prompt_cache_key",
            "service_tier",
            "top_k",
        },
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
        # The same SDK, types/shared_params/chat_message.py: messages have no other fields.
        # docs.fireworks.ai/guides/reasoning: agents must send `reasoning_content` back. 2026-11
        messages=MessageRules(
            frozenset({"reasoning_content"}),
            strict=True,
            reasoning="reasoning_content",
            names=False,
            named_results=False,
        ),
    ),
    # console.groq.com/docs/openai; github.com/groq/groq-python: no model supports penalties.
    Row(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        # console.groq.com/docs/prompt-caching, 2026-11: two hours without use
        prompt_cache=PromptCache(seconds=7_200.0),
        drop=(RARE - {"function_call", "functions", "service_tier"})
        | LOGPROBS
        | {"frequency_penalty", "logit_bias", "n", "presence_penalty"},
        developer=True,
        billing="continues",
        # Groq's SDK for Python 1.7, chat_completion_assistant_message_param.py, 2026-11. It has
        # `reasoning`, but only for models that reason: so it is left out for all.
        # Texts are joined: "'messages.0.content' : value must be a string", of a system message:
        # github.com/OpenHands/OpenHands/issues/4643, livekit/agents/issues/1790, 2025-04
        messages=MessageRules(frozenset({"function_call", "name"}), strict=True, one_text=True),
        # Only GPT-OSS and Qwen take it: console.groq.com/docs/reasoning; github.com/diegosouzapw/
        # OmniRoute/pull/3277, 2026-11
        families=(
            Family("models that do not reason", _NO_EFFORT_ON_GROQ, EFFORT),
            # console.groq.com/docs/reasoning; github.com/vercel/ai/issues/7731, 2026-11
            Family(
                "GPT-OSS with `none`, `minimal`, `xhigh` or `max`",
                "gpt-oss",
                EFFORT,
                frozenset({None, "low", "medium", "high"}),
            ),
            Family(
                "Qwen 3 with anything but `none` and `default`",
                "qwen3",
                EFFORT,
                frozenset({None, "none"}),
            ),
        ),
        # Groq's SDK for Python 1.7, completion_create_params.py, 2026-11
        values={"service_tier": frozenset({"auto", "flex", "on_demand", "performance"})},
        # "minItems is not supported": github.com/i-am-bee/beeai-framework/issues/1215.
        # "This model does not support response format `json_schema`": github.com/plune-ai/cairn/
        # pull/36. "json mode cannot be combined with tool/function calling": vercel/ai/issues/
        # 16540, agno-agi/agno/issues/1065. 2026-11
        formats=FormatRules(
            no_schemas=r"llama-?3|gemma|mixtral|mistral|allam|qwen3-32b",
            with_tools=False,
            bounds=False,
        ),
    ),
    # github.com/mistralai/client-python: models/chatcompletionrequest.py; other fields are a 422.
    Row(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        prompt_cache=PromptCache(has_key=True),  # docs.mistral.ai, `prompt_cache_key`, 2026-11
        trace_name="mistral_ai",
        drop=(RARE - {"metadata", "prediction", "prompt_cache_key", "service_tier", "top_k"})
        | NO_STREAM_OPTIONS
        | {"logit_bias", "user"},
        own=frozenset({"guardrails"}),
        # Mistral's SDK for Python 3.7: `RequestedServiceTier`, `Prediction`, 2026-11
        values={"service_tier": frozenset({"auto", "standard_only"})},
        text_prediction=True,
        rename={**OLD_LIMIT, "seed": "random_seed"},
        billing="continues",
        # github.com/mistralai/mistral-common: protocol/instruct/validator.py; Mistral's SDK for
        # Python 3, `AssistantMessage`. 2026-11. It has a part for earlier reasoning, `ThinkChunk`,
        # but only for models that reason: so it is left out for all.
        messages=MessageRules(
            frozenset({"prefix"}),
            strict=True,
            ids=MISTRALS_IDS,
            functions=FUNCTIONS,
            names=False,
            bare_audio=True,  # `AudioChunk` of its SDK 3.7
            documents="document_url",
            empty=False,
            late_system=False,
            after_tools=AFTER_TOOLS,
            prefix="prefix",
        ),
        # docs.mistral.ai/capabilities/reasoning; github.com/NousResearch/hermes-agent/issues/11243;
        # …/anomalyco/models.dev/pull/1986, which tried each model: `none` and `high`. 2026-11
        families=(
            Family(
                "Mistral Large, Ministral, Codestral, Devstral, Pixtral, open models",
                r"mistral-(?:large|saba|tiny)|ministral|codestral|devstral|pixtral"
                r"|open-mi",
                EFFORT,
            ),
            Family(
                "Mistral Small, Mistral Medium, Magistral with any level but `none` and `high`",
                r"mistral-(?:small|medium)|magistral",
                EFFORT,
                frozenset({None, "none", "high"}),
            ),
        ),
    ),
    Row(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        # openrouter.ai/docs/use-cases/reasoning-tokens has an effort, and `reasoning`, 2026-11
        drop=frozenset({"thinking"}),
        developer=True,
        other_keys=("OR_API_KEY",),
        prompt_cache=PromptCache(marks=True),
        # OpenRouter's SDK for Python 1.3, components/chatassistantmessage.py; `annotations`, of
        # files, are in openrouter.ai/docs/features/multimodal/pdfs, and `cache_control` of parts
        # in …/guides/best-practices/prompt-caching. 2026-11
        messages=MessageRules(
            frozenset(
                {
                    "annotations",
                    "audio",
                    "cache_control",
                    "images",
                    "name",
                    "reasoning",
                    "reasoning_details",
                    "refusal",
                }
            ),
            # Mistral's own errors: github.com/zed-industries/zed/issues/37021, 2026-11
            after_tools=AFTER_TOOLS,
            with_turns=MISTRALS,
            reasoning="reasoning",
            addresses="file_data",
        ),
    ),
    # docs.perplexity.ai/docs/sonar/openai-compatibility; its models search, and call no tools.
    # Perplexity's SDK for Python 0.46, types/chat/completion_create_params.py, 2026-11
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
        families=(
            # The same SDK
            Family(
                "all with `none`, `xhigh` or `max`",
                "",
                EFFORT,
                frozenset({None, "minimal", "low", "medium", "high"}),
            ),
        ),
        other_keys=("PERPLEXITYAI_API_KEY",),
        # "After the (optional) system message(s), user or tool message(s) should alternate with
        # assistant message(s)": github.com/iamsrikanthnani/pluely/issues/71, 2026-11. The same SDK
        # has no other fields of messages (types/shared_params/chat_message_input.py). That empty
        # ones are left out is Fanout's choice: with them, neighbors would not alternate.
        messages=MessageRules(
            frozenset({"reasoning_steps"}),
            strict=True,
            names=False,
            named_results=False,
            documents="file_url",
            empty=False,
            late_system=False,
            after_tools=AFTER_TOOLS,
            alternate=True,
            last_response=False,
        ),
        # "response_format -> ResponseFormatText -> type: Input should be 'text'", of `json_object`:
        # github.com/567-labs/instructor/issues/1005, theopenco/llmgateway/issues/1475, 2026-11
        formats=FormatRules(json_mode=False),
    ),
    Row(
        "together_ai",
        "https://api.together.xyz/v1",
        "TOGETHER_API_KEY",
        rename=OLD_LIMIT,
        billing="stops",
        other_keys=("TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
        # Together's SDK for Python 3.1, chat_completion_assistant_message_param.py, 2026-11
        messages=MessageRules(
            frozenset({"name", "reasoning"}),
            reasoning="reasoning",
            one_text=True,
        ),
    ),
    # xAI's SDK for Python has no `logit_bias` (chat.py), 2026-11.
    Row(
        "xai",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        trace_name="x_ai",
        drop=(RARE - {"web_search_options"}) | {"logit_bias"},
        billing="stops",
        # "Each message must have at least one content element": github.com/AstrBotDevs/AstrBot/
        # issues/6447, 2026-03; there, it accepts `reasoning_content`, which its SDK has, too. No
        # page of xAI's has other fields: they are left out.
        messages=MessageRules(
            frozenset({"name", "reasoning_content"}),
            strict=True,
            reasoning="reasoning_content",
            empty=False,
            empty_beside_calls=False,
        ),
        families=(
            # "grok-4-1-fast-non-reasoning does not support parameter presencePenalty":
            # github.com/lobehub/lobehub/issues/13332; so 4.20, 4.3, 4.5 and 4.6: miaoxworld/
            # NativeTavern/issues/83. Grok 3 supports it: QuantumNous/new-api/pull/6081. 2026-11
            Family(
                "Grok 4 and later, Grok Code, Grok 3 mini",
                r"grok-(?:[4-9]|code|3-mini)",
                frozenset({"frequency_penalty", "presence_penalty"}),
            ),
            # "Model grok-4 does not support parameter reasoningEffort": github.com/BerriAI/litellm/
            # pull/16265, NousResearch/hermes-agent/pull/23435 (which models do). 2026-11
            Family(
                "Grok 2, 3, 4, 4 fast, Grok Code",
                r"grok-(?:2|3(?!-mini)|4(?![.\d]|-[1-9])|code)",
                EFFORT,
            ),
            # docs.x.ai/docs/guides/reasoning: `low` and `high`. 2026-11
            Family(
                "Grok 3 mini with anything but `low` and `high`",
                "grok-3-mini",
                EFFORT,
                frozenset({None, "low", "high"}),
            ),
            # "presencePenalty, frequencyPenalty, and stop parameters are not supported by reasoning
            # models": xAI's guide in a public copy; github.com/BerriAI/litellm/pull/11563,
            # langgenius/dify-official-plugins/pull/3405, 2026-11
            Family(
                "Grok 4 and later, Grok Code, Grok 3 mini, while they reason",
                r"grok-(?:[4-9]|code|3-mini)(?!.*non-reasoning)",
                frozenset({"stop"}),
            ),
        ),
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

ROWS: dict[str, Row] = {row.name: row for row in (*_ROWS, *SERVER_ROWS)}
ROWS |= {alias: ROWS[name] for alias, name in _ALIASES.items()}
