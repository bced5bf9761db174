"""What a connection asks of its socket."""

from __future__ import annotations

import select
from collections.abc import Callable
from functools import partial

KEEPALIVE = 30
"""Seconds between probes of a silent connection."""


def input_check(descriptor: int) -> Callable[[], object]:
    """
    What asks a socket, without waiting, whether it has bytes to read or its other end is closed.

    The event loop may not have seen that yet.
    """
    if hasattr(select, "poll"):
        polling = select.poll()
        polling.register(descriptor, select.POLLIN)
        return partial(polling.poll, 0)
    return lambda: select.select([descriptor], [], [], 0)[0]  # Windows
