"""What the stub models respond, whichever API they have: text, tool calls or structured output."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

CITIES = ("Oslo", "Bergen")
WEATHER = {"city": "Oslo", "degrees": 7}
"""The structured output."""
SHELLS = {"exec_command": "cmd", "Bash": "command"}
"""The tools by which Codex and Claude Code run a command, and their argument for it."""
NUMBERS = itertools.count()
"""For ids, which are unique in a conversation."""


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool by the model."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One response: some words, or tool calls; a model that `thinks` sends its thoughts first."""

    model: str
    words: Sequence[str] = ()
    calls: Sequence[ToolCall] = ()
    thinks: bool = False
    number: int = field(default_factory=lambda: next(NUMBERS))


def respond(
    model: str,
    tools: Sequence[str],
    results: Sequence[str],
    *,
    conversation: str,
    one_call: bool = False,
    structured: bool = False,
) -> Turn:
    """
    Return the response to a request.

    `results` are those after the model's last turn. The weather tool is called for two cities, or
    for one if the request allows one call only; so is a shell, if the conversation is about the
    weather. Of other tools, the last is called, with the structured output.
    """
    if results:
        return Turn(model, ["The tools returned: ", ", ".join(results), "."])
    if structured:
        return Turn(model, [json.dumps(WEATHER)[:10], json.dumps(WEATHER)[10:]])
    cities = CITIES[:1] if one_call else CITIES
    if "get_weather" in tools:
        return Turn(model, calls=[_call("get_weather", {"city": city}) for city in cities])
    shell = next((name for name in tools if name in SHELLS), "")
    if shell and "weather" in conversation:
        commands = [{SHELLS[shell]: f"echo 7 degrees in {city}"} for city in cities]
        return Turn(model, calls=[_call(shell, command) for command in commands])
    if tools and not shell:
        return Turn(model, calls=[_call(tools[-1], WEATHER)])
    return Turn(model, ["Hello ", "from ", f"{model}."])


def _call(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(f"call_{next(NUMBERS)}", name, arguments)
