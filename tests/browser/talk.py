"""What scripted models say to the page: words with a pace, and the tokens that they took."""

from __future__ import annotations

import json
import re

from tests.support.provider_steps import pause, role, say
from tests.support.scripted_provider import Call, Script, Step
from tests.support.wire_formats import USAGE


def speaks(
    text: str,
    *,
    after: float = 0.0,
    between: float = 0.0,
    sent: int = 24,
    first: Step | None = None,
) -> Script:
    """The text word by word, a token each; `first` is waited for after the first word."""
    words = re.findall(r"\S+\s*|\s+", text)
    script: list[Step] = [pause(after), role]
    for at, word in enumerate(words):
        script += [say(word), pause(between)]
        if at == 0 and first:
            script.append(first)
    return [*script, _end(sent, len(words))]


def _end(sent: int, got: int) -> Step:
    usage = {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got}

    def counted(data: bytes) -> bytes:
        return data.replace(json.dumps(USAGE).encode(), json.dumps(usage).encode())

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(counted(call.voice.closing(call.model)))
            call.end()
        else:
            body = counted(call.voice.whole(call.model, "".join(call.words)))
            call.whole(200, body, {"content-type": "application/json"})

    return step
