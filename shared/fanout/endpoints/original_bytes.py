"""A vendor's own JSON and events for a client of the same API: each byte but some members'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import MsgspecError

from ..wire import json
from ..wire.http import WireEvent
from ..wire.json_members import find_members

_ODD = (MsgspecError, json.BadJSON, UnicodeDecodeError, RecursionError)


def encode_event(event: WireEvent) -> bytes:
    """An event as it was sent, with its name."""
    lines = b"".join(b"data: %b\n" % line for line in event.data.split(b"\n"))
    return b"event: %b\n%b\n" % (event.type.encode(), lines)


def with_members(data: bytes, values: Mapping[str, Any]) -> bytes:
    """The JSON object with other values of these members; unchanged if it cannot be read."""
    try:
        return find_members(data).changed({k: json.encode(v) for k, v in values.items()})
    except _ODD:
        return data


def with_inner_members(data: bytes, outer: str, values: Mapping[str, Any]) -> bytes:
    """The JSON object with other values of the members of its member `outer`, an object."""
    try:
        members = find_members(data)
    except _ODD:
        return data
    inner = members.value(outer)
    if inner is None or not inner.startswith(b"{"):
        return data
    return members.changed({outer: with_members(inner, values)})
