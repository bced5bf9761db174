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
    one_call: bool = False,
    structured: bool = False,
) -> Turn:
    """
    Return the response to a request.

    `results` are those after the model's last turn. The weather tool is called for two cities, or
    for one if the request allows one call only. Other tools are called with the structured output.
    """
    if results:
        return Turn(model, ["The tools returned: ", ", ".join(results), "."])
    if structured:
        return Turn(model, [json.dumps(WEATHER)[:10], json.dumps(WEATHER)[10:]])
    if "get_weather" in tools:
        cities = CITIES[:1] if one_call else CITIES
        return Turn(model, calls=[_weather(city) for city in cities])
    if tools:
        return Turn(model, calls=[ToolCall(f"call_{next(NUMBERS)}", tools[0], WEATHER)])
    return Turn(model, ["Hello ", "from ", f"{model}."])


def _weather(city: str) -> ToolCall:
    return ToolCall(f"call_{next(NUMBERS)}", "get_weather", {"city": city})
