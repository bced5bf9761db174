"""
Providers of embeddings that enforce their vendors' limits: a step for a scripted provider.

The vector of a text depends on the text alone, so a test can tell whether it has its own.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from .scripted_provider import Call, Step

WIDTH = 4
MOST = {
    "openai": 2_048,
    "cohere": 96,
    "gemini": 100,
    "titan": 1,
    "bedrock-cohere": 96,
    "mistral": 256,
    "voyage": 1_000,
    "vertex": 250,
    "ollama": 100_000,
}


def vector_of(one: object, numbers: int = WIDTH) -> list[float]:
    """The vector that each of these providers returns for an input, as 32-bit floats."""
    seed = crc32(str(one).encode())
    values = [(seed >> number % 24) % 1_000 / 999 - 0.5 for number in range(numbers)]
    return [struct.unpack("<f", struct.pack("<f", value))[0] for value in values]


def base64_of(values: Sequence[float]) -> str:
    """The vector as OpenAI writes it in base64."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def embeds(vendor: str, *, tokens: int | None = None, reverses: bool = False) -> Step:
    """
    Respond as the vendor does, with an error of 400 over its limit of inputs or of `tokens`.

    With `reverses`, the vectors are not in the order of the inputs.
    """

    async def step(call: Call) -> None:
        inputs, numbers = _read(vendor, call)
        size = sum(len(one) // 4 if isinstance(one, str) else len(one) for one in inputs)
        if len(inputs) > MOST[vendor] or (tokens is not None and size > tokens):
            text = f"{len(inputs)} inputs, {size} tokens: more than {tokens} tokens per request"
            fault = {"message": text}
            _send(call, {**fault, "error": fault}, 400)
            return
        vectors = [vector_of(one, numbers or WIDTH) for one in inputs]
        headers = {"x-amzn-bedrock-input-token-count": str(3 * len(inputs))}
        _send(call, _response(vendor, call, vectors, reverses=reverses), 200, headers)

    return step


def _read(vendor: str, call: Call) -> tuple[Sequence[Any], int | None]:
    """The inputs and the dimensions, as the vendor names them."""
    body = call.body
    match vendor:
        case "cohere" | "bedrock-cohere":
            return body["texts"], body.get("output_dimension")
        case "gemini":
            found = body["requests"]
            assert all(len(one["content"]["parts"]) == 1 for one in found)
            texts = [one["content"]["parts"][0]["text"] for one in found]
            return texts, found[0].get("outputDimensionality")
        case "titan":
            return [body["inputText"]], body.get("dimensions")
        case "vertex":
            dimensions = body.get("parameters", {}).get("outputDimensionality")
            return [one["content"] for one in body["instances"]], dimensions
        case "mistral" | "voyage":
            return body["input"], body.get("output_dimension")
        case _:
            return body["input"], body.get("dimensions")


def _response(vendor: str, call: Call, vectors: list[list[float]], *, reverses: bool) -> object:
    tokens = 3 * len(vectors)
    match vendor:
        case "cohere":
            meta = {"billed_units": {"input_tokens": tokens}}
            return {"id": "e", "embeddings": {"float": vectors}, "texts": [], "meta": meta}
        case "bedrock-cohere":
            return {"id": "e", "embeddings": vectors, "response_type": "embeddings_floats"}
        case "gemini":
            return {"embeddings": [{"values": one} for one in vectors]}
        case "titan":
            return {"embedding": vectors[0], "inputTextTokenCount": tokens}
        case "vertex":
            statistics = {"token_count": 3, "truncated": False}
            found = [{"values": one, "statistics": statistics} for one in vectors]
            return {"predictions": [{"embeddings": one} for one in found]}
        case _:
            pass  # OpenAI's format
    is_base64 = call.body.get("encoding_format") == "base64" and vendor != "ollama"
    data = [
        {"object": "embedding", "index": n, "embedding": base64_of(one) if is_base64 else one}
        for n, one in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data[::-1] if reverses else data, "usage": usage}


def _send(call: Call, body: object, status: int, headers: Mapping[str, str] = {}) -> None:
    content = json.dumps(body).encode()
    call.whole(status, content, {"content-type": "application/json", **headers})
