"""
Prints what the commands show. Every print goes through here, so no text from elsewhere controls
the terminal.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ..wire import json
from ..wire.terminal_text import without_controls

CTRL_C = len("^C")
"""Columns of a live view to leave free: what a terminal shows for Ctrl-C must not begin a line."""

MAX_DECIMALS = 9
"""Of an amount: costs are counted in billionths of a dollar."""


def show(text: object, *, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print the text without control characters, also into a file or a pipe."""
    print(without_controls(str(text)), file=file, end=end, flush=flush)


def field_lines(fields: Mapping[str, Any]) -> str:
    """Each field on a line: a text as it is, null as `none`, other values as JSON."""
    return "\n".join(f"{name}: {_shown(value)}" for name, value in fields.items())


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.encode(value).decode()


def dollars(amount: float) -> str:
    """An amount with four decimals; a smaller one has as many as show its first digit."""
    decimals = 4
    while 0 < amount < 0.5 / 10**decimals and decimals < MAX_DECIMALS:
        decimals += 1
    return f"${amount:.{decimals}f}"


def show_response(text: str, *, end: str = "\n", flush: bool = False) -> None:
    """Print a response: unchanged into a file or a pipe, without control characters otherwise."""
    print(without_controls(text) if sys.stdout.isatty() else text, end=end, flush=flush)


def show_json(value: Any, *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print the value as one line of JSON."""
    print(json.escape_controls(json.encode(value).decode()), file=file, flush=flush)


def json_lines_writer() -> Callable[[bytes], object]:
    """Writes pieces of JSON lines to standard output: unchanged, but safe on a terminal."""
    if not sys.stdout.isatty():
        return sys.stdout.buffer.write
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return lambda piece: sys.stdout.write(json.escape_controls(decoder.decode(piece)))


def text_writer() -> Callable[[bytes], object]:
    """Writes pieces of UTF-8 to standard output: unchanged, but without controls on a terminal."""
    if not sys.stdout.isatty():
        return sys.stdout.buffer.write
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return lambda piece: sys.stdout.write(without_controls(decoder.decode(piece)))
