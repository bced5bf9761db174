"""
One conversation that several models respond to, and a judge that chooses or merges the responses.

A judge that fails costs no response: the first one is used, and the report says so.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import Any, Literal, NamedTuple

from ..concurrency import (
    Cancelled,
    Deadline,
    Outcome,
    RaceOutcome,
    RaceResult,
    Success,
    map_all,
)
from ..errors import DeadlineExceeded, FanoutError, detail_of
from ..routing.leg import Leg
from ..schema.chat import ChatChunk, ChatCompletion, has_real_content, is_empty
from ..schema.error import error_object
from ..schema.judging import (
    DEFAULT_CRITERIA,
    JudgeReport,
    Judging,
    judge_request,
    merge_request,
)
from ..schema.request import ChatRequest
from .client_chunks import chunks_of
from .judge_calls import JudgeCalls, limit
from .report import Report, make_report
from .timed_pace import Call

Failed = Callable[[RaceResult[Any]], Exception]


class MergedStream(NamedTuple):
    """
    A stream's model, its chunks, and its report, which is complete at its end.

    If nothing is merged, it is of the response that is `chosen`.
    """

    model: str
    chunks: AsyncIterator[ChatChunk]
    report: Callable[[], Report]
    chosen: ChatCompletion | None = None


SHARE = 0.7
"""The part of a request's time in which the models must respond; the rest is the judge's."""

EMPTY = "the merged response is empty, or a refusal"


class JudgeCell:
    """
    The calls of one cell: those of its models, then the judge's.

    A model's response is an answer if it has text or a call of a tool. One that is only reasoning
    is not judged, and a refusal is sent only if the judge chooses it or there is no answer.
    """

    def __init__(
        self,
        judging: Judging,
        mode: Any,
        chat: ChatRequest,
        legs: Sequence[Leg],
        judge: JudgeCalls,
        *,
        shuffle: Callable[[list[int]], None] = random.shuffle,
    ) -> None:
        self._judging, self._mode, self._chat = judging, mode, chat
        self._legs, self._judge, self._shuffle = legs, judge, shuffle
        self._outcomes: Sequence[Outcome[ChatCompletion]] = ()
        self._late: set[int] = set()
        self._started = perf_counter()

    async def run(self, call: Call, failed: Failed) -> ChatCompletion:
        """The best response, or the merged one; raises `failed(…)` if no model responds."""
        found = await self._responses(call, failed)
        if len(found) == 1:
            return self._chosen(found[0], self._report("only_response"))
        if self._mode == "best":
            return await self._best(found)
        try:
            merged = await self._judge.ask(self._merge_request(found), "won")
        except FanoutError as error:
            return self._unjudged(found, error=error)
        if not any(has_real_content(choice["message"]) for choice in merged["choices"]):
            self._judge.fail_last(EMPTY)
            return self._unjudged(found, reason=EMPTY)
        return self._whole(merged, self._judge.judge.model, None, self._report("merged"))

    @asynccontextmanager
    async def stream(self, call: Call, failed: Failed) -> AsyncIterator[MergedStream]:
        """The merged response as a stream, or else the chosen one."""
        found = await self._responses(call, failed)
        if len(found) == 1:
            completion = self._chosen(found[0], self._report("only_response"))
        else:
            async with AsyncExitStack() as stack:
                try:
                    chunks = await self._judge.open_stream(stack, self._merge_request(found))
                except FanoutError as error:
                    completion = self._unjudged(found, error=error)
                else:
                    if chunks is not None:
                        yield MergedStream(self._judge.judge.model, chunks, self._stream_report)
                        return
                    self._judge.fail_last(EMPTY)
                    completion = self._unjudged(found, reason=EMPTY)
        chunks = chunks_of(completion)
        yield MergedStream(completion["model"], chunks, lambda: completion["fanout"], completion)

    # ---- the responses ----

    async def _responses(self, call: Call, failed: Failed) -> list[int]:
        """The indexes of the models whose responses are judged, in order; one if none is better."""
        until = limit(self._legs[0].deadline, SHARE)

        async def timed(leg: Leg) -> ChatCompletion:
            try:
                with Deadline(until):
                    return await call(leg, self._chat)
            except TimeoutError:
                self._late.add(id(leg))
                message = f"no response in {SHARE:.0%} of the request's time"
                raise DeadlineExceeded(message) from None

        self._outcomes = await map_all(timed, self._legs, limit=len(self._legs))
        done = [n for n, outcome in enumerate(self._outcomes) if isinstance(outcome, Success)]
        if not done:
            raise failed(RaceResult(None, self._outcomes))
        if found := [index for index in done if self._says(index, _says_anything)]:
            return found
        return [index for index in done if not self._says(index, is_empty)][:1] or done[:1]

    def _says(self, index: int, test: Callable[[Any], bool]) -> bool:
        """Whether a choice of the response passes the test of its message."""
        return any(test(choice["message"]) for choice in self._value(index)["choices"])

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
            verdict = await self._judge.verdict(request, len(order))
        except FanoutError as error:
            return self._unjudged(found, error=error)
        if isinstance(verdict, str):
            return self._unjudged(found, reason=verdict)
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

    def _merge_request(self, found: list[int]) -> ChatRequest:
        order = list(found)
        self._shuffle(order)
        responses = [self._value(index) for index in order]
        return merge_request(self._chat, responses, self._judging.criteria)

    # ---- the response and its report ----

    def _report(
        self,
        outcome: Literal["judged", "merged", "only_response", "equal_responses", "failed"],
        *,
        reason: str | None = None,
        error: FanoutError | None = None,
    ) -> JudgeReport:
        return JudgeReport(
            model=self._judge.judge.model,
            criteria=self._judging.criteria or (DEFAULT_CRITERIA if self._mode == "best" else None),
            outcome=outcome,
            scores=[],
            tie=[],
            reason=reason,
            error=None if error is None else error_object(detail_of(error)),
            usage=self._judge.judge.usage,
            cost_usd=self._judge.cost_usd,
        )

    def _unjudged(
        self, found: Sequence[int], *, reason: str | None = None, error: FanoutError | None = None
    ) -> ChatCompletion:
        """The first answer after the judge has failed; the first refusal if there is none."""
        responding = (index for index in found if self._says(index, _responds))
        report = self._report("failed", reason=reason, error=error)
        return self._chosen(next(responding, found[0]), report)

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
        outcomes = [self._as_cut(n, outcome) for n, outcome in enumerate(self._outcomes)]
        report = make_report(self._mode, self._legs, outcomes, self._started, perf_counter())
        for index, outcome in enumerate(self._outcomes):
            if isinstance(outcome, Success):
                attempt = report["attempts"][index]
                attempt["duration_ms"] = round(outcome.elapsed * 1000, 1)
                if index != winner:
                    attempt["outcome"] = "merged" if winner is None else "lost"
        report["attempts"] += self._judge.attempts
        report["judge"] = judged
        if (cost := self._judge.cost_usd) is not None:
            report["cost_usd"] = (report.get("cost_usd") or 0.0) + cost
        return report

    def _as_cut(self, index: int, outcome: Outcome[ChatCompletion]) -> RaceOutcome[ChatCompletion]:
        """The outcome; a call that the gateway has cut is cancelled, or not started if unsent."""
        leg = self._legs[index]
        if id(leg) not in self._late or isinstance(outcome, Success):
            return outcome
        return None if leg.deployment is None else Cancelled(outcome.elapsed)

    def _stream_report(self) -> Report:
        self._judge.note("won")
        return self._full_report(None, self._report("merged"))


def _responds(message: Any) -> bool:
    """Whether a message has text, or a call of a tool."""
    return has_real_content(message) or bool(message.get("tool_calls"))


def _says_anything(message: Any) -> bool:
    """Whether a message has more than reasoning: an answer, or a refusal."""
    return _responds(message) or bool(message.get("refusal"))
