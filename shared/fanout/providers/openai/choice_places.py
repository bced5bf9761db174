"""
Which choice each chunk is of: vendors write odd indexes, and clients need 0, 1, 2, begun in order.

`OnePlace` is for a request for one choice, and `SeveralPlaces` for one of several. Both hold a
chunk back where only a later one decides, for as short as they can, and never the first text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

MOST = 128
"""The most choices that OpenAI takes in a request."""


class OnePlace:
    """
    Gives the choices of chunks the indexes 0, 1, 2 and so on, if one choice was asked for.

    Some vendors count from 1, and some count the chunks, each with a role:
    github.com/microsoft/foundry-local/issues/263, huggingface/text-generation-inference/pull/1648,
    both 2026-12. So their text is of the choice 0. But texts of two choices are never joined:
    another index that is not counted is another choice's. The second chunk of a stream may be
    counted, or of another choice, and only the third says which; so the second one waits for it.
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

    @property
    def holds(self) -> bool:
        """Whether a chunk waits."""
        return self._held is not None

    def place(self, value: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """The chunks that can be sent now, with the indexes of their choices."""
        choices = value.get("choices")
        only = None if self._rises or not self._has_text else _only_index(choices)
        if only is not None and self._places.get(only) == only:  # more of a choice, as most are
            self._last = only
            return (value,)
        if not _are_choices(choices):
            return (*self.rest(), value) if value.get("usage") else (value,)
        if len(choices) > 1:
            return (*self._settle(is_counted=False), self._all(value, choices))
        (choice,) = choices
        index = _read_index(choice.get("index"))
        if self._held is not None:
            before = self._settle(is_counted=index is None or self._counts(index))
            return (*before, self._placed(value, choice, index))
        if self._waits(choice, index):
            self._held = value
            return ()
        return (self._placed(value, choice, index),)

    def rest(self) -> Sequence[dict[str, Any]]:
        """The chunk that waits: without another one, it counts as the first choice's."""
        return self._settle(is_counted=True)

    def _all(self, value: dict[str, Any], choices: list[dict[str, Any]]) -> dict[str, Any]:
        """A chunk of several choices, which are different ones."""
        self._rises, self._has_text, placed = False, True, []
        for position, choice in enumerate(choices):
            index = _read_index(choice.get("index"))
            placed.append({**choice, "index": self._new(position if index is None else index)})
        self._chunks += 1
        return {**value, "choices": placed}

    def _counts(self, index: int) -> bool:
        return self._rises and index == self._index + 1 and not self._has_ended

    def _waits(self, choice: dict[str, Any], index: int | None) -> bool:
        """Whether only the next chunk decides which choice this one is of; then notes it."""
        if index is None or self._chunks != 1 or index in self._places or not self._counts(index):
            return False
        delta = _delta(choice)
        if _has_text(delta):
            waits = self._has_text
        else:
            waits = bool(delta.get("role")) and not choice.get("finish_reason")
        if waits:
            self._note(choice, index, 0)
        return waits

    def _settle(self, *, is_counted: bool) -> Sequence[dict[str, Any]]:
        """The chunk that waits, if there is one, as the first choice's or as another one's."""
        value, self._held = self._held, None
        if value is None:
            return ()
        (choice,) = value["choices"]
        place = 0
        if not is_counted:
            self._rises = False
            place = self._last = self._new(self._index)
        return (_with(value, choice, place),)

    def _placed(
        self, value: dict[str, Any], choice: dict[str, Any], index: int | None
    ) -> dict[str, Any]:
        place = self._last if index is None else self._place(choice, index)
        self._note(choice, index, place)
        return _with(value, choice, place)

    def _place(self, choice: dict[str, Any], index: int) -> int:
        if self._counted:
            return 0
        if index in self._places or not self._places:
            return self._new(index)
        delta = _delta(choice)
        self._counted = self._counts(index) and self._chunks > 1
        if self._counted:
            return 0
        if not _has_text(delta):
            begins = delta.get("role") and not choice.get("finish_reason")
            return self._new(index) if begins else self._last
        if not self._has_text and len(self._places) == 1:  # a server before it has sent the role
            self._places = {index: 0}
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


class SeveralPlaces:
    """
    Gives the choices of chunks the indexes 0, 1, 2 and so on, in the order of the vendor's indexes.

    A plain response's choices get theirs by the same rule. Clients need choices that begin in
    order; so one that begins before a lower index waits, until the lower ones have begun, or until
    it goes on without them. Its role and its first text are then sent, so almost nothing is late.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}  # by the vendor's indexes
        self._next = 0
        """One more than the highest index that has begun: no lower one can wait for others."""
        self._held: dict[int, list[dict[str, Any]]] = {}

    @property
    def holds(self) -> bool:
        """Whether a chunk waits."""
        return bool(self._held)

    def place(self, value: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """The chunks that can be sent now, with the indexes of their choices."""
        choices = value.get("choices")
        if (first := _only_index(choices)) is not None and self._places.get(first) == first:
            return (value,)  # more of a choice, as most chunks are
        if not _are_choices(choices):
            return (value,)
        if len(choices) == 1:  # most have
            index = _read_index(choices[0].get("index"))
            return self._add(value, choices[0], 0 if index is None else index)
        read = [_read_index(choice.get("index")) for choice in choices]
        indexes = [place if index is None else index for place, index in enumerate(read)]
        ordered = sorted(zip(indexes, choices, strict=True), key=lambda pair: pair[0])
        for index in () if self._held else sorted(set(indexes)):
            if index <= self._next:
                self._begin(index)
        if not self._held and all(index in self._places for index in indexes):
            placed = [{**choice, "index": self._places[index]} for index, choice in ordered]
            return ({**value, "choices": placed},)
        found: list[dict[str, Any]] = []
        for index, choice in ordered:
            found += self._add({**value, "choices": [choice]}, choice, index)
        return found

    def rest(self) -> Sequence[dict[str, Any]]:
        """The chunks that wait."""
        found: list[dict[str, Any]] = []
        for index in sorted(self._held):
            found += self._begin(index)
        return found

    def _add(
        self, value: dict[str, Any], choice: dict[str, Any], index: int
    ) -> Sequence[dict[str, Any]]:
        """The chunk of one choice, or all that wait if it goes on, or none if it waits, too."""
        if (place := self._places.get(index)) is not None:
            return (_with(value, choice, place),)
        held = self._held.setdefault(index, [])
        goes_on = any(_goes_on(one["choices"][0]) for one in held)
        held.append(value)
        if (goes_on and _goes_on(choice)) or choice.get("finish_reason"):
            return self.rest()
        found: list[dict[str, Any]] = []
        for waiting in sorted(self._held):
            if waiting <= self._next:
                found += self._begin(waiting)
        return found

    def _begin(self, index: int) -> Iterable[dict[str, Any]]:
        """The chunks of a choice that has waited, if it has; it begins now."""
        place = self._places.setdefault(index, len(self._places))
        self._next = max(self._next, index + 1)
        return [_with(one, one["choices"][0], place) for one in self._held.pop(index, ())]


def places_of(indexes: Sequence[int]) -> list[int]:
    """The indexes 0, 1, 2 … in the order of the vendor's; of the choices if two are equal."""
    if len(set(indexes)) < len(indexes):
        return list(range(len(indexes)))
    places = {index: place for place, index in enumerate(sorted(indexes))}
    return [places[index] for index in indexes]


def _only_index(choices: Any) -> int | None:
    """The index of a chunk's only choice, if it is one."""
    if type(choices) is list and len(choices) == 1 and type(choices[0]) is dict:
        index = choices[0].get("index")
        return index if type(index) is int else None
    return None


def _are_choices(choices: Any) -> TypeGuard[list[dict[str, Any]]]:
    return type(choices) is list and bool(choices) and all(type(one) is dict for one in choices)


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


def _goes_on(choice: dict[str, Any]) -> bool:
    return _has_text(_delta(choice))


def _with(value: dict[str, Any], choice: dict[str, Any], place: int) -> dict[str, Any]:
    """The chunk whose only choice has the index `place`; itself if it has it already."""
    if choice.get("index") == place and type(choice["index"]) is int:
        return value
    return {**value, "choices": [{**choice, "index": place}]}
