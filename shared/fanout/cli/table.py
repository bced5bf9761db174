"""Formats rows as aligned text, as wide as the terminal; in a file or a pipe, as wide as needed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap

from ..wire.terminal_text import one_line

GAP = "  "
INDENT = "    "

LEAST = 24
"""Columns that a last cell needs to be beside its row; with fewer it is below."""

EMPTY = frozenset({"", "-"})
"""Cells that are not worth a line."""


def columns(rows: Sequence[Sequence[str]], *, has_header: bool = True) -> str:
    """
    The rows as lines, each column as wide as its widest cell, with two spaces between.

    What does not fit the terminal is moved below its row, `header: value` a line, with the first
    row as the header; without a header, the last column is broken at words. No cell is cut.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    width = _terminal_width()
    if width is None or _total(widths) <= width:
        lines = [_line(row, widths) for row in rows]
    elif has_header:
        lines = list(_with_details(rows, widths, width))
    else:
        lines = list(_with_breaks(rows, widths, width))
    return "\n".join(lines)


def _terminal_width() -> int | None:
    """The columns of the terminal; `None` if standard output is none."""
    return shutil.get_terminal_size((0, 0)).columns or None if sys.stdout.isatty() else None


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
    return GAP.join(cells).rstrip()


def _with_details(
    rows: Sequence[Sequence[str]], widths: Sequence[int], width: int
) -> Iterator[str]:
    """As many columns as fit, and the others below each row."""
    count = max([n for n in range(1, len(widths)) if _total(widths[:n]) <= width], default=1)
    header = rows[0]
    for row in rows:
        yield _line(row[:count], widths)
        if row is header:
            continue
        named = zip(header[count:], row[count:], strict=True)
        for name, cell in named:
            if cell not in EMPTY:
                yield from _broken(f"{name.lower()}: {cell}", width, INDENT)


def _with_breaks(rows: Sequence[Sequence[str]], widths: Sequence[int], width: int) -> Iterator[str]:
    """The last column is broken at words; below its row, if the others leave too little room."""
    left = _total(widths[:-1]) + len(GAP)
    is_beside = width - left >= LEAST
    for row in rows:
        head = _line(row[:-1], widths)
        if is_beside:
            first, *rest = _broken(row[-1], width, " " * left) or [""]
            yield (head.ljust(left) + first.strip()).rstrip()
            yield from rest
        else:
            yield head
            yield from _broken(row[-1], width, INDENT)


def _broken(text: str, width: int, indent: str) -> list[str]:
    """Lines of this width that begin with the indent; a longer word has a line of its own."""
    return wrap(
        text,
        max(width, len(indent) + 1),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
