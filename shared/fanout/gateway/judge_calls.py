"""
The calls to the judge of one cell: what each becomes in the report, and what they cost.

Each call ends so early that there is time left to send a response without the judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from math import inf
from time import perf_counter

from ..concurrency import Deadline, prepend
from ..errors import DeadlineExceeded, FanoutError
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, has_real_content
from ..schema.judging import Verdict, read_verdict
from ..schema.request import ChatRequest
from ..telemetry.prices import nanodollars_of_usage, to_dollars
from .report import Attempt, AttemptOutcome, call_attempt
from .timed_pace import Pace

ATTEMPTS = 2
"""Calls of a judge whose verdict cannot be read."""

JUDGE_SHARE = 0.9
"""The part of the time left that the judge has; then the first response is sent, still in time."""

LATE = "the judge has not responded in its part of the request's time"

MOST_HELD = 10_000
"""Chunks before a merged response's first text that are kept; the reasoning after them is not."""


class JudgeCalls:
    """
    The calls with the leg `judge`; `attempts` has those that have ended.

    A `pace` makes them when they may be made, and again after a rate limit.
    """

    def __init__(self, judge: Leg, router: Router, pace: Pace | None) -> None:
        self.judge = judge
        self.attempts: list[Attempt] = []
        self.nanodollars: int | None = None
        self._router, self._pace = router, pace
        self._began = self._started = perf_counter()

    @property
    def cost_usd(self) -> float | None:
        """What the calls have cost; `None` if no cost is known."""
        return None if self.nanodollars is None else to_dollars(self.nanodollars)

    async def verdict(self, request: ChatRequest, count: int) -> Verdict | str:
        """The verdict on `count` responses, or what is wrong with it after the last call."""
        verdict: Verdict | str = ""
        for _ in range(ATTEMPTS):
            completion = await self.ask(request, "judged")
            verdict = read_verdict(completion, count)
            if isinstance(verdict, Verdict):
                break
        return verdict

    async def ask(self, request: ChatRequest, outcome: AttemptOutcome) -> ChatCompletion:
        """The judge's response; raises `DeadlineExceeded` so early that there is time to go on."""
        self._begin()
        try:
            with Deadline(limit(self.judge.deadline, JUDGE_SHARE)):
                call = partial(self._router.chat_by_stream, self.judge, request)
                if self._pace is None:
                    completion = await call()
                else:
                    completion = await self._pace(call, self.judge, request, is_extra=True)
        except FanoutError as error:
            self.note("failed", error)
            raise
        except TimeoutError:
            self.note("cancelled")
            raise DeadlineExceeded(LATE) from None
        self.note(outcome)
        return completion

    async def open_stream(
        self, stack: AsyncExitStack, request: ChatRequest
    ) -> AsyncIterator[ChatChunk] | None:
        """
        The judge's response once its first text is there; `None` if it has none.

        `stack` closes it. At its end, `note("won")` counts the call.
        """
        self._begin()
        try:
            with Deadline(limit(self.judge.deadline, JUDGE_SHARE)):
                opening = self._router.stream(self.judge, request)
                chunks = await stack.enter_async_context(opening)
                head = await _until_text(chunks)
        except FanoutError as error:
            self.note("failed", error)
            raise
        except TimeoutError:
            self.note("cancelled")
            raise DeadlineExceeded(LATE) from None
        if head:
            return prepend(head, chunks)
        self.note("judged")
        return None

    def _begin(self) -> None:
        self._started = perf_counter()
        self.judge.usage = self.judge.first_token = None

    def fail_last(self, message: str) -> None:
        """Note that the last call's response could not be used."""
        error = {"message": message, "type": "judge_failed", "param": None, "code": None}
        self.attempts[-1] |= {"outcome": "failed", "error": error}

    def note(self, outcome: AttemptOutcome, error: FanoutError | None = None) -> None:
        """Note the call that has ended, and its cost if it is known."""
        leg, span = self.judge, (self._started, perf_counter())
        deployment = leg.deployment
        self.attempts.append(call_attempt(leg, outcome, self._began, span, error, leg.tier))
        cost = nanodollars_of_usage(deployment, leg.usage, leg.tier) if deployment else None
        if cost is not None:
            self.nanodollars = (self.nanodollars or 0) + cost


def limit(deadline: float | None, share: float) -> float:
    """When this share of the time until `deadline` is over, by the event loop's clock."""
    now = asyncio.get_running_loop().time()
    return inf if deadline is None else now + share * max(deadline - now, 0.0)


async def _until_text(chunks: AsyncIterator[ChatChunk]) -> list[ChatChunk]:
    """The chunks up to the first one that belongs to an answer; none if the stream has none."""
    head: list[ChatChunk] = []
    async for chunk in chunks:
        is_enough = any(has_real_content(choice["delta"]) for choice in chunk["choices"])
        if is_enough or len(head) < MOST_HELD:
            head.append(chunk)
        if is_enough:
            return head
    return []
