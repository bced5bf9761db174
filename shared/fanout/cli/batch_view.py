"""Shows a job while it runs: a bar on a terminal, lines in a pipe, or JSON; and handles Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from time import perf_counter
from typing import TextIO

from ..bulk.service.records import Job
from ..errors import NotFound
from ..wire.terminal_text import one_line
from . import job_signals
from .batch_backend import BatchBackend
from .batch_progress import Progress, format_duration
from .printing import CTRL_C, show, show_json

LINE_INTERVAL = 5.0
"""Seconds between two lines if the output is not a terminal."""


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
            try:
                job = await backend.jobs.find(job.id, None)
            except NotFound:  # its file has errors, which another command has shown
                return job
            totals = await backend.jobs.totals(job)
            elapsed = perf_counter() - began
            rate = totals.activity.rate if totals.activity else None
            if done and elapsed > 0:
                rate = max(0, totals.lines - start) / elapsed
            if as_json or not job.is_invalid:  # then there is nothing to show but its errors
                update(Progress(job, totals, rate, elapsed), done)
            if done:
                return job


def _interruptible(backend: BatchBackend) -> AbstractContextManager[None]:
    """The first Ctrl-C goes to the backend; a second one cancels the command."""
    signals = job_signals.active()
    return nullcontext() if signals is None else signals.first_to(backend.interrupt)


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

    console = Console(stderr=True, highlight=False)
    height = 0
    with Live(console=console, refresh_per_second=4, vertical_overflow="visible") as live:

        def update(progress: Progress, ended: bool) -> None:  # noqa: FBT001
            nonlocal height
            width = console.width - CTRL_C
            lines = progress.lines(width)
            height = len(lines) if ended else max(height, len(lines))  # a lower view leaves traces
            lines += [""] * (height - len(lines))
            total = progress.job.total or progress.totals.lines or 1
            grid = Table.grid()
            grid.add_row(ProgressBar(total, progress.totals.lines, width))
            for line in lines:
                grid.add_row(Text(line))
            live.update(grid)

        yield update
