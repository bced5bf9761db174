"""
Merges several streams into one stream of OpenAI's chunks, with an `index` for each, as with `n`.

Knows nothing of where the chunks come from or how they are sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from ..concurrency import Ended
from ..errors import Cause, detail_of
from ..schema.chat import ChatChunk
from ..schema.error import error_object
from ..schema.fanout import FanOutRequest
from .combine import ERROR, sum_usage


async def with_model_name(
    model: str, chunks: AsyncIterator[ChatChunk]
) -> AsyncIterator[tuple[str, ChatChunk]]:
    """The chunks as `Interleave` takes them: each with the name of its model."""
    async for chunk in chunks:
        yield model, chunk


class Interleave:
    """
    Merges the chunks of all cells.

    A cell's last chunk is sent after the cell has ended, with `model`, `usage`, `latency_ms` and
    `cost_usd`. The last chunk of a failed cell has `finish_reason: "error"` and `error`.
    """

    def __init__(
        self,
        cells: Sequence[tuple[str, ...]],
        request: FanOutRequest,
        stream_id: str,
        created: int,
        clock: Callable[[], float],
        cost: Callable[[int], float | None] = lambda _: None,
    ) -> None:
        self._cells = cells
        self._request = request
        self._width = request.conversations[0].n or 1
        self._head = {"id": stream_id, "object": "chat.completion.chunk", "created": created}
        self._clock = clock
        self._cost = cost
        self._started = clock()
        self._models = [", ".join(models) for models in cells]
        self._usage: list[Any] = [None] * len(cells)
        self._last: list[list[dict[str, Any]]] = [[] for _ in cells]
        self._causes: dict[int, Cause] = {}

    @property
    def causes(self) -> list[Cause]:
        """The errors of the cells that failed, in call order."""
        return [self._causes[index] for index in sorted(self._causes)]

    async def chunks(
        self, items: AsyncIterator[tuple[int, tuple[str, ChatChunk]] | Ended]
    ) -> AsyncIterator[ChatChunk]:
        """The merged chunks; the last has the summed usage, if the client asked for usage."""
        async for item in items:
            if isinstance(item, Ended):
                for last_chunk in self._last_chunks(item):
                    yield last_chunk
                continue
            index, (model, chunk) = item
            self._models[index] = model
            self._usage[index] = chunk.get("usage") or self._usage[index]
            if choices := self._renumber(index, chunk):
                yield self._chunk(model, choices)
        if self._request.include_usage:
            fanout = {"mode": self._request.mode}
            name = ", ".join(self._request.models)
            yield self._chunk(name, [], usage=sum_usage(self._usage), fanout=fanout)

    def _renumber(self, index: int, chunk: ChatChunk) -> list[dict[str, Any]]:
        """The chunk's choices with their new indexes; the last of a choice is kept for later."""
        renumbered = []
        for choice in chunk["choices"]:
            number = index * self._width + choice.get("index", 0)
            moved: dict[str, Any] = {**choice, "index": number}
            if choice.get("finish_reason"):
                self._last[index].append(moved)
            else:
                renumbered.append(moved)
        return renumbered

    def _last_chunks(self, end: Ended) -> list[ChatChunk]:
        model = self._models[end.index]
        latency = round((self._clock() - self._started) * 1000, 1)
        usage, cost = self._usage[end.index], self._cost(end.index)
        extra = {"model": model, "usage": usage, "latency_ms": latency, "cost_usd": cost}
        if end.error is None:
            return [self._chunk(model, [{**c, **extra}]) for c in self._last[end.index]]
        self._causes[end.index] = Cause(model, end.error)
        choice = {
            "index": end.index * self._width,
            "delta": {},
            "finish_reason": ERROR,
            "error": error_object(detail_of(end.error)),
            **extra,
        }
        return [self._chunk(model, [choice])]

    def _chunk(self, model: str, choices: list[dict[str, Any]], **more: Any) -> ChatChunk:
        chunk: Any = {**self._head, "model": model, "choices": choices}
        if self._request.include_usage:
            chunk["usage"] = None
        complete: ChatChunk = chunk | more
        return complete
