"""
What Google's API rejects, as data: one rule a line, with its source.

The codec reads these rules, and so does the strict server of the tests.
"""

from __future__ import annotations

import re

from ..base import NameRule

# "Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain underscores, dots,
# colons and dashes, with a maximum length of 128": `FunctionDeclaration` in Google's SDK for
# Python, 2026-11. Errors of 2025 end at 64: github.com/google-gemini/gemini-cli/issues/2966.
FUNCTIONS = NameRule("a-zA-Z0-9_.:-", first="a-zA-Z_", tools=r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")

# "stopSequences: The set of character sequences (up to 5)": `GenerationConfig` in Google's
# description of the API, as public clients have it, 2026-11
MOST_STOPS = 5


def is_empty(text: str) -> bool:
    """
    "contents.parts must not be empty", and neither may a text: such parts and turns are left out.

    The API's own errors: github.com/vercel/ai/issues/3775, router-for-me/CLIProxyAPI/issues/1292,
    2026-11
    """
    return not text


def has_reference(result: str) -> bool:
    """
    Whether a tool's result, as JSON, has a `$ref`: Google takes it for the name of a medium.

    "The referenced name `#/$defs/Place` in function_response.response does not match to a
    display_name in the function_response.parts": github.com/NousResearch/hermes-agent/issues/93014,
    twentyhq/twenty/issues/21712, vercel/ai/issues/14369, 2026-11
    """
    return '"$ref"' in result


# `GenerationConfig.responseModalities`: https://ai.google.dev/api/generate-content, 2026-11
MODALITIES = ("text", "image", "audio")


# "Penalty is not enabled for models/gemini-2.5-flash", of Google AI Studio: github.com/vercel/ai/
# issues/8943, google-gemini/cookbook/issues/1290, BerriAI/litellm/issues/26108. "Logprobs is not
# enabled for models/gemini-2.5-flash": googleapis/python-genai/issues/1921, langchain-ai/
# langchain-google/pull/1266; on Vertex AI, 2.5 has them: vercel/ai/issues/5418. 2026-11
NOT_IN_STUDIO = ("frequency_penalty", "logprobs", "presence_penalty", "top_logprobs")
_NEW_IN_STUDIO = re.compile(r"(?:.*/)?gemini-(?:2\.5|[3-9])")


def is_new_in_studio(model: str) -> bool:
    """Whether the model takes none of the fields `NOT_IN_STUDIO` in Google AI Studio."""
    return _NEW_IN_STUDIO.match(model) is not None


# "Developer instruction is not enabled for models/gemma-3-27b-it": github.com/0xPlaygrounds/rig/
# issues/788, microsoft/vscode/issues/258088; "JSON mode is not enabled for models/gemma-3-27b-it":
# vercel/ai/issues/8080; no functions: truefoundry/models/pull/608, google/adk-python/pull/2857.
# Gemma 4 has them all: google-gemma/cookbook/issues/307. 2026-11
_OLD_GEMMA = re.compile(r"(?:.*/)?gemma-(?:[1-3]|2b|7b)")

# "Developer instruction is not enabled for this model": github.com/TheKentuckian/robot_comic/
# issues/122 (speech), QuantumNous/new-api/issues/989 (images). 2026-11
_NO_SYSTEM = re.compile(r"(?:.*/)?gemini-(?:.*tts|2\.0-flash-(?:exp|preview)-image)")


def is_old_gemma(model: str) -> bool:
    """Whether the model is a Gemma without JSON mode and functions."""
    return _OLD_GEMMA.match(model) is not None


def has_system(model: str) -> bool:
    """Whether a conversation may have a system prompt."""
    return not is_old_gemma(model) and _NO_SYSTEM.match(model) is None


def has_levels(model: str) -> bool:
    """Whether the model thinks in levels: Gemini 3 and later, and names such as `…-latest`."""
    return not model.rpartition("/")[2].startswith(("gemini-1", "gemini-2"))


# "Thinking is not enabled for models/…": github.com/googleapis/js-genai/issues/681; so for Gemma
# and the models that make images or speech: anomalyco/models.dev/issues/576, lobehub/lobe-chat/
# issues/7686. `thinking` came with Gemini 2.5: ai.google.dev/gemini-api/docs/thinking, 2026-11
_NO_THINKING = re.compile(r"(?:.*/)?(?:gemini-(?:1|2\.0)|gemma|gemini-.*(?:image|tts))")

# "Budget 0 is invalid. This model only works in thinking mode"; "you cannot turn off thinking for
# Gemini 2.5 Pro" and Gemini 3 Pro: ai.google.dev/gemini-api/docs/thinking, 2026-11
_ALWAYS_THINKS = re.compile(r"(?:.*/)?gemini-.*-pro")

# The levels of Gemini 3 Pro are `low` and `high`; Gemini 3.1 Pro has `medium`, too: the same page.
# Google's own translation of `medium` is `high` then: …/docs/openai#thinking, 2026-11
_NO_MEDIUM = re.compile(r"(?:.*/)?gemini-3-pro")


def thinks(model: str) -> bool:
    """Whether the model takes a `thinkingConfig`."""
    return _NO_THINKING.match(model) is None


def always_thinks(model: str) -> bool:
    """Whether the model's thinking cannot be turned off."""
    return _ALWAYS_THINKS.match(model) is not None


def find_level(level: str, model: str) -> str:
    """The model's level that is nearest to `level`."""
    if level == "MINIMAL" and always_thinks(model):
        return "LOW"
    return "HIGH" if level == "MEDIUM" and _NO_MEDIUM.match(model) else level


# "thinking_budget is out of range; supported values are integers from 1 to 24576": github.com/
# su-kaka/gcli2api/issues/108. The table is in ai.google.dev/gemini-api/docs/thinking#set-budget,
# 2026-11: the least and the most tokens.
_BUDGETS = (
    (re.compile(r"(?:.*/)?gemini-2\.5-flash-lite"), 512, 24_576),
    (re.compile(r"(?:.*/)?gemini-2\.5-flash"), 1, 24_576),
    (re.compile(r"(?:.*/)?gemini-2\.5-pro"), 128, 32_768),
)


def find_budget(tokens: int, model: str) -> int:
    """The model's budget that is nearest to `tokens`."""
    limits = ((least, most) for names, least, most in _BUDGETS if names.match(model))
    least, most = next(limits, (tokens, tokens))
    return min(max(tokens, least), most)
