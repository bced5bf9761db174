"""Parses the gateway's responses, so that tests check plain and streamed ones alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class ParsedResponse(Struct, kw_only=True):
    """
    A response. `texts` has the text of each choice by its index; `report` is the `fanout` field;
    `done` is whether a stream ended with `[DONE]`; `events` are those of a stream, in order.
    """

    status: int
    headers: Mapping[str, str]
    model: str | None = None
    texts: dict[int, str] = field(default_factory=dict)
    choices: dict[int, dict[str, Any]] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    done: bool = False
    events: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of the only choice."""
        assert list(self.texts) == [0], self
        return self.texts[0]

    @property
    def outcomes(self) -> dict[str, str]:
        """Each model's outcome in the report."""
        assert self.report is not None, self
        return {attempt["model"]: attempt["outcome"] for attempt in self.report["attempts"]}


def read_response(status: int, headers: Mapping[str, str], body: Any) -> ParsedResponse:
    """Parse a plain response or an error."""
    response = ParsedResponse(
        status=status, headers=headers, error=body.get("error"), usage=body.get("usage")
    )
    response.model, response.report = body.get("model"), body.get("fanout")
    for choice in body.get("choices", ()):
        response.texts[choice["index"]] = choice["message"]["content"] or ""
        response.choices[choice["index"]] = choice
    return response


def read_stream(status: int, headers: Mapping[str, str], raw: bytes) -> ParsedResponse:
    """Parse a whole stream."""
    events = [parse_event(block) for block in raw.split(b"\n\n") if block]
    response = ParsedResponse(
        status=status, headers=headers, events=events, done=events[-1] == "[DONE]"
    )
    for event in events:
        if isinstance(event, dict):
            _add_chunk(response, event)
    return response


def _add_chunk(response: ParsedResponse, chunk: Mapping[str, Any]) -> None:
    response.error = chunk.get("error") or response.error
    response.usage = chunk.get("usage") or response.usage
    response.report = chunk.get("fanout") or response.report
    for choice in chunk.get("choices", ()):
        index = choice["index"]
        text = choice["delta"].get("content") or ""
        response.model = chunk["model"]
        response.texts[index] = response.texts.get(index, "") + text
        response.choices[index] = {**response.choices.get(index, {}), **choice}


def parse_event(block: bytes) -> Any:
    """One event of a stream: a JSON value, `"[DONE]"`, or the text of a comment."""
    if block.startswith(b":"):
        return block.decode()
    assert block.startswith(b"data: "), block
    data = block.removeprefix(b"data: ")
    return "[DONE]" if data == b"[DONE]" else json.loads(data)
