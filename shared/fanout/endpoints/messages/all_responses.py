"""
The responses of several models in one message.

Clients read `content` as one model's. So it has one response, and the field `fanout` has those of
the other models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS
from .errors import type_of
from .request_context import RequestContext
from .response import message_of_choice


def combined_message(
    choices: Sequence[Mapping[str, Any]], report: Mapping[str, Any], given: RequestContext
) -> dict[str, Any]:
    """The message of all `choices`, each of which names its model: first the first that is none."""
    first = next((n for n, choice in enumerate(choices) if not choice.get("error")), 0)
    others = [choice for n, choice in enumerate(choices) if n != first]
    message = _message(choices[first], given)
    return {**message, "fanout": {**report, "responses": other_responses(others, given)}}


def other_responses(
    choices: Sequence[Mapping[str, Any]], given: RequestContext
) -> list[dict[str, Any]]:
    """The messages of these choices; of a model that failed, its name and its error."""
    return [_failed(one) if one.get("error") else _message(one, given) for one in choices]


def _message(choice: Mapping[str, Any], given: RequestContext) -> dict[str, Any]:
    more = {name: choice[name] for name in ("cost_usd", "fanout", "latency_ms") if name in choice}
    if ORIGINAL_BODY in choice or ORIGINAL_EVENTS in choice:
        from ..original_bytes import decoded  # only models with this API need it
        from .relay import joined_events

        return {**decoded(choice, joined_events), "model": choice["model"], **more}
    message = message_of_choice(choice, choice, thinks=given.thinks, stops=given.stops)
    return {**message, **more}


def _failed(choice: Mapping[str, Any]) -> dict[str, Any]:
    error = choice.get("error") or {}
    found = {"type": type_of(error), "message": error.get("message")}
    return {"type": "error", "model": choice.get("model"), "error": found}
