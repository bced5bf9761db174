"""
Divides the inputs of a request into calls that are within a provider's limits. Pure.

A text that is the same as an earlier one is not sent again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ...schema.embeddings import Input

MAX_REPEATED = 4_096
"""
A text is not sent again if it is one of the last so many different ones: its vector is kept for so
long.
"""

BYTES_PER_TOKEN = 3
"""
A careful estimate for texts: English has four bytes and more for a token, Chinese three.
"""

BYTES_PER_INPUT = 128
"""Bytes of a request's body beside each text, at most."""


class Distinct(Struct, frozen=True):
    """
    The different inputs, in order, and the number of the one at each place of the request.

    `places` is `None` if all are different. `uses` are the further places of inputs that have any.
    """

    inputs: Sequence[Input]
    places: list[int] | None = None
    uses: dict[int, int] | None = None


def distinct(inputs: Sequence[Input]) -> Distinct:
    """The different inputs of a request; lists of tokens all count as different."""
    if not isinstance(inputs[0], str) or len(set(inputs)) == len(inputs):
        return Distinct(inputs)
    recent: OrderedDict[Input, int] = OrderedDict()
    found: list[Input] = []
    places: list[int] = []
    uses: dict[int, int] = {}
    for text in inputs:
        number = recent.get(text)
        if number is None:
            number = len(found)
            found.append(text)
            if len(recent) >= MAX_REPEATED:
                recent.popitem(last=False)
            recent[text] = number
        else:
            recent.move_to_end(text)
            uses[number] = uses.get(number, 0) + 1
        places.append(number)
    return Distinct(found, places, uses)


class Most(Struct, frozen=True):
    """The most inputs of a call, their tokens by estimate, and the bytes of the request's body."""

    inputs: int
    tokens: int | None = None
    bytes: int | None = None


def divide(inputs: Sequence[Input], most: Most) -> Iterator[range]:
    """
    The numbers of each call's inputs.

    An input that is over a limit alone has a call of its own: the provider knows better.
    """
    start = tokens = size = 0
    for number, one in enumerate(inputs):
        own_tokens, own_size = tokens_of(one), size_of(one)
        is_over = (
            number - start >= most.inputs
            or (most.tokens is not None and tokens + own_tokens > most.tokens)
            or (most.bytes is not None and size + own_size > most.bytes)
        )
        if is_over and number > start:
            yield range(start, number)
            start, tokens, size = number, 0, 0
        tokens += own_tokens
        size += own_size
    yield range(start, len(inputs))


def tokens_of(one: Input) -> int:
    """The tokens of an input, by estimate if it is a text."""
    return _text_size(one) // BYTES_PER_TOKEN + 1 if isinstance(one, str) else len(one)


def size_of(one: Input) -> int:
    """The bytes of an input in a request's body, and of what is around it."""
    return _text_size(one) + BYTES_PER_INPUT


def _text_size(one: Input) -> int:
    if not isinstance(one, str):
        return 12 * len(one)
    return len(one) if one.isascii() else len(one.encode())
