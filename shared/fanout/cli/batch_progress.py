"""Shows a job's progress: a bar on a terminal, lines in a pipe, or JSON; and handles Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, TextIO

from msgspec import Struct
from msgspec.structs import asdict

from ..bulk.input.planner import LineError
from ..bulk.service.records import Job
from ..bulk.totals import Totals
from ..wire.terminal_text import one_line
from .batch_backend import BatchBackend
from .printing import show, show_json

LINE_INTERVAL = 5.0
"""Seconds between two lines if the output is not a terminal."""

DAY = 24 * 3600.0


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
        """What waits, why and until when, in sentences."""
        return [wait.sentence(clock_time) for wait in self.job.waits(self.totals)]

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
            "failures": self.totals.causes,
            "errors": [asdict(error) for error in self.job.errors],
            "storage_full": bool(activity and activity.storage_full),
            "waits": [wait.to_dict() for wait in self.job.waits(self.totals)],
        }

    @property
    def line(self) -> str:
        """One line for people."""
        totals = self.totals
        parts = [
            f"{totals.lines}/{self.job.total or '?'} lines",
            "?/s" if self.rate is None else f"{self.rate:.1f}/s",
            f"{format_duration(self.eta)} to go"
            if self.job.status == "in_progress"
            else self.job.status,
            f"{totals.tokens_in:,} tokens in, {totals.tokens_out:,} out",
            format_cost(totals),
        ]
        if totals.failed:
            causes = sorted(totals.causes.items(), key=lambda pair: -pair[1])
            parts.append("failed: " + ", ".join(f"{count} {name}" for name, count in causes))
        return " | ".join(parts)


def format_cost(totals: Totals) -> str:
    """What a job cost; if a price is unknown, what the rest cost."""
    if not totals.unpriced:
        return f"${totals.known_cost_usd:.4f}"
    return f"over ${totals.known_cost_usd:.4f}" if totals.cost else "price unknown"


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


def show_activity(job: Job, totals: Totals) -> None:
    """Print a running job's speed, its time left, and what its lines wait for."""
    seconds, activity = job.seconds_left(totals), totals.activity
    if seconds is not None and activity and activity.rate:
        show(f"{job.id}: {activity.rate:.1f} lines/s, {format_duration(seconds)} to go")
    for wait in job.waits(totals):
        show(f"{job.id}: {one_line(wait.sentence(clock_time))}")


def error_lines(errors: Sequence[LineError]) -> list[str]:
    """What is wrong with a job or its file, in lines for people; equal errors share one."""
    equal: dict[tuple[str, str], list[LineError]] = {}
    for error in errors:
        equal.setdefault((error.code, error.message), []).append(error)
    return [
        f"{_place(some)}{one_line(message)} ({code})" for (code, message), some in equal.items()
    ]


def _place(errors: list[LineError]) -> str:
    """The first of the errors' lines, and how many more there are."""
    first, others = errors[0].line, len(errors) - 1
    if first is None:
        return ""
    more = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return f"line {first}{more}: "


async def follow(
    backend: BatchBackend, job: Job, *, as_json: bool, events: TextIO | None = None
) -> Job:
    """
    Show a running job until it ends or the user types Ctrl-C; returns the job's last state.

    `events` is where the JSON goes, if not to standard output.
    """
    began = perf_counter()
    start = (await backend.jobs.totals(job)).lines
    with _interruptible(backend), _view(as_json=as_json, events=events) as update:
        while True:
            done = await backend.poll(job)
            job = await backend.jobs.find(job.id, None)
            totals = await backend.jobs.totals(job)
            elapsed = perf_counter() - began
            rate = totals.activity.rate if totals.activity else None
            if done and elapsed > 0:
                rate = max(0, totals.lines - start) / elapsed
            update(Progress(job, totals, rate, elapsed), done)
            if done:
                return job


@contextmanager
def _interruptible(backend: BatchBackend) -> Iterator[None]:
    """The first Ctrl-C goes to the backend; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        backend.interrupt()

    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _view(*, as_json: bool, events: TextIO | None) -> Iterator[Callable[[Progress, bool], None]]:
    if as_json:
        yield partial(_print_json, events)
    elif sys.stderr.isatty():
        with _live() as update:
            yield update
    else:
        last_printed = [0.0]

        def show_line(progress: Progress, done: bool) -> None:  # noqa: FBT001
            if done or progress.elapsed - last_printed[0] >= LINE_INTERVAL:
                last_printed[0] = progress.elapsed
                show(
                    f"{format_duration(progress.elapsed)}  "
                    f"{one_line(' | '.join([progress.line, *progress.waits]))}",
                    file=sys.stderr,
                    flush=True,
                )

        yield show_line


def _print_json(events: TextIO | None, progress: Progress, done: bool) -> None:  # noqa: FBT001
    event = {"event": "end" if done else "progress", **progress.to_dict()}
    show_json(event, file=events, flush=True)


@contextmanager
def _live() -> Iterator[Callable[[Progress, bool], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=4) as live:

        def update(progress: Progress, _ended: bool) -> None:  # noqa: FBT001
            grid = Table.grid(expand=True)
            grid.add_row(ProgressBar(progress.job.total or 1, progress.totals.lines))
            for line in (progress.line, *progress.waits):
                grid.add_row(Text(one_line(line)))
            live.update(grid)

        yield update
