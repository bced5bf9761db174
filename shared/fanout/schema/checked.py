"""
The part of a request that says how its responses are checked, and what a response is checked for.

Loaded for the first checked request only: it imports the validator of JSON schemas. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import RequestError
from .json_schema import Validator, validator_for
from .request import MAX_ATTEMPTS, ChatRequest, Check, SchemaFormat

FORMAT_PARAM = "response_format.json_schema.schema"
OWN_PARAM = "fanout.schema"


def with_schema(body: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The body with `fanout.schema` as its `response_format`, which each codec translates."""
    if body.get("response_format") is not None:
        raise RequestError(
            f"`{OWN_PARAM}` and `response_format` exclude each other: leave one out", OWN_PARAM
        )
    named = {"name": "response", "schema": schema}
    return {**body, "response_format": {"type": "json_schema", "json_schema": named}}


def read_check(
    chat: ChatRequest,
    *,
    check: bool | None,
    attempts: int | None,
    escalate: list[str] | None,
    has_own_schema: bool,
) -> Check | None:
    """
    How the responses to `chat` are checked, by the fields of `fanout`; `None` if they are not.

    Raises `RequestError` for a schema that cannot be used, or none, and for contradictions.
    """
    given = [f"fanout.{name}" for name, value in _named(attempts, escalate) if value is not None]
    if check is False:
        if given:
            raise RequestError(f"`{given[0]}` needs `fanout.check: true`", given[0])
        return None
    schema = schema_of(chat)
    if schema is None:
        param = "fanout.check" if check else given[0]
        raise RequestError(
            f"`{param}` needs a schema: set `response_format` to a `json_schema`, or `{OWN_PARAM}`",
            param,
        )
    validator_for(schema, OWN_PARAM if has_own_schema else FORMAT_PARAM)
    return Check(attempts or Check().attempts, _escalate(escalate or []))


def _named(attempts: object, escalate: object) -> tuple[tuple[str, object], ...]:
    return ("attempts", attempts), ("escalate", escalate)


def _escalate(given: list[str]) -> tuple[str, ...]:
    param = "fanout.escalate"
    names = [name.strip() for name in given]
    if len(names) > MAX_ATTEMPTS:
        raise RequestError(f"`{param}` has {len(names)} names; at most {MAX_ATTEMPTS}", param)
    if not all(names):
        raise RequestError(f"`{param}` must have names of models", param)
    return tuple(names)


def schema_of(chat: ChatRequest) -> Mapping[str, Any] | None:
    """The JSON schema of `response_format`, if it has one."""
    match chat.response_format:
        case SchemaFormat(json_schema=asked):
            return asked.schema
        case _:
            return None


def validator_of(chat: ChatRequest) -> Validator:
    """The validator of a checked request."""
    return validator_for(schema_of(chat) or {}, FORMAT_PARAM)
