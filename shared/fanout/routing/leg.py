"""
A leg: one model's part in one request, with its attempts, and the interface of its watchers.

Knows nothing of how a call is made: the router fills the leg in.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

from msgspec import UNSET, Struct, field

from ..config.deployment import Deployment
from ..config.resolve import ClientKey
from ..errors import FanoutError, ProviderError, RequestError
from ..schema.chat import Usage
from ..schema.fanout import Mode
from ..telemetry.observers import AttemptRecord, NullObserver, Observer
from ..telemetry.prices import cost_of
from ..transport.client import Skipped
from .load_balancing import DeploymentGroup

Outcome: TypeAlias = Literal["ok", "failed", "cancelled"]


class Watcher(Protocol):
    """Follows the legs of one request while they run. Its methods must not block or raise."""

    def started(self, leg: Leg) -> None:
        """A call to a deployment starts: the first, or another after a failure."""
        ...

    def first_token(self, leg: Leg) -> None:
        """The first content has arrived."""
        ...

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """The call has ended; after a failure another may start."""
        ...


class Leg(Struct):
    """
    One model's part in one request, filled in as it runs; the source of the report and the log.

    Times are `perf_counter`'s; only `deadline` is the event loop's: no pause lasts longer.
    `deployment` is the last one called. `responding_model` is the model that responded: another
    name than `model` after a fallback. Each call holds one of the request's `slots`. `headers` are
    those of a plain response. `size` is the number of bytes of the request's body, 0 if it had
    none. `drop_params` is the request's own, if it has one. `client` is the client whose rights
    count, `alias` the config's name for several models by which it named this one.
    """

    model: str
    request_id: str
    mode: Mode = "one"
    retries: int | None = None
    deadline: float | None = None
    slots: AbstractAsyncContextManager[object] | None = None
    size: int = 0
    drop_params: bool | None = None
    client: ClientKey | None = None
    alias: str | None = None
    started: float | None = None
    first_token: float | None = None
    ended: float | None = None
    deployment: Deployment | None = None
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    responding_model: str = ""
    watcher: Watcher | None = None
    tried: list[str] = field(default_factory=list)
    fallbacks: list[Leg] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.responding_model = self.responding_model or self.model

    def fallback(self, model: str) -> Leg:
        """Make a leg of the same request for another model: the next fallback of this one."""
        fallback = Leg(
            model,
            self.request_id,
            mode=self.mode,
            retries=self.retries,
            deadline=self.deadline,
            slots=self.slots,
            size=self.size,
            drop_params=self.drop_params,
            client=self.client,
            watcher=self.watcher,
        )
        self.fallbacks.append(fallback)
        return fallback

    @property
    def latest(self) -> Leg:
        """The leg whose times and usage are reported: the last fallback started, or this leg."""
        started = [fallback for fallback in self.fallbacks if fallback.started is not None]
        return started[-1] if started else self


class AttemptState(Struct, gc=False):
    """One attempt of a leg; times are `perf_counter`'s."""

    group: DeploymentGroup
    deployment: Deployment
    started: float
    first_token: float | None = None
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()
    skipped: Skipped | None = None


def record_first_token(leg: Leg, state: AttemptState, now: float) -> None:
    """Report the first content of an attempt to its leg and the watcher."""
    state.first_token = leg.first_token = now
    if leg.watcher is not None:
        leg.watcher.first_token(leg)


def record_end(
    leg: Leg,
    state: AttemptState,
    outcome: Outcome,
    error: BaseException | None,
    now: float,
    observer: Observer,
) -> None:
    """Report the end of an attempt to its group, leg and watcher, and its record to `observer`."""
    if error is None:
        state.group.succeeded(state.deployment, (state.first_token or now) - state.started)
    elif isinstance(error, ProviderError):
        state.group.failed(state.deployment, error)
    leg.ended = now
    leg.usage, leg.dropped = state.usage, state.dropped
    if leg.watcher is not None:
        leg.watcher.ended(leg, outcome, error)
    if not isinstance(observer, NullObserver):
        observer.attempt(_record(leg, state, outcome, error, now))


def _record(
    leg: Leg, state: AttemptState, outcome: Outcome, error: BaseException | None, now: float
) -> AttemptRecord:
    """The log record of an attempt that has ended."""
    status = 200 if error is None else None
    if isinstance(error, ProviderError):
        status = error.upstream
    elif isinstance(error, FanoutError):
        status = error.status
    first = None if state.first_token is None else (state.first_token - state.started) * 1000
    return AttemptRecord(
        request_id=leg.request_id,
        mode=leg.mode,
        model=leg.model,
        deployment=state.deployment.id,
        provider=state.deployment.provider.name,
        outcome=outcome,
        status=status,
        error=type(error).__name__ if outcome == "failed" else None,
        first_token_ms=None if first is None else round(first, 1),
        duration_ms=round((now - state.started) * 1000, 1),
        usage=state.usage,
        dropped=state.dropped,
        skipped_events=(state.skipped and state.skipped.events) or UNSET,
        rejected=(isinstance(error, RequestError) and error.param) or UNSET,
        cost_usd=cost_of(state.deployment, state.usage),
    )


def outcome_of(error: BaseException) -> Outcome:
    """The outcome of an attempt that raised `error`: a cancellation is not an `Exception`."""
    return "failed" if isinstance(error, Exception) else "cancelled"
