"""LlamaIndex's embeddings against the gateway at `argv[1]`."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version

from cases import check, run_cases
from llama_index.embeddings.openai import OpenAIEmbedding
from openai import NotFoundError

COUNT = 300
TEXTS = ["x" * (1 + number % 50) for number in range(COUNT)]


def embedding(model: str = "vectors") -> OpenAIEmbedding:
    """Return the class that users have; `model` takes OpenAI's own names only."""
    return OpenAIEmbedding(
        model_name=model,
        api_base=sys.argv[1],
        api_key="none",
        embed_batch_size=2048,
        max_retries=0,
    )


def check_vectors(vectors: list[list[float]]) -> str:
    """The first number of a vector of the stub is the length of its text."""
    found = [vector[0] for vector in vectors]
    check(found == [float(len(text)) for text in TEXTS], found)
    return f"{len(vectors)} vectors"


def batch() -> str:
    check_vectors(embedding().get_text_embedding_batch(TEXTS))
    vectors = asyncio.run(embedding().aget_text_embedding_batch(TEXTS))
    check(embedding().get_query_embedding("four")[0] == len("four"), "the query")
    return check_vectors(vectors)


def unknown_model() -> str:
    try:
        embedding("no-such-model").get_query_embedding("a")
    except NotFoundError as raised:
        return type(raised).__name__
    raise AssertionError("no error was raised")


run_cases(
    f"llama-index-embeddings-openai {version('llama-index-embeddings-openai')} (Python)",
    {"embeddings": batch, "unknown model": unknown_model},
)
