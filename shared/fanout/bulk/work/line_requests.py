"""A line to the gateway: checked as a caller's request is, for the models that its key may use."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AsyncExitStack

from msgspec.structs import replace

from ...config.resolve import Catalog
from ...errors import AllFailed, FanoutError, Forbidden, RateLimited, RequestError
from ...gateway.gateway import Context, Gateway
from ...routing.leg import Leg, Outcome
from ...schema.fanout import FanOutRequest, parse_request
from ...telemetry.observers import Observer
from ..input.estimates import ASSUMED, BYTES_A_TOKEN, answer_limit, chats_of
from ..input.lines import BadLine, Line
from ..pacing.adaptive_concurrency import AdaptiveConcurrency
from ..pacing.limits import Limits
from ..pacing.line_retry import Ask, LineRequest
from ..pacing.rate_limiter import MemoryRateLimitStore, RateLimiter
from ..totals import CallCounts

LEARNING = 0.1
"""How much of the usual size of an answer the last one is."""


def make_line_sender(
    gateway: Gateway,
    caller: str,
    allowed: Collection[str] | None,
    observer: Observer,
    pacer: RateLimiter | None = None,
    meter: CallCounts | None = None,
) -> Ask:
    """The function that a worker asks with; without a pacer, as fast as the providers bear."""
    meter = meter or CallCounts()
    pacer = pacer or RateLimiter(MemoryRateLimitStore(), lambda _: Limits(), time.time)
    sizes: dict[str, float] = {}

    async def ask(asked: LineRequest, pace: AdaptiveConcurrency) -> object:
        request = _checked(asked.line, caller, allowed)
        watch = _Watch(pace, pacer, meter)
        context = Context(asked.request_id, caller, asked.deadline, watch)
        sent = asked.size / BYTES_A_TOKEN
        turns, calls = {}, len(chats_of(asked.line))
        async with AsyncExitStack() as stack:
            for name in request.models:
                each = sizes.get(name, answer_limit(asked.line) or ASSUMED)
                turn = pacer.permit(name, round(sent + calls * each), calls)
                turns[name] = await stack.enter_async_context(turn)
            try:
                return (await gateway.answer(request, context)).body
            except FanoutError as error:
                for name, seconds in _refusals(error):
                    await pacer.rate_limited(name, seconds)
                raise
            except Exception as error:
                observer.bug(asked.request_id, error)
                raise
            finally:
                for name in turns.keys() & watch.totals.keys():
                    turns[name].used = watch.totals[name]
                    got = (watch.totals[name] - sent) / calls
                    before = sizes.get(name, got)
                    sizes[name] = max(1.0, before + (got - before) * LEARNING)

    return ask


def _checked(line: Line, caller: str, allowed: Collection[str] | None) -> FanOutRequest:
    """The line as a request, if its caller's key may name what it names."""
    if line.fault is not None:
        raise RequestError(line.fault)
    request = parse_request({**line.body, "stream": False})
    for name in sorted(request.names):
        if allowed is not None and name not in allowed:
            raise Forbidden(f"the key `{caller}` may not use the model `{name}`", "model")
    if request.num_retries is None:
        return replace(request, num_retries=0)  # the worker insists, at the model's pace
    return request


class _Watch:
    """Tells the pace, the pacer and the meter of each call; `totals` are the tokens by model."""

    def __init__(self, pace: AdaptiveConcurrency, pacer: RateLimiter, meter: CallCounts) -> None:
        self._pace = pace
        self._pacer = pacer
        self._meter = meter
        self.totals: dict[str, int] = {}

    def started(self, leg: Leg) -> None:
        """A call begins."""
        self._meter.in_flight += 1
        self._pace.started(leg)

    def first_token(self, leg: Leg) -> None:
        """It has begun to answer."""

    def ended(self, leg: Leg, outcome: Outcome, error: BaseException | None) -> None:
        """A call is over."""
        self._meter.in_flight -= 1
        self._meter.refused += isinstance(error, RateLimited)
        self._pace.ended(leg, outcome, error)
        if leg.headers and leg.deployment:
            self._pacer.record_headers(leg.model, leg.deployment.id, leg.headers)
        if leg.usage:
            taken = self.totals.get(leg.model, 0)
            self.totals[leg.model] = taken + leg.usage["total_tokens"]


def _refusals(error: FanoutError) -> list[tuple[str, float | None]]:
    """The models that said 429, and how long they want to be left alone."""
    errors = [c.error for c in error.failures] if isinstance(error, AllFailed) else [error]
    return [(e.deployment.name, e.retry_after) for e in errors if isinstance(e, RateLimited)]


def check_model(catalog: Catalog, caller: str, allowed: Collection[str] | None, name: str) -> None:
    """Refuse, before anything is paid for, a name that is unknown or not this key's to use."""
    if allowed is not None and name not in allowed:
        said = f"The key `{caller}` may not use the model `{name}`."
        raise BadLine("model_not_allowed", said, "body.model")
    try:
        catalog.find(name)
    except FanoutError as error:
        raise BadLine("model_not_found", f"{error}.", "body.model") from None
