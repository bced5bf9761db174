"""The schemas of `/v1/embeddings` in the OpenAPI description."""

from __future__ import annotations

from typing import Any

from fanout.endpoints.embeddings.request import SEVERAL

Schema = dict[str, Any]

PATHS = ("POST /embeddings", "POST /openai/deployments/{id}/embeddings")

_TEXT: Schema = {"type": "string", "minLength": 1}
_TOKENS: Schema = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}
_NUMBERS: Schema = {"type": "array", "items": {"type": "number"}}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _or_null(**schema: Any) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


REQUEST: Schema = {
    "title": "EmbeddingRequest",
    "type": "object",
    "description": "Other fields are passed on to providers with an OpenAI-compatible API. "
    f"{', '.join(f'`{name}`' for name in sorted(SEVERAL))} are rejected.",
    "required": ["input"],
    "properties": {
        "model": _TEXT,
        "input": {
            "description": "A text, its tokens, or a list of either.",
            "anyOf": [
                _TEXT,
                {"type": "array", "minItems": 1, "items": _TEXT},
                _TOKENS,
                {"type": "array", "minItems": 1, "items": _TOKENS},
            ],
        },
        "dimensions": _or_null(type="integer", minimum=1, maximum=100_000),
        "drop_params": _or_null(type="boolean"),
        "encoding_format": {"enum": ["float", "base64", None]},
        "input_type": _or_null(type="string", minLength=1, maxLength=64),
        "num_retries": _or_null(type="integer", minimum=0, maximum=100),
        "timeout": _or_null(type="number", exclusiveMinimum=0, maximum=86_400),
        "user": _or_null(type="string"),
    },
}

RESPONSE: Schema = {
    "title": "EmbeddingResponse",
    "type": "object",
    "required": ["object", "data", "model", "usage"],
    "properties": {
        "object": {"const": "list"},
        "model": {"type": "string"},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["object", "index", "embedding"],
                "properties": {
                    "object": {"const": "embedding"},
                    "index": _COUNT,
                    "embedding": {
                        "description": "Numbers, or base64 of 32-bit floats (little-endian).",
                        "anyOf": [_NUMBERS, {"type": "string"}],
                    },
                },
            },
        },
        "usage": {
            "type": "object",
            "properties": {"prompt_tokens": _COUNT, "total_tokens": _COUNT},
        },
    },
}
