"""What `openapi.json` says of Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
BLOCKS: Schema = {"type": "array", "items": {"type": "object"}}
TEXT_OR_BLOCKS: Schema = {"anyOf": [TEXT, BLOCKS]}

REQUEST: Schema = {
    "title": "MessagesRequest",
    "type": "object",
    "description": "Anthropic's fields, and those of the gateway. The header `x-fanout-dropped` "
    "names the fields that have no place where the request is translated.",
    "properties": {
        "model": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": TEXT}]},
        "max_tokens": {"type": "integer", "minimum": 1},
        "system": TEXT_OR_BLOCKS,
        "messages": {
            "type": "array",
            "description": "Only a `thread` of type `continue` may have none.",
            "items": {
                "type": "object",
                "properties": {
                    "role": {"enum": ["user", "assistant", "system"]},
                    "content": TEXT_OR_BLOCKS,
                },
                "required": ["role"],
            },
        },
        "tools": {"type": "array", "items": {"type": "object"}},
        "tool_choice": {"type": "object"},
        "thinking": {"type": "object"},
        "thread": {"type": "object", "properties": {"type": {"enum": ["create", "continue"]}}},
        "output_config": {"type": "object"},
        "stop_sequences": {"type": "array", "items": TEXT},
        "stream": {"type": "boolean"},
        "temperature": {"type": "number", "minimum": 0, "maximum": 1},
        "top_p": {"type": "number", "minimum": 0, "maximum": 1},
        "top_k": {"type": "integer", "minimum": 0},
        "metadata": {"type": "object", "properties": {"user_id": TEXT}},
        "fastest_response": {"type": "boolean"},
        "fanout": {"$ref": "#/components/schemas/FanOutField"},
    },
    "required": ["max_tokens", "messages"],
    "anyOf": [{"required": ["model"]}, {"required": ["fanout"]}],
}

COUNT: Schema = {
    "title": "CountRequest",
    "type": "object",
    "description": "A `MessagesRequest` without `max_tokens`.",
    "properties": {
        name: REQUEST["properties"][name]
        for name in ("messages", "model", "system", "thinking", "tool_choice", "tools")
    },
    "required": ["messages", "model"],
}

RESPONSE: Schema = {
    "type": "object",
    "description": "Anthropic's message. With several models, `content` is one model's, and "
    "`fanout` has the report and the other models' responses.",
    "properties": {
        "id": TEXT,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": TEXT,
        "content": BLOCKS,
        "stop_reason": {"type": ["string", "null"]},
        "stop_sequence": {"type": ["string", "null"]},
        "usage": {"type": "object"},
        "fanout": {"type": "object"},
    },
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
}

ERROR: Schema = {
    "type": "object",
    "description": "Anthropic's error object, or the vendor's own with all its fields.",
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "properties": {"type": TEXT, "message": TEXT, "details": {"type": "object"}},
            "required": ["type", "message"],
        },
        "request_id": TEXT,
    },
    "required": ["type", "error"],
}

SCHEMAS = {
    "MessagesRequest": REQUEST,
    "CountRequest": COUNT,
    "Message": RESPONSE,
    "MessagesError": ERROR,
}
