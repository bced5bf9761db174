"""Reasoning between tags in a response's text."""

from __future__ import annotations

OPEN, CLOSE = "<reasoning>", "</reasoning>"


class TagSplitter:
    """
    Separates `<reasoning>…</reasoning>` at the beginning of a text, fed in pieces, from the rest.

    Several such elements may follow one another, because each piece of a stream may have its own.
    After any other text, tags are text.
    """

    def __init__(self) -> None:
        self._held = ""  # the beginning of a tag, perhaps
        self._inside = False
        self._over = False

    def feed(self, text: str) -> tuple[str, str]:
        """Take the next piece; return its reasoning and its text."""
        if self._over:
            return "", text
        text, self._held = self._held + text, ""
        thought = ""
        while text:
            if self._inside:
                inner, text = self._leave(text)
                thought += inner
            elif text.startswith(OPEN):
                self._inside, text = True, text.removeprefix(OPEN)
            elif OPEN.startswith(text):
                self._held, text = text, ""
            else:
                self._over = True
                return thought, text
        return thought, ""

    def _leave(self, text: str) -> tuple[str, str]:
        inner, tag, rest = text.partition(CLOSE)
        if tag:
            self._inside = False
            return inner, rest
        cut = len(text) - _half_tag(text)
        self._held = text[cut:]
        return text[:cut], ""

    def end(self) -> tuple[str, str]:
        """The rest that was held back as the beginning of a tag, as `feed` would return it."""
        held, self._held = self._held, ""
        return (held, "") if self._inside else ("", held)


def _half_tag(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of `</reasoning>`."""
    for size in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if CLOSE.startswith(text[-size:]):
            return size
    return 0
