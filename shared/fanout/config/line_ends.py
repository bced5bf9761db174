"""
Divides a stored text into its text and its format: a byte order mark, and how each line ends.

Edits see only newlines, and every line that they leave keeps its own end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from .document import BYTE_ORDER_MARK

END = re.compile(r"\r\n|\r|\n")


class StoredFormat(Struct, frozen=True):
    """What a stored text has besides its text; the last line's end is empty."""

    mark: str
    ends: tuple[str, ...]

    def stored(self, text: str, origins: Sequence[int]) -> str:
        """The text in this format; `origins` are the original numbers of its lines, from 1."""
        usual = self.ends[0] or "\n"
        lines = text.split("\n")
        ends = [self.ends[number - 1] or usual for number in origins[: len(lines) - 1]]
        parts = [part for pair in zip(lines, ends, strict=False) for part in pair]
        return "".join([self.mark, *parts, lines[-1]])


def divided(stored: str) -> tuple[str, StoredFormat]:
    """The text, whose lines end with a newline, and the format."""
    text = stored.removeprefix(BYTE_ORDER_MARK)
    mark = stored[: len(stored) - len(text)]
    return END.sub("\n", text), StoredFormat(mark, (*END.findall(text), ""))
