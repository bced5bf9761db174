"""What `openapi.json` says of OpenAI's Responses API."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}

REQUEST: Schema = {
    "title": "ResponsesRequest",
    "type": "object",
    "description": "OpenAI's fields, and those of the gateway. The header `x-fanout-dropped` names "
    "what has no place where the request is translated. Fields that need stored responses are "
    "rejected.",
    "properties": {
        "model": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": TEXT}]},
        "input": {
            "anyOf": [
                TEXT,
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": TEXT,
                            "role": {"enum": ["user", "assistant", "system", "developer"]},
                            "content": {"anyOf": [TEXT, OBJECTS]},
                        },
                    },
                },
            ]
        },
        "instructions": {"type": ["string", "null"]},
        "tools": OBJECTS,
        "tool_choice": {"anyOf": [TEXT, {"type": "object"}]},
        "parallel_tool_calls": {"type": ["boolean", "null"]},
        "text": {"type": "object"},
        "reasoning": {"type": ["object", "null"]},
        "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "metadata": {"type": ["object", "null"], "additionalProperties": TEXT},
        "store": {"type": ["boolean", "null"]},
        "stream": {"type": ["boolean", "null"]},
        "fastest_response": {"type": "boolean"},
        "fanout": {"$ref": "#/components/schemas/FanOutField"},
    },
    "required": ["input"],
    "anyOf": [{"required": ["model"]}, {"required": ["fanout"]}],
}

COUNT: Schema = {
    "title": "InputTokensRequest",
    "type": "object",
    "description": "A `ResponsesRequest` whose response is the number of its tokens.",
    "properties": {
        name: REQUEST["properties"][name]
        for name in ("input", "instructions", "model", "text", "tools", "tool_choice")
    },
    "required": ["input", "model"],
}

RESPONSE: Schema = {
    "type": "object",
    "description": "OpenAI's response. With several models, `output` is one model's, and `fanout` "
    "has the report and the other models' responses.",
    "properties": {
        "id": TEXT,
        "object": {"const": "response"},
        "created_at": {"type": "integer"},
        "status": {"enum": ["completed", "incomplete", "failed", "in_progress"]},
        "model": TEXT,
        "output": OBJECTS,
        "usage": {"type": ["object", "null"]},
        "error": {"type": ["object", "null"]},
        "fanout": {"type": "object"},
    },
    "required": ["id", "object", "created_at", "status", "model", "output"],
}

SCHEMAS = {
    "ResponsesRequest": REQUEST,
    "InputTokensRequest": COUNT,
    "Response": RESPONSE,
}
