"""Makes SIGTERM and SIGHUP stop a command as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGTERM", "SIGHUP")
"""Of a service manager or a shutdown, and of a terminal that is closed. Windows has no SIGHUP."""


@contextmanager
def stop_signals() -> Iterator[None]:
    """
    For the block, SIGTERM and SIGHUP are SIGINT.

    A signal that is ignored stays ignored: `nohup` starts a command so that it outlives a terminal.
    """
    before = {}
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
