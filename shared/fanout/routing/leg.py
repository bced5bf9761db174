"""
One model name's part in one request (a leg), its attempts, and the interface of its watchers.

Knows nothing of how a call is made: the router fills it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct, field

from ..config.resolve import Deployment
from ..errors import FanoutError, ProviderError
from ..schema.chat import Usage
from ..schema.fanout import Mode
from ..telemetry.observers import AttemptRecord
from ..telemetry.prices import cost_of
from .load_balancing import DeploymentGroup

Outcome: TypeAlias = Literal["ok", "failed", "cancelled"]


class Watcher(Protocol):
    """Is told of one request's legs while they run; must not block and must not raise."""

    def started(self, leg: Leg) -> None:
        """A deployment is being asked: the first, or another after a failure."""
        ...

    def first_token(self, leg: Leg) -> None:
        """The first content has come."""
        ...

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """That deployment's call is over; after a failure another may be started."""
        ...


class Leg(Struct):
    """
    One model name's part in one request, filled in as it runs: what the report and the log tell.

    Times are `perf_counter`'s, but `until`, the loop's: no pause may last longer. `deployment` is
    the one asked last, `answered` the model name that answered, which a fallback makes another. A
    call holds one of the request's `places` while it lasts. `headers` came with a plain answer;
    `size` is the bytes of the body that the request came in, 0 where it came in none.
    """

    model: str
    request_id: str
    mode: Mode = "one"
    retries: int | None = None
    until: float | None = None
    places: AbstractAsyncContextManager[object] | None = None
    size: int = 0
    started: float | None = None
    first_token: float | None = None
    ended: float | None = None
    deployment: Deployment | None = None
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    answered: str = ""
    watcher: Watcher | None = None
    tried: list[str] = field(default_factory=list)
    spares: list[Leg] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answered = self.answered or self.model

    def instead(self, model: str) -> Leg:
        """A leg of the same request for another model: this one's next fallback."""
        spare = Leg(
            model,
            self.request_id,
            mode=self.mode,
            retries=self.retries,
            until=self.until,
            places=self.places,
            size=self.size,
            watcher=self.watcher,
        )
        self.spares.append(spare)
        return spare

    @property
    def latest(self) -> Leg:
        """Whose times and usage count: the fallback that was started last, or this one."""
        started = [spare for spare in self.spares if spare.started is not None]
        return started[-1] if started else self


class AttemptState(Struct, gc=False):
    """One attempt of a leg; times are `perf_counter`'s."""

    group: DeploymentGroup
    deployment: Deployment
    started: float
    first_token: float | None = None
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()


def make_record(
    leg: Leg, this: AttemptState, outcome: Outcome, error: BaseException | None
) -> AttemptRecord:
    """What is told of an attempt, which has just ended: `leg.ended` is when."""
    status = 200 if error is None else None
    if isinstance(error, ProviderError):
        status = error.upstream
    elif isinstance(error, FanoutError):
        status = error.status
    first = None if this.first_token is None else (this.first_token - this.started) * 1000
    return AttemptRecord(
        request_id=leg.request_id,
        mode=leg.mode,
        model=leg.model,
        deployment=this.deployment.id,
        provider=this.deployment.provider.name,
        outcome=outcome,
        status=status,
        error=type(error).__name__ if outcome == "failed" else None,
        first_token_ms=None if first is None else round(first, 1),
        duration_ms=round(((leg.ended or this.started) - this.started) * 1000, 1),
        usage=this.usage,
        dropped=this.dropped,
        cost_usd=cost_of(this.deployment, this.usage),
    )
