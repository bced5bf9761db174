"""
Events of a stream whose data are a text, and no object of JSON: keep-alives, and errors.

Proxies write `data: ping` or `data: "ping"` between chunks, and others an error as its words alone.
Imported with the first such event.
"""

from __future__ import annotations

import re

from msgspec import MsgspecError

from ..config.deployment import Deployment
from ..errors import ErrorDetail, Malformed, ProviderError
from ..providers.error_rules import FEWEST_WORDS, MAX_TEXT
from ..wire import json
from ..wire.http import WireEvent
from .error_bodies import from_stream, from_text

SAYS_NOTHING = frozenset({b"{}", b"null", b'""'})
"""Data of events that only keep the connection open, as blank data and comments do."""

_NO_TEXT = (b"{", b"[", b"<")
"""How JSON begins, and a page of a proxy, which is never shown to a client."""

_FAULT = re.compile(
    r"error|exception|fail|denied|forbidden|unauthori[sz]ed|invalid|unavailable|time[sd]?[ -]?out"
    r"|refused|exceeded|abort|overload|limit|quota|capacity|traceback|panic",
    re.IGNORECASE,
)
"""What a text of few words has if it is an error's."""


def is_keep_alive(event: WireEvent) -> bool:
    """Whether the event says nothing: it is not even counted as skipped."""
    data = event.data.strip()
    if event.type == "error":
        return False
    return data in SAYS_NOTHING or (bool(text := text_of(data)) and not _is_fault(text))


def error_of(
    deployment: Deployment, error: Exception, event: WireEvent, key: str | None
) -> ProviderError | None:
    """The error that an event is which its decoder cannot read; `None` if it is none."""
    if text := text_of(event.data):
        is_fault = event.type == "error" or _is_fault(text)
        return from_text(deployment, ErrorDetail(text), key) if is_fault else None
    found = from_stream(deployment, error, event, key)
    return None if isinstance(found, Malformed) else found


def event_in_text(event: WireEvent) -> WireEvent | None:
    """The event whose JSON a relay has written as a string of JSON; `None` if it is none."""
    data = event.data.removeprefix(json.BOM).strip()
    if not data.startswith(b'"{'):
        return None
    try:
        value = json.decode_any(data)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return WireEvent(value.encode(errors="replace"), event.type) if isinstance(value, str) else None


def text_of(data: bytes) -> str:
    """The text that an event's data are, bare or as a string of JSON; empty if they are none."""
    data = data.removeprefix(json.BOM).strip()
    if not data or data.startswith(_NO_TEXT):
        return ""
    try:
        value = json.decode_any(data)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        value = data.decode(errors="replace")
    return " ".join(value.split())[:MAX_TEXT] if isinstance(value, str) else ""


def _is_fault(text: str) -> bool:
    """Whether a text is an error's: it has several words, or one of those for errors."""
    return len(text.split()) >= FEWEST_WORDS or _FAULT.search(text) is not None
