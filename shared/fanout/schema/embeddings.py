"""
What one call for embeddings asks of a provider, and what it returns.

`endpoints/embeddings` reads whole requests; the gateway divides them into these parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import field

from ..secret import HiddenRepr

Encoding: TypeAlias = Literal["float", "base64"]

Input: TypeAlias = str | list[int]
"""A text, or its tokens as the model counts them."""


class EmbeddingPart(HiddenRepr, frozen=True, kw_only=True):
    """
    The inputs of one call: texts, or lists of tokens, never both.

    `encoding` is the form in which the vectors are best sent. `body` has the request's fields that
    only a vendor knows. LiteLLM's `additional_drop_params` and `allowed_openai_params` say what is
    left out, and what is sent although the API is not known to have it.
    """

    inputs: Sequence[Input]
    dimensions: int | None = None
    input_type: str | None = None
    user: str | None = None
    encoding: Encoding = "float"
    additional_drop_params: Sequence[str] | None = None
    allowed_openai_params: Sequence[str] | None = None
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_tokens(self) -> bool:
        """Whether the inputs are lists of tokens."""
        return not isinstance(self.inputs[0], str)

    @property
    def is_text(self) -> bool:
        """Whether there is no address of a file in it, which is always so."""
        return True


class Vectors(HiddenRepr, frozen=True):
    """
    A vector for each input, in order, as `wire/vectors.py` has them.

    `tokens` is the number of tokens of the inputs; `None` if the provider does not return it.
    """

    items: list[bytes]
    tokens: int | None = None


QUERY, DOCUMENT = "query", "document"

_ROLES: Mapping[str, str] = {
    "query": QUERY,
    "search_query": QUERY,
    "retrieval_query": QUERY,
    "document": DOCUMENT,
    "passage": DOCUMENT,
    "search_document": DOCUMENT,
    "retrieval_document": DOCUMENT,
}
"""The vendors' names for the two common values of `input_type`."""


def role_of(input_type: str) -> str:
    """`query` or `document` for the vendors' names of these; any other value in lower case."""
    name = input_type.lower()
    return _ROLES.get(name, name)
