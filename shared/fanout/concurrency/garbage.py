"""
How often Python's garbage collector runs while many calls are in flight.

A call is up to a hundred containers (coroutines, dicts, futures), which all live until its response
is there. So with Python's default threshold of 700, the collector looks through thousands of live
calls again and again, and finds nothing: a third of the CPU time of 5,000 calls at once. With a
threshold of 20,000, it is still a sixth, so the threshold grows with the calls in flight.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_CONTAINERS = 20_000
"""New containers between two runs of the collector, at least."""

CONTAINERS_OF_CALL = 100
"""As many as a call has in flight, or more: the start of calls is no reason to collect."""

MOST_CALLS = 10_000
"""Calls in flight that count; the garbage of more would take much memory."""

_blocks: dict[object, None] = {}
_before: list[tuple[int, int, int]] = []
_raised: list[int] = []
"""The threshold that was set, if `_before` has what it was before."""


def threshold_for(calls: int) -> int:
    """The new containers between two runs of the collector with so many calls in flight."""
    return max(NEW_CONTAINERS, CONTAINERS_OF_CALL * min(calls, MOST_CALLS))


@contextmanager
def collecting_rarely(calls: int = 0) -> Iterator[None]:
    """
    Let the collector run less often during the block, and as before after the last such block.

    The block has at most so many `calls` in flight. A threshold that is higher, or 0 (the collector
    is off), is left alone.
    """
    block = object()
    _blocks[block] = None
    given, wanted = gc.get_threshold(), threshold_for(calls)
    if 0 < given[0] < wanted:
        _raise(given, wanted)
    try:
        yield
    finally:
        del _blocks[block]
        if not _blocks and _before:
            before = _before.pop()
            if gc.get_threshold() == (_raised.pop(), *before[1:]):
                gc.set_threshold(*before)


def _raise(given: tuple[int, int, int], wanted: int) -> None:
    """Set the threshold; a block that overlaps another one keeps what was before that."""
    if not _raised or given[0] != _raised[0]:
        _before[:] = [given]
    _raised[:] = [wanted]
    gc.set_threshold(wanted, *given[1:])
