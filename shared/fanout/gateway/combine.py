"""Combines several responses into one OpenAI object, or into LiteLLM's list. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..errors import ErrorDetail
from ..schema.chat import ORIGINAL_EVENT, ChatCompletion
from ..schema.error import error_object, failed_error
from ..schema.fanout import FanOutRequest

# Fields of a response that the combined one has itself, and names that mean something in a choice.
_NOT_ON_CHOICES = frozenset(
    {"choices", "created", "fanout", "model", "object", "obfuscation", "usage", ORIGINAL_EVENT}
    | {"delta", "error", "finish_reason", "index", "logprobs", "message"}
)


NO_USAGE: dict[str, None] = {"usage": None, "cost_usd": None}
"""Of each choice of a call but the first, which has what all of them have used."""


class CellResult(Struct, frozen=True):
    """
    The response or error of one conversation and model; `elapsed` in s, `cost` in US dollars.

    `report` says what became of each model if all have failed; a response has its own.
    """

    models: tuple[str, ...]
    completion: ChatCompletion | None
    error: Exception | None
    elapsed: float
    cost: float | None = None
    report: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """The model's name as the client wrote it; in a race, the names of all models."""
        return ", ".join(self.models)

    @property
    def error_object(self) -> dict[str, Any] | None:
        """OpenAI's error object, with a `status`, if the cell failed; else `None`."""
        return failed_error(self.error) if self.error else None

    @property
    def model(self) -> str:
        """The name of the model that responded, as the client wrote it."""
        return self.label if self.completion is None else self.completion["model"]


def combined_response(cells: Sequence[CellResult], request: FanOutRequest) -> dict[str, Any]:
    """
    One object with the choices of all cells, conversation by conversation, and the summed usage.

    Each choice has its own `model`, `usage`, `latency_ms` and `cost_usd`, and the other top-level
    fields of its model's response. With `n` each cell has `n` choices, so `index // n` is the
    number of the cell; its first choice has the usage and the cost of their one call. A choice that
    the model did not return is one that failed, as in a stream: see `Interleave`.
    """
    width = request.conversations[0].n or 1
    choices = [choice for i, cell in enumerate(cells) for choice in _choices(cell, i, width)]
    return {
        "object": "chat.completion",
        "model": ", ".join(request.models),
        "choices": choices,
        "usage": sum_usage(cell.completion.get("usage") for cell in cells if cell.completion),
        "fanout": {"mode": request.mode},
    }


def _choices(cell: CellResult, index: int, width: int) -> list[dict[str, Any]]:
    extra = {"model": cell.model, "latency_ms": round(cell.elapsed * 1000, 1)}
    first = index * width
    if cell.completion is None:
        shared = {**extra, **NO_USAGE, **_report(cell)}
        numbers = range(first, first + width)
        failed = [failed_choice(cell.error_object, number) | shared for number in numbers]
        failed[0]["cost_usd"] = cell.cost
        return failed
    places: dict[int, int] = {}
    top = response_fields(cell.completion)
    if "fanout" in cell.completion:
        extra["fanout"] = cell.completion["fanout"]
    found: list[dict[str, Any]] = [
        {**top, **choice, "index": first + place, **extra, **NO_USAGE}
        for choice in cell.completion["choices"]
        if (place := choice_position(places, choice.get("index", 0), width)) is not None
    ]
    missing = sorted({*range(width)}.difference(places.values()))
    error = missing_choices(cell.model, len(places), width) if missing else None
    found += [failed_choice(error, first + place) | extra | NO_USAGE for place in missing]
    found[0] |= {"usage": cell.completion.get("usage"), "cost_usd": cell.cost}
    return sorted(found, key=lambda one: one["index"]) if missing else found


def missing_choices(model: str, count: int, width: int) -> dict[str, Any]:
    """The error of the choices that a model did not return: it does not know `n`, or ignores it."""
    message = f"`{model}` returned {count} of {width} choices"
    return error_object(ErrorDetail(message, code="missing_choice"))


def _report(cell: CellResult) -> dict[str, Any]:
    return {} if cell.report is None else {"fanout": cell.report}


def choice_position(places: dict[int, int], index: int, width: int) -> int | None:
    """
    The place of a choice among the `width` choices of its model; `None` if all are taken.

    An index beyond `width` gets a place that is free, so it is never another model's. `places` has
    the places so far, by the provider's index.
    """
    if index in places:
        return places[index]
    free = [place for place in range(width) if place not in places.values()]
    if not free:
        return None
    place = index if index in free else free[0]
    places[index] = place
    return place


def response_fields(response: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level fields of a response or chunk that its choices get in a combined one."""
    names = response.keys() - _NOT_ON_CHOICES
    return {
        name: response[name] for name in response if name in names and response[name] is not None
    }


def failed_choice(error: Mapping[str, Any] | None, index: int) -> dict[str, Any]:
    """
    The choice of a model that failed: no content, the cause as `refusal`, and the error.

    OpenAI has no finish reason for a failure, and typed clients reject a whole response that has
    another than OpenAI's five. (`length` and `content_filter` make its SDKs' `parse` raise.)
    """
    message = {"role": "assistant", "content": None, "refusal": (error or {}).get("message")}
    return {
        "index": index,
        "message": message,
        "finish_reason": "stop",
        "logprobs": None,
        "usage": None,
        "error": error,
    }


def list_response(
    cells: Sequence[CellResult],
    complete: Callable[[ChatCompletion], dict[str, Any]],
    width: int | None,
) -> list[Any]:
    """
    LiteLLM's list: one object for each cell; with several conversations, one list for each.

    `width` is the number of cells of a conversation, `None` if there is only one conversation.
    `complete` adds missing fields to a response. A failed cell is `{"error": {…}, "model": …}`,
    with a report if there is one.
    """
    flat: list[Any] = [
        complete(cell.completion)
        if cell.completion is not None
        else {"error": cell.error_object, "model": cell.label, **_report(cell)}
        for cell in cells
    ]
    if width is None:
        return flat
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def sum_usage(usages: Iterable[Any]) -> dict[str, Any] | None:
    """The sum of all usage objects, field by field; `None` if there are none."""
    total: dict[str, Any] = {}
    for usage in usages:
        _add(total, usage or {})
    return total or None


def _add(total: dict[str, Any], usage: dict[str, Any]) -> None:
    for name, value in usage.items():
        if isinstance(value, dict):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            total[name] = total.get(name, 0) + value
