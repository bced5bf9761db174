"""
Changes single members of a JSON object, and leaves every other byte as it is.

Some vendors sign parts of a conversation byte by byte, so a body that is passed through is not
decoded and encoded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Raw, Struct

from . import json

_KEY = re.compile(rb'[\s,]*("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*:\s*', re.DOTALL)


class Member(Struct, frozen=True, gc=False):
    """Where one member of an object is: its key begins at `start`, its value ends at `end`."""

    name: str
    start: int
    value: int
    end: int


class Members(Struct, frozen=True):
    """The members of one JSON object, which is the whole of `data`."""

    data: bytes
    all: tuple[Member, ...]

    def __repr__(self) -> str:
        return f"Members({len(self.data)} bytes)"

    def value(self, name: str) -> bytes | None:
        """The JSON of a member's value; `None` if there is no such member."""
        return next((self.data[one.value : one.end] for one in self.all if one.name == name), None)

    def changed(self, values: Mapping[str, bytes | None]) -> bytes:
        """
        The object with other `values`, which are JSON; a member whose value is `None` is left out.

        Members that the object does not have are added at its end.
        """
        kept = [one for one in self.all if values.get(one.name, b"") is not None]
        parts: list[bytes] = []
        known = set[str]()
        for index, one in enumerate(kept):
            known.add(one.name)
            if index:
                parts.append(self._between(kept[index - 1], one))
            value = values.get(one.name)
            parts.append(self.data[one.start : one.value if value is not None else one.end])
            parts += [] if value is None else [value]
        for name, value in values.items():
            if name not in known and value is not None:
                parts.append(b",%b:%b" % (json.encode(name), value))
        if not kept:
            parts[:1] = [part.removeprefix(b",") for part in parts[:1]]
        head = self.data[: self.all[0].start] if self.all else b"{"
        tail = self.data[self.all[-1].end :] if self.all else b"}"
        return b"".join([head, *parts, tail])

    def _between(self, left: Member, right: Member) -> bytes:
        """What separates two members that are kept: as in the object, if they are neighbors."""
        at = self.all.index(left)
        is_next = self.all[at + 1] is right
        return self.data[left.end : right.start] if is_next else b","


def find_members(data: bytes) -> Members:
    """The members of a JSON object; raises `MsgspecError` or `BadJSON` if it is none."""
    values = json.decode(data, type=dict[str, Raw])
    found: list[Member] = []
    end = data.index(b"{") + 1
    for name, raw in values.items():
        key = _KEY.match(data, end)
        if key is None:
            raise json.BadJSON("a key appears twice in one object")
        end = key.end() + len(raw)
        found.append(Member(name, key.start(1), key.end(), end))
    if data[end:].strip() != b"}":
        raise json.BadJSON("a key appears twice in one object")
    return Members(data, tuple(found))
