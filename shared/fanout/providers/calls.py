"""
Ids and arguments of earlier tool calls that fit the vendor that gets them.

Each vendor makes ids in a form of its own and may reject those of another. An id that does not fit
is replaced by one that depends only on it: the same in each request, so that prompt caches hold.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from typing import Any

import msgspec
from msgspec import Struct

from ..wire import json
from .fields import UnsupportedFields

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class IdRule(Struct, frozen=True):
    """
    The ids that a vendor accepts: those that match `pattern`, in full.

    An id that is made for it has `length` letters and digits. `unique`: each id may occur once.
    """

    pattern: str
    length: int = 24
    unique: bool = False


_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""What the escape of a surrogate pair begins with, or of half of one."""

ANY_ID = IdRule(r"(?s).+", unique=True)
"""An empty id is none, and none may occur twice."""


class CallIds:
    """
    The ids of one conversation, call by call and result by result, in order.

    A result gets the id of the oldest call with its id that has no result yet. So ids stay paired
    even if a vendor gave the same one to several calls.
    """

    def __init__(self, rule: IdRule) -> None:
        self._rule = rule
        self._open: dict[str, deque[str]] = {}
        self._last: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.changed = False

    def call(self, call_id: str) -> str:
        """The id of a call, which fits."""
        count = self._counts.get(call_id, 0)
        self._counts[call_id] = count + 1
        if count and self._rule.unique:
            fitting = _make(f"{call_id}\n{count}", self._rule.length)
        else:
            fitting = self._fit(call_id)
        self.changed = self.changed or fitting != call_id
        self._open.setdefault(call_id, deque()).append(fitting)
        self._last[call_id] = fitting
        return fitting

    def result(self, call_id: str) -> str:
        """The id of a result: that of its call."""
        if waiting := self._open.get(call_id):
            return waiting.popleft()
        fitting = self._last.get(call_id) or self._fit(call_id)
        self.changed = self.changed or fitting != call_id
        return fitting

    def _fit(self, call_id: str) -> str:
        if re.fullmatch(self._rule.pattern, call_id):
            return call_id
        return _make(call_id, self._rule.length)


def _make(source: str, length: int) -> str:
    """Letters and digits that depend on `source` alone; two sources practically never agree."""
    number = int.from_bytes(hashlib.sha256(source.encode(errors="surrogatepass")).digest(), "big")
    letters = []
    for _ in range(length):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return "".join(letters)


def custom_arguments(text: str) -> str:
    """The arguments of a function, for the input of OpenAI's custom tool, which is any text."""
    given: dict[str, Any] = {"input": text}
    return json.encode(given).decode()


def fit_arguments(arguments: str, unsupported: UnsupportedFields) -> str:
    """
    The arguments of a call as the JSON of an object.

    Models write other text, too. It is then the value of `arguments`; the tool's result, which is
    in the conversation, says what was wrong with it. Half of a surrogate pair is U+FFFD.
    """
    if not arguments:
        return "{}"
    if _HALF.search(arguments):
        from ..wire.lenient_json import whole_characters  # few arguments have one

        arguments = whole_characters(arguments.encode()).decode()
    try:
        json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        pass
    else:
        return arguments
    unsupported.note("messages[].tool_calls[].function.arguments")
    held: dict[str, Any] = {"arguments": arguments}
    return json.encode(held).decode()
