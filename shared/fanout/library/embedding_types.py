"""The public types of `embedding`: pydantic models with the field names of OpenAI's API."""

from __future__ import annotations

from typing import Literal

from .json_object import JSONObject
from .types import Usage


class Embedding(JSONObject):
    """The vector of one input: its numbers, or base64 of 32-bit floats (little-endian)."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingResponse(JSONObject):
    """A vector for each input, in order. `usage` is 0 where the provider does not count tokens."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage
