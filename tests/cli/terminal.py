"""Reads what a command draws on a terminal."""

from __future__ import annotations

import os
import re

_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def read_all(terminal: int, until: str = "") -> str:
    """The text drawn up to `until`, or to the end, without control sequences."""
    drawn = b""
    while not until or until.encode() not in drawn:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # Linux's end of a terminal
            break
        drawn += part
        if not part:
            break
    return _STYLES.sub("", drawn.decode(errors="replace"))
