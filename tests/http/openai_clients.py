"""The official OpenAI client, sync and async, plain and streamed, behind one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

HI: Any = [{"role": "user", "content": "Hi"}]
BYE: Any = [{"role": "user", "content": "Bye"}]
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


class Ask:
    """
    Sends one chat request with the sync or the async client, plain or streamed.

    `chunks` are those of a stream; `report` is the response's `fanout` field.
    """

    def __init__(self, url: str, way: str) -> None:
        self._url = f"{url}/v1"
        self._is_async = way.startswith("async")
        self._stream = way.endswith("streamed")
        self.chunks: list[ChatCompletionChunk] = []
        self.report: Any = None

    def __call__(self, **request: Any) -> dict[int, str]:
        """The text of each choice by its index."""
        if self._stream:
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        answer = asyncio.run(self._later(request)) if self._is_async else self._now(request)
        if isinstance(answer, ChatCompletion):
            self.report = (answer.model_extra or {}).get("fanout")
            return {choice.index: choice.message.content or "" for choice in answer.choices}
        self.chunks = answer
        self.report = (answer[-1].model_extra or {}).get("fanout")
        return joined(answer)

    def _now(self, request: dict[str, Any]) -> Any:
        with openai.OpenAI(api_key="k", base_url=self._url, max_retries=0) as client:
            answer = client.chat.completions.create(**request)
            return list(answer) if self._stream else answer

    async def _later(self, request: dict[str, Any]) -> Any:
        async with openai.AsyncOpenAI(api_key="k", base_url=self._url, max_retries=0) as client:
            answer = await client.chat.completions.create(**request)
            return [chunk async for chunk in answer] if self._stream else answer


def joined(chunks: Sequence[ChatCompletionChunk]) -> dict[int, str]:
    """The text of each choice of a stream by its index."""
    texts: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    return texts
