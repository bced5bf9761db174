"""
The response object: a chat completion, and what the client asked for, in the Responses API's form.

It has every field that Open Responses requires, null where it may be: strict clients reject a
response without one. Source: openai-python 3.54.0, `Response`; openresponses.org, 2026-04-24.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec.structs import replace

from ...schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS, ORIGINAL_FIELDS
from ...secret import HiddenRepr
from .errors import code_of
from .output import output_items
from .tools import Names

Object: TypeAlias = dict[str, Any]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons that leave a response incomplete, and OpenAI's names of the causes."""

_OWN = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier"})
_CHOICE = ORIGINAL_FIELDS | frozenset(
    {"delta", "finish_reason", "index", "logprobs", "message", "model", "usage"}
)


def id_suffix(response_id: str) -> str:
    """What the ids of a response's items have of its own."""
    return response_id.partition("_")[2]


class Head(HiddenRepr, frozen=True):
    """
    What each response to a request has: what it repeats of it, its id and its time.

    `names` has the client's names of functions; see `Tools`.
    """

    echo: Mapping[str, Any]
    id: str
    created: int
    names: Names

    def response(
        self, model: str, status: str = "in_progress", output: Sequence[Object] = (), **more: Any
    ) -> Object:
        """A response of any status, with all its fields."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": [*output],
            "usage": None,
            **self.echo,
            **more,
        }

    def ended(self, choice: Mapping[str, Any], model: str, now: int) -> Object:
        """The response that this choice of a chat completion is."""
        output = output_items(choice, id_suffix(self.id), self.names)
        end = ending(choice.get("finish_reason"), max(now, self.created))
        return self.response(model, output=output, **end)


def from_completion(completion: Mapping[str, Any], head: Head, now: int) -> Object:
    """
    The response for a whole chat completion; `now` is the time, in seconds since 1970.

    If it combines several, the first model that succeeded has `output`, and `fanout.responses` has
    the whole responses of the others, in their order.
    """
    more = {name: v for name, v in completion.items() if name not in _OWN and v is not None}
    if not _is_combined(completion):
        choice = completion["choices"][0] if completion["choices"] else {"message": {}}
        usage = usage_object(completion.get("usage"))
        made = head.ended(choice, completion["model"], now)
        return {**made, **_tier(completion), "usage": usage, **more}
    choices = completion["choices"]
    first = next((i for i, choice in enumerate(choices) if not choice.get("error")), 0)
    others = other_responses([*choices[:first], *choices[first + 1 :]], head, now)
    report = {**(more.get("fanout") or {}), "responses": others}
    return {**_of_choice(choices[first], head, now), **more, "fanout": report}


def other_responses(choices: Sequence[Mapping[str, Any]], head: Head, now: int) -> list[Object]:
    """The whole responses of the models whose response is not in `output`."""
    return [
        _of_choice(choice, replace(head, id=f"{head.id}{number:02d}"), now)
        for number, choice in enumerate(choices, 1)
    ]


def _of_choice(choice: Mapping[str, Any], head: Head, now: int) -> Object:
    """The response of one of several models, failed or not."""
    model = str(choice.get("model") or "")
    top = {k: v for k, v in choice.items() if k not in _CHOICE | _OWN and v is not None}
    if error := choice.get("error"):
        code, message = code_of(error), error.get("message") or ""
        failed = {"code": code, "message": message}
        return head.response(model, "failed", **{**top, "error": failed})
    if ORIGINAL_BODY in choice or ORIGINAL_EVENTS in choice:
        from ..original_bytes import decoded  # only models with this API need it
        from .relay import NOT_STORED, last_response

        found = decoded(choice, last_response)
        return {**found, **(NOT_STORED if "store" in found else {}), **top, "model": model}
    made = head.ended(choice, model, now)
    return {**made, **_tier(choice), "usage": usage_object(choice.get("usage")), **top}


def ending(finish_reason: object, now: int) -> Object:
    """The status of a response that has ended so, and what goes with it."""
    if cause := INCOMPLETE.get(str(finish_reason)):
        return {"status": "incomplete", "incomplete_details": {"reason": cause}}
    return {"status": "completed", "completed_at": now}


def _is_combined(completion: Mapping[str, Any]) -> bool:
    """Whether the choices are several models'; only then has each its model."""
    choices = completion["choices"]
    return bool(choices) and "model" in choices[0] and "latency_ms" in choices[0]


def _tier(value: Mapping[str, Any]) -> Object:
    return {"service_tier": value["service_tier"]} if value.get("service_tier") else {}


def usage_object(usage: Mapping[str, Any] | None) -> Object | None:
    """The usage with the names of this API; both objects of details are always there."""
    if not usage:
        return None
    sent, got = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    details = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": sent,
        "input_tokens_details": {
            "cached_tokens": details.get("cached_tokens") or 0,
            "cache_write_tokens": details.get("cache_write_tokens") or 0,
        },
        "output_tokens": got,
        "output_tokens_details": {"reasoning_tokens": made.get("reasoning_tokens") or 0},
        "total_tokens": usage.get("total_tokens") or sent + got,
    }
