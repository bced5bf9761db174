"""
How much a model thinks: `thinking` as an effort, and the effort of a request with tools.

Loaded only for requests that have either.
"""

from __future__ import annotations

from typing import Any

from ..fields import UnsupportedFields
from ..thinking import effort_of
from .quirks import Quirks
from .rules import fixed_fields, of_model, tool_effort


def takes_thinking(quirks: Quirks, model: str, given: Any) -> bool:
    """
    Whether the field `thinking` can be sent, maybe without its budget.

    A budget is Anthropic's; other vendors that have the field have its `type` only.
    """
    has_budget = isinstance(given, dict) and "budget_tokens" in given
    return quirks.budgets or not has_budget or any(of_model(quirks.thinking, model))


def fit_thinking(
    quirks: Quirks, model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> str | None:
    """
    Replace `thinking` in our own `body` by the nearest effort that the model takes.

    Returns that effort. A model that takes none is not made to think, nor kept from it.
    """
    asked = effort_of(body.pop("thinking"))
    if asked is None or body.get("reasoning_effort") is not None:
        unsupported.note("thinking")
        return None
    efforts = ("none",) if asked == "none" else dict.fromkeys((asked, "high", "medium", "low"))
    for effort in efforts:
        absent = quirks.drop | fixed_fields(quirks.families, model, effort)
        if "reasoning_effort" not in absent:
            if effort != asked:
                unsupported.note("thinking")
            body["reasoning_effort"] = effort
            return effort
    if asked == "none":
        unsupported.note("thinking")
    else:
        unsupported.add("thinking", "this model is not known to think")
    return None


def fit_effort(
    quirks: Quirks, model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> str | None:
    """The effort of a request with tools, which `body` gets; the model may take none with them."""
    effort: str | None = body.get("reasoning_effort")
    rule = tool_effort(quirks.tool_efforts, model)
    if rule is None or effort == "none" or not any(map(_is_function, body["tools"])):
        return effort
    if effort is not None:
        unsupported.add("reasoning_effort", "together with `tools`, this model takes only `none`")
        del body["reasoning_effort"]
    if rule.explicit:
        unsupported.note("reasoning_effort")
        body["reasoning_effort"] = "none"
    return body.get("reasoning_effort")


def _is_function(tool: dict[str, Any]) -> bool:
    return tool.get("type") == "function"
