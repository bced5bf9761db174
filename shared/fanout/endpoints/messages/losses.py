"""What a translation leaves out of a client's request; a response header names it."""

from __future__ import annotations

import re

MAX_LOSSES = 40
"""The most names in the header."""

MAX_NAME = 80

_UNSAFE = re.compile(r"[^\w.\[\]-]", re.ASCII)


class Losses:
    """The fields that have no place in a chat request, each named once, in the order of reading."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Note a field by its path without numbers, such as `tools[].input_examples`."""
        if len(self._names) < MAX_LOSSES:
            self._names[_UNSAFE.sub("_", name)[:MAX_NAME]] = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)
