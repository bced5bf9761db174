"""Several answers as one ordinary OpenAI object, or as LiteLLM's list. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from ..errors import detail_of
from ..schema.chat import ChatCompletion
from ..schema.error import error_object
from ..schema.fanout import FanOutRequest

ERROR = "error"
"""The `finish_reason` of a choice whose model failed."""


class Cell(Struct, frozen=True):
    """One (conversation, model) of a grid, answered or failed; seconds and US dollars."""

    models: tuple[str, ...]
    completion: ChatCompletion | None
    error: Exception | None
    elapsed: float
    cost: float | None = None

    @property
    def label(self) -> str:
        """The caller's name for it: the model's, or all that competed."""
        return ", ".join(self.models)

    @property
    def fault(self) -> dict[str, Any] | None:
        """OpenAI's error object, if it failed."""
        return error_object(detail_of(self.error)) if self.error else None

    @property
    def model(self) -> str:
        """Who answered, by the caller's name."""
        return self.label if self.completion is None else self.completion["model"]


def combined_answer(cells: Sequence[Cell], request: FanOutRequest) -> dict[str, Any]:
    """
    `choices[i]` for each cell, message-major; `usage` sums.

    Each choice has its own `model`, `usage`, `latency_ms` and `cost_usd`. Where `n` asks for
    several, a cell takes `n` places, so an index always tells its cell.
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


def _choices(cell: Cell, index: int, width: int) -> list[dict[str, Any]]:
    extra = {
        "model": cell.model,
        "latency_ms": round(cell.elapsed * 1000, 1),
        "cost_usd": cell.cost,
    }
    if cell.completion is None:
        return [failed_choice(cell, index * width) | extra]
    found: list[dict[str, Any]] = []
    for choice in cell.completion["choices"]:
        place = {"index": index * width + choice.get("index", 0)}
        usage = {"usage": cell.completion.get("usage")}
        report = {"fanout": cell.completion["fanout"]} if "fanout" in cell.completion else {}
        found.append({**choice, **place, **extra, **usage, **report})
    return found


def failed_choice(cell: Cell, index: int) -> dict[str, Any]:
    """The choice of a model that failed: an empty message, and the error."""
    return {
        "index": index,
        "message": {"role": "assistant", "content": None, "refusal": None},
        "finish_reason": ERROR,
        "logprobs": None,
        "usage": None,
        "error": cell.fault,
    }


def listed_answer(
    cells: Sequence[Cell],
    stamp: Callable[[ChatCompletion], dict[str, Any]],
    width: int | None,
) -> list[Any]:
    """
    LiteLLM's array: one object a cell, in rows of `width` where several conversations were asked.

    A failed one is `{"error": {…}, "model": …}`.
    """
    flat: list[Any] = [
        stamp(cell.completion)
        if cell.completion is not None
        else {"error": cell.fault, "model": cell.label}
        for cell in cells
    ]
    if width is None:
        return flat
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def sum_usage(usages: Iterable[Any]) -> dict[str, Any] | None:
    """The sum, key by key and detail by detail; `None` where nobody told any."""
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
