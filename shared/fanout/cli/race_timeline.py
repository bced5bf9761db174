"""A race as it runs, told by events: one lane a contestant. Knows nothing of terminals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal, TypeAlias

from msgspec import Struct

from ..errors import detail_of
from ..routing.leg import Leg, Outcome

State: TypeAlias = Literal[
    "waiting", "asked", "talking", "won", "cancelled", "failed", "not started"
]

FINAL = frozenset({"won", "cancelled", "failed", "not started"})


class TimelineRow(Struct):
    """One contestant; moments in seconds since the race began."""

    model: str
    state: State = "waiting"
    asked_at: float | None = None
    first_at: float | None = None
    ended_at: float | None = None
    tokens: int | None = None
    reason: str = ""
    leg: Leg | None = None

    @property
    def words(self) -> str:
        """What there is to say of it now."""
        match self.state:
            case "talking":
                return f"first token at {_seconds(self.first_at)}"
            case "won":
                first = (
                    f", first token at {_seconds(self.first_at)}"
                    if self.first_at is not None
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
    Follows the legs of one race (a `Watcher`). `tell` is called with each lane that moves.

    A fallback that is asked in a contestant's place gets a lane of its own.
    """

    def __init__(
        self,
        models: Sequence[str],
        *,
        tell: Callable[[TimelineRow, float], object] = lambda _lane, _now: None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self.lanes = [TimelineRow(model) for model in models]
        self._tell = tell
        self._clock = clock
        self._began = clock()

    @property
    def now(self) -> float:
        """Seconds since the race began."""
        return self._clock() - self._began

    def started(self, leg: Leg) -> None:
        """A contestant is asked, for the first time or again."""
        lane = self._lane(leg)
        lane.state = "asked"
        lane.asked_at = self.now if lane.asked_at is None else lane.asked_at
        lane.ended_at = None
        self._tell(lane, self.now)

    def first_token(self, leg: Leg) -> None:
        """It has begun to answer."""
        lane = self._lane(leg)
        lane.state, lane.first_at = "talking", self.now
        self._tell(lane, self.now)

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """Its call is over. In a race whoever ends well has won."""
        lane = self._lane(leg)
        if lane.state in FINAL:
            return
        if isinstance(error, Exception):
            lane.reason = detail_of(error).message
        if leg.usage:
            lane.tokens = leg.usage["completion_tokens"]
        self._end(lane, "won" if outcome == "ok" else outcome)

    def won(self, model: str | None) -> None:
        """The race is decided while the winner still talks."""
        for lane in self.lanes:
            if lane.model == model and lane.state == "talking":
                self._end(lane, "won")
                return

    def settle(self) -> None:
        """The race is over: who is still on the way has been cancelled, or was never started."""
        for lane in self.lanes:
            if lane.state not in FINAL:
                self._end(lane, "cancelled" if lane.asked_at is not None else "not started")

    def _end(self, lane: TimelineRow, state: State) -> None:
        lane.state, lane.ended_at = state, self.now
        self._tell(lane, self.now)

    def _lane(self, leg: Leg) -> TimelineRow:
        for lane in self.lanes:
            if lane.leg is leg:
                return lane
        for lane in self.lanes:
            if lane.leg is None and lane.model == leg.model:
                lane.leg = leg
                return lane
        lane = TimelineRow(leg.model, leg=leg)
        self.lanes.append(lane)
        return lane


def _seconds(moment: float | None) -> str:
    if moment is None:
        return "?"
    return f"{moment * 1000:.0f} ms" if moment < 1 else f"{moment:.2f} s"
