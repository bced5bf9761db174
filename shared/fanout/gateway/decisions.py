"""
Runs a cell whose response is decided by several: by votes, or by a judge.

Loaded for the first such request only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..config.catalog import Catalog
from ..routing.router import Router
from ..schema.agreement import Agree
from ..schema.chat import ChatCompletion
from ..schema.fanout import FanOutRequest
from ..schema.judging import Judging
from ..telemetry.observers import DecisionRecord
from .agree_cell import AgreeCell, NoVoteInTime
from .judge_calls import JudgeCalls
from .judge_cell import Failed, JudgeCell, MergedStream
from .report import Attempt, Report
from .timed_pace import Call

if TYPE_CHECKING:
    from .run import GridCell

RESPONDED = frozenset({"won", "agreed", "dissented", "no_vote", "lost", "merged"})
"""What becomes of a whole response."""


class Decisions:
    """Decides cells over a router."""

    def __init__(self, router: Router, catalog: Catalog) -> None:
        self._router, self._catalog = router, catalog

    async def chat(self, request: FanOutRequest, cell: GridCell) -> ChatCompletion:
        """The response that the models agree on, or that a judge chooses or makes of theirs."""
        completion = await self._decided(request, cell)
        self._record(cell, completion["fanout"])
        return completion

    async def _decided(self, request: FanOutRequest, cell: GridCell) -> ChatCompletion:
        if request.agree is not None:
            return await self._agree(request, request.agree, cell)
        if request.judging is None:
            raise AssertionError(f"nothing is decided in mode {request.mode}")
        judged, judge = self._judge_cell(request, request.judging, cell)
        plain: Call = self._router.chat_by_stream
        checked = plain if cell.checked is None else cell.checked.valid(plain)
        try:
            return await judged.run(checked, _failed(request, cell))
        finally:
            cell.extra += (judge.nanodollars or 0,)

    @asynccontextmanager
    async def stream(self, request: FanOutRequest, cell: GridCell) -> AsyncIterator[MergedStream]:
        """The response that a judge makes of the models' responses, as a stream."""
        if request.judging is None:
            raise AssertionError(f"nothing is merged in mode {request.mode}")
        judged, _ = self._judge_cell(request, request.judging, cell)
        opening = judged.stream(self._router.chat_by_stream, _failed(request, cell))
        async with opening as merged:
            reports: list[Report] = []

            def report() -> Report:
                if not reports:
                    reports.append(merged.report())
                    self._record(cell, reports[0])
                return reports[0]

            yield merged._replace(report=report)
            report()

    def _record(self, cell: GridCell, report: Report) -> None:
        """Tell the observer how the cell was decided."""
        leg, votes, judge = cell.legs[0], report.get("agree"), report.get("judge")
        own = report["attempts"][: len(cell.legs)]
        record = DecisionRecord(
            leg.request_id,
            report["mode"],
            judge["outcome"] if judge else "agreed" if votes and votes["decided"] else "undecided",
            calls=sum(one["outcome"] != "not_started" for one in own),
            calls_saved=votes["calls_saved"] if votes else 0,
            saved_usd=votes["saved_usd"] if votes else None,
            votes=sum(one["votes"] for one in votes["votes"]) if votes else 0,
            judge=judge["model"] if judge else None,
            judge_calls=len(report["attempts"]) - len(own),
            judge_cost_usd=judge["cost_usd"] if judge else None,
        )
        self._router.observer.decision(record)

    async def _agree(self, request: FanOutRequest, rules: Agree, cell: GridCell) -> ChatCompletion:
        call: Call = self._router.chat_by_stream
        if cell.checked is not None:
            call = cell.checked.valid(call)
        elif cell.pace is not None:
            call = cell.pace.paced(call)
        agreeing = AgreeCell(rules, cell.request, cell.legs, self._catalog)
        deadline = None if cell.pace is not None else cell.legs[0].deadline
        try:
            failed = _failed(request, cell)
            return await agreeing.run(call, failed, inf if deadline is None else deadline)
        except NoVoteInTime as late:
            report, models = late.report, len(cell.legs)
            if cell.checked is not None:
                calls = cell.checked.report("agree", cell.legs, None)
                report = with_decision(calls, report, models)
            cell.late_attempts += (*report["attempts"],)
            raise

    def _judge_cell(
        self, request: FanOutRequest, judging: Judging, cell: GridCell
    ) -> tuple[JudgeCell, JudgeCalls]:
        name = judging.judge
        leg = replace(cell.legs[0], model=name, responding_model=name, alias=None)
        judge = JudgeCalls(leg, self._router, cell.judge_pace)
        return JudgeCell(judging, request.mode, cell.request, cell.legs, judge), judge


def _failed(request: FanOutRequest, cell: GridCell) -> Failed:
    """What makes the error of the cell, which begins now, if it has no response."""
    started = perf_counter()
    return lambda result: cell.all_failed(request.mode, result, started)


def with_decision(calls: Report, decided: Report, models: int) -> Report:
    """
    The report on all calls of a checked request, with how its responses were decided on.

    The attempts of `decided` are those of so many `models`, and then those of a judge.
    """
    found: dict[str, list[Attempt]] = {}
    for attempt in decided["attempts"][:models]:
        if attempt["outcome"] in RESPONDED:
            found.setdefault(attempt["model"], []).append(attempt)
    attempts: list[Attempt] = []
    for call in calls["attempts"]:
        left = found.get(call["model"]) if call["outcome"] == "won" else None
        one = left.pop(0) if left else None
        attempts.append({**call, "outcome": one["outcome"], "error": one["error"]} if one else call)
    attempts += decided["attempts"][models:]
    report: Report = {**calls, "attempts": attempts}
    if "agree" in decided:
        report["agree"] = decided["agree"]
    if "judge" in decided:
        report["judge"] = decided["judge"]
        if (cost := decided["judge"]["cost_usd"]) is not None:
            report["cost_usd"] = (report.get("cost_usd") or 0.0) + cost
    return report
