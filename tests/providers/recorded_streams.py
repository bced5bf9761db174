"""
The recorded responses and streams of the golden files, event by event, with one value replaced.

A replaced value may also be `Written`: bytes that are not quite JSON, as some servers write them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct

from fanout.wire.eventstream import EXCEPTION, EventStreamFramer
from tests.support import event_stream_frames as frames

Event: TypeAlias = tuple[str, Any]
"""What precedes an event's data (of a binary one, its type), and the data: JSON or a text."""

KeyPath: TypeAlias = tuple[str | int, ...]


class Written(Struct, frozen=True):
    """A value as it is written."""

    data: bytes


MISSING = object()
ODD = [MISSING, None, "", 0, 7, -1, 1.5, True, [], {}, [1], {"odd": 1}, "odd"]
HALF = Written(rb'"\ud83d"')
NEARLY_JSON = [
    HALF,
    Written(b'"\xff"'),
    Written(b'"\x01"'),
    Written(b"NaN"),
    Written(b"-Infinity"),
    Written(b"1e999"),
    Written(b"9" * 30),
    Written(b"9" * 5_000),
    Written(b'{"a": 1, "a": 2}'),
    Written(rb'{"\ud83d": 1}'),
]


def paths(value: Any, base: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of every value inside `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*base, key)
        if isinstance(one, dict | list):
            yield from paths(one, (*base, key))


def replaced(value: Any, path: KeyPath, odd: Any) -> Any:
    """The value with another at that path, or with none."""
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if odd is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    return changed


def value_at(value: Any, path: KeyPath) -> Any:
    for key in path:
        value = value[key]
    return value


def leaves(value: Any) -> Iterator[str]:
    """The texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)


def dump(value: Any) -> bytes:
    """JSON, with each `Written` as it is."""
    text = json.dumps(value, default=lambda one: f"<<{one.data.hex()}>>")
    parts = re.split(r'"<<([0-9a-f]*)>>"', text)
    return b"".join(
        bytes.fromhex(part) if number % 2 else part.encode() for number, part in enumerate(parts)
    )


def is_binary(case: Path) -> bool:
    return (case / "stream.hex").exists()


@cache
def events_of(case: Path) -> list[Event]:
    """The events of a recorded stream; nobody changes them."""
    if is_binary(case):
        recorded = bytes.fromhex((case / "stream.hex").read_text())
        return [(one.type, json.loads(one.data)) for one in EventStreamFramer().feed(recorded)]
    found: list[Event] = []
    for block in re.split(r"\r?\n\r?\n", (case / "stream.txt").read_text()):
        head, mark, data = block.partition("data: ")
        if mark:
            found.append((head, json.loads(data) if data.startswith("{") else data))
    return found


def encoded(case: Path, events: Sequence[Event]) -> bytes:
    """The events as the provider of that case sends them."""
    return b"".join(_frame(*event) if is_binary(case) else _sse(*event) for event in events)


def _sse(head: str, data: Any) -> bytes:
    return (
        head.encode()
        + b"data: "
        + (data.encode() if isinstance(data, str) else dump(data))
        + (b"\n\n")
    )


def _frame(kind: str, data: Any) -> bytes:
    is_exception = kind.startswith(EXCEPTION)
    name = ":exception-type" if is_exception else ":event-type"
    headers = {
        name: kind.removeprefix(EXCEPTION),
        ":content-type": "application/json",
        ":message-type": "exception" if is_exception else "event",
    }
    return frames.frame(frames.texts(headers), dump(data))
