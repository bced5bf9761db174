"""Line numbers as a short text, such as `1-5000,5003`: those of one native batch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def pack(numbers: Iterable[int]) -> str:
    """The text of numbers that ascend."""
    return ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in _ranges(numbers)
    )


def unpack(text: str) -> list[int]:
    """The numbers of a text, ascending."""
    return [number for first, last in ranges(text) for number in range(first, last + 1)]


def ranges(text: str) -> Iterator[tuple[int, int]]:
    """The first and the last number of each range of a text, ascending."""
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        yield int(first), int(last or first)


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in numbers:
        if last is None or number != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last
