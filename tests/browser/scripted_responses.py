"""Scripted responses with a delay, a speed and a token count."""

from __future__ import annotations

import json
import re

from tests.support.provider_steps import pause, role, say
from tests.support.scripted_provider import Call, Script, Step
from tests.support.wire_formats import USAGE


def streamed(
    text: str,
    *,
    delay: float = 0.0,
    interval: float = 0.0,
    prompt_tokens: int = 24,
    after_first: Step | None = None,
) -> Script:
    """
    Stream a text with one token per word.

    `delay` is in seconds before the first word, `interval` after each. The step `after_first` runs
    after the first word.
    """
    words = re.findall(r"\S+\s*|\s+", text)
    script: list[Step] = [pause(delay), role]
    for at, word in enumerate(words):
        script += [say(word), pause(interval)]
        if at == 0 and after_first:
            script.append(after_first)
    return [*script, _end(prompt_tokens, len(words))]


def _end(prompt_tokens: int, completion_tokens: int) -> Step:
    """End the response with this usage."""
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }

    def with_usage(data: bytes) -> bytes:
        return data.replace(json.dumps(USAGE).encode(), json.dumps(usage).encode())

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(with_usage(call.wire_format.closing(call.model)))
            call.end()
        else:
            body = with_usage(call.wire_format.whole(call.model, "".join(call.words)))
            call.whole(200, body, {"content-type": "application/json"})

    return step
