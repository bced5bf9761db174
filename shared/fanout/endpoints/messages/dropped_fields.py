"""What a translation leaves out of a client's request; a response header names it."""

from __future__ import annotations

import re

from ...errors import RequestError

MAX_DROPPED = 40
"""The most names in the header."""

MAX_NAME = 80

_UNSAFE = re.compile(r"[^\w.\[\]-]", re.ASCII)


class DroppedFields:
    """
    The fields that have no place in a chat request, each named once, in the order of reading.

    With `takes_all`, the client has said that anything may be left out.
    """

    def __init__(self, *, takes_all: bool = False) -> None:
        self._names: dict[str, None] = {}
        self._takes_all = takes_all

    def add(self, name: str) -> None:
        """Note a field by its path without numbers, such as `tools[].input_examples`."""
        if len(self._names) < MAX_DROPPED:
            self._names[_UNSAFE.sub("_", name)[:MAX_NAME]] = None

    def add_needed(self, name: str, path: str) -> None:
        """
        Note what the conversation is about: a file, a server with tools.

        Without it, the response would be to another question: raises `RequestError`, unless the
        client has said otherwise.
        """
        if not self._takes_all:
            raise RequestError(
                f"`{path}` is only for models with Anthropic's API: leave it out, or set"
                " `drop_params: true` in the request",
                path,
                "unsupported_parameter",
            )
        self.add(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)
