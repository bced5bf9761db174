"""
Several answers as one stream of OpenAI's chunks, told apart by `index`, as for `n > 1`.

Knows nothing of where the chunks come from or how they are written.
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


class Interleave:
    """
    Weaves the cells' chunks. A cell's last chunk waits for its usage, which it then carries with
    `model`, `latency_ms` and `cost_usd`; a failed cell's has `finish_reason: "error"` and `error`.
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
        """Why the cells that failed did so, in call order."""
        return [self._causes[index] for index in sorted(self._causes)]

    async def chunks(
        self, items: AsyncIterator[tuple[int, tuple[str, ChatChunk]] | Ended]
    ) -> AsyncIterator[ChatChunk]:
        """The woven chunks; the last has the summed usage, if it was asked for."""
        async for item in items:
            if isinstance(item, Ended):
                for said in self._ended(item):
                    yield said
                continue
            index, (model, chunk) = item
            self._models[index] = model
            self._usage[index] = chunk.get("usage") or self._usage[index]
            if choices := self._moved(index, chunk):
                yield self._chunk(model, choices)
        if self._request.include_usage:
            fanout = {"mode": self._request.mode}
            name = ", ".join(self._request.models)
            yield self._chunk(name, [], usage=sum_usage(self._usage), fanout=fanout)

    def _moved(self, index: int, chunk: ChatChunk) -> list[dict[str, Any]]:
        """The chunk's choices at their place; one that finishes waits until its usage is known."""
        moved = []
        for choice in chunk["choices"]:
            place = index * self._width + choice.get("index", 0)
            said: dict[str, Any] = {**choice, "index": place}
            if choice.get("finish_reason"):
                self._last[index].append(said)
            else:
                moved.append(said)
        return moved

    def _ended(self, end: Ended) -> list[ChatChunk]:
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
        said: ChatChunk = chunk | more
        return said
