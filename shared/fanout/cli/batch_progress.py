"""A job as it runs: a bar on a terminal, lines in a pipe, JSON for machines; and Ctrl-C."""

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
from ..wire import json
from .batch_backend import Place

EVERY = 5.0
"""Seconds from line to line where the output is no terminal."""


class Sight(Struct, frozen=True):
    """What there is to see of a job; `rate` in lines a second, of this run."""

    job: Job
    totals: Totals
    rate: float
    elapsed: float

    @property
    def eta(self) -> float | None:
        """Seconds to go."""
        left = self.job.total - self.totals.lines
        return left / self.rate if self.rate and self.job.total else None

    @property
    def shown(self) -> dict[str, Any]:
        """For machines."""
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
            "cost_usd": round(self.totals.cost, 6),
            "failures": self.totals.causes,
        }

    @property
    def words(self) -> str:
        """One line."""
        totals = self.totals
        parts = [
            f"{totals.lines}/{self.job.total or '?'} lines",
            f"{self.rate:.1f}/s",
            f"{clock(self.eta)} to go" if self.job.status == "in_progress" else self.job.status,
            f"{totals.tokens_in:,} tokens in, {totals.tokens_out:,} out",
            f"${totals.cost:.4f}",
        ]
        if totals.failed:
            causes = sorted(totals.causes.items(), key=lambda pair: -pair[1])
            parts.append("failed: " + ", ".join(f"{count} {name}" for name, count in causes))
        return " | ".join(parts)


def clock(seconds: float | None) -> str:
    """`1:02:03`, `2:03`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


async def follow(place: Place, job: Job, *, as_json: bool) -> Job:
    """Show a job that runs, until it is over or the user has enough; the job as it then is."""
    began = perf_counter()
    start = (await place.jobs.totals(job)).lines
    with _interruptible(place), _view(as_json=as_json) as show:
        while True:
            ended = await place.look(job)
            job = await place.jobs.find(job.id, None)
            totals = await place.jobs.totals(job)
            elapsed = perf_counter() - began
            rate = max(0, totals.lines - start) / elapsed if elapsed > 0 else 0.0
            show(Sight(job, totals, rate, elapsed), ended)
            if ended:
                return job


@contextmanager
def _interruptible(place: Place) -> Iterator[None]:
    """The first Ctrl-C is the place's to hear; the second one does not wait."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        place.leave()

    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def _view(*, as_json: bool) -> Iterator[Callable[[Sight, bool], None]]:
    if as_json:
        yield _print_json
    elif sys.stderr.isatty():
        with _live() as show:
            yield show
    else:
        told = [0.0]

        def show_line(sight: Sight, ended: bool) -> None:  # noqa: FBT001
            if ended or sight.elapsed - told[0] >= EVERY:
                told[0] = sight.elapsed
                print(f"{clock(sight.elapsed)}  {sight.words}", file=sys.stderr, flush=True)

        yield show_line


def _print_json(sight: Sight, ended: bool) -> None:  # noqa: FBT001
    event = {"event": "end" if ended else "progress", **sight.shown}
    print(json.encode(event).decode(), flush=True)


@contextmanager
def _live() -> Iterator[Callable[[Sight, bool], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    with Live(console=Console(stderr=True, highlight=False), refresh_per_second=4) as live:

        def show(sight: Sight, _ended: bool) -> None:  # noqa: FBT001
            picture = Table.grid(expand=True)
            picture.add_row(ProgressBar(sight.job.total or 1, sight.totals.lines))
            picture.add_row(sight.words)
            live.update(picture)

        yield show
