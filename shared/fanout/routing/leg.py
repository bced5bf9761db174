"""
A leg: one model's part in one request, with its attempts, and the interface of its watchers.

Does not depend on how a call is made: the router fills the leg in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias

from msgspec import UNSET, Struct

from ..concurrency import Failure, Share
from ..config.catalog import ClientKey
from ..config.deployment import Deployment
from ..errors import ErrorDetail, FanoutError, Internal, ProviderError, RequestError, TimedOut
from ..errors.base import drop_tracebacks
from ..schema.chat import ChatCompletion, Usage
from ..schema.gateway_fields import Mode
from ..telemetry.observers import AttemptRecord, NullObserver, Observer
from ..telemetry.prices import cost_of
from ..wire.http import NO_HEADERS, WireRequest
from .load_balancing import DeploymentGroup

if TYPE_CHECKING:
    from ..providers.base import Billing
    from ..transport.stream_events import Skipped

Outcome: TypeAlias = Literal["ok", "failed", "cancelled"]

NO_SLOT: AbstractAsyncContextManager[object] = nullcontext()


class Watcher(Protocol):
    """Follows the legs of one request while they run. Only `pay_again` may wait or raise."""

    async def pay_again(self, leg: Leg, error: Exception | None) -> None:
        """A call is to start after this error, or another leg's; raises if no budget has it."""

    def started(self, leg: Leg) -> None:
        """A call to a deployment starts: the first, or another after a failure."""

    def first_token(self, leg: Leg) -> None:
        """The first content has arrived."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """The call has ended; after a failure another may start."""

    def checked(self, leg: Leg, error: FanoutError | None) -> None:
        """The response of a checked request fits the schema, or does not, with this error."""


class HeldSlots(AsyncExitStack):
    """Slots of a call, held until they are released; releasing them again does nothing."""

    async def release(self) -> None:
        """Release the slots, the last one first."""
        await self.aclose()


class Leg(Struct):
    """
    One model's part in one request, filled in as it runs; the source of the report and the log.

    Times are `perf_counter`'s; only `deadline` is the event loop's: no pause lasts longer.
    `deployment` is the last one called. `responding_model` is the model that responded, maybe a
    fallback. Each call holds one of the request's `slots`. `headers` are a plain response's, `tier`
    is its service tier. `size` is the request's, in bytes, 0 without a body. `drop_params` is the
    request's own. `client` is the client whose rights count, `alias` the config's name for several
    models by which it named this one. A `held` holds the slots of a call that succeeds until it is
    released. With `flex`, each call is on its deployment's flex tier if there is one; `is_on_flex`
    says whether the last call is, `is_stream` whether it is streamed. `dropped` is what the last
    call's request does not have of the client's; `translated`: it is not the client's own, of
    another API. `sent` is the last request, `completion` the last call's whole response if it has
    no usage, `received` what collects its stream: a `ChunkAccumulator`, or the `ReceivedText` of a
    watcher. `times` (a `FirstTokenTimes`) gets its time to the first token if a request asks for
    hedges by it. `failure` is why its `fallbacks` were called. `fallback_of` is the model whose
    fallback it is.
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
    tier: str | None = None
    dropped: tuple[str, ...] = ()
    translated: bool = False
    headers: Mapping[str, str] = NO_HEADERS
    responding_model: str = ""
    watcher: Watcher | None = None
    held: HeldSlots | None = None
    flex: bool = False
    is_on_flex: bool = False
    is_stream: bool = False
    fallbacks: tuple[Leg, ...] = ()
    fallback_of: str = ""
    failure: Failure | None = None
    times: Any = None
    sent: Any = None
    completion: ChatCompletion | None = None
    received: Any = None

    def __post_init__(self) -> None:
        self.responding_model = self.responding_model or self.model

    def call_end(self, limit: float | None, now: float) -> float | None:
        """When a call that starts now is cancelled: after `limit` seconds, or at the deadline."""
        if limit is None:
            return self.deadline
        return now + limit if self.deadline is None else min(now + limit, self.deadline)

    @property
    def billing(self) -> Billing | None:
        """What cancelling its last call does to the bill, as far as it is known: of a stream."""
        if self.deployment is None:
            return None
        return self.deployment.provider.billing if self.is_stream else "unknown"

    def call_slots(
        self, group: DeploymentGroup, avoided: AbstractSet[str]
    ) -> tuple[AbstractAsyncContextManager[object], AbstractAsyncContextManager[Deployment]]:
        """
        What a call holds: a slot of its request, and one of a deployment that is not in `avoided`.

        If it may have to wait for the second, that takes both, and the first is nothing.
        """
        slots = self.slots or NO_SLOT
        if group.is_limited and isinstance(slots, Share):
            return NO_SLOT, group.slot(avoided, slots, self.request_id)
        return slots, group.slot(avoided, None, self.request_id)

    def fallback(self, model: str) -> Leg:
        """Make a leg of the same request for another model, which may be called if this fails."""
        return Leg(
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
            held=self.held,
            times=self.times,
            fallback_of=self.model,
        )

    @property
    def latest(self) -> Leg:
        """The leg that was called last: the last fallback, or this leg."""
        return self.fallbacks[-1].latest if self.fallbacks else self

    @property
    def called(self) -> list[Leg]:
        """The leg and its fallbacks, in the order of their calls."""
        return [self, *(leg for fallback in self.fallbacks for leg in fallback.called)]


