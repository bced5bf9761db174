"""
Generates the OpenAPI 3.1 description of the HTTP API from the request structs and the routes.

`make docs` writes it into the package, from where `GET /openapi.json` serves it. See
https://spec.openapis.org/oas/v3.1.0.
"""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import embedding_schemas as embeddings
import msgspec
import openapi_keys
import openapi_messages
import openapi_responses
from openapi_tables import (
    ANYTHING,
    BODIES,
    ERROR,
    ERRORS,
    FORMS,
    KEYS,
    LAZY,
    ONCE,
    OTHER_APIS,
    QUERIES,
    REF,
    TAILS,
    Schema,
)

from fanout.bulk.service.new_job import NewJob
from fanout.gateway import report
from fanout.gateway.report import Report
from fanout.http.file_endpoints import Completion, NewUpload
from fanout.http.key_management.routes import KEY_ROUTES
from fanout.http.routes import AZURE, ROUTES, Route
from fanout.keys.litellm import KeyFields
from fanout.schema.agreement import AgreeReport
from fanout.schema.chat import ChatChunk, ChatCompletion
from fanout.schema.fanout import MAX_FIELDS
from fanout.schema.gateway_fields import GATEWAY_FIELDS, GatewayFields
from fanout.schema.judging import JudgeReport
from fanout.schema.litellm_arguments import FORBIDDEN
from fanout.schema.request import ChatRequest


def description() -> str:
    """Return the whole document as JSON."""
    components = _components()
    paths: dict[str, Schema] = {}
    for route in (*ROUTES, *KEY_ROUTES):
        for path in _paths(route):
            operation = _operation(route, path)
            full = path if path.startswith(AZURE) else f"/v1{path}"
            paths.setdefault(full, {})[route.method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Fanout",
            "version": _version(),
            "description": "OpenAI's API over many models. Each path also works without `/v1`, and "
            "with Azure's `/openai` before it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [*({name: []} for name in KEYS), {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": KEYS,
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _version() -> str:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def _components() -> dict[str, Schema]:
    # The module of `Report` imports these for type checkers only.
    vars(report).update(AgreeReport=AgreeReport, JudgeReport=JudgeReport)
    kinds = [
        ChatRequest,
        GatewayFields,
        NewUpload,
        Completion,
        NewJob,
        ChatCompletion,
        ChatChunk,
        KeyFields,
    ]
    _, found = msgspec.json.schema_components([*kinds, Report], ref_template=REF + "{name}")
    found["Report"]["required"] = ["mode"]  # in mode all, each choice has its calls
    for name in ("ChatCompletion", "ChatChunk"):
        found[name]["properties"]["fanout"] = {"$ref": REF + "Report"}
    checked, addressed = found.pop("ChatRequest"), found.pop("GatewayFields")
    found["ChatCompletionRequest"] = _request(checked, addressed)
    found["Error"] = ERROR
    found |= openapi_messages.SCHEMAS | openapi_responses.SCHEMAS
    found["EmbeddingRequest"] = embeddings.REQUEST
    found["EmbeddingResponse"] = embeddings.RESPONSE
    del found["MessagePosition"]  # only the codecs know it
    kept: dict[str, Schema] = _without_others(dict(sorted(found.items())))
    return kept


def _without_others(value: Any) -> Any:
    """The same without the stand-ins of vendors' own roles, parts, tools and formats (`*`)."""
    if isinstance(value, list):
        return [_without_others(item) for item in value if not _is_other(item)]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_others(item)
        for name, item in value.items()
        if name != "*" and not (isinstance(item, dict) and "*" in _types(item))
    }


def _is_other(item: Any) -> bool:
    return isinstance(item, dict) and item.get("$ref", "").startswith(f"{REF}Other")


def _types(schema: Schema) -> list[str]:
    properties = schema.get("properties", {})
    tag = "role" if "role" in properties else "type"
    kind = properties.get(tag, {}) if isinstance(properties, dict) else {}
    found: list[str] = kind.get("enum", []) if isinstance(kind, dict) else []
    return found


def _request(checked: Schema, addressed: Schema) -> Schema:
    """Return the schema of a request: the fields for a model, and those for the gateway."""
    fields = {**checked["properties"], **addressed["properties"]}
    for inner in ("body", "extensions", "left_out", "names", "original", "places"):
        fields.pop(inner)
    one = fields["messages"]
    fields["messages"] = {
        "description": "One conversation, or a list of them.",
        "anyOf": [one, {"type": "array", "minItems": 1, "items": one}],
    }
    return {
        "title": "ChatCompletionRequest",
        "type": "object",
        "description": "Other fields are passed on to providers with an OpenAI-compatible API, and "
        "so are content parts, tools and formats of other types. "
        f"{', '.join(f'`{name}`' for name in sorted(FORBIDDEN))} are rejected.",
        "properties": dict(sorted(fields.items())),
        "required": ["messages"],
        "anyOf": [{"required": ["model"]}, {"required": ["fanout"]}],
        "maxProperties": MAX_FIELDS,
        "x-gateway-fields": sorted(GATEWAY_FIELDS),
    }


