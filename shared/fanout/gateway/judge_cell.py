"""
One conversation that several models respond to, and a judge that chooses or merges the responses.

A judge that fails costs no response: the first one is used, and the report says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from math import inf
from time import perf_counter
from typing import Any, Literal

from ..concurrency import Deadline, Outcome, RaceResult, Success, map_all, prepend
from ..errors import DeadlineExceeded, FanoutError, detail_of
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, has_real_content, is_empty
from ..schema.error import error_object
from ..schema.judging import (
    DEFAULT_CRITERIA,
    JudgeReport,
    Judging,
    Verdict,
    judge_request,
    merge_request,
    read_verdict,
)
from ..schema.request import ChatRequest
from ..telemetry.prices import nanodollars_of_usage, to_dollars
from .checked_cell import Pace
from .client_chunks import chunks_of
from .report import Attempt, AttemptOutcome, Report, call_attempt, make_report

Call = Callable[[Leg, ChatRequest], Awaitable[ChatCompletion]]
Failed = Callable[[Sequence[Leg], RaceResult[Any]], Exception]

MergedStream = tuple[str, AsyncIterator[ChatChunk], Callable[[], Report]]
"""A stream's model, its chunks, and its report, which is complete at its end."""

ATTEMPTS = 2
"""Calls of a judge whose verdict cannot be read."""

SHARE = 0.7
"""The part of a request's time in which the models must respond; the rest is the judge's."""

JUDGE_SHARE = 0.9
"""The part of the time left that the judge has; then the first response is sent, still in time."""

LATE = "the judge has not responded in its part of the request's time"
EMPTY = "the merged response is empty, or a refusal"

MOST_HELD = 10_000
"""Chunks before a merged response's first text that are kept; the reasoning after them is not."""


