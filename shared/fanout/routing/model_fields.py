"""
Which fields of vendors may be sent by a client that may not use every model.

Vendors have fields that choose another model, or a chain of them: OpenRouter's `models`, `route`,
`provider` and `plugins`, Groq's `compound_custom`, Vercel's `providerOptions`, LiteLLM's
`fallbacks`, and more each month. So the table has the fields that do not, and others are rejected.
A key's `fields` adds to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..config.catalog import ClientKey
from ..errors import Forbidden
from ..schema.request import CHAT_FIELDS

# Sampling, limits, reasoning, formats, search and safety: parameters of the model that is called.
# From the request types of the vendors' SDKs that `providers/rows.py` cites, and of vLLM, SGLang,
# llama.cpp and Ollama, 2026-11.
_NAMES = (
    "add_generation_prompt add_special_tokens allowed_token_ids bad_words best_of "
    "cache_control cache_prompt chat_template_kwargs citation_options citations "
    "continue_final_message do_sample documents "
    "dry_allowed_length dry_base dry_multiplier dry_penalty_last_n dry_sequence_breakers "
    "dynatemp_exponent dynatemp_range early_stopping ebnf echo enable_citations enable_search "
    "enable_thinking format grammar guided_choice guided_grammar guided_json "
    "guided_regex guided_whitespace_pattern ignore_eos image_config include_reasoning "
    "include_stop_str_in_output json_schema labels length_penalty "
    "max_thinking_tokens media_resolution min_keep min_length min_p min_tokens "
    "mirostat mirostat_eta mirostat_tau n_predict n_probs no_repeat_ngram_size num_ctx "
    "num_keep num_predict options penalize_nl priority prompt_mode "
    "prompt_truncate_len random_seed reasoning reasoning_budget reasoning_content "
    "reasoning_format reasoning_history reasoning_split regex repeat_last_n repeat_penalty "
    "repetition_penalty response_modalities return_citations return_images "
    "return_related_questions safe_prompt safety_mode safety_settings sampling_seed "
    "search_after_date_filter search_before_date_filter search_context_size "
    "search_domain_filter search_language_filter search_mode search_parameters "
    "search_recency_filter separate_reasoning skip_special_tokens "
    "spaces_between_special_tokens stop_regex stop_token_ids stream_options strict_tools "
    "structured_outputs t_max_predict_ms tfs_z think thinking thinking_budget thinking_config "
    "tool_stream top_a top_n_sigma truncate_prompt_tokens typical_p use_beam_search "
    "vl_high_resolution_images web_search xtc_probability xtc_threshold "
    # of embeddings
    "auto_truncate normalize output_dtype taskType task_type title truncate truncation"
)
OWN_FIELDS = frozenset(_NAMES.split())

OWN_TOOLS = frozenset({"browser_search", "code_interpreter", "custom", "function"})
"""The types of tools that call no other model."""


def check_fields(client: ClientKey, body: Mapping[str, Any]) -> None:
    """Raise `Forbidden` for a field, or a tool, that may choose another model."""
    for name in body.keys() - CHAT_FIELDS - OWN_FIELDS - client.fields:
        raise _rejected(client, name, name)
    if "tools" in client.fields:
        return
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") not in OWN_TOOLS:
            raise _rejected(client, f"tools[{index}].type", "tools")


def check_own_fields(client: ClientKey, paths: Iterable[str]) -> None:
    """Raise `Forbidden` for one of the fields of another API that may choose another model."""
    for path in paths:
        name = path.partition("[")[0]
        if name not in client.fields:
            error = _rejected(client, path, name)
            error.is_renamed = True
            raise error


def _rejected(client: ClientKey, path: str, name: str) -> Forbidden:
    return Forbidden(
        f"`{path[:128]}` may choose another model, and the key `{client.name}` may use only some: "
        f"leave it out, or add `{name[:128]}` to the key's `fields` in the config",
        path,
        "field_not_allowed",
    )
