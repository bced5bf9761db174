"""What openapi.json says of each path that the code does not: bodies, queries and forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import embedding_schemas as embeddings
import openapi_keys

from fanout.http import batch_endpoints, file_endpoints
from fanout.http.auth import KEY_HEADERS
from fanout.http.key_management import budget, global_spend, key, spend, team, user

Schema = dict[str, Any]


REF = "#/components/schemas/"


# The rest of a path that ends with a slash: each form that the endpoint accepts.
TAILS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/chat/completions/"): ("{id}/cancel", "{id}/renew"),
    ("GET", "/models/"): ("{id}",),
    ("POST", "/openai/deployments/"): ("{id}/chat/completions", "{id}/embeddings"),
    ("GET", "/files/"): ("{id}", "{id}/content"),
    ("DELETE", "/files/"): ("{id}",),
    ("POST", "/uploads/"): ("{id}/parts", "{id}/complete", "{id}/cancel"),
    ("GET", "/batches/"): ("{id}",),
    ("DELETE", "/batches/"): ("{id}",),
    ("POST", "/batches/"): ("{id}/cancel", "{id}/retry"),
    ("POST", "/key/"): ("{id}/regenerate", "{id}/reset_spend"),
}


BODIES: Mapping[str, str] = {
    "POST /chat/completions": "ChatCompletionRequest",
    "POST /openai/deployments/{id}/chat/completions": "ChatCompletionRequest",
    "POST /messages": "MessagesRequest",
    "POST /responses": "ResponsesRequest",
    "POST /messages/count_tokens": "CountRequest",
    "POST /responses/input_tokens": "InputTokensRequest",
    **dict.fromkeys(embeddings.PATHS, "EmbeddingRequest"),
    "POST /uploads": "NewUpload",
    "POST /uploads/{id}/complete": "Completion",
    "POST /batches": "NewJob",
    "POST /key/generate": "KeyFields",
    "POST /key/service-account/generate": "KeyFields",
    "POST /key/update": "KeyFields",
}


# The schema of the errors of another API, by its folder of `endpoints/`.
ERRORS: Mapping[str, str] = {"messages": "MessagesError"}


# Multipart forms: the field of the file, and the other fields.
FORMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "POST /files": ("file", ("purpose",)),
    "POST /uploads/{id}/parts": ("data", ()),
}


QUERIES: Mapping[str, tuple[str, ...]] = {
    **openapi_keys.QUERIES,
    "GET /models": ("limit", "mode"),
    "GET /model/info": ("litellm_model_id",),
    "GET /model_group/info": ("model_group",),
    "GET /files": ("after", "limit", "order", "purpose"),
    "GET /batches": ("after", "limit"),
    "POST /openai/deployments/{id}/chat/completions": ("api-version",),
    "POST /openai/deployments/{id}/embeddings": ("api-version",),
}


# Where a client may send its key (fanout.http.auth).
KEYS: Mapping[str, Schema] = {"key": {"type": "http", "scheme": "bearer"}} | {
    f"key_in_{name.replace('-', '_')}": {"type": "apiKey", "in": "header", "name": name}
    for name in KEY_HEADERS
    if name != "authorization"
}


LAZY = (
    batch_endpoints,
    file_endpoints,
    key,
    spend,
    team,
    user,
    budget,
    global_spend,
)
"""The modules whose endpoints are imported at their first request."""


ONCE: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key gets the same response for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


NULLABLE = {"type": ["string", "null"]}


ERROR: Schema = {
    "type": "object",
    "description": "OpenAI's error object. If every model failed, `causes` has an error for each. "
    "If no response fits the schema (`schema_mismatch`), and if time runs out after one that does "
    "not, it has the last `text`, the `reason`, and all `attempts`. If time runs out before models "
    "that are to agree have voted, it has the `attempts`, too. If a success was cut, it has "
    "`may_be_billed`.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": NULLABLE,
                "code": NULLABLE,
                "causes": {"type": "array", "items": {"type": "object"}},
                "text": NULLABLE,
                "reason": NULLABLE,
                "may_be_billed": {"type": "boolean"},
                "attempts": {"type": "array", "items": {"$ref": REF + "Attempt"}},
            },
        }
    },
}


ANYTHING: Schema = {"type": "object"}


# The responses of other APIs than chat completions.
OTHER_APIS: Mapping[str, str] = {"MessagesRequest": "Message", "ResponsesRequest": "Response"}
