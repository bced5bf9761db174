"""
The calls of a line that are paid for, or may be, before the line has a result.

A line that ends without a result, for example at the job's cost cap, stores them. They count in the
job's cost. When a checked line is sent again, none of those that succeeded is made again: a request
that was sent before has its stored response. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..wire import json


class PaidCall(Struct, frozen=True):
    """A call that succeeded: the hash of its request, and the body of its response."""

    request: str
    model: str
    deployment: str
    body: dict[str, Any]

    @property
    def used(self) -> dict[str, Any]:
        """The model and the usage, for the cost; and the text, for the user."""
        choices = self.body.get("choices") or [{}]
        text = (choices[0].get("message") or {}).get("content")
        return {"model": self.model, "usage": self.body.get("usage"), "text": text}


class PaidLine(Struct, frozen=True):
    """What is stored of a line without a result."""

    custom_id: str
    calls: list[PaidCall]
    unlisted: list[dict[str, Any]] = []


class PaidCalls:
    """
    The calls of one line so far: those that are stored, and those that were made since.

    `unlisted` are those that the line's result does not have with a usage, each with its model,
    its outcome and its usage: the provider has sent none, so that it is estimated, or the call was
    part of an attempt without a result.
    """

    def __init__(
        self, stored: Sequence[PaidCall] = (), unlisted: Sequence[dict[str, Any]] = ()
    ) -> None:
        self.made = [*stored]
        self.unlisted = [*unlisted]
        self._unused = [*stored]

    def begin(self) -> None:
        """The line is sent from its beginning: each call may be used once."""
        self._unused = [*self.made]

    def take(self, request: str) -> PaidCall | None:
        """The response that was received to this request, if there is one."""
        for index, call in enumerate(self._unused):
            if call.request == request:
                return self._unused.pop(index)
        return None

    def add(self, call: PaidCall) -> None:
        """Note a call that was made."""
        self.made.append(call)

    @property
    def used(self) -> list[dict[str, Any]]:
        """What each call that succeeded has used."""
        return [call.used for call in self.made]

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The calls that failed and may be billed."""
        return [call for call in self.unlisted if call["outcome"] == "failed"]

    @property
    def charged(self) -> list[dict[str, Any]]:
        """All calls that cost something, of a line without a result."""
        return [*self.used, *self.unlisted]

    @property
    def beside_response(self) -> list[dict[str, Any]]:
        """The calls that cost something and that the line's response does not list with a usage."""
        return [*(call.used for call in self._unused), *self.unlisted]


def call_hash(model: str, body: Mapping[str, Any]) -> str:
    """A hash of a request to a model."""
    data = json.encode([model, body], order="sorted")
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def paid_line(custom_id: str, calls: PaidCalls) -> bytes:
    """The line that is stored, with its line break."""
    return json.encode(PaidLine(custom_id, calls.made, calls.unlisted)) + b"\n"


def read_paid_line(line: bytes) -> PaidLine | None:
    """The stored line; `None` if it is damaged."""
    try:
        return json.decode(line, type=PaidLine)
    except (*json.NOT_JSON, RecursionError):
        return None
