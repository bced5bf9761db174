"""The totals of a job: lines, tokens, nanodollars and causes of failure. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from ..telemetry.prices import to_dollars, to_nanodollars

MAX_CAUSES = 20
"""Causes of failure that are counted by name; all others count as `other`."""

MAX_EXAMPLES = 3
"""Failed lines that are kept as examples of a cause."""

MAX_MESSAGE = 300
"""Characters of an example's message; a longer one is cut."""


class CallCounts(Struct):
    """
    The calls of a running job: those in flight, and those that got a 429.

    `waiting_for_room` results, or attempts to begin, wait for room on this machine's disk.
    """

    in_flight: int = 0
    refused: int = 0
    waiting_for_room: int = 0

    def add(self, more: CallCounts) -> None:
        """Add these counts."""
        self.in_flight += more.in_flight
        self.refused += more.refused


class Example(Struct, frozen=True, array_like=True):
    """A failed line: its number in the file (`None` if unknown) and the message of its error."""

    custom_id: str
    line: int | None
    message: str


class Totals(Struct):
    """
    Counts of lines, and what they used; `cost` is in nanodollars, of models with a known price.

    `causes` counts the failed lines by error code, `examples` are the first ones of each cause.
    `in_flight` calls, those `refused` with a 429 and `storage_full` are set for a running job only.
    Older records have dollars, under the name `cost`.
    """

    done: int = 0
    failed: int = 0
    tokens_in: int = 0
    cached: int = 0
    tokens_out: int = 0
    reasoning: int = 0
    cost: int = field(default=0, name="nanodollars")
    causes: dict[str, int] = field(default_factory=dict)
    in_flight: int | None = None
    refused: int | None = None
    examples: dict[str, list[Example]] = field(default_factory=dict)
    storage_full: bool = False
    stored_dollars: float | UnsetType = field(default=UNSET, name="cost")

    def __post_init__(self) -> None:
        """Read the dollars of an older record."""
        if self.stored_dollars is not UNSET:
            self.cost, self.stored_dollars = to_nanodollars(self.stored_dollars), UNSET

    @property
    def cost_usd(self) -> float:
        """The cost in US dollars, to a millionth, as the API and the command line show it."""
        return round(to_dollars(self.cost), 6)

    @property
    def lines(self) -> int:
        return self.done + self.failed

    def add(self, more: Totals) -> None:
        """Add these totals; those in flight and refused stay."""
        self.done += more.done
        self.failed += more.failed
        self.tokens_in += more.tokens_in
        self.cached += more.cached
        self.tokens_out += more.tokens_out
        self.reasoning += more.reasoning
        self.cost += more.cost
        for cause, count in more.causes.items():
            is_full = cause not in self.causes and len(self.causes) >= MAX_CAUSES
            name = "other" if is_full else cause
            self.causes[name] = self.causes.get(name, 0) + count
            if found := more.examples.get(cause):
                kept = self.examples.setdefault(name, [])
                kept += found[: MAX_EXAMPLES - len(kept)]

    def set_calls(self, calls: CallCounts) -> None:
        """Set the counts of the job's calls at this moment."""
        self.in_flight, self.refused = calls.in_flight, calls.refused
        self.storage_full = calls.waiting_for_room > 0

    @property
    def usage(self) -> dict[str, Any]:
        """The `usage` of OpenAI's batch object."""
        return {
            "input_tokens": self.tokens_in,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.tokens_out,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.tokens_in + self.tokens_out,
        }


def count_response(body: object, cost: int) -> Totals:
    """The totals of one line that succeeded; `body` is a response or a list of them."""
    totals = Totals(done=1, cost=cost)
    for response in responses_in(body):
        usage = response.get("usage")
        if isinstance(usage, Mapping):
            totals.tokens_in += _count(usage, "prompt_tokens")
            totals.tokens_out += _count(usage, "completion_tokens")
            totals.cached += _count(usage.get("prompt_tokens_details"), "cached_tokens")
            totals.reasoning += _count(usage.get("completion_tokens_details"), "reasoning_tokens")
    return totals


def count_failure(cause: str, custom_id: str, line: int | None, message: str) -> Totals:
    """The totals of one line that failed; it is an example of its cause."""
    if len(message) > MAX_MESSAGE:
        message = f"{message[: MAX_MESSAGE - 1]}…"
    example = Example(custom_id, line, message)
    return Totals(failed=1, causes={cause: 1}, examples={cause: [example]})


def responses_in(body: object) -> list[Mapping[str, Any]]:
    """The responses of a line: one, or all of a list, which may contain lists (LiteLLM's shape)."""
    if isinstance(body, list):
        return [response for inner in body for response in responses_in(inner)]
    return [body] if isinstance(body, Mapping) else []


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) else 0
