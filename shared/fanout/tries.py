"""One attempt of a leg while it runs, and what the log is told of it. Pure."""

from __future__ import annotations

from msgspec import Struct

from .config.resolve import Deployment
from .errors import FanoutError, ProviderError
from .groups import Group
from .leg import Leg, Outcome
from .observe import AttemptRecord
from .prices import cost_of
from .schema.chat import Usage


class Try(Struct, gc=False):
    """One attempt of a leg; times are `perf_counter`'s."""

    group: Group
    deployment: Deployment
    started: float
    first_token: float | None = None
    usage: Usage | None = None
    dropped: tuple[str, ...] = ()


def make_record(
    leg: Leg, this: Try, outcome: Outcome, error: BaseException | None
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
