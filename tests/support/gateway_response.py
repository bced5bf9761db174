"""A gateway's answer as tests look at it: the same few facts of a plain one and of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class ParsedResponse(Struct, kw_only=True):
    """
    What was answered. `texts` has the text of each choice by its index; `report` is the `fanout`
    field; `done` says whether a stream ended with `[DONE]`; `events` are a stream's, in order.
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
        """Each model's outcome, by the report."""
        assert self.report is not None, self
        return {attempt["model"]: attempt["outcome"] for attempt in self.report["attempts"]}


def read_response(status: int, headers: Mapping[str, str], body: Any) -> ParsedResponse:
    """A plain answer, or an error."""
    said = ParsedResponse(
        status=status, headers=headers, error=body.get("error"), usage=body.get("usage")
    )
    said.model, said.report = body.get("model"), body.get("fanout")
    for choice in body.get("choices", ()):
        said.texts[choice["index"]] = choice["message"]["content"] or ""
        said.choices[choice["index"]] = choice
    return said


def read_stream(status: int, headers: Mapping[str, str], raw: bytes) -> ParsedResponse:
    """A stream, to its end."""
    events = [parse_event(block) for block in raw.split(b"\n\n") if block]
    said = ParsedResponse(
        status=status, headers=headers, events=events, done=events[-1] == "[DONE]"
    )
    for event in events:
        if isinstance(event, dict):
            _add_chunk(said, event)
    return said


def _add_chunk(said: ParsedResponse, chunk: Mapping[str, Any]) -> None:
    said.error = chunk.get("error") or said.error
    said.usage = chunk.get("usage") or said.usage
    said.report = chunk.get("fanout") or said.report
    for choice in chunk.get("choices", ()):
        index = choice["index"]
        text = choice["delta"].get("content") or ""
        said.model = chunk["model"]
        said.texts[index] = said.texts.get(index, "") + text
        said.choices[index] = {**said.choices.get(index, {}), **choice}


def parse_event(block: bytes) -> Any:
    """One event of a stream: a JSON value, `"[DONE]"`, or a comment as it is."""
    if block.startswith(b":"):
        return block.decode()
    assert block.startswith(b"data: "), block
    data = block.removeprefix(b"data: ")
    return "[DONE]" if data == b"[DONE]" else json.loads(data)
