"""The totals of a job: lines, tokens, nanodollars and causes of failure. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from ..telemetry.prices import count_of, to_dollars, to_nanodollars
from .activity import NOT_RUNNING, Activity
from .lanes import REALTIME, LaneTotals
from .model_totals import ByModel, ModelTotals, plus

MAX_CAUSES = 20
"""Causes of failure that are counted by name; all others count as `other`."""

MAX_EXAMPLES = 3
"""Failed lines that are kept as examples of a cause."""

MAX_MESSAGE = 300
"""Characters of an example's message; a longer one is cut."""


class Example(Struct, frozen=True, array_like=True):
    """A failed line: its number in the file (`None` if unknown) and the message of its error."""

    custom_id: str
    line: int | None
    message: str


class LineCost(Struct, frozen=True):
    """
    What a line's response cost, in nanodollars; without `is_complete`, a price is unknown.

    `lane` is the lane that the response came by, `saved` what it would have cost more in real time.
    `models` has the cost and tokens of each model's calls, for jobs that count them.
    """

    nanodollars: int
    is_complete: bool = True
    lane: str = REALTIME
    saved: int = 0
    models: ByModel = {}


class Totals(Struct, omit_defaults=True):
    """
    Counts of lines, and what they used; `cost` is in nanodollars, of models with a known price.

    `unpriced` counts the lines whose cost is not known, or only in part: a price is missing, or a
    call that failed may be billed, of which only the prompt and what was received count.
    `causes` counts the failed lines by error code, `examples` are the first ones of each cause.
    `lanes` has the lanes besides `realtime`, which the other lines that succeeded are of.
    `hedged` are lines that were sent in real time before their native batch had ended, and what
    was paid for its responses, which are not used. `models` are those that the lines of a virtual
    key have called, and `named` is how many lines count there.
    Only a running job has an `activity`. Older records have dollars, under the name `cost`.
    """

    done: int = 0
    failed: int = 0
    tokens_in: int = 0
    cached: int = 0
    tokens_out: int = 0
    reasoning: int = 0
    cost: int = field(default=0, name="nanodollars")
    causes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    activity: Activity | None = None
    unpriced: int = 0
    lanes: dict[str, LaneTotals] = field(default_factory=dict)
    hedged: LaneTotals = field(default_factory=LaneTotals)
    models: dict[str, ModelTotals] = field(default_factory=dict)
    named: int = 0
    stored_dollars: float | UnsetType = field(default=UNSET, name="cost")

    @property
    def is_stopped(self) -> bool:
        """Whether no process runs the job, if it is not over."""
        return self.activity is not None and NOT_RUNNING in self.activity.waits

    def __post_init__(self) -> None:
        """Read the dollars of an older record."""
        if self.stored_dollars is not UNSET:
            self.cost, self.stored_dollars = to_nanodollars(self.stored_dollars), UNSET

    @property
    def cost_usd(self) -> float | None:
        """The cost in US dollars, to a millionth; `None` if a line's price is unknown."""
        return None if self.unpriced else self.known_cost_usd

    @property
    def known_cost_usd(self) -> float:
        """The cost of what has a known price, in US dollars, to a millionth."""
        return rounded_dollars(self.cost)

    @property
    def saved_usd(self) -> float:
        """What the lines would have cost more in real time, in US dollars, to a millionth."""
        return rounded_dollars(sum(one.saved for one in self.lanes.values()))

    @property
    def by_lane(self) -> dict[str, LaneTotals]:
        """The totals of each lane, `realtime` first."""
        others = list(self.lanes.values())
        rest = LaneTotals(
            self.done - sum(one.lines for one in others),
            self.cost - sum(one.cost for one in others) - self.hedged.cost,
        )
        return {REALTIME: rest, **self.lanes}

    @property
    def lines(self) -> int:
        return self.done + self.failed

    def add(self, more: Totals) -> None:
        """Add these totals; the activity stays."""
        self.done += more.done
        self.failed += more.failed
        self.tokens_in += more.tokens_in
        self.cached += more.cached
        self.tokens_out += more.tokens_out
        self.reasoning += more.reasoning
        self.cost += more.cost
        self.unpriced += more.unpriced
        for name, lane in more.lanes.items():
            self.lanes.setdefault(name, LaneTotals()).add(lane)
        self.hedged.add(more.hedged)
        self.named += more.named
        if more.models:
            self.models = plus(self.models, more.models)
        if more.causes:
            self._add_causes(more)

    def _add_causes(self, more: Totals) -> None:
        for cause, count in more.causes.items():
            is_full = cause not in self.causes and len(self.causes) >= MAX_CAUSES
            name = "other" if is_full else cause
            self.causes[name] = self.causes.get(name, 0) + count
            if found := more.examples.get(cause):
                kept = self.examples.setdefault(name, [])
                kept += found[: MAX_EXAMPLES - len(kept)]

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


def rounded_dollars(nanodollars: int) -> float:
    """Nanodollars in US dollars, to a millionth."""
    return round(to_dollars(nanodollars), 6)


