"""What happens to one batch of a double: its times, and the faults of the API around it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

Cancel: TypeAlias = Literal["keeps", "loses", "too late", "never ends"]
"""
What a cancel comes to.

`keeps`: the finished lines have rows. `loses`: one of them is in no file. `too late`: all lines are
finished all the same. `never ends`: the batch goes on, and stays in its state of being cancelled.
"""

Poll: TypeAlias = int | Literal["unknown", "garbage"]
"""The response to one poll: an error's status, a state that nobody knows, or no JSON."""


class Script(Struct, frozen=True):
    """
    One batch. Without arguments, nothing goes wrong.

    Its first line runs `queue` seconds after its creation, and its last one `run` seconds later.
    Of a batch that is `stuck`, only this share of the lines is ever run. A cancelled batch ends
    `drain` seconds later.
    """

    queue: float = 600.0
    run: float = 600.0
    stuck: float | None = None
    drain: float = 30.0
    cancel: Cancel = "keeps"

    reply: Literal["sent", "lost", "failed"] = "sent"
    """The response to its creation: `lost` with the connection, or a 500; the batch exists."""
    late_reads: int = 0
    """Polls that are answered by a 404."""
    late_lists: int = 0
    """Lists that do not have it yet."""
    polls: Sequence[Poll] = ()
    """The responses to the next polls; then it is read as it is."""
    over_limit: bool = False
    """It fails after its creation: too many tokens are queued."""
    bad_line: int | None = None
    """The line, from 1, that the vendor finds invalid."""

    counts: Literal["true", "zero", "wrong"] = "true"
    shuffled: bool = False
    missing: int = 0
    duplicated: int = 0
    foreign: int = 0
    cut_downloads: int = 0
    """Downloads that end in the middle of a row."""
    gone: bool = False
    """Its results are not there any more."""


Scripts: TypeAlias = Callable[[int], Script]
"""The script of a double's first batch, of its second, …"""


def always(script: Script) -> Scripts:
    """The same script for each batch."""
    return lambda _number: script


def in_turn(*scripts: Script) -> Scripts:
    """One script after the other; the last one for all further batches."""
    return lambda number: scripts[min(number, len(scripts) - 1)]


def queued(median: float, spread: float, seed: int, **more: object) -> Scripts:
    """
    Queue times that are spread log-normally around a median of seconds.

    `spread` is the standard deviation of their logarithm. `more` are the scripts' other fields.
    """
    chance = random.Random(seed)  # noqa: S311 -- no secret
    found: list[Script] = []

    def script(number: int) -> Script:
        while len(found) <= number:
            queue = median * chance.lognormvariate(0.0, spread)
            run = median * 0.5 * chance.lognormvariate(0.0, spread)
            found.append(Script(queue=queue, run=run, **more))  # type: ignore[arg-type]
        return found[number]

    return script
