"""
In which order batches are given up, and how much of a job is left for real time then. Pure.

Lines are sent in real time one after the other. So a batch is given up only when the lines before
its own have been sent, and the lines that are left, with its own, still have the time for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from ...providers.rate_limits import Limits
from .deadline import Deadline
from .ledger import BatchEntry
from .realtime import Backlog, PlannedTime
from .shared_limits import OtherLines, turns_of_others


def deadlines(  # noqa: PLR0913 -- its parts, each once
    rows: Sequence[BatchEntry],
    time: PlannedTime,
    open_lines: int,
    *,
    now: float,
    at: float,
    window: float,
    learned: Mapping[str, Limits],
    other_jobs: Sequence[OtherLines] = (),
) -> Callable[[BatchEntry], Deadline]:
    """
    Returns a function from a row to the job's end with the time of what is sent from its turn on.

    `rows` are all of the job's, of which `open_lines` have no merged result. `learned` are limits
    of models that the config does not have. `other_jobs` use limits of the job's models as well.
    """
    held = sorted((row for row in rows if row.holds_its_lines), key=_turn)
    done = sum(row.succeeded + row.failed for row in held if row.state == "stored")
    parts = [row.backlog.scaled(_lines_left(row) / row.count) for row in held]
    held_lines = sum(map(_lines_left, held))
    others = time.others(open_lines - done, sum(parts, Backlog()), held_lines).at(
        _lowest(learned.values())
    )
    average = others.seconds / max(1, open_lines - done - held_lines)
    seconds_of = {
        row.model: row.backlog.at(learned.get(row.model, Limits())).seconds / row.count
        for row in rows
    }
    timed = [
        part.at(learned.get(row.model, Limits())) for row, part in zip(held, parts, strict=True)
    ]
    sums = list(accumulate(timed, initial=Backlog()))
    left = sums[-1] + others
    turns = [_turn(row) for row in held]

    def shared(own: Backlog) -> float:
        return turns_of_others(other_jobs, seconds_of, average, own.seconds)

    def deadline(row: BatchEntry) -> Deadline:
        rest = left.without(sums[bisect_left(turns, _turn(row))])
        realtime, whole, ahead = (one.duration(window) for one in (rest, left, others))
        own = realtime - ahead + shared(rest.without(others))
        realtime += shared(rest)
        return Deadline(at, realtime, whole + shared(left), max(0.0, realtime - own), now)

    return deadline


def _lowest(limits: Iterable[Limits]) -> Limits:
    """The lowest limit of each kind."""
    known = list(limits)
    return Limits(
        *(
            min((value for one in known if (value := getattr(one, kind))), default=None)
            for kind in ("requests", "tokens", "input_tokens", "output_tokens")
        )
    )


def _turn(row: BatchEntry) -> tuple[bool, int]:
    """The place of a row: first those that were cancelled. A batch that follows one is after it."""
    return row.cancelled_at is None, row.number


def _lines_left(row: BatchEntry) -> int:
    """The lines of a row that have no result, and that no further row has."""
    return row.missing if row.state == "stored" else row.count
