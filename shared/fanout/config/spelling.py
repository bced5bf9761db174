"""Finds the known key that an unknown one misspells. Loaded only for configs with unknown keys."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SIMILAR_WORDS = 0.85
"""How alike two names without their `_` must be to have the same words (difflib's ratio)."""

SAME_WORD = 0.65
"""How alike two words of keys must be to be the same word."""

SHORTEST = 3
"""A shorter name says too little: `n` and `N`, or `ip` and `pi`."""

OF_A_CLOUD = ("aws_", "vertex_")
"""How the keys begin that say where a model is; no provider has parameters with such names."""


def nearest(name: str, known: Iterable[str], alike: float) -> str:
    """The key that is nearest to a misspelled one, or nothing."""
    names = sorted(known)
    found = [one for one in names if has_its_letters(name, one)] or [
        one for one in get_close_matches(name, names, 5, alike) if _has_the_words_of(one, name)
    ]
    return found[0] if found else shortened(name, names)


def has_its_letters(name: str, key: str) -> bool:
    """Whether a name has the letters of a key: `maxTokens`, `max-tokens`, or two swapped, `tmp`."""
    one, other = _letters(name), _letters(key)
    if len(one) != len(other) or len(one) < SHORTEST:
        return False
    wrong = [index for index, letter in enumerate(one) if letter != other[index]]
    if not wrong:
        return True
    first, last = wrong[0], wrong[-1]
    return last == first + 1 and one[first : last + 1] == other[first : last + 1][::-1]


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def shortened(name: str, known: Iterable[str]) -> str:
    """
    The only key of a cloud that a name shortens: `aws_region` is `aws_region_name`.

    Keys that it begins come before those that have its words.
    """
    if not name.startswith(OF_A_CLOUD):
        return ""
    names, words = list(known), name.split("_")
    found = [one for one in names if one.startswith(f"{name}_")] or [
        one for one in names if _is_within(words, one.split("_"))
    ]
    return found[0] if len(found) == 1 else ""


def _is_within(words: list[str], others: list[str]) -> bool:
    """Whether some of the other words, in their order, are these; the first is that of both."""
    rest = iter(others)
    return words[0] == others[0] and all(word in rest for word in words)


def _has_the_words_of(key: str, name: str) -> bool:
    """
    Whether each word of a key is in the other name, too, maybe misspelled.

    `enable_cooldowns` is near to `disable_cooldowns`, and means the opposite.
    """
    theirs, words = key.split("_"), name.lower().replace("-", "_").split("_")
    if len(theirs) != len(words):  # `maxtokens`
        return bool(get_close_matches("".join(words), ["".join(theirs)], 1, SIMILAR_WORDS))
    pairs = zip(theirs, words, strict=True)
    return all(bool(get_close_matches(word, [own], 1, SAME_WORD)) for own, word in pairs)
