"""What a connection asks of its socket."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

KEEPALIVE = 30
"""Seconds between probes of a silent connection."""


_PROBE_TIMES = [
    number
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if (number := getattr(socket, option, None)) is not None
]


def probe(shown: Any) -> None:
    """Have the system probe a silent connection; `shown` is the socket that its loop shows."""
    # Each `setsockopt` of uvloop's sockets makes another one.
    sock = socket.socket(shown.family, shown.type, shown.proto, fileno=shown.fileno())
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for number in _PROBE_TIMES:
            sock.setsockopt(socket.IPPROTO_TCP, number, KEEPALIVE)
    except OSError:
        pass  # Windows before 10 has the names, but not the options
    finally:
        sock.detach()


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
