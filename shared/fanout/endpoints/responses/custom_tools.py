"""
Custom tools, whose input is any text, as functions with one argument.

Only OpenAI's models have custom tools; Codex offers its `apply_patch` as one. Source of the format:
openai-python 3.54.0, `CustomToolParam`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from ...wire import json

INPUT = "input"
"""The name of the argument."""


def custom_function(tool: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The function of a custom tool; a grammar of its input is in the description."""
    if not isinstance(name := tool.get("name"), str) or not name:
        raise RequestError(f"`{path}.name` must be a string", f"{path}.name")
    texts = [tool.get("description"), _grammar(tool.get("format"))]
    description = "\n\n".join(text for text in texts if isinstance(text, str) and text)
    argument = {"type": "string", "description": "The whole input of the tool, as plain text."}
    function: dict[str, Any] = {
        "name": name,
        **({"description": description} if description else {}),
        "parameters": {
            "type": "object",
            "properties": {INPUT: argument},
            "required": [INPUT],
            "additionalProperties": False,
        },
    }
    return {"type": "function", "function": function}


def _grammar(form: object) -> str | None:
    if not isinstance(form, dict) or form.get("type") != "grammar":
        return None
    inner = form.get("grammar")
    given = inner if isinstance(inner, dict) else form  # a chat completion nests it
    return f"The input must match this {given.get('syntax')} grammar:\n{given.get('definition')}"


def custom_arguments(text: str) -> str:
    """The arguments of the function, for this input."""
    return json.encode({INPUT: text}).decode()


def custom_input(arguments: str) -> str:
    """
    The input, of the arguments that a model wrote.

    A model may name its only argument otherwise, or write the input itself.
    """
    value = json.decode_or_none(arguments.encode())
    if not isinstance(value, dict):
        return arguments
    texts = [one for one in value.values() if isinstance(one, str)]
    if isinstance(found := value.get(INPUT), str):
        return found
    return texts[0] if len(value) == len(texts) == 1 else arguments
