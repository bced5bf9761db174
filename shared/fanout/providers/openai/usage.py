"""
Usage in another shape than OpenAI's: other names, texts for numbers, and counts that are left out.

Loaded only for such usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ...wire.json import MAX_INTEGER
from ...wire.tolerant import as_integer
from .views import CompletionDetails, PromptDetails, Usage

SENT, GOT, TOTAL = "prompt_tokens", "completion_tokens", "total_tokens"

NAMES: Mapping[str, tuple[str, ...]] = {
    SENT: ("promptTokens", "input_tokens", "inputTokens", "prompt_token_count"),
    GOT: ("completionTokens", "output_tokens", "outputTokens", "completion_token_count"),
    TOTAL: ("totalTokens", "total_token_count"),
    "prompt_tokens_details": (
        "promptTokensDetails", "input_tokens_details", "inputTokensDetails",
    ),
    "completion_tokens_details": (
        "completionTokensDetails", "output_tokens_details", "outputTokensDetails",
    ),
    "cached_tokens": ("cachedTokens",),
    "audio_tokens": ("audioTokens",),
    "reasoning_tokens": ("reasoningTokens",),
}  # fmt: skip
"""
The other names of OpenAI's counts: those of its Responses API and of Anthropic's, which proxies
pass on, and those of servers in JavaScript.
"""

_COUNTS = frozenset(PromptDetails.__struct_fields__ + CompletionDetails.__struct_fields__)
_SCALAR = str | int | float

DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def repair_usage(usage: Any) -> dict[str, Any] | None:
    """
    Usage with OpenAI's three counts; `None` if one is not known, nor follows from the others.

    Of a total alone (MiniMax has such chunks), the price is not known. A count below zero is none.
    """
    if not isinstance(usage, dict):
        return None
    fixed = _with_names(usage)
    for name in (SENT, GOT, TOTAL):
        fixed[name] = _count(fixed.get(name))
    for name in DETAILS:
        if name in fixed:
            fixed[name] = _details(fixed[name])
    _complete(fixed)
    fixed = {name: value for name, value in fixed.items() if value is not None}
    try:
        msgspec.convert(fixed, Usage)
    except msgspec.ValidationError:
        return None
    return fixed


def total_of(usage: Any) -> int | None:
    """The total of usage in any shape, if it has one."""
    return _count(_with_names(usage).get(TOTAL)) if isinstance(usage, dict) else None


def _with_names(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, and those with other names under OpenAI's."""
    found = {**fields}
    for name, others in NAMES.items():
        if found.get(name) is None:
            given = (fields[other] for other in others if fields.get(other) is not None)
            if (value := next(given, None)) is not None:
                found[name] = value
    return found


def _complete(fixed: dict[str, Any]) -> None:
    """Set the count in our own usage that follows from the two others."""
    sent, got, total = fixed[SENT], fixed[GOT], fixed[TOTAL]
    if _reasons(fixed):
        return  # the sum depends on whether the vendor's completion includes its reasoning
    match sent, got, total:
        case int(), int(), None:
            fixed[TOTAL] = sent + got
        case int(), None, int() if sent <= total:
            fixed[GOT] = total - sent
        case None, int(), int() if got <= total:
            fixed[SENT] = total - got
        case _:
            pass  # all are there, or two are not


def _details(details: Any) -> dict[str, Any] | None:
    """The details, of which a count that cannot be read is left out."""
    if not isinstance(details, dict):
        return None
    found = _with_names(details)
    return {
        name: count
        for name, value in found.items()
        if (count := _count(value) if name in _COUNTS or isinstance(value, _SCALAR) else value)
        is not None
    }


def _count(value: Any) -> int | None:
    """A whole number from zero, also one that is written as `12.0` or `"12"`; else `None`."""
    if isinstance(value, str):
        value = value.strip().removesuffix(".0")
    number = as_integer(value)
    return number if number is not None and 0 <= number <= MAX_INTEGER else None


def _reasons(usage: Mapping[str, Any]) -> bool:
    details = usage.get("completion_tokens_details")
    return bool(isinstance(details, dict) and details.get("reasoning_tokens"))
