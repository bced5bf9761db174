"""
Makes text from elsewhere safe to show: providers' errors, models' names, what is in a file.

A terminal obeys control characters (its title, the clipboard, what is on the screen), and shows
text in another order after a bidirectional control: https://trojansource.codes (2026-11-20). Logs
are read on terminals too.
"""

from __future__ import annotations

_KEPT = "\n\t"
_C0, _C1 = range(32), range(127, 160)
_BIDIRECTIONAL = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_HALVES = range(0xD800, 0xE000)
"""Halves of a character: Python's form of bytes that are no text, such as those of a path."""

_CONTROLS: dict[int, int | None] = {
    code: None for code in (*_C0, *_C1, *_BIDIRECTIONAL) if chr(code) not in _KEPT
}
_CONTROLS |= dict.fromkeys(_HALVES, 0xFFFD)


def without_controls(text: str) -> str:
    """The text without control characters, except newlines and tabs."""
    return text.translate(_CONTROLS)


def one_line(text: str) -> str:
    """The text as one line without control characters."""
    return without_controls(text.replace("\n", " ").replace("\t", " ").replace("\r", " "))