class Attempt(Struct):
    """
    One call of a leg to a deployment; times are `clock`'s, in seconds.

    A `with` block is the call. If it fails, that is recorded: a `TimeoutError` is raised as the
    provider's `TimedOut`, an error of no known kind, which is a bug, as `Internal`. A success is
    recorded by the caller, because a stream goes on after the block that opens it.
    """

    leg: Leg
    observer: Observer
    clock: Callable[[], float]
    group: DeploymentGroup
    deployment: Deployment
    started: float = 0.0
    first_token: float | None = None
    usage: Usage | None = None
    tier: str | None = None
    skipped: Skipped | None = None
    broken_end: bool = False

    def __enter__(self) -> Self:
        leg, self.started = self.leg, self.clock()
        leg.deployment = self.deployment
        leg.completion, leg.received, leg.dropped, leg.translated = None, None, (), False
        if leg.watcher is not None:
            leg.watcher.started(leg)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, TimeoutError):
            message = f"no response within {self.deployment.timeout or 0:g} s"
            late = TimedOut(self.deployment, ErrorDetail(message, "timeout_error"))
            late.may_be_billed = True
            self.record("failed", late)
            drop_tracebacks(error)
            raise late from None
        self.record(outcome_of(error), error)
        self.raise_bug(error)
        drop_tracebacks(error)

    def note_request(self, wire: WireRequest) -> None:
        """Note what the call's request does not have."""
        self.leg.dropped, self.leg.translated = wire.dropped, not wire.original

    def record_first_token(self) -> None:
        """Report the first content to the leg and the watcher."""
        self.first_token = self.leg.first_token = self.clock()
        if self.leg.watcher is not None:
            self.leg.watcher.first_token(self.leg)

    def record(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Report the end to the group, the leg and the watcher, and its record to the observer."""
        leg, now = self.leg, self.clock()
        if error is None:
            self.group.succeeded(self.deployment, (self.first_token or now) - self.started)
        elif isinstance(error, ProviderError) and not self._is_full_tier(error):
            self.group.failed(self.deployment, error)
        if leg.times is not None and (self.first_token or outcome == "cancelled"):
            leg.times.record(leg.model, leg.size, (self.first_token or now) - self.started)
        leg.ended, leg.usage, leg.tier = now, self.usage, self.tier
        if leg.watcher is not None:
            leg.watcher.ended(leg, outcome, error)
        leg.received = None
        if not isinstance(self.observer, NullObserver):
            self.observer.attempt(_record(self, outcome, error, now))

    def _is_full_tier(self, error: ProviderError) -> bool:
        """Whether only the deployment's flex tier has no room, which is no fault of it."""
        if not self.leg.is_on_flex:
            return False
        from .flex import is_rejection

        return is_rejection(error)

    def raise_bug(self, error: BaseException) -> None:
        """Log a bug and raise `Internal`; do nothing for other errors."""
        if isinstance(error, Exception) and not isinstance(error, FanoutError):
            self.observer.unexpected_error(self.leg.request_id, error)
            raise Internal from error


def _record(
    attempt: Attempt, outcome: Outcome, error: BaseException | None, now: float
) -> AttemptRecord:
    """The log record of an attempt that has ended."""
    leg, deployment = attempt.leg, attempt.deployment
    status = 200 if error is None else None
    if isinstance(error, ProviderError):
        status = error.upstream
    elif isinstance(error, FanoutError):
        status = error.status
    first = None if attempt.first_token is None else (attempt.first_token - attempt.started) * 1000
    return AttemptRecord(
        leg.request_id,  # more than fifteen arguments by name are passed in a dict, which is slow
        leg.mode,
        leg.model,
        deployment=deployment.id,
        provider=deployment.provider.name,
        outcome=outcome,
        status=status,
        error=type(error).__name__ if outcome == "failed" else None,
        first_token_ms=None if first is None else round(first, 1),
        duration_ms=round((now - attempt.started) * 1000, 1),
        usage=attempt.usage,
        dropped=_logged().logged_paths(leg.dropped) if leg.dropped else (),
        skipped_events=(attempt.skipped and attempt.skipped.events) or UNSET,
        rejected=_logged().logged_path(error.param)
        if isinstance(error, RequestError) and error.param
        else UNSET,
        broken_end=attempt.broken_end
        or (attempt.skipped and attempt.skipped.broken_end)
        or (isinstance(error, ProviderError) and error.broken_end)
        or UNSET,
        cost_usd=cost_of(deployment, attempt.usage, attempt.tier),
    )


def _logged() -> ModuleType:
    """The module for fields in the log, which is imported with the first one."""
    from . import logged_fields

    return logged_fields


def outcome_of(error: BaseException) -> Outcome:
    """The outcome of an attempt that raised `error`: a cancellation is not an `Exception`."""
    return "failed" if isinstance(error, Exception) else "cancelled"
