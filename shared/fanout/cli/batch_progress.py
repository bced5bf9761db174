"""What there is to say of a job: its progress, its costs, its times and its errors, in words."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from ..bulk.activity import NOT_RUNNING
from ..bulk.input.planner import LineError
from ..bulk.service.records import Job, hedged_to_dict, lanes_to_dict
from ..bulk.totals import Totals, rounded_dollars
from ..wire.terminal_text import one_line
from .printing import dollars, show

COST_CAP = "max_cost_usd"
"""The field of the API that `--max-cost` sets."""


DAY = 24 * 3600.0

MAX_ERROR_LINES = 5
"""Different errors that are shown; the others are counted."""


class Progress(Struct, frozen=True):
    """
    A job's progress; `elapsed` are the seconds of this run.

    `rate` is lines per second in the last minute, or in the whole run once it has ended.
    """

    job: Job
    totals: Totals
    rate: float | None
    elapsed: float

    @property
    def eta(self) -> float | None:
        """Estimated seconds to the end, or `None` if unknown."""
        return self.job.seconds_left(self.totals)

    @property
    def waits(self) -> list[str]:
        """What waits, why and until when, in sentences; that this process stops is no wait."""
        waits = [wait for wait in self.job.waits(self.totals) if wait != NOT_RUNNING]
        return [wait.sentence(clock_time) for wait in waits]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `--json`."""
        activity = self.totals.activity
        return {
            "job": self.job.id,
            "status": self.job.status,
            "total": self.job.total,
            "completed": self.totals.done,
            "failed": self.totals.failed,
            "lines_per_second": None if self.rate is None else round(self.rate, 1),
            "eta_seconds": None if self.eta is None else round(self.eta, 1),
            "input_tokens": self.totals.tokens_in,
            "output_tokens": self.totals.tokens_out,
            "cost_usd": self.totals.cost_usd,
            "known_cost_usd": self.totals.known_cost_usd,
            "unpriced_lines": self.totals.unpriced,
            "lane": self.job.lane,
            "lanes": lanes_to_dict(self.totals),
            "hedged": hedged_to_dict(self.totals),
            "failures": self.totals.causes,
            "errors": [asdict(error) for error in self.job.errors],
            "storage_full": bool(activity and activity.storage_full),
            "waits": [wait.to_dict() for wait in self.job.waits(self.totals)],
        }

    @property
    def line(self) -> str:
        """One line for people."""
        return " | ".join(self.parts)

    def lines(self, width: int) -> list[str]:
        """The same, and what waits, in lines of a terminal of this width."""
        waits = [line for wait in self.waits for line in packed([one_line(wait)], width)]
        return packed([one_line(part) for part in self.parts], width) + waits

    @property
    def parts(self) -> list[str]:
        """What there is to say, the most important first."""
        totals = self.totals
        total = self.job.total if self.job.total or self.job.is_over else "?"
        speed = ["?/s" if self.rate is None else f"{self.rate:.1f}/s"]
        if self.job.status != "in_progress":
            speed.append(self.job.status)
        elif waits_for_batches(self.job, totals):
            speed = ["waiting"]  # the speed of the other lines says nothing about the batches
        else:
            speed.append(f"{format_duration(self.eta)} to go")
        parts = [
            f"{totals.lines}/{total} lines",
            *speed,
            f"{totals.tokens_in:,} tokens in, {totals.tokens_out:,} out",
            format_cost(totals),
        ]
        if lanes := format_lanes(totals):
            parts.append(lanes)
        if hedged := format_hedged(totals):
            parts.append(hedged)
        if totals.failed:
            causes = sorted(totals.causes.items(), key=lambda pair: -pair[1])
            parts.append("failed: " + ", ".join(f"{count} {name}" for name, count in causes))
        return parts


def waits_for_batches(job: Job, totals: Totals) -> bool:
    """Whether all lines of a running job that are left wait for native batches."""
    waiting = [wait.lines or 0 for wait in job.waits(totals) if wait.reason == "native_batch"]
    return bool(waiting) and sum(waiting) >= job.total - totals.lines


