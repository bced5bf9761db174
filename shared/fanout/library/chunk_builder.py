"""`stream_chunk_builder`: the chunks of a stream as one response, as in LiteLLM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, overload

from pydantic import BaseModel

from ..errors import RequestError
from ..schema.accumulator import ChunkAccumulator
from .openai_errors import openai_errors
from .options import ResponseFormat
from .parsed_types import ParsedChatCompletion, ParsedT
from .structured_output import parsed
from .types import ChatCompletion

REJECTED: Mapping[str, str] = {
    "start_time": "measure the time where you read the stream",
    "end_time": "measure the time where you read the stream",
    "logging_obj": "the log has one JSON line for each attempt",
    "count_prompt_tokens": "tokens are counted by the providers",
}
"""LiteLLM's arguments without an effect: the signature in LiteLLM 1.110.2 (2026-11)."""


@overload
def stream_chunk_builder(
    chunks: Iterable[Any], messages: object = None, *, response_format: type[ParsedT]
) -> ParsedChatCompletion[ParsedT]: ...


@overload
def stream_chunk_builder(
    chunks: Iterable[Any],
    messages: object = None,
    *,
    response_format: ResponseFormat | None = None,
) -> ChatCompletion: ...


def stream_chunk_builder(
    chunks: Iterable[Any],
    messages: object = None,
    *,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **litellms: object,
) -> ChatCompletion:
    """
    Build the response that a stream's chunks are the pieces of.

    The chunks are those of a stream of Fanout, in order, from the first on; OpenAI's SDK's and
    dicts work, too. Texts, tool calls and log probabilities are joined for each choice. `usage` is
    the provider's, and `None` if the stream has none; `stream_options={"include_usage": True}` asks
    for it. Without the last chunks, `finish_reason` is `None`.

    With the pydantic class that the stream's request had as `response_format`, each message has
    `.parsed`, an instance of the class; chunks of a response that does not fit raise
    `SchemaMismatch`. Any other `response_format` has no effect, and neither has `messages`, with
    which LiteLLM estimates a missing usage.

    Raises `RequestError` if there are no chunks, if one is none, or for LiteLLM's other arguments.
    """
    del messages
    with openai_errors():
        _reject(litellms)
        completion = ChatCompletion.from_json(_joined(chunks))
        if isinstance(response_format, type):
            return parsed(completion, response_format)
        return completion


def _reject(arguments: Mapping[str, object]) -> None:
    """Raise for an argument that asks for something; LiteLLM's are rejected with the reason."""
    for name, value in arguments.items():
        if name not in REJECTED:
            raise TypeError(f"stream_chunk_builder() got an unexpected keyword argument '{name}'")
        if value is not None:
            raise RequestError(f"`{name}` has no effect here ({REJECTED[name]}): remove it", name)


def _joined(chunks: object) -> Mapping[str, Any]:
    if not isinstance(chunks, Iterable):
        kind = type(chunks).__name__
        raise RequestError(f"`chunks` is a {kind} and not a list of chunks", "chunks")
    accumulator, count = ChunkAccumulator(), 0
    for count, chunk in enumerate(chunks, 1):
        accumulator.add(_fields(chunk, count - 1))
    if not count:
        raise RequestError("`chunks` is empty: keep each chunk of the stream in a list", "chunks")
    return accumulator.completion()


def _fields(chunk: object, index: int) -> Any:
    """The chunk as JSON, with the lists and objects that a chunk must have."""
    if isinstance(chunk, BaseModel):
        fields: Any = chunk.model_dump(mode="json", exclude_unset=True, warnings=False)
    else:
        fields = chunk
    if not isinstance(fields, Mapping):
        kind = type(chunk).__name__
        raise RequestError(f"`chunks[{index}]` is a {kind} and not a chunk", f"chunks[{index}]")
    choices = fields.get("choices")
    listed = choices if isinstance(choices, list) else ()
    kept = [{**one, "delta": one.get("delta") or {}} for one in listed if isinstance(one, Mapping)]
    return {**fields, "choices": kept}
