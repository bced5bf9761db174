"""
What may be chosen at deploy time: the `fanout:…` keys of cdk.json's context, checked.

`cdk deploy -c fanout:memory=1024` overrides one. A wrong key or value is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PREFIX = "fanout:"
LATEST_PYTHON: Final = "3.14"

# AWS's published layer, by architecture; 1.0.0. https://github.com/awslabs/aws-lambda-web-adapter
ADAPTER_LAYERS = {
    "arm64": "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerArm64:27",
    "x86_64": "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerX86:27",
}


class BadContext(ValueError):
    """The context is wrong; the message names the key and what it may be."""


class GatewayProps(BaseModel):
    """The choices, with their defaults. Sizes in MB, times as named."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    stack: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "Fanout"
    config: Path = Path("config.aws.yaml")
    memory: Annotated[int, Field(ge=256, le=10_240)] = 512
    architecture: Literal["arm64", "x86_64"] = "arm64"
    python: Literal["3.13", "3.14"] = LATEST_PYTHON
    timeout: Annotated[int, Field(ge=30, le=900)] = 900
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    rate: Annotated[int, Field(ge=1, le=10_000)] = 100
    burst: Annotated[int, Field(ge=1, le=5_000)] = 200
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 30
    removal: Literal["destroy", "retain"] = "destroy"
    alarm_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None
    spend_alarm: Annotated[float, Field(gt=0)] = 10.0
    api_log_role: bool = True
    adapter_layer: Annotated[str, Field(pattern=r"^arn:[^\s]+:layer:[^\s]+:\d+$")] | None = None
    domain: Annotated[str, Field(pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$")] | None = None
    certificate: Annotated[str, Field(pattern=r"^arn:[^\s]+:acm:[^\s]+$")] | None = None
    cors: Annotated[str, Field(pattern=r"^https?://[^\s/]+$")] | None = None
    rollback: bool = False
    port: Annotated[int, Field(ge=1024, le=65_535)] = 8080
    environment: dict[str, str] = Field(default_factory=dict)
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None

    @model_validator(mode="after")
    def _domain_needs_certificate(self) -> GatewayProps:
        if (self.domain is None) != (self.certificate is None):
            raise ValueError("`domain` and `certificate` go together")
        return self


def read_props(context: Mapping[str, Any]) -> GatewayProps:
    """The props that the context's `fanout:` keys describe; `BadContext` if one is wrong."""
    given = {k.removeprefix(PREFIX): v for k, v in context.items() if k.startswith(PREFIX)}
    # On the command line everything is text, and nothing is how one takes a choice back.
    given = {name: value for name, value in given.items() if value not in ("", None)}
    for name in given.keys() - GatewayProps.model_fields.keys():
        near = get_close_matches(name, GatewayProps.model_fields, n=1)
        hint = f"; did you mean `{PREFIX}{near[0]}`?" if near else ""
        raise BadContext(f"`{PREFIX}{name}` is unknown{hint}")
    for name in ("log_days", "environment"):
        if isinstance(text := given.get(name), str):
            with suppress(ValueError):
                given[name] = json.loads(text)
    try:
        return GatewayProps.model_validate(given)
    except ValidationError as error:
        said = [f"`{PREFIX}{'.'.join(map(str, e['loc']))}`: {e['msg']}" for e in error.errors()]
        raise BadContext("; ".join(said)) from None
