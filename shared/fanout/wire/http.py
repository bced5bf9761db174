"""
The values between codecs and the transport: requests, responses, events of a stream, framers.

Does not depend on HTTP clients, secrets or time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from ..secret import HiddenRepr

REQUEST_ID = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.:\-]{1,128}")
"""
What a client's request id may be: it is logged, sent in a header, and a segment of a path.

HTTP clients remove the segments `.` and `..` (RFC 3986, 5.2.4).
"""


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class WireRequest(HiddenRepr, frozen=True, gc=False):
    """
    A request without its secrets, so that it can be stored in a file. Its repr shows no prompt.

    `path` is joined to the deployment's base URL, or to the address of the `service` that is named,
    of those that its vendor has besides. `dropped` names what was left out or adapted:
    parameters with `drop_params`, and what other providers added to earlier messages. With
    `one_call`, the client wants at most one tool call, and the provider cannot be asked for that;
    with `one_choice`, it asked for one choice, and the decoder has to know. It is `original` if it
    is the client's own, of another API, and not one that was made of it.
    """

    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = NO_HEADERS
    dropped: tuple[str, ...] = ()
    one_call: bool = False
    one_choice: bool = False
    service: str = ""
    original: bool = False

    def __repr__(self) -> str:
        return f"WireRequest({self.method!r}, {self.path!r}, {len(self.body)} bytes)"


class WireResponse(HiddenRepr, frozen=True, gc=False):
    """
    A whole response; header names are lower case. Its repr does not show the body.

    `broken_end`: the connection broke after the body and before the end of the response.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken_end: bool = False

    def __repr__(self) -> str:
        return f"WireResponse({self.status}, {len(self.body)} bytes)"


class WireEvent(HiddenRepr, frozen=True):
    """
    One event of a stream, in any framing: SSE, AWS event stream or JSON lines.

    Its repr does not show the data.
    """

    data: bytes
    type: str = ""

    def __repr__(self) -> str:
        return f"WireEvent({self.type!r}, {len(self.data)} bytes)"


class Framer(Protocol):
    """Decodes bytes to events; keeps the start of an event that is not complete yet. No I/O."""

    def feed(self, data: bytes) -> Iterable[WireEvent]:
        """Add the next bytes, which may end anywhere; return the events that are complete now."""
        ...
