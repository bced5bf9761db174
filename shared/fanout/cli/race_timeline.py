"""The state of a race by its events: one row per model. Does not depend on terminals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal, TypeAlias

from msgspec import Struct

from ..errors import FanoutError, detail_of
from ..routing.leg import Leg, Outcome

State: TypeAlias = Literal[
    "waiting", "sent", "streaming", "won", "cancelled", "failed", "not started"
]

FINAL = frozenset({"won", "cancelled", "failed", "not started"})


class TimelineRow(Struct):
    """One model in the race; times in seconds since the race began."""

    model: str
    state: State = "waiting"
    started_at: float | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    tokens: int | None = None
    reason: str = ""
    leg: Leg | None = None

    @property
    def status(self) -> str:
        """Its state in words, such as `won in 1.50 s, first token at 250 ms, 8 tokens`."""
        match self.state:
            case "streaming":
                return f"first token at {_seconds(self.first_token_at)}"
            case "won":
                first = (
                    f", first token at {_seconds(self.first_token_at)}"
                    if self.first_token_at is not None
                    else ""
                )
                tokens = f", {self.tokens} tokens" if self.tokens else ""
                return f"won in {_seconds(self.ended_at)}{first}{tokens}"
            case "cancelled":
                return f"cancelled at {_seconds(self.ended_at)}"
            case "failed":
                return f"failed: {self.reason}"
            case _:
                return self.state


class RaceTimeline:
    """
    Follows the legs of one race (a `Watcher`). `on_change` is called with each row that changes.

    A fallback that is called in place of a failed model gets its own row. With `is_checked`, each
    response must fit a schema to win.
    """

    def __init__(
        self,
        models: Sequence[str],
        *,
        is_checked: bool = False,
        on_change: Callable[[TimelineRow, float], object] = lambda _row, _now: None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.rows = [TimelineRow(model) for model in models]
        self._is_checked = is_checked
        self._on_change = on_change
        self._clock = clock
        self._began = clock()

    @property
    def now(self) -> float:
        """Seconds since the race began."""
        return self._clock() - self._began

    async def pay_again(self, leg: Leg, error: Exception | None) -> None:
        """A race of this command has no budget."""

    def started(self, leg: Leg) -> None:
        """A model is called, for the first time or again."""
        row = self._row(leg)
        row.state = "sent"
        row.started_at = self.now if row.started_at is None else row.started_at
        row.ended_at = None
        self._on_change(row, self.now)

    def first_token(self, leg: Leg) -> None:
        """A model's response has begun."""
        row = self._row(leg)
        row.state, row.first_token_at = "streaming", self.now
        self._on_change(row, self.now)

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """
        A model's call has ended. In a race, the one that succeeds has won.

        A response that is checked has not won before it is.
        """
        row = self._row(leg)
        if row.state in FINAL:
            return
        if isinstance(error, Exception):
            row.reason = detail_of(error).message
        if leg.usage:
            row.tokens = leg.usage["completion_tokens"]
        if self._is_checked and outcome == "ok":
            return
        self._end(row, "won" if outcome == "ok" else outcome)

    def checked(self, leg: Leg, error: FanoutError | None) -> None:
        """A model's response fits the schema, and has won, or it does not."""
        row = self._row(leg)
        row.reason = "" if error is None else detail_of(error).message
        self._end(row, "won" if error is None else "failed")

    def mark_winner(self, model: str | None) -> None:
        """Mark a model as the winner while its response is still streaming."""
        for row in self.rows:
            if row.model == model and row.state == "streaming":
                self._end(row, "won")
                return

    def finish(self) -> None:
        """End the race: models without a final state were cancelled, or never started."""
        for row in self.rows:
            if row.state not in FINAL:
                self._end(row, "cancelled" if row.started_at is not None else "not started")

    def _end(self, row: TimelineRow, state: State) -> None:
        row.state, row.ended_at = state, self.now
        self._on_change(row, self.now)

    def _row(self, leg: Leg) -> TimelineRow:
        for row in self.rows:
            if row.leg is leg:
                return row
        for row in self.rows:
            if row.leg is None and row.model == leg.model:
                row.leg = leg
                return row
        row = TimelineRow(leg.model, leg=leg)
        self.rows.append(row)
        return row


def _seconds(moment: float | None) -> str:
    if moment is None:
        return "?"
    return f"{moment * 1000:.0f} ms" if moment < 1 else f"{moment:.2f} s"