class JudgeCell:
    """
    The calls of one cell: those of its models, then the judge's with `judge`.

    A `pace` makes the judge's calls when they may be made, and again after a rate limit.
    """

    def __init__(  # noqa: PLR0913 -- its parts, each once
        self,
        judging: Judging,
        mode: Any,
        chat: ChatRequest,
        legs: Sequence[Leg],
        judge: Leg,
        router: Router,
        *,
        shuffle: Callable[[list[int]], None] = random.shuffle,
        pace: Pace | None = None,
    ) -> None:
        self._judging, self._mode, self._chat = judging, mode, chat
        self._legs, self._judge, self._router = legs, judge, router
        self._shuffle, self._pace = shuffle, pace
        self._outcomes: Sequence[Outcome[ChatCompletion]] = ()
        self._started = perf_counter()
        self.nanodollars: int | None = None
        self._calls: list[Attempt] = []

    async def run(self, call: Call, failed: Failed) -> ChatCompletion:
        """The best response, or the merged one; raises `failed(…)` if no model responds."""
        found = await self._responses(call, failed)
        if len(found) == 1:
            return self._chosen(found[0], self._report("only_response"))
        if self._mode == "best":
            return await self._best(found)
        request = self._merge_request(found)
        try:
            merged = await self._ask(request, "won")
        except FanoutError as error:
            return self._chosen(found[0], self._report("failed", error=error))
        if not any(has_real_content(choice["message"]) for choice in merged["choices"]):
            self._calls[-1]["outcome"] = "judged"
            return self._chosen(found[0], self._report("failed", reason=EMPTY))
        return self._whole(merged, self._judge.model, None, self._report("merged"))

    @asynccontextmanager
    async def stream(self, call: Call, failed: Failed) -> AsyncIterator[MergedStream]:
        """The merged response as a stream: its model, its chunks and its report at the end."""
        found = await self._responses(call, failed)
        if len(found) == 1:
            report = self._report("only_response")
        else:
            request = self._merge_request(found)
            started = perf_counter()
            async with AsyncExitStack() as stack:
                try:
                    with Deadline(_limit(self._judge.deadline, JUDGE_SHARE)):
                        opening = self._router.stream(self._judge, request)
                        chunks = await stack.enter_async_context(opening)
                        head = await _until_text(chunks)
                except FanoutError as error:
                    self._note(started, "failed", error)
                    report = self._report("failed", error=error)
                except TimeoutError:
                    self._note(started, "cancelled")
                    report = self._report("failed", error=DeadlineExceeded(LATE))
                else:
                    if head:
                        whole = prepend(head, chunks)
                        yield self._judge.model, whole, partial(self._stream_report, started)
                        return
                    self._note(started, "judged")
                    report = self._report("failed", reason=EMPTY)
        completion = self._chosen(found[0], report)
        yield completion["model"], chunks_of(completion), lambda: completion["fanout"]

    # ---- the responses ----

    async def _responses(self, call: Call, failed: Failed) -> list[int]:
        """The indexes of the models that have responded in time, in order."""
        limit = _limit(self._legs[0].deadline, SHARE)

        async def timed(leg: Leg) -> ChatCompletion:
            try:
                with Deadline(limit):
                    return await call(leg, self._chat)
            except TimeoutError:
                message = f"no response in {SHARE:.0%} of the request's time"
                raise DeadlineExceeded(message) from None

        self._outcomes = await map_all(timed, self._legs, limit=len(self._legs))
        done = [n for n, outcome in enumerate(self._outcomes) if isinstance(outcome, Success)]
        if not done:
            raise failed(self._legs, RaceResult(None, self._outcomes))
        found = [index for index in done if not _is_empty(self._value(index))]
        return found or done[:1]

    def _value(self, index: int) -> ChatCompletion:
        outcome = self._outcomes[index]
        if isinstance(outcome, Success):
            value: ChatCompletion = outcome.value
            return value
        raise LookupError("the call has no response")

    def _are_equal(self, found: Sequence[int]) -> bool:
        """Whether these responses have the same text, and call no tool: a judge has no choice."""
        first, *others = (self._value(index)["choices"][0]["message"] for index in found)
        if any(one.get("tool_calls") or not one.get("content") for one in (first, *others)):
            return False
        return all(one["content"] == first["content"] for one in others)

    # ---- the judge ----

    async def _best(self, found: list[int]) -> ChatCompletion:
        if self._are_equal(found):
            return self._chosen(found[0], self._report("equal_responses"))
        order = list(found)
        self._shuffle(order)
        request = judge_request(
            self._chat, [self._value(index) for index in order], self._judging.criteria
        )
        try:
            verdict = await self._verdict(request, len(order))
        except FanoutError as error:
            return self._chosen(found[0], self._report("failed", error=error))
        if isinstance(verdict, str):
            return self._chosen(found[0], self._report("failed", reason=verdict))
        top = sorted(order[place] for place in verdict.top)
        best = order[verdict.best]
        winner = best if best in top else top[0]
        report = self._report("judged", reason=verdict.reason)
        scores = dict(zip(order, verdict.scores, strict=True))
        report["scores"] = [
            {"model": self._legs[index].model, "score": scores[index]} for index in found
        ]
        report["tie"] = [self._legs[index].model for index in top] if len(top) > 1 else []
        return self._chosen(winner, report)

    async def _verdict(self, request: ChatRequest, count: int) -> Verdict | str:
        verdict: Verdict | str = ""
        for _ in range(ATTEMPTS):
            completion = await self._ask(request, "judged")
            verdict = read_verdict(completion, count)
            if isinstance(verdict, Verdict):
                break
        return verdict

    def _merge_request(self, found: list[int]) -> ChatRequest:
        order = list(found)
        self._shuffle(order)
        responses = [self._value(index) for index in order]
        return merge_request(self._chat, responses, self._judging.criteria)

    async def _ask(self, request: ChatRequest, outcome: AttemptOutcome) -> ChatCompletion:
        """The judge's response; raises `DeadlineExceeded` so early that there is time to go on."""
        started = perf_counter()
        self._judge.usage = self._judge.first_token = None
        try:
            with Deadline(_limit(self._judge.deadline, JUDGE_SHARE)):
                call = partial(self._router.chat_by_stream, self._judge, request)
                if self._pace is None:
                    completion = await call()
                else:
                    completion = await self._pace(call, self._judge, request, is_extra=True)
        except FanoutError as error:
            self._note(started, "failed", error)
            raise
        except TimeoutError:
            self._note(started, "cancelled")
            raise DeadlineExceeded(LATE) from None
        self._note(started, outcome)
        return completion

    def _note(
        self, started: float, outcome: AttemptOutcome, error: FanoutError | None = None
    ) -> None:
        """Note a call of the judge that has ended, and its cost if it is known."""
        leg, span = self._judge, (started, perf_counter())
        deployment = leg.deployment
        attempt = call_attempt(leg, outcome, self._started, span, error, leg.tier)
        self._calls.append(attempt)
        cost = nanodollars_of_usage(deployment, leg.usage, leg.tier) if deployment else None
        if cost is not None:
            self.nanodollars = (self.nanodollars or 0) + cost

    # ---- the response and its report ----

    def _report(
        self,
        outcome: Literal["judged", "merged", "only_response", "equal_responses", "failed"],
        *,
        reason: str | None = None,
        error: FanoutError | None = None,
    ) -> JudgeReport:
        usage = self._judge.usage
        return JudgeReport(
            model=self._judge.model,
            criteria=self._judging.criteria or (DEFAULT_CRITERIA if self._mode == "best" else None),
            outcome=outcome,
            scores=[],
            tie=[],
            reason=reason,
            error=None if error is None else error_object(detail_of(error)),
            usage=usage,
            cost_usd=None if self.nanodollars is None else to_dollars(self.nanodollars),
        )

    def _chosen(self, winner: int, judged: JudgeReport) -> ChatCompletion:
        """The response of the model at this index."""
        completion, leg = self._value(winner), self._legs[winner]
        return self._whole(completion, leg.responding_model, winner, judged)

    def _whole(
        self, completion: ChatCompletion, model: str, winner: int | None, judged: JudgeReport
    ) -> ChatCompletion:
        report = self._full_report(winner, judged)
        whole: Any = {**completion, "model": model, "fanout": report}
        found: ChatCompletion = whole
        return found

    def _full_report(self, winner: int | None, judged: JudgeReport) -> Report:
        report = make_report(self._mode, self._legs, self._outcomes, self._started, perf_counter())
        for index, outcome in enumerate(self._outcomes):
            if isinstance(outcome, Success):
                attempt = report["attempts"][index]
                attempt["duration_ms"] = round(outcome.elapsed * 1000, 1)
                if index != winner:
                    attempt["outcome"] = "merged" if winner is None else "lost"
        report["attempts"] += self._calls
        report["judge"] = judged
        if self.nanodollars is not None:
            report["cost_usd"] = (report.get("cost_usd") or 0.0) + to_dollars(self.nanodollars)
        return report

    def _stream_report(self, started: float) -> Report:
        self._note(started, "won")
        return self._full_report(None, self._report("merged"))


def _limit(deadline: float | None, share: float) -> float:
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


def _is_empty(completion: ChatCompletion) -> bool:
    return all(is_empty(choice["message"]) for choice in completion["choices"])
