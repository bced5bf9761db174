"""A vendor's own JSON and events for a client of the same API: each byte but some members'."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, TypeAlias

from msgspec import MsgspecError, Raw

from ..schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS
from ..wire import json
from ..wire.http import WireEvent
from ..wire.json_members import Members, find_members

_ODD = (MsgspecError, json.BadJSON, UnicodeDecodeError, RecursionError)

Join: TypeAlias = Callable[[Iterable[WireEvent]], dict[str, Any]]
"""The whole response of its events."""


def members_or_none(data: bytes) -> Members | None:
    """The members of a JSON object; `None` if it cannot be read."""
    try:
        return find_members(data)
    except _ODD:
        return None


def relayed(
    response: Mapping[str, Any],
    changes: Mapping[str, Any],
    join: Join,
    known: Mapping[str, Any] = {},
) -> object:
    """The vendor's response, whole or in events, with these members; `known`: if it has them."""
    if ORIGINAL_BODY in response:
        return Raw(with_members(response[ORIGINAL_BODY], changes, known))
    whole = join(response[ORIGINAL_EVENTS])
    return {**whole, **_present(known, whole), **changes}


def _present(known: Mapping[str, Any], whole: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if name in whole}


def decoded(response: Mapping[str, Any], join: Join) -> dict[str, Any]:
    """The vendor's response, whole or in events, decoded."""
    if ORIGINAL_BODY in response:
        value = json.decode_or_none(response[ORIGINAL_BODY])
        return value if isinstance(value, dict) else {}
    return join(response[ORIGINAL_EVENTS])


def encode_event(event: WireEvent) -> bytes:
    """An event as it was sent, with its name."""
    lines = b"".join(b"data: %b\n" % line for line in event.data.split(b"\n"))
    return b"event: %b\n%b\n" % (event.type.encode(), lines)


def with_members(data: bytes, values: Mapping[str, Any], known: Mapping[str, Any] = {}) -> bytes:
    """
    The JSON object with other values of these members; unchanged if it cannot be read.

    Those that are `known` are changed only if the object has them.
    """
    members = members_or_none(data)
    if members is None:
        return data
    values = {**values, **_present(known, {member.name for member in members.all})}
    return members.changed({k: json.encode(v) for k, v in values.items()})


def with_inner_members(
    data: bytes, outer: str, values: Mapping[str, Any], known: Mapping[str, Any] = {}
) -> bytes:
    """The JSON object with other values of the members of its member `outer`, an object."""
    members = members_or_none(data)
    inner = None if members is None else members.value(outer)
    if members is None or inner is None or not inner.startswith(b"{"):
        return data
    return members.changed({outer: with_members(inner, values, known)})
