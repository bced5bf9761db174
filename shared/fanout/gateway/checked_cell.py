"""
The calls of one cell whose response must fit a schema; `escalation.py` decides which there are.

Does not depend on modes: it makes one model's call into one whose response fits, and keeps account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal

from msgspec import Struct

from ..errors import DeadlineExceeded, FanoutError, Forbidden, SchemaMismatch, Unauthorized
from ..routing.leg import Leg
from ..schema.chat import ChatCompletion
from ..schema.checked import validator_of
from ..schema.gateway_fields import Mode
from ..schema.request import ChatRequest, Check
from ..telemetry.prices import nanodollars_of_usage, to_dollars
from .escalation import Invalid, find_invalid, next_request, without_fences
from .report import Attempt, Report, call_attempt
from .timed_pace import Call, TimedPace

LONG_TEXT = 1_000_000
"""Characters of a response from which it is checked in a thread, so that others need not wait."""


class _Made(Struct):
    """A call that has ended, for the report."""

    leg: Leg
    attempt: Attempt
    nanodollars: int | None
    choices: object = None


class CheckedCell:
    """
    One cell's calls.

    `valid` turns a call into one whose response fits. With a `pace`, each call has its own time;
    without one, the cell has its deadline.
    """

    def __init__(self, check: Check, chat: ChatRequest, pace: TimedPace | None = None) -> None:
        self.check = check
        self.is_escalating = False
        self.last: Invalid | None = None
        self.fatal: Exception | None = None
        self._problem = validator_of(chat).problem
        self._pace = pace
        self._started = perf_counter()
        self._made: list[_Made] = []
        self._last_model = ""
        self._completion: ChatCompletion | None = None

    def valid(self, call: Call) -> Call:
        """
        The call, repeated until its response fits.

        Raises `SchemaMismatch` if none does, or why the client may not make another call.
        """

        async def run(leg: Leg, chat: ChatRequest) -> ChatCompletion:
            sent: ChatRequest | None = chat
            calls = 0
            while sent is not None:
                try:
                    completion, invalid = await self._make(call, leg, sent, calls)
                except FanoutError as error:
                    if calls == 0 or isinstance(error, Unauthorized | Forbidden):
                        raise
                    raise self.mismatch() from error
                if invalid is None:
                    return completion
                calls += 1
                if leg.held is not None:  # nothing of this response is stored
                    await leg.held.release()
                sent = next_request(chat, self.check, calls, invalid)
            raise self.mismatch()

        return run

    async def _make(
        self, call: Call, leg: Leg, chat: ChatRequest, calls: int
    ) -> tuple[ChatCompletion, Invalid | None]:
        """One call's response, and what is wrong with it."""
        leg.usage = leg.first_token = None
        started = perf_counter()
        try:
            completion = await self._paced(call, leg, chat, calls > 0 or self.is_escalating)
        except Exception as error:
            if not isinstance(error, FanoutError):
                self.fatal = error
            self._note(leg, started, "failed", error)
            raise
        except BaseException:
            self._note(leg, started, "cancelled")
            raise
        invalid = await self._find_invalid(completion)
        if invalid is None:
            completion = without_fences(completion)
            self._note(leg, started, "won")
            self._made[-1].choices = completion["choices"]
            if leg.watcher is not None:
                leg.watcher.checked(leg, None)
            return completion, None
        self.last, self._last_model, self._completion = invalid, leg.model, completion
        mismatch = self._mismatch()
        self._note(leg, started, "invalid", mismatch)
        if leg.watcher is not None:
            leg.watcher.checked(leg, mismatch)
        return completion, invalid

    async def _paced(
        self,
        call: Call,
        leg: Leg,
        chat: ChatRequest,
        is_extra: bool,  # noqa: FBT001
    ) -> ChatCompletion:
        if self._pace is None:
            return await call(leg, chat)
        return await self._pace.make(call, leg, chat, is_extra=is_extra)

    async def _find_invalid(self, completion: ChatCompletion) -> Invalid | None:
        texts = (choice["message"].get("content") or "" for choice in completion["choices"])
        if sum(map(len, texts)) < LONG_TEXT:
            return find_invalid(completion, self._problem)
        return await asyncio.to_thread(find_invalid, completion, self._problem)

    # ---- the account ----

    def _note(
        self,
        leg: Leg,
        started: float,
        outcome: Literal["won", "cancelled", "failed", "invalid"],
        error: Exception | None = None,
    ) -> None:
        deployment, span = leg.deployment, (started, perf_counter())
        attempt = call_attempt(leg, outcome, self._started, span, error)
        cost = nanodollars_of_usage(deployment, leg.usage) if deployment else None
        self._made.append(_Made(leg, attempt, cost))

    def report(self, mode: Mode, legs: Sequence[Leg], completion: ChatCompletion | None) -> Report:
        """
        Each call in the order of its end, and the legs of the cell that were not started.

        `completion` is the response that is used; `None` if several count.
        """
        attempts = [_as_used(made, completion) for made in self._made]
        called = {id(made.leg) for made in self._made}
        attempts += [_not_started(leg) for leg in legs if id(leg) not in called and not leg.started]
        report = Report(mode=mode, attempts=attempts)
        if (cost := self.cost) is not None:
            report["cost_usd"] = cost
        return report

    @property
    def cost(self) -> float | None:
        """The cost of all calls in US dollars; `None` if no cost is known."""
        known = [made.nanodollars for made in self._made if made.nanodollars is not None]
        return to_dollars(sum(known)) if known else None

    def mismatch(self) -> SchemaMismatch:
        """The error of the cell: the last text, why it does not fit, and all calls."""
        return self._mismatch([made.attempt for made in self._made])

    def late(self, error: DeadlineExceeded, attempts: Sequence[Attempt] = ()) -> DeadlineExceeded:
        """
        The error of a cell whose time is over, with all calls and the last text.

        `attempts` are the calls if more is known of them: what became of votes.
        """
        last = self.last
        return DeadlineExceeded(
            str(error),
            text=last.text if last else None,
            reason=last.reason if last else None,
            attempts=attempts or [made.attempt for made in self._made],
        )

    def _mismatch(self, attempts: Sequence[Any] = ()) -> SchemaMismatch:
        last = self.last or Invalid("there is no response")
        return SchemaMismatch(
            f"`{self._last_model}`: the response does not fit the schema: {last.reason}",
            text=last.text,
            reason=last.reason,
            attempts=attempts,
            completion=self._completion,
        )


def _as_used(made: _Made, completion: ChatCompletion | None) -> Attempt:
    """The call; one whose response fits, but came too late to be used, is a cancelled one."""
    if made.attempt["outcome"] != "won" or completion is None:
        return made.attempt
    if made.choices is completion["choices"]:
        return made.attempt
    return {**made.attempt, "outcome": "cancelled"}


def _not_started(leg: Leg) -> Attempt:
    return Attempt(
        model=leg.model,
        outcome="not_started",
        first_token_ms=None,
        duration_ms=None,
        error=None,
        usage=None,
        cost_usd=None,
        billing=None,
    )
