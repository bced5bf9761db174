"""A line to the gateway: checked as a caller's request is, for the models that its key may use."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from functools import cache
from typing import Any

from msgspec.structs import replace

from ..config.resolve import Catalog
from ..errors import AllFailed, FanoutError, Forbidden, RateLimited, RequestError
from ..gateway import Context, Gateway
from ..leg import Leg, Outcome
from ..observe import Observer
from ..schema.fanout import FanOutRequest, parse_request
from .adapt import Adaptive
from .costs import Costs
from .insist import Ask, Asked
from .limits import Limits
from .lines import BadLine, Line
from .pace import LocalBook, Pacer
from .tally import Meter

BYTES_A_TOKEN = 4
LEARNING = 0.1
"""How much of the usual size of an answer the last one is."""

ASSUMED = 500
"""Tokens of an answer whose request sets no limit, where a number is needed beforehand."""


def make_ask(
    gateway: Gateway,
    caller: str,
    allowed: Collection[str] | None,
    observer: Observer,
    pacer: Pacer | None = None,
    meter: Meter | None = None,
) -> Ask:
    """The function that a worker asks with; without a pacer, as fast as the providers bear."""
    meter = meter or Meter()
    pacer = pacer or Pacer(LocalBook(), lambda _: Limits(), time.time)
    sizes: dict[str, float] = {}

    async def ask(asked: Asked, pace: Adaptive) -> object:
        request = _checked(asked.line, caller, allowed)
        watch = _Watch(pace, pacer, meter)
        context = Context(asked.request_id, caller, asked.deadline, watch)
        sent = asked.size / BYTES_A_TOKEN
        turns, calls = {}, len(chats_of(asked.line))
        async with AsyncExitStack() as stack:
            for name in request.models:
                each = sizes.get(name, answer_limit(asked.line) or ASSUMED)
                turn = pacer.turn(name, round(sent + calls * each), calls)
                turns[name] = await stack.enter_async_context(turn)
            try:
                return (await gateway.answer(request, context)).body
            except FanoutError as error:
                for name, seconds in _refusals(error):
                    await pacer.refused(name, seconds)
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

    def __init__(self, pace: Adaptive, pacer: Pacer, meter: Meter) -> None:
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
            self._pacer.learn(leg.model, leg.deployment.id, leg.headers)
        if leg.usage:
            taken = self.totals.get(leg.model, 0)
            self.totals[leg.model] = taken + leg.usage["total_tokens"]


def _refusals(error: FanoutError) -> list[tuple[str, float | None]]:
    """The models that said 429, and how long they want to be left alone."""
    errors = [c.error for c in error.failures] if isinstance(error, AllFailed) else [error]
    return [(e.deployment.name, e.retry_after) for e in errors if isinstance(e, RateLimited)]


def make_limits(catalog: Catalog) -> Callable[[str], Limits]:
    """The config's limits of a name: those of its deployments together, if each has one."""

    @cache
    def limits(name: str) -> Limits:
        try:
            deployments = catalog.find(name)
        except FanoutError:
            return Limits()
        return Limits(_sum([d.rpm for d in deployments]), _sum([d.tpm for d in deployments]))

    return limits


def _sum(numbers: list[int | None]) -> float | None:
    known = [number for number in numbers if number]
    return float(sum(known)) if known and len(known) == len(numbers) else None


def check_model(catalog: Catalog, caller: str, allowed: Collection[str] | None, name: str) -> None:
    """Refuse, before anything is paid for, a name that is unknown or not this key's to use."""
    if allowed is not None and name not in allowed:
        said = f"The key `{caller}` may not use the model `{name}`."
        raise BadLine("model_not_allowed", said, "body.model")
    try:
        catalog.find(name)
    except FanoutError as error:
        raise BadLine("model_not_found", f"{error}.", "body.model") from None


def models_of(line: Line) -> list[str]:
    """The names that a line asks."""
    fanout = line.body.get("fanout") or {}
    given = fanout.get("models") or line.body.get("model") or []
    names = given.split(",") if isinstance(given, str) else given
    return [name.strip() for name in names]


def answer_limit(line: Line) -> int | None:
    """The most tokens of its answers that a line allows; `None` if it sets no limit."""
    limit = line.body.get("max_completion_tokens") or line.body.get("max_tokens")
    count = line.body.get("n") or 1
    return limit * count if isinstance(limit, int) and isinstance(count, int) else None


def chats_of(line: Line) -> list[list[Any]]:
    """The conversations of a line: one, or as many as its `messages` has; a call to each model."""
    messages = line.body.get("messages") or []
    return [chat for chat in messages if isinstance(chat, list)] or [messages]


def estimate(costs: Costs, line: Line, size: int) -> float:
    """Dollars that a line may cost: four bytes a token in, its own limit out."""
    total = 0.0
    for name in models_of(line):
        if rate := costs.rate(name):
            got = (answer_limit(line) or ASSUMED) * len(chats_of(line))
            total += rate.sent * size / BYTES_A_TOKEN + rate.got * got
    return total
