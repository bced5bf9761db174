"""`response_format=SomeModel`: its JSON Schema in the request, its instance in the response."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import GenericAlias
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import RequestError, SchemaMismatch
from .inputs import json_schema
from .parsed_types import ParsedChatCompletion
from .types import ChatCompletion

MAX_NAME = 64
"""Characters of a schema's name; see `json_schema.name` in OpenAI's reference."""


def parsed_class(options: dict[str, Any]) -> type[BaseModel] | None:
    """The pydantic class given as `response_format`, which its schema replaces in `options`."""
    kind = options.get("response_format")
    if not isinstance(kind, type) or isinstance(kind, GenericAlias):
        _check_format(kind)
        return None
    options["response_format"] = schema_format(kind)
    return kind


def _check_format(given: object) -> None:
    """Raise `RequestError` for an instance, or a list, of the class that is wanted."""
    name = "response_format"
    if isinstance(given, BaseModel) and "type" not in type(given).model_fields:
        kind = type(given).__name__
        raise RequestError(f"`{name}` is an instance of `{kind}`: give the class, `{kind}`", name)
    if not isinstance(given, Mapping | BaseModel | None):
        raise _no_format(str(given) if hasattr(given, "__origin__") else type(given).__name__)


def _no_format(kind: str) -> RequestError:
    wanted = "a pydantic class (with a field for a list) or a dict"
    return RequestError(f"`response_format` must be {wanted}, not `{kind}`", "response_format")


def schema_format(kind: type[BaseModel]) -> dict[str, Any]:
    """The `response_format` that makes a model respond with JSON of this class."""
    schema = strict_schema(json_schema(kind, "response_format"))
    if schema.get("type") != "object":  # of a `RootModel`; OpenAI requires an object at the root
        raise _no_format(kind.__name__)
    name = "".join(c if c.isalnum() or c in "_-" else "_" for c in kind.__name__)[:MAX_NAME]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": schema, "strict": True},
    }


def strict_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """
    The schema within OpenAI's rules for `strict: true`: no other properties, all required, no
    `null` as a default, an object at the root, and no other keyword beside a `$ref`.

    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    strict: dict[str, Any] = _strict(schema, schema.get("$defs", {}))
    return strict


def _strict(node: Any, definitions: dict[str, Any], inside: frozenset[str] = frozenset()) -> Any:
    """The node by these rules; `inside` are the definitions that were put in its place."""
    if isinstance(node, list):
        return [_strict(item, definitions, inside) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) > 1 and (named := _definition(node, definitions)) is not None:
        # What stands beside a `$ref` (a description, the root's `$defs`) is kept by inlining it.
        ref = node["$ref"]
        if ref in inside:  # a definition that refers to itself ends here
            return {"$ref": ref}
        rest = {name: item for name, item in node.items() if name != "$ref"}
        return _strict({**named, **rest}, definitions, inside | {ref})
    strict = {
        name: {key: _strict(one, definitions, inside) for key, one in item.items()}
        if name in {"properties", "$defs"} and isinstance(item, dict)
        else _strict(item, definitions, inside)
        for name, item in node.items()
        if not (name == "default" and item is None)
    }
    if len(choices := strict.get("allOf", [])) == 1 and isinstance(choices[0], dict):
        strict.pop("allOf")
        strict = {**strict, **choices[0]}
    if strict.get("type") == "object" and "properties" in strict:
        strict["additionalProperties"] = False
        strict["required"] = list(strict["properties"])
    return strict


def _definition(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any] | None:
    """The definition that a node refers to, as pydantic writes it: `#/$defs/NAME`."""
    found: dict[str, Any] | None = definitions.get(
        str(node.get("$ref", "")).removeprefix("#/$defs/")
    )
    return found


@lru_cache(maxsize=128)
def _completion_class(kind: type[BaseModel]) -> type[ParsedChatCompletion[Any]]:
    """`ParsedChatCompletion[kind]`, kept: pydantic forgets it as soon as no object has it."""
    return ParsedChatCompletion[kind]  # type: ignore[valid-type]


def parsed(completion: ChatCompletion, kind: type[BaseModel]) -> ParsedChatCompletion[Any]:
    """
    The completion with `.parsed` set on each message that has content.

    A refusal has `parsed=None`. Raises `SchemaMismatch`, which holds the completion, if a content
    does not fit the class, for example because it was cut at `max_tokens`.
    """
    result: ParsedChatCompletion[Any] = _completion_class(kind).from_json(completion.model_dump())
    for choice in result.choices:
        message = choice.message
        message.parsed = None
        if message.content is None or message.refusal:
            continue
        try:
            message.parsed = kind.model_validate_json(message.content)
        except ValidationError as error:
            reason = _reason(error)
            if choice.finish_reason == "length":
                reason = "it was cut off at the most tokens it may have; raise `max_tokens`"
            raise SchemaMismatch(
                f"`{completion.model}`: the response is not a `{kind.__name__}`: {reason}",
                text=message.content,
                reason=reason,
                completion=completion,
            ) from None
    return result


def is_parsed(completion: Mapping[str, Any], kind: type[BaseModel]) -> bool:
    """Whether `parsed` accepts the completion; not if a validator of the class fails."""
    for choice in completion["choices"]:
        message = choice["message"]
        if (text := message.get("content")) is None or message.get("refusal"):
            continue
        try:
            kind.model_validate_json(text)
        except Exception:  # noqa: BLE001 -- a validator is the caller's code
            return False
    return True


def _reason(error: ValidationError) -> str:
    """Each problem and where it is, without the values, which may quote a prompt."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" if one["loc"] else str(one["msg"])
        for one in problems[:5]
    )
