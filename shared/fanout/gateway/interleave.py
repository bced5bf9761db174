"""
Merges several streams into one stream of OpenAI's chunks, with an `index` for each, as with `n`.

Does not depend on where the chunks come from or how they are sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from ..concurrency import Ended
from ..errors import Cause
from ..schema.chat import ChatChunk
from ..schema.choice_deltas import MAX_COLLECTED, ChoiceDeltas, is_bare
from ..schema.error import failed_error
from ..schema.fanout import FanOutRequest
from .combine import NO_USAGE, choice_position, missing_choices, response_fields, sum_usage

_FIRST = {"role": "assistant", "content": ""}


class Interleave:
    """
    Merges the chunks of all cells.

    First there is one chunk for each choice, in order of index, with its role: SDKs expect that
    choices begin in this order, and none after another has ended. No later chunk has a role. So a
    choice that its model then does not return has begun, and ends as one that failed.
    A cell's finish reasons are sent after the cell has ended, because some servers send more text
    after one, with `model`, `usage`, `latency_ms`, `cost_usd`, the cell's report if it has one, and
    the other top-level fields of its chunks. The last chunk of a failed cell also has `refusal`,
    the cause, and `error`. Of several choices of a cell, the first has the usage and the cost of
    their one call.
    """

    def __init__(
        self,
        cells: Sequence[tuple[str, ...]],
        request: FanOutRequest,
        stream_id: str,
        created: int,
        clock: Callable[[], float],
        cost: Callable[[int], float | None] = lambda _: None,
        report: Callable[[int], Any] = lambda _: None,
    ) -> None:
        self._cells = cells
        self._request = request
        self._width = request.conversations[0].n or 1
        self._head = {"id": stream_id, "object": "chat.completion.chunk", "created": created}
        self._clock = clock
        self._cost = cost
        self._report = report
        self._started = clock()
        self._models = [", ".join(models) for models in cells]
        self._usage: list[Any] = [None] * len(cells)
        self._top: list[dict[str, Any]] = [{} for _ in cells]
        self._last: list[dict[int, dict[str, Any]]] = [{} for _ in cells]
        self._places: list[dict[int, int]] = [{} for _ in cells]
        self._causes: dict[int, Cause] = {}
        collected = 0 if request.in_pieces else MAX_COLLECTED
        self._deltas = ChoiceDeltas(have_begun=True, limit=collected)

    @property
    def causes(self) -> list[Cause]:
        """The errors of the cells that failed, in call order."""
        return [self._causes[index] for index in sorted(self._causes)]

    async def chunks(
        self, items: AsyncIterator[tuple[int, tuple[str, ChatChunk]] | Ended]
    ) -> AsyncIterator[ChatChunk]:
        """The merged chunks; the last has the summed usage, if the client asked for usage."""
        has_begun = False
        async for item in items:
            for chunk in self._chunks_of(item):
                if not has_begun:
                    has_begun = True
                    for first_chunk in self._first_chunks():
                        yield first_chunk
                yield chunk
        if self._request.include_usage:
            fanout = {"mode": self._request.mode}
            name = ", ".join(self._request.models)
            yield self._chunk(name, [], usage=sum_usage(self._usage), fanout=fanout)

    def _chunks_of(self, item: tuple[int, tuple[str, ChatChunk]] | Ended) -> list[ChatChunk]:
        if isinstance(item, Ended):
            return self._last_chunks(item)
        index, (model, chunk) = item
        self._models[index] = model
        self._usage[index] = chunk.get("usage") or self._usage[index]
        self._top[index] |= response_fields(chunk)
        choices = self._renumber(index, chunk)
        return [self._chunk(model, choices)] if choices else []

    def _first_chunks(self) -> list[ChatChunk]:
        """One chunk for each choice, with its role and no content."""
        return [
            self._chunk(model, [{"index": number, "delta": _FIRST, "finish_reason": None}])
            for index, model in enumerate(self._models)
            for number in self._numbers(index)
        ]

    def _numbers(self, index: int) -> range:
        """The indexes of a cell's choices."""
        return range(index * self._width, (index + 1) * self._width)

    def _renumber(self, index: int, chunk: ChatChunk) -> list[dict[str, Any]]:
        """The chunk's choices with their new indexes; the end of a choice is kept for later."""
        renumbered = []
        for choice in chunk["choices"]:
            place = choice_position(self._places[index], choice.get("index", 0), self._width)
            if place is None:
                continue
            number = index * self._width + place
            moved: dict[str, Any] = {**choice, "index": number}
            if reason := choice.get("finish_reason"):
                if not (any(choice["delta"].values()) or choice.get("logprobs")):
                    self._last[index][number] = moved
                    continue
                end = {"index": number, "delta": {}, "finish_reason": reason}
                self._last[index][number] = end
                moved["finish_reason"] = None
            for shaped in self._deltas.shape([moved]):
                delta = shaped["delta"]
                if "role" in choice["delta"] and not any(delta.values()) and is_bare(shaped):
                    continue  # only the role, which the client has
                renumbered.append(shaped)
        return renumbered

    def _last_chunks(self, end: Ended) -> list[ChatChunk]:
        """A chunk with the end of each choice that has begun; a failed cell's have the error."""
        model = self._models[end.index]
        latency = round((self._clock() - self._started) * 1000, 1)
        usage, cost = self._usage[end.index], self._cost(end.index)
        extra: dict[str, Any] = {"model": model, "latency_ms": latency}
        used: Mapping[str, Any] = {"usage": usage, "cost_usd": cost}
        if (report := self._report(end.index)) is not None:
            extra["fanout"] = report
        if end.error is not None:
            self._causes[end.index] = Cause(model, end.error)
            failed = dict.fromkeys(self._numbers(end.index), failed_error(end.error))
        else:
            failed = self._missing(end.index, model)
        top = {} if end.error else self._top[end.index]
        found = {} if end.error else self._last[end.index]
        numbers = sorted({*self._numbers(end.index), *found})
        ends = [found.get(number) or _end(number, failed.get(number)) for number in numbers]
        last = [*self._deltas.shape(ends), *self._deltas.rest(numbers)]
        chunks = []
        for one in last:
            if one["finish_reason"]:
                error = failed.get(one["index"])
                whole = {**extra, "error": error} if error else extra
                chunks.append(self._chunk(model, [{**top, **one, **whole, **used}]))
                used = NO_USAGE
            else:
                chunks.append(self._chunk(model, [one]))
        return chunks

    def _missing(self, index: int, model: str) -> dict[int, dict[str, Any]]:
        """The error of each choice of a cell that has begun and that its model did not return."""
        places = set(self._places[index].values())
        error = missing_choices(model, len(places), self._width)
        first = index * self._width
        return {first + place: error for place in range(self._width) if place not in places}

    def _chunk(self, model: str, choices: list[dict[str, Any]], **more: Any) -> ChatChunk:
        chunk: Any = {**self._head, "model": model, "choices": choices}
        if self._request.include_usage:
            chunk["usage"] = None
        complete: ChatChunk = chunk | more
        return complete


def _end(number: int, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """The end of a choice whose model did not send one; of one that failed, with the cause."""
    delta = {"refusal": error["message"]} if error else {}
    return {"index": number, "delta": delta, "finish_reason": "stop"}