def count_response(
    body: object, cost: LineCost, unlisted: Sequence[Mapping[str, Any]] = ()
) -> Totals:
    """
    The totals of one line that succeeded; `body` is a response or a list of them.

    `cost` is that of all its calls, whose tokens count, too; `unlisted` are those beside the body.
    """
    totals = Totals(done=1, unpriced=0 if cost.is_complete else 1)
    count_cost(totals, cost)
    if cost.lane != REALTIME:
        totals.lanes[cost.lane] = LaneTotals(1, cost.nanodollars, cost.saved)
    for response in responses_in(body):
        count_tokens(totals, charged_calls(response))
    count_tokens(totals, unlisted)
    return totals


def count_cost(totals: Totals, cost: LineCost) -> None:
    """Set the cost of a line, which counts for each of its models."""
    totals.cost = cost.nanodollars
    totals.models = {name: replace(one, lines=1) for name, one in cost.models.items()}
    totals.named = 1 if cost.models else 0


def charged_calls(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """
    What has a `model` and a `usage`: each call that is listed, each other choice, or the response.

    Calls are listed in reports, and in the errors of choices without a text that fits the schema.
    """
    several = [one for one in objects_in(response.get("choices")) if "model" in one]
    calls = [call for report in reports_in(response) for call in report]
    plain = [one for one in several if "fanout" not in one and not failed_calls(one)]
    return [*calls, *failed_calls(response), *plain] or [response]


def count_tokens(totals: Totals, calls: Iterable[Mapping[str, Any]]) -> None:
    """Add the tokens of responses or calls, each with its `usage`."""
    for call in calls:
        usage = call.get("usage")
        if isinstance(usage, dict):
            totals.tokens_in += _count(usage, "prompt_tokens")
            totals.tokens_out += _count(usage, "completion_tokens")
            if details := usage.get("prompt_tokens_details"):
                totals.cached += _count(details, "cached_tokens")
            if details := usage.get("completion_tokens_details"):
                totals.reasoning += _count(details, "reasoning_tokens")


def reports_in(response: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The calls in the reports of a response: its own, or those of its choices, each once."""
    found: list[list[Mapping[str, Any]]] = []
    for one in (response, *objects_in(response.get("choices"))):
        report = one.get("fanout")
        calls = objects_in(report.get("attempts")) if isinstance(report, dict) else []
        if calls and calls not in found[-1:]:  # the choices of one model have the same report
            found.append(calls)
    return found


def invalid_calls(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The calls in the reports of a response whose own responses do not fit the schema."""
    reports = reports_in(response)
    return [one for calls in reports for one in calls if one.get("outcome") == "invalid"]


def failed_calls(response: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The calls of a response's choices that failed because no text of theirs fits the schema."""
    errors = [one.get("error") for one in (response, *objects_in(response.get("choices")))]
    return [call for error in errors if isinstance(error, dict) for call in paid_of_error(error)]


def paid_calls(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A response that consists of these calls alone, for what a job has to pay."""
    return {"fanout": {"attempts": [*calls]}}


def paid_of_error(error: Mapping[str, object]) -> list[Mapping[str, Any]]:
    """The calls of a failed line that are paid for: those of a `schema_mismatch`."""
    causes = [error, *objects_in(error.get("causes"))]
    return [call for cause in causes for call in objects_in(cause.get("attempts"))]


def is_cut(error: Mapping[str, object]) -> bool:
    """Whether a response of a failed line was cut, and may be billed."""
    return any(one.get("may_be_billed") for one in (error, *objects_in(error.get("causes"))))


def without_paid(totals: Totals, paid: Totals) -> Totals:
    """A line's totals without what was counted of its calls before."""
    return replace(
        totals,
        cost=max(0, totals.cost - paid.cost),
        tokens_in=max(0, totals.tokens_in - paid.tokens_in),
        cached=max(0, totals.cached - paid.cached),
        tokens_out=max(0, totals.tokens_out - paid.tokens_out),
        reasoning=max(0, totals.reasoning - paid.reasoning),
        models=plus(totals.models, paid.models, -1),
    )


def objects_in(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list, and nothing of anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def count_failure(cause: str, custom_id: str, line: int | None, message: str) -> Totals:
    """The totals of one line that failed; it is an example of its cause."""
    example = Example(custom_id, line, cut(message, MAX_MESSAGE))
    return Totals(failed=1, causes={cause: 1}, examples={cause: [example]})


def cut(message: str, length: int) -> str:
    """The message with at most so many characters."""
    return message if len(message) <= length else f"{message[: length - 1]}…"


def responses_in(body: object) -> list[Mapping[str, Any]]:
    """The responses of a line: one, or all of a list, which may contain lists (LiteLLM's shape)."""
    if isinstance(body, dict):
        return [body]
    if isinstance(body, list):
        return [response for inner in body for response in responses_in(inner)]
    return []


def _count(usage: object, name: str) -> int:
    return count_of(usage.get(name)) if isinstance(usage, dict) else 0
