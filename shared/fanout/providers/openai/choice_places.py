"""
Which choice each chunk is of, if one was asked for: vendors write odd indexes, or send more.

Some count from 1, and some count the chunks: github.com/microsoft/foundry-local/issues/263,
huggingface/text-generation-inference/pull/1648. So their text is of the choice 0. But texts of two
choices are never joined: another index that is not counted is another choice's. 2026-12
"""

from __future__ import annotations

from typing import Any

MOST = 128
"""The most choices that OpenAI takes in a request."""


class ChoicePlaces:
    """
    Gives the choices of chunks the indexes 0, 1, 2 and so on.

    The second chunk of a stream may be of another choice, or be counted. If only the third decides
    which, the second one waits for it.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}  # by the vendor's indexes
        self._chunks = 0
        self._rises = True
        """Whether each chunk so far had an index that is one higher than the one before."""
        self._counted = False
        """Whether that is so of more than two: the vendor counts the chunks."""
        self._index = 0
        """The vendor's index of the last chunk."""
        self._last = 0
        self._has_text = False
        self._has_ended = False
        self._held: dict[str, Any] | None = None

    def place(self, value: dict[str, Any]) -> dict[str, Any]:
        """The chunk with the indexes of its choices; without any if it has to wait."""
        choices = value.get("choices")
        if type(choices) is not list or not choices or any(type(c) is not dict for c in choices):
            return value
        if len(choices) > 1:
            placed = [*self.rest(), *self._all(choices)]
            return {**value, "choices": placed}
        (choice,) = choices
        if self._held is not None:
            return {**value, "choices": self._after_held(choice)}
        place = self._place(choice)
        if place is None:
            self._held = choice
            return {**value, "choices": []}
        return value if choice.get("index") == place else _with(value, choice, place)

    def rest(self) -> list[dict[str, Any]]:
        """The choice that waits: without another chunk, it counts as the first one's."""
        held, self._held = self._held, None
        return [] if held is None else [{**held, "index": 0}]

    def _all(self, choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The choices of one chunk, which are different ones."""
        self._rises, self._has_text, placed = False, True, []
        for position, choice in enumerate(choices):
            index = _read_index(choice.get("index"))
            placed.append({**choice, "index": self._new(position if index is None else index)})
        self._chunks += 1
        return placed

    def _after_held(self, choice: dict[str, Any]) -> list[dict[str, Any]]:
        """The choice that waits, and the one of the next chunk."""
        index = _read_index(choice.get("index"))
        if index is None or index == self._index + 1:
            self._counted, place = index is not None, 0
            (held,) = self.rest()
        else:
            held = {**(self._held or {}), "index": self._new(self._index)}
            self._held, self._rises = None, False
            place = self._new(index)
        self._note(choice, index, place)
        one = {**choice, "index": place}
        return [held, one] if held["index"] != place else [_joined(held, one)]

    def _place(self, choice: dict[str, Any]) -> int | None:
        """The choice's index here; `None` if the next chunk decides."""
        index = _read_index(choice.get("index"))
        place: int | None = self._last
        if index is not None:
            if self._counted:
                place = 0
            elif index in self._places or not self._places:
                place = self._new(index)
            else:
                place = self._place_of_new(choice, index)
        if place is None:
            self._index = index or 0
            self._chunks += 1
            return None
        self._note(choice, index, place)
        return place

    def _place_of_new(self, choice: dict[str, Any], index: int) -> int | None:
        """The same, for an index that no chunk has had, and that is not the first one."""
        is_end, delta = bool(choice.get("finish_reason")), _delta(choice)
        counts = self._rises and index == self._index + 1 and not self._has_ended
        self._counted = counts and self._chunks > 1
        if self._counted:
            return 0
        if not _has_text(delta):
            return self._new(index) if delta.get("role") and not is_end else self._last
        if not self._has_text:  # a server before this one has sent the role
            self._places = {index: 0}
            return 0
        if counts:
            return 0 if is_end else None
        return self._new(index)

    def _new(self, index: int) -> int:
        return self._places.setdefault(index, len(self._places))

    def _note(self, choice: dict[str, Any], index: int | None, place: int) -> None:
        if index is not None:
            self._rises = self._rises and (not self._chunks or index == self._index + 1)
            self._index = index
        self._last = place
        self._chunks += 1
        self._has_text = self._has_text or _has_text(_delta(choice))
        self._has_ended = self._has_ended or bool(choice.get("finish_reason"))


def _read_index(value: Any) -> int | None:
    if type(value) is int and 0 <= value < MOST:
        return value
    from .repair import read_index as read  # few vendors need it

    return read(value)


def _delta(choice: dict[str, Any]) -> dict[str, Any]:
    given = choice.get("delta") or choice.get("message")
    return given if type(given) is dict else {}


def _has_text(delta: dict[str, Any]) -> bool:
    return any(value for name, value in delta.items() if name != "role")


def _with(value: dict[str, Any], choice: dict[str, Any], place: int) -> dict[str, Any]:
    return {**value, "choices": [{**choice, "index": place}]}


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Two pieces of one choice as one: texts and lists one after the other."""
    joined = {**_delta(first)}
    for name, value in _delta(second).items():
        old = joined.get(name)
        if name != "role" and type(old) is type(value) and isinstance(value, str | list):
            joined[name] = [*old, *value] if isinstance(old, list) else f"{old}{value}"
        elif value is not None:
            joined[name] = value
    return {**first, **second, "delta": joined}
