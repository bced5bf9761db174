"""Streams of OpenAI-compatible vendors as chunks in OpenAI's exact shapes; see `normalize`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...schema.chat import ChatChunk
from ...wire.http import WireEvent
from ..base import Target, WireError
from .errors import NO_REASON, explain_value, status_of
from .normalize import by_calls, normalize
from .response import is_chunk
from .stream import ChatDecoder


def take_normalized(decoder: ChatDecoder, value: dict[str, Any]) -> dict[str, Any]:
    """The chunk that the decoder makes of `value`, normalized."""
    taken: Any = decoder.take(value)
    normal = normalize(taken, "delta")
    for choice in normal["choices"]:  # ours: just made
        if reason := choice["finish_reason"]:
            has_calls = decoder.has_calls(choice["index"])
            choice["finish_reason"] = by_calls(reason, has_calls=has_calls)
    return normal


class NormalizingDecoder:
    """
    Returns the chunks of `ChatDecoder`, normalized.

    Usage that is only in Groq's own field, or in Moonshot's last choice, comes as a chunk at the
    end, as OpenAI's does.
    """

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)
        self._own: dict[str, Any] | None = None  # the chunk with usage in the vendor's own place

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """The event's chunks, if it has any."""
        if event.data.startswith(b"[DONE]") and self._own is not None:
            return self._with_own_usage(event)
        found = []
        for value in self._plain.values(event):
            if is_chunk(value):
                if b'"usage"' in event.data:  # few chunks have it
                    self._note_usage(value)
                found.append(self._take(value))
        return found

    @property
    def holds(self) -> bool:
        """Whether a chunk waits for the next one."""
        return self._plain.holds

    def rest(self) -> Iterable[ChatChunk]:
        """The chunks that wait, if nothing follows, or not soon."""
        return [self._take(value) for value in self._plain.held()]

    def _note_usage(self, value: dict[str, Any]) -> None:
        if value.get("usage"):
            self._own = None
        elif _own_usage(value):
            self._own = value

    def _take(self, value: dict[str, Any]) -> ChatChunk:
        if "x_groq" in value:
            _raise_own_error(value["x_groq"])
        normal: Any = take_normalized(self._plain, value)
        return normal  # type: ignore[no-any-return]

    def _with_own_usage(self, event: WireEvent) -> Iterable[ChatChunk]:
        """The last chunks: what the vendor left out, and its usage."""
        from .usage import repair_usage  # few streams need it

        last: dict[str, Any] = self._own or {}
        self._own = None
        for value in self._plain.values(event):
            yield self._take(value)
        if usage := repair_usage(_own_usage(last)):
            yield self._take({**last, "choices": [], "usage": usage})


def _own_usage(value: dict[str, Any]) -> Any:
    """
    The usage in Groq's field, or in the first choice.

    platform.moonshot.ai/docs/api/chat has an example of a stream with the second, 2026-11.
    """
    if isinstance(own := value.get("x_groq"), dict) and (usage := own.get("usage")):
        return usage
    choices = value.get("choices")
    if type(choices) is list and choices and type(choices[0]) is dict:
        return choices[0].get("usage")
    return None


def _raise_own_error(own: Any) -> None:
    """
    Raise the error with which Groq stops a stream early, beside a delta as in any other chunk.

    "An error string indicating why a stream was stopped early": Groq's SDK for Python 1.7,
    types/chat/chat_completion_chunk.py, 2026-11.
    """
    if isinstance(own, dict) and (fault := own.get("error")):
        raise WireError(status_of(fault), explain_value(fault, NO_REASON))