def format_cost(totals: Totals) -> str:
    """What a job cost; if a price is unknown, what the rest cost."""
    if not totals.unpriced:
        return dollars(totals.known_cost_usd)
    return f"over {dollars(totals.known_cost_usd)}" if totals.cost else "price unknown"


def format_lanes(totals: Totals) -> str:
    """The lines and dollars of each lane, and the savings; "" if all are in real time."""
    if not totals.lanes:
        return ""
    parts = [
        f"{lane.lines} {name} ${rounded_dollars(lane.cost):.4f}"
        for name, lane in totals.by_lane.items()
        if lane.lines
    ]
    return f"{', '.join(parts)}, saved ${totals.saved_usd:.4f}"


def format_hedged(totals: Totals) -> str:
    """The lines that were sent twice, and the known cost of what is not used; "" if none."""
    hedged = totals.hedged
    if not hedged.lines:
        return ""
    lines = "1 line" if hedged.lines == 1 else f"{hedged.lines:,} lines"
    cost = dollars(rounded_dollars(hedged.cost))
    return f"{lines} sent twice, {cost} known for unused responses"


def clock_time(at: float) -> str:
    """A time of day as people here read it; with the date if it is more than a day away."""
    form = "%H:%M:%S" if abs(at - time.time()) < DAY else "%Y-%m-%d %H:%M"
    return time.strftime(form, time.localtime(at))


def format_duration(seconds: float | None) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def show_activity(job: Job, totals: Totals, resume: str) -> None:
    """Print a running job's speed, its time left, what its lines wait for, and hedged lines."""
    seconds, activity = job.seconds_left(totals), totals.activity
    is_sending = not waits_for_batches(job, totals)
    if seconds is not None and activity and activity.rate and is_sending:
        show(f"{job.id}: {activity.rate:.1f} lines/s, {format_duration(seconds)} to go")
    for wait in job.waits(totals):
        stopped = f"no process runs this job; to resume: {resume}"
        sentence = stopped if wait == NOT_RUNNING else wait.sentence(clock_time)
        show(f"{job.id}: {one_line(sentence)}")
    if hedged := format_hedged(totals):
        show(f"{job.id}: {hedged}")


def error_lines(errors: Sequence[LineError], unit: str = "line") -> list[str]:
    """
    What is wrong with a job or its file, in lines for people; equal errors share one.

    `unit` is `row` for a table: the lines of its requests are its rows.
    """
    equal: dict[tuple[str, str], list[LineError]] = {}
    for error in errors:
        key = error.code, _in_rows(error) if unit == "row" else error.message
        if error.param == COST_CAP:
            key = error.code, error.message.replace(f"`{COST_CAP}`", "--max-cost").rstrip(".")
            error = replace(error, line=None)  # noqa: PLW2901 -- it is of no line
        equal.setdefault(key, []).append(error)
    shown = list(equal.items())[:MAX_ERROR_LINES]
    lines = [
        f"{_place(some, unit)}{one_line(message).removesuffix('.')} ({code})"
        for (code, message), some in shown
    ]
    more = sum(len(some) for some in list(equal.values())[MAX_ERROR_LINES:])
    return [*lines, f"and {more} more errors"] if more else lines


def _in_rows(error: LineError) -> str:
    found = re.search(r"\d+", error.message) if error.code == "duplicate_custom_id" else None
    return f"the same id as row {found[0]}" if found else error.message


def _place(errors: list[LineError], unit: str) -> str:
    """The first of the errors' lines, and how many more there are."""
    first, others = errors[0].line, len(errors) - 1
    if first is None:
        return ""
    more = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return f"{unit} {first}{more}: "


def packed(parts: Sequence[str], width: int) -> list[str]:
    """The parts in as few lines of this width as possible; a longer part is broken at words."""
    from textwrap import wrap

    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]} | {part}" if lines else part
        if len(joined) <= width:
            lines[-1:] = [joined]
        else:
            lines += wrap(part, width)
    return lines
