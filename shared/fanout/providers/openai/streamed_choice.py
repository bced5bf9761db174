"""What has been received of one choice of a stream."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...schema.chat import FinishReason
from .tool_calls import CallIndexer
from .views import CallDelta


class StreamedChoice(Struct):
    """What has been received of one choice."""

    calls: CallIndexer | None = None
    start: str = ""
    """The first piece of the text in `content`."""
    length: int = 0
    """The length of that text so far."""
    others: dict[str, tuple[str, int]] = {}
    """The same of the other fields of the deltas so far."""

    def note(self, delta: dict[str, Any]) -> None:
        """Note what a delta has, of which a whole message may be the sum."""
        for name, value in delta.items():
            text = value if type(value) is str else ""
            if name == "content":
                self.start, self.length = self.start or text, self.length + len(text)
            elif value and name != "role":
                start, length = self.others.get(name, (text, 0))
                self.others[name] = (start, length + len(text))

    def unheard(self, message: dict[str, Any]) -> dict[str, Any]:
        """What a whole message has beyond the deltas so far; all of it if there were none."""
        if not (self.length or self.others):
            return message
        from .whole_message import unheard  # few servers send one after deltas

        heard = self.others
        if self.length:
            heard = {**heard, "content": (self.start, self.length)}
        return unheard(message, heard, self.calls)

    @property
    def lacks_arguments(self) -> bool:
        """Whether a call of a function has had no arguments so far."""
        return self.calls is not None and self.calls.lacks_arguments

    @property
    def reason(self) -> FinishReason:
        """The finish reason of a choice whose vendor sent none."""
        return "tool_calls" if self.calls else "stop"

    def takes(self, calls: list[CallDelta]) -> bool:
        """Whether this only begins or continues one call, as OpenAI's parts do; then notes it."""
        part, function, known = calls[0], calls[0].function, self.calls
        if len(calls) > 1 or function is None:
            return False
        if known is None or part.index != known.last_index:
            if not part.id or not part.type or not function.name:
                return False
            self.calls = known = known or CallIndexer()
            return known.begin_next(part.index, part.id, function.name, function.arguments)
        if part.id or function.name:
            return False
        if function.arguments and known.last:
            known.last.pieces += 1
        return True

    def continues(self, delta: dict[str, Any]) -> bool:
        """Whether an unchecked delta with one field is more text, or of the last call; notes it."""
        if type(text := delta.get("content")) is not str:
            return self._has_arguments(delta)
        self.start = self.start or text
        self.length += len(text)
        return True

    def _has_arguments(self, delta: dict[str, Any]) -> bool:
        """Whether an unchecked delta with one field is more arguments of the last call."""
        if (known := self.calls) is None:
            return False
        try:
            (part,) = delta["tool_calls"]
            index, function = part["index"], part["function"]
            arguments = function["arguments"]
        except (KeyError, TypeError, ValueError):
            return False
        if type(index) is not int or index != known.last_index or type(arguments) is not str:
            return False
        if len(part) != 2 or len(function) != 1:  # noqa: PLR2004 -- an index and a function
            return False
        if arguments and known.last:
            known.last.pieces += 1
        return True