def _paths(route: Route) -> Iterator[str]:
    if not route.has_tail:
        yield route.path
        return
    for tail in TAILS[route.method, route.path]:
        yield route.path + tail


def _operation(route: Route, path: str) -> Schema:
    name = f"{route.method} {path}"
    operation: Schema = {"summary": _summary(route), "operationId": _identifier(route, path)}
    if parameters := [*_parameters(path, name), *([ONCE] if route.is_idempotent else [])]:
        operation["parameters"] = parameters
    if body := _body(name):
        operation["requestBody"] = {"required": True, "content": body}
    failure = _failure(ERRORS.get(route.surface, "Error"))
    operation["responses"] = {"200": _response(name), "4XX": failure, "5XX": failure}
    if route.is_public:
        operation["security"] = [{}]
    return operation


def _summary(route: Route) -> str:
    """Return the first paragraph of the docstring of the endpoint, or of its translation."""
    if route.surface:
        text = inspect.getdoc(import_module(f"fanout.endpoints.{route.surface}.surface")) or ""
        return " ".join(text.split("\n\n")[0].split())
    name = getattr(route.endpoint, "__name__", "")
    # The table has a lazy placeholder, of the same name, for each endpoint of files and batches.
    found = (getattr(module, name, None) for module in LAZY)
    endpoint = next((one for one in found if one is not None), route.endpoint)
    text = inspect.getdoc(endpoint) or ""
    return " ".join(text.split("\n\n")[0].split())


def _identifier(route: Route, path: str) -> str:
    words = [word.strip("{}") for word in path.split("/") if word]
    return "_".join([route.method.lower(), *words])


def _parameters(path: str, name: str) -> Iterator[Schema]:
    if "{id}" in path:
        yield {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    for query in QUERIES.get(name, ()):
        kind = "integer" if query == "limit" else "string"
        yield {"name": query, "in": "query", "schema": {"type": kind}}


def _body(name: str) -> Schema | None:
    if name in BODIES:
        return {"application/json": {"schema": {"$ref": REF + BODIES[name]}}}
    if name in openapi_keys.BODIES:
        return {"application/json": {"schema": openapi_keys.BODIES[name]}}
    if name not in FORMS:
        return None
    file, fields = FORMS[name]
    properties: Schema = {file: {"type": "string", "format": "binary"}}
    properties |= {field: {"type": "string"} for field in fields}
    form = {"type": "object", "properties": properties, "required": [file, *fields]}
    return {"multipart/form-data": {"schema": form}}


def _response(name: str) -> Schema:
    if BODIES.get(name) == "ChatCompletionRequest":
        shape = {"anyOf": [{"$ref": REF + "ChatCompletion"}, {"type": "array"}]}
        content = {
            "application/json": {"schema": shape},
            "text/event-stream": {"schema": {"$ref": REF + "ChatChunk"}},
        }
        return {"description": "The response, or its stream of chunks.", "content": content}
    if (other := OTHER_APIS.get(BODIES.get(name, ""))) is not None:
        content = {
            "application/json": {"schema": {"$ref": REF + other}},
            "text/event-stream": {"schema": ANYTHING},
        }
        return {"description": f"The {other.lower()}, or its stream of events.", "content": content}
    if name in embeddings.PATHS:
        content = {"application/json": {"schema": {"$ref": REF + "EmbeddingResponse"}}}
        return {"description": "A vector for each input, in order.", "content": content}
    if name.endswith("/content"):
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        return {"description": "The file's bytes.", "content": content}
    if name.startswith("GET /health/live"):
        content = {"application/json": {"schema": {"type": "string"}}}
        return {"description": "LiteLLM's text.", "content": content}
    is_control = "/chat/completions/" in name
    return {
        "description": "The request's id and status." if is_control else "The same as OpenAI's.",
        "content": {"application/json": {"schema": ANYTHING}},
    }


def _failure(name: str) -> Schema:
    content = {"application/json": {"schema": {"$ref": REF + name}}}
    return {"description": "An error (docs/fan-out.md has each).", "content": content}
