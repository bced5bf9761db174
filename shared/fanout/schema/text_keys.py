"""
Canonical keys of texts: two responses agree if the answers in them are written alike. Pure.

Like those of JSON values, they are equal or not, so that agreement is transitive.
"""

from __future__ import annotations

import re
from decimal import Decimal

from .canonical import clean, number_key
from .free_text import MAX_SHORT

MAX_READ = 20_000
"""Characters at the end of a long text in which its answer is looked for."""

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"^([ \t#>*_`-]*)(?:the[ \t]+)?(?:final[ \t]+)?answer([*_`]*)[ \t]*[:=]([*_`]*)([ \t]*)(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_OPTION = re.compile(r"(?:(?:option|choice)[ ]+)?[(\[]?([a-z])[)\]]?[.]?", re.IGNORECASE)
_NUMBER = re.compile(
    r"([$\u20ac\u00a3\u00a5]?)[ ]?([-+\u2212]?(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d*|0)(?:[.]\d+)?"
    r"(?:[eE][-+]?\d{1,3})?)[ ]?(%|\u00b0?[^\W\d_]*)[.]?"
)

_SPAN = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]*[^\s*])\1(?![\w*])")
"""Emphasis in a text, such as `**B)** Paris`; `2**3`, `*args` and `a*` are none."""

_CLOSING = re.compile(r"(?<=[^\s*_`])([*_`]+)(?=[^\w*_`])")
"""Marks amid a text that end emphasis."""

_MARKS = "*_`"
"""Characters of Markdown's emphasis, and of its code."""

_EMPHASIS = (("**", "**"), ("*", "*"), ("_", "_"))
_QUOTES = (("`", "`"), ('"', '"'), ("\u201c", "\u201d"))
"""What may stand around an answer without being part of it."""


def unfenced(text: str) -> str:
    """The text without a code fence around all of it."""
    found = _FENCE.fullmatch(text.strip())
    return text if found is None else found.group(1)


def text_key(text: str) -> str | None:
    r"""
    The key of a text: its last `\boxed{}`, else what follows its last "Answer:", else all of it.

    Option letters and numbers have one spelling, and capital letters of words do not count. `None`
    if it is over 64 characters: two models never write a long text alike. It is empty if there is
    no answer after the label.
    """
    found, is_labelled = _extracted(text[-MAX_READ:], is_whole=len(text) <= MAX_READ)
    if found is None:
        return None
    found = _bare(_SPAN.sub(r"\2", clean(found)))
    if is_labelled or found[:1] == found[-1:]:
        found = _unmarked(found)
    return _short_key(found) if len(found) <= MAX_SHORT else None


def _extracted(text: str, *, is_whole: bool) -> tuple[str | None, bool]:
    """The text's answer, and whether a label names it."""
    if (place := text.rfind(BOXED)) >= 0:
        return _in_braces(text, place + len(BOXED)), True
    if labels := list(_LABEL.finditer(text)):
        return _after_label(labels[-1], text), True
    return (text if is_whole else None), False


def _after_label(label: re.Match[str], text: str) -> str:
    """
    What follows a label, on its line or below, without the emphasis that began before the label.

    So `**Answer: B**` and `**Answer:** B` are `B`, and `**Answer: a***` is `a*`.
    """
    before, inside, behind, space, said = label.groups()
    opened = len(before) - len(before.rstrip(_MARKS)) - len(inside)
    if not said.strip(f" {_MARKS}"):
        said = text[label.end() :]
    elif not space and len(behind) > opened:
        said = behind[max(opened, 0) :] + said  # it begins the answer: `Answer:**B**`
    opened -= len(behind)
    found = said.rstrip()
    if opened > 0 and (end := _CLOSING.search(found)) and len(end.group(1)) >= opened:
        return found[: end.end(1) - opened] + found[end.end(1) :]  # `**Answer: B)** Paris`
    if opened > 0 and found.removesuffix(".").endswith(tuple(_MARKS)):
        found = found.removesuffix(".")
        marks = len(found) - len(found.rstrip(_MARKS))
        found = found[: len(found) - min(opened, marks)]
    return found


BOXED = "\\boxed{"


def _in_braces(text: str, start: int) -> str | None:
    """What is between the brace before `start` and the one that closes it."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    return None


def _bare(text: str) -> str:
    """The text without what may stand around an answer."""
    found, inner = "", text
    while inner != found:
        found = inner
        for pair in _EMPHASIS:
            inner = _inside(inner, *pair)
    for pair in _QUOTES:
        found = _inside(found, *pair)
    return found


def _inside(text: str, first: str, last: str) -> str:
    """What is inside the two marks if the text is in them and nothing else; else the text."""
    if len(text) > len(first) + len(last) and text.startswith(first):
        inner = text.removesuffix(".")
        if inner.endswith(last) and first not in inner[len(first) : -len(last)]:
            return inner[len(first) : -len(last)].strip()
    return text


def _unmarked(text: str) -> str:
    """An option or a number without other marks, such as `B**` or `__B__`; `a*` is a pattern."""
    inner = text.strip(f"{_MARKS} ")
    if len(text) - len(inner) < len("**") or not (_OPTION.fullmatch(inner) or _is_number(inner)):
        return text
    return inner


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _short_key(text: str) -> str:
    if option := _OPTION.fullmatch(text):
        return option.group(1).lower()
    if (number := _NUMBER.fullmatch(text)) is not None:
        sign, digits, unit = number.groups()
        key = number_key(Decimal(digits.replace(",", "").replace("\u2212", "-")))
        return " ".join(part for part in (sign, key, unit) if part)
    return text.removesuffix(".").casefold()
