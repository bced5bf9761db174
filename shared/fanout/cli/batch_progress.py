"""Shows a job's progress: a bar on a terminal, lines in a pipe, or JSON; and handles Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from msgspec import Struct

from ..bulk.service.records import Job
from ..bulk.totals import Totals
from ..wire.terminal_text import one_line
from .batch_backend import BatchBackend
from .printing import show, show_json

LINE_INTERVAL = 5.0
"""Seconds between two lines if the output is not a terminal."""


class Progress(Struct, frozen=True):
    """A job's progress; `rate` is lines per second and `elapsed` seconds, both of this run."""

    job: Job
    totals: Totals
    rate: float
    elapsed: float

    @property
    def eta(self) -> float | None:
        """Estimated seconds to the end, or `None` if unknown."""
        left = self.job.total - self.totals.lines
        return left / self.rate if self.rate and self.job.total else None

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `--json`."""
        return {
            "job": self.job.id,
            "status": self.job.status,
            "total": self.job.total,
            "completed": self.totals.done,
            "failed": self.totals.failed,
            "lines_per_second": round(self.rate, 1),
            "eta_seconds": None if self.eta is None else round(self.eta, 1),
            "input_tokens": self.totals.tokens_in,
            "output_tokens": self.totals.tokens_out,
            "cost_usd": self.totals.cost_usd,
            "failures": self.totals.causes,
            "storage_full": self.totals.storage_full,
        }

    @property
    def line(self) -> str:
        """One line for people."""
        totals = self.totals
        parts = [
            f"{totals.lines}/{self.job.total or '?'} lines",
            f"{self.rate:.1f}/s",
            f"{format_duration(self.eta)} to go"
            if self.job.status == "in_progress"
            else self.job.status,
            f"{totals.tokens_in:,} tokens in, {totals.tokens_out:,} out",
            f"${totals.cost_usd:.4f}",
        ]
        if totals.storage_full:
            parts.append("waits: no space is left on the disk")
        if totals.failed:
            causes = sorted(totals.causes.items(), key=lambda pair: -pair[1])
            parts.append("failed: " + ", ".join(f"{count} {name}" for name, count in causes))
        return " | ".join(parts)


def format_duration(seconds: float | None) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


async def follow(backend: BatchBackend, job: Job, *, as_json: bool) -> Job:
    """Show a running job until it ends or the user types Ctrl-C; returns the job's last state."""
    began = perf_counter()
    start = (await backend.jobs.totals(job)).lines
    with _interruptible(backend), _view(as_json=as_json) as update:
        while True:
            done = await backend.poll(job)
            job = await backend.jobs.find(job.id, None)
            totals = await backend.jobs.totals(job)
            elapsed = perf_counter() - began
            rate = max(0, totals.lines - start) / elapsed if elapsed > 0 else 0.0
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
def _view(*, as_json: bool) -> Iterator[Callable[[Progress, bool], None]]:
    if as_json:
        yield _print_json
    elif sys.stderr.isatty():
        with _live() as update:
            yield update
    else:
        last_printed = [0.0]

        def show_line(progress: Progress, done: bool) -> None:  # noqa: FBT001
            if done or progress.elapsed - last_printed[0] >= LINE_INTERVAL:
                last_printed[0] = progress.elapsed
                show(
                    f"{format_duration(progress.elapsed)}  {one_line(progress.line)}",
                    file=sys.stderr,
                    flush=True,
                )

        yield show_line


def _print_json(progress: Progress, done: bool) -> None:  # noqa: FBT001
    event = {"event": "end" if done else "progress", **progress.to_dict()}
    show_json(event, flush=True)


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
            grid.add_row(Text(one_line(progress.line)))
            live.update(grid)

        yield update
