"""
What Anthropic's models differ in, by their names.

Sources: https://platform.claude.com/docs/en/about-claude/models/overview (limits),
https://platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting (thinking by model),
https://platform.claude.com/docs/en/build-with-claude/effort (levels by model).
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from msgspec import Struct

Version: TypeAlias = tuple[int, int]

# `claude-opus-4-5-20251101`, `claude-sonnet-5`; before version 4 the line came last:
# `claude-3-5-haiku-20241022`. A date is not a minor version.
_NAME = re.compile(r"claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_OLD_NAME = re.compile(r"claude-(\d{1,2})(?:[-.](\d{1,2}))?-([a-z]+)")

_NEWEST: Version = (99, 0)  # for a Claude whose name has no number


class Traits(Struct, frozen=True):
    """
    What one model accepts.

    `max_tokens` is the largest limit. `off` is the `thinking.type` that turns thinking off, `None`
    if the model always thinks; `efforts` are the levels of `adaptive` thinking. `sampling` says
    which of `temperature` and `top_p` it accepts: `free` is for a server that is not Anthropic's.
    `forced`: it may be forced to call a tool. `structured`: it has formats with a schema, and
    strict tools. `budgets`: thinking may have a budget of tokens. `prefill`: it continues a message
    of the assistant.
    """

    max_tokens: int
    thinking: Literal["never", "budget", "adaptive"]
    off: str | None = "disabled"
    efforts: frozenset[str] = frozenset()
    sampling: Literal["free", "both", "either", "fixed"] = "both"
    forced: bool = True
    structured: bool = True
    budgets: bool = True
    prefill: bool = True


# A model that is not Claude: the oldest form of thinking, and llama.cpp's own limit.
FOREIGN = Traits(4096, "budget", sampling="free")


def find_traits(name: str) -> Traits:
    """What the model called `name` accepts."""
    if "claude" not in name:
        return FOREIGN
    line, version = _read(name)
    return Traits(
        max_tokens=_most_tokens(line, version),
        thinking=_thinking(version),
        budgets=version < (4, 7),
        off=_off(line, version),
        efforts=_efforts(version),
        sampling=_sampling(version),
        forced=_forced(line, version),
        structured=_structured(line, version),
        # "This model does not support assistant message prefill", of Opus and Sonnet 4.6:
        # github.com/anomalyco/opencode/issues/13768, langchain-ai/deepagents/issues/1585, 2026-11
        prefill=version < (4, 6),
    )


def _read(name: str) -> tuple[str, Version]:
    if match := _NAME.search(name):
        return match[1], (int(match[2]), int(match[3] or 0))
    if match := _OLD_NAME.search(name):
        return match[3], (int(match[1]), int(match[2] or 0))
    return ("mythos", (4, 7)) if "mythos-preview" in name else ("", _NEWEST)


def _most_tokens(line: str, version: Version) -> int:
    """
    The documented "max output".

    Thinking counts towards it. From version 4.5 on, a prompt that leaves less room than this is
    accepted, and the response ends with `model_context_window_exceeded`.
    """
    if version >= (4, 6):
        return 128_000
    if line == "opus" and (4, 0) <= version < (4, 5):
        return 32_000
    if version >= (3, 7):
        return 64_000
    return 8192 if version == (3, 5) else 4096


def _thinking(version: Version) -> Literal["never", "budget", "adaptive"]:
    if version >= (4, 6):
        return "adaptive"
    return "budget" if version >= (3, 7) else "never"


def _off(line: str, version: Version) -> str | None:
    if line in {"fable", "mythos"} or (line == "opus" and version >= (5, 5)):
        return None
    # https://platform.claude.com/docs/en/models/sonnet-5-5/whats-new-sonnet-5-5
    return "between_tools" if line == "sonnet" and version >= (5, 5) else "disabled"


def _forced(line: str, version: Version) -> bool:
    """
    Whether `tool_choice` may be `any` or a tool.

    "Claude Fable 5.1 and Claude Mythos 5.1 […] reject forced tool use on every request":
    platform.claude.com/docs/en/build-with-claude/thinking, as public repositories quote it; one of
    2026-09 names Opus 5.5, too. 2026-11
    """
    if line in {"fable", "mythos"}:
        return version < (5, 1)
    return not (line == "opus" and version >= (5, 5))


def _structured(line: str, version: Version) -> bool:
    """
    Whether the model has structured outputs: since Opus 4.1, Sonnet 4.5 and Haiku 4.5.

    platform.claude.com/docs/en/build-with-claude/structured-outputs; "claude-sonnet-4-20250514
    doesn't support it": github.com/theopenco/llmgateway/pull/1473, vercel/ai/pull/10502, 2026-11
    """
    return version >= ((4, 1) if line == "opus" else (4, 5))


def _efforts(version: Version) -> frozenset[str]:
    if version >= (4, 7):
        return frozenset({"low", "medium", "high", "xhigh", "max"})
    return frozenset({"low", "medium", "high", "max"}) if version >= (4, 6) else frozenset()


def _sampling(version: Version) -> Literal["both", "either", "fixed"]:
    # https://platform.claude.com/docs/en/build-with-claude/thinking#sampling-parameters
    if version >= (4, 7):
        return "fixed"
    return "either" if version >= (4, 0) else "both"
