"""
Reads the deploy-time options from the `fanout:…` keys of cdk.json's context.

`cdk deploy -c fanout:memory=1024` overrides one. An error names the key and what it may be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from .props import PREFIX, ContextError, GatewayProps

SEE = "docs/aws.md lists every key"


def read_props(context: Mapping[str, Any]) -> GatewayProps:
    """Return the props that the context's `fanout:` keys describe, or raise `ContextError`."""
    values = {k.removeprefix(PREFIX): v for k, v in context.items() if k.startswith(PREFIX)}
    # An empty value (`-c fanout:memory=`) restores the default.
    values = {name: value for name, value in values.items() if value not in ("", None)}
    for name in values.keys() - GatewayProps.model_fields.keys():
        near = get_close_matches(name, GatewayProps.model_fields, n=1)
        hint = f"did you mean `{PREFIX}{near[0]}`?" if near else SEE
        raise ContextError(f"`{PREFIX}{name}` is unknown; {hint}")
    # `-c` passes every value as text. Pydantic converts numbers and booleans, but not these.
    for name in ("log_days", "memory_per_vcpu", "environment"):
        if isinstance(text := values.get(name), str):
            with suppress(ValueError):
                values[name] = json.loads(text)
    try:
        return GatewayProps.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(each["loc"], each["msg"]) for each in error.errors())
        raise ContextError(f"{problems}; {SEE}") from None


def _explain(location: tuple[int | str, ...], message: str) -> str:
    """Return the key, pydantic's message and, for a text with a pattern, a valid example."""
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    key = ".".join(map(str, location))
    example = example_of(str(location[0]))
    return f"`{PREFIX}{key}`: {message}{f', such as `{example}`' if example else ''}"


def example_of(name: str) -> str | None:
    """Return an example value of the option, if it is a text with a pattern."""
    schema: Mapping[str, Any] = GatewayProps.model_json_schema()["properties"][name]
    kinds = [schema, *schema.get("anyOf", ())]
    return next((str(kind["examples"][0]) for kind in kinds if "examples" in kind), None)
