"""A provider whose responses to the calls of a line are scripted, for jobs with checked lines."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.bulk.local_jobs import USAGE, EchoProvider

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
GOOD, BAD = '{"n":1}', '{"n":"one"}'


class AnsweringProvider(EchoProvider):
    """
    Responds by the first message of a request: `answers` has the texts for its first calls.

    Further calls of the same model get a valid text. `times` are those of the calls.
    """

    def __init__(self, answers: Mapping[tuple[str, str], list[str]] | None = None) -> None:
        super().__init__()
        self.answers = {key: list(texts) for key, texts in (answers or {}).items()}
        self.times: list[float] = []
        self.asked: Counter[tuple[str, str]] = Counter()

    async def send(self, request: Outgoing) -> WireResponse:
        body = json.loads(request.body)
        model, text = body["model"], body["messages"][0]["content"]
        self.times.append(asyncio.get_running_loop().time())
        number = self.asked[model, text]
        self.asked[model, text] += 1
        error = await self.before(model, f"{text} {number}") if self.before else None
        if error:
            wire: dict[str, Any] = {"error": {"message": "no", "type": "t", "code": None}}
            return WireResponse(*error, json.dumps(wire).encode())
        texts = self.answers.get((model, text), [])
        content = texts[number] if number < len(texts) else texts[-1] if texts else GOOD
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
        wire = {**head, "choices": [choice], "usage": USAGE}
        return WireResponse(200, self.headers, json.dumps(wire).encode())
