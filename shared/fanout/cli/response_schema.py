"""Reads the file of `--response-format`: a JSON Schema, or a whole `response_format`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..bulk.local.input_files import reading_errors
from ..errors import RequestError
from ..schema.fanout import parse_request
from ..schema.request import MAX_ATTEMPTS
from ..wire import json
from .config_choice import split_names
from .option_names import options_named

MAX_NAME = 64
"""Characters of a schema's name; see `json_schema.name` in OpenAI's reference."""

SCALARS = frozenset({"integer", "number", "boolean"})


class ResponseFormat(Struct, frozen=True):
    """The `response_format` of each request, and the properties of its schema with their types."""

    value: dict[str, Any]
    fields: dict[str, str]
    has_schema: bool = True


def read_checked_format(
    arguments: argparse.Namespace, *, is_required: bool
) -> tuple[ResponseFormat | None, dict[str, Any]]:
    """
    The format of `--response-format`, and the fields of `fanout` for `--check`.

    With `is_required`, a check needs the option: the requests have no format of their own. Raises
    `RequestError` for a schema by which nothing can be checked.
    """
    check, path = read_check(arguments), arguments.response_format
    if path is None:
        if check and is_required:
            raise RequestError("--check needs --response-format FILE", "check")
        return None, check
    form = read_response_format(path)
    if check and not form.has_schema:
        raise RequestError(f"--check needs a JSON Schema, and `{path}` has none", "check")
    if check:
        prompt = {"role": "user", "content": "-"}
        given = {"response_format": form.value, "fanout": check}
        with options_named():
            parse_request({"model": "-", "messages": [prompt], **given})
    return form, check


def read_response_format(path: str) -> ResponseFormat:
    """The format; raises `RequestError` for a file that is none."""
    with reading_errors(f"`{path}`"):
        data = Path(path).read_bytes()
    try:
        value = json.decode_strict(data.removeprefix(json.BOM))
    except json.BadJSON as error:
        raise _wrong(f"`{path}` is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise _wrong(f"`{path}` is not a JSON Schema: it must be an object")
    if value.get("type") in {"json_schema", "json_object", "text"}:
        schema = _schema_of(value)
        if value["type"] == "json_schema" and schema is None:
            raise _wrong(f"`{path}` has no `json_schema.schema`")
        return ResponseFormat(value, _fields(schema or {}), schema is not None)
    if not value.keys() & {"type", "properties", "$ref", "anyOf", "allOf", "oneOf", "enum"}:
        raise _wrong(f"`{path}` is not a JSON Schema: it has no `type` and no `properties`")
    name = re.sub(r"[^\w-]", "_", str(value.get("title") or Path(path).stem), flags=re.ASCII)
    named = {"name": name[:MAX_NAME] or "response", "schema": value}
    strict = {"strict": True} if _is_strict(value) else {}
    return ResponseFormat(
        {"type": "json_schema", "json_schema": {**named, **strict}}, _fields(value)
    )


def read_check(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of `fanout` that `--check` and the options beside it stand for."""
    given = {"attempts": arguments.attempts, "escalate": arguments.escalate}
    given = {name: value for name, value in given.items() if value is not None}
    if not arguments.check:
        if given:
            name = next(iter(given))
            raise RequestError(f"--{name} needs --check", name)
        return {}
    if (attempts := arguments.attempts) is not None and not 1 <= attempts <= MAX_ATTEMPTS:
        raise RequestError(f"--attempts must be from 1 to {MAX_ATTEMPTS}", "attempts")
    if arguments.escalate:
        given["escalate"] = split_names(arguments.escalate)
    return {"check": True, **given}


def _wrong(message: str) -> RequestError:
    return RequestError(message, "response-format")


def _schema_of(form: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of a `response_format`, also in LiteLLM's form."""
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else form.get("response_schema")
    return schema if isinstance(schema, dict) else None


def _fields(schema: Mapping[str, Any]) -> dict[str, str]:
    """The properties with their types; another type than a number or `true` is a text."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: _type(value) for name, value in properties.items()}


def _type(schema: object) -> str:
    found = schema.get("type") if isinstance(schema, dict) else None
    kinds = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    kinds = [kind for kind in kinds if kind != "null"]
    return str(kinds[0]) if len(kinds) == 1 and kinds[0] in SCALARS else "string"


def _is_strict(node: object) -> bool:
    """
    Whether each object keeps OpenAI's rules for `strict`: all properties required, and no other.

    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas (2026-11-29)
    """
    if isinstance(node, list):
        return all(map(_is_strict, node))
    if not isinstance(node, dict):
        return True
    properties = node.get("properties")
    if node.get("type") == "object" or isinstance(properties, dict):
        required = node.get("required")
        names = set(properties) if isinstance(properties, dict) else set()
        is_closed = node.get("additionalProperties") is False
        if not is_closed or not isinstance(required, list) or set(map(str, required)) != names:
            return False
    return all(map(_is_strict, node.values()))
